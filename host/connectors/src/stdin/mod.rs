//! The standard input as a source.

mod config;
pub mod source;
