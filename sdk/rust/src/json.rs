//! JSON text as a tree of values, for the configuration.
//!
//! Our own, because what every guest compiles is kept short: serde_json and what it brings are a sixth of a first
//! build, for one short text that is read once, when the operator is opened. Always true: it takes what RFC 8259 allows
//! and nothing else, and of that neither a key that stands twice in an object, nor a number past the range of `f64`,
//! nor more than [`LEVELS_MAX`] levels; whole numbers of 64 bits are exact. Tests hold it to serde_json. Neighbour:
//! [`crate::config`] makes a type of the tree.

/// Arrays and objects within each other.
const LEVELS_MAX: usize = 127;

/// A value.
#[derive(Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A whole number that is not negative.
    Unsigned(u64),
    /// A whole number below zero.
    Negative(i64),
    /// Any other number.
    Float(f64),
    String(String),
    Array(Vec<Value>),
    /// Sorted by key.
    Object(Vec<(String, Value)>),
}

/// The value that the text stands for.
///
/// # Errors
/// It is not JSON, or past what is taken: where, and what was expected.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.wrong("the end"));
    }
    Ok(value)
}

struct Parser<'t> {
    text: &'t str,
    /// The next byte; a character begins there, or the text ends.
    at: usize,
}

impl Parser<'_> {
    fn value(&mut self, levels: usize) -> Result<Value, String> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(levels + 1),
            Some(b'[') => self.array(levels + 1),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.take("null") => Ok(Value::Null),
            _ if self.take("true") => Ok(Value::Bool(true)),
            _ if self.take("false") => Ok(Value::Bool(false)),
            _ => Err(self.wrong("a value")),
        }
    }

    fn object(&mut self, levels: usize) -> Result<Value, String> {
        let mut keys: Vec<(String, Value)> = Vec::new();
        if self.enter(levels, "}")? {
            return Ok(Value::Object(keys));
        }
        loop {
            self.skip_space();
            let place = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a key in quotes"));
            }
            let key = self.string()?;
            // The host writes keys in this order, so that the place is mostly behind the last one.
            let Err(sorted) = keys.binary_search_by(|(other, _)| other.as_str().cmp(&key)) else {
                return Err(format!("the key `{key}` stands twice in an object, again at {}", self.place(place)));
            };
            self.skip_space();
            if !self.take(":") {
                return Err(self.wrong("`:`"));
            }
            let value = self.value(levels)?;
            keys.insert(sorted, (key, value));
            if self.leave("}", "`,` or `}`")? {
                return Ok(Value::Object(keys));
            }
        }
    }

    fn array(&mut self, levels: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        if self.enter(levels, "]")? {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(levels)?);
            if self.leave("]", "`,` or `]`")? {
                return Ok(Value::Array(items));
            }
        }
    }

    /// Goes past the opening bracket, and past the closing one if nothing stands between them; whether that is so.
    fn enter(&mut self, levels: usize, close: &str) -> Result<bool, String> {
        if levels > LEVELS_MAX {
            return Err(format!("there are more than {LEVELS_MAX} levels at {}", self.place(self.at)));
        }
        self.at += 1;
        self.skip_space();
        Ok(self.take(close))
    }

    /// Goes past the closing bracket or the comma behind an item; whether it was the bracket.
    fn leave(&mut self, close: &str, expected: &str) -> Result<bool, String> {
        self.skip_space();
        let is_closed = self.take(close);
        if is_closed || self.take(",") { Ok(is_closed) } else { Err(self.wrong(expected)) }
    }

    fn number(&mut self) -> Result<Value, String> {
        let from = self.at;
        let is_negative = self.take("-");
        let mut whole = if self.take("0") { Some(0) } else { self.digits()? };
        if self.take(".") {
            self.digits()?;
            whole = None;
        }
        if self.take("e") || self.take("E") {
            if !self.take("+") {
                self.take("-");
            }
            self.digits()?;
            whole = None;
        }
        if let (Some(number), false) = (whole, is_negative) {
            return Ok(Value::Unsigned(number));
        }
        // `-0` is none of these: it would lose its sign.
        let negative = whole.filter(|number| *number > 0).and_then(|number| 0_i64.checked_sub_unsigned(number));
        if let Some(number) = negative {
            return Ok(Value::Negative(number));
        }
        match self.text[from..self.at].parse() {
            Ok(number) if f64::is_finite(number) => Ok(Value::Float(number)),
            _ => Err(format!("the number at {} is past the range of `f64`", self.place(from))),
        }
    }

    /// Goes past digits, of which there has to be one; the number that they are, if it has no more than 64 bits.
    fn digits(&mut self) -> Result<Option<u64>, String> {
        let (from, mut number) = (self.at, Some(0_u64));
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number.and_then(|number| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
            self.at += 1;
        }
        if self.at == from { Err(self.wrong("a digit")) } else { Ok(number) }
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let from = self.at;
            while self.peek().is_some_and(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            string.push_str(&self.text[from..self.at]);
            if self.take("\"") {
                return Ok(string);
            }
            if !self.take("\\") {
                return Err(self.wrong("`\"` at the end of the string"));
            }
            string.push(self.escaped()?);
        }
    }

    /// What stands behind a backslash.
    fn escaped(&mut self) -> Result<char, String> {
        let escaped = match self.peek() {
            Some(letter @ (b'"' | b'\\' | b'/')) => char::from(letter),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_point(),
            _ => return Err(self.wrong("one of `\"`, `\\`, `/`, `b`, `f`, `n`, `r`, `t`, `u` after `\\`")),
        };
        self.at += 1;
        Ok(escaped)
    }

    /// `u` and four digits; for a character past the first plane two of those, the halves of a pair.
    fn code_point(&mut self) -> Result<char, String> {
        let place = self.at;
        let mut code = self.code_unit()?;
        if (0xd800..0xdc00).contains(&code) && self.take("\\") {
            // What is no second half gives a code that no character has.
            let half = self.code_unit()?.wrapping_sub(0xdc00);
            code = if half < 0x400 { 0x1_0000 + ((code - 0xd800) << 10) + half } else { code };
        }
        char::from_u32(code).ok_or_else(|| format!("there is half of a surrogate pair at {}", self.place(place)))
    }

    fn code_unit(&mut self) -> Result<u32, String> {
        if !self.take("u") {
            return Err(self.wrong("`u` and four hexadecimal digits"));
        }
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|digit| char::from(digit).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.wrong("a hexadecimal digit, of four"))?;
            self.at += 1;
        }
        Ok(code)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Goes past that word if it stands here.
    fn take(&mut self, word: &str) -> bool {
        let is_here = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += if is_here { word.len() } else { 0 };
        is_here
    }

    fn wrong(&self, expected: &str) -> String {
        let place = self.place(self.at);
        match self.text[self.at..].chars().next() {
            None => format!("expected {expected}, found the end at {place}"),
            Some('\0'..' ') => format!("expected {expected}, found a control character at {place}"),
            Some(found) => format!("expected {expected}, found `{found}` at {place}"),
        }
    }

    /// Line and column, in characters, both from 1.
    fn place(&self, at: usize) -> String {
        let (mut line, mut column) = (1, 1);
        for c in self.text[..at].chars() {
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        format!("line {line}, column {column}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Number, json};

    use super::*;

    /// What serde_json would have made.
    fn theirs(ours: Value) -> serde_json::Value {
        match ours {
            Value::Null => json!(null),
            Value::Bool(truth) => json!(truth),
            Value::Unsigned(number) => json!(number),
            Value::Negative(number) => json!(number),
            Value::Float(number) => Number::from_f64(number).expect("it is finite").into(),
            Value::String(text) => json!(text),
            Value::Array(items) => items.into_iter().map(theirs).collect(),
            Value::Object(keys) => {
                assert!(keys.is_sorted_by(|(a, _), (b, _)| a < b), "{keys:?}");
                keys.into_iter().map(|(key, value)| (key, theirs(value))).collect()
            }
        }
    }

    /// Reads a text with both, and says whether it is JSON; a key that stands twice is so for them alone.
    fn agreed(text: &str) -> bool {
        let (ours, other) = (parse(text), serde_json::from_str::<serde_json::Value>(text));
        match (ours.map(theirs), other) {
            (Ok(ours), Ok(other)) => assert_eq!(ours, other, "{text:?}"),
            (Err(error), Ok(_)) if error.contains("stands twice") => {}
            (Err(_), Err(_)) => return false,
            (ours, other) => panic!("{text:?} is {ours:?}, and for serde_json {other:?}"),
        }
        true
    }

    #[test]
    fn a_text_is_read_as_serde_json_reads_it() {
        let levels = |count: usize| "[".repeat(count) + &"]".repeat(count);
        let whole = [
            "0 -0 1 -1 9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809",
            "18446744073709551615 18446744073709551616 0.5 -0.0 1.5e3 1E-2 1e+2 1e308 1.7976931348623157e308 5e-324",
            "1e-400 0.1 123456789012345678901234567890 2.2250738585072011e-308 0e0 null true false [] {}",
            r#""" "a" "\"\\\/\b\f\n\r\t" "\u00e4\u0000\uD834\udd1e" "ä𝄞""#,
            r#"[null] [[],{}] {"":""} {"b":[1],"a":{"c":null}}"#,
        ];
        for text in whole.iter().flat_map(|line| line.split(' ')) {
            assert!(agreed(text), "{text}");
            assert!(agreed(&format!(" \t\r\n{text}\n")), "{text}");
        }
        assert!(agreed(&levels(LEVELS_MAX)));
        assert!(agreed(" { \"a\" : [ 1 , \"b c\" ] , \"d\" : { } } "));
        assert!(!agreed(&levels(LEVELS_MAX + 1)) && !agreed(""));
        let broken = [
            r#"- 01 -01 +1 .5 1. 1.e1 1e 1e+ 0x1 1_0 Infinity NaN - 1e400 -1e400 nul nulls True tru [ ] { }"#,
            r#"[1 [1, [1,] [,1] [1]] {"a" {"a": {"a":1 {"a":1,} {,} {a:1} {'a':1} {1:1} {"a"} {"a":1}} {"a":1,,"b":2}"#,
            r#"1,2 /**/1 # " "a "\" "\x" "\u" "\u12" "\u12g4" "\u+123" "\uäbc" "\ud834""#,
            r#""\ud834\n" "\ud834a" "\ud834\u0041""#,
            r#""\udd1e" "\ud834\ud834" "\U0041" 'a' "a"b [1"#,
        ];
        let more = ["\"a\nb\"", "\"\u{1}\"", "\u{a0}1", "\u{feff}1", "1 2", "[1 2]", "- 1", "1 .5", "tr ue"];
        for text in broken.iter().flat_map(|line| line.split(' ')).chain(more) {
            assert!(!agreed(text), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, told) in [
            ("", "expected a value, found the end at line 1, column 1"),
            ("{\n  \"ä\": tru\n}", "expected a value, found `t` at line 2, column 8"),
            ("{\"a\" 1}", "expected `:`, found `1` at line 1, column 6"),
            ("{\"a\": 1", "expected `,` or `}`, found the end at line 1, column 8"),
            ("{\"a\": 1,}", "expected a key in quotes, found `}` at line 1, column 9"),
            ("[1 2]", "expected `,` or `]`, found `2` at line 1, column 4"),
            ("[1] x", "expected the end, found `x` at line 1, column 5"),
            ("-x", "expected a digit, found `x` at line 1, column 2"),
            ("[\"a\nb\"]", "expected `\"` at the end of the string, found a control character at line 1, column 4"),
            (r#""\ud800\n""#, "expected `u` and four hexadecimal digits, found `n` at line 1, column 9"),
            (r#"["\u12"]"#, "expected a hexadecimal digit, of four, found `\"` at line 1, column 7"),
            (r#"["\udc00"]"#, "there is half of a surrogate pair at line 1, column 4"),
            ("[\n1e999]", "the number at line 2, column 1 is past the range of `f64`"),
            ("{\"a\": 1,\n \"a\": 1}", "the key `a` stands twice in an object, again at line 2, column 2"),
        ] {
            assert_eq!(parse(text), Err(told.to_owned()), "{text}");
        }
        let deep = parse(&"[".repeat(1_000_000)).expect_err("it is deep");
        assert_eq!(deep, "there are more than 127 levels at line 1, column 128");
    }

    /// xorshift64: the same texts each time.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % end as u64) as usize
        }

        fn one_of(&mut self, chars: &str) -> char {
            chars.chars().nth(self.below(chars.chars().count())).expect("it is one of them")
        }

        fn text(&mut self) -> String {
            (0..self.below(4)).map(|_| self.one_of("abcd \"\\/\n\u{1}\u{7f}ä𝄞")).collect()
        }

        fn value(&mut self, levels: usize) -> serde_json::Value {
            match self.below(if levels == 0 { 6 } else { 9 }) {
                0 => json!(null),
                1 => json!(self.below(2) == 0),
                2 => json!(self.0 >> self.below(64)),
                3 => json!(self.0.cast_signed() >> self.below(64)),
                4 => Number::from_f64(f64::from_bits(self.0)).map_or_else(|| json!(0.1), serde_json::Value::Number),
                5 => json!(self.text()),
                6 => (0..self.below(4)).map(|_| self.value(levels - 1)).collect(),
                _ => (0..self.below(4)).map(|_| (self.text(), self.value(levels - 1))).collect::<Map<_, _>>().into(),
            }
        }
    }

    #[test]
    fn what_serde_json_writes_is_read_and_a_slip_in_it_is_what_serde_json_says_it_is() {
        let mut random = Random(0x5eed);
        let (mut good, mut bad) = (0, 0);
        for _ in 0..3_000 {
            let value = random.value(4);
            let compact = value.to_string();
            let pretty = serde_json::to_string_pretty(&value).expect("a value is written");
            for text in [&compact, &pretty] {
                assert_eq!(parse(text).map(theirs), Ok(value.clone()), "{text}");
            }
            for _ in 0..20 {
                let mut slip: Vec<char> = compact.chars().collect();
                let (from, to) = (random.below(slip.len()), random.below(2));
                let there = random.one_of("{}[]\",:\\u01a9-+.eE tfn\n\u{1}ä𝄞");
                slip.splice(from..from + to, (random.below(3) > 0).then_some(there));
                if agreed(&slip.into_iter().collect::<String>()) { good += 1 } else { bad += 1 }
            }
        }
        assert!(good > 5_000 && bad > 5_000, "the slips are of both kinds: {good}, {bad}");
    }
}
