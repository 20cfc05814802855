//! What happens to names between a look at the files and their opening.

use std::fs;

use super::*;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
    folder
}

/// Reads until nothing comes, over several looks: what each partition brought, and how it ended.
fn settle(followed: &mut Followed, now: &mut Micros) -> BTreeMap<u32, String> {
    let mut brought = BTreeMap::<u32, String>::new();
    for _ in 0..3 * SETTLED / LOOK_EVERY {
        loop {
            let mut bytes = Vec::new();
            let (number, text) = match followed.read(*now, 100, 100, &mut bytes).unwrap() {
                Read::Bytes { partition } => (partition, String::from_utf8(bytes).unwrap()),
                Read::End { partition } => (partition, "the end".to_owned()),
                Read::Broken { partition, reason } => (partition, reason),
                Read::Idle { .. } => break,
                other => panic!("a source that follows brings no {other:?}"),
            };
            *brought.entry(number).or_default() += &text;
        }
        *now += LOOK_EVERY;
    }
    brought
}

#[test]
fn a_file_that_is_rotated_before_it_is_opened_is_read_where_it_is_and_its_successor_once() {
    for (pattern, expected) in [("a.log*", &[(0, "first\n"), (1, "second\n")][..]), ("a.log", &[(1, "second\n")])] {
        let folder = folder(&[("a.log", "first\n")]);
        let path = folder.path().join("a.log");
        let mut followed = Followed::new(folder.path(), &[pattern.to_owned()]);
        // A look that lists the file, after which its name goes to another.
        let listed = list(folder.path(), &followed.paths).unwrap().entries.remove(0);
        let is = fs::metadata(&path).unwrap();
        fs::rename(&path, folder.path().join("a.log.1")).unwrap();
        fs::write(&path, "second\n").unwrap();
        followed.add(listed, (is.dev(), is.ino()), is.len(), 0).unwrap();
        let brought = settle(&mut followed, &mut 0);
        let brought: Vec<_> = brought.iter().map(|(number, text)| (*number, text.as_str())).collect();
        assert_eq!(brought, expected, "{pattern}");
    }
}

/// A folder with a file `a.log` that was read and has grown since, which was noticed, and that is closed, as where too
/// many are open; and the time.
fn closed_while_it_grows(pattern: &str) -> (tempfile::TempDir, Followed, Micros) {
    let folder = folder(&[("a.log", "first\n")]);
    let mut followed = Followed::new(folder.path(), &[pattern.to_owned()]);
    let mut now = 0;
    settle(&mut followed, &mut now);
    fs::write(folder.path().join("a.log"), "first\nmore\n").unwrap();
    followed.look(now).unwrap();
    followed.look_at = Some(now + LOOK_EVERY);
    followed.tails.get_mut(&0).unwrap().input = None;
    (folder, followed, now)
}

#[test]
fn a_file_that_is_renamed_before_it_is_opened_again_is_read_on_where_it_is() {
    for successor in [None, Some("second\n")] {
        let (folder, mut followed, mut now) = closed_while_it_grows("a.log*");
        let path = folder.path().join("a.log");
        fs::rename(&path, folder.path().join("a.log.1")).unwrap();
        let mut expected = BTreeMap::from([(0, "more\n".to_owned())]);
        if let Some(text) = successor {
            fs::write(&path, text).unwrap();
            expected.insert(1, text.to_owned());
        }
        assert_eq!(settle(&mut followed, &mut now), expected);
    }
}

#[test]
fn a_file_that_vanishes_before_it_is_opened_again_breaks_off() {
    let (folder, mut followed, mut now) = closed_while_it_grows("a.log");
    let path = folder.path().join("a.log");
    // Made before the other goes, so that it does not get its inode.
    fs::write(folder.path().join("new"), "second\n").unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    let brought = settle(&mut followed, &mut now);
    assert!(brought[&0].ends_with("a.log vanished; what was added to it after byte 6 was not read"), "{brought:?}");
    assert_eq!(brought[&1], "second\n");
    assert_eq!(followed.forget(), [0]);
}
