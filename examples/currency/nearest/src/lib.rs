//! The price of each bid, from dollars to euros, to the nearest whole number: what takes the place of `../plugin`,
//! which rounds down, while rows flow.

use serde::Deserialize;
use wasmill::prelude::*;

#[derive(Row)]
struct Bid {
    price: i64,
}

/// The rate as a ratio, as `../plugin` has it.
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
    let rounded = scaled.checked_add(rate.denominator / 2).ok_or("price times numerator is past 64 bits")?;
    Ok(Bid { price: rounded / rate.denominator })
}
