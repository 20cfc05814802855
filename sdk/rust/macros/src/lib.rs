//! The derives and attributes of the wasmill SDK. What they mean is said in the crate `wasmill`, which re-exports them.
//!
//! Always true: generated code names everything by its full path, and no `unsafe` is written here. A struct in which
//! something is wrong has the impls of one without fields, so that the mistake is told and nothing that follows from
//! it. Neighbours: `fields` reads a struct, `row`, `state` and `metrics` make its impls; `function` reads a function,
//! `operator` wraps it.
#![forbid(unsafe_code)]

mod advice;
mod fields;
mod function;
mod metrics;
mod operator;
mod row;
mod state;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct with named fields a row: one that an operator is given, makes, or both.
///
/// A field's column has its name, or that of `#[row(name = "site.name")]`. `#[row(default = 0)]` is what rows have that
/// lack it; without, a field that may lack is an `Option`.
#[proc_macro_derive(Row, attributes(row))]
pub fn row(input: TokenStream) -> TokenStream {
    answer(row::derive(&parse_macro_input!(input as DeriveInput)))
}

/// Makes a struct with named fields the state of a key.
///
/// `#[state(name = "stats", version = 2, ttl = "1h")]`: the table's name (the struct's, in `snake_case`), the version
/// of the meaning of its fields (1), and how long a key is kept after its last change (for ever; `ms`, `s`, `m`, `h`,
/// `d`). A field's column has its name, or that of `#[state(name = "..")]`.
#[proc_macro_derive(State, attributes(state))]
pub fn state(input: TokenStream) -> TokenStream {
    answer(state::derive(&parse_macro_input!(input as DeriveInput)))
}

/// Makes a struct of counters and gauges the metrics of an operator.
///
/// A field's metric has its name, and its doc comment as help; `#[metrics(name = "..")]` gives another name.
#[proc_macro_derive(Metrics, attributes(metrics))]
pub fn metrics(input: TokenStream) -> TokenStream {
    answer(metrics::derive(&parse_macro_input!(input as DeriveInput)))
}

/// Makes a function of a row the operator of this crate: `#[transform(ports(late), carries("id", "n" as "count"))]`.
#[proc_macro_attribute]
pub fn transform(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as operator::Arguments);
    answer(operator::expand(operator::Kind::Transform, &arguments, parse_macro_input!(item as function::Function)))
}

/// Makes a function of a row and the state of its key the operator of this crate: `#[keyed(ports(alerts))]`.
#[proc_macro_attribute]
pub fn keyed(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as operator::Arguments);
    answer(operator::expand(operator::Kind::Keyed, &arguments, parse_macro_input!(item as function::Function)))
}

fn answer(tokens: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    tokens.unwrap_or_else(|error| error.into_compile_error()).into()
}
