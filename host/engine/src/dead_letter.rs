//! Dead letters: records that could not be processed, with all that is needed to understand and resend them.
//!
//! They are rows of a fixed schema, so that any sink can take them.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{Int64Builder, StringBuilder, TimestampMicrosecondBuilder};

use crate::batch::{Batch, Layout, Records};
use crate::clock::Micros;
use crate::schema::{Field, Kind, Schema};

/// A record that could not be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// When it was given up.
    pub at: Micros,
    /// Source that it came from.
    pub source: Arc<str>,
    /// Partition of that source.
    pub partition: Arc<str>,
    /// Number of the record in the partition: byte offset or message number.
    pub offset: u64,
    /// Line, counted from 1, where lines mean something.
    pub line: Option<u64>,
    /// Stage that gave it up; the source's name where it could not even be decoded.
    pub stage: Arc<str>,
    /// Digest of the component, where one is to blame.
    pub component: Option<Arc<str>>,
    /// What is wrong, a sentence.
    pub reason: String,
    /// Frames of the guest, where it trapped.
    pub backtrace: Option<String>,
    /// The record as its source had it.
    pub record: Vec<u8>,
}

/// The fields of a dead letter's row. `record` is null where the bytes are not UTF-8; `record_base64` is null
/// otherwise.
#[must_use]
pub fn schema() -> Schema {
    Schema::new(vec![
        Field::required("at", Kind::Timestamp),
        Field::required("source", Kind::Utf8),
        Field::required("partition", Kind::Utf8),
        Field::required("offset", Kind::Int64),
        Field::nullable("line", Kind::Int64),
        Field::required("stage", Kind::Utf8),
        Field::nullable("component", Kind::Utf8),
        Field::required("reason", Kind::Utf8),
        Field::nullable("backtrace", Kind::Utf8),
        Field::nullable("record", Kind::Utf8),
        Field::nullable("record_base64", Kind::Utf8),
    ])
}

/// Dead letters as rows under `layout`, which is that of [`schema`].
#[must_use]
pub fn batch(letters: &[DeadLetter], layout: &Arc<Layout>) -> Batch {
    let text = |of: &dyn Fn(&DeadLetter) -> Option<String>| -> Option<ArrayRef> {
        let mut column = StringBuilder::new();
        letters.iter().for_each(|letter| column.append_option(of(letter)));
        Some(Arc::new(column.finish()))
    };
    let mut at = TimestampMicrosecondBuilder::new();
    let (mut offset, mut line) = (Int64Builder::new(), Int64Builder::new());
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    for letter in letters {
        at.append_value(letter.at);
        offset.append_value(number(letter.offset));
        line.append_option(letter.line.map(number));
    }
    let columns = vec![
        Some(Arc::new(at.finish()) as ArrayRef),
        text(&|l| Some(l.source.to_string())),
        text(&|l| Some(l.partition.to_string())),
        Some(Arc::new(offset.finish())),
        Some(Arc::new(line.finish())),
        text(&|l| Some(l.stage.to_string())),
        text(&|l| l.component.as_ref().map(ToString::to_string)),
        text(&|l| Some(l.reason.clone())),
        text(&|l| l.backtrace.clone()),
        text(&|l| std::str::from_utf8(&l.record).ok().map(str::to_owned)),
        text(&|l| std::str::from_utf8(&l.record).is_err().then(|| base64(&l.record))),
    ];
    let records = Records {
        source: "dead_letters".into(),
        partition: "".into(),
        rows: letters.len(),
        columns,
        event_time: None,
        message: None,
        raw: None,
        first: 0,
    };
    Batch::new(Arc::new(records), layout.clone())
}

/// RFC 4648 base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for i in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * i) & 63) as usize] as char;
            text.push(if i <= group.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_agrees_with_the_rfcs_examples() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(super::base64(bytes.as_bytes()), text);
        }
    }
}
