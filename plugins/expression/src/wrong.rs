//! What is wrong with a condition, and where.

use wasmill::plan::Refusal;

/// What is wrong with a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The character of the condition that it begins at, counted from 1.
    pub at: usize,
    /// What is wrong and what to do, in a sentence.
    pub message: String,
}

impl Wrong {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    /// Why an operator cannot be opened that has this condition at that key of its configuration.
    #[must_use]
    pub fn refusal(&self, key: &str) -> Refusal {
        Refusal::new(format!("configuration key `{key}`, character {}: {}", self.at, self.message)).key(key)
    }
}
