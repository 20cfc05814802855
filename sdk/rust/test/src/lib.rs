//! Runs a wasmill operator inside `cargo test`, natively and with no host: rows in; rows for each port, refusals and
//! state out; time is what the test says.
//!
//! ```
//! # mod operator {
//! use wasmill::prelude::*;
//!
//! #[derive(Row)]
//! pub struct Reading {
//!     value: f64,
//! }
//! #[derive(State, Default)]
//! pub struct Seen {
//!     highest: f64,
//! }
//! #[derive(Row)]
//! pub struct Risen {
//!     by: f64,
//! }
//!
//! /// Passes readings that are above all before them, with how far.
//! #[keyed]
//! pub fn rise(reading: Reading, seen: &mut Seen) -> Verdict<Risen> {
//!     let by = reading.value - seen.highest;
//!     if by <= 0.0 {
//!         return skip();
//!     }
//!     seen.highest = reading.value;
//!     emit(Risen { by })
//! }
//! # }
//! # use operator::rise;
//! use serde_json::json;
//! use wasmill_test::Driver;
//!
//! // In a plugin this is a `#[test]`. An operator is named like its function.
//! let mut driver = Driver::<rise>::open(json!({})).unwrap().key(["sensor"]);
//! let done = driver.process([json!({"sensor": "a", "value": 2.0}), json!({"sensor": "a", "value": 1.0})]).unwrap();
//! assert_eq!(done.port("main"), [json!({"sensor": "a", "value": 2.0, "by": 2.0})]);
//! assert_eq!(driver.state()["a"], json!({"highest": 2.0}));
//! ```
//!
//! [`cases`] runs the file of cases that `wasmill test` runs on the compiled component.
//!
//! **Modules.** A [`driver`] turns rows into the columns of a call (`columns`) of [`datum`]s and back, `row` says
//! when two are the same; [`cases`] reads a `file`, finds what `input` its rows are, calls and compares.
#![forbid(unsafe_code)]

pub mod datum;
mod row;
mod columns;
pub mod driver;
mod yaml;
mod file;
mod input;
mod suite;

pub use driver::{Done, Driver, Rejected};
pub use suite::cases;
