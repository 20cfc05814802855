//! Values longer than a word: bytes that cells point into.
//!
//! A value takes whole words of 8 bytes and stays where it is as long as it fits. What is given up is only counted;
//! when more than half is dead, the owner moves what is alive to a new arena ([`Arena::wasteful`]). A byte is thus
//! moved at most once for each byte that was given up.

/// Where a value lies: its first word in the upper half, its length in bytes in the lower. The empty value is 0.
pub(super) type Place = u64;

/// Below so many bytes, dead ones are not worth a move.
const SMALL: usize = 4_096;

/// The arena of a lane.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    dead: usize,
}

impl Arena {
    /// An arena with room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), dead: 0 }
    }

    /// The value there.
    pub(super) fn get(&self, place: Place) -> &[u8] {
        let start = (place >> 32) as usize * 8;
        &self.bytes[start..start + len(place)]
    }

    /// Keeps a value.
    pub(super) fn insert(&mut self, value: &[u8]) -> Place {
        if value.is_empty() {
            return 0;
        }
        let start = self.bytes.len();
        let taken = room(value.len());
        if self.bytes.capacity() - start < taken {
            // A quarter more, not twice as much: spare room is memory that nobody accounts for.
            self.bytes.reserve_exact(taken.max(start / 4));
        }
        self.bytes.extend_from_slice(value);
        self.bytes.resize(start + taken, 0);
        let word = u32::try_from(start / 8).expect("limits keep an arena below 32 GiB");
        u64::from(word) << 32 | u64::from(u32::try_from(value.len()).expect("a value in a column is below 2 GiB"))
    }

    /// Puts a value where another was, or elsewhere if there is no room.
    pub(super) fn replace(&mut self, place: Place, value: &[u8]) -> Place {
        if value.is_empty() || room(value.len()) > room(len(place)) {
            self.remove(place);
            return self.insert(value);
        }
        let start = (place >> 32) as usize * 8;
        self.bytes[start..start + value.len()].copy_from_slice(value);
        self.dead += room(len(place)) - room(value.len());
        place & !0xFFFF_FFFF | value.len() as u64
    }

    /// Gives a value up.
    pub(super) fn remove(&mut self, place: Place) {
        self.dead += room(len(place));
    }

    /// Bytes in use, dead ones too, spare room (at most a quarter) not.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of values that are alive.
    pub(super) fn alive(&self) -> usize {
        self.bytes.len() - self.dead
    }

    /// Whether so much is dead that what is alive should move.
    pub(super) fn wasteful(&self) -> bool {
        self.dead * 2 > self.bytes.len() && self.bytes.len() > SMALL
    }
}

/// The length of a value in bytes.
fn len(place: Place) -> usize {
    (place & 0xFFFF_FFFF) as usize
}

/// Bytes that a value of that length takes.
pub(super) fn room(len: usize) -> usize {
    len.next_multiple_of(8)
}
