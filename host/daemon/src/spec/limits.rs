//! The `limits` of a pipeline file: what its stages may use, where it says so.
//!
//! A limit is named as in the error of whoever breaks it. What a limit is for, and what holds where the file says
//! nothing, stands in `docs/pipelines.md`.

use super::diagnostic::Diagnostic;
use super::section::{Problems, Section, duration, shown};
use super::yaml::{Key, Node, Tree};
use wasmill_engine::limits::EMITTED_BYTES_HIGHEST;

/// Limits that a file sets; none = what holds for every pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of keyed state, of all stages and lanes together.
    pub(crate) state_bytes_max: Option<u64>,
    /// Bytes that the rows which a stage answers to one message may stand for.
    pub(crate) emitted_bytes_max: Option<u64>,
    /// Bytes of memory of an operator, in each lane.
    pub(crate) memory_bytes_max: Option<u64>,
    /// Milliseconds that a call may take.
    pub(crate) call_ms_max: Option<u64>,
    /// Rows that an operator may answer to 1,024.
    pub(crate) output_rows_max: Option<u64>,
    /// Bytes that it may answer to each byte, and on top of that.
    pub(crate) output_bytes_factor: Option<u64>,
    pub(crate) output_bytes_extra: Option<u64>,
    /// Milliseconds that a row may ask to wait before it is tried again.
    pub(crate) retry_ms_max: Option<u64>,
    /// Bytes that a stage may log in a second.
    pub(crate) log_bytes_per_s_max: Option<u64>,
}

impl Limits {
    /// How they differ from those before, a sentence each.
    pub(crate) fn changes(mut self, mut before: Self) -> Vec<String> {
        let shown = |unit: Unit, value: Option<u64>| value.map_or("its default".to_owned(), |value| unit.show(value));
        let change = |(name, unit, _, _, place): Limit| {
            let (from, to) = (*place(&mut before), *place(&mut self));
            (from != to).then(|| format!("change limit {name} from {} to {}", shown(unit, from), shown(unit, to)))
        };
        LIMITS.into_iter().filter_map(change).collect()
    }
}

/// What a limit counts.
#[derive(Clone, Copy)]
enum Unit {
    Bytes,
    Millis,
    Count,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A limit that can be set: its name, what it counts, and the least and the most that it can be.
type Limit = (&'static str, Unit, u64, u64, fn(&mut Limits) -> &mut Option<u64>);

const LIMITS: [Limit; 9] = [
    ("state_bytes_max", Unit::Bytes, MIB, 1 << 40, |limits| &mut limits.state_bytes_max),
    ("emitted_bytes_max", Unit::Bytes, MIB, EMITTED_BYTES_HIGHEST, |limits| &mut limits.emitted_bytes_max),
    ("memory_bytes_max", Unit::Bytes, MIB, 4 * GIB, |limits| &mut limits.memory_bytes_max),
    ("call_ms_max", Unit::Millis, 5, 600_000, |limits| &mut limits.call_ms_max),
    ("output_rows_max", Unit::Count, 1, 1_000_000, |limits| &mut limits.output_rows_max),
    ("output_bytes_factor", Unit::Count, 0, 1_000, |limits| &mut limits.output_bytes_factor),
    ("output_bytes_extra", Unit::Bytes, KIB, EMITTED_BYTES_HIGHEST, |limits| &mut limits.output_bytes_extra),
    ("retry_ms_max", Unit::Millis, 1, 3_600_000, |limits| &mut limits.retry_ms_max),
    ("log_bytes_per_s_max", Unit::Bytes, 0, GIB, |limits| &mut limits.log_bytes_per_s_max),
];

/// The limits that stand under that key.
pub(crate) fn limits(key: &Key, node: &Node, problems: &mut Problems) -> Option<Limits> {
    let section = Section::new("`limits`", key.span, node, &LIMITS.map(|limit| limit.0), problems)?;
    let mut limits = Limits::default();
    for (name, unit, least, most, place) in LIMITS {
        let Some(node) = section.get(name) else { continue };
        let range = format!("from {} to {}", unit.show(least), unit.show(most));
        let problem = match unit.read(&node.value) {
            Some(value) if (least..=most).contains(&value) => {
                *place(&mut limits) = Some(value);
                continue;
            }
            Some(_) => format!("`{name}` of `limits` is {}, which is not {range}", shown(&node.value)),
            None => format!("`{name}` of `limits` is {}, {range}, not {}", unit.what(), shown(&node.value)),
        };
        problems.push(Diagnostic::error(node.span, &problem));
    }
    Some(limits)
}

impl Unit {
    fn what(self) -> &'static str {
        match self {
            Self::Bytes => "a number of bytes, like `512KiB`, `64MiB` or `2GiB`",
            Self::Millis => "a duration with its unit, like `250ms` or `5s`",
            Self::Count => "a whole number",
        }
    }

    fn read(self, tree: &Tree) -> Option<u64> {
        match (self, tree) {
            (Self::Bytes | Self::Count, Tree::Number(value)) => value.as_u64(),
            (Self::Bytes, Tree::Text(text)) => bytes(text),
            // Within `{ .. }` a variable can only stand in quotes.
            (Self::Count, Tree::Text(text)) => text.parse().ok(),
            (Self::Millis, Tree::Text(text)) => {
                let micros = duration(text).and_then(|micros| u64::try_from(micros).ok())?;
                micros.is_multiple_of(1_000).then_some(micros / 1_000)
            }
            _ => None,
        }
    }

    /// As a file would have it.
    fn show(self, value: u64) -> String {
        match self {
            Self::Bytes => match BYTES.iter().rev().find(|(_, unit)| value >= *unit && value.is_multiple_of(*unit)) {
                Some((name, unit)) => format!("{}{name}", value / unit),
                None => value.to_string(),
            },
            Self::Millis if value >= 1_000 && value.is_multiple_of(1_000) => format!("{}s", value / 1_000),
            Self::Millis => format!("{value}ms"),
            Self::Count => value.to_string(),
        }
    }
}

const BYTES: [(&str, u64); 5] = [("B", 1), ("KiB", KIB), ("MiB", MIB), ("GiB", GIB), ("TiB", 1 << 40)];

/// Bytes of `64MiB`; a whole number, with a unit or without.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = if unit.is_empty() { "B" } else { unit };
    let (_, unit) = BYTES.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_whole_numbers_with_or_without_a_unit() {
        assert_eq!(bytes("64MiB"), Some(64 << 20));
        assert_eq!((bytes("7"), bytes("7B"), bytes("3KiB")), (Some(7), Some(7), Some(3 << 10)));
        for bad in ["", "MiB", "1.5MiB", "-1B", "1MB", "1 MiB", "1mib", "99999999999TiB"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_limit_is_shown_as_it_is_read() {
        for (name, unit, least, most, _) in LIMITS {
            for value in [least, most] {
                let shown = unit.show(value);
                let tree = shown.parse::<u64>().map_or(Tree::Text(shown.clone()), |number| Tree::Number(number.into()));
                assert_eq!(unit.read(&tree), Some(value), "{name}: {shown}");
            }
        }
    }
}
