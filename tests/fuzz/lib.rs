//! What the fuzz targets have in common: bytes through a decoder of the engine.
#![forbid(unsafe_code)]

use std::sync::Arc;

use wasmill_engine::batch::PADDING;
use wasmill_engine::codec::{Chunk, DecodePlan, Decoded, Needs, decoder};
use wasmill_engine::schema::{Field, Format, Schema};

/// Decodes `bytes` as one chunk of a partition, all columns filled.
#[must_use]
pub fn decode(format: Format, fields: &[Field], bytes: &[u8]) -> Decoded {
    let needs = Needs { fill: vec![true; fields.len()], locate: vec![false; fields.len()] };
    let plan = DecodePlan { format, schema: Schema::new(fields.to_vec()), needs, event_time: None };
    let data = [bytes, &[0; PADDING]].concat().into();
    let (source, partition): (Arc<str>, Arc<str>) = ("fuzz".into(), "0".into());
    let chunk = Chunk { source, partition, data, len: bytes.len(), offset: 0, line: 1, header: None, broken: None };
    decoder(plan).decode(&chunk)
}
