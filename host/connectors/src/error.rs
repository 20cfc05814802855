//! What can be wrong before a connector runs. What goes wrong while it runs is the seams' `SourceError` and
//! `SinkError`.

/// Why a connector cannot be used. None of it is cured by trying again: somebody has to change something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectorError {
    /// No connector has that name.
    #[error("there is no {role} `{name}`{hint}; there are: {known}")]
    Unknown {
        /// `source` or `sink`.
        role: &'static str,
        /// The name asked for.
        name: String,
        /// `, did you mean ..?`, or empty.
        hint: String,
        /// The names that there are.
        known: String,
    },
    /// The configuration is wrong.
    #[error("{connector}: {problem}")]
    Config {
        /// Name of the connector.
        connector: &'static str,
        /// Key to blame; empty = the configuration as a whole.
        path: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// What the configuration names is not there, or cannot be used.
    #[error("{connector}: {problem}")]
    Open {
        /// Name of the connector.
        connector: &'static str,
        /// Key that names it.
        path: String,
        /// What is wrong and what to do.
        problem: String,
    },
}

impl ConnectorError {
    /// The key of the connector's configuration to blame; empty = the configuration as a whole, or the connector's
    /// name.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Unknown { .. } => "",
            Self::Config { path, .. } | Self::Open { path, .. } => path,
        }
    }

    pub(crate) fn unknown(role: &'static str, name: &str, known: &[&str]) -> Self {
        Self::Unknown { role, name: name.to_owned(), hint: hint(name, known), known: known.join(", ") }
    }

    pub(crate) fn config(connector: &'static str, path: &str, problem: impl Into<String>) -> Self {
        Self::Config { connector, path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn open(connector: &'static str, path: &str, problem: impl Into<String>) -> Self {
        Self::Open { connector, path: path.to_owned(), problem: problem.into() }
    }
}

/// `, did you mean ..?` where one of the names is close.
pub(crate) fn hint(name: &str, known: &[&str]) -> String {
    let close = known.iter().map(|other| (strsim::damerau_levenshtein(name, other), other));
    match close.min_by_key(|(distance, _)| *distance) {
        Some((distance, other)) if distance <= other.len().max(3) / 3 + 1 => format!(", did you mean `{other}`?"),
        _ => String::new(),
    }
}
