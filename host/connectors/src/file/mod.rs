//! Files as a source (plain, gzip, zstd; read once or followed while they grow) and as a sink (written aside, visible
//! as a whole).

mod config;
mod input;
mod pattern;
mod listing;
mod follow;
pub(crate) mod source;
mod output;
mod aside;
pub(crate) mod sink;

pub use input::Contents;
