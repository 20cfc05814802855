//! `#[derive(Row)]`: readers and writers of the fields, put together to those of the row.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Index, Lifetime, Result};

use crate::fields::{Column, columns, lifetime, told};

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let own = lifetime(input)?;
    let (columns, wrong) = told(columns(input, "Row", "row"));
    let borrowed = Lifetime::new("'wasmill", input.ident.span());
    let life = own.unwrap_or(&borrowed);
    let arguments = own.map(|life| quote!(<#life>));
    let name = &input.ident;
    let row = quote!(#name #arguments);
    let read = match &wrong {
        Some(_) => quote!(::core::unreachable!("it was not compiled")),
        None => read(&columns, life),
    };
    let (reading, making) = (reading(&columns, life, &read), making(&columns, life));
    Ok(quote! {
        #wrong
        #[automatically_derived]
        impl<#life> ::wasmill::row::Row<#life> for #row { #reading }
        #[automatically_derived]
        impl #arguments ::wasmill::row::Made for #row { #making }
        #[automatically_derived]
        impl #arguments ::wasmill::verdict::Outcome<Self> for #row {
            const ALWAYS: bool = true;
            #[inline(always)]
            fn apply<'wasmill_call>(
                self,
                out: &mut impl ::wasmill::out::Sink<'wasmill_call, Self>,
            ) -> ::core::result::Result<(), ::wasmill::effects::Reject> {
                out.send(self);
                ::core::result::Result::Ok(())
            }
        }
    })
}

/// The trait that a field's type is asked for what concerns its column.
fn value(column: &Column<'_>, life: &Lifetime) -> TokenStream {
    let ty = column.ty;
    quote_spanned!(ty.span()=> <#ty as ::wasmill::row::Value<#life>>)
}

fn field(column: &Column<'_>, value: &TokenStream) -> TokenStream {
    let name = &column.name;
    let (kind, nullable) =
        (quote_spanned!(column.ty.span()=> #value::KIND), quote_spanned!(column.ty.span()=> #value::NULLABLE));
    quote! {
        ::wasmill::plan::Field {
            name: ::wasmill::plan::name(#name),
            kind: ::wasmill::plan::name(#kind),
            nullable: #nullable,
        }
    }
}

/// The row of a number.
fn read(columns: &[Column<'_>], life: &Lifetime) -> TokenStream {
    let values = columns.iter().map(|column| value(column, life));
    let places = (0..columns.len()).map(Index::from);
    let idents = columns.iter().map(|column| column.ident);
    quote!(Self { #(#idents: #values::read(&readers.#places, row)),* })
}

fn reading(columns: &[Column<'_>], life: &Lifetime, read: &TokenStream) -> TokenStream {
    let values: Vec<_> = columns.iter().map(|column| value(column, life)).collect();
    let reads = columns.iter().zip(&values).map(|(column, value)| {
        let field = field(column, value);
        let fallback = column.fallback.as_ref().map_or_else(
            || quote!(::core::option::Option::None),
            |json| quote!(::core::option::Option::Some(::wasmill::plan::name(#json))),
        );
        quote!(::wasmill::plan::Read { field: #field, fallback: #fallback })
    });
    let places: Vec<Index> = (0..columns.len()).map(Index::from).collect();
    let count = columns.len();
    quote! {
        const READS: &'static [::wasmill::plan::Read] = &[#(#reads),*];
        const FIXED: bool = true #(&& #values::FIXED)*;
        type Readers = (#(#values::Reader,)*);
        fn readers(columns: &#life [::wasmill::column::Column<#life>], count: usize) -> Self::Readers {
            ::core::assert_eq!(columns.len(), #count, "the host passes each column that the plan reads");
            (#(#values::reader(&columns[#places], count),)*)
        }
        #[inline(always)]
        fn part(readers: &Self::Readers, from: usize) -> Self::Readers {
            (#(#values::part(&readers.#places, from),)*)
        }
        #[inline(always)]
        fn read(readers: &Self::Readers, row: usize) -> Self { #read }
    }
}

fn making(columns: &[Column<'_>], life: &Lifetime) -> TokenStream {
    // Without a lifetime of its own the row is made of values that borrow nothing: any lifetime will do.
    let life = if life.ident == "wasmill" { &Lifetime::new("'static", life.span()) } else { life };
    let values: Vec<_> = columns.iter().map(|column| value(column, life)).collect();
    let makes = columns.iter().zip(&values).map(|(column, value)| field(column, value));
    let places: Vec<Index> = (0..columns.len()).map(Index::from).collect();
    let idents = columns.iter().map(|column| column.ident);
    quote! {
        const MAKES: &'static [::wasmill::plan::Field] = &[#(#makes),*];
        type Writers<'wasmill_call> = (#(#values::Writer<'wasmill_call>,)*);
        fn writers(buffers: &::wasmill::abi::Buffers, rows: usize) -> Self::Writers<'_> {
            (#(#values::writer(buffers, rows),)*)
        }
        fn grow<'wasmill_call>(
            writers: &mut Self::Writers<'wasmill_call>,
            buffers: &'wasmill_call ::wasmill::abi::Buffers,
            rows: usize,
        ) {
            #(#values::grow(&mut writers.#places, buffers, rows);)*
        }
        #[inline(always)]
        fn has_room(writers: &Self::Writers<'_>, from: usize) {
            #(#values::has_room(&writers.#places, from);)*
        }
        #[inline(always)]
        fn write(self, writers: &mut Self::Writers<'_>, row: usize) {
            #(#values::write(self.#idents, &mut writers.#places, row);)*
        }
        fn made(writers: Self::Writers<'_>, rows: usize) -> ::std::vec::Vec<::wasmill::column::Column<'_>> {
            ::std::vec![#(#values::made(writers.#places, rows)),*]
        }
    }
}
