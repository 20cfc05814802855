//! What an operator tells the host when it is opened, in the contract's words.
//!
//! The same configuration and input give the same plan each time: instances come and go. Neighbours:
//! [`crate::operator`] puts it together from what the derives say, [`crate::record`] lowers it.

use std::borrow::Cow;

/// A name, known when the operator is compiled or not until it is opened.
pub type Name = Cow<'static, str>;

/// A name that is known when the operator is compiled.
#[must_use]
pub const fn name(name: &'static str) -> Name {
    Cow::Borrowed(name)
}

/// A column: name, kind, and whether it may be null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Path of the field.
    pub name: Name,
    /// Name of the kind.
    pub kind: Name,
    /// Whether a row may have no value here.
    pub nullable: bool,
}

/// A column that the operator sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The column as the operator wants it.
    pub field: Field,
    /// Value for rows that have none, as JSON text.
    pub fallback: Option<Name>,
}

/// An input column that output rows have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Its name in the input.
    pub input: Name,
    /// Its name in the output.
    pub output: Name,
}

/// An output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: Name,
    /// The input columns that its rows have; none = all, under their own names.
    pub carries: Option<Vec<Carried>>,
    /// The columns that the operator makes.
    pub makes: Vec<Field>,
}

/// The state of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: Name,
    /// Version of the meaning of the columns.
    pub version: u32,
    /// The fields of a key's row.
    pub columns: Vec<Field>,
    /// Forget a key so many milliseconds after its last change.
    pub ttl_ms: Option<u64>,
}

/// A number that the operator wants to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name: lower-case words, the unit last.
    pub name: Name,
    /// `counter` or `gauge`.
    pub kind: Name,
    /// A sentence for whoever reads the dashboard.
    pub help: Name,
}

/// What the host is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The columns that the operator sees.
    pub reads: Vec<Read>,
    /// Its outputs, the main one first.
    pub ports: Vec<Port>,
    /// Its state; none for a transform.
    pub tables: Vec<Table>,
    /// Its metrics.
    pub metrics: Vec<Metric>,
}

/// Why an operator cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong and what to do.
    pub message: String,
    /// Path of the offending key in the configuration.
    pub config_path: Option<String>,
    /// Name of the offending column of the input.
    pub field: Option<String>,
}

impl Refusal {
    /// A refusal that blames nothing in particular.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), config_path: None, field: None }
    }

    /// The same, which blames that key of the configuration.
    #[must_use]
    pub fn key(self, path: impl Into<String>) -> Self {
        Self { config_path: Some(path.into()), ..self }
    }

    /// The same, which blames that column of the input.
    #[must_use]
    pub fn column(self, name: impl Into<String>) -> Self {
        Self { field: Some(name.into()), ..self }
    }
}

/// What an operator's attribute says about its outputs.
#[derive(Clone, Copy, Debug)]
pub struct Outputs {
    /// Names of the ports, the main one first.
    pub ports: &'static [&'static str],
    /// See [`Port::carries`]: names in the input and in the output.
    pub carries: Option<&'static [(&'static str, &'static str)]>,
}

impl Outputs {
    /// The ports, each with these made columns.
    pub(crate) fn ports(&self, makes: &[Field]) -> Vec<Port> {
        let carried =
            |(input, output): &(&'static str, &'static str)| Carried { input: name(input), output: name(output) };
        let carries = self.carries.map(|names| names.iter().map(carried).collect::<Vec<_>>());
        let port = |port: &&'static str| Port { name: name(port), carries: carries.clone(), makes: makes.to_vec() };
        self.ports.iter().map(port).collect()
    }
}
