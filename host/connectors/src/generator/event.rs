//! Any event, whatever its kind.

use wasmill_engine::clock::Micros;
use wasmill_engine::schema::Schema;

use super::config::{Config, Kind};
use super::fields::Fields;
use super::{nexmark, sensors};

/// The fields of an event.
pub(super) fn schema(config: &Config) -> Schema {
    match config.kind {
        Kind::Nexmark => nexmark::schema(config.only),
        Kind::Sensors => sensors::schema(),
    }
}

/// Describes event `number`. `times` is what [`Config::times`] says.
pub(super) fn describe(config: &Config, times: (Micros, Micros), number: u64, fields: &mut impl Fields) {
    match config.kind {
        Kind::Nexmark => nexmark::describe(config, times, number, fields),
        Kind::Sensors => sensors::describe(config, times, number, fields),
    }
}
