//! One instance of a component: made, opened, called under a deadline, and thrown away after anything went wrong.
//!
//! Always true: after a call that failed in any way but by the operator's own word (`fault`), the instance is not
//! called again: its memory may be in any state. Neighbours: [`crate::operator`] decides when another is made.

use std::sync::Arc;

use wasmill_engine::operator::{CallError, OperatorKind};
use wasmtime::component::{ComponentNamedList, InstancePre, Lift, Lower, TypedFunc};
use wasmtime::{Store, Trap, WasmBacktrace};

use crate::contract::{FieldIn, KeyedIn, KeyedOut, OpenIn, OpenOut, PlanOut, RefusalOut, TransformIn, TransformOut};
use crate::limits::{Limits, REPLACE_DENOMINATOR, REPLACE_NUMERATOR, TICK_MS};
use crate::store::{Guest, Log};
use crate::ticker::Ticker;
use crate::wit;

/// The part of wasmtime's message by which an answer that is too large is told from one that is malformed; its error
/// has no public type. A test of a hostile guest fails when the words change.
const TOO_MUCH: &str = "fuel allocated for hostcalls has been exhausted";

/// Bytes that an answer may have on top of what is counted as output: records, names, messages.
const ANSWER_BYTES_EXTRA: u64 = 64 << 10;

/// All that is needed to make instances of one component.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) kind: OperatorKind,
    pub(crate) linked: InstancePre<Guest>,
    pub(crate) limits: Limits,
    pub(crate) log: Arc<Log>,
    /// Without it no call would ever reach its deadline.
    pub(crate) _ticker: Arc<Ticker>,
}

/// An instance, opened.
pub(crate) struct Instance {
    store: Store<Guest>,
    process: Process,
    limits: Limits,
    /// Bytes of memory that it had once it was open.
    fresh_bytes: u64,
}

#[derive(Clone, Copy)]
enum Process {
    Transform(TypedFunc<TransformIn<'static>, TransformOut>),
    Keyed(TypedFunc<KeyedIn<'static>, KeyedOut>),
}

impl Code {
    /// Makes an instance and opens it.
    ///
    /// # Errors
    /// It cannot be made, lacks the contract's functions, or fails when opened.
    pub(crate) fn open(
        &self,
        config: &str,
        input: &[FieldIn<'_>],
    ) -> Result<Result<(Instance, PlanOut), RefusalOut>, CallError> {
        let mut store = Store::new(self.linked.engine(), Guest::new(self.limits, self.log.clone()));
        store.limiter(|guest| guest);
        store.set_max_component_handles(usize::try_from(self.limits.handles_max).unwrap_or(usize::MAX));
        prepare(&mut store, &self.limits, 0);
        let made = self.linked.instantiate(&mut store);
        let made = made.map_err(|error| failure(&mut store, &self.limits, &error))?;
        let interface = wit::interface(self.kind);
        let open = function::<OpenIn<'_>, OpenOut>(&mut store, &made, interface, "open")?;
        let process = match self.kind {
            OperatorKind::Transform => Process::Transform(function(&mut store, &made, interface, "process")?),
            OperatorKind::Keyed => Process::Keyed(function(&mut store, &made, interface, "process")?),
        };
        let answer = open.call(&mut store, (config, input));
        let (answer,) = answer.map_err(|error| failure(&mut store, &self.limits, &error))?;
        let fresh_bytes = store.data().memory_bytes();
        Ok(answer.map(|plan| (Instance { store, process, limits: self.limits, fresh_bytes }, plan)))
    }
}

impl Instance {
    /// Calls `transform.process`. `input_bytes` decides how large the answer may be.
    pub(crate) fn transform(&mut self, input_bytes: u64, call: TransformIn<'_>) -> Result<TransformOut, CallError> {
        let Process::Transform(process) = self.process else { panic!("a keyed operator is called with keys") };
        self.call(process, input_bytes, call)
    }

    /// Calls `keyed.process`. `input_bytes` decides how large the answer may be.
    pub(crate) fn keyed(&mut self, input_bytes: u64, call: KeyedIn<'_>) -> Result<KeyedOut, CallError> {
        let Process::Keyed(process) = self.process else { panic!("a transform is called without keys") };
        self.call(process, input_bytes, call)
    }

    /// Whether its memory has grown so far that it should be replaced before it fails.
    pub(crate) fn is_worn(&self) -> bool {
        let allowed = self.limits.memory_bytes_max / REPLACE_DENOMINATOR * REPLACE_NUMERATOR;
        self.store.data().memory_bytes() > allowed.max(self.fresh_bytes)
    }

    fn call<In, Out>(&mut self, function: TypedFunc<In, Out>, input_bytes: u64, call: In) -> Result<Out, CallError>
    where
        In: ComponentNamedList + Lower,
        Out: ComponentNamedList + Lift,
    {
        prepare(&mut self.store, &self.limits, input_bytes);
        function.call(&mut self.store, call).map_err(|error| failure(&mut self.store, &self.limits, &error))
    }
}

/// Sets what holds for one call: its deadline, and how much it may hand back. Twice the output's limit may cross, so
/// that most breaches are found with their exact size by the checks.
fn prepare(store: &mut Store<Guest>, limits: &Limits, input_bytes: u64) {
    store.data_mut().begin();
    store.set_epoch_deadline(limits.call_ms_max.div_ceil(TICK_MS) + 1);
    store.set_hostcall_fuel(usize::try_from(fuel(limits, input_bytes)).unwrap_or(usize::MAX));
}

fn fuel(limits: &Limits, input_bytes: u64) -> u64 {
    limits.output_bytes(input_bytes).saturating_mul(2).saturating_add(ANSWER_BYTES_EXTRA)
}

fn function<In, Out>(
    store: &mut Store<Guest>,
    instance: &wasmtime::component::Instance,
    interface: &str,
    name: &str,
) -> Result<TypedFunc<In, Out>, CallError>
where
    In: ComponentNamedList + Lower,
    Out: ComponentNamedList + Lift,
{
    let missing = || CallError::Invalid(format!("`{interface}` has no function `{name}`"));
    let outer = instance.get_export_index(&mut *store, None, interface).ok_or_else(missing)?;
    let inner = instance.get_export_index(&mut *store, Some(&outer), name).ok_or_else(missing)?;
    instance.get_typed_func(&mut *store, inner).map_err(|reason| {
        CallError::Invalid(format!("`{name}` of `{interface}` has not the contract's signature: {reason:#}"))
    })
}

/// What went wrong, in the engine's words. A limit that was hit explains whatever followed.
fn failure(store: &mut Store<Guest>, limits: &Limits, error: &wasmtime::Error) -> CallError {
    if let Some(breach) = store.data().breach(|| backtrace(error)) {
        return breach;
    }
    let used_up = |limit, unit, allowed, requested| {
        let backtrace = backtrace(error);
        CallError::Limit { limit, unit, allowed, current: allowed, requested, backtrace }
    };
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => used_up("call_ms_max", "ms", limits.call_ms_max, TICK_MS),
        Some(Trap::StackOverflow) => used_up("stack_bytes_max", "B", limits.stack_bytes_max, 1),
        Some(trap) => {
            let logged = store.data_mut().panic();
            let message = logged.unwrap_or_else(|| trap.to_string().trim_start_matches("wasm trap: ").to_string());
            CallError::Trap { message, backtrace: backtrace(error) }
        }
        None if error.root_cause().to_string().contains(TOO_MUCH) => {
            let fuel = store.hostcall_fuel() as u64;
            let allowed = fuel.saturating_sub(ANSWER_BYTES_EXTRA) / 2;
            CallError::limit("output_bytes", "B", allowed, 0, fuel)
        }
        None => CallError::Invalid(format!("{:#}", error.root_cause())),
    }
}

/// The guest's frames, innermost first, a line each.
fn backtrace(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let text = backtrace.to_string();
    text.lines().skip(1).map(str::trim).collect::<Vec<_>>().join("\n")
}
