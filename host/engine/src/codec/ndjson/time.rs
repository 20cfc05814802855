//! Timestamps as text: RFC 3339.
//!
//! Read: `2026-11-21T14:50:16Z`, with any number of digits of a second (those after the sixth are dropped), with an
//! offset in place of `Z`, with a space in place of `T`; without `Z` and offset it is UTC. A leap second counts as the
//! second after it. Written: always six digits of a second and `Z`; a year that does not have four digits cannot be
//! written so, and is written as an integer of milliseconds, which is the other form that is read.

use super::scan::{decimal, leading_digits};

const DAY: i64 = 86_400;
const MICROS: i64 = 1_000_000;

/// Microseconds since 1970 UTC; none = not such a text.
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_first_chunk::<19>()?;
    let shaped = date[4] == b'-' && date[7] == b'-' && date[13] == b':' && date[16] == b':';
    if !shaped || !matches!(date[10], b'T' | b't' | b' ') {
        return None;
    }
    let year = two(date, 0)? * 100 + two(date, 2)?;
    let (month, day) = (two(date, 5)?, two(date, 8)?);
    let (hour, minute, second) = (two(date, 11)?, two(date, 14)?, two(date, 17)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, rest) = fraction(rest)?;
    let seconds = days(year, month, day) * DAY + hour * 3_600 + minute * 60 + second - offset(rest)?;
    Some(seconds * MICROS + fraction)
}

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
    /// As [`parse`].
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

fn two(text: &[u8], at: usize) -> Option<i64> {
    let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
}

/// Microseconds of `.123` and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else { return Some((0, text)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let micros = (0..6).fold(0, |micros, i| micros * 10 + if i < count { i64::from(digits[i] - b'0') } else { 0 });
    (count > 0).then(|| (micros, &digits[count..]))
}

/// Seconds east of Greenwich.
fn offset(text: &[u8]) -> Option<i64> {
    match text {
        [] | [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (two(text, 1)?, two(text, 4)?);
            let seconds = hours * 3_600 + minutes * 60;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date of the Gregorian calendar. Years are taken to begin in March, so that the leap day is
/// last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day since 1970.
const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + if month <= 2 { 1 } else { 0 }, month, day)
}

/// The JSON value of a timestamp, quotes included.
pub(super) fn write(micros: i64, into: &mut Vec<u8>) {
    let (seconds, fraction) = (micros.div_euclid(MICROS), micros.rem_euclid(MICROS));
    let (year, month, day) = date(seconds.div_euclid(DAY));
    if !(0..=9_999).contains(&year) {
        into.extend_from_slice(itoa::Buffer::new().format(micros.div_euclid(1_000)).as_bytes());
        return;
    }
    let second = seconds.rem_euclid(DAY);
    let mut text = *b"\"0000-00-00T00:00:00.000000Z\"";
    let pairs = [
        (1, year / 100),
        (3, year % 100),
        (6, month),
        (9, day),
        (12, second / 3_600),
        (15, second / 60 % 60),
        (18, second % 60),
        (21, fraction / 10_000),
        (23, fraction / 100 % 100),
        (25, fraction % 100),
    ];
    for (at, pair) in pairs {
        let pair = u8::try_from(pair).expect("a pair of digits");
        text[at] += pair / 10;
        text[at + 1] += pair % 10;
    }
    into.extend_from_slice(&text);
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

    fn written(micros: i64) -> String {
        let mut into = Vec::new();
        write(micros, &mut into);
        String::from_utf8(into).unwrap()
    }

    #[test]
    fn timestamps_are_read_in_every_form_that_is_documented() {
        let moment = 1_795_272_616_123_456;
        for (text, micros) in [
            ("2026-11-21T14:50:16.123456Z", moment),
            ("2026-11-21t14:50:16.123456789z", moment),
            ("2026-11-21 15:50:16.123456+01:00", moment),
            ("2026-11-21T09:20:16.123456-05:30", moment),
            ("2026-11-21T14:50:16.123456", moment),
            ("2026-11-21T14:50:16.1Z", moment - 23_456),
            ("2026-11-21T14:50:16Z", moment - 123_456),
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000_000),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(micros), "{text}");
        }
    }

    #[test]
    fn what_is_no_timestamp_is_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T14:50",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-00-10T00:00:00Z",
            "2026-01-32T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00ZZ",
            "2026/01/01T00:00:00Z",
            "20x6-01-01T00:00:00Z",
            "2026-01-01X00:00:00Z",
            "é026-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_written_timestamp_reads_as_the_same_moment() {
        assert_eq!(written(1_795_272_616_123_456), "\"2026-11-21T14:50:16.123456Z\"");
        let (first, last) = (-62_167_219_200_000_000_i64, 253_402_300_799_999_999_i64);
        for micros in (first..=last).step_by(86_399_987_654_321).chain([-1, 0, 1, last]) {
            assert_eq!(parse(written(micros).trim_matches('"').as_bytes()), Some(micros));
        }
        assert_eq!(written(last + 1), "253402300800000");
        assert_eq!(written(first - 1), "-62167219200001");
    }
}
