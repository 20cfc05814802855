//! The functions of the contract's interfaces, as a component exports them.
//!
//! Neighbours: [`crate::abi`] has memory and names, [`crate::record`] the answers, [`crate::operator`] does the work.
//! The attributes use [`__export`](crate::__export).

use crate::abi::{List, Slot, text};
use crate::column::{Rows, TableRows};
use crate::effects::{Effects, Fault, Step};
use crate::operator::{Call, Context, Keyed, Keys, Transform};
use crate::plan::{Plan, Refusal};
use crate::record::{Opened, Processed, RawField, Stepped, lift_fields, lower_effects, lower_plan, lower_step};

/// What an answer points to until the host has read it.
enum Held {
    Opened(Result<Plan, Refusal>),
    Done(Effects<'static>),
    Stepped(Result<Step<'static>, Fault>),
}

/// The one operator of a component.
pub struct Instance<O>(Slot<O, Held>);

impl<O: 'static> Default for Instance<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: 'static> Instance<O> {
    /// An operator that is not yet open.
    #[must_use]
    pub const fn new() -> Self {
        Self(Slot::new())
    }

    /// `cabi_realloc`.
    pub fn realloc(&'static self, old: *const u8, old_bytes: usize, bytes: usize) -> *mut u8 {
        self.0.realloc(old, old_bytes, bytes)
    }

    /// `cabi_post_*`.
    pub fn finished(&'static self) {
        self.0.finished();
    }

    fn answer<T>(&'static self, answer: T) -> *const T {
        self.0.arena().list(std::iter::once(answer)).items
    }

    fn opened(&'static self, opened: Result<(O, Plan), Refusal>) -> *const Opened<'static> {
        let plan = opened.map(|(operator, plan)| {
            assert!(self.0.operator().set(operator).is_ok(), "an instance is opened once");
            plan
        });
        let Held::Opened(plan) = self.0.hold(Held::Opened(plan)) else { unreachable!("it was just put there") };
        self.answer(lower_plan(plan, self.0.arena()))
    }

    fn call(&'static self, context: Context, rows: Rows<'static>) -> Call<'static> {
        Call { context, rows, buffers: self.0.buffers() }
    }

    fn operator(&'static self) -> &'static O {
        self.0.operator().get().expect("the host opens an instance before it calls it")
    }
}

impl<O: Transform + 'static> Instance<O> {
    /// `transform.open`.
    pub fn open_transform(
        &'static self,
        config: List<'static, u8>,
        input: List<'static, RawField<'static>>,
    ) -> *const Opened<'static> {
        crate::log::install();
        self.opened(O::open(text(config.get()), &lift_fields(input)))
    }

    /// `transform.process`.
    pub fn transform(&'static self, context: Context, rows: Rows<'static>) -> *const Processed<'static> {
        let effects = self.operator().process(self.call(context, rows));
        let Held::Done(effects) = self.0.hold(Held::Done(effects)) else { unreachable!("it was just put there") };
        self.answer(Processed::Ok(lower_effects(effects, self.0.arena())))
    }
}

impl<O: Keyed + 'static> Instance<O> {
    /// `keyed.open`.
    pub fn open_keyed(
        &'static self,
        config: List<'static, u8>,
        input: List<'static, RawField<'static>>,
    ) -> *const Opened<'static> {
        crate::log::install();
        self.opened(O::open(text(config.get()), &lift_fields(input)))
    }

    /// `keyed.process`.
    pub fn keyed(
        &'static self,
        context: Context,
        rows: Rows<'static>,
        slots: List<'static, u8>,
        keys: u32,
        tables: List<'static, TableRows<'static>>,
    ) -> *const Stepped<'static> {
        let table = tables.take_each().next().expect("the host passes the one table of the plan");
        let keys = Keys { slots: slots.numbers(), count: keys as usize, table };
        self.stepped(Ok(self.operator().process(self.call(context, rows), keys)))
    }

    /// `keyed.on-timers`: the host has no reason to call it, as no operator of this SDK sets timers yet.
    pub fn on_timers(&'static self) -> *const Stepped<'static> {
        self.stepped(Err(Fault { message: "this operator sets no timers".to_owned() }))
    }

    fn stepped(&'static self, step: Result<Step<'static>, Fault>) -> *const Stepped<'static> {
        let Held::Stepped(step) = self.0.hold(Held::Stepped(step)) else { unreachable!("it was just put there") };
        self.answer(lower_step(step, self.0.arena()))
    }
}

/// Makes a type that is [`Transform`] or [`Keyed`] the operator of this component: for those who want columns in place
/// of rows, or whose columns depend on the configuration. `#[transform]` and `#[keyed]` do it for a function.
///
/// ```
/// use wasmill::column::Kind;
/// use wasmill::effects::{Effects, Emit};
/// use wasmill::operator::{Call, Transform};
/// use wasmill::plan::{Field, Plan, Port, Read, Refusal};
///
/// /// Passes the rows whose column, which the configuration names, is not zero.
/// struct NotZero;
///
/// impl Transform for NotZero {
///     fn open(config: &str, input: &[Field]) -> Result<(Self, Plan), Refusal> {
///         let column: String = wasmill::config::parse(config)?;
///         let Some(field) = input.iter().find(|field| field.name == column && field.kind == Kind::Int64.name()) else {
///             return Err(Refusal::new(format!("there is no column `{column}` of int64")).column(column));
///         };
///         let read = Read { field: Field { nullable: false, ..field.clone() }, fallback: Some("0".into()) };
///         let port = Port { name: "main".into(), carries: None, makes: vec![] };
///         Ok((Self, Plan { reads: vec![read], ports: vec![port], ..Plan::default() }))
///     }
///
///     fn process<'a>(&self, call: Call<'a>) -> Effects<'a> {
///         let values: &[i64] = call.rows.columns.get()[0].numbers();
///         let origin = call.buffers.numbers(values.len());
///         let mut len = 0;
///         for (row, value) in (0..).zip(values) {
///             origin[len] = row;
///             len += usize::from(*value != 0);
///         }
///         let emit = Emit { port: 0, origin: Some(&origin[..len]), columns: vec![] };
///         Effects { emits: vec![emit], ..Effects::default() }
///     }
/// }
///
/// wasmill::export!(transform NotZero);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    (transform $operator:ty) => {
        $crate::__only!();
        const _: () = {
    $crate::__export!(Transform $operator);
        };
    };
    (keyed $operator:ty) => {
        $crate::__only!();
        const _: () = {
    $crate::__export!(Keyed $operator);
        };
    };
}

/// Has a name that a package can have once, so that of a second operator the compiler says what is wrong with it.
#[doc(hidden)]
#[macro_export]
macro_rules! __only {
    () => {
        #[cfg(target_arch = "wasm32")]
        #[doc(hidden)]
        #[macro_export]
        macro_rules! a_package_has_one_operator {
            () => {};
        }
    };
}

/// Makes a type that is [`Transform`] or [`Keyed`] the operator of a component; elsewhere tests can run it.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($kind:ident $operator:ty) => {
        #[cfg(not(target_arch = "wasm32"))]
        $crate::__native!($kind $operator);
        // It is no dead code where no test calls it.
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            _ = <$operator as $crate::native::Operator>::open;
            _ = <$operator as $crate::native::Operator>::process;
        };

        #[cfg(target_arch = "wasm32")]
        static INSTANCE: $crate::export::Instance<$operator> = $crate::export::Instance::new();

        $crate::__contract!();
        $crate::__named! {"cabi_realloc"
            extern "C" fn realloc(old: *const u8, old_bytes: usize, _align: usize, bytes: usize) -> *mut u8 {
                INSTANCE.realloc(old, old_bytes, bytes)
            }
        }
        $crate::__functions!($kind);
    };
}

/// The functions of an interface.
#[doc(hidden)]
#[macro_export]
macro_rules! __functions {
    (Transform) => {
        $crate::__named! {"wasmill:operator/transform@0.1.0#open"
            extern "C" fn open(config: *const u8, len: usize, input: *const u8, fields: usize) -> *const u8 {
                INSTANCE.open_transform($crate::__passed!(config, len), $crate::__passed!(input, fields)).cast()
            }
        }
        $crate::__named! {"wasmill:operator/transform@0.1.0#process"
            extern "C" fn process(
                batch: u64, attempt: u32, watermark: i64, now: i64, seed: u64,
                count: u32, columns: *const u8, len: usize,
            ) -> *const u8 {
                let context = $crate::operator::Context { batch, attempt, watermark, now, seed };
                let rows = $crate::column::Rows { count, columns: $crate::__passed!(columns, len) };
                INSTANCE.transform(context, rows).cast()
            }
        }
        $crate::__functions!(finished "cabi_post_wasmill:operator/transform@0.1.0#open", open_finished);
        $crate::__functions!(finished "cabi_post_wasmill:operator/transform@0.1.0#process", process_finished);
    };
    (Keyed) => {
        $crate::__named! {"wasmill:operator/keyed@0.1.0#open"
            extern "C" fn open(config: *const u8, len: usize, input: *const u8, fields: usize) -> *const u8 {
                INSTANCE.open_keyed($crate::__passed!(config, len), $crate::__passed!(input, fields)).cast()
            }
        }
        $crate::__named! {"wasmill:operator/keyed@0.1.0#process"
            extern "C" fn process(
                batch: u64, attempt: u32, watermark: i64, now: i64, seed: u64,
                count: u32, columns: *const u8, len: usize,
                slots: *const u8, slots_len: usize, keys: u32, tables: *const u8, tables_len: usize,
            ) -> *const u8 {
                let context = $crate::operator::Context { batch, attempt, watermark, now, seed };
                let rows = $crate::column::Rows { count, columns: $crate::__passed!(columns, len) };
                let (slots, tables) = ($crate::__passed!(slots, slots_len), $crate::__passed!(tables, tables_len));
                INSTANCE.keyed(context, rows, slots, keys, tables).cast()
            }
        }
        $crate::__named! {"wasmill:operator/keyed@0.1.0#on-timers"
            extern "C" fn on_timers(
                _batch: u64, _attempt: u32, _watermark: i64, _now: i64, _seed: u64,
                _due: *const u8, _due_len: usize, _keys: u32, _tables: *const u8, _tables_len: usize,
            ) -> *const u8 {
                INSTANCE.on_timers().cast()
            }
        }
        $crate::__functions!(finished "cabi_post_wasmill:operator/keyed@0.1.0#open", open_finished);
        $crate::__functions!(finished "cabi_post_wasmill:operator/keyed@0.1.0#process", process_finished);
        $crate::__functions!(finished "cabi_post_wasmill:operator/keyed@0.1.0#on-timers", timers_finished);
    };
    (finished $name:literal, $function:ident) => {
        $crate::__named! {$name
            extern "C" fn $function(_answer: *const u8) {
                INSTANCE.finished();
            }
        }
    };
}
