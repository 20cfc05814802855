//! Strings, as JSON writes them: checked always, unescaped only where somebody reads them.
//!
//! A string that has an escape is rare; it is checked and unescaped in one cold function. Surrogates must come in
//! pairs. That the bytes are UTF-8 was checked for the chunk as a whole.

use super::fault::{Fault, What};
use super::scan::Scanned;

/// Where a string's text lies: in the record, or, with escapes, to be unescaped from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// After the opening quote.
    pub(super) start: usize,
    /// At the closing quote.
    pub(super) end: usize,
    /// Whether there are escapes between.
    pub(super) escaped: bool,
}

/// The string whose opening quote is at `p`; the position after it is that after its end.
#[inline(always)]
pub(super) fn check(b: Scanned<'_>, p: usize) -> Result<Text, Fault> {
    let start = p + 1;
    let end = b.special(start);
    if b[end] == b'"' { Ok(Text { start, end, escaped: false }) } else { escaped(b, start, end, &mut |_| {}) }
}

/// Unescapes a text that was checked, behind what `into` holds.
pub(super) fn unescape(b: Scanned<'_>, text: Text, into: &mut String) {
    let first = b.special(text.start);
    let mut put = |piece: &str| into.push_str(piece);
    put(plain(&b, text.start, first));
    escaped(b, text.start, first, &mut put).expect("the text was checked");
}

/// The bytes between two positions, which lie at character boundaries of checked text.
fn plain(b: &[u8], start: usize, end: usize) -> &str {
    std::str::from_utf8(&b[start..end]).expect("the chunk is UTF-8")
}

/// The rest of a string from `p`, its first escape or whatever ends it. `put` gets the text in pieces.
#[cold]
fn escaped(b: Scanned<'_>, start: usize, mut p: usize, put: &mut dyn FnMut(&str)) -> Result<Text, Fault> {
    loop {
        match b[p] {
            b'"' => return Ok(Text { start, end: p, escaped: true }),
            b'\\' => {
                let (character, next) = escape(&b, p)?;
                put(character.encode_utf8(&mut [0; 4]));
                p = b.special(next);
                put(plain(&b, next, p));
            }
            _ => return Err(Fault { at: p, what: What::Control }),
        }
    }
}

/// The character that the escape at `p` means, and the position after it.
fn escape(b: &[u8], p: usize) -> Result<(char, usize), Fault> {
    let character = match b[p + 1] {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(b, p),
        _ => return Err(Fault { at: p, what: What::Escape }),
    };
    Ok((character, p + 2))
}

/// As [`escape`], for `\uXXXX` and surrogate pairs.
fn unicode(b: &[u8], p: usize) -> Result<(char, usize), Fault> {
    let first = hex(b, p + 2).ok_or(Fault { at: p, what: What::Escape })?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, p + 6));
    }
    let alone = Fault { at: p, what: What::Surrogate };
    if first >= 0xdc00 || b[p + 6..p + 8] != *b"\\u" {
        return Err(alone);
    }
    let second = hex(b, p + 8).ok_or(Fault { at: p + 6, what: What::Escape })?;
    if !(0xdc00..0xe000).contains(&second) {
        return Err(alone);
    }
    let code = 0x1_0000 + ((first - 0xd800) << 10 | (second - 0xdc00));
    Ok((char::from_u32(code).expect("a pair of surrogates is a character"), p + 12))
}

fn hex(b: &[u8], p: usize) -> Option<u32> {
    b[p..p + 4].iter().try_fold(0, |code, byte| Some(code << 4 | char::from(*byte).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.extend_from_slice(&[0; 64]);
        bytes
    }

    #[test]
    fn escapes_mean_what_serde_json_says() {
        let texts =
            [r#""""#, r#""plain""#, r#""a\"b\\c\/d\b\f\n\r\t""#, r#""\u00e9 \u20AC \ud83d\ude00 \u0000""#, r#""é\n€""#];
        for text in texts {
            let (bytes, mut specials) = (padded(text), Vec::new());
            let bytes = Scanned::new(&bytes, &mut specials);
            let found = check(bytes, 0).unwrap();
            assert_eq!(found.end + 1, text.len());
            let mut unescaped = String::new();
            unescape(bytes, found, &mut unescaped);
            assert_eq!(unescaped, serde_json::from_str::<String>(text).unwrap());
        }
    }

    #[test]
    fn what_is_no_string_is_refused_where_it_breaks() {
        let texts = [
            (r#""open"#, 5, What::Control),
            ("\"tab\t\"", 4, What::Control),
            (r#""\x""#, 1, What::Escape),
            (r#""ab\u12G4""#, 3, What::Escape),
            (r#""\u12"#, 1, What::Escape),
            (r#""\ud800""#, 1, What::Surrogate),
            (r#""\udc00\ud800""#, 1, What::Surrogate),
            (r#""\ud800\u0041""#, 1, What::Surrogate),
            (r#""\ud800\uZZZZ""#, 7, What::Escape),
        ];
        for (text, at, what) in texts {
            let found = check(Scanned::new(&padded(text), &mut Vec::new()), 0);
            assert_eq!(found, Err(Fault { at, what }), "{text}");
        }
    }
}
