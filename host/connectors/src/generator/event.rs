//! How an event tells its values: one description, taken down as columns or as JSON.

use wasmill_engine::clock::Micros;
use wasmill_engine::schema::Schema;

use super::config::{Config, Kind};
use super::{nexmark, sensors};

/// Who takes down an event: called for its fields in the order of the schema.
pub(super) trait Fields {
    /// A whole number.
    fn int(&mut self, name: &str, value: i64);
    /// Hundredths, or nothing.
    fn hundredths(&mut self, name: &str, value: Option<i64>);
    /// A time.
    fn time(&mut self, name: &str, value: Micros);
    /// Text, which `write` appends: ASCII that JSON need not escape.
    fn text(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>));
    /// What follows up to `close` belongs to the group of that name.
    fn open(&mut self, name: &str);
    /// The group ends.
    fn close(&mut self);
    /// The event has no value for the next so many fields.
    fn absent(&mut self, fields: usize);
}

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
