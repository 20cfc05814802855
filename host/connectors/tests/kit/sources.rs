//! What every source must do.

use std::collections::BTreeMap;

use arrow_array::Array;
use wasmill_engine::batch::Records;
use wasmill_engine::clock::Micros;
use wasmill_engine::source::{Position, Read, SourceError, SourceReader};

use super::Numbers;

/// What a partition brought: its bytes, or its rows as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Brought {
    pub(crate) bytes: Vec<u8>,
    pub(crate) rows: Vec<String>,
    /// How it ended: none = not yet; the reason is empty where nothing was wrong.
    pub(crate) end: Option<String>,
}

/// A reader being drained, with the clock that it sees.
pub(crate) struct Reading {
    pub(crate) reader: Box<dyn SourceReader>,
    pub(crate) now: Micros,
    /// By number of the partition.
    pub(crate) brought: BTreeMap<u32, Brought>,
}

/// What a call brought, for tests that go step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Some(u32),
    End(u32),
    Broken(u32, String),
    Idle(Option<Micros>),
    Finished,
}

impl Reading {
    pub(crate) fn new(reader: Box<dyn SourceReader>) -> Self {
        Self { reader, now: 1_000_000, brought: BTreeMap::new() }
    }

    /// One call, checked.
    pub(crate) fn step(&mut self, max: usize) -> Result<Step, SourceError> {
        let mut into = b"before".to_vec();
        let read = self.reader.read(self.now, max, max, &mut into)?;
        assert!(into.starts_with(b"before"), "what was in the buffer stays");
        let bytes = into.split_off(6);
        assert!(bytes.len() <= max, "at most {max} bytes were asked for, {} came", bytes.len());
        assert!(matches!(read, Read::Bytes { .. }) != bytes.is_empty(), "bytes come with `Bytes` and only with it");
        let of = |partition: u32, this: &mut Self| -> u32 {
            let brought = this.brought.entry(partition).or_default();
            assert_eq!(brought.end, None, "nothing comes from partition {partition} after its end");
            partition
        };
        Ok(match read {
            Read::Bytes { partition } => {
                of(partition, self);
                self.brought.entry(partition).or_default().bytes.extend(bytes);
                Step::Some(partition)
            }
            Read::Records(records) => {
                assert!(records.rows > 0 && records.rows <= max, "from 1 to {max} rows, not {}", records.rows);
                of(0, self);
                self.brought.entry(0).or_default().rows.extend(texts(&records));
                Step::Some(0)
            }
            Read::End { partition } => {
                of(partition, self);
                self.brought.entry(partition).or_default().end = Some(String::new());
                Step::End(partition)
            }
            Read::Broken { partition, reason } => {
                of(partition, self);
                self.brought.entry(partition).or_default().end = Some(reason.clone());
                Step::Broken(partition, reason)
            }
            Read::Idle { until } => Step::Idle(until),
            Read::Finished => Step::Finished,
        })
    }

    /// The next call that is not idle: waits as the driver would.
    pub(crate) fn next(&mut self, max: usize) -> Step {
        loop {
            match self.step(max).expect("the source goes on") {
                Step::Idle(Some(until)) => self.now = self.now.max(until),
                Step::Idle(None) => std::thread::park(),
                step => return step,
            }
        }
    }

    /// Reads until nothing more ever comes.
    pub(crate) fn drain(&mut self, mut size: impl FnMut() -> usize) {
        while self.next(size()) != Step::Finished {}
        for _ in 0..3 {
            assert_eq!(self.next(size()), Step::Finished, "what is finished stays finished");
        }
        for (partition, brought) in &self.brought {
            assert!(brought.end.is_some(), "partition {partition} ends before the source is finished");
        }
    }

    /// Where each partition is.
    pub(crate) fn positions(&self) -> Vec<Position> {
        let position = |(number, brought): (&u32, &Brought)| {
            let start = self.reader.start(*number);
            assert_eq!(start.partition, self.reader.partition(*number));
            let offset = start.offset + (brought.bytes.len() + brought.rows.len()) as u64;
            Position { offset, ..start }
        };
        self.brought.iter().map(position).collect()
    }

    /// What came, by the partition's name.
    pub(crate) fn by_name(&self) -> BTreeMap<String, Brought> {
        self.brought.iter().map(|(number, it)| (self.reader.partition(*number).to_string(), it.clone())).collect()
    }
}

fn texts(records: &Records) -> Vec<String> {
    let column = |i: usize| records.columns[i].as_ref().expect("a source that makes rows fills all columns");
    (0..records.columns.len()).for_each(|i| assert_eq!(column(i).len(), records.rows, "column {i} fits"));
    let text = |row: usize| -> String {
        (0..records.columns.len()).map(|i| format!("{:?};", column(i).slice(row, 1))).collect()
    };
    (0..records.rows).map(text).collect()
}

/// A source brings the same whatever it is asked for at once; each partition ends once; what is finished stays so.
pub(crate) fn conforms(open: impl Fn() -> Box<dyn SourceReader>) -> BTreeMap<String, Brought> {
    let mut whole = Reading::new(open());
    whole.drain(|| 1 << 16);
    for seed in 0..4 {
        let mut numbers = Numbers(seed);
        let mut other = Reading::new(open());
        other.drain(|| numbers.next([3, 40, 700, 9_000][seed as usize]));
        assert_eq!(other.by_name(), whole.by_name(), "sizes of reads change nothing, seed {seed}");
    }
    whole.by_name()
}

/// A source that is sent to any position that it had goes on exactly there.
pub(crate) fn resumes(open: impl Fn() -> Box<dyn SourceReader>) {
    let mut whole = Reading::new(open());
    whole.drain(|| 1 << 16);
    let all = whole.by_name();
    for seed in 0..12 {
        let mut numbers = Numbers(seed);
        let mut first = Reading::new(open());
        let calls = numbers.next(30);
        for _ in 0..calls {
            if first.next(numbers.next(50)) == Step::Finished {
                break;
            }
        }
        let positions = first.positions();
        let mut second = Reading::new(open());
        second.reader.seek(&positions).expect("positions that the source had exist");
        second.drain(|| numbers.next(300));
        for number in second.brought.keys() {
            let start = second.reader.start(*number);
            let wanted = positions.iter().find(|position| position.partition == start.partition);
            assert_eq!(start.offset, wanted.map_or(0, |position| position.offset), "it says where it went on");
        }
        let (before, mut after) = (first.by_name(), second.by_name());
        for (name, brought) in before {
            let rest = after.get_mut(&name).expect("each partition is there again");
            rest.bytes.splice(0..0, brought.bytes);
            rest.rows.splice(0..0, brought.rows);
        }
        assert_eq!(after, all, "seed {seed}, positions {positions:?}");
    }
}
