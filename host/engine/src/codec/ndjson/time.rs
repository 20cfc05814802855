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
    /// As [`timestamp::parse`](parse).
    #[inline(always)]
    pub(super) fn parse(&mut self, text: &[u8]) -> Option<i64> {
        let Some((minute, &[s, t, b'.', a, b, c, d, e, f, b'Z'])) = text.split_first_chunk::<17>() else {
            return parse(text);
        };
        let digits = u64::from_le_bytes([s, t, a, b, c, d, e, f]);
        if leading_digits(digits) < 8 || s > b'5' {
            return parse(text);
        }
        let micros = decimal(digits, 8).cast_signed();
        if *minute != self.minute {
            self.start = parse(text)? - micros;
            self.minute = *minute;
        }
        Some(self.start + micros)
    }
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
            assert_eq!(clock.parse(text.as_bytes()), parse(text.as_bytes()), "{text}");
        }
    }
}
