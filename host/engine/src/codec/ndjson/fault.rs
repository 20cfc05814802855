//! Why a record is bad, first as two words on the way of the record, then as a sentence for its dead letter.

use super::tree::Tree;
use crate::codec::timestamp::OUT_OF_RANGE;

/// What is wrong and where in the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Position of the first byte that cannot be right.
    pub(super) at: usize,
    /// What is wrong there.
    pub(super) what: What,
}

/// What is wrong. Numbers are positions in the schema, or, for [`What::Twice`] and [`What::Object`], in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Something else was expected by JSON's grammar.
    Syntax(&'static str),
    /// The record is not an object.
    Record,
    /// A control character, or the end of the record, within a string.
    Control,
    /// An escape that JSON does not know.
    Escape,
    /// Half of a surrogate pair.
    Surrogate,
    /// Containers nested too deeply.
    Depth,
    /// A number that does not fit in a 64-bit float.
    Range,
    /// A value of another kind than the field's.
    Kind(u32),
    /// A number of the right kind that does not fit in 64 bits.
    Large(u32),
    /// Milliseconds that fit in 64 bits, of a year that no timestamp has.
    Year(u32),
    /// A null, or a null parent, where the field is required.
    Null(u32),
    /// No such field, where it is required.
    Missing(u32),
    /// A declared key stands twice.
    Twice(u32),
    /// A declared parent is no object.
    Object(u32),
}

/// Containers that may be open at once, the record itself included: what serde_json allows.
pub(super) const DEPTH_MAX: u8 = 127;

impl Fault {
    /// The sentence. `record` is the bytes of the record, which begins at `start`.
    pub(super) fn reason(self, tree: &Tree, record: &[u8], start: usize) -> String {
        let at = self.at - start;
        let found = Found(record.get(at..).unwrap_or_default());
        let name = |field: u32| &tree.schema.fields()[field as usize].name;
        match self.what {
            What::Syntax(expected) => format!("expected {expected}, found {found} at byte {at} of the record"),
            What::Record => format!("expected a JSON object, found {found} at byte {at} of the record"),
            What::Control if at >= record.len() => format!("the record ends within a string, at byte {at}"),
            What::Control => {
                format!("a control character (0x{:02x}) in a string at byte {at} of the record", record[at])
            }
            What::Escape => format!("an escape that JSON does not know at byte {at} of the record"),
            What::Surrogate => format!("half of a surrogate pair in an escape at byte {at} of the record"),
            What::Depth => format!("nested more than {DEPTH_MAX} deep at byte {at} of the record"),
            What::Range => format!("{found} at byte {at} of the record does not fit in a 64-bit float"),
            What::Kind(field) => {
                let kind = tree.schema.fields()[field as usize].kind;
                format!("field `{}`: expected {kind}, found {found} at byte {at} of the record", name(field))
            }
            What::Large(field) => {
                let kind = tree.schema.fields()[field as usize].kind;
                let name = name(field);
                format!("field `{name}`: expected {kind}, found {found} past 64 bits at byte {at} of the record")
            }
            What::Year(field) => {
                let name = name(field);
                format!("field `{name}`: expected timestamp, found {found} at byte {at} of the record{OUT_OF_RANGE}")
            }
            What::Null(field) => format!("field `{}`: required, found null at byte {at} of the record", name(field)),
            What::Missing(field) => format!("field `{}`: required, but the record does not have it", name(field)),
            What::Twice(node) => format!("key `{}` stands twice, again at byte {at} of the record", tree.path(node)),
            What::Object(node) => {
                format!("field `{}`: expected an object, found {found} at byte {at} of the record", tree.path(node))
            }
        }
    }
}

/// The sentence for a record that is not UTF-8 from byte `at`.
pub(super) fn not_utf8(at: usize) -> String {
    format!("not UTF-8 at byte {at} of the record")
}

/// What stands at the beginning of some bytes, described in a few words.
struct Found<'a>(&'a [u8]);

impl std::fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |end: &dyn Fn(&u8) -> bool| {
            let len = self.0.iter().position(end).unwrap_or(self.0.len());
            let text = String::from_utf8_lossy(&self.0[..len]);
            if text.chars().count() <= TEXT_CHARS {
                text.into_owned()
            } else {
                text.chars().take(TEXT_CHARS).chain("...".chars()).collect()
            }
        };
        match self.0 {
            [] => f.write_str("the end of the record"),
            [b'{', ..] => f.write_str("an object"),
            [b'[', ..] => f.write_str("an array"),
            [b'"', rest @ ..] => {
                let mut escaped = false;
                let quote = rest.iter().position(|byte| {
                    let end = *byte == b'"' && !escaped;
                    escaped = *byte == b'\\' && !escaped;
                    end
                });
                let text = &rest[..quote.unwrap_or(rest.len())];
                let text = String::from_utf8_lossy(text);
                let (short, dots) =
                    text.char_indices().nth(TEXT_CHARS).map_or((&*text, ""), |(end, _)| (&text[..end], "..."));
                write!(f, "string \"{short}{dots}\"")
            }
            [b'-' | b'0'..=b'9', ..] => {
                write!(f, "number {}", word(&|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')))
            }
            [first, ..] if first.is_ascii_alphabetic() => f.write_str(&word(&|byte| !byte.is_ascii_alphanumeric())),
            [first, ..] if *first < b' ' || *first == 0x7f => write!(f, "a control character (0x{first:02x})"),
            bytes => {
                let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4)]);
                write!(f, "`{}`", head.chars().next().unwrap_or_default())
            }
        }
    }
}

/// Characters of the record that a sentence shows.
const TEXT_CHARS: usize = 40;
