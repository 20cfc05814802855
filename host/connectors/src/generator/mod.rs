//! A source that makes its own rows: Nexmark's auction site, or sensors that drift, fail and spike.
//!
//! Always true: event `i` is a function of the configuration and `i` alone, so any stretch of events can be made again, as
//! columns ([`source`]) or as lines ([`write_ndjson`]), and `id`s rise without a gap.

pub mod config;
mod columns;
mod event;
mod ndjson;
mod nexmark;
mod random;
mod sensors;
pub mod source;
mod timestamp;

pub use config::{Config, Kind, Only};
pub use ndjson::write_ndjson;
