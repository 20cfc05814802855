//! What each connector does beyond the kit, and what it refuses.

mod file_sink;
mod file_source;
mod generator;
mod registry;
mod stdio;
