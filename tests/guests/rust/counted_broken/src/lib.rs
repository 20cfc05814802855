//! `counted` with a mistake that shows on keys only that were there before: not on rows that it is tried on.

use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    #[row(name = "id")]
    _id: i64,
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
fn count(_reading: Reading, seen: &mut Seen) -> Counted {
    assert!(seen.n == 0, "a key that was there before");
    seen.n += 1;
    Counted { count: seen.n }
}
