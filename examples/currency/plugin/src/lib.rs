//! Nexmark's first query: the price of each bid, from dollars to euros.

use serde::Deserialize;
use wasmill::prelude::*;

#[derive(Row)]
struct Bid {
    price: i64,
}

/// The rate as a ratio, so that prices stay whole numbers: 0.908 euros for a dollar unless configured.
#[derive(Deserialize)]
#[serde(default)]
struct Rate {
    numerator: i64,
    denominator: i64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { numerator: 908, denominator: 1000 }
    }
}

impl Rate {
    fn check(&self) -> Result<(), String> {
        if self.denominator > 0 { Ok(()) } else { Err(format!("`denominator` is {}, not above 0", self.denominator)) }
    }
}

#[transform]
fn convert(bid: Bid, rate: &Rate) -> Result<Bid, Reject> {
    let scaled = bid.price.checked_mul(rate.numerator).ok_or("price times numerator is past 64 bits")?;
    Ok(Bid { price: scaled / rate.denominator })
}
