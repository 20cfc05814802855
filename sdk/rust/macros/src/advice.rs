//! What an author probably wants in place of a type that no field can have.
//!
//! Always true: only types that are well known by their names are refused here, in one error. Any other name may be an
//! alias of a good type, so that the trait of fields has to tell. Neighbour: `fields` asks of each field.

use quote::ToTokens;
use syn::{Error, GenericArgument, PathArguments, PathSegment, Result, Type};

/// Refuses a type that no field below `#[<attribute>(..)]` has.
pub(crate) fn check(ty: &Type, attribute: &str) -> Result<()> {
    let (what, instead) = match attribute {
        "metrics" => ("be a metric", metric(ty)),
        "state" => ("be a field of a state", column(ty)),
        _ => ("be a field of a row", column(ty)),
    };
    let Some(instead) = instead else { return Ok(()) };
    // Tokens have spaces between them where nobody writes any.
    let tight = [(" < ", "<"), (" >", ">"), ("& ", "&"), (" :: ", "::"), (" ,", ","), (" ;", ";")];
    let shown = tight.iter().fold(ty.to_token_stream().to_string(), |text, (from, to)| text.replace(from, to));
    Err(Error::new_spanned(ty, format!("`{shown}` cannot {what}: {instead}")))
}

const ARRAYS_AND_OBJECTS: &str = "use `Json` for arrays and objects";

fn column(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Path(path) => named(path.path.segments.last()?),
        Type::Reference(reference) => match &*reference.elem {
            Type::Path(path) if path.path.is_ident("String") => Some("use `&str`"),
            other => column(other),
        },
        Type::Slice(slice) => (!is_byte(&slice.elem)).then_some(ARRAYS_AND_OBJECTS),
        Type::Array(_) => Some(ARRAYS_AND_OBJECTS),
        Type::Tuple(_) => Some("make each of its parts a field"),
        _ => None,
    }
}

fn named(last: &PathSegment) -> Option<&'static str> {
    match &*last.ident.to_string() {
        "i8" | "i16" | "i32" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => Some("use `i64`"),
        "f32" => Some("use `f64`"),
        "char" => Some("use `String`"),
        "SystemTime" | "DateTime" | "NaiveDateTime" | "OffsetDateTime" => Some("use `Timestamp`"),
        "Vec" if argument(last).is_some_and(is_byte) => None,
        "Vec" | "VecDeque" | "HashMap" | "BTreeMap" | "HashSet" | "BTreeSet" => Some(ARRAYS_AND_OBJECTS),
        "Option" => column(argument(last)?),
        _ => None,
    }
}

fn metric(ty: &Type) -> Option<&'static str> {
    let Type::Path(path) = ty else { return None };
    let name = path.path.segments.last()?.ident.to_string();
    let is_number = matches!(&*name, "i64" | "f64") || matches!(column(ty), Some("use `i64`" | "use `f64`"));
    is_number.then_some("use `Counter`, or `Gauge` for what goes up and down")
}

/// The first type between the brackets.
fn argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

fn is_byte(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident("u8"))
}
