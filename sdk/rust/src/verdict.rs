//! What becomes of a row: the answers that an author's function gives.
//!
//! Neighbours: [`crate::out`] takes the rows, [`crate::operator`] asks for one answer a row.

use crate::effects::{Action, Reject};
use crate::out::Sink;
use crate::row::Made;

/// What becomes of a row; `T` is the row that may be made of it.
///
/// ```
/// use wasmill::prelude::*;
///
/// #[derive(Row)]
/// struct Reading {
///     value: f64,
/// }
/// #[derive(Row)]
/// struct Root {
///     root: f64,
/// }
///
/// #[transform]
/// fn root(reading: Reading) -> Verdict<Root> {
///     match reading.value {
///         value if value.is_nan() => stop("the sensor is broken"),
///         value if value < 0.0 => reject(format!("{value} has no root")),
///         0.0 => skip(),
///         value => emit(Root { root: value.sqrt() }),
///     }
/// }
/// # fn main() {
/// # use wasmill::effects::Action;
/// assert!(matches!(root_of(-1.0), Verdict::Reject(reject) if reject.reason == "-1 has no root"));
/// # fn root_of(value: f64) -> Verdict<Root> { root(Reading { value }) }
/// # assert!(matches!(root_of(f64::NAN), Verdict::Reject(reject) if reject.action == Action::Stop));
/// # assert!(matches!(root_of(4.0), Verdict::Emit(Root { root: 2.0 })) && matches!(root_of(0.0), Verdict::Skip));
/// # }
/// ```
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<T = ()> {
    /// This row goes to the main port.
    Emit(T),
    /// Nothing more than what went through `out`.
    Skip,
    /// It is refused.
    Reject(Reject),
}

/// This row goes to the main port.
///
/// ```
/// # use wasmill::prelude::*;
/// assert_eq!(emit(7), Verdict::Emit(7));
/// ```
pub const fn emit<T>(row: T) -> Verdict<T> {
    Verdict::Emit(row)
}

/// The row goes to the main port as it is, with nothing made.
///
/// ```
/// # use wasmill::prelude::*;
/// #[derive(Row)]
/// struct Price {
///     price: i64,
/// }
///
/// #[transform]
/// fn check(row: Price) -> Verdict {
///     if row.price < 0 { reject("a price below zero") } else { pass() }
/// }
/// # fn main() { assert_eq!(check(Price { price: 1 }), pass()); }
/// ```
pub const fn pass() -> Verdict {
    Verdict::Emit(())
}

/// Nothing leaves for the row, beside what went through `out`.
pub const fn skip<T>() -> Verdict<T> {
    Verdict::Skip
}

/// The row goes to the dead letters with this reason. Works where a `Verdict` is answered and where a `Result` is:
///
/// ```
/// # use wasmill::prelude::*;
/// fn half(of: i64) -> Result<i64, Reject> {
///     if of % 2 == 1 { reject(format!("{of} is odd")) } else { Ok(of / 2) }
/// }
/// assert_eq!(half(3).unwrap_err().reason, "3 is odd");
/// ```
pub fn reject<V: From<Reject>>(reason: impl Into<String>) -> V {
    Reject { action: Action::DeadLetter, reason: reason.into() }.into()
}

/// The host calls again with the row after so many milliseconds, a limited number of times. A wait over the pipeline's
/// limit `retry_ms_max`, a minute where it says nothing, fails the call.
///
/// ```
/// # use wasmill::prelude::*;
/// let later: Verdict = retry(250, "the other side is not ready");
/// assert!(matches!(later, Verdict::Reject(_)));
/// ```
pub fn retry<V: From<Reject>>(after_ms: u32, reason: impl Into<String>) -> V {
    Reject { action: Action::Retry(after_ms), reason: reason.into() }.into()
}

/// The pipeline stops before the row.
pub fn stop<V: From<Reject>>(reason: impl Into<String>) -> V {
    Reject { action: Action::Stop, reason: reason.into() }.into()
}

impl<T> From<Reject> for Verdict<T> {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

impl<T> From<Reject> for Result<T, Reject> {
    fn from(reject: Reject) -> Self {
        Err(reject)
    }
}

/// An answer for a row; `T` is the row that the operator makes.
#[diagnostic::on_unimplemented(
    message = "an operator cannot return `{Self}`",
    note = "return a row (`#[derive(Row)]`), `bool`, `Verdict<Row>`, a `Result<_, Reject>` of these, or nothing and \
            send rows through `out: &mut Out<Row>`"
)]
pub trait Outcome<T: Made> {
    /// Whether it is always exactly one row for the main port.
    const ALWAYS: bool = false;

    /// Does what it says for the row that `out` is at.
    ///
    /// # Errors
    /// The row is refused, and nothing was sent.
    fn apply<'a>(self, out: &mut impl Sink<'a, T>) -> Result<(), Reject>;
}

impl<T: Made> Outcome<T> for Verdict<T> {
    #[inline(always)]
    fn apply<'a>(self, out: &mut impl Sink<'a, T>) -> Result<(), Reject> {
        match self {
            Self::Emit(row) => out.send(row),
            Self::Skip => {}
            Self::Reject(reject) => return Err(reject),
        }
        Ok(())
    }
}

impl Outcome<()> for bool {
    #[inline(always)]
    fn apply<'a>(self, out: &mut impl Sink<'a, ()>) -> Result<(), Reject> {
        if self {
            out.send(());
        }
        Ok(())
    }
}

impl<T: Made> Outcome<T> for () {
    #[inline(always)]
    fn apply<'a>(self, _: &mut impl Sink<'a, T>) -> Result<(), Reject> {
        Ok(())
    }
}

impl<T: Made, O: Outcome<T>> Outcome<T> for Result<O, Reject> {
    #[inline(always)]
    fn apply<'a>(self, out: &mut impl Sink<'a, T>) -> Result<(), Reject> {
        self?.apply(out)
    }
}
