//! The standard output as a sink.

mod config;
pub mod sink;
