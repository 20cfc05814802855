//! `counted` with a mistake that shows on every row.

use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    id: i64,
}

#[derive(State, Default)]
struct Seen {
    n: i64,
}

#[derive(Row)]
struct Counted {
    count: i64,
}

#[keyed]
fn count(reading: Reading, seen: &mut Seen) -> Counted {
    assert!(reading.id < 0, "a reading has a number");
    seen.n += 1;
    Counted { count: seen.n }
}
