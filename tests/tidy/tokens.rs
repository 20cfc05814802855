//! Rust text to tokens, as far as the rules need it: words, marks, literals and comments, each with its line.
//!
//! Always true: no word of a string or a comment comes out as a word, so a rule about `unsafe` is not fooled by prose.
//! Neighbours: [`crate::tree`] keeps the tokens of each file.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or keyword, without the `r#` of raw ones.
    Word,
    /// One character of punctuation.
    Mark,
    /// A string, character, number or lifetime.
    Literal,
    /// A comment, marks included.
    Comment,
}

/// A piece of Rust text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its text.
    pub text: String,
    /// The line on which it begins, counted from 1.
    pub line: usize,
}

impl Token {
    /// Whether it is that word.
    #[must_use]
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    /// Whether it is that mark.
    #[must_use]
    pub fn is_mark(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && self.text == mark
    }
}

/// The tokens of a text, in order. Text that is not Rust gives tokens too, only not sensible ones.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let rest = &text[at..];
        let (kind, length) = next(rest);
        if let Some(kind) = kind {
            let text = rest[..length].strip_prefix("r#").filter(|_| kind == Kind::Word).unwrap_or(&rest[..length]);
            found.push(Token { kind, text: text.to_owned(), line });
        }
        line += rest[..length].matches('\n').count();
        at += length;
    }
    found
}

/// The kind of what stands at the front, none for white space, and its length in bytes.
fn next(rest: &str) -> (Option<Kind>, usize) {
    let first = rest.chars().next().expect("the caller has text left");
    if first.is_whitespace() {
        return (None, first.len_utf8());
    }
    if rest.starts_with("//") {
        return (Some(Kind::Comment), rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Some(Kind::Comment), block_comment(rest));
    }
    if let Some(length) = string(rest) {
        return (Some(Kind::Literal), length);
    }
    if first == '\'' {
        return (Some(Kind::Literal), quote(rest));
    }
    if first.is_ascii_digit() {
        return (Some(Kind::Literal), number(rest));
    }
    if first == '_' || first.is_alphabetic() {
        let prefix = if rest.starts_with("r#") { 2 } else { 0 };
        return (Some(Kind::Word), prefix + word(&rest[prefix..]));
    }
    (Some(Kind::Mark), first.len_utf8())
}

/// Length of the letters, digits and underscores at the front.
fn word(rest: &str) -> usize {
    rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len())
}

/// Length of a number; `1..2` is a number and two marks.
fn number(rest: &str) -> usize {
    let whole = word(rest);
    match rest[whole..].strip_prefix('.') {
        Some(fraction) if fraction.starts_with(|c: char| c.is_ascii_digit()) => whole + 1 + word(fraction),
        _ => whole,
    }
}

/// Length of a `/* .. */`, which may hold others.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let (step, change) = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Length of a string of any sort, if one stands at the front.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""]
        .into_iter()
        .find(|prefix| rest.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"')))?;
    let body = &rest[prefix.len()..];
    let hashes = body.len() - body.trim_start_matches('#').len();
    if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = prefix.len() + hashes + 1;
        return Some(rest[inside..].find(&end).map_or(rest.len(), |length| inside + length + end.len()));
    }
    if hashes > 0 {
        return None;
    }
    Some(prefix.len() + 1 + escaped(&body[1..], '"'))
}

/// Length up to and with `end`, past whatever a backslash protects.
fn escaped(rest: &str, end: char) -> usize {
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == end {
            return at + 1;
        }
    }
    rest.len()
}

/// Length of a character or a lifetime. `b'x'` comes as the word `b` and a character, which harms no rule.
fn quote(rest: &str) -> usize {
    let mut inside = rest[1..].chars();
    match (inside.next(), inside.next()) {
        (Some('\\'), _) => 1 + escaped(&rest[1..], '\''),
        (Some(character), Some('\'')) => 2 + character.len_utf8(),
        _ => 1 + word(&rest[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).into_iter().filter(|token| token.kind == Kind::Word).map(|token| token.text).collect()
    }

    #[test]
    fn words_of_strings_and_comments_are_not_words() {
        assert_eq!(words("a // b\n /* c /* d */ e */ f"), ["a", "f"]);
        assert_eq!(words(r####"a "b \" c" r#"d " e"# br"f" c"g" h"####), ["a", "h"]);
        assert_eq!(words(r"a '{' '\'' b'}' 'x: loop"), ["a", "b", "loop"]);
    }

    #[test]
    fn raw_words_numbers_and_ranges_are_told_apart() {
        assert_eq!(words("r#type 1_000u64 0x1f 1.5e3 ä"), ["type", "ä"]);
        let marks = tokens("1..2").into_iter().filter(|token| token.kind == Kind::Mark).count();
        assert_eq!(marks, 2);
    }

    #[test]
    fn lines_are_counted_through_long_tokens() {
        let found = tokens("\"\n\n\" /*\n*/ x");
        assert_eq!(found.last().map(|token| token.line), Some(4));
    }

    #[test]
    fn text_that_breaks_off_ends_the_tokens() {
        for text in ["\"a", "r#\"a\"", "/* /* */", "'", "'\\", "b'", "1."] {
            assert!(!tokens(text).is_empty(), "{text}");
        }
    }
}
