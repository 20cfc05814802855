//! What an operator tells the host when it is opened, in the contract's words.
//!
//! All of it is known when the operator is compiled, so that the plan is the same each time. Neighbours:
//! [`crate::operator`] puts it together from what the derives say, [`crate::record`] lowers it.

/// A column: name, kind, and whether it may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Path of the field.
    pub name: &'static str,
    /// Name of the kind.
    pub kind: &'static str,
    /// Whether a row may have no value here.
    pub nullable: bool,
}

/// A column that the operator sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The column as the operator wants it.
    pub field: Field,
    /// Value for rows that have none, as JSON text.
    pub fallback: Option<&'static str>,
}

/// An output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: &'static str,
    /// The input columns that its rows have, under their own names; none = all.
    pub carries: Option<&'static [&'static str]>,
    /// The columns that the operator makes.
    pub makes: &'static [Field],
}

/// The state of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Version of the meaning of the columns.
    pub version: u32,
    /// The fields of a key's row.
    pub columns: &'static [Field],
    /// Forget a key so many milliseconds after its last change.
    pub ttl_ms: Option<u64>,
}

/// A number that the operator wants to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name: lower-case words, the unit last.
    pub name: &'static str,
    /// `counter` or `gauge`.
    pub kind: &'static str,
    /// A sentence for whoever reads the dashboard.
    pub help: &'static str,
}

/// What the host is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The columns that the operator sees.
    pub reads: &'static [Read],
    /// Its outputs, the main one first.
    pub ports: Vec<Port>,
    /// Its state; none for a transform.
    pub tables: Vec<Table>,
    /// Its metrics.
    pub metrics: &'static [Metric],
}

/// Why an operator cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong and what to do.
    pub message: String,
    /// Path of the offending key in the configuration.
    pub config_path: Option<String>,
}

/// What an operator's attribute says about its outputs.
#[derive(Clone, Copy, Debug)]
pub struct Outputs {
    /// Names of the ports, the main one first.
    pub ports: &'static [&'static str],
    /// See [`Port::carries`].
    pub carries: Option<&'static [&'static str]>,
}

impl Outputs {
    /// The ports, each with these made columns.
    pub(crate) fn ports(&self, makes: &'static [Field]) -> Vec<Port> {
        self.ports.iter().map(|name| Port { name, carries: self.carries, makes }).collect()
    }
}
