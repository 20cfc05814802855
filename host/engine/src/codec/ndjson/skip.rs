//! Values that nobody reads: checked, as serde_json would check them, and passed over.

use super::fault::{DEPTH_MAX, Fault, What};
use super::number::{self, NumberFault};
use super::scan::{Scanned, blank};
use super::string;

/// Position after the value at `p`, within `depth` open containers.
#[inline(always)]
pub(super) fn skip(b: Scanned<'_>, p: usize, depth: u8) -> Result<usize, Fault> {
    match b[p] {
        b'"' => Ok(string::check(b, p)?.end + 1),
        b'-' | b'0'..=b'9' => number::check(&b, p).map_err(|fault| no_number(fault, p)),
        _ => other(b, p, depth),
    }
}

/// What is wrong with a number where any value may stand.
#[cold]
fn no_number(fault: NumberFault, at: usize) -> Fault {
    let what = match fault {
        NumberFault::Other => What::Syntax("a number as JSON writes them"),
        NumberFault::Range => What::Range,
    };
    Fault { at, what }
}

fn other(b: Scanned<'_>, p: usize, depth: u8) -> Result<usize, Fault> {
    match b[p] {
        b'{' | b'[' if depth >= DEPTH_MAX => Err(Fault { at: p, what: What::Depth }),
        b'{' => object(b, p, depth + 1),
        b'[' => array(b, p, depth + 1),
        b't' if b[p..p + 4] == *b"true" => Ok(p + 4),
        b'n' if b[p..p + 4] == *b"null" => Ok(p + 4),
        b'f' if b[p..p + 5] == *b"false" => Ok(p + 5),
        _ => Err(Fault { at: p, what: What::Syntax("a value") }),
    }
}

fn object(b: Scanned<'_>, p: usize, depth: u8) -> Result<usize, Fault> {
    let mut p = blank(&b, p + 1);
    if b[p] == b'}' {
        return Ok(p + 1);
    }
    loop {
        if b[p] != b'"' {
            return Err(Fault { at: p, what: What::Syntax("a key in quotes") });
        }
        p = blank(&b, string::check(b, p)?.end + 1);
        if b[p] != b':' {
            return Err(Fault { at: p, what: What::Syntax("`:`") });
        }
        p = blank(&b, skip(b, blank(&b, p + 1), depth)?);
        match b[p] {
            b',' => p = blank(&b, p + 1),
            b'}' => return Ok(p + 1),
            _ => return Err(Fault { at: p, what: What::Syntax("`,` or `}`") }),
        }
    }
}

fn array(b: Scanned<'_>, p: usize, depth: u8) -> Result<usize, Fault> {
    let mut p = blank(&b, p + 1);
    if b[p] == b']' {
        return Ok(p + 1);
    }
    loop {
        p = blank(&b, skip(b, p, depth)?);
        match b[p] {
            b',' => p = blank(&b, p + 1),
            b']' => return Ok(p + 1),
            _ => return Err(Fault { at: p, what: What::Syntax("`,` or `]`") }),
        }
    }
}
