//! Which rows can be written as their records' own bytes with a few values replaced or added.

use crate::batch::{Layout, Place};
use crate::schema::{Format, Kind, Schema};

/// What is put into the bytes of a record.
#[derive(Debug, Default)]
pub(super) struct Splice {
    /// Values that take the place of another.
    pub(super) replaced: Vec<Replaced>,
    /// Values that are added at the end, under keys that the schema of the source does not have.
    pub(super) added: Vec<Added>,
}

/// A value that takes the place of a source field's.
#[derive(Debug)]
pub(super) struct Replaced {
    /// Position of the field in the source's schema.
    pub(super) field: usize,
    /// Position of the values among the made columns.
    pub(super) made: usize,
    /// Their kind.
    pub(super) kind: Kind,
    /// The key, for records that lack the field.
    pub(super) name: String,
}

/// A value with a key of its own.
#[derive(Debug)]
pub(super) struct Added {
    /// Position of the values among the made columns.
    pub(super) made: usize,
    /// Their kind.
    pub(super) kind: Kind,
    /// The key.
    pub(super) name: String,
}

/// Whether rows of that layout, from records of `format`, can be written in `format` as their records' bytes with
/// values spliced in: then the source fields whose values must be located ([`crate::codec::Needs::locate`]). None =
/// they are written anew, and every field must be filled.
///
/// That is so where no stage has chosen among the fields, and what was made replaces a source field or is new at the
/// top level of the record.
#[must_use]
pub fn can_splice(layout: &Layout, format: &Format) -> Option<Vec<usize>> {
    if *format != Format::Ndjson {
        return None;
    }
    plan(layout).map(|splice| splice.replaced.iter().map(|replaced| replaced.field).collect())
}

/// How rows of that layout are spliced, if they can be.
pub(super) fn plan(layout: &Layout) -> Option<Splice> {
    let source = &layout.source;
    let stands = |name: &str| layout.schema.position(name).is_some();
    if !layout.whole || !source.fields().iter().all(|field| stands(&field.name)) {
        return None;
    }
    let mut splice = Splice::default();
    for (field, place) in layout.schema.fields().iter().zip(&layout.places) {
        let made = match *place {
            Place::Record(position) if source.fields()[position].name == field.name => continue,
            Place::Record(_) => return None,
            Place::Made(made) => made,
        };
        let (name, kind) = (field.name.to_string(), field.kind);
        match source.position(&name) {
            Some(field) if replaceable(source, field) => splice.replaced.push(Replaced { field, made, kind, name }),
            None if !name.contains('.') && !is_parent(source, &name) => splice.added.push(Added { made, kind, name }),
            _ => return None,
        }
    }
    Some(splice)
}

/// Whether a value can stand in the place of that field's: the record has it, or can get it at the end, and it holds no
/// other declared field.
fn replaceable(source: &Schema, field: usize) -> bool {
    let field = &source.fields()[field];
    (!field.nullable || !field.name.contains('.')) && !is_parent(source, &field.name)
}

fn is_parent(source: &Schema, name: &str) -> bool {
    source.fields().iter().any(|field| field.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}
