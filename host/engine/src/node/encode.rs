//! The encode node: one lane before a sink, from batches to bytes. A sink that takes columns gets them as they are.

use std::sync::Arc;

use crate::batch::{Batch, Layout};
use crate::clock::Clock;
use crate::codec::Encoder;
use crate::dead_letter;
use crate::edge::{Delivery, Encoded, Inbox, Message};
use crate::limits::BATCH_ROWS_MAX;
use crate::node::outbox::Outbox;
use crate::node::{Node, Step};

/// Bytes that a row is taken to need before any was encoded.
const BYTES_PER_ROW_START: usize = 256;

/// One lane before a sink.
pub struct EncodeNode {
    /// Name of the sink.
    pub name: Arc<str>,
    /// From upstream.
    pub inbox: Inbox,
    /// None for a sink that takes columns.
    pub encoder: Option<Box<dyn Encoder>>,
    /// Layout of dead letters as rows, where this is their sink.
    pub dead: Option<Arc<Layout>>,
    /// To the writer.
    pub outbox: Outbox,
    /// Bytes that the last block took, to reserve as many for the next.
    pub expected: usize,
}

impl EncodeNode {
    fn encode(&mut self, batch: Batch) -> Encoded {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        if let Some(encoder) = &mut self.encoder {
            let expected = self.expected.max(batch.rows() * BYTES_PER_ROW_START);
            bytes.reserve(expected + expected / 8);
            ends.reserve(batch.rows());
            encoder.encode(&batch, &mut bytes, &mut ends);
            assert_eq!(ends.len(), batch.rows(), "an encoder writes every row");
            self.expected = bytes.len();
        }
        Encoded { batch, bytes, ends }
    }

    fn encode_all(&mut self, batches: Vec<Batch>) {
        let pieces = batches.into_iter().flat_map(|batch| batch.pieces(BATCH_ROWS_MAX));
        let blocks = pieces.map(|batch| self.encode(batch)).collect();
        self.outbox.only(0, Message::Encoded(blocks));
    }
}

impl Node for EncodeNode {
    fn step(&mut self, _clock: &dyn Clock) -> Step {
        if let Some(step) = self.outbox.settle() {
            return step;
        }
        match self.inbox.take() {
            Delivery::Message(_, Message::Rows(parcel)) => self.encode_all(parcel.batches),
            Delivery::Message(_, Message::Dead(letters)) => {
                let layout = self.dead.as_ref().expect("dead letters come only to their sink");
                let batch = dead_letter::batch(&letters, layout);
                self.encode_all(vec![batch]);
            }
            other => return self.outbox.pass(&other),
        }
        Step::Progressed
    }

    fn name(&self) -> &str {
        &self.name
    }
}
