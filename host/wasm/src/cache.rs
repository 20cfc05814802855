//! Compiled components on disk, so that a start need not compile. The only file of the project's host with `unsafe`.
//!
//! An entry is machine code that will run in this process, so the cache trusts nothing that it has not written: its
//! directory belongs to one user (mode 0700), an entry begins with a line that names the component's digest, the
//! compiler with its settings, and the digest of the code behind it. An entry where any of them differs is as good as
//! none: the component is compiled again and the entry replaced. Entries are written aside and renamed, so there is
//! no half one. Code that was just compiled is made ready here too, because it takes the same trust. Neighbours:
//! [`crate::compile`] makes the code, [`crate::engine`] is the only caller.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::compile::Artefact;
use crate::error::ComponentError;
use crate::wit;

/// What the cache did for a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheOutcome {
    /// There is no cache.
    Off,
    /// It had the component.
    Hit,
    /// It had not; now it has.
    Stored,
    /// It had not, and could not keep it: the next load compiles again.
    Failed(String),
}

/// The cache.
pub(crate) struct Cache {
    directory: PathBuf,
    /// Digest of the compiler's version and settings.
    compiler: String,
}

impl Cache {
    /// Opens the cache in that directory, which is made where it does not exist.
    pub(crate) fn open(directory: PathBuf, engine: &Engine) -> Result<Self, ComponentError> {
        private(&directory).map_err(|reason| {
            let shown = directory.display();
            ComponentError::Host(format!("{shown} cannot keep compiled components: {reason}"))
        })?;
        let mut compiler = Sha(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut compiler);
        Ok(Self { directory, compiler: wit::hex(&compiler.0.finalize()) })
    }

    /// The component with that digest, if this cache has it, whole and from this compiler.
    pub(crate) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let entry = fs::read(self.path(digest)).ok()?;
        let end = entry.iter().position(|byte| *byte == b'\n')?;
        let (head, code) = (&entry[..end], &entry[end + 1..]);
        if head != self.head(digest, code).as_bytes() {
            return None;
        }
        // What the head says was written by `store` with the code, in a directory that only this user can write to;
        // whoever could forge both could as well change this process. A compiler of another version or with other
        // settings has another head.
        trusted(engine, code).ok()
    }

    /// Keeps a component's code under that digest.
    pub(crate) fn store(&self, artefact: &Artefact, digest: &str) -> CacheOutcome {
        let (path, code) = (self.path(digest), artefact.code());
        match self.write(&path, &self.head(digest, code), code) {
            Ok(()) => CacheOutcome::Stored,
            Err(reason) => CacheOutcome::Failed(format!("{} cannot be written: {reason}", path.display())),
        }
    }

    fn write(&self, path: &Path, head: &str, code: &[u8]) -> io::Result<()> {
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let aside = self.directory.join(format!("{}-{number}.part", std::process::id()));
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside);
        let written = written.and_then(|mut file| {
            writeln!(file, "{head}")?;
            file.write_all(code)
        });
        let kept = written.and_then(|()| fs::rename(&aside, path));
        if kept.is_err() {
            // What is left aside is only space; the reason for the failure is what matters.
            drop(fs::remove_file(&aside));
        }
        kept
    }

    fn head(&self, digest: &str, code: &[u8]) -> String {
        format!("wasmill compiled component {digest} {} {}", self.compiler, wit::digest(code))
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.directory.join(format!("{digest}-{}.cwasm", &self.compiler[..16]))
    }
}

/// A component whose code was just made.
///
/// # Errors
/// Another compiler made it: the program that compiles is of another version than this one.
pub(crate) fn ready(engine: &Engine, artefact: &Artefact) -> Result<Component, ComponentError> {
    let other =
        |reason: wasmtime::Error| ComponentError::Host(format!("what its compiler made is not its own: {reason:#}"));
    trusted(engine, artefact.code()).map_err(other)
}

/// The component whose code this is. Private: see who calls it.
fn trusted(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` must be what the compiler of this program gave, whole. `Cache::load` has it from an entry whose
    // head names the digest of the code, the component and the compiler, in a directory that only this user can write
    // to. `ready` has an `Artefact`: made in this process, or by our own program, over a pipe that only the two hold
    // and with a digest that shows it whole. wasmtime compares version and settings once more.
    unsafe { Component::deserialize(engine, code) }
}

/// Makes the directory where it does not exist. One that does is not changed, but must be this user's alone to write.
fn private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let found = fs::metadata(directory)?;
    let denied = |reason: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    if found.permissions().mode() & 0o022 != 0 {
        return denied("other users can write to it; choose another directory, or run `chmod go-w` on it");
    }
    // The owner of a process's own entry is the user that it runs as.
    match fs::metadata("/proc/self") {
        Ok(own) if own.uid() != found.uid() => denied("it belongs to another user; choose another directory"),
        _ => Ok(()),
    }
}

/// A hasher whose result does not change from one version of Rust to the next.
struct Sha(Sha256);

impl Hasher for Sha {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Engine, Cache) {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let cache = Cache::open(directory.path().join("compiled"), &engine).unwrap();
        (directory, engine, cache)
    }

    fn empty(engine: &Engine) -> Artefact {
        crate::compile::compile(engine, b"\0asm\x0d\0\x01\0").unwrap()
    }

    #[test]
    fn what_was_stored_is_loaded_and_nobody_else_can_read_it() {
        let (_directory, engine, cache) = cache();
        assert!(cache.load(&engine, "a").is_none());
        assert_eq!(cache.store(&empty(&engine), "a"), CacheOutcome::Stored);
        assert!(cache.load(&engine, "a").is_some());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&cache.directory), 0o700);
        assert_eq!(mode(&cache.path("a")), 0o600);
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let Err(refused) = Cache::open(directory.path().into(), &Engine::default()) else { panic!("it was taken") };
        assert!(refused.to_string().contains("chmod go-w"), "{refused}");
        assert_eq!(fs::metadata(directory.path()).unwrap().permissions().mode() & 0o777, 0o777);
    }

    #[test]
    fn an_entry_of_another_component_or_compiler_is_not_run() {
        let (_directory, engine, mut cache) = cache();
        cache.store(&empty(&engine), "a");
        fs::copy(cache.path("a"), cache.path("b")).unwrap();
        assert!(cache.load(&engine, "b").is_none(), "the entry says that it is another component");
        let own = cache.path("a");
        cache.compiler.replace_range(16..17, "x");
        assert_eq!(cache.path("a"), own, "the same file");
        assert!(cache.load(&engine, "a").is_none(), "the entry says that it is from another compiler");
    }

    #[test]
    fn a_damaged_or_foreign_entry_is_not_run() {
        let (_directory, engine, cache) = cache();
        cache.store(&empty(&engine), "a");
        let whole = fs::read(cache.path("a")).unwrap();
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let bare = empty(&engine);
        let foreign: [&[u8]; 6] = [b"", b"\n", b"no line end", &whole[..whole.len() / 2], &flipped, bare.code()];
        for entry in foreign {
            fs::write(cache.path("a"), entry).unwrap();
            assert!(cache.load(&engine, "a").is_none());
        }
        assert_eq!(cache.store(&empty(&engine), "a"), CacheOutcome::Stored);
        assert!(cache.load(&engine, "a").is_some(), "the next store mends it");
    }

    #[test]
    fn a_cache_that_cannot_be_written_says_so_and_costs_no_more() {
        let (_directory, engine, cache) = cache();
        fs::remove_dir_all(&cache.directory).unwrap();
        assert!(matches!(cache.store(&empty(&engine), "a"), CacheOutcome::Failed(reason) if reason.contains("a-")));
    }
}
