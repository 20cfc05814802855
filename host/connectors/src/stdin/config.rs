//! What the `stdin` source is told: nothing.

/// There is one standard input, and it is read as it comes.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {}
