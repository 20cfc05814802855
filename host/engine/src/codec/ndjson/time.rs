//! Timestamps in a row of records, most of them of one minute. How they are written is [`crate::codec::timestamp`].

use super::scan::{decimal, leading_digits};
use crate::codec::timestamp::parse;

/// Reads timestamps, most of which are of the same minute as the one before: what `2026-11-21T14:50:` means is
/// remembered.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Zeros at first, which begin no timestamp.
    minute: [u8; 17],
    /// When that minute begins, in microseconds since 1970 UTC.
    start: i64,
}

impl Clock {
    /// The timestamp in quotes at `p`, if it is of the remembered minute and written with six digits behind the second:
    /// it takes [`USUAL_BYTES`] then. None says nothing.
    #[inline(always)]
    pub(super) fn usual(&self, b: &[u8], p: usize) -> Option<i64> {
        let (text, rest) = b.get(p + 1..)?.split_first_chunk::<{ USUAL_BYTES - 2 }>()?;
        let (minute, second) = text.split_first_chunk::<17>()?;
        let micros = behind_minute(second)?;
        (*minute == self.minute && *rest.first()? == b'"').then(|| self.start + micros)
    }

    /// As [`timestamp::parse`](parse); the minute is remembered.
    pub(super) fn parse(&mut self, text: &[u8]) -> Option<i64> {
        let micros = parse(text)?;
        if let Some((minute, second)) = text.split_first_chunk::<17>()
            && let Some(behind) = behind_minute(second)
        {
            (self.minute, self.start) = (*minute, micros - behind);
        }
        Some(micros)
    }
}

/// Bytes of a timestamp as most write it, such as `"2026-11-21T14:50:16.123456Z"` with its quotes.
pub(super) const USUAL_BYTES: usize = 29;

/// Microseconds of a text such as `16.123456Z`.
#[inline(always)]
fn behind_minute(text: &[u8]) -> Option<i64> {
    let &[s, t, b'.', a, b, c, d, e, f, b'Z'] = text else { return None };
    let digits = u64::from_le_bytes([s, t, a, b, c, d, e, f]);
    (leading_digits(digits) == 8 && s <= b'5').then(|| decimal(digits, 8).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_minute_changes_no_answer() {
        let texts = [
            "2026-11-21T14:50:16.123456Z",
            "2026-11-21T14:50:59.000001Z",
            "2026-11-21T14:50:60.000001Z",
            "2026-11-21T14:50:61.000001Z",
            "2026-11-21T14:50:1:.123456Z",
            "2026-11-21T14:50:16.12345:Z",
            "2026-11-21T14:51:16.123456Z",
            "2026-11-31T14:51:16.123456Z",
            "2026-11-21T14:51:16.123456Z",
            "2026-11-21T14:51:16.123456+01:00",
            "2026-11-21T14:51:16Z",
        ];
        let mut clock = Clock::default();
        for text in texts.iter().chain(&texts) {
            let quoted = format!("\"{text}\"");
            let usual = clock.usual(quoted.as_bytes(), 0);
            assert!(usual.is_none() || usual == parse(text.as_bytes()) && quoted.len() == USUAL_BYTES, "{text}");
            assert_eq!(clock.parse(text.as_bytes()), parse(text.as_bytes()), "{text}");
            let usual = clock.usual(quoted.as_bytes(), 0);
            assert!(usual.is_none() || usual == parse(text.as_bytes()), "{text}");
        }
    }
}
