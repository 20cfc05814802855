//! Lines from a tape of random bytes: records of the test's schema in all the ways that producers write them, and
//! mutants.

use crate::oracle::MOMENTS;

/// Random bytes that decide; at its end every decision is for the first choice, so that a shorter tape is a simpler
/// text.
pub(crate) struct Tape<'a> {
    pub(crate) bytes: &'a [u8],
}

impl Tape<'_> {
    fn byte(&mut self) -> u8 {
        self.bytes.split_off_first().copied().unwrap_or_default()
    }

    fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// Yes once in `count` times.
    fn rarely(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    fn pick<'b>(&mut self, choices: &[&'b str]) -> &'b str {
        choices[self.below(choices.len())]
    }
}

/// Whether lines may be cut, mixed up or otherwise made bad, beside being merely odd.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Health {
    Good,
    Any,
}

/// Up to 24 lines. Half of them repeat the shape of the line before, so that there is something to predict.
pub(crate) fn text(tape: &mut Tape<'_>, health: Health) -> Vec<u8> {
    let mut text = Vec::new();
    let mut shape = Shape::draw(tape);
    for _ in 0..tape.below(25) {
        if tape.rarely(2) {
            shape = Shape::draw(tape);
        }
        let mut line = shape.line(tape, health).into_bytes();
        if health == Health::Any && tape.rarely(6) {
            mutate(tape, &mut line);
        }
        text.extend_from_slice(&line);
        text.extend_from_slice(tape.pick(&["\n", "\n", "\n", "\r\n", "\n\n", "\n \t\n"]).as_bytes());
    }
    if tape.rarely(3) {
        text.pop();
    }
    text
}

/// What lines of one producer have in common.
struct Shape {
    keys: Vec<&'static str>,
    site_keys: Vec<&'static str>,
    gap: &'static str,
    colon: &'static str,
}

impl Shape {
    fn draw(tape: &mut Tape<'_>) -> Self {
        let mut keys = vec!["price", "url", "rate", "live", "at", "site", "tags", "blob"];
        let mut site_keys = vec!["name", "geo", "size"];
        for keys in [&mut keys, &mut site_keys] {
            let more = tape.pick(&["", "", "other", "pric", "price ", "a.b", "é"]);
            keys.extend(Some(more).filter(|key| !key.is_empty()));
            for _ in 0..tape.below(6) {
                let (a, b) = (tape.below(keys.len()), tape.below(keys.len()));
                keys.swap(a, b);
            }
        }
        let gap = tape.pick(&["", "", " ", "\t", "  "]);
        Self { keys, site_keys, gap, colon: tape.pick(&[":", ":", ": ", " : "]) }
    }

    fn line(&self, tape: &mut Tape<'_>, health: Health) -> String {
        let outer = tape.pick(&["", "", "", " "]);
        format!("{outer}{}{outer}", self.object(tape, &self.keys, health))
    }

    fn object(&self, tape: &mut Tape<'_>, keys: &[&str], health: Health) -> String {
        let mut entries = Vec::new();
        for key in keys {
            let required = matches!(*key, "price" | "url" | "site" | "name");
            if tape.rarely(12) && (health == Health::Any || !required) {
                continue;
            }
            let value =
                if tape.rarely(40) && health == Health::Any { any(tape, 3) } else { self.value(tape, key, health) };
            entries.push(format!("{}{}{value}", quoted_key(tape, key), self.colon));
            if tape.rarely(60) && health == Health::Any {
                entries.push(entries[tape.below(entries.len())].clone());
            }
        }
        format!("{{{}{}{}}}", self.gap, entries.join(&format!(",{}", self.gap)), self.gap)
    }

    fn value(&self, tape: &mut Tape<'_>, key: &str, health: Health) -> String {
        if !matches!(key, "price" | "url" | "site" | "name") && tape.rarely(8) {
            return "null".to_owned();
        }
        match key {
            "price" | "size" => integer(tape),
            "url" | "name" | "blob" => string(tape),
            "rate" | "lat" => number(tape, health),
            "live" => tape.pick(&["true", "false"]).to_owned(),
            "at" => {
                if tape.rarely(2) {
                    format!("\"{}\"", MOMENTS[tape.below(MOMENTS.len())].0)
                } else {
                    "1795272616123".to_owned()
                }
            }
            "site" => self.object(tape, &self.site_keys, health),
            "geo" => self.object(tape, &["lat"], health),
            _ => any(tape, 3),
        }
    }
}

/// The key in quotes, now and then with an escape.
fn quoted_key(tape: &mut Tape<'_>, key: &str) -> String {
    match key.chars().next() {
        Some(first) if tape.rarely(40) => format!("\"\\u{:04x}{}\"", u32::from(first), &key[first.len_utf8()..]),
        _ => format!("\"{key}\""),
    }
}

fn integer(tape: &mut Tape<'_>) -> String {
    match tape.below(6) {
        0 => tape.byte().to_string(),
        1 => format!("-{}", u32::from(tape.byte()) + 1),
        2 => tape
            .pick(&["99999999", "100000000", "999999999999999", "1000000000000000", "123456789012345678"])
            .to_owned(),
        3 => tape.pick(&["9223372036854775807", "-9223372036854775808"]).to_owned(),
        _ => (u64::from(tape.byte()) * 0x0123_4567_89ab).to_string(),
    }
}

fn number(tape: &mut Tape<'_>, health: Health) -> String {
    match tape.below(6) {
        0 => integer(tape),
        1 => {
            tape.pick(&["1e3", "-2.5E-3", "1E+2", "0e999", "5e-324", "1.7976931348623157e308", "-0", "-0.0"]).to_owned()
        }
        2 if health == Health::Any => {
            tape.pick(&["1e999", "01", "1.", ".5", "-", "+1", "1e", "0x1", "NaN", "--1"]).to_owned()
        }
        3 => format!("0.{}{}{}", integer(tape).trim_start_matches('-'), tape.byte(), tape.byte()),
        _ => format!("{}.{}", tape.byte(), tape.byte()),
    }
}

fn string(tape: &mut Tape<'_>) -> String {
    let mut text = String::from("\"");
    for _ in 0..tape.below(12) {
        let pieces = [
            "a",
            "plain text",
            "é",
            "€",
            "😀",
            r#"\""#,
            r"\\",
            r"\/",
            r"\n",
            r"\u00e9",
            r"\ud83d\ude00",
            r"\u0000",
            "{",
            ",",
        ];
        text.push_str(tape.pick(&pieces));
    }
    text.push('"');
    text
}

/// Any value, nested at most that deep.
fn any(tape: &mut Tape<'_>, depth: usize) -> String {
    match tape.below(if depth == 0 { 5 } else { 7 }) {
        0 => number(tape, Health::Good),
        1 => string(tape),
        2 => "true".to_owned(),
        3 => "null".to_owned(),
        4 => tape.pick(&["[]", "{}", "[ ]", "18446744073709551615", "{\"a\":1,\"a\":2}"]).to_owned(),
        5 => format!("[{},{}]", any(tape, depth - 1), any(tape, depth - 1)),
        _ => format!("{{{}:{}}}", string(tape), any(tape, depth - 1)),
    }
}

/// Cuts, drops, doubles or changes bytes.
fn mutate(tape: &mut Tape<'_>, line: &mut Vec<u8>) {
    for _ in 0..=tape.below(2) {
        let at = (usize::from(tape.byte()) << 8 | usize::from(tape.byte())) % (line.len() + 1);
        match tape.below(7) {
            0 => line.truncate(at),
            1 => drop(line.splice(at..(at + 1).min(line.len()), [])),
            2 => drop(line.splice(
                at..at,
                tape.pick(&["\"", "\\", "{", "}", ",", ":", "]", "0", "\u{0}", "\u{1f}", "\\ud800", "\n"]).bytes(),
            )),
            3 => drop(line.splice(at..at, [tape.byte()])),
            4 => line.extend_from_slice(tape.pick(&["}", " x", "{}", ",", "\u{0}"]).as_bytes()),
            5 => drop(line.splice(..0, tape.pick(&["[", "\u{feff}", "null", "\u{c}"]).bytes())),
            _ => {
                let deep = 124 + tape.below(6);
                let value = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
                let brace = line.iter().position(|byte| *byte == b'{').unwrap_or_default();
                drop(line.splice(
                    brace + usize::from(!line.is_empty())..brace + usize::from(!line.is_empty()),
                    format!("\"deep\":{value},").bytes(),
                ));
            }
        }
    }
}
