//! The data directory: what shall run, and the code for it.
//!
//! ```text
//! lock                    locked by the server that uses the directory; its process id
//! plugins/DIGEST.wasm     components, by the SHA-256 of their bytes
//! pipelines/NAME.json     a pipeline: its text, its code by digest, whether it shall run
//! ```
//!
//! Always true: a file is written aside, made durable, renamed, and its folder made durable; so after a crash each is
//! there as a whole, old or new. What is left aside is removed at the next start.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What shall become of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Goal {
    /// It runs.
    Run,
    /// It is there, and its sources read nothing.
    Pause,
    /// It is over: its input has ended, or it was drained.
    End,
}

/// A pipeline as it shall be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Desired {
    /// Its name.
    pub(crate) name: String,
    /// Counts the changes of all that is here.
    pub(crate) revision: u64,
    /// Its file's name, as it was applied.
    pub(crate) file: String,
    /// Where relative paths in it start.
    pub(crate) base: PathBuf,
    /// Its file's text.
    pub(crate) text: String,
    /// For each stage the digests of its code, oldest first: the last one runs.
    pub(crate) plugins: BTreeMap<String, Vec<String>>,
    /// What shall become of it.
    pub(crate) goal: Goal,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskError {
    /// Another server uses it.
    #[error(
        "the data directory {} is in use by the server with process id {holder}; stop that one, or name another \
         directory with --data", folder.display()
    )]
    InUse {
        /// The directory.
        folder: PathBuf,
        /// The other server's process id, as it wrote it down.
        holder: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} {}: {reason}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// A file has another content than was written.
    #[error("{} is damaged: {reason}; restore it or remove it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    let path = path.to_owned();
    move |reason| DiskError::File { what, path, reason }
}

/// The data directory, held by this process.
pub(crate) struct Disk {
    root: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl Disk {
    /// Takes the directory, which is made where it does not exist.
    ///
    /// # Errors
    /// Another server has it, or it cannot be written.
    pub(crate) fn open(root: &Path) -> Result<Self, DiskError> {
        for folder in [root.to_owned(), root.join("plugins"), root.join("pipelines")] {
            fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
        }
        let lock = lock(root)?;
        for folder in ["plugins", "pipelines"].map(|folder| root.join(folder)) {
            for entry in fs::read_dir(&folder).map_err(failed("list", &folder))?.flatten() {
                if entry.path().extension().is_some_and(|extension| extension == "part") {
                    fs::remove_file(entry.path()).map_err(failed("remove", &entry.path()))?;
                }
            }
        }
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// All pipelines.
    ///
    /// # Errors
    /// One cannot be read.
    pub(crate) fn pipelines(&self) -> Result<Vec<Desired>, DiskError> {
        let mut found = Vec::new();
        for path in self.list("pipelines", "json")? {
            let bytes = fs::read(&path).map_err(failed("read", &path))?;
            let desired = serde_json::from_slice(&bytes);
            found.push(desired.map_err(|error| DiskError::Damaged { path, reason: error.to_string() })?);
        }
        Ok(found)
    }

    /// Writes down what a pipeline shall be. Its name must have been checked: it becomes a file's name.
    ///
    /// # Errors
    /// It cannot be written; what was there before is there still.
    pub(crate) fn keep(&self, desired: &Desired) -> Result<(), DiskError> {
        let bytes = serde_json::to_vec_pretty(desired).expect("texts, numbers and names can always be written as JSON");
        self.write("pipelines", &format!("{}.json", desired.name), &bytes)
    }

    /// Forgets a pipeline.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn forget(&self, name: &str) -> Result<(), DiskError> {
        self.remove("pipelines", &format!("{name}.json"))
    }

    /// Digests and sizes of all components.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(crate) fn plugins(&self) -> Result<Vec<(String, u64)>, DiskError> {
        let paths = self.list("plugins", "wasm")?.into_iter();
        Ok(paths
            .filter_map(|path| {
                Some((path.file_stem()?.to_string_lossy().into_owned(), fs::metadata(&path).ok()?.len()))
            })
            .collect())
    }

    /// The bytes of a component; none where there is none of that digest.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn plugin(&self, digest: &str) -> Result<Option<Vec<u8>>, DiskError> {
        if !is_digest(digest) {
            return Ok(None);
        }
        let path = self.root.join("plugins").join(format!("{digest}.wasm"));
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Keeps a component under its digest.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep_plugin(&self, digest: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let name = format!("{digest}.wasm");
        if self.root.join("plugins").join(&name).is_file() {
            return Ok(());
        }
        self.write("plugins", &name, bytes)
    }

    /// Removes a component.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn forget_plugin(&self, digest: &str) -> Result<(), DiskError> {
        self.remove("plugins", &format!("{digest}.wasm"))
    }

    fn list(&self, folder: &str, extension: &str) -> Result<Vec<PathBuf>, DiskError> {
        let folder = self.root.join(folder);
        let entries = fs::read_dir(&folder).map_err(failed("list", &folder))?;
        let paths = entries.flatten().map(|entry| entry.path());
        let mut paths: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
        paths.sort();
        Ok(paths)
    }

    fn write(&self, folder: &str, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let folder = self.root.join(folder);
        let (path, aside) = (folder.join(name), folder.join(format!("{name}.part")));
        let written = File::create(&aside).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        let kept = written.and_then(|()| fs::rename(&aside, &path)).and_then(|()| File::open(&folder)?.sync_all());
        if kept.is_err() {
            // What is left aside is only space; the reason for the failure is what matters.
            drop(fs::remove_file(&aside));
        }
        kept.map_err(failed("write", &path))
    }

    fn remove(&self, folder: &str, name: &str) -> Result<(), DiskError> {
        let folder = self.root.join(folder);
        let path = folder.join(name);
        fs::remove_file(&path).and_then(|()| File::open(&folder)?.sync_all()).map_err(failed("remove", &path))
    }
}

/// Whether that is a digest and so may be a file's name.
pub(crate) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Locks the directory for this process; the lock ends with it, however it ends.
fn lock(root: &Path) -> Result<File, DiskError> {
    let path = root.join("lock");
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(failed("read", &path))?;
            return Err(DiskError::InUse { folder: root.to_owned(), holder: holder.trim().to_owned() });
        }
        Err(TryLockError::Error(reason)) => return Err(failed("lock", &path)(reason)),
    }
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(failed("write", &path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_server_at_a_time_and_the_second_is_told_which() {
        let folder = tempfile::tempdir().unwrap();
        let first = Disk::open(folder.path()).unwrap();
        let Err(refused) = Disk::open(folder.path()) else { panic!("it was taken twice") };
        assert!(refused.to_string().contains(&format!("process id {}", std::process::id())), "{refused}");
        drop(first);
        assert!(Disk::open(folder.path()).is_ok());
    }

    #[test]
    fn what_was_kept_is_there_after_a_restart_and_what_was_left_aside_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        let desired = Desired {
            name: "p".into(),
            revision: 3,
            file: "p.yaml".into(),
            base: "/base".into(),
            text: "name: p".into(),
            plugins: [("s".into(), vec!["a".into(), "b".into()])].into(),
            goal: Goal::Pause,
        };
        disk.keep(&desired).unwrap();
        fs::write(folder.path().join("pipelines/q.json.part"), "{").unwrap();
        drop(disk);
        let found = Disk::open(folder.path()).unwrap().pipelines().unwrap();
        assert_eq!(serde_json::to_string(&found).unwrap(), serde_json::to_string(&[desired]).unwrap());
        assert!(!folder.path().join("pipelines/q.json.part").exists());
    }

    #[test]
    fn a_name_that_is_no_digest_finds_no_plugin() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        fs::write(folder.path().join("secret.wasm"), "secret").unwrap();
        assert!(disk.plugin("../secret").unwrap().is_none());
        let digest = "0123456789abcdef".repeat(4);
        disk.keep_plugin(&digest, b"code").unwrap();
        assert_eq!(disk.plugin(&digest).unwrap().unwrap(), b"code");
        assert_eq!(disk.plugins().unwrap(), [(digest, 4)]);
    }
}
