//! How an event tells its values: one description, taken down as columns or as JSON.

use wasmill_engine::clock::Micros;

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
