//! A source that makes its own rows: Nexmark's auction site, or sensors that drift, fail and spike.
//!
//! Always true: event `i` is a function of the configuration and `i` alone, so any stretch of events can be made
//! again, as columns or as lines ([`write_ndjson`]), and `id`s rise without a gap.

mod config;
mod random;
mod fields;
mod nexmark;
mod sensors;
mod event;
mod columns;
mod ndjson;
pub(crate) mod source;

pub use config::{Config, Kind, Only};
pub use ndjson::write_ndjson;
