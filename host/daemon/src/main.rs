//! x
mod build;
fn main(){}
