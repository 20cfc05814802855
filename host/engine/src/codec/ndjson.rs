//! NDJSON: one JSON object a line.
//!
//! **Read.** A record is good if serde_json reads its line as a value, that value is an object, and every declared
//! field is there and of its kind, whether somebody reads it or not; other keys may stand in it. Numbers are taken
//! exactly, and refused where 64 bits do not hold them. A line of white space is no record; a byte order mark that a
//! partition begins with is no part of its first ([`Framing::header`]). A declared key that stands twice makes a record
//! bad. The path `site.name` means key `name` in the object under key `site`; a key that has a dot itself cannot be
//! named.
//!
//! | kind | what is read | what is written where the value is new |
//! |---|---|---|
//! | `boolean` | `true`, `false` | the same |
//! | `int64` | an integer: `12`, not `12.0`, nor `-0` | the same |
//! | `float64` | any number, rounded to the nearest | the shortest text that reads as the same; not finite: `null` |
//! | `utf8` | a string | the same |
//! | `bytes` | a string, as its UTF-8 bytes | a string; where the bytes are not UTF-8, their base64 |
//! | `timestamp` | an integer: milliseconds since 1970 UTC; a string: RFC 3339 | `2026-11-21T14:50:16.123456Z` |
//! | `json` | any value, as its text | that text |
//!
//! A nullable field may be null or missing, and so may the objects that it is within. It is written as null.
//!
//! **Written.** Rows that are still their records, with values replaced or added, are written as the record's own bytes
//! with these values spliced in ([`can_splice`]); all others anew, in the schema's order, paths nested again.
//!
//! A record meets the modules in this order: `decode` goes through the lines, `reader` through a line, with what
//! `learned` says about its layout and `tree` about its keys; `slot` takes the values that `number`, `string`, `time`
//! and `skip` find by `scan`; `fault` words what is wrong. On the way out `splice` decides what is copied, `encode`
//! copies, `write` writes.

mod scan;
mod number;
mod time;
mod tree;
mod fault;
mod string;
mod skip;
mod slot;
mod learned;
mod reader;
mod decode;
mod splice;
mod write;
mod encode;

pub(crate) use decode::NdjsonDecoder;
pub(crate) use encode::NdjsonEncoder;
pub use splice::can_splice;

use crate::codec::Framing;

/// Records that end where their line does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines;

impl Framing for Lines {
    fn boundary(&mut self, bytes: &[u8]) -> Option<usize> {
        memchr::memrchr(b'\n', bytes).map(|end| end + 1)
    }
}
