//! Stream operators for wasmill in Rust: an author writes a function of a row, the SDK makes of it a component that is
//! called with columns.
//!
//! ```
//! use wasmill::prelude::*;
//!
//! #[derive(Row)]
//! struct Reading {
//!     value: f64,
//! }
//!
//! #[derive(State, Default)]
//! struct Stats {
//!     n: i64,
//!     mean: f64,
//! }
//!
//! #[derive(Row)]
//! struct Scored {
//!     distance: f64,
//! }
//!
//! /// How far each reading is from the running mean of its key.
//! #[keyed(ports(alerts))]
//! fn score(reading: Reading, stats: &mut Stats, out: &mut Out<Scored>) -> Verdict {
//!     if reading.value.is_nan() {
//!         return reject("value is not a number");
//!     }
//!     stats.n += 1;
//!     stats.mean += (reading.value - stats.mean) / stats.n as f64;
//!     let distance = reading.value - stats.mean;
//!     if distance.abs() > 10.0 {
//!         out.to("alerts", Scored { distance });
//!     }
//!     emit(Scored { distance })
//! }
//! # fn main() {}
//! ```
//!
//! **The function.** `#[transform]` or `#[keyed]` on a function. Its parameters, in this order, those after the first
//! as needed: the input row by value; `&mut S`, the key's state (keyed only, and needed there); `&mut M`, the
//! operator's [`metrics`]; `&C`, the configuration, any `serde::Deserialize` type; `&Context`, what the call may
//! depend on beside its rows; `&mut Out<T>`, to make more than one row of a row or to reach other ports. What it
//! returns says what becomes of the row:
//!
//! | returns | meaning |
//! |---|---|
//! | a row `T` | one row out for each row in |
//! | `bool` | true: the row passes as it is; false: it is filtered out |
//! | [`Verdict<T>`](Verdict) | [`emit`]`(row)`, [`skip`]`()`, [`pass`]`()`, [`reject`]`(reason)`, [`retry`], [`stop`] |
//! | `Result<_, Reject>` | any of these, with `?` on the way: `.ok_or("price is missing")?` |
//! | nothing | all that leaves goes through `out` |
//!
//! An output row has all columns of its input row, and those made: one of the same name takes its place.
//! `carries(none)` or `carries("a", "b" as "c")` narrows that and renames. `ports(alerts, late)` adds ports beside the
//! main one. A rejected row leaves nothing behind: no rows through `out`, and the state of its key is what it was
//! before the row.
//!
//! **Columns.** Who wants columns in place of rows, or reads columns that the configuration names, implements
//! [`operator::Transform`] or [`operator::Keyed`] on a type and exports it with [`export!`](crate::export!).
//!
//! **The configuration** is checked when the operator is opened: an unknown key is refused with the nearest known one.
//! Where serde does not say which keys a type has (`flatten`, `tag`, `untagged`), write `deny_unknown_fields` for the
//! same. A method `fn check(&self) -> Result<(), String>` on the type, where there is one, is asked as well.
//!
//! **Modules.** A call comes in at [`mod@export`]. [`operator`] loops over rows that [`row`] reads from a
//! [`mod@column`], with [`state`] and [`config`]; the function answers with a [`verdict`], which goes to [`out`] and
//! from there into the call's [`effects`], which [`record`] and [`abi`] carry to the host. [`plan`] is what the host is
//! told when the operator is opened; [`text`] and [`log`] help the function.

pub mod abi;
pub mod plan;
pub mod config;
mod json;
pub mod column;
pub mod row;
pub mod state;
pub mod metrics;
pub mod effects;
pub mod out;
pub mod verdict;
pub mod text;
pub mod log;
pub mod operator;
pub mod record;
pub mod export;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;

/// All that an author names.
pub mod prelude {
    pub use crate::effects::Reject;
    pub use crate::log::{debug, error, info, trace, warn};
    pub use crate::metrics::{Counter, Gauge};
    pub use crate::operator::Context;
    pub use crate::out::Out;
    pub use crate::row::{Json, Timestamp};
    pub use crate::text;
    pub use crate::verdict::{Verdict, emit, pass, reject, retry, skip, stop};
    pub use wasmill_macros::{Metrics, Row, State};

    /// ```
    /// use serde::Deserialize;
    /// use wasmill::prelude::*;
    ///
    /// #[derive(Row)]
    /// struct Price {
    ///     price: i64,
    /// }
    ///
    /// #[derive(Deserialize)]
    /// struct Config {
    ///     most: i64,
    /// }
    ///
    /// /// Of each row that passes `price` only, as `euros`.
    /// #[transform(carries("price" as "euros"))]
    /// fn cheap(row: Price, config: &Config) -> bool {
    ///     row.price <= config.most
    /// }
    /// # fn main() { assert!(cheap(Price { price: 1 }, &Config { most: 2 })); }
    /// ```
    pub use wasmill_macros::transform;

    /// ```
    /// use wasmill::prelude::*;
    ///
    /// #[derive(Row)]
    /// struct Reading {
    ///     value: f64,
    /// }
    /// #[derive(State, Default)]
    /// struct Highest {
    ///     value: Option<f64>,
    /// }
    ///
    /// /// Passes a reading that is above all before it of its key.
    /// #[keyed]
    /// fn highest(reading: Reading, highest: &mut Highest) -> bool {
    ///     let is = highest.value.is_none_or(|before| reading.value > before);
    ///     if is {
    ///         highest.value = Some(reading.value);
    ///     }
    ///     is
    /// }
    /// # fn main() { assert!(highest(Reading { value: 1.0 }, &mut Highest { value: Some(0.5) })); }
    /// ```
    pub use wasmill_macros::keyed;
}

#[cfg(doc)]
use crate::verdict::{Verdict, emit, pass, reject, retry, skip, stop};
