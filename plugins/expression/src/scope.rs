//! The columns that conditions may name, and those that they do.
//!
//! Always true: a column is read once, of the kind that the input has, however many conditions name it. Neighbours:
//! `parse` looks names up, an operator puts [`Scope::into_reads`] into its plan.

use wasmill::column::{Column, Kind};
use wasmill::config::nearest;
use wasmill::plan::{Field, Name, Read, name};

use crate::moment;

/// What every row has beside its fields.
const METADATA: [(&str, Kind, bool); 6] = [
    ("@source", Kind::Utf8, false),
    ("@partition", Kind::Utf8, false),
    ("@offset", Kind::Int64, false),
    ("@event-time", Kind::Timestamp, true),
    ("@key", Kind::Bytes, true),
    ("@headers", Kind::Json, true),
];

/// Characters of a text that are shown.
const SHOWN_CHARACTERS: usize = 60;

/// The columns of an operator's input, and those that it reads.
pub struct Scope<'i> {
    input: &'i [Field],
    reads: Vec<Read>,
}

/// A column that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Its number among the columns of a call.
    pub number: usize,
    /// Its name.
    pub name: Name,
    /// What its values are.
    pub kind: Kind,
}

impl<'i> Scope<'i> {
    /// For an input of these fields; nothing is read yet.
    #[must_use]
    pub fn new(input: &'i [Field]) -> Self {
        Self { input, reads: Vec::new() }
    }

    /// The column of that name, which is read from now on.
    ///
    /// # Errors
    /// There is none; the one that was probably meant.
    pub fn column(&mut self, wanted: &str) -> Result<Used, String> {
        if let Some(number) = self.reads.iter().position(|read| read.field.name == wanted) {
            let field = &self.reads[number].field;
            let kind = Kind::of(&field.kind).expect("a column of another kind is not read");
            return Ok(Used { number, name: field.name.clone(), kind });
        }
        let metadata = METADATA.into_iter().find(|(name, ..)| *name == wanted);
        let metadata =
            metadata.map(|(text, kind, nullable)| Field { name: name(text), kind: name(kind.name()), nullable });
        let Some(field) = self.input.iter().find(|field| field.name == wanted).cloned().or(metadata) else {
            return Err(self.unknown(wanted));
        };
        let Some(kind) = Kind::of(&field.kind) else {
            return Err(format!("`{wanted}` is {}, which this operator does not know", field.kind));
        };
        self.reads.push(Read { field: field.clone(), fallback: None });
        Ok(Used { number: self.reads.len() - 1, name: field.name, kind })
    }

    /// There is no such column, in a sentence.
    #[must_use]
    pub fn unknown(&self, wanted: &str) -> String {
        let names = || self.input.iter().map(|field| &*field.name);
        let end_of_path = |name: &&str| name.strip_suffix(wanted).is_some_and(|before| before.ends_with('.'));
        let meant =
            names().find(end_of_path).or_else(|| nearest(wanted, names().chain(METADATA.map(|(name, ..)| name))));
        match meant {
            Some(meant) => format!("there is no column `{wanted}`; did you mean `{meant}`?"),
            None if self.input.is_empty() => format!("there is no column `{wanted}`"),
            None => {
                let known: Vec<&str> = names().take(10).collect();
                let more = if self.input.len() > 10 { ", ..." } else { "" };
                format!("there is no column `{wanted}`; there is `{}`{more}", known.join("`, `"))
            }
        }
    }

    /// The columns to read, in the order of their numbers.
    #[must_use]
    pub fn into_reads(self) -> Vec<Read> {
        self.reads
    }
}

impl Used {
    /// The value in that row as people write it; a long text is cut.
    #[must_use]
    pub fn show(&self, columns: &[Column<'_>], row: usize) -> String {
        let column = &columns[self.number];
        if !column.is_present(row) {
            return "null".to_owned();
        }
        match self.kind {
            Kind::Boolean => (column.numbers::<u8>()[row] != 0).to_string(),
            Kind::Int64 => column.numbers::<i64>()[row].to_string(),
            Kind::Float64 => format!("{:?}", column.numbers::<f64>()[row]),
            Kind::Timestamp => moment::show(column.numbers()[row]),
            Kind::Utf8 => format!("'{}'", cut(column.text(row))),
            Kind::Json => cut(column.text(row)),
            Kind::Bytes => format!("{} bytes", column.bytes(row).len()),
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
