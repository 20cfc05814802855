//! A source whose bytes are given, in the pieces in which they shall come.
//!
//! Partitions take turns, a piece each, in the order in which they were given.

use std::collections::VecDeque;
use std::sync::Arc;

use wasmill_engine::clock::Micros;
use wasmill_engine::source::{Position, Read, SourceError, SourceReader};

/// What a partition does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Brings these bytes; in several reads where they are more than was asked for.
    Bytes(Vec<u8>),
    /// Has nothing for so many microseconds.
    Idle(Micros),
    /// Breaks off with this reason; what follows is never read.
    Broken(String),
    /// Fails the source, once.
    Fail(SourceError),
}

/// A source in memory.
#[derive(Clone, Debug)]
pub struct MemorySource {
    partitions: Vec<Partition>,
    /// Whose turn it is.
    turn: usize,
}

#[derive(Clone, Debug)]
struct Partition {
    start: Position,
    pieces: VecDeque<Piece>,
    /// Bytes that were taken off the first piece.
    taken: usize,
    idle_until: Option<Micros>,
    ended: bool,
}

impl MemorySource {
    /// A source of these partitions, each with its name and what it does.
    #[must_use]
    pub fn new(partitions: Vec<(&str, Vec<Piece>)>) -> Self {
        let partition = |(name, pieces): (&str, Vec<Piece>)| Partition {
            start: Position { partition: name.into(), offset: 0, line: 0 },
            pieces: pieces.into(),
            taken: 0,
            idle_until: None,
            ended: false,
        };
        Self { partitions: partitions.into_iter().map(partition).collect(), turn: 0 }
    }

    /// A source of one partition that brings `bytes` in pieces of `size`.
    ///
    /// # Panics
    /// When `size` is 0.
    #[must_use]
    pub fn split(partition: &str, bytes: &[u8], size: usize) -> Self {
        Self::new(vec![(partition, bytes.chunks(size).map(|piece| Piece::Bytes(piece.to_vec())).collect())])
    }
}

impl Partition {
    /// Leaves out the first `bytes`, whatever else the script does before them.
    fn skip(&mut self, mut bytes: u64) -> Result<(), SourceError> {
        while bytes > 0 {
            match self.pieces.front() {
                Some(Piece::Bytes(piece)) if (piece.len() as u64) > bytes => {
                    self.taken = bytes as usize;
                    return Ok(());
                }
                Some(Piece::Bytes(piece)) => bytes -= piece.len() as u64,
                Some(_) => {}
                None => {
                    let message = format!("`{}` is {bytes} bytes shorter than its position", self.start.partition);
                    return Err(SourceError { message, retriable: false });
                }
            }
            self.pieces.pop_front();
        }
        Ok(())
    }

    /// The next step of the script; none while the partition is idle.
    fn read(&mut self, number: u32, now: Micros, max: usize, into: &mut Vec<u8>) -> Result<Option<Read>, SourceError> {
        if self.idle_until.is_some_and(|until| now < until) {
            return Ok(None);
        }
        self.idle_until = None;
        match self.pieces.front() {
            Some(Piece::Bytes(piece)) => {
                let end = piece.len().min(self.taken + max.max(1));
                into.extend_from_slice(&piece[self.taken..end]);
                self.taken = end;
                if end == piece.len() {
                    self.pieces.pop_front();
                    self.taken = 0;
                }
                return Ok(Some(Read::Bytes { partition: number }));
            }
            Some(Piece::Idle(wait)) => self.idle_until = Some(now + wait),
            Some(Piece::Fail(error)) => {
                let error = error.clone();
                self.pieces.pop_front();
                return Err(error);
            }
            Some(Piece::Broken(reason)) => {
                let reason = reason.clone();
                self.ended = true;
                return Ok(Some(Read::Broken { partition: number, reason }));
            }
            None => {
                self.ended = true;
                return Ok(Some(Read::End { partition: number }));
            }
        }
        self.pieces.pop_front();
        Ok(None)
    }
}

impl SourceReader for MemorySource {
    fn seek(&mut self, positions: &[Position]) -> Result<(), SourceError> {
        for position in positions {
            let found = self.partitions.iter_mut().find(|partition| partition.start.partition == position.partition);
            let partition = found.ok_or_else(|| SourceError {
                message: format!("there is no partition `{}` in memory", position.partition),
                retriable: false,
            })?;
            partition.skip(position.offset)?;
            partition.start = position.clone();
        }
        Ok(())
    }

    fn read(&mut self, now: Micros, max: usize, _: usize, into: &mut Vec<u8>) -> Result<Read, SourceError> {
        for _ in 0..self.partitions.len() {
            let number = self.turn;
            self.turn = (self.turn + 1) % self.partitions.len();
            let partition = &mut self.partitions[number];
            if !partition.ended
                && let Some(read) = partition.read(number as u32, now, max, into)?
            {
                return Ok(read);
            }
        }
        let waits = self.partitions.iter().filter(|partition| !partition.ended).map(|partition| partition.idle_until);
        match waits.min() {
            None => Ok(Read::Finished),
            Some(until) => Ok(Read::Idle { until }),
        }
    }

    fn partition(&self, number: u32) -> Arc<str> {
        self.partitions[number as usize].start.partition.clone()
    }

    fn start(&self, number: u32) -> Position {
        self.partitions[number as usize].start.clone()
    }

    fn progress(&self) -> Option<(u64, u64)> {
        None
    }

    fn acknowledge(&mut self, _: &[Position]) -> Result<(), SourceError> {
        Ok(())
    }
}
