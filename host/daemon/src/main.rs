//! x
mod draw;
mod spec;
fn main() {}
