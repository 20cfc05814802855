//! Operators that are WebAssembly components: made, inspected, compiled, called, limited and distrusted.
//!
//! The modules stand in the order in which a component meets them.

mod wit;
mod error;
mod encode;

pub use encode::encode;
pub use error::ComponentError;
pub use wit::{CONTRACT_SECTION, PACKAGE, VERSION, contract_digest};
