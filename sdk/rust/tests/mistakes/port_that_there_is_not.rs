//! A mistake: a port that there is not.
//= there is no port `alert`: name it in the attribute, `ports(alert)`
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[transform(ports(alerts))]
fn split(reading: Reading, out: &mut Out<Reading>) {
    out.to("alert", reading); // <- here
}

fn main() {}
