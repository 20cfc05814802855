//! Edges: bounded queues between nodes, and the inbox that merges them without losing the order.
//!
//! A node that has several lanes gives its chunks out in turn, and every lane answers each message with exactly one
//! message to every lane that it feeds, empty where there is nothing. An inbox therefore takes from the lanes of one
//! upstream in turn and sees the rows in the order of the source, however the lanes were scheduled: rows of one key
//! stay in order, and a pipeline of four lanes writes the same bytes as one of a single lane.
//!
//! A barrier is taken from all lanes of all upstreams before it is passed on; who has given it waits for the others.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::batch::Batch;
use crate::clock::Micros;
use crate::codec::Chunk;
use crate::counters::Flow;
use crate::dead_letter::DeadLetter;
use crate::limits::EDGE_MESSAGES;

/// Rows that one message of an upstream became.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The rows, in order; often one batch, none where all was filtered out or went to another lane.
    pub batches: Vec<Batch>,
    /// Event time up to which the sender's input is complete.
    pub watermark: Micros,
}

/// Rows of a sink, encoded.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The rows.
    pub batch: Batch,
    /// They as bytes; empty for a sink that takes columns.
    pub bytes: Vec<u8>,
    /// One past the last byte of each row.
    pub ends: Vec<u32>,
}

/// What goes along an edge.
#[derive(Clone, Debug)]
pub enum Message {
    /// Bytes from a source to a lane that decodes, and when they were read.
    Chunk(Chunk, Micros),
    /// Rows.
    Rows(Parcel),
    /// Rows on the way to a sink's writer.
    Encoded(Vec<Encoded>),
    /// Records given up.
    Dead(Vec<DeadLetter>),
    /// End of the epoch of that number.
    Barrier(u64),
    /// Nothing comes any more. Follows the last barrier.
    End,
}

impl Message {
    /// Its rows, where it has some: what only keeps the order, or marks a place in it, does not count.
    fn rows(&self) -> Option<u64> {
        let rows = match self {
            Self::Rows(parcel) => parcel.batches.iter().map(Batch::rows).sum(),
            Self::Encoded(blocks) => blocks.iter().map(|block| block.batch.rows()).sum(),
            Self::Dead(letters) => letters.len(),
            Self::Chunk(..) | Self::Barrier(_) | Self::End => 0,
        };
        (rows > 0).then_some(rows as u64)
    }
}

/// The sending end of an edge.
#[derive(Debug)]
pub struct Tx(SyncSender<Message>, Arc<Flow>);

/// The receiving end of an edge.
#[derive(Debug)]
pub struct Rx(Receiver<Message>, Arc<Flow>);

/// An edge that holds [`EDGE_MESSAGES`] messages.
#[must_use]
pub fn edge() -> (Tx, Rx) {
    counted(&Arc::default())
}

/// The same, counted with others.
#[must_use]
pub fn counted(flow: &Arc<Flow>) -> (Tx, Rx) {
    let (tx, rx) = sync_channel(EDGE_MESSAGES);
    (Tx(tx, flow.clone()), Rx(rx, flow.clone()))
}

impl Tx {
    /// Sends, or gives the message back because the edge is full. A receiver that is gone takes everything: it can only
    /// be gone because the pipeline has failed.
    ///
    /// # Errors
    /// The message, when there is no room.
    pub fn send(&self, message: Message) -> Result<(), Message> {
        let rows = message.rows();
        match self.0.try_send(message) {
            Ok(()) => {
                rows.into_iter().for_each(|rows| self.1.send(rows));
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Ok(()),
            Err(TrySendError::Full(message)) => Err(message),
        }
    }
}

impl Rx {
    /// The next message, if there is one. A sender that is gone without [`Message::End`] has failed: nothing comes.
    #[must_use]
    pub fn receive(&self) -> Option<Message> {
        let message = self.0.try_recv().ok()?;
        message.rows().into_iter().for_each(|rows| self.1.take(rows));
        Some(message)
    }
}

/// What an inbox has for its node.
#[derive(Debug)]
pub enum Delivery {
    /// A message from the upstream of that number: chunk, rows, encoded rows or dead letters.
    Message(usize, Message),
    /// All upstreams have given this barrier.
    Barrier(u64),
    /// All upstreams have ended.
    End,
    /// Nothing yet.
    Nothing,
}

/// The lanes of one upstream.
#[derive(Debug)]
struct Upstream {
    lanes: Vec<Lane>,
    /// Lane whose turn it is.
    turn: usize,
}

#[derive(Debug)]
struct Lane {
    rx: Rx,
    state: LaneState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LaneState {
    Open,
    AtBarrier(u64),
    Ended,
}

/// All that a node reads from.
#[derive(Debug)]
pub struct Inbox {
    upstreams: Vec<Upstream>,
    /// Upstream that is asked first, so that none starves.
    first: usize,
    ended: bool,
}

impl Inbox {
    /// An inbox over upstreams, each with the edges of its lanes in order.
    #[must_use]
    pub fn new(upstreams: Vec<Vec<Rx>>) -> Self {
        assert!(upstreams.iter().all(|lanes| !lanes.is_empty()), "an upstream has at least one lane");
        let lane = |rx| Lane { rx, state: LaneState::Open };
        let upstream = |lanes: Vec<Rx>| Upstream { lanes: lanes.into_iter().map(lane).collect(), turn: 0 };
        Self { upstreams: upstreams.into_iter().map(upstream).collect(), first: 0, ended: false }
    }

    /// The lane that the next message has to come from; none where there are several upstreams, or nothing can come
    /// before a barrier.
    #[must_use]
    pub fn turn(&self) -> Option<u32> {
        let [Upstream { lanes, turn }] = &self.upstreams[..] else { return None };
        let in_turn = (*turn..turn + lanes.len()).map(|lane| lane % lanes.len());
        in_turn.into_iter().find(|lane| lanes[*lane].state == LaneState::Open).and_then(|lane| u32::try_from(lane).ok())
    }

    /// What comes next.
    pub fn take(&mut self) -> Delivery {
        let count = self.upstreams.len();
        for i in 0..count {
            let number = (self.first + i) % count;
            if let Some(message) = self.upstreams[number].next() {
                self.first = (number + 1) % count;
                return Delivery::Message(number, message);
            }
        }
        self.aligned()
    }

    /// Whether every lane of every upstream stands at a barrier, or has ended.
    fn aligned(&mut self) -> Delivery {
        let lanes = || self.upstreams.iter().flat_map(|upstream| &upstream.lanes);
        if self.ended || lanes().any(|lane| lane.state == LaneState::Open) {
            return Delivery::Nothing;
        }
        let barrier = lanes().find_map(|lane| match lane.state {
            LaneState::AtBarrier(epoch) => Some(epoch),
            LaneState::Open | LaneState::Ended => None,
        });
        let Some(epoch) = barrier else {
            self.ended = true;
            return Delivery::End;
        };
        for lane in self.upstreams.iter_mut().flat_map(|upstream| &mut upstream.lanes) {
            if let LaneState::AtBarrier(of_lane) = lane.state {
                assert_eq!(of_lane, epoch, "barriers come in the same order on every lane");
                lane.state = LaneState::Open;
            }
        }
        Delivery::Barrier(epoch)
    }
}

impl Upstream {
    /// The next message of the lane whose turn it is. Barriers and ends are noted, and the lane is passed over: they
    /// cut all lanes at the same message, so the others have nothing before theirs, and the turn stays where it is.
    fn next(&mut self) -> Option<Message> {
        let count = self.lanes.len();
        for number in (self.turn..self.turn + count).map(|i| i % count) {
            let lane = &mut self.lanes[number];
            if lane.state == LaneState::Open {
                match lane.rx.receive()? {
                    Message::Barrier(epoch) => lane.state = LaneState::AtBarrier(epoch),
                    Message::End => lane.state = LaneState::Ended,
                    message => {
                        self.turn = (number + 1) % count;
                        return Some(message);
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(watermark: Micros) -> Message {
        Message::Rows(Parcel { batches: Vec::new(), watermark })
    }

    fn letter() -> DeadLetter {
        let [source, partition, stage] = ["rows", "0", "stage"].map(Arc::from);
        let (at, offset, line, component, backtrace) = (0, 0, None, None, None);
        let (reason, record) = (String::new(), Vec::new());
        DeadLetter { at, source, partition, offset, line, stage, component, reason, backtrace, record }
    }

    fn drain(inbox: &mut Inbox) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            seen.push(match inbox.take() {
                Delivery::Message(from, Message::Rows(parcel)) => format!("{from}:{}", parcel.watermark),
                Delivery::Message(..) => panic!("only rows were sent"),
                Delivery::Barrier(epoch) => format!("barrier {epoch}"),
                Delivery::End => "end".into(),
                Delivery::Nothing => return seen,
            });
        }
    }

    #[test]
    fn lanes_are_taken_in_turn_whatever_came_first() {
        let (edges, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| edge()).unzip();
        let mut inbox = Inbox::new(vec![receivers]);
        edges[2].send(rows(2)).unwrap();
        edges[1].send(rows(1)).unwrap();
        assert!(drain(&mut inbox).is_empty(), "lane 0 is first");
        edges[0].send(rows(0)).unwrap();
        edges[0].send(rows(3)).unwrap();
        assert_eq!(drain(&mut inbox), ["0:0", "0:1", "0:2", "0:3"]);
    }

    #[test]
    fn the_turn_is_kept_across_a_barrier() {
        let (edges, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| edge()).unzip();
        let mut inbox = Inbox::new(vec![receivers]);
        edges[0].send(rows(0)).unwrap();
        edges.iter().for_each(|edge| edge.send(Message::Barrier(1)).unwrap());
        edges[1].send(rows(1)).unwrap();
        edges[2].send(rows(2)).unwrap();
        edges[0].send(rows(3)).unwrap();
        edges.iter().for_each(|edge| edge.send(Message::End).unwrap());
        assert_eq!(drain(&mut inbox), ["0:0", "barrier 1", "0:1", "0:2", "0:3", "end"]);
    }

    #[test]
    fn whose_turn_it_is_is_known_where_only_one_lane_can_be_next() {
        let (edges, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| edge()).unzip();
        let mut inbox = Inbox::new(vec![receivers]);
        assert_eq!(inbox.turn(), Some(0));
        edges[0].send(rows(0)).unwrap();
        edges[1].send(Message::Barrier(1)).unwrap();
        assert_eq!(drain(&mut inbox), ["0:0"]);
        assert_eq!(inbox.turn(), Some(2), "lane 1 is at the barrier");
        [0, 2].iter().for_each(|lane: &usize| edges[*lane].send(Message::Barrier(1)).unwrap());
        assert_eq!(drain(&mut inbox), ["barrier 1"]);
        assert_eq!(inbox.turn(), Some(1), "the turn is kept");
        let (one, other) = (edge().1, edge().1);
        assert_eq!(Inbox::new(vec![vec![one], vec![other]]).turn(), None, "either upstream may be next");
    }

    #[test]
    fn a_barrier_waits_for_every_upstream_and_skips_those_that_ended() {
        let ((a, ra), (b, rb), (c, rc)) = (edge(), edge(), edge());
        let mut inbox = Inbox::new(vec![vec![ra], vec![rb], vec![rc]]);
        c.send(Message::End).unwrap();
        a.send(Message::Barrier(7)).unwrap();
        a.send(rows(70)).unwrap();
        b.send(rows(1)).unwrap();
        assert_eq!(drain(&mut inbox), ["1:1"], "what is behind a's barrier waits for b's");
        b.send(Message::Barrier(7)).unwrap();
        assert_eq!(drain(&mut inbox), ["barrier 7", "0:70"]);
    }

    #[test]
    fn what_was_sent_and_not_taken_waits_and_what_has_no_rows_does_not_count() {
        let (flow, letter) = (Arc::default(), letter());
        let ((a, ra), (b, rb)) = (counted(&flow), counted(&flow));
        a.send(rows(0)).unwrap();
        a.send(Message::Barrier(1)).unwrap();
        a.send(Message::Dead(vec![letter.clone(); 3])).unwrap();
        b.send(Message::Dead(vec![letter.clone()])).unwrap();
        assert_eq!((flow.messages(), flow.rows(), flow.passed()), (2, 4, 0));
        while ra.receive().is_some() {}
        assert_eq!((flow.messages(), flow.rows(), flow.passed()), (1, 1, 3));
        rb.receive().unwrap();
        (0..EDGE_MESSAGES).for_each(|_| a.send(rows(0)).unwrap());
        assert!(a.send(Message::Dead(vec![letter])).is_err());
        assert_eq!((flow.messages(), flow.rows(), flow.passed()), (0, 0, 4), "what found no room is with its sender");
    }

    #[test]
    fn a_full_edge_gives_the_message_back() {
        let (tx, _rx) = edge();
        for _ in 0..EDGE_MESSAGES {
            tx.send(rows(0)).unwrap();
        }
        assert!(tx.send(rows(9)).is_err());
    }
}
