//! Takes events down as lines of JSON, and spoils some.

use std::ops::Range;

use wasmill_engine::clock::Micros;

use super::config::Config;
use super::event::describe;
use super::fields::Fields;
use super::random::Random;
use wasmill_engine::codec::timestamp;

/// Appends the events of `range` as lines of JSON, the share `malformed` of them (0 to 1) spoilt so that no reader of
/// JSON takes them: cut short, with a byte that is no UTF-8, with something behind the object, with a wrong
/// separator, or something else altogether. Answers how many it has spoilt.
///
/// The same events as the generator makes as columns; a value that is absent there is absent here.
pub fn write_ndjson(config: &Config, range: Range<u64>, malformed: f64, into: &mut Vec<u8>) -> u64 {
    let times = config.times();
    let mut spoilt = 0;
    for number in range {
        let start = into.len();
        into.push(b'{');
        describe(config, times, number, &mut Line { text: into, first: true });
        into.push(b'}');
        if malformed > 0.0 {
            let mut random = Random::of(!config.seed, number);
            if random.in_share(malformed) {
                spoil(&mut random, start, into);
                spoilt += 1;
            }
        }
        into.push(b'\n');
    }
    spoilt
}

/// Spoils the line that begins at `start`, in one of several ways.
fn spoil(random: &mut Random, start: usize, into: &mut Vec<u8>) {
    let length = into.len() - start;
    match random.below(6) {
        0 => into.truncate(start + 1 + random.below(length as u64 - 1) as usize),
        1 => into.truncate(into.len() - 1),
        2 => into[start + length / 2] = 0xff,
        3 => into.extend_from_slice(b"}]"),
        4 => {
            let colon = into[start..].iter().position(|byte| *byte == b':').expect("an event has a field");
            into[start + colon] = b'=';
        }
        _ => {
            into.truncate(start);
            into.extend_from_slice(b"ERROR connection reset by peer");
        }
    }
}

/// An object under construction.
struct Line<'a> {
    text: &'a mut Vec<u8>,
    /// Whether no field was written since the brace opened.
    first: bool,
}

impl Line<'_> {
    #[inline]
    fn key(&mut self, name: &str) {
        if !self.first {
            self.text.push(b',');
        }
        self.first = false;
        self.text.push(b'"');
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b"\":");
    }
}

impl Fields for Line<'_> {
    #[inline]
    fn int(&mut self, name: &str, value: i64) {
        self.key(name);
        self.text.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn hundredths(&mut self, name: &str, value: Option<i64>) {
        self.key(name);
        let Some(value) = value else { return self.text.extend_from_slice(b"null") };
        if value < 0 {
            self.text.push(b'-');
        }
        let value = value.unsigned_abs();
        self.text.extend_from_slice(itoa::Buffer::new().format(value / 100).as_bytes());
        let (tens, ones) = ((value % 100 / 10) as u8, (value % 10) as u8);
        self.text.extend_from_slice(&[b'.', b'0' + tens]);
        if ones > 0 {
            self.text.push(b'0' + ones);
        }
    }

    #[inline]
    fn time(&mut self, name: &str, value: Micros) {
        self.key(name);
        self.text.push(b'"');
        timestamp::write(value, self.text);
        self.text.push(b'"');
    }

    #[inline]
    fn text(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.key(name);
        self.text.push(b'"');
        write(self.text);
        self.text.push(b'"');
    }

    fn open(&mut self, name: &str) {
        self.key(name);
        self.text.push(b'{');
        self.first = true;
    }

    fn close(&mut self) {
        self.text.push(b'}');
        self.first = false;
    }

    fn absent(&mut self, _: usize) {}
}
