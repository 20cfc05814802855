//! What becomes of a row: the answers that an author's function gives.
//!
//! Neighbours: [`crate::out`] takes the rows, [`crate::operator`] asks for one answer a row.

use crate::effects::{Action, Reject};
use crate::out::Sink;
use crate::row::Made;

/// What becomes of a row; `T` is the row that may be made of it.
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
pub const fn emit<T>(row: T) -> Verdict<T> {
    Verdict::Emit(row)
}

/// The row goes to the main port as it is, with nothing made.
pub const fn pass() -> Verdict {
    Verdict::Emit(())
}

/// Nothing leaves for the row, beside what went through `out`.
pub const fn skip<T>() -> Verdict<T> {
    Verdict::Skip
}

/// The row goes to the dead letters with this reason.
pub fn reject<V: From<Reject>>(reason: impl Into<String>) -> V {
    Reject { action: Action::DeadLetter, reason: reason.into() }.into()
}

/// The host calls again with the row after so many milliseconds, a limited number of times.
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
