//! A read node over sources that a test makes.

use std::sync::mpsc::channel;

use super::*;
use crate::clock::ManualClock;
use crate::codec::{self, Format};
use crate::edge::{Rx, edge};
use crate::node::outbox::{Receiver as Port, Split};
use crate::schema::Schema;

/// A table whose reading goes on behind its first record.
struct Table {
    bytes: Vec<u8>,
    at: usize,
}

impl SourceReader for Table {
    fn seek(&mut self, _: &[Position]) -> Result<(), SourceError> {
        Ok(())
    }

    fn read(&mut self, _: Micros, _: usize, _: usize, into: &mut Vec<u8>) -> Result<Read, SourceError> {
        into.extend_from_slice(&self.bytes[std::mem::replace(&mut self.at, self.bytes.len())..]);
        Ok(Read::Bytes { partition: 0 })
    }

    fn partition(&self, _: u32) -> Arc<str> {
        "t.csv".into()
    }

    fn start(&self, _: u32) -> Position {
        Position { partition: "t.csv".into(), offset: self.at as u64 / 2, line: 2 }
    }

    fn beginning(&mut self, _: u32, max: usize, into: &mut Vec<u8>) -> Result<(), SourceError> {
        into.extend_from_slice(&self.bytes[..max.min(self.bytes.len())]);
        Ok(())
    }

    fn progress(&self) -> Option<(u64, u64)> {
        None
    }

    fn acknowledge(&mut self, _: &[Position]) -> Result<(), SourceError> {
        Ok(())
    }
}

/// A node over a source, and the other ends of what it is connected to.
struct Ends {
    node: ReadNode,
    chunks: Rx,
    orders: Sender<Order>,
    reports: Receiver<Report>,
}

fn node(reader: Box<dyn SourceReader>, format: Format, dead_letters: bool) -> Ends {
    let (tx, chunks) = edge();
    let ((orders, received), (reports, reported)) = (channel(), channel());
    let parts = Parts {
        name: "t".into(),
        reader,
        framing: Some(codec::framing(&format)),
        layout: Arc::new(Layout::of_source(&Schema::new(Vec::new()))),
        lanes: 1,
        outbox: Outbox::new(vec![vec![Port { split: Split::Whole, lanes: vec![tx] }]], None),
        pace: Pace::new(0),
        counters: Arc::default(),
        orders: received,
        reports,
        number: 0,
        dead_letters,
    };
    Ends { node: ReadNode::new(parts), chunks, orders, reports: reported }
}

#[test]
fn a_partition_that_is_read_on_has_the_header_that_it_began_with() {
    for name in ["b", &"b".repeat(10 * HEADER_BYTES_START), &"b".repeat(2 * RECORD_BYTES_MAX * 8)] {
        let first = format!("a,{name}\n1,2\n");
        let table = Table { bytes: format!("{first}3,4\n").into(), at: first.len() };
        let mut ends = node(Box::new(table), Format::Csv { separator: b',', header: true }, true);
        assert_eq!(ends.node.step(&ManualClock::default()), Step::Progressed);
        let Some(Message::Chunk(chunk, _)) = ends.chunks.receive() else { panic!("no chunk") };
        assert_eq!(&chunk.data[..chunk.len], b"3,4\n");
        let whole = name.len() < RECORD_BYTES_MAX;
        assert_eq!(chunk.header.as_deref(), whole.then(|| format!("a,{name}\n").into_bytes()).as_deref());
    }
}

/// A source that brings each of these once: bytes of a partition, or its end.
struct Given {
    reads: Vec<(&'static [u8], Read)>,
    /// What it brings when it is told to stop.
    last: Vec<(&'static [u8], Read)>,
    gone: Vec<u32>,
}

impl SourceReader for Given {
    fn seek(&mut self, _: &[Position]) -> Result<(), SourceError> {
        Ok(())
    }

    fn read(&mut self, _: Micros, _: usize, _: usize, into: &mut Vec<u8>) -> Result<Read, SourceError> {
        if self.reads.is_empty() {
            return Ok(Read::Idle { until: None });
        }
        let (bytes, read) = self.reads.remove(0);
        into.extend_from_slice(bytes);
        Ok(read)
    }

    fn partition(&self, number: u32) -> Arc<str> {
        number.to_string().into()
    }

    fn start(&self, number: u32) -> Position {
        Position { partition: self.partition(number), offset: 0, line: 0 }
    }

    fn progress(&self) -> Option<(u64, u64)> {
        None
    }

    fn stop(&mut self) -> bool {
        self.reads = std::mem::take(&mut self.last);
        !self.reads.is_empty()
    }

    fn forget(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.gone)
    }

    fn acknowledge(&mut self, _: &[Position]) -> Result<(), SourceError> {
        Ok(())
    }
}

#[test]
fn a_source_that_is_stopped_brings_what_it_has_taken_and_the_record_at_hand_is_a_dead_letter_where_there_are_any() {
    for dead_letters in [true, false] {
        let broken = Read::Broken { partition: 0, reason: "stopped".into() };
        let bytes = || Read::Bytes { partition: 0 };
        let given = Given {
            reads: vec![(b"1\n2", bytes())],
            last: vec![(b"\n3\n4", bytes()), (b"", broken), (b"", Read::Finished)],
            gone: Vec::new(),
        };
        let mut ends = node(Box::new(given), Format::Raw, dead_letters);
        let clock = ManualClock::default();
        ends.node.step(&clock);
        ends.orders.send(Order::Stop).unwrap();
        while ends.node.step(&clock) == Step::Progressed {}
        let mut chunks = Vec::new();
        while let Some(Message::Chunk(chunk, _)) = ends.chunks.receive() {
            chunks.push((chunk.data[..chunk.len].to_vec(), chunk.broken));
        }
        let whole = [(b"1\n".to_vec(), None), (b"2\n3\n".to_vec(), None)];
        let cut = [(b"4".to_vec(), Some("stopped".to_owned()))];
        assert_eq!(chunks, if dead_letters { [&whole[..], &cut].concat() } else { whole.to_vec() });
        assert_eq!(ends.node.parts.counters.unfinished.get(), u64::from(!dead_letters));
        assert!(matches!(ends.reports.try_recv(), Ok(Report::Drained { .. })));
    }
}

#[test]
fn a_partition_that_the_source_forgets_is_in_one_more_barrier_and_in_no_other() {
    let end = |partition| (&b""[..], Read::End { partition });
    let reads = vec![(&b"a\n"[..], Read::Bytes { partition: 0 }), end(0), (b"b\n", Read::Bytes { partition: 7 })];
    let mut ends = node(Box::new(Given { reads, last: Vec::new(), gone: vec![0] }), Format::Raw, true);
    let clock = ManualClock::default();
    while ends.node.step(&clock) == Step::Progressed {}
    let mut seen = Vec::new();
    for epoch in 1..3 {
        ends.orders.send(Order::Barrier { epoch, last: false }).unwrap();
        ends.node.step(&clock);
        let Ok(Report::Positions { positions, .. }) = ends.reports.try_recv() else { panic!("no positions") };
        seen.push(positions.iter().map(|position| position.partition.to_string()).collect::<Vec<_>>());
    }
    assert_eq!(seen, [vec!["0", "7"], vec!["7"]]);
}
