//! How an operator's reads are filled from the fields that its rows have: missing fields, kinds and nulls are checked
//! here, once, so that nothing checks them again for a row.

use std::sync::Arc;

use serde_json::Value;

use super::suggest::hint;
use super::{Column, Fill, GraphError, StageDraft};
use crate::batch::Meta;
use crate::operator::{OperatorKind, Read};
use crate::schema::{Kind, Schema};

/// What comes into a stage: its fields and, for each, who made it (``source `bids` ``).
pub(super) struct Input<'a> {
    /// The fields.
    pub(super) schema: &'a Schema,
    /// One entry a field.
    pub(super) makers: &'a [Arc<str>],
}

/// What a read finds under its name.
struct Found<'a> {
    column: Column,
    kind: Kind,
    nullable: bool,
    maker: &'a str,
}

/// Names of all metadata columns, for suggestions.
const METADATA: [&str; 6] = ["@event-time", "@key", "@source", "@partition", "@offset", "@headers"];

/// How each of the reads is filled. What cannot be filled is reported and filled with nothing.
pub(super) fn fills(
    stage: &str,
    reads: &[Read],
    input: &Input<'_>,
    errors: &mut Vec<GraphError>,
    warnings: &mut Vec<GraphError>,
) -> Vec<Fill> {
    let path = format!("stages.{stage}.plugin");
    let fill = |read: &Read| {
        fill(stage, read, input, &mut |message| warnings.push(GraphError { path: path.clone(), message }))
            .unwrap_or_else(|message| {
                errors.push(GraphError { path: path.clone(), message });
                Fill { column: Column::Absent, widen: false, fallback: read.fallback.clone() }
            })
    };
    reads.iter().map(fill).collect()
}

fn fill(stage: &str, read: &Read, input: &Input<'_>, warn: &mut dyn FnMut(String)) -> Result<Fill, String> {
    let Read { name, kind, .. } = read;
    let takes_null = read.nullable || read.fallback.is_some();
    if let Some(value) = read.fallback.as_ref().filter(|value| !fits(value, *kind)) {
        return Err(format!(
            "the operator of stage `{stage}` has the fallback {value} for `{name}`, which is no {kind}"
        ));
    }
    let Some(found) = find(stage, name, input)? else {
        let hint = hint(name, input.schema.fields().iter().map(|field| &*field.name));
        if !takes_null {
            return Err(format!("stage `{stage}` reads `{name}`, which its input does not have{hint}"));
        }
        if hint.contains("did you mean") {
            let stand_in = read.fallback.as_ref().map_or("null".to_owned(), ToString::to_string);
            warn(format!("stage `{stage}` reads `{name}`, which its input does not have, so it gets {stand_in}{hint}"));
        }
        return Ok(Fill { column: Column::Absent, widen: false, fallback: read.fallback.clone() });
    };
    let widen = found.kind == Kind::Int64 && *kind == Kind::Float64;
    if found.kind != *kind && !widen {
        let (has, maker) = (found.kind, found.maker);
        let other = match found.column {
            Column::Meta(_) => String::new(),
            _ => format!(", or make it {kind} in {maker}"),
        };
        return Err(format!(
            "stage `{stage}` reads `{name}` as {kind}, but it is {has} here, made by {maker}; read it as {has} in the \
             operator{other}"
        ));
    }
    if found.nullable && !takes_null {
        let maker = found.maker;
        return Err(format!(
            "stage `{stage}` reads `{name}` and takes no null, but it may be null here, made by {maker}; \
             drop the `?` from its kind or fill it in an earlier stage"
        ));
    }
    Ok(Fill { column: found.column, widen, fallback: read.fallback.clone() })
}

fn find<'a>(stage: &str, name: &str, input: &Input<'a>) -> Result<Option<Found<'a>>, String> {
    if name.starts_with('@') {
        let Some((meta, kind, nullable)) = Meta::parse(name) else {
            let hint = hint(name, METADATA);
            return Err(format!("stage `{stage}` reads `{name}`, and there is no such metadata{hint}"));
        };
        return Ok(Some(Found { column: Column::Meta(meta), kind, nullable, maker: "the source" }));
    }
    Ok(input.schema.position(name).map(|position| {
        let field = &input.schema.fields()[position];
        let maker = &*input.makers[position];
        Found { column: Column::Field(position), kind: field.kind, nullable: field.nullable, maker }
    }))
}

/// Whether a JSON value is one of that kind: bytes as text, timestamps as microseconds.
fn fits(value: &Value, kind: Kind) -> bool {
    match kind {
        Kind::Boolean => value.is_boolean(),
        Kind::Int64 | Kind::Timestamp => value.is_i64(),
        Kind::Float64 => value.is_number(),
        Kind::Utf8 | Kind::Bytes => value.is_string(),
        Kind::Json => true,
    }
}

/// Positions of the key's fields. A keyed operator needs a key, a transform has none.
pub(super) fn key(draft: &StageDraft, input: &Schema, errors: &mut Vec<GraphError>) -> Vec<usize> {
    let stage = &draft.name;
    let mut fail = |path: String, message: String| errors.push(GraphError { path, message });
    match (draft.factory.kind(), draft.key.is_empty()) {
        (OperatorKind::Keyed, true) => {
            let message = format!("stage `{stage}` has a keyed operator; name the field or fields of its `key`");
            fail(format!("stages.{stage}"), message);
        }
        (OperatorKind::Transform, false) => {
            let message =
                format!("stage `{stage}` has a `key`, but its operator is a transform, which has no state; remove it");
            fail(format!("stages.{stage}.key"), message);
            return Vec::new();
        }
        _ => {}
    }
    let mut positions = Vec::with_capacity(draft.key.len());
    for (i, name) in draft.key.iter().enumerate() {
        let path = super::names::entry_path(&format!("stages.{stage}.key"), i, draft.key.len());
        match input.position(name) {
            Some(position) if positions.contains(&position) => {
                fail(path, format!("stage `{stage}` has `{name}` twice in its `key`"));
            }
            Some(position) => positions.push(position),
            None if name.starts_with('@') => {
                fail(
                    path,
                    format!("stage `{stage}` has `{name}` in its `key`, which is metadata; a key is made of fields"),
                );
            }
            None => {
                let hint = hint(name, input.fields().iter().map(|field| &*field.name));
                fail(path, format!("stage `{stage}` has `{name}` in its `key`, which its input does not have{hint}"));
            }
        }
    }
    positions
}
