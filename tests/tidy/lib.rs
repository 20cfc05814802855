//! What the house rules are made of: reading the repository, and one function a rule that answers what breaks it.
//!
//! The rules themselves, their numbers and their lists of exceptions are in `tests/tidy.rs`. Nothing here compiles the
//! code that it judges: a small lexer ([`tokens`]) is enough and needs no dependency. Every rule is tested here on bad
//! input: a rule that cannot fail is worth nothing.
#![forbid(unsafe_code)]

pub mod tokens;
pub mod tree;
pub mod shape;
pub mod conduct;
pub mod packages;
pub mod modules;
pub mod documents;
