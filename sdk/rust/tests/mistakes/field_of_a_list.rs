//! A mistake: a list, which a column has as JSON.
//= `Vec<String>` cannot be a field of a row: use `Json` for arrays and objects
use wasmill::prelude::*;

#[derive(Row)]
struct Order {
    items: Vec<String>, // <- here
}

#[transform]
fn keep(order: Order) -> bool {
    !order.items.is_empty()
}

fn main() {}
