//! Nexmark q2: bids on some auctions.

use wasmill::prelude::*;

#[derive(Row)]
struct Bid {
    auction: i64,
}

#[transform]
fn filter(bid: Bid) -> bool {
    bid.auction % 123 == 0
}
