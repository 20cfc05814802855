//! A source and a sink in memory, for tests and simulation: they do what a script says, and remember what was done.

pub mod sink;
pub mod source;

pub use sink::{Call, Fault, Ledger, MemorySink, When};
pub use source::{MemorySource, Piece};
