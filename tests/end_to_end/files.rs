//! Stories of files: packed, cut, empty, absent, vanishing, and a disk that is full.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use flate2::write::GzEncoder;
use wasmill_tests::process::{Ended, Folder, Running, binary, ended, in_setting, until, wasmill};

/// A pipeline from files to a folder.
fn copy(path: &str) -> String {
    format!(
        "name: copy
sources:
  rows: {{ file: {{ path: {path} }}, format: {{ ndjson: {{ columns: {{ n: int64 }} }} }} }}
sinks:
  out: {{ from: rows, file: {{ path: out/ }} }}
dead_letters: {{ file: {{ path: dead/ }} }}
"
    )
}

fn lines(count: usize) -> String {
    // Noise, so that a packed file is long enough to be cut in its midst.
    let noise = |n: usize| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..count).map(|n| format!("{{\"n\":{n},\"noise\":\"{:016x}{:016x}\"}}\n", noise(n), noise(n + 7))).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

#[test]
fn packed_files_are_read_whatever_they_are_called() {
    let text = lines(10_000);
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    for (name, bytes) in [("a.gz", gzip(&text)), ("b.zst", zstd.clone()), ("c.ndjson", gzip(&text)), ("d.ndjson", zstd)]
    {
        let folder = Folder::with(&copy(name));
        folder.write(name, bytes);
        let report = folder.run().report();
        assert_eq!(report["rows_out"], 10_000, "{name}");
        assert!(folder.visible("out") == text, "{name} comes out as it went in");
    }
}

#[test]
fn of_a_gzip_that_is_cut_in_half_all_comes_out_that_is_whole_and_the_cut_is_told() {
    let text = lines(10_000);
    let packed = gzip(&text);
    let folder = Folder::with(&copy("half.gz"));
    folder.write("half.gz", &packed[..packed.len() / 2]);
    let report = folder.run().report();
    let out = folder.visible("out");
    let rows = out.lines().count();
    assert!(rows > 1_000 && text.starts_with(&out) && out.ends_with('\n'), "{rows} rows");
    let letters = folder.rows("dead");
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0]["offset"], &letters[0]["line"]), (&out.len().into(), &(rows + 1).into()));
    let reason = letters[0]["reason"].as_str().unwrap();
    let at = format!("at byte {}, which is byte", packed.len() / 2);
    assert!(reason.contains("half.gz is cut short") && reason.contains(&at), "{reason}");
    let rest = letters[0]["record"].as_str().unwrap();
    assert!(text[out.len()..].starts_with(rest), "the broken record as far as it goes: {rest}");
    assert_eq!(report["dead_letters"], 1);
}

#[test]
fn an_empty_file_is_no_error_and_makes_no_file() {
    for bytes in [Vec::new(), gzip("")] {
        let folder = Folder::with(&copy("in.ndjson"));
        folder.write("in.ndjson", bytes);
        assert_eq!(folder.run().report()["records_in"], 0);
        assert!(folder.names("out").is_empty() && folder.names("dead").is_empty());
    }
}

#[test]
fn a_path_that_no_file_matches_is_told_with_the_folder_that_was_searched() {
    let folder = Folder::with(&copy("\"in/*.ndjson\""));
    let place = folder.path().display().to_string();
    folder.run().with_code(1).says(&["source rows", "no file matches `in/*.ndjson` in ", &place, "correct `path`"]);
}

#[test]
fn a_file_that_vanishes_while_the_ones_before_it_are_read_is_named() {
    let text = copy("\"*.ndjson\"").replace("file: { path: out/ }", "stdout: {}");
    let folder = Folder::with(&text);
    // More than fits between the file and a reader of the output who does not read on.
    folder.write("a.ndjson", lines(600_000));
    let gone = folder.write("b.ndjson", lines(1));
    let running = folder.start(&[]);
    running.line();
    fs::remove_file(gone).unwrap();
    let ended = running.end().with_code(1).says(&["b.ndjson has vanished since it was listed; put it back"]);
    assert!(ended.stdout.lines().count() < 600_000, "the first line was taken before");
}

/// Runs a pipeline where no file may have more than 512 blocks, which is how a disk without room looks to a writer.
fn run_without_room(folder: &Folder) -> Ended {
    let script = "trap '' XFSZ; ulimit -f 512; exec \"$0\" run pipeline.yaml";
    ended(in_setting(&mut Command::new("sh"), folder.path()).args(["-c", script]).arg(binary()))
}

#[test]
fn a_disk_that_takes_no_more_is_told_with_the_path_and_leaves_nothing_half() {
    let folder = Folder::with(&copy("in.ndjson"));
    folder.write("in.ndjson", lines(100_000));
    let said =
        ["pipeline copy stopped: out: out/part-00000.ndjson cannot be written", "make room or choose another `path`"];
    run_without_room(&folder).with_code(1).says(&said);
    assert!(folder.names("out").is_empty(), "{:?}", folder.names("out"));
    assert_eq!(folder.run().report()["rows_out"], 100_000, "with room it runs");
}

/// A command that has, in namespaces of its own, a disk of a megabyte where the results go, and does that.
fn on_a_small_disk(folder: &Folder, what: &str) -> Ended {
    let script = format!("mount -t tmpfs -o size=1m tmpfs out && {what}");
    let mut command = Command::new("unshare");
    in_setting(&mut command, folder.path()).args(["-rm", "sh", "-c", &script]).arg(binary());
    ended(&mut command)
}

#[test]
fn a_disk_that_is_really_full_is_told_with_the_path_and_leaves_nothing_half() {
    let folder = Folder::with(&copy("in.ndjson"));
    folder.write("in.ndjson", lines(100_000));
    fs::create_dir(folder.path().join("out")).unwrap();
    if on_a_small_disk(&folder, "true").code != Some(0) {
        assert!(std::env::var_os("CI").is_none(), "a file system can be mounted where nothing may be skipped");
        return println!("skipped: this user may not mount a file system; a limit on files stands in for it");
    }
    // What is left is looked at before the disk is gone with its namespace.
    let ran = on_a_small_disk(&folder, "\"$0\" run pipeline.yaml; code=$?; ls -A out; exit $code");
    let ran = ran.with_code(1).says(&["out/part-00000.ndjson cannot be written: No space left on device", "make room"]);
    assert_eq!(ran.stdout, "", "nothing is left");
}

#[test]
fn a_standard_output_that_is_full_is_told() {
    let folder = Folder::with(&copy("in.ndjson").replace("file: { path: out/ }", "stdout: {}"));
    folder.write("in.ndjson", lines(10));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = wasmill(folder.path(), &["run", "pipeline.yaml"]);
    let output = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("stdout cannot be written: No space left on device"), "{said}");
}

#[test]
fn a_run_that_is_killed_leaves_nothing_half_and_the_next_one_cleans_up() {
    let text = copy("-").replace("file: { path: - }", "stdin: {}");
    let folder = Folder::with(&text);
    let all = lines(200_000);
    let mut running: Running = folder.start(&["--commit-every", "3600"]);
    running.stdin.as_mut().unwrap().write_all(all.as_bytes()).unwrap();
    let written = |name: &str| fs::metadata(folder.path().join("out").join(name)).map_or(0, |file| file.len());
    until("rows are written aside", || folder.names("out").iter().any(|name| written(name) > 0));
    running.kill();
    let left = folder.names("out");
    assert!(!left.is_empty() && left.iter().all(|name| name.starts_with('.')), "{left:?}");

    let mut again = folder.start(&[]);
    again.stdin.as_mut().unwrap().write_all(all.as_bytes()).unwrap();
    assert_eq!(again.end().report()["rows_out"], 200_000);
    assert!(folder.visible("out") == all);
    assert!(folder.names("out").iter().all(|name| !name.starts_with('.')), "{:?}", folder.names("out"));
}
