//! `#[derive(State)]`: the cells of the fields, put together to those of a key.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Index, LitInt, LitStr, Result};

use crate::fields::{Column, columns, told};

/// What `#[state(..)]` on the struct says.
#[derive(Default)]
struct Table {
    name: String,
    version: u32,
    ttl_ms: Option<u64>,
}

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new(parameter.span(), "state outlives the call: it owns its fields and has no parameters"));
    }
    let ((columns, Table { name, version, ttl_ms }), wrong) = told(read(input));
    let ttl_ms =
        ttl_ms.map_or_else(|| quote!(::core::option::Option::None), |ms| quote!(::core::option::Option::Some(#ms)));
    let state = &input.ident;
    let cells: Vec<_> = columns
        .iter()
        .map(|column| {
            let ty = column.ty;
            quote_spanned!(ty.span()=> <#ty as ::wasmill::state::Cell>)
        })
        .collect();
    let names = columns.iter().map(|column| &column.name);
    let idents: Vec<_> = columns.iter().map(|column| column.ident).collect();
    let places: Vec<Index> = (0..columns.len()).map(Index::from).collect();
    Ok(quote! {
        #wrong
        #[automatically_derived]
        impl ::wasmill::state::State for #state {
            fn table() -> ::wasmill::plan::Table {
                ::wasmill::plan::Table {
                    name: ::wasmill::plan::name(#name),
                    version: #version,
                    columns: ::std::vec![#(::wasmill::plan::Field {
                        name: ::wasmill::plan::name(#names),
                        kind: ::wasmill::plan::name(#cells::KIND),
                        nullable: #cells::NULLABLE,
                    }),*],
                    ttl_ms: #ttl_ms,
                }
            }
            type Cells<'a> = (#(#cells::Column<'a>,)*);
            fn cells<'a>(
                mut columns: impl ::core::iter::Iterator<Item = ::wasmill::column::StateColumn<'a>>,
                keys: usize,
            ) -> Self::Cells<'a> {
                (#(#cells::column(columns.next().expect("the host passes each column of the table"), keys),)*)
            }
            #[inline(always)]
            fn load(&mut self, cells: &Self::Cells<'_>, key: usize) {
                #(::wasmill::state::Cell::load(&mut self.#idents, &cells.#places, key);)*
            }
            #[inline(always)]
            fn store(&mut self, cells: &mut Self::Cells<'_>, key: usize) {
                #(::wasmill::state::Cell::store(&mut self.#idents, &mut cells.#places, key);)*
            }
            fn changed<'a>(
                cells: Self::Cells<'a>,
                buffers: &'a ::wasmill::abi::Buffers,
            ) -> ::std::vec::Vec<::wasmill::column::Column<'a>> {
                ::std::vec![#(#cells::changed(cells.#places, buffers)),*]
            }
        }
    })
}

fn read(input: &DeriveInput) -> Result<(Vec<Column<'_>>, Table)> {
    let columns = columns(input, "State", "state")?;
    if columns.is_empty() {
        return Err(Error::new(input.ident.span(), "a state without fields has nothing to keep"));
    }
    Ok((columns, table(input)?))
}

fn table(input: &DeriveInput) -> Result<Table> {
    let mut table = Table { name: snake_case(&input.ident.to_string()), version: 1, ttl_ms: None };
    for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("state")) {
        attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                table.name = meta.value()?.parse::<LitStr>()?.value();
            } else if meta.path.is_ident("version") {
                table.version = meta.value()?.parse::<LitInt>()?.base10_parse()?;
            } else if meta.path.is_ident("ttl") {
                let text = meta.value()?.parse::<LitStr>()?;
                let wrong = "a time is a number and a unit: `500ms`, `30s`, `10m`, `1h`, `7d`";
                table.ttl_ms = Some(duration_ms(&text.value()).ok_or_else(|| Error::new(text.span(), wrong))?);
            } else {
                return Err(meta.error("unknown: a state has `name`, `version` and `ttl` here"));
            }
            Ok(())
        })?;
    }
    Ok(table)
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.trim_start_matches("r#").chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// Milliseconds of a time like `90s`; not zero.
fn duration_ms(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let factor = match &text[unit..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    text[..unit].parse::<u64>().ok()?.checked_mul(factor).filter(|ms| *ms > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_number_and_a_unit() {
        assert_eq!(
            [duration_ms("500ms"), duration_ms("1h"), duration_ms("7d")],
            [Some(500), Some(3_600_000), Some(604_800_000)]
        );
        for wrong in ["", "h", "1", "1w", "-1s", "0s", "99999999999999999d"] {
            assert_eq!(duration_ms(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_table_is_named_like_its_struct() {
        assert_eq!(snake_case("RunningStats"), "running_stats");
    }
}
