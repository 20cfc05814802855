//! The pure runtime of wasmill: everything about rows, nothing about the outside world.
//!
//! Nothing here has a clock, a thread, a file, a socket or a random number of its own; whoever uses the engine hands
//! them in through the seams [`clock`], [`source`], [`sink`] and [`operator`]. The modules stand in the order in which
//! a record meets them.
#![forbid(unsafe_code)]

pub mod limits;
pub mod schema;
pub mod clock;
pub mod source;
pub mod batch;
pub mod codec;
pub mod key;
pub mod operator;
pub mod state;
pub mod dead_letter;
pub mod sink;
pub mod graph;
pub mod pace;
pub mod histogram;
pub mod counters;
pub mod edge;
pub mod coordinator;
pub mod node;
pub mod plan;
pub mod runtime;
