//! The files that people see: how they are named, and which names in their folder are a sink's.

use std::fs;
use std::io;
use std::path::Path;

use super::aside::{Aside, parse_open};

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
}
