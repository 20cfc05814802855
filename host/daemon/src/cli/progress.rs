//! What a person at a terminal sees of work that takes long; nobody else sees anything.
//!
//! Always true: it goes to the standard error stream and is gone when the work ends. Neighbours: the verbs.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Setting;
use crate::build::{self, BuildError, Built, Options};

/// Between two turns.
const TURN: Duration = Duration::from_millis(150);

/// Something that turns, with a message; the caller ticks it.
pub(super) fn spinner(setting: &Setting) -> ProgressBar {
    if !setting.terminal {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar
}

/// Does work of which nothing is known but what it is; turns by itself.
pub(super) fn during<T>(setting: &Setting, what: &str, work: impl FnOnce() -> T) -> T {
    let bar = spinner(setting);
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(TURN);
    let result = work();
    bar.finish_and_clear();
    result
}

/// Builds an operator. Cargo shows how far it is by itself, other compilers say nothing.
///
/// # Errors
/// As those of the build itself.
pub(super) fn built(folder: &Path, options: &Options, setting: &Setting) -> Result<Built, BuildError> {
    if build::is_told(folder) {
        return build::build(folder, options);
    }
    during(setting, &format!("building {}", folder.display()), || build::build(folder, options))
}

/// So much of a whole.
pub(super) fn share(setting: &Setting, whole: u64) -> ProgressBar {
    if !setting.terminal {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(whole);
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3}% {human_pos} [{eta} left]");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
