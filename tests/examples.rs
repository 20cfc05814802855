//! The examples run as they stand and come to what their `expected/` folders hold; what documents show in a terminal
//! is what happens.
#![forbid(unsafe_code)]
