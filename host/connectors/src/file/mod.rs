//! Files as a source (plain, gzip, zstd; read once or followed while they grow) and as a sink (written aside, visible as a
//! whole).

mod aside;
mod config;
mod follow;
mod input;
mod listing;
mod output;
pub mod sink;
pub mod source;
