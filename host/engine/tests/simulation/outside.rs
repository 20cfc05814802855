//! The outside world of the wide pipeline, which outlives its crashes: what sources hold and sinks show, and faults.
//!
//! A fault is a point in a square: whether what was asked for happened, and whether the caller hears an error or only
//! that it shall ask again. Whatever a promise of the engine forbids is written down among the findings.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use wasmill_engine::clock::Micros;
use wasmill_engine::sink::{Progress, SinkError};
use wasmill_engine::source::{Position, SourceError};

use super::input::{Input, LATENESS, Row};
use super::world::Dice;

/// Mistakes that the checks have to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// A sink shows rows when they are prepared.
    ShowsPrepared,
    /// A sink commits once more what it is asked to commit once more.
    CommitsTwice,
    /// A sink keeps, over a crash, rows of the epoch that was being written.
    KeepsOpen,
    /// A sink keeps prepared rows over a crash for good.
    KeepsPrepared,
    /// A source loses some of what it reads.
    LosesBytes,
    /// A source goes on behind where it was told to.
    SeeksTooFar,
    /// The pipeline believes that rows are less late than they are.
    WatermarkAhead,
    /// The stage `flaky` gives rows up at once.
    NoRetry,
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    pub(crate) happened: bool,
    pub(crate) heard: bool,
}

/// A row that a sink has: its numbers by name, its text, and the partition that a dead letter names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) numbers: BTreeMap<String, i64>,
    pub(crate) text: String,
    pub(crate) source: String,
    pub(crate) partition: String,
}

/// A sink, seen from outside.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) open: Vec<Seen>,
    pub(crate) prepared: BTreeMap<u64, Vec<Seen>>,
    /// The run and epoch of each.
    pub(crate) visible: Vec<(usize, u64, Seen)>,
    /// Last epoch of this run that was prepared, and committed.
    prepared_to: u64,
    committed_to: u64,
}

/// The sinks: lines as they came, sums as lines, wild rows as columns, dead letters.
pub(crate) const SINKS: [&str; 4] = ["raw", "text", "wild", "dead"];
/// The one whose commit is the pipeline's, if any is.
pub(crate) const POINT: usize = 1;

/// All of it.
pub(crate) struct Outside {
    pub(crate) input: Input,
    dice: Dice,
    /// One call in so many has a fault; 0 = none has.
    pub(crate) rate: u64,
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) commit_point: bool,
    pub(crate) ledgers: [Ledger; 4],
    pub(crate) run: usize,
    /// For each source: where this run began, what was acknowledged last, and the latest event time that it gave.
    pub(crate) from: [Vec<u64>; 2],
    pub(crate) acknowledged: [Vec<u64>; 2],
    latest: [Option<Micros>; 2],
    pub(crate) findings: Vec<String>,
    pub(crate) faults: BTreeMap<(&'static str, Fault), u64>,
    /// All that happened, folded into a number.
    pub(crate) trace: u64,
    pub(crate) watermark: Micros,
}

/// The outside as sources, sinks and operators hold it.
pub(crate) type Shared = Arc<Mutex<Outside>>;

impl Outside {
    pub(crate) fn new(seed: u64, input: Input, sabotage: Option<Sabotage>) -> Self {
        let start = || [vec![0; input.bytes.len()], vec![0]];
        let (from, acknowledged) = (start(), start());
        Self {
            dice: Dice(seed ^ 0xFA17),
            input,
            rate: 0,
            sabotage,
            commit_point: seed.is_multiple_of(3),
            ledgers: Default::default(),
            run: 0,
            from,
            acknowledged,
            latest: [None; 2],
            findings: Vec::new(),
            faults: BTreeMap::new(),
            trace: seed,
            watermark: Micros::MIN,
        }
    }

    pub(crate) fn is(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }

    /// A new process begins: the one before it has left nothing visible that it had not committed.
    pub(crate) fn begin(&mut self, rate: u64) {
        for (sink, name) in SINKS.iter().enumerate() {
            let Ledger { visible, committed_to, .. } = &self.ledgers[sink];
            let (run, committed_to) = (self.run, *committed_to);
            if visible.iter().any(|(of, epoch, _)| *of == run && *epoch > committed_to) {
                self.finds(format!("{name} shows rows past epoch {committed_to}, the last that was committed"));
            }
        }
        self.rate = rate;
        self.run += 1;
        self.latest = [None; 2];
        self.ledgers.iter_mut().for_each(|ledger| (ledger.prepared_to, ledger.committed_to) = (0, 0));
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.dice.roll(sides)
    }

    /// Notes what happened, for the trace.
    pub(crate) fn note(&mut self, what: &str, number: u64) {
        for byte in what.bytes().chain(number.to_le_bytes()) {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    /// Whether this call has a fault, and which.
    pub(crate) fn strike(&mut self, call: &'static str) -> Option<Fault> {
        // There are many more of these than of others, and few processes should end with them.
        let rate = if matches!(call, "read" | "write") { self.rate * 20 } else { self.rate };
        let struck = rate > 0 && self.dice.roll(rate) == 0;
        let fault = struck.then(|| Fault { happened: self.dice.roll(2) == 0, heard: self.dice.roll(2) == 0 });
        if let Some(fault) = fault {
            *self.faults.entry((call, fault)).or_default() += 1;
        }
        self.note(call, fault.map_or(0, |fault| 1 + u64::from(fault.happened) + 2 * u64::from(fault.heard)));
        fault
    }

    fn finds(&mut self, what: String) {
        self.findings.push(format!("run {}: {what}", self.run));
    }

    /// A source has given the records of a partition up to there.
    pub(crate) fn gave(&mut self, source: usize, partition: usize, to: u64) {
        let rows = self.input.rows[source].iter().filter(|row| row.partition == partition && row.good);
        let given = rows.filter(|row| row.end <= to).map(|row| row.at).max();
        self.latest[source] = self.latest[source].max(given);
    }

    /// An operator was told a watermark, and before that another: it is at most what the slower source has given.
    pub(crate) fn watched(&mut self, stage: &str, before: Micros, watermark: Micros) {
        let bounds = self.latest.iter().zip(LATENESS).map(|(latest, late)| latest.map_or(Micros::MIN, |at| at - late));
        let bound = bounds.min().expect("there are two sources");
        if watermark > bound {
            self.finds(format!("the watermark {watermark} of {stage} is past the minimum of its sources, {bound}"));
        }
        if watermark < before {
            self.finds(format!("the watermark of {stage} went back from {before} to {watermark}"));
        }
        self.watermark = self.watermark.max(watermark);
    }

    /// A source may forget what is before these positions: exactly that is visible.
    pub(crate) fn acknowledge(&mut self, source: usize, positions: &[Position]) -> Result<(), SourceError> {
        let fault = self.strike("acknowledge");
        if fault.is_none_or(|fault| fault.happened) {
            let mut to = self.from[source].clone();
            for position in positions {
                to[position.partition.parse::<usize>().expect("partitions are named by numbers")] = position.offset;
            }
            let found = super::check::source(self, source, &to);
            found.into_iter().for_each(|found| self.finds(format!("at an acknowledgement: {found}")));
            self.acknowledged[source] = to;
        }
        match fault {
            Some(Fault { heard: true, .. }) => Err(SourceError { message: "struck".into(), retriable: true }),
            _ => Ok(()),
        }
    }

    pub(crate) fn recover(&mut self, sink: usize, committed: Option<u64>) -> Result<Option<u64>, SinkError> {
        let fault = self.strike("recover");
        if fault.is_none_or(|fault| fault.happened || !fault.heard) {
            let (run, kept, open) = (self.run, self.is(Sabotage::KeepsPrepared), self.is(Sabotage::KeepsOpen));
            let ledger = &mut self.ledgers[sink];
            if !open {
                ledger.open.clear();
            }
            for (epoch, rows) in std::mem::take(&mut ledger.prepared) {
                if Some(epoch) <= committed || kept {
                    ledger.visible.extend(rows.into_iter().map(|row| (run, epoch, row)));
                }
            }
        }
        heard(fault).map(|_| None)
    }

    pub(crate) fn write(&mut self, sink: usize, rows: Vec<Seen>) -> Result<Progress, SinkError> {
        let fault = self.strike("write");
        // A sink that answers `Pending` has taken nothing.
        if fault.is_none_or(|fault| fault.happened && fault.heard) {
            self.ledgers[sink].open.extend(rows);
        }
        heard(fault)
    }

    pub(crate) fn prepare(&mut self, sink: usize, epoch: u64) -> Result<Progress, SinkError> {
        let fault = self.strike("prepare");
        let ledger = &mut self.ledgers[sink];
        if epoch != ledger.prepared_to + 1 && epoch != ledger.prepared_to {
            let before = ledger.prepared_to;
            self.finds(format!("{} is to prepare epoch {epoch} after {before}", SINKS[sink]));
        } else if fault.is_none_or(|fault| fault.happened) && epoch > ledger.prepared_to {
            ledger.prepared_to = epoch;
            let rows = std::mem::take(&mut ledger.open);
            if self.sabotage == Some(Sabotage::ShowsPrepared) {
                let run = self.run;
                ledger.visible.extend(rows.into_iter().map(|row| (run, epoch, row)));
            } else {
                ledger.prepared.insert(epoch, rows);
            }
        }
        heard(fault)
    }

    pub(crate) fn commit(&mut self, sink: usize, epoch: u64) -> Result<Progress, SinkError> {
        let fault = self.strike("commit");
        if let Some(other) = (0..4).find(|other| self.ledgers[*other].prepared_to < epoch) {
            self.finds(format!("{} commits epoch {epoch}, which {} has not prepared", SINKS[sink], SINKS[other]));
        }
        if self.commit_point && sink != POINT && self.ledgers[POINT].committed_to < epoch {
            self.finds(format!("{} commits epoch {epoch} before the commit point has", SINKS[sink]));
        }
        if fault.is_none_or(|fault| fault.happened) {
            let (run, twice) = (self.run, self.is(Sabotage::CommitsTwice));
            let ledger = &mut self.ledgers[sink];
            let rows = if twice { ledger.prepared.get(&epoch).cloned() } else { ledger.prepared.remove(&epoch) };
            ledger.visible.extend(rows.into_iter().flatten().map(|row| (run, epoch, row)));
            ledger.committed_to = epoch;
        }
        heard(fault)
    }

    /// What a new process finds: nothing of the one before but what it had committed, whole.
    pub(crate) fn recovered(&mut self, before: [usize; 4]) {
        for (sink, name) in SINKS.iter().enumerate() {
            let Ledger { open, prepared, visible, .. } = &self.ledgers[sink];
            if visible.len() != before[sink] || !open.is_empty() || !prepared.is_empty() {
                self.finds(format!("{name} shows or keeps rows of a process that died before it committed them"));
            }
        }
    }

    /// How many rows each sink shows.
    pub(crate) fn shown(&self) -> [usize; 4] {
        std::array::from_fn(|sink| self.ledgers[sink].visible.len())
    }

    /// The row of that id.
    pub(crate) fn row(&self, id: i64) -> Option<&Row> {
        self.input.rows[(id % 2) as usize].get((id / 2) as usize)
    }
}

/// What the caller of a sink hears.
fn heard(fault: Option<Fault>) -> Result<Progress, SinkError> {
    match fault {
        None => Ok(Progress::Done),
        Some(Fault { heard: true, .. }) => Err(SinkError { message: "struck".into(), retriable: true }),
        Some(Fault { heard: false, .. }) => Ok(Progress::Pending { until: None }),
    }
}
