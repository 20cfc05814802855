//! The words, numbers, texts and signs of a condition, each with its place.

use std::iter::Peekable;
use std::str::Chars;

use crate::literal::Literal;
use crate::wrong::Wrong;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A word of the language or a column.
    Word(String),
    /// A column in back quotes.
    Quoted(String),
    /// A number or a text.
    Literal(Literal),
    /// A comparison, a parenthesis, a comma.
    Sign(&'static str),
    /// The end of the condition.
    End,
}

/// A piece of a condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    /// Its first character, counted from 1.
    pub(crate) at: usize,
    /// What it is.
    pub(crate) kind: Kind,
}

/// Signs, longer ones before those that they begin with.
const SIGNS: [&str; 10] = ["==", "!=", "<=", ">=", "=", "<", ">", "(", ")", ","];
/// What other languages write, and what is written here.
const FOREIGN: [(&str, &str); 4] = [("&", "and"), ("|", "or"), ("!", "not"), ("<>", "!=")];

/// The tokens of a condition; the last is its end.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Wrong> {
    let mut reader = Reader { rest: text, at: 1 };
    let mut tokens = Vec::new();
    loop {
        reader.skip(char::is_whitespace);
        let at = reader.at;
        let kind = reader.token()?;
        let is_end = kind == Kind::End;
        tokens.push(Token { at, kind });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Reader<'t> {
    rest: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn token(&mut self) -> Result<Kind, Wrong> {
        let Some(first) = self.rest.chars().next() else { return Ok(Kind::End) };
        if let Some((foreign, ours)) = FOREIGN.iter().find(|(foreign, _)| self.begins(foreign)) {
            return Err(Wrong::new(self.at, format!("`{foreign}` is not known here; write `{ours}`")));
        }
        match first {
            '\'' | '"' => self.quoted(first).map(|text| Kind::Literal(Literal::Text(text))),
            '`' => self.quoted(first).map(Kind::Quoted),
            '-' | '0'..='9' => self.number().map(Kind::Literal),
            _ if is_word_start(first) => Ok(Kind::Word(self.skip(is_word).to_owned())),
            _ => match SIGNS.into_iter().find(|sign| self.rest.starts_with(sign)) {
                Some(sign) => {
                    self.forward(sign.len());
                    Ok(Kind::Sign(sign))
                }
                None => Err(Wrong::new(self.at, format!("`{first}` means nothing here"))),
            },
        }
    }

    /// Whether that foreign sign is next, and not one of ours that begins with it.
    fn begins(&self, foreign: &str) -> bool {
        self.rest.starts_with(foreign) && !(foreign == "!" && self.rest.starts_with("!="))
    }

    /// Passes so many bytes and answers them.
    fn forward(&mut self, bytes: usize) -> &'t str {
        let (passed, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.at += passed.chars().count();
        passed
    }

    fn skip(&mut self, passes: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|next| !passes(next)).unwrap_or(self.rest.len());
        self.forward(end)
    }

    /// What stands between quotes, where a doubled quote is one.
    fn quoted(&mut self, quote: char) -> Result<String, Wrong> {
        let mut text = String::new();
        let mut chars: Peekable<Chars<'_>> = self.rest.chars().peekable();
        let mut bytes = chars.next().map_or(0, char::len_utf8);
        while let Some(next) = chars.next() {
            bytes += next.len_utf8();
            if next != quote {
                text.push(next);
            } else if chars.next_if_eq(&quote).is_some() {
                bytes += quote.len_utf8();
                text.push(quote);
            } else {
                self.forward(bytes);
                return Ok(text);
            }
        }
        Err(Wrong::new(self.at, format!("the text that begins with {quote} has no end; close it with {quote}")))
    }

    fn number(&mut self) -> Result<Literal, Wrong> {
        let at = self.at;
        let part = |next: char| next.is_ascii_alphanumeric() || next == '.' || next == '_';
        let bytes = self.rest.as_bytes();
        let mut end = self.rest[1..].find(|next| !part(next)).map_or(bytes.len(), |end| end + 1);
        // The sign of an exponent.
        if matches!(bytes[end - 1], b'e' | b'E') && end < bytes.len() && matches!(bytes[end], b'+' | b'-') {
            end = self.rest[end + 1..].find(|next| !part(next)).map_or(bytes.len(), |more| end + 1 + more);
        }
        let text = self.forward(end);
        if let Ok(number) = text.parse::<i64>() {
            return Ok(Literal::Int(number));
        }
        let whole = text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
        if whole && text.len() > 1 {
            return Err(Wrong::new(at, format!("{text} is past the whole numbers of 64 bits")));
        }
        let plain = text.bytes().any(|byte| byte.is_ascii_digit()) && !text.ends_with('.') && !text.contains("-.");
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && plain => Ok(Literal::Float(number)),
            _ => Err(Wrong::new(at, format!("`{text}` is no number"))),
        }
    }
}

fn is_word_start(next: char) -> bool {
    next.is_alphabetic() || next == '_' || next == '@'
}

/// Columns are named by paths, and metadata with a `-`: there is no minus here.
fn is_word(next: char) -> bool {
    is_word_start(next) || next.is_numeric() || next == '.' || next == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).expect("it has tokens").into_iter().map(|token| token.kind).collect()
    }

    fn word(text: &str) -> Kind {
        Kind::Word(text.to_owned())
    }

    #[test]
    fn a_condition_is_taken_apart() {
        let found = kinds("site.name >='it''s' and(@event-time<-3)or`odd name`!= 1e-3");
        let text = |text: &str| Kind::Literal(Literal::Text(text.to_owned()));
        let number = |number| Kind::Literal(Literal::Int(number));
        let expected = [
            vec![word("site.name"), Kind::Sign(">="), text("it's"), word("and"), Kind::Sign("("), word("@event-time")],
            vec![Kind::Sign("<"), number(-3), Kind::Sign(")"), word("or"), Kind::Quoted("odd name".to_owned())],
            vec![Kind::Sign("!="), Kind::Literal(Literal::Float(1e-3)), Kind::End],
        ];
        assert_eq!(found, expected.concat());
    }

    #[test]
    fn places_are_counted_in_characters() {
        let found = tokens("ü = 'ß' or é").expect("it has tokens");
        assert_eq!(found.iter().map(|token| token.at).collect::<Vec<_>>(), [1, 3, 5, 9, 12, 13]);
    }

    #[test]
    fn what_is_no_token_is_told_with_its_place() {
        for (text, at, words) in [
            ("a > 9223372036854775808", 5, "9223372036854775808 is past the whole numbers of 64 bits"),
            ("a > 1.2.3", 5, "`1.2.3` is no number"),
            ("a > 3x", 5, "`3x` is no number"),
            ("a > -", 5, "`-` is no number"),
            ("a > 1e999", 5, "`1e999` is no number"),
            ("a == 'open", 6, "the text that begins with ' has no end; close it with '"),
            ("a > 1 && b", 7, "`&` is not known here; write `and`"),
            ("a <> 1", 3, "`<>` is not known here; write `!=`"),
            ("a + 1", 3, "`+` means nothing here"),
        ] {
            assert_eq!(tokens(text), Err(Wrong::new(at, words)), "{text}");
        }
    }
}
