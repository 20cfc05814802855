//! Values that stand in a configuration.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A value that stands in a configuration or a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text; a moment is one, too.
    Text(String),
    /// True or false.
    Boolean(bool),
}

impl Literal {
    /// What kind of value it is, in a sentence.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Boolean(_) => "true or false",
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(value) => write!(f, "'{value}'"),
            Self::Boolean(value) => write!(f, "{value}"),
        }
    }
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyLiteral)
    }
}

struct AnyLiteral;

impl Visitor<'_> for AnyLiteral {
    type Value = Literal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, text, true or false")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Literal, E> {
        Ok(Literal::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Literal, E> {
        let past = |_| E::custom(format_args!("{value} is past the whole numbers of 64 bits, {} at most", i64::MAX));
        i64::try_from(value).map(Literal::Int).map_err(past)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Literal, E> {
        Ok(Literal::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Literal, E> {
        Ok(Literal::Text(value.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Literal, E> {
        Ok(Literal::Boolean(value))
    }
}
