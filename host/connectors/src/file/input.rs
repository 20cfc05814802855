//! One file being read: opened, unpacked, and what went wrong said in a sentence.
//!
//! Offsets are those of the unpacked bytes. Plain files seek; packed ones are unpacked up to the offset, a slice a
//! call.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use wasmill_engine::source::SourceError;

use super::config::Compression;

/// Bytes that are unpacked and dropped in one call, at most, on the way to an offset.
const SKIP_BYTES: usize = 4 << 20;

/// Bytes of a packed file that are read at once.
const PACKED_BYTES: usize = 128 << 10;

/// First bytes of a file that are looked at, and shown where they are not what its name says.
const MAGIC_BYTES: u64 = 16;

/// What a file is, whatever its name: device and inode.
pub(super) type Identity = (u64, u64);

/// An open file.
pub(super) struct Input {
    path: PathBuf,
    reader: Reader,
    /// The next byte to hand out.
    offset: u64,
    /// Bytes to drop before.
    skip: u64,
    identity: Identity,
    /// Set once the rest cannot be read.
    broken: Option<String>,
}

enum Reader {
    Plain(File),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<File>>>),
}

/// What a read of a file brought.
pub(super) enum Piece {
    /// Bytes were appended.
    Bytes,
    /// Bytes before the wanted offset were dropped: read on.
    Skipped,
    /// There is no more, for now.
    End,
    /// The rest cannot be unpacked.
    Broken(String),
}

impl Input {
    /// Opens a file to be read from `offset` on.
    pub(super) fn open(path: &Path, offset: u64) -> Result<Self, SourceError> {
        Self::try_open(path, offset).map_err(|error| failure(path, &error))
    }

    /// Opens a file as well; none when it is not there any more.
    pub(super) fn open_if_there(path: &Path, offset: u64) -> Result<Option<Self>, SourceError> {
        match Self::try_open(path, offset) {
            Ok(input) => Ok(Some(input)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(failure(path, &error)),
        }
    }

    fn try_open(path: &Path, offset: u64) -> std::io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        if !metadata.is_file() {
            // Opening a pipe would wait for its writer.
            return Err(std::io::Error::other("it is not a regular file; use the `stdin` source for pipes"));
        }
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut magic = Vec::new();
        Read::by_ref(&mut file).take(MAGIC_BYTES).read_to_end(&mut magic)?;
        file.rewind()?;
        let packed = |file| BufReader::with_capacity(PACKED_BYTES, file);
        let mut broken = None;
        let mut skip = offset;
        let reader = match Compression::of_magic(&magic) {
            Compression::Gzip => Reader::Gzip(Box::new(MultiGzDecoder::new(packed(file)))),
            Compression::Zstd => Reader::Zstd(Box::new(zstd::Decoder::with_buffer(packed(file))?)),
            Compression::None => {
                broken = other_than_named(path, &magic);
                file.seek(SeekFrom::Start(offset))?;
                skip = 0;
                Reader::Plain(file)
            }
        };
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { path: path.to_owned(), reader, offset, skip, identity, broken })
    }

    /// Why nothing more of it can be read, where that is known.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// What the file is, whatever its name.
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// The next byte to hand out.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the file is packed.
    pub(super) fn is_packed(&self) -> bool {
        !matches!(self.reader, Reader::Plain(_))
    }

    /// Bytes of the file on disk that were read.
    pub(super) fn consumed(&self) -> u64 {
        let on_disk = |reader: &BufReader<File>| {
            let mut file = reader.get_ref();
            file.stream_position().unwrap_or(0).saturating_sub(reader.buffer().len() as u64)
        };
        match &self.reader {
            Reader::Plain(_) => self.offset,
            Reader::Gzip(reader) => on_disk(reader.get_ref()),
            Reader::Zstd(reader) => on_disk(reader.get_ref()),
        }
    }

    /// Appends up to `max` bytes.
    pub(super) fn read(&mut self, max: usize, into: &mut Vec<u8>) -> Result<Piece, SourceError> {
        if let Some(reason) = &self.broken {
            return Ok(Piece::Broken(reason.clone()));
        }
        if self.skip > 0 {
            return self.skip();
        }
        let before = into.len();
        into.reserve(max);
        let result = self.fill(max, into);
        let bytes = into.len() - before;
        self.offset += bytes as u64;
        if let Err(error) = result {
            self.fail(&error)?;
        }
        Ok(match (&self.broken, bytes) {
            (Some(reason), 0) => Piece::Broken(reason.clone()),
            (None, 0) => Piece::End,
            // What came before the break is good; the break is told next time.
            _ => Piece::Bytes,
        })
    }

    fn fill(&mut self, max: usize, into: &mut Vec<u8>) -> std::io::Result<usize> {
        let max = max as u64;
        match &mut self.reader {
            Reader::Plain(file) => file.take(max).read_to_end(into),
            Reader::Gzip(reader) => reader.take(max).read_to_end(into),
            Reader::Zstd(reader) => reader.take(max).read_to_end(into),
        }
    }

    /// Drops a slice of what is before the wanted offset.
    fn skip(&mut self) -> Result<Piece, SourceError> {
        let slice = usize::try_from(self.skip).map_or(SKIP_BYTES, |skip| skip.min(SKIP_BYTES));
        let mut dropped = Vec::with_capacity(slice);
        let result = self.fill(slice, &mut dropped);
        self.skip -= dropped.len() as u64;
        match result {
            Err(error) => {
                self.offset -= self.skip;
                self.skip = 0;
                self.fail(&error)?;
            }
            Ok(0) => return Err(short(&self.path, self.offset - self.skip, self.offset)),
            Ok(_) => {}
        }
        Ok(Piece::Skipped)
    }

    /// A packed file that cannot be unpacked breaks off; what the disk says fails the source.
    fn fail(&mut self, error: &std::io::Error) -> Result<(), SourceError> {
        if !self.is_packed() || error.raw_os_error().is_some() {
            return Err(failure(&self.path, error));
        }
        let what = match error.kind() {
            ErrorKind::UnexpectedEof => "is cut short".to_owned(),
            _ => format!("cannot be unpacked: {error}"),
        };
        let (packed, unpacked) = (self.consumed(), self.offset);
        self.broken =
            Some(format!("{} {what}, at byte {packed}, which is byte {unpacked} unpacked", self.path.display()));
        Ok(())
    }
}

/// Why a file that does not begin as a packed one is not taken for text: its name says something else. An empty one has
/// nothing that could be misread.
fn other_than_named(path: &Path, first: &[u8]) -> Option<String> {
    let (name, shown) = (path.to_string_lossy(), path.display());
    if first.is_empty() {
        return None;
    }
    if let Some(ending) = Compression::unknown(&name) {
        return Some(format!(
            "{shown} ends in `.{ending}`, a compression that there is not; there are `.gz` and `.zst`: unpack it, or \
             take that ending off its name if it is text"
        ));
    }
    let named = Compression::of_name(&name);
    (named != Compression::None).then(|| {
        format!(
            "{shown} does not begin as a `{}` file does, but with `{}`; take that ending off its name if it is text, \
             or put a whole file there",
            named.suffix(),
            first.escape_ascii().to_string().replace("\\\"", "\"")
        )
    })
}

/// Appends the first bytes of a file, unpacked, `max` of them where it has as many and can be read so far.
pub(super) fn beginning(mut input: Input, max: usize, into: &mut Vec<u8>) -> Result<(), SourceError> {
    let end = into.len() + max;
    while into.len() < end && matches!(input.read(end - into.len(), into)?, Piece::Bytes) {}
    Ok(())
}

/// What is in a file, unpacked where it is packed, as the source reads it.
pub struct Contents(Input);

impl Contents {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be read, or is no regular file.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        Input::try_open(path, 0).map(Self)
    }
}

impl Read for Contents {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let mut bytes = Vec::new();
        match self.0.read(into.len(), &mut bytes) {
            Ok(Piece::Broken(reason)) => return Err(std::io::Error::other(reason)),
            Ok(Piece::Bytes | Piece::Skipped | Piece::End) => {}
            Err(error) => return Err(std::io::Error::other(error.message)),
        }
        into[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

/// A file that is shorter than a checkpoint says.
pub(super) fn short(path: &Path, length: u64, offset: u64) -> SourceError {
    let message = format!(
        "{} ends at byte {length}, but was read up to byte {offset} before: it is not the file that it was; \
         put that one back, or start without the checkpoint",
        path.display()
    );
    SourceError { message, retriable: false }
}

/// Whether what was listed is not there any more.
pub(super) fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Why a file cannot be read, and what to do.
pub(super) fn failure(path: &Path, error: &std::io::Error) -> SourceError {
    let path = path.display();
    let message = match error.kind() {
        ErrorKind::NotFound => {
            format!("{path} has vanished since it was listed; put it back, or start again without it")
        }
        ErrorKind::PermissionDenied => {
            format!("{path} cannot be read: permission denied; give this user the right to read it")
        }
        ErrorKind::IsADirectory => format!("{path} is a folder; name the files in it, like `{path}/*`"),
        _ => format!("{path} cannot be read: {error}"),
    };
    let lasting = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::IsADirectory);
    SourceError { message, retriable: error.raw_os_error().is_some() && !lasting }
}
