//! One file being written: packed where that is wanted, in large writes.

use std::fs::File;
use std::io::{BufWriter, Result, Write};

use flate2::write::GzEncoder;

use super::config::Compression;

/// Bytes that are gathered before they are written; a larger block, as nearly all are, is written without a copy.
const BUFFER_BYTES: usize = 64 << 10;

/// An open file.
pub(super) enum Output {
    /// Not packed.
    Plain(BufWriter<File>),
    /// gzip.
    Gzip(GzEncoder<BufWriter<File>>),
    /// Zstandard.
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

impl Output {
    /// Begins to write `file`.
    pub(super) fn new(file: File, compression: Compression) -> Result<Self> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(match compression {
            Compression::None => Self::Plain(file),
            Compression::Gzip => Self::Gzip(GzEncoder::new(file, flate2::Compression::default())),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?),
        })
    }

    /// Takes bytes, before compression.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Gzip(file) => file.write_all(bytes),
            Self::Zstd(file) => file.write_all(bytes),
        }
    }

    /// Hands all to the operating system, and closes the file.
    pub(super) fn finish(self) -> Result<()> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Gzip(file) => file.finish()?,
            Self::Zstd(file) => file.finish()?,
        };
        file.into_inner().map(drop).map_err(std::io::IntoInnerError::into_error)
    }
}
