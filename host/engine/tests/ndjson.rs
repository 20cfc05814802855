//! The NDJSON codec against serde_json, on generated and mutated lines; and what every kind of bad line gets.

#[path = "ndjson/oracle.rs"]
mod oracle;
#[path = "ndjson/lines.rs"]
mod lines;
#[path = "ndjson/agreement.rs"]
mod agreement;
#[path = "ndjson/bad_lines.rs"]
mod bad_lines;
#[path = "ndjson/writing.rs"]
mod writing;

use wasmill_engine::batch::PADDING;
use wasmill_engine::codec::{Chunk, DecodePlan, Needs, decoder};
use wasmill_engine::codec::{Decoded, Decoder, Format};
use wasmill_engine::schema::{Field, Kind, Schema};

/// A field of every kind, required and nullable ones, and three within others.
fn schema() -> Schema {
    Schema::new(vec![
        Field::required("price", Kind::Int64),
        Field::required("url", Kind::Utf8),
        Field::nullable("rate", Kind::Float64),
        Field::nullable("live", Kind::Boolean),
        Field::nullable("at", Kind::Timestamp),
        Field::required("site.name", Kind::Utf8),
        Field::nullable("site.geo.lat", Kind::Float64),
        Field::nullable("site.size", Kind::Int64),
        Field::nullable("tags", Kind::Json),
        Field::nullable("blob", Kind::Bytes),
    ])
}

/// Fields by words like `price: int64`, `site.name: utf8?`.
fn fields(words: &[&str]) -> Schema {
    let field = |word: &&str| {
        let (name, kind) = word.split_once(": ").expect("a name and a kind");
        let (kind, nullable) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
        Field { name: name.into(), kind: Kind::parse(kind).expect("a kind"), nullable }
    };
    Schema::new(words.iter().map(field).collect())
}

/// A plan that fills and locates all.
fn plan(schema: &Schema) -> DecodePlan {
    let all = vec![true; schema.fields().len()];
    let needs = Needs { fill: all.clone(), locate: all };
    DecodePlan { format: Format::Ndjson, schema: schema.clone(), needs, event_time: None }
}

/// Bytes as a chunk that begins at byte 1,000 and line 11 of its partition.
fn chunk(bytes: &[u8]) -> Chunk {
    let mut data = bytes.to_vec();
    data.resize(bytes.len() + PADDING, 0);
    let (source, partition) = ("readings".into(), "a.ndjson".into());
    Chunk {
        source,
        partition,
        data: data.into(),
        len: bytes.len(),
        offset: 1_000,
        line: 11,
        header: None,
        broken: None,
    }
}

/// Decodes with a fresh decoder that fills and locates all.
fn decode(schema: &Schema, bytes: &[u8]) -> Decoded {
    decode_with(&mut *decoder(plan(schema)), bytes)
}

fn decode_with(decoder: &mut dyn Decoder, bytes: &[u8]) -> Decoded {
    decoder.decode(&chunk(bytes))
}
