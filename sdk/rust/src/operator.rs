//! The loop over the rows of a call, and the traits through which the boundary reaches an operator.
//!
//! The attributes `#[transform]` and `#[keyed]` implement the traits with a closure around the author's function; all
//! types follow from that closure. Always true: a refused row is the origin of no emitted row, and the state of its key
//! is what it was before the row. Neighbours: [`crate::row`] and [`crate::state`] give rows and state, [`crate::out`]
//! takes what is sent, [`mod@crate::export`] calls.

use crate::abi::Buffers;
use crate::column::{Rows, TableRows};
use crate::effects::{Effects, Reject, Step};
use crate::metrics::Metrics;
use crate::out::Sink;
use crate::plan::{Field, Metric, Outputs, Plan, Refusal};
use crate::row::{Made, Row, TURN};
use crate::state::State;
use crate::verdict::Outcome;

/// What a call may depend on beside its rows and its state; there is no clock and no random source.
///
/// ```
/// use wasmill::prelude::*;
///
/// #[derive(Row)]
/// struct Reading {
///     at: Timestamp,
/// }
/// #[derive(Row)]
/// struct Aged {
///     age_s: i64,
/// }
///
/// #[transform]
/// fn age(reading: Reading, context: &Context) -> Aged {
///     Aged { age_s: (context.now - reading.at.0) / 1_000_000 }
/// }
/// # fn main() {
/// # let context = Context { now: 5_000_000, ..Context::default() };
/// # assert_eq!(age(Reading { at: Timestamp(2_000_000) }, &context).age_s, 3);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Number of the batch within stage and lane.
    pub batch: u64,
    /// 0 at the first try of this batch, then 1, 2, ...
    pub attempt: u32,
    /// Event time in microseconds up to which the input is believed complete; `i64::MIN` while nothing is known.
    pub watermark: i64,
    /// The host's clock in microseconds since 1970-01-01 UTC.
    pub now: i64,
    /// Seed for random numbers, the same at every try of a batch.
    pub seed: u64,
}

/// What a call is given.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// What it may depend on.
    pub context: Context,
    /// Its rows.
    pub rows: Rows<'a>,
    /// Where it puts the columns that it makes.
    pub buffers: &'a Buffers,
}

/// The keys of a call and their state.
pub struct Keys<'a> {
    /// For each row the number of its key.
    pub slots: &'a [u32],
    /// How many keys there are.
    pub count: usize,
    /// Their state.
    pub table: TableRows<'a>,
}

/// An operator without state. `#[transform]` implements it; implement it yourself to work on columns, and export it
/// with [`export!`](crate::export!).
pub trait Transform: Sized {
    /// Opens it with a configuration, the text of a JSON object, for an input of these columns.
    ///
    /// # Errors
    /// The configuration or the input does not suit it.
    fn open(config: &str, input: &[Field]) -> Result<(Self, Plan), Refusal>;

    /// Works on a batch.
    fn process<'a>(&self, call: Call<'a>) -> Effects<'a>;
}

/// An operator with state for each key. As [`Transform`], with `#[keyed]`.
pub trait Keyed: Sized {
    /// As [`Transform::open`].
    ///
    /// # Errors
    /// The configuration or the input does not suit it.
    fn open(config: &str, input: &[Field]) -> Result<(Self, Plan), Refusal>;

    /// Works on a batch.
    fn process<'a>(&self, call: Call<'a>, keys: Keys<'a>) -> Step<'a>;
}

/// The plan of a transform with this function, which is not called.
pub fn transform_plan<'a, I, T, O, S>(
    outputs: &Outputs,
    metrics: &'static [Metric],
    _: impl FnMut(I, &mut S) -> O,
) -> Plan
where
    I: Row<'a>,
    T: Made,
    O: Outcome<T>,
    S: Sink<'a, T>,
{
    Plan { reads: I::READS.to_vec(), ports: outputs.ports(T::MAKES), tables: Vec::new(), metrics: metrics.to_vec() }
}

/// Calls `work` with each row and its number, [`TURN`] rows in a turn: at each turn a component looks whether its time
/// is over, which costs as much as a small operator does, and what is asserted of a turn need not be of each row. For
/// work without state: a large loop is not unrolled, and what it keeps in registers otherwise would go through memory.
/// Rows with texts are worked on one by one for the same reason.
#[inline(always)]
fn each<'a, I, T, S>(readers: &I::Readers, count: u32, out: &mut S, mut work: impl FnMut(&mut S, u32, I))
where
    I: Row<'a>,
    T: Made,
    S: Sink<'a, T>,
{
    let turn = TURN as u32;
    let turns = if I::FIXED { count / turn } else { 0 };
    for first in (0..turns).map(|number| number * turn) {
        let part = I::part(readers, first as usize);
        out.turn();
        for row in 0..turn {
            work(out, first + row, I::read(&part, row as usize));
        }
    }
    for row in turns * turn..count {
        work(out, row, I::read(readers, row as usize));
    }
}

/// Calls the function for each row.
#[inline]
pub fn transform<'a, I, T, O, S>(
    outputs: &Outputs,
    call: Call<'a>,
    mut function: impl FnMut(I, &mut S) -> O,
) -> Effects<'a>
where
    I: Row<'a>,
    T: Made,
    O: Outcome<T>,
    S: Sink<'a, T>,
{
    let count = call.rows.count;
    let readers = I::readers(call.rows.columns.get(), count as usize);
    let mut out = S::open(outputs.ports, call.buffers, count, O::ALWAYS);
    let mut rejects = Vec::new();
    each(&readers, count, &mut out, |out, row, input: I| {
        out.at(row);
        if let Err(reject) = function(input, out).apply(out) {
            out.take_back();
            rejects.push((row, reject));
        }
    });
    Effects { emits: out.emits(count), rejects, metrics: Vec::new() }
}

/// The plan of a keyed operator with this function, which is not called.
pub fn keyed_plan<'a, I, K, T, O, S>(
    outputs: &Outputs,
    metrics: &'static [Metric],
    _: impl FnMut(I, &mut K, &mut S) -> O,
) -> Plan
where
    I: Row<'a>,
    K: State,
    T: Made,
    O: Outcome<T>,
    S: Sink<'a, T>,
{
    Plan {
        reads: I::READS.to_vec(),
        ports: outputs.ports(T::MAKES),
        tables: vec![K::table()],
        metrics: metrics.to_vec(),
    }
}

/// Calls the function for each row, with the state of the row's key.
#[inline]
pub fn keyed<'a, I, K, T, O, S>(
    outputs: &Outputs,
    call: Call<'a>,
    Keys { slots, count: keys, table }: Keys<'a>,
    mut function: impl FnMut(I, &mut K, &mut S) -> O,
) -> Step<'a>
where
    I: Row<'a>,
    K: State,
    T: Made,
    O: Outcome<T>,
    S: Sink<'a, T>,
{
    let count = call.rows.count;
    assert_eq!(slots.len(), count as usize, "each row has a slot");
    let readers = I::readers(call.rows.columns.get(), count as usize);
    let mut out = S::open(outputs.ports, call.buffers, count, O::ALWAYS);
    let mut rejects: Vec<(u32, Reject)> = Vec::new();
    let fresh = table.fresh.get();
    let mut cells = K::cells(table.into_columns(), keys);
    for key in (0..fresh.len()).filter(|key| fresh[*key] != 0) {
        K::default().store(&mut cells, key);
    }
    let mut state = K::default();
    for row in 0..count {
        let key = slots[row as usize] as usize;
        out.at(row);
        state.load(&cells, key);
        match function(I::read(&readers, row as usize), &mut state, &mut out).apply(&mut out) {
            Ok(()) => state.store(&mut cells, key),
            Err(reject) => {
                out.take_back();
                rejects.push((row, reject));
            }
        }
    }
    let forget = untouched(fresh, slots, &rejects);
    let effects = Effects { emits: out.emits(count), rejects, metrics: Vec::new() };
    Step { effects, forget, state: K::changed(cells, call.buffers) }
}

/// Adds the metrics that a call counted; nothing where the operator has none.
pub fn reported<'a>(mut effects: Effects<'a>, metrics: &mut impl Metrics) -> Effects<'a> {
    metrics.report(&mut effects.metrics);
    effects
}

/// For each key whether it is new and every row of it was refused: there is nothing to keep for it. `rejects` are in
/// the order of their rows. What [`Step::forget`] is for an operator that works on columns.
#[must_use]
pub fn untouched(fresh: &[u8], slots: &[u32], rejects: &[(u32, Reject)]) -> Vec<u8> {
    if rejects.is_empty() {
        return Vec::new();
    }
    let mut forget = fresh.to_vec();
    let mut refused = rejects.iter().map(|(row, _)| *row).peekable();
    for (row, slot) in (0..).zip(slots) {
        if refused.next_if_eq(&row).is_none()
            && let Some(forget) = forget.get_mut(*slot as usize)
        {
            *forget = 0;
        }
    }
    forget
}
