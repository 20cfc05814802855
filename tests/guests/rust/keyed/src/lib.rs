//! Running count, sum and average of the prices of a key.

use wasmill::prelude::*;

#[derive(Row)]
struct Bid {
    price: i64,
}

#[derive(State, Default)]
struct Totals {
    n: i64,
    sum: i64,
}

#[derive(Row)]
struct Running {
    count: i64,
    sum: i64,
    avg: f64,
}

#[keyed]
fn total(bid: Bid, totals: &mut Totals) -> Running {
    totals.n += 1;
    totals.sum += bid.price;
    Running { count: totals.n, sum: totals.sum, avg: totals.sum as f64 / totals.n as f64 }
}
