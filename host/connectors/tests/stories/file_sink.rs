//! Stories of the file sink: what it refuses, how it names, what a full disk does.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::kit::sink_context;
use crate::kit::sinks::{commit, prepare, write};
use serde_json::{Value, json};
use wasmill_engine::sink::{Progress, SinkWriter};

fn open(config: Value, base: &Path) -> Box<dyn SinkWriter> {
    wasmill_connectors::sink("file", &config, &sink_context(base)).unwrap()
}

/// All names below `folder`, hidden ones too, with contents.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

fn epoch(sink: &mut dyn SinkWriter, epoch: u64, lines: &[&str]) {
    write(sink, lines).unwrap();
    prepare(sink, epoch).unwrap();
    commit(sink, epoch).unwrap();
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
}

#[test]
fn a_folder_gets_a_part_an_epoch_and_a_new_part_when_one_is_full() {
    let base = tempfile::tempdir().unwrap();
    let mut sink = open(json!({ "path": "a/b/", "max_bytes": 4 }), base.path());
    assert!(sink.place().ends_with("/a/b/"), "{}", sink.place());
    sink.recover(None).unwrap();
    write(&mut *sink, &["1"]).unwrap();
    write(&mut *sink, &["2"]).unwrap();
    epoch(&mut *sink, 1, &["3"]);
    prepare(&mut *sink, 2).unwrap();
    commit(&mut *sink, 2).unwrap();
    epoch(&mut *sink, 3, &["4"]);
    drop(sink);
    let expected = [("part-00000.ndjson", "1\n2\n"), ("part-00001.ndjson", "3\n"), ("part-00002.ndjson", "4\n")];
    assert_eq!(files(&base.path().join("a/b")), owned(&expected));
}

#[test]
fn a_run_without_rows_makes_no_file() {
    let base = tempfile::tempdir().unwrap();
    for path in ["out/", "out.ndjson"] {
        let mut sink = open(json!({ "path": path }), base.path());
        sink.recover(None).unwrap();
        prepare(&mut *sink, 1).unwrap();
        commit(&mut *sink, 1).unwrap();
    }
    assert_eq!((files(base.path()), files(&base.path().join("out"))), (vec![], vec![]));
}

#[test]
fn a_file_that_exists_is_refused_unless_it_may_be_overwritten() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("out.ndjson"), "old\n").unwrap();
    let error = open(json!({ "path": "out.ndjson" }), base.path()).recover(None).unwrap_err();
    assert!(
        error.message.ends_with("out.ndjson exists; remove it, choose another `path`, or set `overwrite: true`"),
        "{error}"
    );
    let mut sink = open(json!({ "path": "out.ndjson", "overwrite": true }), base.path());
    sink.recover(None).unwrap();
    write(&mut *sink, &["new"]).unwrap();
    prepare(&mut *sink, 1).unwrap();
    assert_eq!(fs::read_to_string(base.path().join("out.ndjson")).unwrap(), "old\n", "until then it stays");
    commit(&mut *sink, 1).unwrap();
    epoch(&mut *sink, 2, &["newer"]);
    drop(sink);
    assert_eq!(files(base.path()), owned(&[("out.ndjson", "new\nnewer\n")]));
}

#[test]
fn a_folder_with_results_is_added_to_unless_it_may_be_overwritten() {
    let base = tempfile::tempdir().unwrap();
    for (overwrite, expected) in [
        (false, owned(&[("part-00000.ndjson", "1\n"), ("part-00001.ndjson", "1\n")])),
        (true, owned(&[("part-00000.ndjson", "1\n")])),
    ] {
        fs::create_dir_all(base.path().join("out")).unwrap();
        fs::write(base.path().join("out/notes.txt"), "mine").unwrap();
        for _ in 0..2 {
            let mut sink = open(json!({ "path": "out/", "overwrite": overwrite }), base.path());
            sink.recover(None).unwrap();
            epoch(&mut *sink, 1, &["1"]);
        }
        let others = owned(&[("notes.txt", "mine")]);
        assert_eq!(files(&base.path().join("out")), [others, expected].concat(), "what is not ours stays");
        fs::remove_dir_all(base.path().join("out")).unwrap();
    }
}

#[test]
fn a_part_that_grows_past_five_digits_keeps_its_order() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("out")).unwrap();
    fs::write(base.path().join("out/part-99999.ndjson"), "").unwrap();
    let mut sink = open(json!({ "path": "out/" }), base.path());
    sink.recover(None).unwrap();
    epoch(&mut *sink, 1, &["1"]);
    assert_eq!(fs::read_to_string(base.path().join("out/part-100000.ndjson")).unwrap(), "1\n");
}

#[test]
fn two_sinks_on_one_path_are_found_out() {
    for (path, name) in [("out/", "out/part-00000.ndjson"), ("out.ndjson", "out.ndjson")] {
        for (first, rows_aside) in [(0, false), (0, true), (1, false), (1, true)] {
            let base = tempfile::tempdir().unwrap();
            let mut sinks = [0, 1].map(|_| open(json!({ "path": path }), base.path()));
            sinks[first].recover(None).unwrap();
            if rows_aside {
                write(&mut *sinks[first], &["1"]).unwrap();
            }
            let error = sinks[1 - first].recover(None).unwrap_err();
            let said = format!("{path}: another sink writes to the same `path`");
            assert!(error.message.contains(&said) && error.message.contains("give each its own"), "{error}");
            assert!(!error.retriable, "{error}");
            if !rows_aside {
                write(&mut *sinks[first], &["1"]).unwrap();
            }
            prepare(&mut *sinks[first], 1).unwrap();
            assert_eq!(sinks[1 - first].recover(None), Err(error), "what it prepared is not for others either");
            commit(&mut *sinks[first], 1).unwrap();
            drop(sinks);
            assert_eq!(fs::read_to_string(base.path().join(name)).unwrap(), "1\n", "the rows of the first, and whole");
            let (folder, name) = name.split_once('/').unwrap_or(("", name));
            assert_eq!(files(&base.path().join(folder)), owned(&[(name, "1\n")]), "and nothing hidden beside them");
            open(json!({ "path": path, "overwrite": true }), base.path()).recover(None).unwrap();
        }
    }
}

#[test]
fn sinks_of_several_formats_and_single_files_share_a_folder() {
    let base = tempfile::tempdir().unwrap();
    let folder = |extension: &str, config: Value| {
        let mut context = sink_context(base.path());
        context.extension = extension.into();
        wasmill_connectors::sink("file", &config, &context).unwrap()
    };
    let mut sinks = [
        folder("ndjson", json!({ "path": "out/" })),
        folder("csv", json!({ "path": "out/" })),
        folder("csv", json!({ "path": "out/", "compression": "gzip" })),
        folder("csv", json!({ "path": "out/rows.csv" })),
        folder("log", json!({ "path": "out/part-00000.log" })),
        folder("log", json!({ "path": "out/part-00001.log" })),
    ];
    sinks.iter_mut().for_each(|sink| assert_eq!(sink.recover(None), Ok(None)));
    let error = folder("log", json!({ "path": "out/" })).recover(None).unwrap_err();
    assert!(error.message.contains("another sink writes to the same `path`"), "its parts have names of files: {error}");
    sinks.iter_mut().for_each(|sink| epoch(&mut **sink, 1, &["1"]));
    drop(sinks);
    let names = fs::read_dir(base.path().join("out")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(
        names,
        ["part-00000.csv", "part-00000.csv.gz", "part-00000.log", "part-00000.ndjson", "part-00001.log", "rows.csv"]
    );
}

#[test]
fn what_a_killed_append_left_is_no_matter_once_its_file_is_removed() {
    let base = tempfile::tempdir().unwrap();
    let left = base.path().join(".out.ndjson.3.append-at-20.tmp");
    fs::write(&left, "1\n").unwrap();
    let mut sink = open(json!({ "path": "out.ndjson" }), base.path());
    sink.recover(None).unwrap();
    epoch(&mut *sink, 1, &["2"]);
    drop(sink);
    assert_eq!(files(base.path()), owned(&[("out.ndjson", "2\n")]));

    fs::write(&left, "1\n").unwrap();
    let error = open(json!({ "path": "out.ndjson" }), base.path()).recover(None).unwrap_err();
    assert!(error.message.contains(".out.ndjson.3.append-at-20.tmp"), "{error}");
    assert_eq!(fs::read_to_string(base.path().join("out.ndjson")).unwrap(), "2\n", "it was made longer by nothing");
}

#[test]
fn an_epoch_of_many_parts_has_one_of_them_open() {
    let base = tempfile::tempdir().unwrap();
    let mut sink = open(json!({ "path": "out/", "max_bytes": 1 }), base.path());
    sink.recover(None).unwrap();
    for _ in 0..100 {
        write(&mut *sink, &["1"]).unwrap();
        let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        let open: Vec<_> = open.filter(|path| path.starts_with(base.path())).collect();
        assert!(open.len() <= 2, "a part, and the lock: {open:?}");
    }
    prepare(&mut *sink, 1).unwrap();
    commit(&mut *sink, 1).unwrap();
    drop(sink);
    let written = files(&base.path().join("out"));
    assert!(written.len() == 100 && written.iter().all(|(_, text)| text == "1\n"), "{written:?}");
}

#[test]
fn a_commit_that_takes_long_holds_nobody_up() {
    let base = tempfile::tempdir().unwrap();
    let mut sink = open(json!({ "path": "out.ndjson" }), base.path());
    sink.recover(None).unwrap();
    epoch(&mut *sink, 1, &["1"]);
    write(&mut *sink, &["2"]).unwrap();
    prepare(&mut *sink, 2).unwrap();
    // In the place of its rows a pipe: who opens it waits for somebody who writes.
    let (pipe, rows) = (base.path().join("pipe"), base.path().join(".out.ndjson.2.append.tmp"));
    fifo(&pipe);
    fs::remove_file(&rows).unwrap();
    fs::hard_link(&pipe, &rows).unwrap();
    let (come_back, came_back) = channel::<()>();
    let writer = thread::spawn(move || {
        // One that does wait is let go in the end, to fail and not to hang.
        came_back.recv_timeout(Duration::from_secs(20)).expect_err("nothing is sent");
        fs::OpenOptions::new().write(true).open(pipe).unwrap().write_all(b"2\n").unwrap();
    });
    let first = sink.commit(2);
    drop(come_back);
    writer.join().unwrap();
    assert_eq!(first, Ok(Progress::Pending { until: None }));
    commit(&mut *sink, 2).unwrap();
    assert_eq!(fs::read_to_string(base.path().join("out.ndjson")).unwrap(), "1\n2\n");
}

#[test]
fn a_commit_that_failed_goes_on_where_it_stopped() {
    let base = tempfile::tempdir().unwrap();
    let mut sink = open(json!({ "path": "out/", "max_bytes": 1 }), base.path());
    sink.recover(None).unwrap();
    ["1", "2", "3"].iter().for_each(|row| write(&mut *sink, &[row]).unwrap());
    prepare(&mut *sink, 1).unwrap();
    let in_the_way = base.path().join("out/part-00001.ndjson");
    fs::create_dir(&in_the_way).unwrap();
    for _ in 0..2 {
        let error = commit(&mut *sink, 1).unwrap_err();
        assert!(error.message.contains("out/part-00001.ndjson cannot be written: "), "{error}");
    }
    fs::remove_dir(in_the_way).unwrap();
    commit(&mut *sink, 1).unwrap();
    drop(sink);
    let expected = [("part-00000.ndjson", "1\n"), ("part-00001.ndjson", "2\n"), ("part-00002.ndjson", "3\n")];
    assert_eq!(files(&base.path().join("out")), owned(&expected));
}

#[test]
fn a_path_below_a_file_is_refused_when_the_sink_is_opened() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("file"), "").unwrap();
    let error =
        wasmill_connectors::sink("file", &json!({ "path": "file/out/" }), &sink_context(base.path())).err().unwrap();
    assert_eq!(error.path(), "path");
    assert!(error.to_string().contains("file/out/ cannot be made: "), "{error}");
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn what_is_no_regular_file_is_refused_and_stays_also_where_a_link_leads_to_it() {
    let base = tempfile::tempdir().unwrap();
    let at = |name: &str| base.path().join(name);
    fifo(&at("fifo"));
    let socket = UnixListener::bind(at("socket")).unwrap();
    ["fifo", "socket"].iter().for_each(|name| symlink(name, at(&format!("{name}.link"))).unwrap());
    for (name, kind) in
        [("fifo", "a FIFO"), ("socket", "a socket"), ("fifo.link", "a FIFO"), ("socket.link", "a socket")]
    {
        for overwrite in [true, false] {
            let config = json!({ "path": name, "overwrite": overwrite });
            let error = wasmill_connectors::sink("file", &config, &sink_context(base.path())).err().unwrap();
            assert_eq!(error.path(), "path");
            let said =
                format!("{name} is {kind}, and a file sink would put a file in its place; use the sink `stdout: {{}}`");
            assert!(error.to_string().contains(&said), "{error}");
        }
    }
    drop(socket);
    let left: Vec<_> = fs::read_dir(base.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "nothing is made beside it: {left:?}");
}

#[test]
fn what_takes_the_place_of_the_results_while_the_sink_is_open_and_is_no_file_is_not_replaced_either() {
    let replaced = |path: &str, target: &str, step: usize| {
        let base = tempfile::tempdir().unwrap();
        let target = base.path().join(target);
        if step > 0 {
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(&target, "old\n").unwrap();
        }
        let mut sink = open(json!({ "path": path, "overwrite": true }), base.path());
        let put = || {
            // There is nothing to remove where nothing was.
            drop(fs::remove_file(&target));
            fifo(&target);
        };
        if step == 0 {
            put();
            return (sink.recover(None).unwrap_err(), target.symlink_metadata().unwrap().file_type().is_fifo());
        }
        sink.recover(None).unwrap();
        if step == 1 {
            write(&mut *sink, &["1"]).unwrap();
        }
        prepare(&mut *sink, 1).unwrap();
        put();
        (commit(&mut *sink, 1).unwrap_err(), target.symlink_metadata().unwrap().file_type().is_fifo())
    };
    for (path, target) in [("out.ndjson", "out.ndjson"), ("out/", "out/part-00000.ndjson")] {
        // Before it is recovered, before rows get the name, and before old results are removed as there are no rows.
        for step in 0..3 {
            let (error, is_there) = replaced(path, target, step);
            assert!(error.message.contains(&format!("{target} is a FIFO")) && !error.retriable, "{error}");
            assert!(is_there, "{path}, step {step}");
        }
    }
}

#[test]
fn a_link_as_path_stays_and_its_file_gets_the_rows_which_are_aside_beside_that() {
    let base = tempfile::tempdir().unwrap();
    let at = |name: &str| base.path().join(name);
    ["far", "links"].iter().for_each(|folder| fs::create_dir(at(folder)).unwrap());
    fs::write(at("far/old"), "old\n").unwrap();
    for (link, to) in [("old", "../far/old"), ("new", "../far/new"), ("twice", "new"), ("far", "../made/out")] {
        symlink(to, at("links").join(link)).unwrap();
    }
    symlink(at("far/absolute"), at("links/absolute.gz")).unwrap();
    for (link, file) in [
        ("old", "far/old"),
        ("new", "far/new"),
        ("twice", "far/new"),
        ("far", "made/out"),
        ("absolute.gz", "far/absolute"),
    ] {
        let path = format!("links/{link}");
        let mut sink = open(json!({ "path": path, "overwrite": true }), base.path());
        assert!(sink.place().ends_with(file), "{}", sink.place());
        sink.recover(None).unwrap();
        write(&mut *sink, &[link]).unwrap();
        let folder = at(file).parent().unwrap().to_owned();
        assert!(files(&folder).iter().any(|(name, _)| name.ends_with(".open.tmp")), "{:?}", files(&folder));
        prepare(&mut *sink, 1).unwrap();
        commit(&mut *sink, 1).unwrap();
        assert!(at(&path).is_symlink(), "{link}");
        let written = fs::read(at(file)).unwrap();
        match link.strip_suffix(".gz") {
            Some(_) => assert_eq!(written[..2], [0x1f, 0x8b], "the name that was given says how it is packed"),
            None => assert_eq!(written, format!("{link}\n").as_bytes()),
        }
    }
    let mut sinks = ["links/new", "far/new"].map(|path| open(json!({ "path": path, "overwrite": true }), base.path()));
    sinks[0].recover(None).unwrap();
    let error = sinks[1].recover(None).unwrap_err();
    assert!(error.message.contains("another sink writes to the same `path`"), "{error}");
    [("one", "two"), ("two", "one")].iter().for_each(|(link, to)| symlink(to, at(link)).unwrap());
    let error = wasmill_connectors::sink("file", &json!({ "path": "one" }), &sink_context(base.path())).err().unwrap();
    assert!(error.to_string().contains("one cannot be written: "), "{error}");
}

#[test]
fn a_name_that_promises_an_unknown_compression_is_refused_unless_it_is_said_what_is_in_it() {
    let base = tempfile::tempdir().unwrap();
    for ending in ["bz2", "xz", "lz4", "br", "XZ"] {
        let path = format!("x.ndjson.{ending}");
        let error =
            wasmill_connectors::sink("file", &json!({ "path": path }), &sink_context(base.path())).err().unwrap();
        assert_eq!(error.path(), "path");
        let ending = ending.to_lowercase();
        let said = format!("`path` ends in `.{ending}`, a compression that there is not; there are `.gz` and `.zst`");
        assert!(error.to_string().contains(&said), "{error}");
        for config in [json!({ "path": path, "compression": "none" }), json!({ "path": format!("x.{ending}/") })] {
            let mut sink = open(config, base.path());
            sink.recover(None).unwrap();
            epoch(&mut *sink, 1, &["1"]);
        }
        assert_eq!(fs::read_to_string(base.path().join(path)).unwrap(), "1\n");
    }
    for (name, magic) in [("x.GZ", [0x1f, 0x8b]), ("x.gzip", [0x1f, 0x8b]), ("x.zstd", [0x28, 0xb5])] {
        let mut sink = open(json!({ "path": name }), base.path());
        sink.recover(None).unwrap();
        epoch(&mut *sink, 1, &["1"]);
        assert_eq!(fs::read(base.path().join(name)).unwrap()[..2], magic, "{name}");
    }
}
