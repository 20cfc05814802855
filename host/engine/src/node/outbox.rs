//! What a node has to send: to whom, how split over lanes, and what waits because there was no room.
//!
//! Every message to a port becomes one message on each edge of that port, so that receivers can keep the order (see
//! [`crate::edge`]). Order on each edge is the order of [`Outbox::push`].

use std::collections::VecDeque;

use crate::batch::Batch;
use crate::dead_letter::DeadLetter;
use crate::edge::{Delivery, Message, Parcel, Tx};
use crate::key::{self, Keys};
use crate::node::Step;

/// How the rows of a port are shared among the lanes of a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Split {
    /// There is one edge, it gets all.
    Whole,
    /// Each message goes to the next lane; the others get an empty one.
    Turn,
    /// Rows go to the lane that owns their key, which is made of these fields.
    Key(Vec<usize>),
}

/// One receiver of a port.
#[derive(Debug)]
pub struct Receiver {
    /// How rows are shared.
    pub split: Split,
    /// One edge for each lane of the receiver that this sender feeds.
    pub lanes: Vec<Tx>,
}

/// All that a node sends.
#[derive(Debug)]
pub struct Outbox {
    /// The receivers of each port.
    ports: Vec<Vec<Receiver>>,
    /// The edge to the dead letters, where the pipeline has some.
    dead: Option<Tx>,
    /// What found no room: the receiver's address and the message.
    waiting: VecDeque<(Address, Message)>,
    /// Messages sent to each port so far, for [`Split::Turn`].
    sent: Vec<usize>,
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Address {
    Lane { port: usize, receiver: usize, lane: usize },
    Dead,
}

impl Outbox {
    /// An outbox with the receivers of each port, and the edge to the dead letters.
    #[must_use]
    pub fn new(ports: Vec<Vec<Receiver>>, dead: Option<Tx>) -> Self {
        let sent = vec![0; ports.len()];
        Self { ports, dead, waiting: VecDeque::new(), sent, ended: false }
    }

    /// Whether there is a place for dead letters.
    #[must_use]
    pub fn takes_dead_letters(&self) -> bool {
        self.dead.is_some()
    }

    /// Sends what waits. False: some of it still has no room.
    pub fn flush(&mut self) -> bool {
        // An edge that is full keeps all that is behind the first message that it refused; others go on.
        let mut full: Vec<Address> = Vec::new();
        for _ in 0..self.waiting.len() {
            let (to, message) = self.waiting.pop_front().expect("as many as were counted");
            if full.contains(&to) {
                self.waiting.push_back((to, message));
            } else if let Err(message) = self.edge(to).send(message) {
                full.push(to);
                self.waiting.push_back((to, message));
            }
        }
        self.waiting.is_empty()
    }

    /// Sends rows of one message to the receivers of a port.
    pub fn rows(&mut self, port: usize, parcel: Parcel) {
        self.sent[port] += 1;
        let receivers = self.ports[port].len();
        for receiver in 0..receivers {
            let Receiver { split, lanes } = &self.ports[port][receiver];
            let lanes = lanes.len();
            let shares = match split {
                Split::Whole => vec![parcel.batches.clone()],
                Split::Turn => turn(&parcel.batches, self.sent[port] % lanes, lanes),
                Split::Key(fields) => by_key(&parcel.batches, fields, lanes),
            };
            for (lane, batches) in shares.into_iter().enumerate() {
                let message = Message::Rows(Parcel { batches, watermark: parcel.watermark });
                self.push(Address::Lane { port, receiver, lane }, message);
            }
        }
    }

    /// Sends a message that only `lane` of the only receiver gets: chunks to lanes that decode, encoded rows to a
    /// writer.
    pub fn only(&mut self, lane: usize, message: Message) {
        self.push(Address::Lane { port: 0, receiver: 0, lane }, message);
    }

    /// Sends dead letters.
    pub fn dead(&mut self, letters: Vec<DeadLetter>) {
        assert!(self.dead.is_some(), "whoever gives a record up has asked whether there are dead letters");
        if !letters.is_empty() {
            self.push(Address::Dead, Message::Dead(letters));
        }
    }

    /// Sends a barrier or the end to everybody.
    pub fn broadcast(&mut self, message: &Message) {
        let lanes = |(port, receivers): (usize, &Vec<Receiver>)| -> Vec<Address> {
            let of = |(receiver, to): (usize, &Receiver)| {
                (0..to.lanes.len()).map(move |lane| Address::Lane { port, receiver, lane })
            };
            receivers.iter().enumerate().flat_map(of).collect()
        };
        let mut addresses: Vec<Address> = self.ports.iter().enumerate().flat_map(lanes).collect();
        addresses.extend(self.dead.is_some().then_some(Address::Dead));
        for to in addresses {
            self.push(to, message.clone());
        }
    }

    /// Passes a barrier or the end on; a node does so with all deliveries but messages, which are its own.
    pub fn pass(&mut self, delivery: &Delivery) -> Step {
        match delivery {
            Delivery::Message(_, message) => panic!("no message of this kind comes to this node: {message:?}"),
            Delivery::Barrier(epoch) => self.broadcast(&Message::Barrier(*epoch)),
            Delivery::End => {
                self.broadcast(&Message::End);
                self.ended = true;
            }
            Delivery::Nothing => return Step::Idle { until: None },
        }
        Step::Progressed
    }

    /// Sends what waits: what the node's step comes to before it may take anything, if it may not.
    pub fn settle(&mut self) -> Option<Step> {
        match (self.flush(), self.ended) {
            (false, _) => Some(Step::Blocked),
            (true, true) => Some(Step::Finished),
            (true, false) => None,
        }
    }

    fn push(&mut self, to: Address, message: Message) {
        if self.waiting.iter().any(|(waits, _)| *waits == to) {
            self.waiting.push_back((to, message));
        } else if let Err(message) = self.edge(to).send(message) {
            self.waiting.push_back((to, message));
        }
    }

    fn edge(&self, to: Address) -> &Tx {
        match to {
            Address::Lane { port, receiver, lane } => &self.ports[port][receiver].lanes[lane],
            Address::Dead => self.dead.as_ref().expect("only sent to where there is one"),
        }
    }
}

/// All rows to lane `to`, nothing to the others.
fn turn(batches: &[Batch], to: usize, lanes: usize) -> Vec<Vec<Batch>> {
    (0..lanes).map(|lane| if lane == to { batches.to_vec() } else { Vec::new() }).collect()
}

/// Each row to the lane that owns its key.
fn by_key(batches: &[Batch], fields: &[usize], lanes: usize) -> Vec<Vec<Batch>> {
    if lanes == 1 {
        return vec![batches.to_vec()];
    }
    let mut shares = vec![Vec::new(); lanes];
    for batch in batches {
        let columns: Vec<_> = fields.iter().map(|field| batch.column(*field)).collect();
        for (lane, rows) in key::partition(Keys::encode(&columns).hashes(), lanes as u32).into_iter().enumerate() {
            if !rows.is_empty() {
                shares[lane].push(batch.pick(&rows));
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::batch::{Layout, Records};
    use crate::edge::{Rx, edge};
    use crate::schema::Schema;

    /// Rows without fields.
    fn rows(rows: usize) -> Vec<Batch> {
        let (source, partition) = ("s".into(), "p".into());
        let (columns, event_time, message, raw) = (Vec::new(), None, None, None);
        let records = Records { source, partition, rows, columns, event_time, message, raw, first: 0 };
        vec![Batch::new(Arc::new(records), Arc::new(Layout::of_source(&Schema::new(Vec::new()))))]
    }

    #[test]
    fn every_port_gives_its_rows_to_all_lanes_in_turn() {
        let port = || {
            let (lanes, receivers): (Vec<Tx>, Vec<Rx>) = (0..2).map(|_| edge()).unzip();
            (vec![Receiver { split: Split::Turn, lanes }], receivers)
        };
        let (ports, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| port()).unzip();
        let mut outbox = Outbox::new(ports, None);
        for _ in 0..4 {
            (0..2).for_each(|port| outbox.rows(port, Parcel { batches: rows(3), watermark: 0 }));
        }
        for lane in receivers.iter().flatten() {
            let messages = std::iter::from_fn(|| lane.receive());
            let fed = messages.map(|message| matches!(message, Message::Rows(parcel) if !parcel.batches.is_empty()));
            let fed: Vec<bool> = fed.collect();
            assert_eq!(fed.len(), 4, "an empty message where there are no rows");
            assert_eq!(fed.iter().filter(|fed| **fed).count(), 2, "every second one has rows: {fed:?}");
        }
    }
}
