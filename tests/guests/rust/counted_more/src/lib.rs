//! `counted` with a field more in its state, which may be null: what it is null for was counted before.

use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    id: i64,
}

#[derive(State, Default)]
struct Seen {
    n: i64,
    last: Option<i64>,
}

#[derive(Row)]
struct Counted {
    count: i64,
}

#[keyed]
fn count(reading: Reading, seen: &mut Seen) -> Counted {
    seen.n += 1;
    seen.last = Some(reading.id);
    Counted { count: seen.n }
}
