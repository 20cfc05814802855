//! Follows files: reads what is appended to them, and files that appear and match.
//!
//! A file is known by its device and inode, so one that is renamed is not read again, and another that takes its name
//! is.
//! - Gone, or renamed to what does not match: read to its end, and on for [`SETTLED`], because its writer may not
//!   know yet. One that is so before it was opened cannot be read.
//! - Cut (shorter than what was read of it): its partition breaks off, and it is read again from its start.
//! - Packed: read once, when it has not grown for [`SETTLED`], because a packed file that is still being written
//!   looks broken.
//!
//! A file that begins again, or has the name of an earlier one, is a partition of its own with the same name and a
//! higher number. After a restart a file is known by its name alone, so the pattern should not match the names that
//! rotated files get.
//!
//! Always true: what is read as a file has its identity, though names go to other files between a look and an opening;
//! and a partition whose end was brought is forgotten as soon as no file is it any more.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmill_engine::clock::Micros;
use wasmill_engine::source::{Position, Read, SourceError, SourceReader};

use super::input::{Identity, Input, Piece, beginning, short};
use super::listing::{Entry, list};

/// Time between two looks at the files, in microseconds.
const LOOK_EVERY: Micros = 200_000;

/// Time after which a packed file that does not grow is taken for whole, in microseconds.
const SETTLED: Micros = 5_000_000;

/// Bytes that one file may bring in a row while others have some too.
const TURN_BYTES: u64 = 16 << 20;

/// Files that stay open while nothing happens to them; a deleted one can be read to its end only while it is open.
const OPEN_FILES: usize = 256;

/// A source over files that grow.
pub(super) struct Followed {
    base: PathBuf,
    paths: Vec<String>,
    /// By number of their partition.
    tails: BTreeMap<u32, Tail>,
    /// The number of the next file that is found.
    next: u32,
    /// Numbers of files that are gone and were read to their end.
    gone: Vec<u32>,
    /// Positions that `seek` gave, until their files are found.
    wanted: BTreeMap<Arc<str>, Position>,
    /// The file whose turn it is, and the bytes that it brought in this turn.
    turn: (u32, u64),
    /// When to look at the files again.
    look_at: Option<Micros>,
    /// Bytes on disk at the last look that were not read since.
    behind: u64,
}

/// One file that is followed.
struct Tail {
    path: PathBuf,
    start: Position,
    /// None once the file has ended and its inode may be another's.
    identity: Option<Identity>,
    packed: bool,
    /// The next byte to read.
    offset: u64,
    /// Bytes on disk at the last look.
    length: u64,
    input: Option<Input>,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Not opened yet.
    New,
    /// Packed, and unchanged since then.
    Settling(Micros),
    /// There may be something to read.
    Ready,
    /// Read to its end, for now.
    Quiet,
    /// The file is gone: it ends at its end, but not before then.
    Gone(Micros),
    /// It was cut, with this reason.
    Cut(String),
    /// Nothing more of it.
    Ended,
}

impl Followed {
    /// A source over what `paths` match now and later.
    pub(super) fn new(base: &Path, paths: &[String]) -> Self {
        let (base, paths) = (base.to_owned(), paths.to_vec());
        let (tails, wanted) = (BTreeMap::new(), BTreeMap::new());
        Self { base, paths, tails, next: 0, gone: Vec::new(), wanted, turn: (0, 0), look_at: None, behind: 0 }
    }

    /// Looks at all files: which grew, which are new, which are gone.
    fn look(&mut self, now: Micros) -> Result<(), SourceError> {
        let entries = list(&self.base, &self.paths)?.entries.into_iter();
        // What is gone since it was listed is seen as gone.
        let found = entries.filter_map(|entry| std::fs::metadata(&entry.path).ok().map(|metadata| (entry, metadata)));
        let found: Vec<_> = found.map(|(entry, is)| (entry, (is.dev(), is.ino()), is.len())).collect();
        let by_identity: BTreeMap<Identity, usize> = found.iter().enumerate().map(|(i, it)| (it.1, i)).collect();
        let last = self.tails.iter().filter_map(|(number, tail)| Some((tail.identity?, *number)));
        let last: BTreeMap<Identity, u32> = last.collect();
        let mut known = BTreeSet::new();
        for (number, tail) in &mut self.tails {
            let Some(identity) = tail.identity else { continue };
            if tail.state == State::Ended && last[&identity] != *number {
                // The file began again as the later one, which has its position from now on.
                tail.identity = None;
                continue;
            }
            match by_identity.get(&identity) {
                Some(i) => {
                    let (entry, _, length) = &found[*i];
                    if tail.found(entry, *length, now)? {
                        known.insert(identity);
                    }
                }
                None => tail.missed(now),
            }
        }
        for (entry, identity, length) in found {
            if known.insert(identity) {
                self.add(entry, identity, length, now)?;
            }
        }
        // Their end was brought, and what may have their inode is another: under rotation there are more and more.
        self.gone.extend(self.tails.iter().filter(|(_, tail)| tail.identity.is_none()).map(|(number, _)| *number));
        self.tails.retain(|_, tail| tail.identity.is_some());
        for lost in std::mem::take(&mut self.wanted).into_values() {
            tracing::warn!("{} is not there; it was read up to byte {} before", lost.partition, lost.offset);
        }
        self.close();
        self.behind = self.tails.values().map(Tail::behind).sum();
        Ok(())
    }

    fn add(&mut self, entry: Entry, identity: Identity, length: u64, now: Micros) -> Result<(), SourceError> {
        let name: Arc<str> = entry.name.as_str().into();
        let beginning = Position { partition: name.clone(), offset: 0, line: 0 };
        let start = self.wanted.remove(&name).unwrap_or(beginning);
        let mut tail = Tail {
            path: entry.path.clone(),
            offset: start.offset,
            start,
            identity: Some(identity),
            packed: false,
            length: 0,
            input: None,
            state: State::New,
        };
        tail.found(&entry, length, now)?;
        self.tails.insert(self.next, tail);
        self.next += 1;
        Ok(())
    }

    /// Closes quiet files where too many are open, those first that were found first.
    fn close(&mut self) {
        let open = self.tails.values().filter(|tail| tail.input.is_some()).count();
        let quiet = self.tails.values_mut().filter(|tail| tail.state == State::Quiet && tail.input.is_some());
        quiet.take(open.saturating_sub(OPEN_FILES)).for_each(|tail| tail.input = None);
    }

    /// Gives the turn to the next file.
    fn pass(&mut self) {
        let behind = self.tails.range(self.turn.0 + 1..).chain(&self.tails).next();
        self.turn = (behind.map_or(0, |(number, _)| *number), 0);
    }
}

impl Tail {
    /// Takes notice of where the file is and how long. False when what is there must be read as a new file.
    fn found(&mut self, entry: &Entry, length: u64, now: Micros) -> Result<bool, SourceError> {
        let before = std::mem::replace(&mut self.length, length);
        self.path.clone_from(&entry.path);
        match &self.state {
            State::Cut(_) => return Ok(false),
            // Shorter than it was: another file with an old inode.
            State::Ended => return Ok(length >= before),
            State::New => self.begin(length, now)?,
            State::Settling(_) if length != before => self.state = State::Settling(now),
            State::Settling(since) if now - since >= SETTLED => self.state = State::Ready,
            State::Settling(_) => {}
            State::Ready | State::Quiet | State::Gone(_) if self.packed => {}
            State::Ready | State::Quiet | State::Gone(_) if length < self.offset => {
                self.state = State::Cut(format!(
                    "{} was cut to {length} bytes when {} had been read; it is read again from its start",
                    self.path.display(),
                    self.offset
                ));
                return Ok(false);
            }
            State::Quiet if length == self.offset => {}
            State::Ready | State::Quiet | State::Gone(_) => self.state = State::Ready,
        }
        Ok(true)
    }

    /// Opens a file for the first time, once it has something.
    fn begin(&mut self, length: u64, now: Micros) -> Result<(), SourceError> {
        if length == 0 && self.offset == 0 {
            return Ok(());
        }
        let input = Input::open_if_there(&self.path, self.offset)?;
        let Some(input) = input.filter(|input| Some(input.identity()) == self.identity) else {
            // Its name is nobody's or another's by now. The next look finds it by another name, or that it is gone.
            return Ok(());
        };
        self.packed = input.is_packed();
        if self.packed {
            self.state = State::Settling(now);
        } else if length < self.offset {
            return Err(short(&self.path, length, self.offset));
        } else {
            self.state = State::Ready;
        }
        self.input = Some(input);
        Ok(())
    }

    /// Takes notice that no file that matches is this one.
    fn missed(&mut self, now: Micros) {
        match self.state {
            State::New => {
                if self.length > self.offset {
                    tracing::warn!("{} was gone before it could be opened; it was not read", self.path.display());
                }
                self.end();
            }
            State::Ended => self.identity = None,
            State::Settling(_) | State::Ready | State::Quiet => self.state = State::Gone(now + SETTLED),
            State::Gone(_) | State::Cut(_) => {}
        }
    }

    /// The next read of this file; none when it has nothing.
    fn read(&mut self, number: u32, now: Micros, max: usize, into: &mut Vec<u8>) -> Result<Option<Read>, SourceError> {
        match &mut self.state {
            State::New | State::Settling(_) | State::Quiet | State::Ended => return Ok(None),
            State::Cut(reason) => {
                let reason = std::mem::take(reason);
                return Ok(Some(self.breaks(number, reason)));
            }
            State::Ready | State::Gone(_) => {}
        }
        let input = match &mut self.input {
            Some(input) => input,
            None => match Input::open_if_there(&self.path, self.offset)? {
                Some(input) if Some(input.identity()) == self.identity => self.input.insert(input),
                // It was closed, and its name is nobody's or another's by now: the next look says which name it has.
                _ if self.state == State::Ready => {
                    self.state = State::Quiet;
                    return Ok(None);
                }
                _ => {
                    let (path, offset) = (self.path.display(), self.offset);
                    let reason = format!("{path} vanished; what was added to it after byte {offset} was not read");
                    return Ok(Some(self.breaks(number, reason)));
                }
            },
        };
        let piece = input.read(max, into)?;
        self.offset = input.offset();
        Ok(match piece {
            Piece::Bytes => Some(Read::Bytes { partition: number }),
            Piece::Skipped => Some(Read::Idle { until: Some(now) }),
            Piece::Broken(reason) => Some(self.breaks(number, reason)),
            Piece::End => match self.state {
                State::Gone(until) if now < until => None,
                State::Ready if !self.packed => {
                    self.state = State::Quiet;
                    None
                }
                _ => {
                    self.end();
                    Some(Read::End { partition: number })
                }
            },
        })
    }

    /// Bytes on disk at the last look that were not read.
    fn behind(&self) -> u64 {
        let read = match (&self.state, self.packed) {
            (State::Ended | State::Cut(_), _) => return 0,
            (_, true) => self.input.as_ref().map_or(0, Input::consumed),
            (_, false) => self.offset,
        };
        self.length.saturating_sub(read)
    }

    fn breaks(&mut self, number: u32, reason: String) -> Read {
        tracing::warn!("{reason}");
        self.end();
        Read::Broken { partition: number, reason }
    }

    fn end(&mut self) {
        if matches!(self.state, State::New | State::Gone(_)) {
            // It is not listed, and once it is closed a new file may get its inode.
            self.identity = None;
        }
        self.state = State::Ended;
        self.input = None;
    }
}

impl SourceReader for Followed {
    fn seek(&mut self, positions: &[Position]) -> Result<(), SourceError> {
        // Of several with one name the last is meant: the file that has the name now.
        self.wanted = positions.iter().map(|position| (position.partition.clone(), position.clone())).collect();
        self.wanted.retain(|_, position| position.offset > 0);
        Ok(())
    }

    fn read(&mut self, now: Micros, max: usize, _: usize, into: &mut Vec<u8>) -> Result<Read, SourceError> {
        if self.look_at.is_none_or(|at| now >= at) {
            self.look(now)?;
            self.look_at = Some(now + LOOK_EVERY);
        }
        if self.turn.1 >= TURN_BYTES {
            self.pass();
        }
        // Once more where the file whose turn it was is gone.
        for _ in 0..=self.tails.len() {
            let (number, before) = (self.turn.0, into.len());
            let tail = self.tails.get_mut(&number);
            if let Some(read) = tail.map_or(Ok(None), |tail| tail.read(number, now, max, into))? {
                let new = (into.len() - before) as u64;
                self.turn.1 += new;
                self.behind = self.behind.saturating_sub(new);
                return Ok(read);
            }
            self.pass();
        }
        Ok(Read::Idle { until: self.look_at })
    }

    fn partition(&self, number: u32) -> Arc<str> {
        self.tails[&number].start.partition.clone()
    }

    fn start(&self, number: u32) -> Position {
        self.tails[&number].start.clone()
    }

    fn beginning(&mut self, number: u32, max: usize, into: &mut Vec<u8>) -> Result<(), SourceError> {
        let tail = &self.tails[&number];
        // A file that is gone was read before: its name may be another's.
        Input::open_if_there(&tail.path, 0)?.map_or(Ok(()), |input| beginning(input, max, into))
    }

    fn progress(&self) -> Option<(u64, u64)> {
        None
    }

    fn behind(&self, _: Micros) -> Option<u64> {
        Some(self.behind)
    }

    fn forget(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.gone)
    }

    fn acknowledge(&mut self, _: &[Position]) -> Result<(), SourceError> {
        Ok(())
    }
}
