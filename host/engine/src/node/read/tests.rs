//! A read node over sources that a test makes.

use std::sync::mpsc::channel;

use super::*;
use crate::clock::ManualClock;
use crate::codec::{self, DecodePlan, Format, Needs};
use crate::edge::{Rx, edge};
use crate::node::outbox::{Receiver as Port, Split};
use crate::schema::{Field, Kind, Schema};

/// Bytes that can be read on from anywhere, pieces of this size.
struct Seekable {
    bytes: Arc<[u8]>,
    from: Position,
    at: usize,
    piece: usize,
}

impl SourceReader for Seekable {
    fn seek(&mut self, positions: &[Position]) -> Result<(), SourceError> {
        self.from = positions[0].clone();
        self.at = self.from.offset as usize;
        Ok(())
    }

    fn read(&mut self, _: Micros, _: usize, _: usize, into: &mut Vec<u8>) -> Result<Read, SourceError> {
        let end = (self.at + self.piece).min(self.bytes.len());
        if self.at > end {
            return Ok(Read::Finished);
        }
        if self.at == end {
            self.at += 1;
            return Ok(Read::End { partition: 0 });
        }
        into.extend_from_slice(&self.bytes[self.at..end]);
        self.at = end;
        Ok(Read::Bytes { partition: 0 })
    }

    fn partition(&self, _: u32) -> Arc<str> {
        self.from.partition.clone()
    }

    fn start(&self, _: u32) -> Position {
        self.from.clone()
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
        let (bytes, at) = (format!("{first}3,4\n").into_bytes(), first.len());
        let from = Position { partition: "t.csv".into(), offset: at as u64, line: 2 };
        let table = Seekable { piece: bytes.len(), bytes: bytes.into(), from, at };
        let mut ends = node(Box::new(table), Format::Csv { separator: b',', header: true }, true);
        assert_eq!(ends.node.step(&ManualClock::default()), Step::Progressed);
        let Some(Message::Chunk(chunk, _)) = ends.chunks.receive() else { panic!("no chunk") };
        assert_eq!(&chunk.data[..chunk.len], b"3,4\n");
        let whole = name.len() < RECORD_BYTES_MAX;
        assert_eq!(chunk.header.as_deref(), whole.then(|| format!("a,{name}\n").into_bytes()).as_deref());
    }
}

/// A source that brings each of these once: bytes of a partition, or its end.
#[derive(Default)]
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
fn a_source_that_is_stopped_within_a_record_that_is_too_long_brings_its_beginning_and_both_reasons() {
    static LONG: [u8; RECORD_BYTES_MAX + 5] = [b'x'; RECORD_BYTES_MAX + 5];
    for dead_letters in [true, false] {
        let given = Given {
            reads: vec![(&LONG, Read::Bytes { partition: 0 })],
            last: vec![(b"", Read::Broken { partition: 0, reason: "stopped".into() }), (b"", Read::Finished)],
            gone: Vec::new(),
        };
        let mut ends = node(Box::new(given), Format::Raw, dead_letters);
        let clock = ManualClock::default();
        ends.node.step(&clock);
        assert!(ends.chunks.receive().is_none(), "its end has not come");
        ends.orders.send(Order::Stop).unwrap();
        while ends.node.step(&clock) == Step::Progressed {}
        let Some(Message::Chunk(chunk, _)) = ends.chunks.receive() else {
            assert!(!dead_letters);
            assert_eq!(ends.node.parts.counters.unfinished.get(), LONG.len() as u64);
            continue;
        };
        let reason = chunk.broken.unwrap();
        assert!(dead_letters && chunk.len == RECORD_BYTES_MAX, "{} bytes: {reason}", chunk.len);
        assert!(reason.starts_with(&format!("stopped; {}", codec::too_long(LONG.len() as u64))), "{reason}");
        assert!(ends.chunks.receive().is_none(), "it is given up once");
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

#[test]
fn a_partition_that_is_not_read_keeps_no_more_than_the_beginning_of_its_record() {
    const PARTITIONS: u32 = 1_000;
    let part = |bytes: &'static [u8]| (0..PARTITIONS).map(move |partition| (bytes, Read::Bytes { partition }));
    let ends = (0..PARTITIONS).map(|partition| (&b""[..], Read::End { partition }));
    let reads: Vec<_> = part(b"a\nb").chain(part(b"c\nd")).collect();
    let given = Given { reads: reads.into_iter().chain(ends).collect(), last: Vec::new(), gone: Vec::new() };
    let mut all = node(Box::new(given), Format::Raw, true);
    let (mut records, mut most) = (String::new(), 0);
    while all.node.step(&ManualClock::default()) == Step::Progressed {
        while let Some(Message::Chunk(chunk, _)) = all.chunks.receive() {
            records.push_str(std::str::from_utf8(&chunk.data[..chunk.len]).unwrap().trim_end());
            records.push(' ');
        }
        most = most.max(all.node.partitions.values().map(|partition| partition.rest.capacity()).sum());
    }
    let times = |text: &str| text.repeat(PARTITIONS as usize);
    assert_eq!(records, [times("a "), times("bc "), times("d ")].concat());
    let buffers = 2 * (all.node.parts.pace.bytes() + PADDING);
    assert!(most < buffers + 16 * PARTITIONS as usize, "{most} bytes for {PARTITIONS} partitions");
}

#[test]
fn a_source_is_told_that_its_last_epoch_is_complete_before_its_node_finishes() {
    let clock = ManualClock::default();
    let mut ends = node(Box::new(Given::default()), Format::Raw, true);
    ends.orders.send(Order::Stop).unwrap();
    ends.orders.send(Order::Barrier { epoch: 1, last: true }).unwrap();
    while ends.node.step(&clock) == Step::Progressed {}
    assert_eq!(ends.node.step(&clock), Step::Idle { until: None }, "its epoch is not complete yet");
    ends.orders.send(Order::Acknowledge(Vec::new())).unwrap();
    assert_eq!([ends.node.step(&clock), ends.node.step(&clock)], [Step::Progressed, Step::Finished]);
}

/// What a source has, and how much of it a read brings.
struct Text {
    bytes: Arc<[u8]>,
    piece: usize,
}

/// A record: where it begins, on which line, and why it is bad, if it is.
type Seen = (u64, Option<u64>, Option<String>);

/// What is read from `from` on in so many steps, and where a barrier after them is; none where nothing was read.
fn read_on(format: &Format, text: &Text, from: &Position, steps: usize) -> (Vec<Seen>, Option<Position>) {
    let mut reader = Seekable { bytes: text.bytes.clone(), from: from.clone(), at: 0, piece: text.piece };
    reader.seek(std::slice::from_ref(from)).unwrap();
    let mut ends = node(Box::new(reader), format.clone(), true);
    let schema = Schema::new(vec![Field::required("text", Kind::Utf8)]);
    let needs = Needs { fill: vec![true], locate: vec![false] };
    let mut decoder = codec::decoder(DecodePlan { format: format.clone(), schema, needs, event_time: None });
    let mut seen = Vec::new();
    let mut take = |chunks: &Rx| {
        while let Some(Message::Chunk(chunk, _)) = chunks.receive() {
            let decoded = decoder.decode(&chunk);
            let good = (0..decoded.records.rows).map(|n| (decoded.records.offset(n), decoded.records.line(n), None));
            let bad = decoded.bad.into_iter().map(|letter| (letter.offset, letter.line, Some(letter.reason)));
            seen.extend(good.chain(bad));
        }
    };
    for _ in 0..steps {
        if ends.node.step(&ManualClock::default()) == (Step::Idle { until: None }) {
            break;
        }
        take(&ends.chunks);
    }
    ends.orders.send(Order::Barrier { epoch: 1, last: false }).unwrap();
    while ends.node.step(&ManualClock::default()) == Step::Blocked {
        take(&ends.chunks);
    }
    take(&ends.chunks);
    seen.sort();
    let positions = ends.reports.try_iter().find_map(|report| match report {
        Report::Positions { positions, .. } => Some(positions),
        _ => None,
    });
    (seen, positions.unwrap().pop())
}

#[test]
fn a_record_that_is_too_long_is_before_a_barrier_or_behind_it_and_never_both() {
    let [little, much] = [RECORD_BYTES_MAX + 100_000, 3 * RECORD_BYTES_MAX].map(|len| "x".repeat(len));
    // In a table the quote that is never closed lasts until a record is too long; the lines behind are records again.
    let open = format!("\"{}", format!("{}\n", "y".repeat(99_999)).repeat(15));
    let text = format!("text\na\n{little}\nb\n{much}\nc\n{open}\nd\n{much}");
    let text = Text { bytes: text.as_bytes().into(), piece: 150_000 };
    let (bytes, start) = (&text.bytes, Position { partition: "p".into(), offset: 0, line: 0 });
    for format in [Format::Raw, Format::Csv { separator: b',', header: true }] {
        let (whole, end) = read_on(&format, &text, &start, usize::MAX);
        assert_eq!(end.map(|end| end.offset), Some(bytes.len() as u64));
        let too_long = whole.iter().filter(|(.., reason)| reason.as_ref().is_some_and(|it| it.contains("more than")));
        assert!(too_long.count() >= 3, "{whole:?}");
        for steps in 1..bytes.len().div_ceil(150_000) + 2 {
            let (mut seen, position) = read_on(&format, &text, &start, steps);
            let position = position.unwrap();
            let (at, offset) = (&position, position.offset as usize);
            assert!(offset == 0 || offset == bytes.len() || bytes[offset - 1] == b'\n', "within a record: {at:?}");
            seen.extend(read_on(&format, &text, at, usize::MAX).0);
            assert_eq!(seen, whole, "with a barrier at {at:?}");
        }
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_record_however_reads_are_cut_and_wherever_reading_goes_on() {
    const MARK: &str = "\u{FEFF}";
    let start = Position { partition: "p".into(), offset: 0, line: 0 };
    let whole = |format: &Format, bytes: &[u8], piece| {
        read_on(format, &Text { bytes: bytes.into(), piece }, &start, usize::MAX).0
    };
    let json = |text: &str| format!("{{\"text\":\"{text}\"}}\n");
    for (format, lines) in [
        (Format::Ndjson, [json("a"), json("bc"), json("d")]),
        (Format::Raw, ["a\n", "\n", "c"].map(str::to_owned)),
        (Format::Csv { separator: b',', header: false }, ["\"a\"\n", "b\n", "c\n"].map(str::to_owned)),
        (Format::Csv { separator: b',', header: true }, ["text\n", "b\n", "c\n"].map(str::to_owned)),
    ] {
        let (plain, marked) = (lines.concat(), [MARK, &lines.concat()].concat());
        let expected: Vec<Seen> =
            whole(&format, plain.as_bytes(), 9).into_iter().map(|(at, line, bad)| (at + 3, line, bad)).collect();
        assert!(expected.len() >= 2 && expected.iter().all(|(.., bad)| bad.is_none()), "{expected:?}");
        for piece in 1..9 {
            assert_eq!(whole(&format, marked.as_bytes(), piece), expected, "{format:?} in pieces of {piece}");
            let text = Text { bytes: marked.as_bytes().into(), piece };
            for steps in 1..marked.len() {
                let (mut seen, position) = read_on(&format, &text, &start, steps);
                seen.extend(read_on(&format, &text, &position.unwrap(), usize::MAX).0);
                assert_eq!(seen, expected, "{format:?} in pieces of {piece}, with a barrier after {steps}");
            }
        }
    }
    for piece in 1..9 {
        assert_eq!(whole(&Format::Ndjson, MARK.as_bytes(), piece), [], "a mark alone is no record");
        for (bytes, bad) in [
            (MARK.as_bytes()[..2].to_vec(), [0].as_slice()),
            (MARK.as_bytes()[..1].to_vec(), &[0]),
            ([MARK, MARK, &json("a")].concat().into_bytes(), &[3]),
            ([&json("a"), MARK, &json("b")].concat().into_bytes(), &[13]),
            ([b"\xEF\xBB", json("a").as_bytes()].concat(), &[0]),
        ] {
            let seen = whole(&Format::Ndjson, &bytes, piece);
            let offsets: Vec<u64> = seen.iter().filter(|(.., bad)| bad.is_some()).map(|(at, ..)| *at).collect();
            assert_eq!(offsets, bad, "{bytes:?} in pieces of {piece}: {seen:?}");
        }
    }
}
