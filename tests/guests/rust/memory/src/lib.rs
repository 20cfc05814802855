//! State of every kind: what a key had before, and what it has now.

use wasmill::prelude::*;

#[derive(Row)]
struct Line<'a> {
    word: &'a str,
    bad: bool,
}

#[derive(State)]
#[state(name = "kept", version = 3, ttl = "1m")]
struct Memory {
    n: i64,
    words: String,
    last: Option<String>,
    raw: Vec<u8>,
    at: Timestamp,
    odd: bool,
    ratio: f64,
}

impl Default for Memory {
    fn default() -> Self {
        let (words, raw) = (String::new(), Vec::new());
        Self { n: 100, words, last: None, raw, at: Timestamp(0), odd: false, ratio: 0.0 }
    }
}

#[derive(Row)]
struct Before {
    n: i64,
    words: String,
    last: Option<String>,
}

#[keyed]
fn remember(line: Line<'_>, memory: &mut Memory, context: &Context) -> Result<Before, Reject> {
    let before = Before { n: memory.n, words: memory.words.clone(), last: memory.last.clone() };
    memory.n += 1;
    memory.words += line.word;
    memory.last = Some(line.word.to_owned());
    memory.raw.extend(line.word.as_bytes());
    memory.at = Timestamp(context.now);
    memory.odd = !memory.odd;
    memory.ratio = memory.n as f64 / 2.0;
    if line.bad {
        return reject("bad");
    }
    Ok(before)
}
