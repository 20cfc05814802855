//! Timestamps as text: RFC 3339 to microseconds since 1970-01-01 UTC and back, for every text format.
//!
//! The calendar is the proleptic Gregorian one. Years past 0000 to 9999, which RFC 3339 has no text for, are written
//! and read in ISO 8601's expanded form, a sign and six digits, so that every `i64` survives the round trip. A fraction
//! finer than a microsecond is cut; a leap second (`:60`) is the second after it, as in Unix time.

use crate::clock::Micros;

/// What a reason adds to milliseconds that 64 bits hold, but not as microseconds.
pub(crate) const OUT_OF_RANGE: &str = ", milliseconds that lie outside of the years -290308 to +294247";

const SECOND: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Microseconds of a text such as `2026-11-21T15:04:05.25+01:00`; none where it is not exactly one such text. Between
/// day and time stands `T`, `t` or a space; the zone is `Z`, `z` or an offset, and UTC where there is none.
#[must_use]
pub fn parse(text: &[u8]) -> Option<Micros> {
    let (year, rest) = match text.first()? {
        sign @ (b'+' | b'-') => {
            let year = digits(text.get(1..7)?)?;
            (if *sign == b'-' { -year } else { year }, &text[7..])
        }
        _ => (digits(text.get(..4)?)?, &text[4..]),
    };
    // `-MM-DDTHH:MM:SS`
    let (fixed, rest) = rest.split_at_checked(15)?;
    let marks = fixed[0] == b'-' && fixed[3] == b'-' && fixed[9] == b':' && fixed[12] == b':';
    if !marks || !matches!(fixed[6], b'T' | b't' | b' ') {
        return None;
    }
    let (month, day) = (digits(&fixed[1..3])?, digits(&fixed[4..6])?);
    let (hour, minute, second) = (digits(&fixed[7..9])?, digits(&fixed[10..12])?, digits(&fixed[13..15])?);
    if !(1..=12).contains(&month) || !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, rest) = fraction(rest)?;
    let seconds = days_since_1970(year, month, day) * DAY_SECONDS + hour * 3_600 + minute * 60 + second - zone(rest)?;
    // A negative count times a million may leave the range although the fraction brings it back: add in 128 bits.
    i64::try_from(i128::from(seconds) * i128::from(SECOND) + i128::from(fraction)).ok()
}

/// Appends a timestamp as `2026-11-21T15:04:05.000000Z`.
pub fn write(micros: Micros, out: &mut Vec<u8>) {
    let (seconds, fraction) = (micros.div_euclid(SECOND), micros.rem_euclid(SECOND));
    let (days, second) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
    let (year, month, day) = civil(days);
    if (0..=9_999).contains(&year) {
        push_digits(year, 4, out);
    } else {
        out.push(if year < 0 { b'-' } else { b'+' });
        push_digits(year.abs(), 6, out);
    }
    let mut text = *b"-00-00T00:00:00.000000Z";
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let (hundredths, rest) = (fraction / 10_000, fraction % 10_000);
    let pairs = [month, day, hour, minute, second, hundredths, rest / 100, rest % 100];
    for (at, pair) in [1, 4, 7, 10, 13, 16, 18, 20].into_iter().zip(pairs) {
        let pair = u8::try_from(pair).expect("a pair of digits");
        text[at] += pair / 10;
        text[at + 1] += pair % 10;
    }
    out.extend_from_slice(&text);
}

/// The number that these bytes spell, if all of them are digits.
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

fn push_digits(value: i64, width: u32, out: &mut Vec<u8>) {
    out.extend((0..width).rev().map(|place| b'0' + (value / 10i64.pow(place) % 10) as u8));
}

/// Microseconds of `.25` at the start of `text`, 0 where there is no fraction, and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(after) = text.strip_prefix(b".") else { return Some((0, text)) };
    let len = after.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(after.len());
    let (fraction, rest) = after.split_at(len);
    let kept = &fraction[..len.min(6)];
    (len > 0).then_some((digits(kept)? * 10i64.pow(6 - kept.len() as u32), rest))
}

/// Seconds by which a zone is ahead of UTC.
fn zone(text: &[u8]) -> Option<i64> {
    match text {
        b"" | b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            let ahead = hours * 3_600 + minutes * 60;
            (hours <= 23 && minutes <= 59).then_some(if *sign == b'-' { -ahead } else { ahead })
        }
        _ => None,
    }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01. The year is counted from March, so that the leap day is its last, and 719,468 days lie between
/// 0000-03-01 and 1970-01-01 (after Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// Year, month and day of a day counted from 1970-01-01: the inverse of [`days_since_1970`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{parse, write};
    use proptest::prelude::*;

    fn written(micros: i64) -> String {
        let mut text = Vec::new();
        write(micros, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn known_instants_are_read() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("2000-02-29T12:00:00.5Z", 951_825_600_500_000),
            ("2026-11-21T15:04:05+01:00", 1_795_269_845_000_000),
            ("2026-11-21 14:04:05.1234567z", 1_795_269_845_123_456),
            ("2026-11-21T14:04:05.1", 1_795_269_845_100_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000_000),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(micros), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "2026",
            "2026-11-21",
            "2026-11-21T15:04Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-00-10T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00Zz",
            " 2026-01-01T00:00:00Z",
            "2026/01/01T00:00:00Z",
            "20x6-01-01T00:00:00Z",
            "2026-01-01X00:00:00Z",
            "é026-01-01T00:00:00Z",
            "+999999-01-01T00:00:00Z",
            "26-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_fraction_is_written_with_six_digits() {
        assert_eq!(written(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(written(250_000), "1970-01-01T00:00:00.250000Z");
        assert_eq!(written(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(written(i64::MAX), "+294247-01-10T04:00:54.775807Z");
        assert_eq!(written(i64::MIN), "-290308-12-21T19:59:05.224192Z");
    }

    proptest! {
        #[test]
        fn every_timestamp_survives_the_round_trip(
            micros in any::<i64>(),
            near in -5_000_000_000_000_000i64..5_000_000_000_000_000,
        ) {
            for micros in [micros, near] {
                prop_assert_eq!(parse(written(micros).as_bytes()), Some(micros));
            }
        }

        #[test]
        fn one_day_later_is_one_day_more(day in -1_000_000i64..3_000_000) {
            let (year, month, of_month) = super::civil(day);
            prop_assert_eq!(super::days_since_1970(year, month, of_month), day);
            prop_assert!((1..=super::days_of_month(year, month)).contains(&of_month));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(text in prop::collection::vec(any::<u8>(), 0..40), cut in 0usize..30) {
            prop_assert!(parse(&text).is_none() || text.len() >= 19, "{:?}", text);
            let whole = written(i64::from_le_bytes([7; 8]));
            prop_assert_eq!(parse(&whole.as_bytes()[..cut.min(18)]), None, "cut before the seconds are whole");
        }
    }
}
