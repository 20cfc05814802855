//! `#[transform]` and `#[keyed]`: the traits of `wasmill::operator`, with a closure around the author's function.
//!
//! The parameters after the row are told apart by how they are written: `&mut Out<..>`, any other `&mut`, `&Context`,
//! any other `&`. All types follow from the function itself.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    Error, GenericArgument, Generics, Ident, LitStr, PathArguments, Result, ReturnType, Token, Type, TypeReference,
    parenthesized, parse_quote,
};

use crate::function::{Function, Parameter};

/// With or without state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Transform,
    Keyed,
}

/// What the attribute says: `ports(alerts), carries(none)`.
#[derive(Default)]
pub(crate) struct Arguments {
    ports: Vec<String>,
    /// Names in the input and in the output.
    carries: Option<Vec<(String, String)>>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            let list;
            parenthesized!(list in input);
            if key == "ports" {
                for name in list.parse_terminated(Name::parse, Token![,])? {
                    arguments.ports.push(port_name(&name, &arguments.ports)?);
                }
            } else if key == "carries" {
                let names: Vec<Carried> = list.parse_terminated(Carried::parse, Token![,])?.into_iter().collect();
                let none = matches!(&names[..], [Carried { input, .. }] if !input.quoted && input.text == "none");
                if let Some(Carried { input, .. }) = names.iter().find(|carried| !carried.input.quoted && !none) {
                    return Err(Error::new(input.span, "`carries(none)`, or the names of columns in quotes"));
                }
                let names = names.into_iter().map(|carried| (carried.input.text, carried.output));
                arguments.carries = Some(if none { Vec::new() } else { names.collect() });
            } else {
                return Err(Error::new(key.span(), "unknown: an operator has `ports(..)` and `carries(..)` here"));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

/// `alerts` or `"late-rows"`.
struct Name {
    text: String,
    quoted: bool,
    span: Span,
}

impl Parse for Name {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(LitStr) {
            let text: LitStr = input.parse()?;
            return Ok(Self { text: text.value(), quoted: true, span: text.span() });
        }
        let ident: Ident = input.parse()?;
        Ok(Self { text: ident.to_string(), quoted: false, span: ident.span() })
    }
}

/// `"id"` or `"user" as "user_id"`.
struct Carried {
    input: Name,
    output: String,
}

impl Parse for Carried {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name: Name = input.parse()?;
        let output = match input.parse::<Option<Token![as]>>()? {
            Some(_) => input.parse::<LitStr>()?.value(),
            None => name.text.clone(),
        };
        Ok(Self { input: name, output })
    }
}

/// The name of the first port; `ports(..)` names the others.
const MAIN: &str = "main";

fn port_name(name: &Name, others: &[String]) -> Result<String> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.text.is_empty() || !name.text.chars().all(letters) {
        return Err(Error::new(name.span, "a port's name is lower-case words with `-` or `_`"));
    }
    if name.text == MAIN || others.contains(&name.text) {
        return Err(Error::new(
            name.span,
            format!("the port `{}` stands twice (`{MAIN}` is the first one)", name.text),
        ));
    }
    Ok(name.text.clone())
}

/// The function's parameters after the row.
#[derive(Default)]
struct Parameters<'f> {
    state: Option<&'f Type>,
    metrics: Option<&'f Type>,
    config: Option<&'f Type>,
    out: Option<&'f TypeReference>,
    /// What the function calls it.
    out_name: Option<Ident>,
    /// How the function is called, after the row.
    call: Vec<TokenStream>,
}

pub(crate) fn expand(kind: Kind, arguments: &Arguments, mut function: Function) -> Result<TokenStream> {
    if let Some(wrong) = &function.asyncness {
        return Err(Error::new(wrong.span(), "an operator is a plain function: it cannot wait"));
    }
    let mut inputs = function.parameters.iter();
    let row = match inputs.next() {
        Some(Parameter { ty, .. }) if !matches!(ty, Type::Reference(_)) => ty,
        Some(wrong) => return Err(Error::new(wrong.span(), "the first parameter is the row, by value")),
        None => return Err(Error::new(function.span, "an operator takes a row: `fn f(row: MyRow) -> ..`")),
    };
    let parameters = parameters(kind, inputs)?;
    if kind == Kind::Keyed && parameters.state.is_none() {
        return Err(Error::new(
            function.parameters.span(),
            "a keyed operator takes its key's state: `state: &mut MyState`",
        ));
    }
    complete_return(&mut function.output, function.span, parameters.out)?;
    if let Some(out) = &parameters.out_name {
        check_ports(function.body.stream(), out, &arguments.ports)?;
    }
    let (visibility, name) = (&function.visibility, &function.name);
    let operator = implementation(kind, arguments, name, &parameters);
    let checks = checks(row, &parameters, &function.generics);
    let config = parameters.config.map_or_else(|| quote!(()), ToTokens::to_token_stream);
    let metrics = parameters.metrics.map_or_else(|| quote!(()), ToTokens::to_token_stream);
    Ok(quote! {
        #function
        // Functions and types have names of their own: a test runs the operator of `fn score` as `score`.
        #[doc(hidden)]
        #[expect(non_camel_case_types, reason = "named like its function")]
        #visibility struct #name { config: #config, metrics: ::core::cell::RefCell<#metrics> }
        ::wasmill::__only!();
        const _: () = { #checks #operator };
    })
}

fn parameters<'f>(kind: Kind, inputs: impl Iterator<Item = &'f Parameter>) -> Result<Parameters<'f>> {
    let mut found = Parameters::default();
    let mut context = false;
    for input in inputs {
        let wrong = |what: &str| Err(Error::new(input.span(), what));
        let Type::Reference(reference) = &input.ty else {
            return wrong(
                "after the row: `&mut MyState` (keyed), `&MyConfig`, `&Context`, `&mut Out<MyRow>`, `&mut MyMetrics`",
            );
        };
        let (call, twice) = match (&reference.mutability, last_name(&reference.elem)) {
            (Some(_), Some(name)) if name == "Out" => (quote!(out), found.out.replace(reference).is_some()),
            (Some(_), _) if kind == Kind::Keyed && found.state.is_none() => {
                found.state = Some(&reference.elem);
                (quote!(state), false)
            }
            (Some(_), _) => (quote!(metrics), found.metrics.replace(&reference.elem).is_some()),
            (None, Some(name)) if name == "Context" => (quote!(context), std::mem::replace(&mut context, true)),
            (None, _) => (quote!(config), found.config.replace(&reference.elem).is_some()),
        };
        if call.to_string() == "out" {
            found.out_name = input.name();
        }
        if twice {
            return wrong("there is one parameter of this sort already");
        }
        found.call.push(call);
    }
    Ok(found)
}

fn last_name(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}

/// `-> Verdict` beside `out: &mut Out<T>` means `Verdict<T>`.
fn complete_return(output: &mut ReturnType, function: Span, out: Option<&TypeReference>) -> Result<()> {
    let nothing = match output {
        ReturnType::Default => true,
        ReturnType::Type(_, ty) => matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty()),
    };
    if nothing && out.is_none() {
        let what = "nothing would ever leave this operator: return a row, `bool` or a `Verdict`, \
                    or take `out: &mut Out<MyRow>`";
        return Err(Error::new(function, what));
    }
    if let (ReturnType::Type(_, ty), Some(made)) = (output, out.and_then(made_row)) {
        complete(ty, made);
    }
    Ok(())
}

/// The `T` of `&mut Out<T>`.
fn made_row(out: &TypeReference) -> Option<&Type> {
    let Type::Path(path) = &*out.elem else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

fn complete(ty: &mut Type, made: &Type) {
    let Type::Path(path) = ty else { return };
    let Some(last) = path.path.segments.last_mut() else { return };
    match &mut last.arguments {
        PathArguments::None if last.ident == "Verdict" => {
            last.arguments = PathArguments::AngleBracketed(parse_quote!(<#made>))
        }
        PathArguments::AngleBracketed(arguments) => {
            for argument in &mut arguments.args {
                if let GenericArgument::Type(ty) = argument {
                    complete(ty, made);
                }
            }
        }
        _ => {}
    }
}

/// Finds `out.to("port", ..)` with a port that there is not.
fn check_ports(tokens: TokenStream, out: &Ident, ports: &[String]) -> Result<()> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (i, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        check_ports(group.stream(), out, ports)?;
        let is_dot = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(dot)) if dot.as_char() == '.');
        let is_out = |at: usize| matches!(tokens.get(at), Some(TokenTree::Ident(name)) if name == out);
        let is_send = i >= 3
            && is_out(i - 3)
            && !(i >= 4 && is_dot(i - 4))
            && is_dot(i - 2)
            && matches!(&tokens[i - 1], TokenTree::Ident(name) if name == "to");
        if !is_send || group.delimiter() != Delimiter::Parenthesis {
            continue;
        }
        let Some(first) = group.stream().into_iter().next() else { continue };
        let Ok(name) = syn::parse2::<LitStr>(first.into_token_stream()) else { continue };
        if name.value() != MAIN && !ports.contains(&name.value()) {
            let what = format!("there is no port `{0}`: name it in the attribute, `ports({0})`", name.value());
            return Err(Error::new(name.span(), what));
        }
    }
    Ok(())
}

/// Says of each parameter's type what it lacks, where the author wrote it.
fn checks(row: &Type, parameters: &Parameters<'_>, generics: &Generics) -> TokenStream {
    let row = quote_spanned!(row.span()=> { fn a_row<'a, R: ::wasmill::row::Row<'a>>() {} let _ = a_row::<#row>; });
    let state = parameters
        .state
        .map(|ty| quote_spanned!(ty.span()=> { fn a_state<S: ::wasmill::state::State>() {} let _ = a_state::<#ty>; }));
    let metrics = parameters.metrics.map(
        |ty| quote_spanned!(ty.span()=> { fn metrics<M: ::wasmill::metrics::Metrics>() {} let _ = metrics::<#ty>; }),
    );
    let config = parameters.config.map(
        |ty| quote_spanned!(ty.span()=> { fn config<C: ::wasmill::config::Configuration>() {} let _ = config::<#ty>; }),
    );
    quote! {
        #[expect(dead_code, reason = "it is there to be compiled")]
        fn checks #generics () { #row #state #metrics #config }
    }
}

fn implementation(kind: Kind, arguments: &Arguments, function: &Ident, parameters: &Parameters<'_>) -> TokenStream {
    let ports = std::iter::once(MAIN).chain(arguments.ports.iter().map(String::as_str));
    let carries = arguments.carries.as_ref().map_or_else(
        || quote!(::core::option::Option::None),
        |names| {
            let (input, output): (Vec<_>, Vec<_>) = names.iter().cloned().unzip();
            quote!(::core::option::Option::Some(&[#((#input, #output)),*]))
        },
    );
    let config = parameters.config.map_or_else(|| quote!(()), ToTokens::to_token_stream);
    // An answer of another type is told where the function names the configuration.
    let check = quote_spanned!(config.span()=> ::wasmill::config::checked(config.check())?;);
    let parse = match parameters.config {
        None => quote!(::wasmill::config::parse_none(config)?),
        Some(_) => quote!({
            use ::wasmill::config::Check as _;
            let config: #config = ::wasmill::config::parse(config)?;
            #check
            config
        }),
    };
    let metrics = parameters.metrics.map_or_else(|| quote!(()), ToTokens::to_token_stream);
    let call = &parameters.call;
    // Without `out` in sight, rows go one by one to the main port, which is faster.
    let out = if parameters.out.is_some() { quote!(Out) } else { quote!(Main) };
    let out = quote!(out: &mut ::wasmill::out::#out<'_, _>);
    let measures = quote!(<#metrics as ::wasmill::metrics::Metrics>::METRICS);
    let (kind, plan, process) = match kind {
        Kind::Transform => {
            let closure = quote!(|row, #out| #function(row #(, #call)*));
            (quote!(Transform), quote!(transform_plan(&OUTPUTS, #measures, #closure)), transform(&closure))
        }
        Kind::Keyed => {
            let closure = quote!(|row, state, #out| #function(row #(, #call)*));
            (quote!(Keyed), quote!(keyed_plan(&OUTPUTS, #measures, #closure)), keyed(&closure))
        }
    };
    quote! {
        const OUTPUTS: ::wasmill::plan::Outputs =
            ::wasmill::plan::Outputs { ports: &[#(#ports),*], carries: #carries };
        impl ::wasmill::operator::#kind for #function {
            fn open(
                config: &str,
                _: &[::wasmill::plan::Field],
            ) -> ::core::result::Result<(Self, ::wasmill::plan::Plan), ::wasmill::plan::Refusal> {
                let opened = Self { config: #parse, metrics: ::core::default::Default::default() };
                let (config, context) = (&opened.config, &::wasmill::operator::Context::default());
                let metrics = &mut <#metrics as ::core::default::Default>::default();
                let plan = ::wasmill::operator::#plan;
                ::core::result::Result::Ok((opened, plan))
            }
            #process
        }
        const _: () = { ::wasmill::__export!(#kind #function); };
    }
}

fn transform(closure: &TokenStream) -> TokenStream {
    quote! {
        fn process<'a>(&self, call: ::wasmill::operator::Call<'a>) -> ::wasmill::effects::Effects<'a> {
            let (config, context, metrics) = (&self.config, &call.context, &mut *self.metrics.borrow_mut());
            let effects = ::wasmill::operator::transform(&OUTPUTS, call, #closure);
            ::wasmill::operator::reported(effects, metrics)
        }
    }
}

fn keyed(closure: &TokenStream) -> TokenStream {
    quote! {
        fn process<'a>(
            &self,
            call: ::wasmill::operator::Call<'a>,
            keys: ::wasmill::operator::Keys<'a>,
        ) -> ::wasmill::effects::Step<'a> {
            let (config, context, metrics) = (&self.config, &call.context, &mut *self.metrics.borrow_mut());
            let mut step = ::wasmill::operator::keyed(&OUTPUTS, call, keys, #closure);
            step.effects = ::wasmill::operator::reported(step.effects, metrics);
            step
        }
    }
}
