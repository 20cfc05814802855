//! The read node: asks a source for what is there, cuts bytes where records end, and gives chunks to the lanes in turn.
//!
//! A chunk holds whole records of one partition. What is left of a record waits here for its rest. A record longer than
//! [`RECORD_BYTES_MAX`] is given up: what is over is dropped up to the next line end, and its beginning goes on as a
//! broken record then, not before. So a position is always where a record begins, and a barrier within a record that
//! is too long has all of it behind: whoever goes on from there gives it up as a whole, and nobody has before.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use arrow_buffer::Buffer;

use crate::batch::{Batch, Layout, PADDING};
use crate::clock::{Clock, Micros};
use crate::codec::{Chunk, Framing, too_long};
use crate::coordinator::{Order, Report};
use crate::counters::SharedCounters;
use crate::edge::{Message, Parcel};
use crate::limits::RECORD_BYTES_MAX;
use crate::node::outbox::Outbox;
use crate::node::{Node, Step, failed};
use crate::pace::Pace;
use crate::source::{Position, Read, SourceError, SourceReader};

/// Bytes in which a header is looked for first, where reading goes on behind it.
const HEADER_BYTES_START: usize = 8 << 10;

/// What a read node is made of.
pub struct Parts {
    /// Name of the source.
    pub name: Arc<str>,
    /// The source.
    pub reader: Box<dyn SourceReader>,
    /// Where records end; none for a source that makes rows itself.
    pub framing: Option<Box<dyn Framing>>,
    /// Layout of rows that the source makes itself.
    pub layout: Arc<Layout>,
    /// Lanes that decode.
    pub lanes: usize,
    /// To the lanes.
    pub outbox: Outbox,
    /// How much to read.
    pub pace: Arc<Pace>,
    /// What it counts.
    pub counters: SharedCounters,
    /// Barriers and stops.
    pub orders: Receiver<Order>,
    /// Where positions are reported to.
    pub reports: Sender<Report>,
    /// Number of the source in the graph.
    pub number: usize,
    /// Whether there is a place for a record that breaks off because the pipeline is stopped.
    pub dead_letters: bool,
}

/// Reads one source.
pub struct ReadNode {
    parts: Parts,
    partitions: BTreeMap<u32, Partition>,
    /// Partition whose bytes were read last: probably the next ones are its too.
    last: u32,
    /// Lane that gets the next chunk.
    turn: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Paused,
    /// The source was told to stop, and brings what it cannot bring again.
    Emptying,
    /// The source is exhausted or was told to stop; a last barrier is still to come.
    Drained,
    /// The last barrier has gone by; that its epoch is complete the source has yet to be told.
    Ended,
    Finished,
}

/// A partition that is being read.
struct Partition {
    name: Arc<str>,
    /// The beginning of a record whose rest has not come yet.
    rest: Vec<u8>,
    /// Offset and line of the first byte of `rest`.
    offset: u64,
    line: u64,
    /// Bytes of the record at hand that are over the limit and were dropped.
    over: u64,
    /// What it begins with that is no record ([`Framing::header`]); and whether that is still to come.
    header: Option<Arc<[u8]>>,
    beginning: bool,
}

impl Partition {
    /// Takes what the partition begins with, if anything.
    fn begin(&mut self, header: &[u8]) {
        self.header = (!header.is_empty()).then(|| header.into());
        self.offset += header.len() as u64;
        self.line += memchr::memchr_iter(b'\n', header).count() as u64;
        self.beginning = false;
    }
}

impl ReadNode {
    /// A node over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts, partitions: BTreeMap::new(), last: 0, turn: 0, state: State::Reading }
    }

    fn read(&mut self, now: Micros) -> Step {
        let (max, max_rows) = (self.parts.pace.bytes(), self.parts.pace.rows());
        let mut bytes = match self.partitions.get_mut(&self.last) {
            Some(partition) => std::mem::take(&mut partition.rest),
            None => Vec::new(),
        };
        let kept = bytes.len();
        bytes.reserve(max + PADDING);
        let read = match self.parts.reader.read(now, max, max_rows, &mut bytes) {
            Ok(read) => read,
            Err(error) => return failed(&self.parts.name, error.message),
        };
        if let Some((done, all)) = self.parts.reader.progress() {
            self.parts.counters.done.set(done);
            self.parts.counters.all.set(all);
        }
        self.parts.counters.behind.set(self.parts.reader.behind(now).map_or(0, |behind| behind.saturating_add(1)));
        if matches!(read, Read::Bytes { .. } | Read::Records(_)) {
            self.parts.counters.brought.reach(now);
        }
        if let Read::Bytes { partition } | Read::End { partition } | Read::Broken { partition, .. } = read
            && let Err(error) = self.meet(partition)
        {
            return failed(&self.parts.name, error.message);
        }
        let new = bytes.len() - kept;
        self.parts.counters.bytes.add(new as u64);
        if let Read::Bytes { partition } = read {
            let bytes = if partition == self.last { bytes } else { self.change(partition, bytes, kept) };
            self.cut(bytes, now);
            return Step::Progressed;
        }
        bytes.truncate(kept);
        if let Some(partition) = self.partitions.get_mut(&self.last) {
            partition.rest = bytes;
        }
        match read {
            Read::Bytes { .. } => unreachable!("bytes were cut above"),
            Read::End { partition } => self.end(partition, None, now),
            Read::Broken { partition, reason } => self.end(partition, Some(reason), now),
            Read::Records(records) => {
                self.parts.counters.rows_in.add(records.rows as u64);
                if let Err(error) = self.meet(0) {
                    return failed(&self.parts.name, error.message);
                }
                self.partition(0).offset = records.first + records.rows as u64;
                let batch = Batch::new(Arc::new(*records), self.parts.layout.clone()).read_then(Some(now));
                self.send(Message::Rows(Parcel { batches: vec![batch], watermark: Micros::MIN }));
            }
            Read::Idle { until } => return Step::Idle { until },
            Read::Finished => self.drain(),
        }
        Step::Progressed
    }

    /// Bytes came that are another partition's than those before: what it has of a record, and they. The buffer goes
    /// with them; the one that is left keeps no more than the `kept` bytes that are its, for there can be thousands.
    fn change(&mut self, partition: u32, mut bytes: Vec<u8>, kept: usize) -> Vec<u8> {
        if let Some(left) = self.partitions.get_mut(&self.last) {
            left.rest = bytes[..kept].to_vec();
        }
        self.last = partition;
        let rest = std::mem::take(&mut self.partition(partition).rest);
        drop(bytes.splice(..kept, rest));
        bytes
    }

    /// Makes a partition known.
    fn meet(&mut self, number: u32) -> Result<(), SourceError> {
        if !self.partitions.contains_key(&number) {
            let Position { partition: name, offset, line } = self.parts.reader.start(number);
            let header = if offset > 0 { self.header(number)? } else { None };
            let (rest, beginning) = (Vec::new(), offset == 0);
            let new = Partition { name, rest, offset, line, over: 0, header, beginning };
            self.partitions.insert(number, new);
        }
        Ok(())
    }

    fn partition(&mut self, number: u32) -> &mut Partition {
        self.partitions.get_mut(&number).expect("a partition is met before anything is done with it")
    }

    fn has_header(&mut self) -> bool {
        self.parts.framing.as_mut().is_some_and(|framing| framing.header(&[]) != Some(0))
    }

    /// The header of a partition that is not read from its beginning, where its format has one and it can be read.
    fn header(&mut self, number: u32) -> Result<Option<Arc<[u8]>>, SourceError> {
        if !self.has_header() {
            return Ok(None);
        }
        let framing = self.parts.framing.as_mut().expect("only a format has a header");
        let (mut bytes, mut max) = (Vec::new(), HEADER_BYTES_START);
        loop {
            bytes.clear();
            self.parts.reader.beginning(number, max, &mut bytes)?;
            if let Some(end) = framing.header(&bytes) {
                return Ok(Some(bytes[..end].into()));
            }
            if bytes.len() < max || max > RECORD_BYTES_MAX {
                return Ok(None);
            }
            max *= 8;
        }
    }

    /// Sends the whole records of `bytes`, which begin where the rest of the last partition did.
    fn cut(&mut self, mut bytes: Vec<u8>, now: Micros) {
        let framing = self.parts.framing.as_mut().expect("a source of bytes has a format");
        let partition = self.partitions.get_mut(&self.last).expect("bytes are those of a partition that was met");
        if partition.over > 0 {
            return self.skip(bytes, now);
        }
        if partition.beginning
            && !bytes.is_empty()
            && let Some(end) = framing.header(&bytes)
        {
            partition.begin(bytes.drain(..end).as_slice());
        }
        let whole = if partition.beginning { None } else { framing.boundary(&bytes) };
        match whole {
            Some(end) => {
                let mut rest = Vec::with_capacity(bytes.capacity());
                rest.extend_from_slice(&bytes[end..]);
                bytes.truncate(end);
                let chunk = self.chunk(self.last, bytes, None);
                self.partition(self.last).rest = rest;
                self.send(Message::Chunk(chunk, now));
            }
            None if bytes.len() > RECORD_BYTES_MAX => {
                partition.beginning = false;
                self.skip(bytes, now);
            }
            None => partition.rest = bytes,
        }
    }

    /// Drops what of the record at hand is over the limit; where that ends, gives the record up and goes on behind it.
    fn skip(&mut self, mut bytes: Vec<u8>, now: Micros) {
        let end = memchr::memchr(b'\n', &bytes[RECORD_BYTES_MAX..]);
        let after = end.map(|end| bytes.split_off(RECORD_BYTES_MAX + end + 1));
        let partition = self.partition(self.last);
        partition.over += end.unwrap_or(bytes.len() - RECORD_BYTES_MAX) as u64;
        bytes.truncate(RECORD_BYTES_MAX);
        let Some(after) = after else {
            partition.rest = bytes;
            return;
        };
        self.give_up(self.last, bytes, None, now);
        let partition = self.partition(self.last);
        partition.offset += 1;
        partition.line += 1;
        self.cut(after, now);
    }

    /// Sends the beginning of a record that is too long and has ended, and moves on to its end.
    fn give_up(&mut self, number: u32, beginning: Vec<u8>, broken: Option<String>, now: Micros) {
        let over = std::mem::take(&mut self.partition(number).over);
        let cut = too_long(beginning.len() as u64 + over);
        let reason = broken.map_or_else(|| cut.clone(), |broken| format!("{broken}; {cut}"));
        let chunk = self.chunk(number, beginning, Some(reason));
        self.partition(number).offset += over;
        self.send(Message::Chunk(chunk, now));
    }

    /// The partition has ended: what is left is a record without line end, or a broken one.
    fn end(&mut self, partition: u32, broken: Option<String>, now: Micros) {
        let (stopped, number) = (self.state == State::Emptying, partition);
        let has_header = self.has_header();
        let partition = self.partition(number);
        let (rest, over) = (std::mem::take(&mut partition.rest), partition.over);
        // What ends before its header is whole has no records; half of a byte order mark is a bad one.
        let unfinished = !(rest.is_empty() || partition.beginning && has_header);
        if stopped && broken.is_some() {
            // The record is as good as any, only cut: a pipeline without dead letters must not fail for it.
            match (unfinished, self.parts.dead_letters) {
                (true, true) => {}
                (true, false) => return self.parts.counters.unfinished.add(rest.len() as u64 + over),
                (false, _) => return,
            }
        }
        if over > 0 {
            self.give_up(number, rest, broken, now);
        } else if unfinished || broken.is_some() {
            let chunk = self.chunk(number, rest, broken);
            self.send(Message::Chunk(chunk, now));
        }
    }

    /// These bytes of a partition as a chunk; the partition has moved on behind them.
    fn chunk(&mut self, number: u32, mut bytes: Vec<u8>, broken: Option<String>) -> Chunk {
        let partition = self.partition(number);
        let (offset, line, len) = (partition.offset, partition.line, bytes.len());
        partition.offset += len as u64;
        partition.line += memchr::memchr_iter(b'\n', &bytes).count() as u64;
        bytes.resize(len + PADDING, 0);
        let (name, header) = (partition.name.clone(), partition.header.clone());
        let source = self.parts.name.clone();
        Chunk { source, partition: name, data: Buffer::from_vec(bytes), len, offset, line: line + 1, header, broken }
    }

    fn send(&mut self, message: Message) {
        self.parts.outbox.only(self.turn, message);
        self.turn = (self.turn + 1) % self.parts.lanes;
    }

    fn drain(&mut self) {
        self.state = State::Drained;
        self.report(Report::Drained { source: self.parts.number });
    }

    fn report(&self, report: Report) {
        // A coordinator that is gone has stopped the pipeline; nobody wants the report.
        drop(self.parts.reports.send(report));
    }

    fn obey(&mut self, order: Order) -> Step {
        match order {
            Order::Barrier { epoch, last } => {
                let position = |partition: &Partition| Position {
                    partition: partition.name.clone(),
                    offset: partition.offset,
                    line: partition.line,
                };
                let positions = self.partitions.values().map(position).collect();
                self.report(Report::Positions { source: self.parts.number, epoch, positions });
                for gone in self.parts.reader.forget() {
                    self.partitions.remove(&gone);
                }
                self.parts.outbox.broadcast(&Message::Barrier(epoch));
                if last {
                    self.parts.outbox.broadcast(&Message::End);
                    self.state = State::Ended;
                }
                Step::Progressed
            }
            Order::Stop => {
                if matches!(self.state, State::Reading | State::Paused) {
                    match self.parts.reader.stop() {
                        true => self.state = State::Emptying,
                        false => self.drain(),
                    }
                }
                Step::Progressed
            }
            Order::Pause | Order::Resume => {
                if matches!(self.state, State::Reading | State::Paused) {
                    self.state = if order == Order::Pause { State::Paused } else { State::Reading };
                }
                Step::Progressed
            }
            Order::Acknowledge(positions) => match self.parts.reader.acknowledge(&positions) {
                Ok(()) => {
                    if self.state == State::Ended {
                        self.state = State::Finished;
                    }
                    Step::Progressed
                }
                Err(error) => failed(&self.parts.name, error.message),
            },
            Order::Commit(_) => Step::Progressed,
        }
    }
}

impl Node for ReadNode {
    fn step(&mut self, clock: &dyn Clock) -> Step {
        if !self.parts.outbox.flush() {
            return Step::Blocked;
        }
        if let Ok(order) = self.parts.orders.try_recv() {
            return self.obey(order);
        }
        match self.state {
            State::Reading | State::Emptying => self.read(clock.now()),
            State::Paused | State::Drained | State::Ended => Step::Idle { until: None },
            State::Finished => Step::Finished,
        }
    }

    fn name(&self) -> &str {
        &self.parts.name
    }

    fn turn(&self) -> Option<u32> {
        u32::try_from(self.turn).ok()
    }
}
