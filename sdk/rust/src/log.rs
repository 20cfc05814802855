//! Lines in the log of the stage: the only thing that an operator may call.
//!
//! Neighbour: [`crate::abi`] has the import.

use std::panic::{self, PanicHookInfo};

/// How much a line matters; the order is the contract's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For following single rows.
    Trace,
    /// For following what the operator does.
    Debug,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warn,
    /// Something is lost or wrong.
    Error,
}

/// Writes a line; the host limits lines and bytes a second. Outside of a component it goes to the standard error
/// stream.
pub fn log(level: Level, message: &str) {
    crate::abi::log(level as i32, message);
}

/// Writes a line at level `info`, formatted as by `format!`.
#[macro_export]
macro_rules! info {
    ($($message:tt)+) => { $crate::log::log($crate::log::Level::Info, &::std::format!($($message)+)) };
}

/// Writes a line at level `warn`, formatted as by `format!`.
#[macro_export]
macro_rules! warn {
    ($($message:tt)+) => { $crate::log::log($crate::log::Level::Warn, &::std::format!($($message)+)) };
}

/// Writes a line at level `error`, formatted as by `format!`.
#[macro_export]
macro_rules! error {
    ($($message:tt)+) => { $crate::log::log($crate::log::Level::Error, &::std::format!($($message)+)) };
}

/// Makes a panic say why before it traps: a trap itself carries no text.
pub(crate) fn install_panic_hook() {
    panic::set_hook(Box::new(|info| log(Level::Error, &panic_line(info))));
}

fn panic_line(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("a value that is not text");
    match info.location() {
        Some(place) => format!("panic: {message} at {}:{}:{}", place.file(), place.line(), place.column()),
        None => format!("panic: {message}"),
    }
}
