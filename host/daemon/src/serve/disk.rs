//! The data directory: what shall run, and the code for it.
//!
//! ```text
//! lock                    locked by the server that uses the directory; its process id
//! revisions               the highest revision of pipelines that are deleted
//! plugins/DIGEST.wasm     components, by the SHA-256 of their bytes
//! pipelines/NAME.json     a pipeline: its text, its code by digest, whether it shall run
//! ```
//!
//! Always true: a file is written aside under a name of its own, made durable, renamed, and its folder made durable; so
//! after a crash each is there as a whole, old or new. What is left aside is removed at the next start. Bytes of a
//! component are what its digest says, or are not given out.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use wasmill_wasm::digest;

use super::step::{Step, place, reach, space};

/// The folders, and the file of revisions.
const PLUGINS: &str = "plugins";
const PIPELINES: &str = "pipelines";
const REVISIONS: &str = "revisions";

/// What shall become of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Goal {
    /// It runs.
    Run,
    /// It is there, and its sources read nothing.
    Pause,
    /// It runs until all that it has read is committed.
    Drain,
    /// It is over: its input has ended, or it was drained.
    End,
}

/// A pipeline as it shall be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Desired {
    /// Its name.
    pub(crate) name: String,
    /// Counts the changes of all that is here, and goes on from what was deleted.
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

/// A pipeline's name, and what it shall be, or why that cannot be known.
pub(crate) type Kept = (String, Result<Desired, DiskError>);

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
    /// Files that were written aside so far: each has a name of its own.
    asides: AtomicU64,
    /// Locked as long as it is open.
    _lock: File,
}

impl Disk {
    /// Takes the directory, which is made where it does not exist.
    ///
    /// # Errors
    /// Another server has it, or it cannot be written.
    pub(crate) fn open(root: &Path) -> Result<Self, DiskError> {
        for folder in [root.to_owned(), root.join(PLUGINS), root.join(PIPELINES)] {
            fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
        }
        let lock = lock(root)?;
        for folder in [root.to_owned(), root.join(PLUGINS), root.join(PIPELINES)] {
            for entry in fs::read_dir(&folder).map_err(failed("list", &folder))?.flatten() {
                if entry.path().extension().is_some_and(|extension| extension == "part") {
                    fs::remove_file(entry.path()).map_err(failed("remove", &entry.path()))?;
                }
            }
        }
        Ok(Self { root: root.to_owned(), asides: AtomicU64::new(0), _lock: lock })
    }

    /// All pipelines, by name.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(crate) fn pipelines(&self) -> Result<Vec<Kept>, DiskError> {
        let named = |path: PathBuf| Some((path.file_stem()?.to_str()?.to_owned(), path));
        let named = self.list(PIPELINES, "json")?.into_iter().filter_map(named);
        Ok(named.map(|(name, path)| (name.clone(), pipeline(&name, &path))).collect())
    }

    /// The highest revision of pipelines that are deleted: a new one goes on from there, so that no tag is ever given
    /// out twice. 0 where that is not known.
    pub(crate) fn revisions(&self) -> u64 {
        let text = fs::read_to_string(self.root.join(REVISIONS)).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// Writes down that revision.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep_revisions(&self, highest: u64) -> Result<(), DiskError> {
        self.aside("", REVISIONS, highest.to_string().as_bytes())?.keep()
    }

    /// Writes down what a pipeline shall be. Its name must have been checked: it becomes a file's name.
    ///
    /// # Errors
    /// It cannot be written; what was there before is there still.
    pub(crate) fn keep(&self, desired: &Desired) -> Result<(), DiskError> {
        self.keep_aside(desired)?.keep()
    }

    /// The same, but aside: there is space for it, and what was there before is there still.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep_aside(&self, desired: &Desired) -> Result<Aside, DiskError> {
        let bytes = serde_json::to_vec_pretty(desired).expect("texts, numbers and names can always be written as JSON");
        self.aside(PIPELINES, &format!("{}.json", desired.name), &bytes)
    }

    /// Forgets a pipeline, also one whose file is gone already.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn forget(&self, name: &str) -> Result<(), DiskError> {
        self.remove(PIPELINES, &format!("{name}.json"))
    }

    /// Digests and sizes of all components.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(crate) fn plugins(&self) -> Result<Vec<(String, u64)>, DiskError> {
        let paths = self.list(PLUGINS, "wasm")?.into_iter();
        Ok(paths
            .filter_map(|path| {
                Some((path.file_stem()?.to_string_lossy().into_owned(), fs::metadata(&path).ok()?.len()))
            })
            .collect())
    }

    /// The bytes of a component; none where there is none of that digest.
    ///
    /// # Errors
    /// It cannot be read, or is another than was written.
    pub(crate) fn plugin(&self, wanted: &str) -> Result<Option<Vec<u8>>, DiskError> {
        if !is_digest(wanted) {
            return Ok(None);
        }
        let path = self.place(wanted);
        match fs::read(&path) {
            Ok(bytes) if digest(&bytes) == wanted => Ok(Some(bytes)),
            Ok(bytes) => {
                let reason = format!("its {} bytes are not of that digest", bytes.len());
                Err(DiskError::Damaged { path, reason })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Whether there is a component of that digest.
    pub(crate) fn has_plugin(&self, digest: &str) -> bool {
        is_digest(digest) && self.place(digest).is_file()
    }

    /// Keeps a component under its digest. What is there and damaged is mended by it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep_plugin(&self, digest: &str, bytes: &[u8]) -> Result<(), DiskError> {
        if fs::read(self.place(digest)).is_ok_and(|kept| kept == bytes) {
            return Ok(());
        }
        self.aside(PLUGINS, &format!("{digest}.wasm"), bytes)?.keep()
    }

    /// Removes a component, also one that is gone already.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn forget_plugin(&self, digest: &str) -> Result<(), DiskError> {
        self.remove(PLUGINS, &format!("{digest}.wasm"))
    }

    fn place(&self, digest: &str) -> PathBuf {
        self.root.join(PLUGINS).join(format!("{digest}.wasm"))
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

    fn aside(&self, of: &'static str, name: &str, bytes: &[u8]) -> Result<Aside, DiskError> {
        let number = self.asides.fetch_add(1, Ordering::Relaxed);
        let folder = self.root.join(of);
        let (path, aside) = (folder.join(name), folder.join(format!("{name}.{number}.part")));
        let aside = Aside { of, folder, path, aside };
        let written = File::create(&aside.aside).and_then(|mut file| {
            reach(Step::Created(of));
            space()?;
            file.write_all(bytes)?;
            reach(Step::Written(of));
            file.sync_all()
        });
        written.map_err(failed("write", &aside.path))?;
        reach(Step::Synced(of));
        Ok(aside)
    }

    fn remove(&self, folder: &str, name: &str) -> Result<(), DiskError> {
        let folder = self.root.join(folder);
        let path = folder.join(name);
        // Who was told that a file is damaged may have removed it by hand: then there is nothing left to do.
        let removed = fs::remove_file(&path).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        });
        removed.and_then(|()| File::open(&folder)?.sync_all()).map_err(failed("remove", &path))
    }
}

/// A file that is written aside and durable, and gone again if it is not kept.
pub(crate) struct Aside {
    of: &'static str,
    folder: PathBuf,
    /// Where it shall be, and is.
    path: PathBuf,
    aside: PathBuf,
}

impl Aside {
    /// Puts it in its place.
    ///
    /// # Errors
    /// That is not possible, or not known to be durable.
    pub(crate) fn keep(self) -> Result<(), DiskError> {
        let renamed = place().and_then(|()| fs::rename(&self.aside, &self.path));
        let kept = renamed.and_then(|()| {
            reach(Step::Renamed(self.of));
            File::open(&self.folder)?.sync_all()
        });
        kept.map_err(failed("write", &self.path))?;
        reach(Step::Kept(self.of));
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Kept, it is not there any more. What is left is only space.
        drop(fs::remove_file(&self.aside));
    }
}

/// What a pipeline shall be, as a file says.
fn pipeline(name: &str, path: &Path) -> Result<Desired, DiskError> {
    let damaged = |reason| DiskError::Damaged { path: path.to_owned(), reason };
    let bytes = fs::read(path).map_err(failed("read", path))?;
    let desired: Desired = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if desired.name == name { Ok(desired) } else { Err(damaged(format!("it is of pipeline `{}`", desired.name))) }
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
        fs::write(folder.path().join("pipelines/q.json.7.part"), "{").unwrap();
        disk.keep_revisions(9).unwrap();
        drop(disk);
        let disk = Disk::open(folder.path()).unwrap();
        let found = disk.pipelines().unwrap().remove(0).1.unwrap();
        assert_eq!(serde_json::to_string(&found).unwrap(), serde_json::to_string(&desired).unwrap());
        assert_eq!((disk.pipelines().unwrap().len(), disk.revisions()), (1, 9));
        assert!(!folder.path().join("pipelines/q.json.7.part").exists());
    }

    #[test]
    fn what_was_removed_by_hand_is_forgotten_all_the_same_and_what_cannot_be_removed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        disk.forget("p").unwrap();
        disk.forget_plugin(&digest(b"code")).unwrap();
        fs::create_dir(folder.path().join("pipelines/p.json")).unwrap();
        assert!(disk.forget("p").unwrap_err().to_string().contains("cannot remove"));
    }

    #[test]
    fn a_pipeline_whose_file_is_damaged_keeps_no_other_from_being_read() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        fs::write(folder.path().join("pipelines/torn.json"), "{\"name\": \"to").unwrap();
        let whole = r#"{"name":"p","revision":1,"file":"","base":"/","text":"","plugins":{},"goal":"run"}"#;
        fs::write(folder.path().join("pipelines/p.json"), whole).unwrap();
        fs::write(folder.path().join("pipelines/moved.json"), whole).unwrap();
        let found = disk.pipelines().unwrap();
        let good: Vec<_> = found.iter().map(|(name, found)| (name.as_str(), found.is_ok())).collect();
        assert_eq!(good, [("moved", false), ("p", true), ("torn", false)]);
        let why = found[2].1.as_ref().unwrap_err().to_string();
        assert!(why.contains("torn.json is damaged: EOF") && why.ends_with("remove it"), "{why}");
    }

    #[test]
    fn of_a_file_that_is_written_by_many_at_once_none_sees_a_part() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        let bytes = vec![7; 1 << 20];
        let digest = digest(&bytes);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    disk.keep_plugin(&digest, &bytes).unwrap();
                    assert!(disk.plugin(&digest).unwrap().is_some());
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path().join(PLUGINS)).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn a_damaged_component_is_not_given_out_and_mended_when_it_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        let digest = digest(b"code");
        fs::write(disk.place(&digest), "co").unwrap();
        assert!(disk.plugin(&digest).unwrap_err().to_string().contains("its 2 bytes are not of that digest"));
        disk.keep_plugin(&digest, b"code").unwrap();
        assert_eq!(disk.plugin(&digest).unwrap().unwrap(), b"code");
    }

    #[test]
    fn a_name_that_is_no_digest_finds_no_plugin() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        fs::write(folder.path().join("secret.wasm"), "secret").unwrap();
        assert!(disk.plugin("../secret").unwrap().is_none());
        let digest = digest(b"code");
        disk.keep_plugin(&digest, b"code").unwrap();
        assert_eq!(disk.plugin(&digest).unwrap().unwrap(), b"code");
        assert_eq!(disk.plugins().unwrap(), [(digest, 4)]);
    }
}
