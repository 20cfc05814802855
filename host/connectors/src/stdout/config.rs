//! What the `stdout` sink is told: nothing.

/// There is one standard output, and rows go there as they come.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {}
