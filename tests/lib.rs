//! What tests of several crates share.
#![forbid(unsafe_code)]

#[path = "guests/assembled.rs"]
pub mod assembled;
