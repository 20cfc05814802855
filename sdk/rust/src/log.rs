//! Lines in the log of the stage: the only thing that an operator may call.
//!
//! Authors write them with the `log` crate's macros, which the prelude has, and so do the libraries that they use; what
//! goes through `tracing` arrives where that crate's feature `log` is on. Neighbour: [`crate::abi`] has the import.
//!
//! ```
//! use wasmill::prelude::*;
//!
//! #[derive(Row)]
//! struct Reading<'a> {
//!     sensor: &'a str,
//!     value: f64,
//! }
//!
//! #[transform]
//! fn watch(reading: Reading) -> bool {
//!     if reading.value.is_nan() {
//!         warn!("{} sends no numbers", reading.sensor);
//!     }
//!     true
//! }
//! # fn main() { watch(Reading { sensor: "a", value: f64::NAN }); }
//! ```

use std::panic::{self, PanicHookInfo};

use log::{LevelFilter, Log, Metadata, Record};

pub use log::{Level, debug, error, info, trace, warn};

/// Takes lines to the host, which limits lines and bytes a second. Outside of a component they go to the standard error
/// stream.
struct ToHost;

impl Log for ToHost {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        write(record.level(), &record.args().to_string());
    }

    fn flush(&self) {}
}

fn write(level: Level, message: &str) {
    crate::abi::log(number(level), message);
}

/// The place of a level in the contract's `log.level`.
pub(crate) const fn number(level: Level) -> i32 {
    match level {
        Level::Trace => 0,
        Level::Debug => 1,
        Level::Info => 2,
        Level::Warn => 3,
        Level::Error => 4,
    }
}

/// Takes the lines of the `log` crate to the host, and makes a panic say why before it traps: a trap itself carries no
/// text.
pub(crate) fn install() {
    // Another logger can only be there when the operator's own code put it there: then that one is wanted.
    if log::set_logger(&ToHost).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
    panic::set_hook(Box::new(|info| write(Level::Error, &panic_line(info))));
}

fn panic_line(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("a value that is not text");
    match info.location() {
        Some(place) => format!("panic: {message} at {}:{}:{}", place.file(), place.line(), place.column()),
        None => format!("panic: {message}"),
    }
}
