//! The decode node: one lane of a source, from bytes to a batch.
//!
//! Good records become one batch a chunk, or several where there are very many; bad ones go to the dead letters, or
//! stop the pipeline where it has none. The lane's watermark is the largest event time that it has seen, less the
//! lateness that the source allows.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;

use crate::batch::{Batch, Layout, Records};
use crate::clock::{Clock, Micros};
use crate::codec::{Chunk, Decoder};
use crate::counters::SharedCounters;
use crate::dead_letter::DeadLetter;
use crate::edge::{Delivery, Inbox, Message, Parcel};
use crate::limits::BATCH_ROWS_MAX;
use crate::node::outbox::Outbox;
use crate::node::{Node, Step, failed};
use crate::pace::Pace;

/// One lane of a source.
pub struct DecodeNode {
    /// Name of the source.
    pub name: Arc<str>,
    /// From the read node.
    pub inbox: Inbox,
    /// None for a source that makes rows itself.
    pub decoder: Option<Box<dyn Decoder>>,
    /// Layout of the rows.
    pub layout: Arc<Layout>,
    /// Position of the event time among the fields, and how late a row may be.
    pub event_time: Option<(usize, Micros)>,
    /// To whoever reads the source.
    pub outbox: Outbox,
    /// Told how long records are.
    pub pace: Arc<Pace>,
    /// What it counts.
    pub counters: SharedCounters,
    /// The lane's watermark.
    pub watermark: Micros,
}

impl DecodeNode {
    fn decode(&mut self, chunk: &Chunk, read_at: Micros, now: Micros) -> Step {
        let decoder = self.decoder.as_mut().expect("only a source with a format sends chunks");
        let mut decoded = decoder.decode(chunk);
        let found = decoded.records.rows + decoded.bad.len();
        self.pace.decoded(found, chunk.len);
        self.counters.rows_in.add(found as u64);
        if let (Some(first), false) = (decoded.bad.first(), self.outbox.takes_dead_letters()) {
            return failed(&self.name, refusal(first));
        }
        self.counters.dead.add(decoded.bad.len() as u64);
        for letter in &mut decoded.bad {
            letter.at = now;
            letter.stage = self.name.clone();
        }
        if !decoded.bad.is_empty() {
            self.outbox.dead(decoded.bad);
        }
        self.pass(vec![(decoded.records, Some(read_at))]);
        Step::Progressed
    }

    /// Passes records on, each with when they were read.
    fn pass(&mut self, records: Vec<(Records, Option<Micros>)>) {
        let mut batches = Vec::with_capacity(records.len());
        for (records, read_at) in records.into_iter().filter(|(records, _)| records.rows > 0) {
            self.observe(&records);
            self.counters.rows_out.add(records.rows as u64);
            self.pace.sent();
            let batch = Batch::new(Arc::new(records), self.layout.clone()).read_then(read_at);
            // How many rows a read brings is a guess, far off where lines are much shorter than the last.
            for batch in batch.pieces(BATCH_ROWS_MAX) {
                self.counters.batches.add(1);
                batches.push(batch);
            }
        }
        self.outbox.rows(0, Parcel { batches, watermark: self.watermark });
    }

    fn observe(&mut self, records: &Records) {
        let Some((_, lateness)) = self.event_time else { return };
        let latest = records.event_time.as_ref().and_then(|times| times.iter().max().copied());
        if let Some(latest) = latest {
            self.watermark = self.watermark.max(latest.saturating_sub(lateness));
            self.counters.watermark.reach(self.watermark);
        }
    }

    /// Rows that the source made itself: their event time is one of their columns.
    fn own(&mut self, parcel: Parcel) {
        let own = |batch: &Batch| {
            let mut records = Records::clone(batch.records());
            if let (Some((field, _)), None) = (self.event_time, &records.event_time) {
                let column = records.columns[field].as_ref().expect("a source that makes rows fills every column");
                assert_eq!(column.null_count(), 0, "the event time is a required field");
                records.event_time = Some(column.as_primitive::<TimestampMicrosecondType>().values().clone());
            }
            (records, batch.read_at())
        };
        let records = parcel.batches.iter().map(own).collect();
        self.pass(records);
    }
}

/// What a pipeline without dead letters says of the first bad record.
pub(crate) fn refusal(letter: &DeadLetter) -> String {
    let line = letter.line.map_or_else(String::new, |line| format!(" line {line},"));
    format!(
        "{}:{line} offset {}: {}; mend the record, or add `dead_letters:` to the pipeline so that bad records go there",
        letter.partition, letter.offset, letter.reason
    )
}

impl Node for DecodeNode {
    fn step(&mut self, clock: &dyn Clock) -> Step {
        if let Some(step) = self.outbox.settle() {
            return step;
        }
        match self.inbox.take() {
            Delivery::Message(_, Message::Chunk(chunk, at)) => return self.decode(&chunk, at, clock.now()),
            Delivery::Message(_, Message::Rows(parcel)) => self.own(parcel),
            other => return self.outbox.pass(&other),
        }
        Step::Progressed
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::PADDING;
    use crate::clock::ManualClock;
    use crate::codec::{self, DecodePlan, Format, Needs};
    use crate::edge::edge;
    use crate::node::outbox::{Receiver, Split};
    use crate::schema::{Field, Kind, Schema};

    #[test]
    fn lines_far_shorter_than_expected_come_in_several_batches_of_one_message() {
        const ROWS: usize = 131_072;
        let schema = Schema::new(vec![Field::required("line", Kind::Utf8)]);
        let needs = Needs { fill: vec![true], locate: vec![false] };
        let plan = DecodePlan { format: Format::Raw, schema: schema.clone(), needs, event_time: None };
        let ((to, inbox), (out, rows)) = (edge(), edge());
        let mut node = DecodeNode {
            name: "lines".into(),
            inbox: Inbox::new(vec![vec![inbox]]),
            decoder: Some(codec::decoder(plan)),
            layout: Arc::new(Layout::of_source(&schema)),
            event_time: None,
            outbox: Outbox::new(vec![vec![Receiver { split: Split::Whole, lanes: vec![out] }]], None),
            pace: Pace::new(0),
            counters: Arc::default(),
            watermark: Micros::MIN,
        };
        let (len, data) = (2 * ROWS, ["a\n".repeat(ROWS).as_bytes(), &[0; PADDING]].concat().into());
        let (source, partition) = ("lines".into(), "p".into());
        let chunk = Chunk { source, partition, data, len, offset: 0, line: 1, header: None, broken: None };
        to.send(Message::Chunk(chunk, 0)).unwrap();
        assert_eq!(node.step(&ManualClock::default()), Step::Progressed);
        let Some(Message::Rows(parcel)) = rows.receive() else { panic!("a chunk becomes one message") };
        let sizes: Vec<usize> = parcel.batches.iter().map(Batch::rows).collect();
        assert_eq!(sizes, [BATCH_ROWS_MAX; ROWS / BATCH_ROWS_MAX]);
        assert_eq!(parcel.batches[15].records().line(parcel.batches[15].record(0)), Some(15 * 8_192 + 1));
        assert!(rows.receive().is_none());
    }
}
