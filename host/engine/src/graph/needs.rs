//! What of each source is needed: which columns a decoder fills, and which values it finds so that a sink can replace
//! them in a copy of the record.
//!
//! Layouts say of every field, however far downstream, whether it lies in the records; so needs are gathered where
//! fields are used, without walking back.

use std::sync::Arc;

use super::{Column, GraphError, Sink, Source, Stage};
use crate::batch::{Layout, Place};
use crate::codec::{Format, Needs, ndjson};
use crate::schema::{Field, Kind, Schema};

/// Rows of one source under one layout, arriving at a stage or a sink.
pub(super) type Arrival = (usize, Arc<Layout>);

/// What the sources fill so far: one entry a source. A source without a decoder has entries that nobody looks at.
pub(super) struct Demand(Vec<Needs>);

impl Demand {
    /// Nothing but the event times.
    pub(super) fn new(sources: &[Source]) -> Self {
        let needs = sources.iter().map(|source| {
            let fields = source.layout.source.fields().len();
            let mut fill = vec![false; fields];
            if let Some((event_time, _)) = source.event_time {
                fill[event_time] = true;
            }
            Needs { fill, locate: vec![false; fields] }
        });
        Self(needs.collect())
    }

    /// What the operator of a stage reads, and its key.
    pub(super) fn stage(&mut self, stage: &Stage, arrivals: &[Arrival]) {
        let read = stage.fills.iter().filter_map(|fill| match fill.column {
            Column::Field(position) => Some(position),
            Column::Meta(_) | Column::Absent => None,
        });
        let used: Vec<usize> = read.chain(stage.key.iter().copied()).collect();
        for (source, layout) in arrivals {
            used.iter().for_each(|field| self.fill(*source, layout.places[*field]));
        }
    }

    /// What a sink writes: the values that it replaces where it copies records, else all fields.
    pub(super) fn sink(&mut self, sink: &Sink, sources: &[Source], arrivals: &[Arrival]) -> Result<(), GraphError> {
        for (source, layout) in arrivals {
            let same = sink
                .format
                .as_ref()
                .filter(|format| sources[*source].decode.as_ref().is_some_and(|decode| decode.format == **format));
            match same.and_then(|format| can_splice(layout, format)) {
                Some(located) => located.iter().for_each(|field| self.0[*source].locate[*field] = true),
                None => {
                    check_encodable(sink)?;
                    layout.places.iter().for_each(|place| self.fill(*source, *place));
                }
            }
        }
        Ok(())
    }

    /// The needs of each source.
    pub(super) fn into_needs(self) -> Vec<Needs> {
        self.0
    }

    fn fill(&mut self, source: usize, place: Place) {
        if let Place::Record(field) = place {
            self.0[source].fill[field] = true;
        }
    }
}

/// Whether an encoder can copy the records of such rows, from a source of the same format: the fields of the source
/// whose values it must find. None = it writes every field anew. NDJSON's encoder says itself what it can do, so that
/// what is planned and what is done never differ.
fn can_splice(layout: &Layout, format: &Format) -> Option<Vec<usize>> {
    match format {
        Format::Ndjson => ndjson::can_splice(layout, format),
        // A line of CSV means something only under its own file's header.
        Format::Csv { .. } => None,
        Format::Raw => {
            let untouched = layout.places.iter().all(|place| matches!(place, Place::Record(_)));
            (layout.whole && untouched).then(Vec::new)
        }
    }
}

/// Whether a format can hold such rows when every field is written.
fn check_encodable(sink: &Sink) -> Result<(), GraphError> {
    let fields = sink.schema.fields();
    let fail = |message| Err(GraphError { path: format!("sinks.{}.format", sink.name), message });
    match &sink.format {
        Some(Format::Raw) => match fields {
            [only] if matches!(only.kind, Kind::Utf8 | Kind::Bytes) => Ok(()),
            _ => fail(format!(
                "sink `{}` writes raw lines, which takes rows of one utf8 or bytes field, but its rows are {}; \
                 choose another `format`",
                sink.name,
                shown(&sink.schema)
            )),
        },
        Some(Format::Ndjson) => match nested_twice(&sink.schema, |_| true) {
            Some((outer, inner)) => fail(format!(
                "sink `{}` cannot write both `{outer}` and `{inner}`: one stands within the other in JSON; rename one",
                sink.name
            )),
            None => Ok(()),
        },
        Some(Format::Csv { .. }) if fields.is_empty() => fail(format!(
            "sink `{}` writes CSV, but its rows have no columns; declare them at the source, \
             `columns: {{ name: utf8 }}`, or choose another `format`",
            sink.name
        )),
        Some(Format::Csv { .. }) | None => Ok(()),
    }
}

/// Two fields of which the second's path begins with the first's; only such first ones as `matters`.
pub(super) fn nested_twice(schema: &Schema, matters: impl Fn(&Field) -> bool) -> Option<(&str, &str)> {
    let fields = schema.fields();
    fields.iter().filter(|outer| matters(outer)).find_map(|outer| {
        let inside = format!("{}.", outer.name);
        let inner = fields.iter().find(|field| field.name.starts_with(&inside))?;
        Some((&*outer.name, &*inner.name))
    })
}

/// `(price: int64, site.name: utf8?)`, as errors show a schema.
pub(super) fn shown(schema: &Schema) -> String {
    let fields: Vec<String> = schema.fields().iter().map(ToString::to_string).collect();
    format!("({})", fields.join(", "))
}
