//! Code that is on its way into a pipeline, and must stay until the pipeline has it written down.
//!
//! Always true: code with a pin is not deleted. Code that an apply took into the data directory is gone with its last
//! pin where nobody has claimed it: an apply that came to nothing leaves nothing. Neighbours: [`super::shelf`] pins
//! what it finds, [`super::registry`] deletes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, DiskError};

/// What is pinned.
#[derive(Default)]
pub(crate) struct Pins(Mutex<Pinned>);

#[derive(Default)]
struct Pinned {
    /// Pins of each digest.
    counts: BTreeMap<String, usize>,
    /// Those that an apply has brought, and nobody has claimed.
    brought: BTreeSet<String>,
}

/// Keeps the code of a digest from being deleted for as long as it lives.
pub(crate) struct Pin<'a> {
    pins: &'a Pins,
    disk: &'a Disk,
    digest: String,
}

impl Pins {
    fn lock(&self) -> MutexGuard<'_, Pinned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pins a digest, whether there is such code or not.
    pub(crate) fn pin<'a>(&'a self, disk: &'a Disk, digest: &str) -> Pin<'a> {
        *self.lock().counts.entry(digest.to_owned()).or_default() += 1;
        Pin { pins: self, disk, digest: digest.to_owned() }
    }

    /// Has `keep` take code into the data directory, where it shall stay. Meanwhile it has a pin, so that an apply that
    /// brought the same code and comes to nothing does not take it away once `keep` has found it there.
    ///
    /// # Errors
    /// Those of `keep`.
    pub(crate) fn upload(
        &self,
        disk: &Disk,
        digest: &str,
        keep: impl FnOnce() -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let _pin = self.pin(disk, digest);
        keep()?;
        self.claim(digest);
        Ok(())
    }

    /// Says that code shall stay: it is uploaded, or some pipeline has it.
    pub(crate) fn claim(&self, digest: &str) {
        self.lock().brought.remove(digest);
    }

    /// Does that where there is no pin, and lets nobody pin meanwhile; none where there is one.
    pub(crate) fn unless_pinned<T>(&self, digest: &str, act: impl FnOnce() -> T) -> Option<T> {
        let pinned = self.lock();
        (!pinned.counts.contains_key(digest)).then(act)
    }
}

impl Pin<'_> {
    /// Takes its code into the data directory.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn bring(&self, bytes: &[u8]) -> Result<(), DiskError> {
        let mut pinned = self.pins.lock();
        if !self.disk.has_plugin(&self.digest) {
            pinned.brought.insert(self.digest.clone());
        }
        drop(pinned);
        self.disk.keep_plugin(&self.digest, bytes)
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        let mut pinned = self.pins.lock();
        let left = pinned.counts.get_mut(&self.digest).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            pinned.counts.remove(&self.digest);
            if pinned.brought.remove(&self.digest) {
                // It may never have come as far as the disk.
                drop(self.disk.forget_plugin(&self.digest));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_was_brought_for_nothing_goes_with_its_last_pin_and_claimed_code_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, pins) = (Disk::open(folder.path()).unwrap(), Pins::default());
        let [idle, taken, uploaded] = ["idle", "taken", "uploaded"].map(|text| wasmill_wasm::digest(text.as_bytes()));
        disk.keep_plugin(&uploaded, b"uploaded").unwrap();
        let first: Vec<Pin<'_>> = [&idle, &taken, &uploaded].map(|digest| pins.pin(&disk, digest)).into();
        let second = pins.pin(&disk, &idle);
        for (pin, text) in first.iter().zip(["idle", "taken", "uploaded"]) {
            pin.bring(text.as_bytes()).unwrap();
        }
        pins.claim(&taken);
        drop(first);
        assert!(disk.has_plugin(&idle), "another apply is at it");
        assert_eq!(pins.unless_pinned(&idle, || panic!("it is pinned")), None);
        drop(second);
        assert_eq!([&idle, &taken, &uploaded].map(|digest| disk.has_plugin(digest)), [false, true, true]);
        assert_eq!(pins.unless_pinned(&idle, || 7), Some(7));
    }

    #[test]
    fn code_that_is_uploaded_while_an_apply_that_brought_it_comes_to_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, pins) = (Disk::open(folder.path()).unwrap(), Pins::default());
        let digest = wasmill_wasm::digest(b"code");
        let apply = pins.pin(&disk, &digest);
        apply.bring(b"code").unwrap();
        let keep = || {
            disk.keep_plugin(&digest, b"code")?;
            drop(apply);
            Ok(())
        };
        pins.upload(&disk, &digest, keep).unwrap();
        assert!(disk.has_plugin(&digest), "it was told that it is there");
    }

    #[test]
    fn code_that_an_apply_brought_and_whose_upload_fails_goes_with_both() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, pins) = (Disk::open(folder.path()).unwrap(), Pins::default());
        let digest = wasmill_wasm::digest(b"code");
        let apply = pins.pin(&disk, &digest);
        apply.bring(b"code").unwrap();
        let failed = || {
            drop(apply);
            Err(DiskError::Damaged { path: folder.path().to_owned(), reason: "no room".to_owned() })
        };
        assert!(pins.upload(&disk, &digest, failed).is_err());
        assert!(!disk.has_plugin(&digest), "nobody was told that it is there");
    }
}
