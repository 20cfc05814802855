//! The author's function, as far as an operator asks for it; what it does is tokens.
//!
//! By hand, because syn's own (its feature `full`) knows all of what can stand in a body, and each author would compile
//! that. Always true: all is written again as it stood, but for what `operator` changes of the return type.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Generics, Ident, Result, ReturnType, Token, Type, Visibility, parenthesized};

/// A function.
pub(crate) struct Function {
    attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    constness: Option<Token![const]>,
    pub(crate) asyncness: Option<Token![async]>,
    pub(crate) name: Ident,
    pub(crate) generics: Generics,
    pub(crate) parameters: Punctuated<Parameter, Token![,]>,
    pub(crate) output: ReturnType,
    pub(crate) body: Group,
    /// Where its signature begins.
    pub(crate) span: Span,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (attributes, visibility) = (input.call(Attribute::parse_outer)?, input.parse()?);
        let span = input.span();
        let (constness, asyncness) = (input.parse()?, input.parse()?);
        input.parse::<Token![fn]>()?;
        let (name, mut generics) = (input.parse()?, input.parse::<Generics>()?);
        let list;
        parenthesized!(list in input);
        let parameters = list.parse_terminated(Parameter::parse, Token![,])?;
        let output = input.parse()?;
        generics.where_clause = input.parse()?;
        let body = input.parse()?;
        Ok(Self { attributes, visibility, constness, asyncness, name, generics, parameters, output, body, span })
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attributes, visibility, constness, asyncness, name, generics, parameters, output, body, .. } = self;
        let bounds = &generics.where_clause;
        tokens.extend(quote! {
            #(#attributes)* #visibility #constness #asyncness fn #name #generics (#parameters) #output #bounds #body
        });
    }
}

/// A parameter.
pub(crate) struct Parameter {
    attributes: Vec<Attribute>,
    pattern: TokenStream,
    colon: Token![:],
    pub(crate) ty: Type,
}

impl Parameter {
    /// What the function calls it, where it does not take it apart.
    pub(crate) fn name(&self) -> Option<Ident> {
        let name = |input: ParseStream<'_>| {
            input.parse::<Option<Token![mut]>>()?;
            input.parse()
        };
        name.parse2(self.pattern.clone()).ok()
    }
}

impl Parse for Parameter {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let (mut pattern, span) = (TokenStream::new(), input.span());
        while !input.peek(Token![:]) || input.peek(Token![::]) {
            if input.peek(Token![::]) {
                input.parse::<Token![::]>()?.to_tokens(&mut pattern);
            } else if input.peek(Token![self]) && !input.peek2(Token![::]) {
                return Err(Error::new(span, "an operator is a function, not a method"));
            } else {
                input.parse::<TokenTree>()?.to_tokens(&mut pattern);
            }
        }
        Ok(Self { attributes, pattern, colon: input.parse()?, ty: input.parse()? })
    }
}

impl ToTokens for Parameter {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attributes, pattern, colon, ty } = self;
        tokens.extend(quote!(#(#attributes)* #pattern #colon #ty));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_written_as_it_stood_and_its_parameters_have_their_names() {
        let text = "#[inline] pub(crate) const fn f<'a, T: Clone, const N: usize>( \
                        #[allow(unused)] Reading { value, .. }: Reading<'a>, mut state: &mut a::S<{ N }>, \
                        self::T(::b::U::<i64, u8> { x: _ }, ..): T, out: &mut Out<[u8; 4]>, _: &C, \
                    ) -> Result<Verdict<T>, Reject> where T: Copy { let a = |x: i64| -> i64 { x }; a(1) }";
        let function: Function = syn::parse_str(text).expect("it is a function");
        // How tokens are spaced is up to whoever prints them.
        let tight = |text: &str| text.replace([' ', '\n'], "");
        assert_eq!(tight(&function.to_token_stream().to_string()), tight(text));
        let names = function.parameters.iter().map(|parameter| parameter.name().map(|name| name.to_string()));
        let names: Vec<_> = names.collect();
        assert_eq!(names, [None, Some("state".to_owned()), None, Some("out".to_owned()), None]);
        for (text, wrong) in [
            ("struct S;", "expected `fn`"),
            ("fn f(&self, x: i64) {}", "an operator is a function, not a method"),
            ("fn f(x: i64);", "expected group token"),
        ] {
            assert_eq!(syn::parse_str::<Function>(text).err().map(|error| error.to_string()).as_deref(), Some(wrong));
        }
    }
}
