//! A plan for what runs already, made ready off the lanes: checked, opened for every lane, and tried on sampled rows.
//!
//! Only code changes while rows flow. New code may read other columns, as long as the sources decode them, and may add
//! nullable fields to its state; ports, kind, key and the rest of the state stay, so that everything around the stage
//! stays right as it was planned. What is refused is refused before anything happens, with both sides shown.

use std::fmt;
use std::sync::Arc;

use crate::batch::Batch;
use crate::clock::Micros;
use crate::graph::{Graph, Stage};
use crate::limits::EMITTED_BYTES_MAX;
use crate::node::code::{Code, Room, Version};
use crate::operator::{CallError, Context, Operator, Port, Table};
use crate::plan::{Action, Part, Plan};
use crate::state::KeyedState;

/// Bytes of state that new code may make of sampled rows.
const TRIAL_STATE_BYTES_MAX: u64 = 64 << 20;

/// Why a running pipeline is not changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The plan does more than swap code.
    #[error("to {change} the pipeline has to stop; drain it and apply it again")]
    NotWhileRunning {
        /// The first change that does.
        change: String,
    },
    /// The code is of another kind.
    #[error("stage {stage} runs a {running} operator and the new code is {wanted}; only the same kind can take over")]
    Kind {
        /// The stage.
        stage: Arc<str>,
        /// What runs.
        running: String,
        /// What should.
        wanted: String,
    },
    /// The code gives other rows.
    #[error(
        "the ports of stage {stage} would change from [{running}] to [{wanted}]; what is behind needs the old ones"
    )]
    Ports {
        /// The stage.
        stage: Arc<str>,
        /// What runs.
        running: String,
        /// What should.
        wanted: String,
    },
    /// The code has another idea of the state.
    #[error(
        "the state of stage {stage} would change from [{running}] to [{wanted}]: {problem}; only nullable fields can \
         be added under the same version"
    )]
    State {
        /// The stage.
        stage: Arc<str>,
        /// What runs.
        running: String,
        /// What should.
        wanted: String,
        /// What cannot be carried over.
        problem: String,
    },
    /// The code reads what the sources do not decode, because nothing needed it so far.
    #[error(
        "the new code of stage {stage} reads `{column}`, which the running pipeline does not decode; drain it and \
         apply it again"
    )]
    Reads {
        /// The stage.
        stage: Arc<str>,
        /// The column.
        column: String,
    },
    /// The code cannot be opened.
    #[error("the new code of stage {stage} cannot be opened: {message}")]
    Open {
        /// The stage.
        stage: Arc<str>,
        /// What it says.
        message: String,
    },
    /// The code fails on rows that the old code can process.
    #[error("the new code of stage {stage} failed on rows that the old one can process: {error}")]
    Trial {
        /// The stage.
        stage: Arc<str>,
        /// How.
        error: CallError,
    },
    /// Another change came first.
    #[error("stage {stage} runs other code than when this change was made ready; look at it and try again")]
    Stale {
        /// The stage.
        stage: Arc<str>,
    },
    /// There are no more rows.
    #[error("stage {stage} gets no more rows: the input of the pipeline has ended")]
    Ended {
        /// The stage.
        stage: Arc<str>,
    },
    /// The last change of the stage is still on its way.
    #[error("stage {stage} is still switching to version {version}; try again")]
    Busy {
        /// The stage.
        stage: Arc<str>,
        /// Where it is going.
        version: u64,
    },
}

/// What becomes of a stage's state when its code changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carry {
    /// There is none.
    Stateless,
    /// It stays as it is.
    Same,
    /// Its fields change.
    Reshaped {
        /// `table.field` that are new, null for every key.
        added: Vec<String>,
        /// `table.field` that are dropped.
        dropped: Vec<String>,
    },
}

impl fmt::Display for Carry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stateless => f.write_str("no state"),
            Self::Same => f.write_str("state carried"),
            Self::Reshaped { added, dropped } => {
                f.write_str("state carried")?;
                for (what, fields) in [("added", added), ("dropped", dropped)] {
                    if !fields.is_empty() {
                        write!(f, ", {what} {}", fields.join(", "))?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// New code for one stage, ready to be installed.
pub(super) struct Swap {
    pub(super) stage: usize,
    pub(super) from: Arc<str>,
    pub(super) wanted: Arc<Stage>,
    /// One a lane.
    pub(super) operators: Vec<Box<dyn Operator>>,
}

/// A change that is ready to be applied.
pub struct Change {
    pub(super) swaps: Vec<Swap>,
    /// Batches of each lane for which new code is watched.
    pub(super) watch: u32,
    carries: Vec<(Arc<str>, Carry)>,
}

/// What making a change ready needs to know.
pub struct Trial<'a> {
    /// Batches that came into a stage of that name lately, to try new code on; may be empty.
    pub samples: &'a dyn Fn(&str) -> Vec<Batch>,
    /// Whether fields of the state may be dropped: only on the way back to code that had none of them.
    pub may_drop: bool,
    /// Batches of each lane for which the new code is watched, 1 at least.
    pub watch: u32,
    /// The time.
    pub now: Micros,
}

impl Change {
    /// Makes the plan from `running` to `wanted` ready. May take as long as opening and calling operators takes; the
    /// pipeline runs on meanwhile.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub fn prepare(running: &Graph, wanted: &Graph, trial: &Trial<'_>) -> Result<Self, ChangeError> {
        let plan = Plan::between(Some(running), wanted);
        let (mut swaps, mut carries) = (Vec::new(), Vec::new());
        for change in plan.changes() {
            let (Part::Stage, Action::Swap { from, .. }) = (change.part, &change.action) else { continue };
            let find = |graph: &Graph| graph.stages.iter().position(|stage| stage.name == change.name);
            let (old, new) = (find(running), find(wanted));
            let (old, new) = (old.expect("a plan names what is there"), new.expect("a plan names what is there"));
            let (swap, carry) = swap(running, old, &wanted.stages[new], from, trial)?;
            carries.push((change.name.clone(), carry));
            swaps.push(swap);
        }
        let other = |change: &&crate::plan::Change| !matches!(change.action, Action::Swap { .. });
        match plan.changes().iter().find(other) {
            Some(change) => Err(ChangeError::NotWhileRunning { change: change.to_string() }),
            None => Ok(Self { swaps, watch: trial.watch.max(1), carries }),
        }
    }

    /// The stages that change, and what becomes of their state.
    #[must_use]
    pub fn carries(&self) -> &[(Arc<str>, Carry)] {
        &self.carries
    }
}

/// New code for stage `number`, checked, opened and tried.
fn swap(
    running: &Graph,
    number: usize,
    wanted: &Stage,
    from: &str,
    trial: &Trial<'_>,
) -> Result<(Swap, Carry), ChangeError> {
    let old = &running.stages[number];
    let stage = old.name.clone();
    let carry = fits(old, wanted, trial.may_drop)?;
    // Everything around the stage was planned with the old one's layouts.
    let wanted = Stage { shapes: old.shapes.clone(), ..wanted.clone() };
    if let Some(column) = running.undecoded(number, &wanted) {
        return Err(ChangeError::Reads { stage, column });
    }
    let open = |of: &Stage| -> Result<Box<dyn Operator>, ChangeError> {
        let refused = |message: String| ChangeError::Open { stage: stage.clone(), message };
        let opened = of.factory.open(&of.config, of.schema.fields());
        let (plan, operator) = opened.map_err(|refusal| refused(refusal.to_string()))?;
        if plan == of.plan { Ok(operator) } else { Err(refused("it declared another plan the second time".into())) }
    };
    let wanted = Arc::new(wanted);
    let code = |of: &Arc<Stage>| Ok(Code { version: Arc::new(Version::new(0, of.clone())), operator: open(of)? });
    let samples = (trial.samples)(&stage);
    let mut operators = Vec::new();
    for _ in 0..old.lanes {
        let mut new = code(&wanted)?;
        for batch in &samples {
            if let Err(error) = try_on(&mut new, batch, trial.now)
                && try_on(&mut code(&Arc::new(old.clone()))?, batch, trial.now).is_ok()
            {
                return Err(ChangeError::Trial { stage, error });
            }
        }
        operators.push(new.operator);
    }
    Ok((Swap { stage: number, from: from.into(), wanted, operators }, carry))
}

/// Calls code with rows, on state of its own.
fn try_on(code: &mut Code, batch: &Batch, now: Micros) -> Result<(), CallError> {
    let stage = code.version.stage.clone();
    let key = stage.key_kinds();
    let mut state = (!key.is_empty()).then(|| KeyedState::new(&key, &stage.plan.tables, TRIAL_STATE_BYTES_MAX));
    let context = Context { batch: 0, attempt: 0, watermark: Micros::MIN, now, seed: 0 };
    code.call(state.as_mut(), batch, context, &mut Room::of(EMITTED_BYTES_MAX)).map(drop)
}

/// Whether new code can take the place of the old, and what becomes of the state then. Fields of it may be dropped
/// where `may_drop`.
///
/// # Errors
/// It is of another kind, has other ports, or has another idea of the state.
pub fn fits(old: &Stage, new: &Stage, may_drop: bool) -> Result<Carry, ChangeError> {
    let stage = || old.name.clone();
    let (running, wanted) = (old.factory.kind(), new.factory.kind());
    if running != wanted {
        return Err(ChangeError::Kind { stage: stage(), running: running.to_string(), wanted: wanted.to_string() });
    }
    if old.plan.ports != new.plan.ports {
        let shown = |stage: &Stage| shown(&stage.plan.ports, port);
        return Err(ChangeError::Ports { stage: stage(), running: shown(old), wanted: shown(new) });
    }
    carry(&old.plan.tables, &new.plan.tables, may_drop).map_err(|problem| ChangeError::State {
        stage: stage(),
        running: schema(&old.plan.tables),
        wanted: schema(&new.plan.tables),
        problem,
    })
}

fn carry(old: &[Table], new: &[Table], may_drop: bool) -> Result<Carry, String> {
    if old == new {
        return Ok(if old.is_empty() { Carry::Stateless } else { Carry::Same });
    }
    let names = |tables: &[Table]| tables.iter().map(|table| table.name.clone()).collect::<Vec<_>>();
    if names(old) != names(new) {
        return Err("the tables are others".into());
    }
    let (mut added, mut dropped) = (Vec::new(), Vec::new());
    for (old, new) in old.iter().zip(new) {
        let name = &old.name;
        if old.version != new.version {
            return Err(format!("table `{name}` goes from version {} to {}", old.version, new.version));
        }
        for field in new.columns.iter().filter(|field| !old.columns.contains(field)) {
            if !field.nullable || old.columns.iter().any(|before| before.name == field.name) {
                return Err(format!("`{name}.{field}` has no value for the keys that are there"));
            }
            added.push(format!("{name}.{}", field.name));
        }
        for field in old.columns.iter().filter(|field| !new.columns.contains(field)) {
            if !may_drop || !field.nullable {
                return Err(format!("`{name}.{field}` would be lost"));
            }
            dropped.push(format!("{name}.{}", field.name));
        }
    }
    Ok(Carry::Reshaped { added, dropped })
}

/// State in words: its tables with versions and columns.
#[must_use]
pub fn schema(tables: &[Table]) -> String {
    shown(tables, table)
}

fn shown<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    items.iter().map(show).collect::<Vec<_>>().join("; ")
}

fn port(port: &Port) -> String {
    let makes = match &port.makes[..] {
        [] => "nothing".to_owned(),
        makes => shown(makes, ToString::to_string).replace("; ", ", "),
    };
    let carries = match &port.carries {
        None => "all".to_owned(),
        Some(pairs) => pairs.iter().map(|(from, to)| format!("{from} as {to}")).collect::<Vec<_>>().join(", "),
    };
    format!("{}: makes {makes}, carries {carries}", port.name)
}

fn table(table: &Table) -> String {
    let columns = shown(&table.columns, ToString::to_string).replace("; ", ", ");
    format!("{} version {}: {columns}", table.name, table.version)
}
