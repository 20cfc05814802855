//! A mistake: a number that no column has, in a row that is made.
//= `Option<f32>` cannot be a field of a row: use `f64`
use wasmill::prelude::*;

#[derive(Row)]
struct Reading<'a> {
    sensor: &'a str,
}

#[derive(Row)]
struct Scored {
    distance: Option<f32>, // <- here
}

#[transform]
fn score(reading: Reading, out: &mut Out<Scored>) -> Verdict {
    out.emit(Scored { distance: None });
    emit(Scored { distance: (!reading.sensor.is_empty()).then_some(1.0) })
}

fn main() {}
