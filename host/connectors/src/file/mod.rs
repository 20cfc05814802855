//! Files as a source (plain, gzip, zstd; read once or followed while they grow) and as a sink (written aside, visible
//! once committed).

mod config;
mod input;
mod pattern;
mod listing;
mod follow;
pub(crate) mod source;
mod failure;
mod lock;
mod output;
mod place;
mod aside;
mod targets;
mod epoch;
pub(crate) mod sink;

pub use input::Contents;
