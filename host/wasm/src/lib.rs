//! Operators that are WebAssembly components: made, inspected, compiled, called, limited and distrusted.
//!
//! The modules stand in the order in which a component meets them: its contract, how it is made from a core module,
//! what it is found to be, how it is compiled and kept, what a call of it goes through, and what the engine sees of
//! all that.

mod limits;
mod wit;
mod error;
mod remainder;
mod encode;
mod inspect;
mod contract;
mod store;
mod ticker;
mod compile;
mod child;
mod cache;
mod instance;
mod plan;
mod lower;
mod check;
mod operator;
mod component;
mod engine;

pub use cache::CacheOutcome;
pub use child::{Compiler, compile_if_asked};
pub use component::Component;
pub use encode::encode;
pub use engine::Engine;
pub use error::ComponentError;
pub use inspect::{Info, inspect};
pub use limits::{COMPONENT_BYTES_WITH_RUNTIME, INPUT_ROWS, Limits, TICK_MS};
pub use store::{Level, LogLine, LogSink};
pub use wit::{CONTRACT_SECTION, PACKAGE, VERSION, contract_digest, digest};
