//! `#[derive(Metrics)]`: the numbers of the fields, put together to those of an operator.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Result};

use crate::fields::{columns, told};

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new(parameter.span(), "metrics outlive the call: they have no parameters"));
    }
    let (fields, wrong) = told(columns(input, "Metrics", "metrics"));
    let metrics = &input.ident;
    let numbers: Vec<_> = fields
        .iter()
        .map(|field| {
            let ty = field.ty;
            quote_spanned!(ty.span()=> <#ty as ::wasmill::metrics::Number>)
        })
        .collect();
    let names = fields.iter().map(|field| &field.name);
    let help = fields.iter().map(|field| &field.help);
    let idents = fields.iter().map(|field| field.ident);
    Ok(quote! {
        #wrong
        #[automatically_derived]
        impl ::wasmill::metrics::Metrics for #metrics {
            const METRICS: &'static [::wasmill::plan::Metric] = &[#(::wasmill::plan::Metric {
                name: ::wasmill::plan::name(#names),
                kind: ::wasmill::plan::name(#numbers::KIND),
                help: ::wasmill::plan::name(#help),
            }),*];
            fn report(&mut self, report: &mut ::std::vec::Vec<f64>) {
                #(report.push(#numbers::report(&mut self.#idents));)*
            }
        }
    })
}
