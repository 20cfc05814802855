//! Moments as text, RFC 3339, to microseconds since 1970-01-01 UTC and back.
//!
//! As the host reads them: between day and time stands `T` or a space, the zone is `Z`, an offset, or UTC where there
//! is none; a fraction finer than a microsecond is cut. Years are 0000 to 9999.

const SECOND: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Microseconds of a text such as `2026-11-21T15:04:05.25+01:00`; none where it is not exactly one such text.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (fixed, rest) = text.as_bytes().split_at_checked(19)?;
    let marks = [4, 7, 13, 16].map(|at| fixed[at]) == *b"--::" && matches!(fixed[10], b'T' | b't' | b' ');
    if !marks {
        return None;
    }
    let [year, month, day, hour, minute, second] =
        [(0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19)].map(|(from, to)| digits(&fixed[from..to]));
    let (year, month, day) = (year?, month?, day?);
    let (hour, minute, second) = (hour?, minute?, second?);
    let is_date = (1..=12).contains(&month) && (1..=days_of_month(year, month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, rest) = fraction(rest)?;
    let seconds = days(year, month, day) * DAY_SECONDS + hour * 3_600 + minute * 60 + second - zone(rest)?;
    Some(seconds * SECOND + fraction)
}

/// A moment as `2026-11-21T15:04:05.250000Z`; one past the years 0000 to 9999 as its microseconds.
pub(crate) fn show(micros: i64) -> String {
    let (seconds, fraction) = (micros.div_euclid(SECOND), micros.rem_euclid(SECOND));
    let (day_number, second) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
    let Some((year, month, day)) = civil(day_number) else { return format!("{micros} us") };
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
}

/// The number that these bytes spell, if all of them are digits.
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

/// Microseconds of `.25` at the start of `text`, and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(after) = text.strip_prefix(b".") else { return Some((0, text)) };
    let len = after.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(after.len());
    let kept = &after[..len.min(6)];
    (len > 0).then_some((digits(kept)? * 10i64.pow(6 - kept.len() as u32), &after[len..]))
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
        2 => 28 + i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01. The year is counted from March, so that the leap day is its last, and 719,468 days lie between
/// 0000-03-01 and 1970-01-01.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// Year, month and day of a day counted from 1970-01-01: the inverse of [`days`]; none past the years 0000 to 9999.
fn civil(number: i64) -> Option<(i64, i64, i64)> {
    let number = number + 719_468;
    let (era, day_of_era) = (number.div_euclid(146_097), number.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (0..=9_999).contains(&year).then_some((year, month, day_of_year - (153 * march_month + 2) / 5 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_and_shown() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse("2026-01-01 01:00:00.25+01:00"), Some(1_767_225_600_250_000));
        for text in ["2026-01-01T00:00:00.250000Z", "2024-02-29T23:59:59.999999Z", "0000-01-01T00:00:00.000000Z"] {
            assert_eq!(parse(text).map(show).as_deref(), Some(text));
        }
        assert_eq!(show(i64::MAX), "9223372036854775807 us");
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in ["", "soon", "2026-01-01", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00Zz"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
