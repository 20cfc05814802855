//! Nexmark q1: dollars to euros.

use wasmill::prelude::*;

#[derive(Row)]
struct Bid {
    price: i64,
}

#[transform]
fn convert(bid: Bid) -> Bid {
    Bid { price: bid.price * 908 / 1000 }
}
