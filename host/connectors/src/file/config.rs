//! What the `file` source and sink are told.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::config;
use crate::error::ConnectorError;

/// Bytes (before compression) after which a file sink begins the next part.
const PART_BYTES: u64 = 512 << 20;

/// One path or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a path or a list of paths")]
pub(super) enum Paths {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Paths {
    /// All of them.
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }
}

/// Configuration of the source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceConfig {
    /// Files, or patterns with `*`, `?`, `**` and `[..]`.
    pub(super) path: Paths,
    /// Whether to wait for files to grow and for new ones.
    #[serde(default)]
    pub(super) follow: bool,
}

impl SourceConfig {
    /// Reads and checks a configuration.
    pub(super) fn parse(value: &Value) -> Result<Self, ConnectorError> {
        let this: Self = config::parse("file", value)?;
        if this.path.all().iter().all(String::is_empty) {
            return Err(ConnectorError::config(
                "file",
                "path",
                "`path` is empty; name a file or a pattern like `in/*.ndjson`",
            ));
        }
        for path in this.path.all() {
            if let Err(error) = glob::Pattern::new(path) {
                let problem = format!("`path`: `{path}` is no pattern: {}", error.msg);
                return Err(ConnectorError::config("file", "path", problem));
            }
        }
        Ok(this)
    }
}

/// How a file's bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Compression {
    /// Not at all.
    None,
    /// gzip, RFC 1952.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
}

/// Endings of names that promise what is neither written nor read.
const UNKNOWN: [&str; 8] = ["7z", "br", "bz2", "lz4", "lzma", "snappy", "xz", "zip"];

/// What a name ends in behind its last dot, in lower case.
fn ending(name: &str) -> String {
    name.rsplit_once('.').map_or_else(String::new, |(_, ending)| ending.to_ascii_lowercase())
}

impl Compression {
    /// What the end of a file's name says.
    pub(super) fn of_name(name: &str) -> Self {
        match &*ending(name) {
            "gz" | "gzip" => Self::Gzip,
            "zst" | "zstd" => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The end of a file's name that promises a compression which there is not.
    pub(super) fn unknown(name: &str) -> Option<&'static str> {
        let ending = ending(name);
        UNKNOWN.into_iter().find(|unknown| *unknown == ending)
    }

    /// What the first bytes of a file say.
    pub(super) fn of_magic(bytes: &[u8]) -> Self {
        match bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// What the names of such files end in.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

/// Configuration of the sink.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SinkConfig {
    /// A folder, with `/` at its end, for numbered parts; or a file.
    pub(super) path: String,
    /// Whether results of an earlier run are replaced.
    #[serde(default)]
    pub(super) overwrite: bool,
    /// Bytes (before compression) after which a folder gets its next part; a whole number of batches, so a little more.
    #[serde(default = "part_bytes")]
    pub(super) max_bytes: u64,
    /// How files are packed; by the file's name where nothing is said.
    #[serde(default)]
    pub(super) compression: Option<Compression>,
}

fn part_bytes() -> u64 {
    PART_BYTES
}

impl SinkConfig {
    /// Reads and checks a configuration.
    pub(super) fn parse(value: &Value) -> Result<Self, ConnectorError> {
        let this: Self = config::parse("file", value)?;
        if this.path.is_empty() {
            let problem = "`path` is empty; name a folder like `out/`, or a file like `out.ndjson`";
            return Err(ConnectorError::config("file", "path", problem));
        }
        if let (None, false, Some(ending)) =
            (this.compression, this.path.ends_with('/'), Compression::unknown(&this.path))
        {
            let problem = format!(
                "`path` ends in `.{ending}`, a compression that there is not; there are `.gz` and `.zst`: name it so, \
                 or say with `compression` what is in it (`none`, `gzip` or `zstd`)"
            );
            return Err(ConnectorError::config("file", "path", problem));
        }
        if this.max_bytes == 0 {
            let problem = "`max_bytes` is 0; leave it out for parts of 512 MiB";
            return Err(ConnectorError::config("file", "max_bytes", problem));
        }
        Ok(this)
    }

    /// Whether it writes parts in a folder: one that is there already needs no `/`.
    pub(super) fn is_folder(&self, base: &Path) -> bool {
        self.path.ends_with('/') || base.join(&self.path).is_dir()
    }
}
