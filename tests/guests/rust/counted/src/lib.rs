//! How often each key was there.

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
    seen.n += 1;
    Counted { count: seen.n }
}
