//! Stories of the file source: what it refuses, what it survives, what it follows.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::kit::source_context;
use crate::kit::sources::{Reading, Step};
use serde_json::{Value, json};
use tempfile::TempDir;
use wasmill_connectors::ConnectorError;
use wasmill_engine::source::{Position, SourceReader};

fn try_open(config: Value, base: &Path) -> Result<Box<dyn SourceReader>, ConnectorError> {
    wasmill_connectors::source("file", &config, &source_context(base))
}

fn open(config: Value, base: &Path) -> Reading {
    Reading::new(try_open(config, base).unwrap())
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
    folder
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    file.write_all(bytes).unwrap();
    file.finish().unwrap()
}

/// Bytes that do not compress, so that half of the file is half of its contents.
fn noise(count: usize) -> Vec<u8> {
    let mut numbers = crate::kit::Numbers(1);
    (0..count).map(|_| numbers.next(256) as u8).collect()
}

fn position(partition: &str, offset: u64) -> Position {
    Position { partition: partition.into(), offset, line: 0 }
}

#[test]
fn a_gzip_cut_in_half_breaks_off_with_its_offsets_and_the_next_file_is_read() {
    let whole = gzip(&noise(300_000));
    let folder = folder(&[("a.gz", &whole[..150_000]), ("b", b"next\n")]);
    let mut reading = open(json!({ "path": "*" }), folder.path());
    reading.drain(|| 10_000);
    let all = reading.by_name();
    let good = &all["a.gz"].bytes;
    assert!(good.len() > 140_000 && noise(300_000).starts_with(good), "{} good bytes came", good.len());
    let reason = all["a.gz"].end.clone().unwrap();
    let expected = format!("a.gz is cut short, at byte 150000, which is byte {} unpacked", good.len());
    assert!(reason.ends_with(&expected), "{reason}");
    assert_eq!(all["b"].bytes, b"next\n");
}

#[test]
fn a_damaged_gzip_or_zstd_breaks_off_and_says_so() {
    let mut gz = gzip(&noise(100_000));
    gz[50_000..50_100].fill(0x55);
    let mut zst = zstd::encode_all(&noise(100_000)[..], 3).unwrap();
    zst.truncate(60_000);
    let folder = folder(&[("a.gz", &gz), ("b.zst", &zst), ("c.gz", b"{\"not\":\"packed\"}\n")]);
    let mut reading = open(json!({ "path": ["a.gz", "b.zst", "c.gz"] }), folder.path());
    reading.drain(|| 100_000);
    let reason = |name: &str| reading.by_name()[name].end.clone().unwrap();
    assert!(reason("a.gz").contains("a.gz cannot be unpacked: "), "{}", reason("a.gz"));
    assert!(reason("b.zst").contains("b.zst is cut short, at byte 60000"), "{}", reason("b.zst"));
    let begins =
        "c.gz does not begin as a `.gz` file does, but with `{\"not\":\"packed\"}`; take that ending off its name";
    assert!(reason("c.gz").contains(begins), "{}", reason("c.gz"));
}

#[test]
fn what_its_name_says_is_packed_as_nothing_that_is_read_is_refused_and_not_read_as_text() {
    let packed = b"BZh91AY&SY".as_slice();
    for (name, bytes) in
        [("x.ndjson.bz2", packed), ("x.xz", b"text\n"), ("x.lz4", b"\x04\x22\x4d\x18"), ("x.BR", b"\n")]
    {
        let folder = folder(&[(name, bytes), ("y.ndjson", b"1\n")]);
        let ending = name.rsplit('.').next().unwrap().to_lowercase();
        let said = format!("{name} ends in `.{ending}`, a compression that there is not; there are `.gz` and `.zst`");
        for path in [name, "*"] {
            let error = try_open(json!({ "path": path }), folder.path()).err().unwrap();
            assert_eq!(error.path(), "path");
            assert!(error.to_string().contains(&said) && error.to_string().contains("unpack it"), "{error}");
        }
        // One that is followed may come at any time: it stops no other.
        let mut reading = open(json!({ "path": "*", "follow": true }), folder.path());
        settle(&mut reading, LOOK);
        let (of_it, of_other) = (&reading.by_name()[name], &reading.by_name()["y.ndjson"]);
        assert!(of_it.bytes.is_empty() && of_it.end.as_ref().unwrap().contains(&said), "{:?}", of_it.end);
        assert_eq!(of_other.bytes, b"1\n");
    }
    let folder = folder(&[("x.bz2", &gzip(b"1\n")), ("y.xz", b"")]);
    let mut reading = open(json!({ "path": "*" }), folder.path());
    reading.drain(|| 10);
    assert_eq!(reading.by_name()["x.bz2"].bytes, b"1\n", "what it begins with counts for more than its name");
}

#[test]
fn packed_files_are_known_by_their_first_bytes_whatever_their_name() {
    let folder = folder(&[("a.ndjson", &gzip(b"x\n"))]);
    let mut reading = open(json!({ "path": "a.ndjson" }), folder.path());
    reading.drain(|| 10);
    assert_eq!(reading.by_name()["a.ndjson"].bytes, b"x\n");
}

#[test]
fn files_come_in_order_of_the_list_then_of_their_names_and_none_twice() {
    let folder = folder(&[("b1", b"1"), ("b2", b"2"), ("a3", b"3"), ("x[1]", b"4"), (".b3", b"hidden")]);
    let mut reading = open(json!({ "path": ["b*", "*3", "b1", "x[1]"] }), folder.path());
    reading.drain(|| 10);
    let names: Vec<_> = (0..4).map(|number| reading.reader.partition(number).to_string()).collect();
    assert_eq!(names, ["b1", "b2", "a3", "x[1]"]);
    assert_eq!(reading.reader.progress(), Some((4, 4)));
}

#[test]
fn a_pattern_that_matches_nothing_is_refused_with_the_pattern_and_the_folder() {
    let folder = folder(&[]);
    for path in ["in/*.ndjson", "nothing.ndjson"] {
        let error = try_open(json!({ "path": path }), folder.path()).err().unwrap();
        assert_eq!(error.path(), "path");
        let expected = format!("file: no file matches `{path}` in {}; correct `path`", folder.path().display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn names_that_are_no_text_stop_nobody_and_those_that_match_are_read_each_as_its_own_partition() {
    let folder = folder(&[("a.log", b"a\n")]);
    for (name, bytes) in
        [(&b"\xff"[..], "no match\n"), (b"\xff.log", "ff\n"), (b"\xfe.log", "fe\n"), (b".\xff.log", "x\n")]
    {
        fs::write(folder.path().join(OsStr::from_bytes(name)), bytes).unwrap();
    }
    fs::create_dir(folder.path().join(OsStr::from_bytes(b"\xfd"))).unwrap();
    fs::write(folder.path().join(OsStr::from_bytes(b"\xfd/b.log")), "b\n").unwrap();
    let expected = [("\\xfd/b.log", "b\n"), ("\\xfe.log", "fe\n"), ("\\xff.log", "ff\n"), ("a.log", "a\n")];
    for follow in [false, true] {
        let mut reading = open(json!({ "path": ["*.log", "*/*.log"], "follow": follow }), folder.path());
        (0..expected.len()).for_each(|_| while !matches!(reading.next(9), Step::Some(_)) {});
        let all = reading.by_name();
        let brought: Vec<_> = all.iter().map(|(name, it)| (&**name, str::from_utf8(&it.bytes).unwrap())).collect();
        assert_eq!(brought, expected, "follow: {follow}");
    }
}

#[test]
fn a_file_that_vanishes_before_it_is_opened_fails_the_source_with_its_name() {
    let folder = folder(&[("a", b"1"), ("b", b"2")]);
    let mut reading = open(json!({ "path": "?" }), folder.path());
    fs::remove_file(folder.path().join("b")).unwrap();
    assert_eq!([reading.next(9), reading.next(9)], [Step::Some(0), Step::End(0)]);
    let error = reading.step(9).unwrap_err();
    assert!(error.message.contains("/b has vanished since it was listed; put it back"), "{error}");
    fs::write(folder.path().join("b"), "2").unwrap();
    assert_eq!(reading.next(9), Step::Some(1), "once it is back the source goes on");
}

#[test]
fn a_folder_and_a_pipe_are_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    let error = try_open(json!({ "path": "in" }), folder.path()).err().unwrap().to_string();
    assert!(error.contains("in is a folder; name the files in it, like `"), "{error}");
    let mut reading = open(json!({ "path": "/dev/null" }), Path::new(""));
    let error = reading.step(9).unwrap_err();
    assert!(error.message.contains("use the `stdin` source"), "{error}");
}

#[test]
fn the_first_bytes_of_a_file_can_be_had_wherever_it_is_read() {
    let folder = folder(&[("a", b"head,er\n1,2\n"), ("b.gz", &gzip(b"head,er\n3,4\n"))]);
    for follow in [false, true] {
        let mut reading = open(json!({ "path": "*", "follow": follow }), folder.path());
        reading.reader.seek(&[position("a", 8), position("b.gz", 8)]).unwrap();
        while !matches!(reading.next(9), Step::Some(_)) {}
        for number in [0, 1].into_iter().take(if follow { 1 } else { 2 }) {
            for (max, first) in [(8, "head,er\n"), (4, "head")] {
                let mut bytes = Vec::new();
                reading.reader.beginning(number, max, &mut bytes).unwrap();
                assert_eq!(bytes, first.as_bytes());
            }
        }
    }
}

#[test]
fn a_file_that_is_shorter_than_its_position_is_refused() {
    let packed = gzip(b"12345");
    let folder = folder(&[("a", b"12345"), ("b.gz", &packed)]);
    let error = open(json!({ "path": "a" }), folder.path()).reader.seek(&[position("a", 6)]).unwrap_err();
    assert!(error.message.contains("a ends at byte 5, but was read up to byte 6 before"), "{error}");
    let mut reading = open(json!({ "path": "b.gz" }), folder.path());
    reading.reader.seek(&[position("b.gz", 6)]).unwrap();
    let error = (0..9).find_map(|_| reading.step(9).err()).unwrap();
    assert!(error.message.contains("b.gz ends at byte 5, but was read up to byte 6 before"), "{error}");
    let error = open(json!({ "path": "a" }), folder.path()).reader.seek(&[position("c", 1)]).unwrap_err();
    assert!(error.message.starts_with("c was read up to byte 1 before and is not there any more"), "{error}");
}

/// Reads until idle, then lets that much of the clock pass.
fn settle(reading: &mut Reading, micros: i64) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        match reading.step(1_000).unwrap() {
            Step::Idle(until) => {
                let wait = until.unwrap() - reading.now;
                assert!(
                    (0..=250_000).contains(&wait),
                    "a followed file is looked at again within 250 ms, not {wait} us"
                );
                if wait > 0 {
                    break;
                }
            }
            step => steps.push(step),
        }
    }
    reading.now += micros;
    steps
}

const LOOK: i64 = 250_000;
const SETTLED: i64 = 6_000_000;

#[test]
fn what_is_appended_to_a_followed_file_is_read_and_nothing_else() {
    let folder = folder(&[("a.log", b"one\n")]);
    let path = folder.path().join("a.log");
    let mut reading = open(json!({ "path": "*.log", "follow": true }), folder.path());
    assert_eq!(settle(&mut reading, LOOK), [Step::Some(0)]);
    assert_eq!(settle(&mut reading, LOOK), []);
    append(&path, b"tw");
    assert_eq!(settle(&mut reading, LOOK), [Step::Some(0)]);
    append(&path, b"o\n");
    append(&folder.path().join("b.log"), b"three\n");
    append(&folder.path().join("c.txt"), b"no match\n");
    assert_eq!(settle(&mut reading, LOOK), [Step::Some(0), Step::Some(1)]);
    let all = reading.by_name();
    assert_eq!((&all["a.log"].bytes[..], &all["b.log"].bytes[..]), (&b"one\ntwo\n"[..], &b"three\n"[..]));
    assert_eq!(reading.reader.progress(), None, "what grows has no end to count to");
}

#[test]
fn what_followed_files_have_still_to_be_read_is_known_as_of_the_last_look() {
    let folder = folder(&[("a.log", b"one\ntwo\n"), ("b.log", b"three\n")]);
    let mut reading = open(json!({ "path": "*.log", "follow": true }), folder.path());
    assert_eq!(reading.step(4), Ok(Step::Some(0)));
    assert_eq!(reading.reader.behind(reading.now), Some(10));
    settle(&mut reading, LOOK);
    assert_eq!(reading.reader.behind(reading.now), Some(0));
    append(&folder.path().join("a.log"), b"more\n");
    reading.now += LOOK;
    while reading.step(2) != Ok(Step::Some(0)) {}
    assert_eq!(reading.reader.behind(reading.now), Some(3));
}

#[test]
fn following_may_begin_before_there_is_any_file_and_goes_on_after_a_restart() {
    let folder = folder(&[]);
    let config = json!({ "path": "in/*.log", "follow": true });
    let mut reading = open(config.clone(), folder.path());
    assert_eq!(settle(&mut reading, LOOK), []);
    fs::create_dir(folder.path().join("in")).unwrap();
    append(&folder.path().join("in/a.log"), b"");
    assert_eq!(settle(&mut reading, LOOK), [], "an empty file may still grow");
    append(&folder.path().join("in/a.log"), b"one\n");
    assert_eq!(settle(&mut reading, LOOK), [Step::Some(0)]);
    let mut again = open(config, folder.path());
    again.reader.seek(&reading.positions()).unwrap();
    append(&folder.path().join("in/a.log"), b"two\n");
    settle(&mut again, LOOK);
    assert_eq!(again.by_name()["in/a.log"].bytes, b"two\n");
    assert_eq!(again.reader.start(0), position("in/a.log", 4));
}

#[test]
fn a_rotated_file_is_read_to_its_end_and_its_successor_from_the_start() {
    for pattern in ["a.log", "a.log*"] {
        let folder = folder(&[("a.log", b"one\n")]);
        let (path, rotated) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        let mut reading = open(json!({ "path": pattern, "follow": true }), folder.path());
        settle(&mut reading, LOOK);
        append(&path, b"two\n");
        fs::rename(&path, &rotated).unwrap();
        append(&path, b"three\n");
        settle(&mut reading, LOOK);
        append(&rotated, b"late\n");
        settle(&mut reading, LOOK);
        settle(&mut reading, SETTLED);
        settle(&mut reading, LOOK);
        assert_eq!(reading.brought[&0].bytes, b"one\ntwo\nlate\n", "{pattern}");
        assert_eq!(reading.brought[&1].bytes, b"three\n", "{pattern}");
        assert_eq!(reading.brought.len(), 2, "no file is read twice: {pattern}");
        assert_eq!(&*reading.reader.partition(1), "a.log");
    }
}

#[test]
fn a_file_that_is_cut_while_it_is_followed_breaks_off_and_begins_again() {
    let folder = folder(&[("a.log", b"one\ntwo\nhalf a li")]);
    let mut reading = open(json!({ "path": "a.log", "follow": true }), folder.path());
    settle(&mut reading, LOOK);
    fs::write(folder.path().join("a.log"), "new\n").unwrap();
    let steps = settle(&mut reading, LOOK);
    let Step::Broken(0, reason) = &steps[0] else { panic!("it breaks off first: {steps:?}") };
    assert!(
        reason.ends_with("a.log was cut to 4 bytes when 17 had been read; it is read again from its start"),
        "{reason}"
    );
    assert_eq!(reading.brought[&1].bytes, b"new\n");
    settle(&mut reading, LOOK);
    assert_eq!(reading.brought.len(), 2);
}

#[test]
fn a_file_that_is_cut_again_and_again_is_one_partition_for_whoever_goes_on() {
    let folder = folder(&[]);
    let path = folder.path().join("a.log");
    let config = json!({ "path": "a.log", "follow": true });
    let mut reading = open(config.clone(), folder.path());
    for number in 0..5 {
        append(&path, b"line\n");
        assert_eq!(settle(&mut reading, LOOK), [Step::Some(number)]);
        fs::write(&path, "").unwrap();
        assert!(matches!(settle(&mut reading, LOOK)[..], [Step::Broken(broken, _)] if broken == number));
        assert!(reading.reader.forget().is_empty(), "its end may not be committed before it is known");
        assert_eq!(settle(&mut reading, LOOK), []);
        assert_eq!(reading.reader.forget(), [number], "its number is told once");
    }
    append(&path, b"last\n");
    assert_eq!(settle(&mut reading, LOOK), [Step::Some(5)]);
    let at = Position { offset: 5, ..reading.reader.start(5) };
    let mut again = open(config, folder.path());
    again.reader.seek(&[at]).unwrap();
    append(&path, b"more\n");
    assert_eq!(settle(&mut again, LOOK), [Step::Some(0)]);
    assert_eq!(again.brought[&0].bytes, b"more\n");
}

#[test]
fn of_positions_with_one_name_the_last_is_gone_on_from_though_it_is_the_beginning() {
    let folder = folder(&[("a.log", b"half a line of the new fi")]);
    let mut reading = open(json!({ "path": "a.log", "follow": true }), folder.path());
    reading.reader.seek(&[position("a.log", 17), position("a.log", 0)]).unwrap();
    assert_eq!(settle(&mut reading, LOOK), [Step::Some(0)]);
    assert_eq!(reading.brought[&0].bytes, b"half a line of the new fi");
}

#[test]
fn a_file_that_has_the_inode_of_one_that_was_never_read_is_read() {
    let folder = folder(&[("a.log", b"")]);
    let path = |name: &str| folder.path().join(name);
    fs::hard_link(path("a.log"), path("same inode")).unwrap();
    let mut reading = open(json!({ "path": "*.log", "follow": true }), folder.path());
    assert_eq!(settle(&mut reading, LOOK), []);
    fs::remove_file(path("a.log")).unwrap();
    assert_eq!(settle(&mut reading, LOOK), []);
    fs::rename(path("same inode"), path("b.log")).unwrap();
    append(&path("b.log"), b"one\n");
    assert_eq!(settle(&mut reading, LOOK), [Step::Some(1)]);
    assert_eq!(reading.by_name()["b.log"].bytes, b"one\n");
}

#[test]
fn a_deleted_file_ends_and_one_of_its_name_is_new() {
    let folder = folder(&[("a.log", b"one\n")]);
    let path = folder.path().join("a.log");
    let mut reading = open(json!({ "path": "a.log", "follow": true }), folder.path());
    settle(&mut reading, LOOK);
    append(&path, b"last\n");
    fs::remove_file(&path).unwrap();
    assert_eq!(settle(&mut reading, SETTLED), [Step::Some(0)], "what was added before it went is read");
    assert_eq!(settle(&mut reading, LOOK), [Step::End(0)]);
    settle(&mut reading, LOOK);
    append(&path, b"new\n");
    assert_eq!(settle(&mut reading, LOOK), [Step::Some(1)]);
    assert_eq!((&reading.brought[&0].bytes[..], &reading.brought[&1].bytes[..]), (&b"one\nlast\n"[..], &b"new\n"[..]));
}

#[test]
fn files_that_are_gone_are_forgotten_once_they_were_read_to_their_end() {
    let folder = folder(&[]);
    let path = folder.path().join("a.log");
    let mut reading = open(json!({ "path": "a.log", "follow": true }), folder.path());
    for number in 0..5 {
        append(&path, b"line\n");
        settle(&mut reading, LOOK);
        assert!(reading.reader.forget().is_empty());
        fs::remove_file(&path).unwrap();
        settle(&mut reading, SETTLED);
        assert_eq!(settle(&mut reading, LOOK), [Step::End(number)]);
        settle(&mut reading, LOOK);
        assert_eq!(reading.reader.forget(), [number], "its number is told once");
    }
    append(&path, b"last\n");
    assert_eq!(settle(&mut reading, LOOK), [Step::Some(5)], "the others are followed on");
}

#[test]
fn a_packed_file_is_followed_only_when_it_is_whole() {
    let whole = gzip(&noise(50_000));
    let folder = folder(&[("a.gz", &whole[..20_000])]);
    let mut reading = open(json!({ "path": "*.gz", "follow": true }), folder.path());
    assert_eq!(settle(&mut reading, 4_000_000), []);
    append(&folder.path().join("a.gz"), &whole[20_000..]);
    assert_eq!(settle(&mut reading, 4_000_000), [], "it has grown, so it may grow on");
    assert_eq!(settle(&mut reading, 2_000_000), []);
    let steps = settle(&mut reading, LOOK);
    assert_eq!(steps.last(), Some(&Step::End(0)));
    assert_eq!(reading.brought[&0].bytes, noise(50_000));
    assert_eq!(settle(&mut reading, LOOK), [], "and it is read once");
}

#[test]
fn a_file_that_grows_without_end_does_not_starve_the_others() {
    let folder = folder(&[("b.log", b"small\n")]);
    fs::File::create(folder.path().join("a.log")).unwrap().set_len(1 << 30).unwrap();
    let mut reading = open(json!({ "path": "*.log", "follow": true }), folder.path());
    let turns = (0..40).map(|_| reading.next(1 << 20)).position(|step| step == Step::Some(1));
    assert!(turns.is_some(), "within 40 MiB the other file has its turn");
}
