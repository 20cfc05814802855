//! Kinds, fields, schemas and formats: what a row is made of, by the names that the contract and pipelines use.
//!
//! A schema is fixed when a pipeline is planned; nothing on the path of a row looks up a name. Neighbours: the contract
//! (`wit/data.wit`) gives the words, [`crate::batch`] the values.

use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, TimeUnit};

/// The kind of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// 64 bits, signed.
    Int64,
    /// 64 bits, IEEE 754.
    Float64,
    /// Text.
    Utf8,
    /// Any bytes.
    Bytes,
    /// Microseconds since 1970-01-01 UTC.
    Timestamp,
    /// Any JSON value as its text.
    Json,
}

impl Kind {
    /// All kinds, in the order in which documents list them.
    pub const ALL: [Self; 7] =
        [Self::Boolean, Self::Int64, Self::Float64, Self::Utf8, Self::Bytes, Self::Timestamp, Self::Json];

    /// The name that the contract and pipeline files use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Utf8 => "utf8",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp",
            Self::Json => "json",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The Arrow type that holds values of this kind: timestamps in microseconds without a zone, JSON as text.
    #[must_use]
    pub const fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Utf8 | Self::Json => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }

    /// Whether values differ in length: they have an offsets buffer.
    #[must_use]
    pub const fn is_variable(self) -> bool {
        matches!(self, Self::Utf8 | Self::Bytes | Self::Json)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A named, typed value that every row has, or may have where `nullable`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Path of the field: `price`, `site.name`.
    pub name: Arc<str>,
    /// Kind of its values.
    pub kind: Kind,
    /// Whether a row may lack it.
    pub nullable: bool,
}

impl Field {
    /// A field that every row has.
    #[must_use]
    pub fn required(name: &str, kind: Kind) -> Self {
        Self { name: name.into(), kind, nullable: false }
    }

    /// A field that a row may lack.
    #[must_use]
    pub fn nullable(name: &str, kind: Kind) -> Self {
        Self { name: name.into(), kind, nullable: true }
    }
}

impl fmt::Display for Field {
    /// `price: int64`, `site.name: utf8?`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.name, self.kind, if self.nullable { "?" } else { "" })
    }
}

/// A format, as pipelines name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Separated values, RFC 4180.
    Csv {
        /// Between two values.
        separator: u8,
        /// Whether the first line of a partition names the columns. Without it they are in the schema's order.
        header: bool,
    },
    /// A line of text a record: the schema's only field, of kind `utf8` or `bytes`.
    Raw,
}

/// The fields of a row, in order. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema(Arc<[Field]>);

impl Schema {
    /// A schema of these fields. The caller has made sure that no name stands twice.
    #[must_use]
    pub fn new(fields: Vec<Field>) -> Self {
        for (i, field) in fields.iter().enumerate() {
            assert!(!fields[..i].iter().any(|other| other.name == field.name), "field `{}` stands twice", field.name);
        }
        Self(fields.into())
    }

    /// Its fields.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.0
    }

    /// Position of the field of that name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|field| &*field.name == name)
    }
}
