//! Times as RFC 3339 text.

use wasmill_engine::clock::Micros;

const DAY: Micros = 86_400_000_000;

/// `2026-01-01T00:00:00Z`, with or without a fraction; UTC only.
pub(super) fn parse(text: &str) -> Option<Micros> {
    let text = text.strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let numbers = |text: &str, separator: char, widths: [usize; 3]| -> Option<[i64; 3]> {
        let parts: Vec<&str> = text.split(separator).collect();
        let [a, b, c] = parts[..] else { return None };
        let number = |text: &str, width: usize| -> Option<i64> {
            (text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
        };
        Some([number(a, widths[0])?, number(b, widths[1])?, number(c, widths[2])?])
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !(digits && (1..=6).contains(&fraction.len()) && hour < 24 && minute < 60 && second < 60) {
        return None;
    }
    let micros = format!("{fraction:0<6}").parse::<i64>().ok()?;
    let days = days(year, month, day);
    let real = civil(days) == (year, month, day);
    real.then_some(days * DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

/// Appends `2026-01-01T00:00:00.000000Z`.
pub(super) fn write(time: Micros, into: &mut Vec<u8>) {
    let (year, month, day) = civil(time.div_euclid(DAY));
    let micros = time.rem_euclid(DAY);
    let seconds = micros / 1_000_000;
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let mut put = |at: usize, width: usize, mut number: i64| {
        for digit in text[at..at + width].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day);
    put(11, 2, seconds / 3_600);
    put(14, 2, seconds / 60 % 60);
    put(17, 2, seconds % 60);
    put(20, 6, micros % 1_000_000);
    into.extend_from_slice(&text);
}

/// Days since 1970-01-01. Years are counted from March, so that the leap day is a year's last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let in_era = year.rem_euclid(400);
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let in_era = days.rem_euclid(146_097);
    let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_written_reads_as_the_same_time() {
        for time in [0, -1, 951_782_399_999_999, 951_782_400_000_000, 1_767_225_600_000_000, 4_107_542_400_000_001] {
            let mut text = Vec::new();
            write(time, &mut text);
            let text = String::from_utf8(text).unwrap();
            assert_eq!(parse(&text), Some(time), "{text}");
        }
        assert_eq!(parse("2026-01-01T00:00:00Z"), Some(1_767_225_600_000_000));
        assert_eq!(parse("2000-02-29T12:30:01.5Z"), Some(951_827_401_500_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "Z",
            "2026-01-01",
            "2026-02-30T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-1-01T00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1234567Z",
            "+026-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
