//! Walking over bytes, many at a time.
//!
//! Every function takes a buffer whose records are followed by zeros ([`PADDING`] of them), so that a word may be
//! loaded at any position within the records. A zero, like a line end, is no part of any JSON token: nothing here runs
//! past the end of its line, but to say that it has ended. Where texts may end is found for all bytes at once, before
//! any record is read ([`Scanned`]): that has no decision that depends on what a text is like.

use std::ops::Deref;

use wide::u8x16;

use crate::batch::PADDING;

/// The byte in every place of a word.
pub(super) const fn repeat(byte: u8) -> u64 {
    byte as u64 * 0x0101_0101_0101_0101
}

const HIGH: u64 = repeat(0x80);

/// The eight bytes at `p`, the first one lowest.
#[inline(always)]
pub(super) fn word(b: &[u8], p: usize) -> u64 {
    let bytes: &[u8; 8] = b[p..p + 8].try_into().expect("a slice of eight bytes");
    u64::from_le_bytes(*bytes)
}

/// The high bit of the lowest byte that is a quote, a backslash or a control character; higher bits mean nothing.
#[inline(always)]
pub(super) const fn special_bits(word: u64) -> u64 {
    let quote = word ^ repeat(b'"');
    let escape = word ^ repeat(b'\\');
    let quote = quote.wrapping_sub(repeat(1)) & !quote;
    let escape = escape.wrapping_sub(repeat(1)) & !escape;
    let control = word.wrapping_sub(repeat(0x20)) & !word;
    (quote | escape | control) & HIGH
}

/// A bit for each byte that is a quote, a backslash or a control character, the first one lowest. All bytes are joined
/// with what was `seen`.
#[inline(always)]
fn block_bits(block: &[u8; 64], seen: &mut u8x16) -> u64 {
    let mut bits = |number: usize| {
        let bytes: &[u8; 16] = block[16 * number..][..16].try_into().expect("a slice of sixteen bytes");
        let bytes = u8x16::new(*bytes);
        *seen |= bytes;
        // With one bit turned over the quote stands behind the control characters, and one comparison finds both.
        let turned = bytes ^ u8x16::splat(0x02);
        let special = turned.simd_eq(turned.min(u8x16::splat(0x20))) | bytes.simd_eq(u8x16::splat(b'\\'));
        u64::from(special.to_bitmask()) << (16 * number)
    };
    bits(0) | bits(1) | bits(2) | bits(3)
}

/// Bytes, and a bit for each that is a quote, a backslash or a control character.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanned<'a> {
    bytes: &'a [u8],
    specials: &'a [u8],
    ascii: bool,
}

impl<'a> Scanned<'a> {
    /// Scans `bytes`, of which the last [`PADDING`] are no part of any record; the bits are kept in `specials`.
    pub(super) fn new(bytes: &'a [u8], specials: &'a mut Vec<u8>) -> Self {
        assert!(bytes.len() >= PADDING, "zeros follow the records");
        let (blocks, rest) = bytes.as_chunks::<64>();
        let mut seen = u8x16::splat(0);
        // A word more, so that one may be loaded at any byte.
        specials.resize(8 * blocks.len() + 8, 0);
        for (block, bits) in blocks.iter().zip(specials.as_chunks_mut::<8>().0) {
            *bits = block_bits(block, &mut seen).to_le_bytes();
        }
        rest.iter().for_each(|byte| seen |= u8x16::splat(*byte));
        Self { bytes, specials, ascii: seen.to_array().iter().all(u8::is_ascii) }
    }

    /// Whether all bytes are ASCII, and so UTF-8.
    pub(super) fn is_ascii(self) -> bool {
        self.ascii
    }

    /// Position of the first quote, backslash or control character at or after `p`. By windows of about sixty bytes,
    /// because how long a text is cannot be predicted: most have one decision that comes out the same each time.
    #[inline(always)]
    pub(super) fn special(self, mut p: usize) -> usize {
        loop {
            let bits = word(self.specials, p / 8) >> (p % 8);
            if bits != 0 {
                return p + bits.trailing_zeros() as usize;
            }
            p = (p / 8 + 8) * 8;
        }
    }
}

impl Deref for Scanned<'_> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

/// How many of a word's first bytes are digits.
#[inline(always)]
pub(super) const fn leading_digits(word: u64) -> u32 {
    let digits = word ^ repeat(b'0');
    let others = (digits.wrapping_add(repeat(0x76)) | digits) & HIGH;
    others.trailing_zeros() / 8
}

/// Position after the digits at `p`.
#[inline(always)]
pub(super) fn digits(b: &[u8], mut p: usize) -> usize {
    loop {
        let count = leading_digits(word(b, p));
        p += count as usize;
        if count < 8 {
            return p;
        }
    }
}

/// The number that the first `count` bytes of a word write, which are digits; 1 to 8 of them.
#[inline(always)]
pub(super) const fn decimal(word: u64, count: u32) -> u64 {
    let digits = (word ^ repeat(b'0')) << (64 - 8 * count);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    low.wrapping_add(high) >> 32
}

/// Position after the white space at `p`, within the line.
#[inline(always)]
pub(super) fn blank(b: &[u8], mut p: usize) -> usize {
    while matches!(b[p], b' ' | b'\t' | b'\r') {
        p += 1;
    }
    p
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.extend_from_slice(&[0; PADDING]);
        bytes
    }

    #[test]
    fn the_first_special_byte_is_found_behind_any_others() {
        for other in (0x20..=0xff_u8).filter(|byte| !matches!(byte, b'"' | b'\\')) {
            for special_byte in (0..0x20).chain([b'"', b'\\']) {
                for distance in [0, 1, 7, 8, 19, 62, 63, 64, 65, 130] {
                    let mut bytes = vec![other; distance];
                    bytes.push(special_byte);
                    bytes.extend_from_slice(&[b'"', 0, 0x1f, b'\\']);
                    bytes.extend_from_slice(&[0; PADDING]);
                    let mut specials = Vec::new();
                    let scanned = Scanned::new(&bytes, &mut specials);
                    for from in [0, distance / 2, distance] {
                        assert_eq!(scanned.special(from), distance, "{special_byte} behind {other}, from {from}");
                    }
                    assert_eq!(scanned.special(distance + 5), distance + 5, "the zeros behind the records");
                }
            }
        }
    }

    #[test]
    fn digits_end_at_any_other_byte() {
        for other in (0..=0xff_u8).filter(|byte| !byte.is_ascii_digit()) {
            for count in 0..20 {
                let mut bytes = vec![b'7'; count];
                bytes.extend_from_slice(&[other, b'1', 0xff, b'1', 0, 0, 0, 0, 0]);
                assert_eq!(digits(&bytes, 0), count, "{other} behind {count} digits");
            }
        }
    }

    #[test]
    fn up_to_eight_digits_are_read_at_once() {
        for (text, number) in [("0", 0), ("7", 7), ("90", 90), ("1234567", 1_234_567), ("99999999", 99_999_999)] {
            let bytes = padded(text);
            assert_eq!(leading_digits(word(&bytes, 0)), u32::try_from(text.len()).unwrap());
            assert_eq!(decimal(word(&bytes, 0), u32::try_from(text.len()).unwrap()), number);
        }
    }
}
