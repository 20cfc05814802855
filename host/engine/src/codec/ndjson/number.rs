//! Numbers, as JSON writes them.
//!
//! The grammar is `-? (0 | [1-9] digit*) (. digit+)? ([eE] [+-]? digit+)?`; what follows a number is the caller's to
//! check. An integer is a number without fraction and exponent; `-0` is none, because it has no place in 64 signed
//! bits. A number beyond the range of 64-bit floats is refused everywhere, in fields that nobody reads too.

use super::scan::{decimal, digits, leading_digits, word};

/// Why there is no number of the kind that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberFault {
    /// No number at all, or another kind of number.
    Other,
    /// A number of the right kind that does not fit.
    Range,
}

type Result<T> = std::result::Result<T, NumberFault>;

/// The integer at `p` and the position after it; any value where that is not `wanted`. Whether it goes on as another
/// number, with a fraction or an exponent ([`is_fraction`]), is the caller's to check.
#[inline(always)]
pub(super) fn int(b: &[u8], p: usize, wanted: bool) -> Result<(i64, usize)> {
    let head = word(b, p);
    let count = leading_digits(head);
    if count == 0 || head as u8 == b'0' {
        return rare_int(b, p);
    }
    let mut value = if wanted { decimal(head, count) } else { 0 };
    let mut next = p + count as usize;
    if count == 8 {
        let more = word(b, next);
        let count = leading_digits(more);
        if count == 8 {
            return rare_int(b, p);
        }
        if wanted && count > 0 {
            value = value * POWERS[count as usize] + decimal(more, count);
        }
        next += count as usize;
    }
    Ok((value.cast_signed(), next))
}

const POWERS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// As [`int`], for those that begin with a sign or a zero, or have 16 digits and more.
#[inline(never)]
fn rare_int(b: &[u8], p: usize) -> Result<(i64, usize)> {
    let negative = b[p] == b'-';
    let first = p + usize::from(negative);
    let next = digits(b, first);
    if next == first || b[first] == b'0' && (next - first > 1 || negative) {
        return Err(NumberFault::Other);
    }
    if next - first < 8 {
        let value = decimal(word(b, first), (next - first) as u32).cast_signed();
        return Ok((if negative { -value } else { value }, next));
    }
    let text = std::str::from_utf8(&b[p..next]).expect("digits are text");
    // What is no integer is told so, whatever it is worth.
    let fault = if is_fraction(b[next]) { NumberFault::Other } else { NumberFault::Range };
    text.parse().map(|value| (value, next)).map_err(|_| fault)
}

/// Whether a number goes on with that byte behind the digits of an integer.
#[inline(always)]
pub(super) const fn is_fraction(byte: u8) -> bool {
    matches!(byte, b'.' | b'e' | b'E')
}

/// Position after the number at `p`, and whether it is sure to be within the range of a float.
#[inline(always)]
fn extent(b: &[u8], p: usize) -> Result<(usize, bool)> {
    let first = p + usize::from(b[p] == b'-');
    let mut next = digits(b, first);
    if next == first || (b[first] == b'0' && next - first > 1) {
        return Err(NumberFault::Other);
    }
    let mut small = next - first < 300;
    if b[next] == b'.' {
        let fraction = next + 1;
        next = digits(b, fraction);
        if next == fraction {
            return Err(NumberFault::Other);
        }
    }
    if matches!(b[next], b'e' | b'E') {
        small = false;
        let exponent = next + 1 + usize::from(matches!(b[next + 1], b'+' | b'-'));
        next = digits(b, exponent);
        if next == exponent {
            return Err(NumberFault::Other);
        }
    }
    Ok((next, small))
}

/// Position after the number at `p`, which is checked.
#[inline(always)]
pub(super) fn check(b: &[u8], p: usize) -> Result<usize> {
    let head = word(b, p);
    let count = leading_digits(head);
    if (1..8).contains(&count) && head as u8 != b'0' && !is_fraction((head >> (8 * count)) as u8) {
        return Ok(p + count as usize);
    }
    let (next, small) = extent(b, p)?;
    if small { Ok(next) } else { parse(&b[p..next]).map(|_| next) }
}

/// The number at `p`, correctly rounded, and the position after it.
#[inline(always)]
pub(super) fn float(b: &[u8], p: usize) -> Result<(f64, usize)> {
    let (next, small) = extent(b, p)?;
    let text = &b[p..next];
    let value = match if small { exact(text) } else { None } {
        Some(value) => value,
        None => parse(text)?,
    };
    Ok((value, next))
}

#[cold]
fn parse(text: &[u8]) -> Result<f64> {
    let text = std::str::from_utf8(text).expect("a number is text");
    let value: f64 = text.parse().expect("the grammar was checked");
    if value.is_finite() { Ok(value) } else { Err(NumberFault::Range) }
}

/// The value of a number without exponent whose digits are at most 2^53 and whose fraction has at most 22 of them: both
/// the digits and the power of ten are then exact, and one division rounds correctly.
#[inline(always)]
fn exact(text: &[u8]) -> Option<f64> {
    if text.len() > 18 {
        return None;
    }
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |text| (true, text));
    let (mut digits, mut fraction, mut step) = (0_u64, 0, 0);
    for byte in text {
        if *byte == b'.' {
            step = 1;
        } else {
            digits = digits * 10 + u64::from(byte - b'0');
            fraction += step;
        }
    }
    if digits > 1 << 53 {
        return None;
    }
    let value = digits as f64 / TENS[fraction];
    Some(if negative { -value } else { value })
}

const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.extend_from_slice(&[0; 64]);
        bytes
    }

    #[test]
    fn integers_are_read_up_to_the_ends_of_64_bits_and_refused_beyond() {
        for value in [0, 1, -1, 42, 99_999_999, 100_000_000, 1_234_567_890_123_456, i64::MAX, i64::MIN] {
            let text = value.to_string();
            assert_eq!(int(&padded(&text), 0, true), Ok((value, text.len())));
            assert_eq!(int(&padded(&text), 0, false).map(|(_, next)| next), Ok(text.len()));
        }
        for text in ["9223372036854775808", "-9223372036854775809", "100000000000000000000000"] {
            assert_eq!(int(&padded(text), 0, true), Err(NumberFault::Range), "{text}");
        }
        for text in ["", "-", "-0", "00", "01", "-01", "0000000000000000001", "x"] {
            assert_eq!(int(&padded(text), 0, true), Err(NumberFault::Other), "{text}");
        }
        for text in ["1.0", "1e3", "-7E3", "123456789.0"] {
            let next = int(&padded(text), 0, true).unwrap().1;
            assert!(is_fraction(text.as_bytes()[next]), "{text}");
        }
    }

    #[test]
    fn floats_are_rounded_as_the_standard_library_rounds_them() {
        let texts =
            ["0", "-0", "0.1", "-12.75", "3.141592653589793", "9007199254740993", "0.30000000000000004", "1e22"];
        let hard =
            ["123456789012345678", "5e-324", "2.2250738585072011e-308", "1.7976931348623157e308", "1E+2", "0e999"];
        for text in texts.into_iter().chain(hard) {
            let (value, next) = float(&padded(text), 0).unwrap();
            assert_eq!((value.to_bits(), next), (text.parse::<f64>().unwrap().to_bits(), text.len()), "{text}");
        }
        assert_eq!(float(&padded("1e999"), 0), Err(NumberFault::Range));
        assert_eq!(check(&padded(&"9".repeat(400)), 0), Err(NumberFault::Range));
        for text in ["", "-", "+1", ".5", "1.", "1.e3", "1e", "1e+", "01.5", "-.1", "NaN"] {
            assert_eq!(float(&padded(text), 0), Err(NumberFault::Other), "{text}");
        }
    }
}
