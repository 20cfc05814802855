//! Reads the struct below a derive: its fields, the columns that they stand for, and its lifetime.

use proc_macro2::TokenStream;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Fields, GenericParam, Ident, Lifetime, Lit, LitStr,
    Meta, MetaNameValue, Result, Token, Type,
};

use crate::advice;

/// A field and its column.
pub(crate) struct Column<'s> {
    pub(crate) ident: &'s Ident,
    pub(crate) ty: &'s Type,
    /// Path of the column.
    pub(crate) name: String,
    /// JSON text of the value for rows that have none.
    pub(crate) fallback: Option<String>,
    /// The doc comment, on one line.
    pub(crate) help: String,
}

/// The fields of the struct below `#[derive(<derive>)]`, each with what `#[<attribute>(..)]` says of it; or what is
/// wrong with all of them.
pub(crate) fn columns<'s>(input: &'s DeriveInput, derive: &str, attribute: &str) -> Result<Vec<Column<'s>>> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), format!("`{derive}` is for structs with named fields")));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(input.ident.span(), format!("`{derive}` needs named fields: they name the columns")));
    };
    let (mut columns, mut wrong) = (Vec::new(), None::<Error>);
    for field in &fields.named {
        match (column(field, attribute, &columns), &mut wrong) {
            (Ok(column), _) => columns.push(column),
            (Err(error), Some(wrong)) => wrong.combine(error),
            (Err(error), none) => *none = Some(error),
        }
    }
    wrong.map_or(Ok(columns), Err)
}

fn column<'s>(field: &'s Field, attribute: &str, before: &[Column<'_>]) -> Result<Column<'s>> {
    let ident = field.ident.as_ref().expect("the fields are named");
    let name = ident.to_string().trim_start_matches("r#").to_owned();
    let mut column = Column { ident, ty: &field.ty, name, fallback: None, help: help(&field.attrs) };
    for attr in field.attrs.iter().filter(|attr| attr.path().is_ident(attribute)) {
        attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                column.name = meta.value()?.parse::<LitStr>()?.value();
            } else if meta.path.is_ident("default") && attribute == "row" {
                column.fallback = Some(default(meta.value()?, &field.ty)?);
            } else {
                let known = if attribute == "row" { "`name` and `default`" } else { "`name`" };
                return Err(meta.error(format!("unknown: a field has {known} here")));
            }
            Ok(())
        })?;
    }
    advice::check(&field.ty, attribute)?;
    if column.fallback.is_some() && is_option(&field.ty) {
        return Err(Error::new(field.ty.span(), "with a default this is never null: drop the `Option`"));
    }
    if before.iter().any(|other| other.name == column.name) {
        return Err(Error::new(ident.span(), format!("the column `{}` stands twice", column.name)));
    }
    Ok(column)
}

/// What was read, or what stands in for it, beside the error that says what is wrong.
pub(crate) fn told<T: Default>(read: Result<T>) -> (T, Option<TokenStream>) {
    match read {
        Ok(read) => (read, None),
        Err(wrong) => (T::default(), Some(wrong.into_compile_error())),
    }
}

/// The one lifetime that a row may have, by which its fields borrow from the input.
pub(crate) fn lifetime(input: &DeriveInput) -> Result<Option<&Lifetime>> {
    let mut found = None;
    for parameter in &input.generics.params {
        match parameter {
            GenericParam::Lifetime(lifetime) if found.is_none() => found = Some(&lifetime.lifetime),
            other => return Err(Error::new(other.span(), "a row has one lifetime at most and no type parameters")),
        }
    }
    Ok(found)
}

fn help(attrs: &[Attribute]) -> String {
    let line = |attr: &Attribute| match &attr.meta {
        Meta::NameValue(MetaNameValue { path, value: Expr::Lit(ExprLit { lit: Lit::Str(line), .. }), .. })
            if path.is_ident("doc") =>
        {
            Some(line.value().trim().to_owned())
        }
        _ => None,
    };
    attrs.iter().filter_map(line).collect::<Vec<_>>().join(" ")
}

fn is_option(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == "Option"))
}

/// A literal as JSON text. A default that the field's type does not have is refused; of a type by another name only the
/// host knows better.
fn default(input: ParseStream<'_>, ty: &Type) -> Result<String> {
    let span = input.span();
    let literal = input.parse().ok().filter(|_| input.is_empty() || input.peek(Token![,]));
    let json = literal.as_ref().and_then(json);
    let json = json.ok_or_else(|| Error::new(span, "a default is a number, a text, `true` or `false`"))?;
    let (is_text, is_truth) = (json.starts_with('"'), json == "true" || json == "false");
    let (suits, wanted) = match type_name(ty).as_deref() {
        Some("i64") => (json.parse::<i64>().is_ok(), "a whole number of 64 bits"),
        Some("Timestamp") => (json.parse::<i64>().is_ok(), "a whole number, microseconds since 1970"),
        Some("f64") => (json.parse::<f64>().is_ok_and(f64::is_finite), "a number"),
        Some("bool") => (is_truth, "`true` or `false`"),
        Some("str" | "String" | "u8" | "Vec") => (is_text, "a text"),
        _ => return Ok(json),
    };
    if suits { Ok(json) } else { Err(Error::new(span, format!("the default of this field is {wanted}"))) }
}

fn json(literal: &Lit) -> Option<String> {
    match literal {
        Lit::Int(number) => Some(number.base10_digits().to_owned()),
        // `1.` is no number in JSON.
        Lit::Float(number) if number.base10_digits().ends_with('.') => Some(format!("{}0", number.base10_digits())),
        Lit::Float(number) => Some(number.base10_digits().to_owned()),
        Lit::Bool(truth) => Some(truth.value.to_string()),
        Lit::Str(text) => Some(quoted(&text.value())),
        _ => None,
    }
}

/// The last word of a type, without references: `str` of `&'a str`, `u8` of `&[u8]`.
fn type_name(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        Type::Reference(reference) => type_name(&reference.elem),
        Type::Slice(slice) => type_name(&slice.elem),
        _ => None,
    }
}

fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => json.push_str(&format!("\\u{:04x}", c as u32)),
            c => json.push(c),
        }
    }
    json + "\""
}
