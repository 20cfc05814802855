//! What tests of several crates share.

#[path = "guests/assembled.rs"]
pub mod assembled;
