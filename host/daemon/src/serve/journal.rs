//! What happened lately: events, what guests logged, dead letters. Each keeps its last few and numbers them all, so
//! that who reads on from a number knows whether something was missed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;
use wasmill_engine::clock::Micros;
use wasmill_engine::sink::{Block, Progress, Promise, SinkError, SinkWriter, Wants};

/// Bytes of each text in a dead letter that is kept: of a letter, its record, its reason and its backtrace can be long.
const LETTER_TEXT_BYTES_MAX: usize = 4 << 10;

/// The last few of something, each with a number counted from 1.
pub(crate) struct Recent<T> {
    items: Mutex<(u64, VecDeque<(u64, T)>)>,
    most: usize,
}

/// An item with its number.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Numbered<T> {
    /// The number.
    pub(crate) number: u64,
    /// The item.
    #[serde(flatten)]
    pub(crate) item: T,
}

impl<T: Clone> Recent<T> {
    /// Keeps so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { items: Mutex::default(), most }
    }

    fn lock(&self) -> MutexGuard<'_, (u64, VecDeque<(u64, T)>)> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one.
    pub(crate) fn add(&self, item: T) {
        let mut items = self.lock();
        items.0 += 1;
        let number = items.0;
        items.1.push_back((number, item));
        if items.1.len() > self.most {
            items.1.pop_front();
        }
    }

    /// Those after that number that are kept and wanted, the last `most` of them.
    pub(crate) fn after(&self, number: u64, most: usize, wanted: impl Fn(&T) -> bool) -> Vec<Numbered<T>> {
        let items = self.lock();
        let newest =
            items.1.iter().rev().take_while(|(of, _)| *of > number).filter(|(_, item)| wanted(item)).take(most);
        let mut found: Vec<_> = newest.map(|(number, item)| Numbered { number: *number, item: item.clone() }).collect();
        found.reverse();
        found
    }
}

/// Something that happened to a pipeline.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Event {
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// The pipeline.
    pub(crate) pipeline: String,
    /// A word for scripts: `applied`, `swapped`.
    pub(crate) kind: &'static str,
    /// A sentence for people.
    pub(crate) message: String,
    /// The numbers in it.
    pub(crate) facts: Value,
}

/// A line that a guest logged.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = LogLine))]
pub(crate) struct Line {
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// The pipeline.
    pub(crate) pipeline: String,
    /// The stage.
    pub(crate) stage: String,
    /// How important the guest finds it.
    pub(crate) level: &'static str,
    /// The text.
    pub(crate) message: String,
}

/// The time now, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A sink of dead letters that remembers the last of them.
pub(crate) struct Remembering {
    /// The sink.
    pub(crate) inner: Box<dyn SinkWriter>,
    /// The last ones, as they were written.
    pub(crate) last: Arc<Recent<Letter>>,
}

/// A dead letter as its sink's format has it: NDJSON as an object, others as text.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Letter {
    letter: Value,
}

/// A dead letter whose long texts are cut, with a note: what is kept in memory is for people who look, and the sink has
/// all of it.
fn cut(letter: Value) -> Value {
    match letter {
        Value::String(text) if text.len() > LETTER_TEXT_BYTES_MAX => {
            let start = &text[..text.floor_char_boundary(LETTER_TEXT_BYTES_MAX)];
            format!("{start}... (cut here; the sink has all {} bytes)", text.len()).into()
        }
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, cut(value))).collect(),
        other => other,
    }
}

impl SinkWriter for Remembering {
    fn wants(&self) -> Wants {
        self.inner.wants()
    }

    fn promise(&self) -> Promise {
        self.inner.promise()
    }

    fn recover(&mut self, committed: Option<u64>) -> Result<Option<u64>, SinkError> {
        self.inner.recover(committed)
    }

    fn write(&mut self, now: Micros, block: &Block<'_>) -> Result<Progress, SinkError> {
        let progress = self.inner.write(now, block)?;
        if progress == Progress::Done {
            let starts = std::iter::once(0).chain(block.ends.iter().copied());
            for (start, end) in starts.zip(block.ends).skip(block.ends.len().saturating_sub(self.last.most)) {
                let text = String::from_utf8_lossy(&block.bytes[start as usize..*end as usize]);
                let letter = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.trim_end()));
                self.last.add(Letter { letter: cut(letter) });
            }
        }
        Ok(progress)
    }

    fn prepare(&mut self, epoch: u64) -> Result<Progress, SinkError> {
        self.inner.prepare(epoch)
    }

    fn commit(&mut self, epoch: u64) -> Result<Progress, SinkError> {
        self.inner.commit(epoch)
    }

    fn place(&self) -> String {
        self.inner.place()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_few_are_kept_and_all_are_numbered() {
        let recent = Recent::new(3);
        (10..16).for_each(|item| recent.add(item));
        let shown = |found: Vec<Numbered<i32>>| found.into_iter().map(|of| (of.number, of.item)).collect::<Vec<_>>();
        assert_eq!(shown(recent.after(0, 9, |_| true)), [(4, 13), (5, 14), (6, 15)]);
        assert_eq!(shown(recent.after(4, 9, |_| true)), [(5, 14), (6, 15)]);
        assert_eq!(shown(recent.after(0, 1, |item| *item < 15)), [(5, 14)]);
    }

    #[test]
    fn what_is_kept_of_a_dead_letter_is_short_and_says_that_it_was_cut() {
        let letter = serde_json::json!({"line": 7, "reason": "too long", "record": "ä".repeat(1 << 19)});
        let kept = cut(letter);
        assert_eq!((&kept["line"], &kept["reason"]), (&7.into(), &"too long".into()));
        let record = kept["record"].as_str().unwrap();
        assert!(
            record.ends_with("ä... (cut here; the sink has all 1048576 bytes)") && record.len() < 4_200,
            "{record}"
        );
        assert_eq!(cut("x".repeat(5_000).into()).as_str().map(|text| text.contains("all 5000 bytes")), Some(true));
    }
}
