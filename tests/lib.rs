//! What tests of several crates share.
#![forbid(unsafe_code)]

#[path = "guests/assembled.rs"]
pub mod assembled;
#[path = "end_to_end/process.rs"]
pub mod process;
#[path = "end_to_end/house.rs"]
pub mod house;
#[path = "end_to_end/server.rs"]
pub mod server;
