//! The files that people see: how they are named, which names in their folder are a sink's, and which it locks.

use std::fs;
use std::io;
use std::path::Path;

use super::aside::{Aside, parse_open};
use super::lock::Share;

/// How the files that people see are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Targets {
    /// One file of that name.
    One(String),
    /// `part-00000` and this ending.
    Parts(String),
}

/// What a sink finds in its folder.
#[derive(Default)]
pub(super) struct Found {
    /// What people see, with its number.
    pub(super) visible: Vec<(u64, String)>,
    /// What is durable and not visible, by epoch, then part.
    pub(super) prepared: Vec<Aside>,
    /// What was being written.
    pub(super) open: Vec<String>,
}

/// The digits of a part's name, and its ending; none where it is no such name.
fn part(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix("part-")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    (digits >= 5).then(|| rest.split_at(digits))
}

impl Targets {
    /// The name of the target of that number.
    pub(super) fn name(&self, number: u64) -> String {
        match self {
            Self::One(name) => name.clone(),
            Self::Parts(ending) => format!("part-{number:05}{ending}"),
        }
    }

    /// The number of the target of that name; none where it is not one of ours.
    fn number(&self, name: &str) -> Option<u64> {
        match self {
            Self::One(own) => (name == own).then_some(0),
            Self::Parts(own) => part(name).filter(|(_, ending)| ending == own)?.0.parse().ok(),
        }
    }

    /// Hidden files that whoever writes these targets locks, and with whom. The ending is in the name because sinks of
    /// several formats share a folder. A single file that is named as a part is keeps sinks of such parts away, and not
    /// other single files.
    pub(super) fn locks(&self) -> Vec<(String, Share)> {
        let parts = |ending: &str| format!(".part{ending}.parts-lock.tmp");
        match self {
            Self::One(name) => {
                let folder = part(name).map(|(_, ending)| (parts(ending), Share::WithOthers));
                [(format!(".{name}.lock.tmp"), Share::Alone)].into_iter().chain(folder).collect()
            }
            Self::Parts(ending) => vec![(parts(ending), Share::Alone)],
        }
    }

    /// What of ours is in the folder.
    ///
    /// # Errors
    /// It cannot be listed.
    pub(super) fn scan(&self, folder: &Path) -> io::Result<Found> {
        let mut found = Found::default();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Some(number) = self.number(&name) {
                found.visible.push((number, name));
            } else if parse_open(&name).is_some_and(|target| self.number(target).is_some()) {
                found.open.push(name);
            } else if let Some(aside) = Aside::parse(&name).filter(|aside| self.number(&aside.target).is_some()) {
                found.prepared.push(aside);
            }
        }
        found.prepared.sort();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_known_by_its_name_and_ending() {
        let parts = Targets::Parts(".csv".to_owned());
        assert_eq!(parts.number(&parts.name(7)), Some(7));
        assert_eq!(parts.number(&parts.name(1_234_567)), Some(1_234_567));
        for other in
            ["part-0001.csv", "part-00001.csv.gz", "part-00001", "part-00001x.csv", "part-99999999999999999999.csv"]
        {
            assert_eq!(parts.number(other), None, "{other}");
        }
    }

    #[test]
    fn no_lock_is_taken_for_a_target_of_another_sink_or_for_what_a_crash_left() {
        let all = ["out.csv", "part-00001.csv", "part.csv", "part"].map(|name| Targets::One(name.to_owned()));
        let all: Vec<_> = all.into_iter().chain([Targets::Parts(".csv".to_owned())]).collect();
        let names: Vec<_> = all.iter().flat_map(|targets| targets.locks()).collect();
        let alone = names.iter().filter(|(_, share)| *share == Share::Alone).map(|(name, _)| name);
        assert_eq!(alone.collect::<std::collections::BTreeSet<_>>().len(), all.len(), "{names:?}");
        assert_eq!(names.iter().filter(|(name, _)| name == ".part.csv.parts-lock.tmp").count(), 2, "{names:?}");
        for (name, _) in names {
            assert_eq!((parse_open(&name), Aside::parse(&name)), (None, None), "{name}");
        }
    }
}
