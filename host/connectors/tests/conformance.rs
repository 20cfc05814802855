//! Every connector against the kit: a new one adds a test here and is done when it passes; then its stories.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kit;
mod stories;

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use kit::sinks::World;
use kit::{sink_context, sinks, source_context, sources, waker};
use serde_json::{Value, json};
use tempfile::TempDir;
use wasmill_connectors::memory::{Ledger, MemorySink, MemorySource, Piece};
use wasmill_connectors::{stdin, stdout};
use wasmill_engine::sink::{Promise, SinkWriter};
use wasmill_engine::source::SourceReader;

fn lines(from: usize, count: usize) -> Vec<u8> {
    (from..from + count).flat_map(|id| format!("{{\"id\":{id}}}\n").into_bytes()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    file.write_all(bytes).unwrap();
    file.finish().unwrap()
}

fn open_source(name: &str, config: Value, base: &Path) -> Box<dyn SourceReader> {
    wasmill_connectors::source(name, &config, &source_context(base)).unwrap()
}

/// Plain, packed, packed in several members, empty, and without a last line end.
fn folder_of_all_sorts() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    put("a.ndjson", &lines(0, 300));
    put("b.ndjson.gz", &gzip(&lines(300, 400)));
    put("c.ndjson.gz", &[gzip(&lines(700, 5)), gzip(b""), gzip(&lines(705, 95))].concat());
    put(
        "d.ndjson.zst",
        &[zstd::encode_all(&lines(800, 9)[..], 3).unwrap(), zstd::encode_all(&lines(809, 91)[..], 3).unwrap()].concat(),
    );
    put("e.ndjson", b"");
    put("f.ndjson", lines(900, 100).trim_ascii_end());
    folder
}

#[test]
fn the_file_source_brings_every_byte_once_and_resumes_anywhere() {
    let folder = folder_of_all_sorts();
    let open = || open_source("file", json!({ "path": "*.ndjson*" }), folder.path());
    let all = sources::conforms(open);
    let text: Vec<u8> = all.values().flat_map(|brought| brought.bytes.clone()).collect();
    assert_eq!(text, lines(0, 1_000).trim_ascii_end());
    assert_eq!(all["e.ndjson"].end.as_deref(), Some(""));
    sources::resumes(open);
}

#[test]
fn the_memory_source_brings_every_byte_once_and_resumes_anywhere() {
    let open = || -> Box<dyn SourceReader> {
        let piece = |from, count| Piece::Bytes(lines(from, count));
        let a = vec![piece(0, 20), Piece::Idle(50), piece(20, 30), Piece::Broken("the tape is torn".to_owned())];
        Box::new(MemorySource::new(vec![("a", a), ("b", vec![piece(50, 100)]), ("c", vec![])]))
    };
    sources::conforms(open);
    sources::resumes(open);
    sources::resumes(|| Box::new(MemorySource::split("a", &lines(0, 90), 7)));
}

#[test]
fn the_generator_makes_every_event_once_and_resumes_anywhere() {
    for config in [
        json!({ "kind": "nexmark", "events": 600 }),
        json!({ "kind": "nexmark", "events": 300, "only": "bids", "rate": 1000.0 }),
        json!({ "kind": "nexmark", "events": 100, "only": "auctions", "error_share": 0.5 }),
        json!({ "kind": "nexmark", "events": 100, "only": "persons", "seed": 7 }),
        json!({ "kind": "sensors", "events": 500, "anomaly_share": 0.1, "error_share": 0.1 }),
    ] {
        let open = || open_source("generator", config.clone(), Path::new(""));
        sources::conforms(open);
        sources::resumes(open);
    }
}

#[test]
fn the_stdin_source_brings_every_byte_once() {
    let all = sources::conforms(|| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        // More than a pipe holds, so that writer and reader must take turns.
        std::thread::spawn(move || writer.write_all(&lines(0, 30_000)).unwrap());
        Box::new(stdin::source::Piped::new("stdin", reader, waker()))
    });
    assert_eq!(all["stdin"].bytes, lines(0, 30_000));
}

struct Files {
    folder: TempDir,
    config: Value,
    header: &'static str,
}

impl Files {
    fn new(config: Value, header: &'static str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), config, header }
    }
}

/// Copies what is in a folder.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

impl World for Files {
    fn open(&self) -> Box<dyn SinkWriter> {
        let mut context = sink_context(self.folder.path());
        context.header = self.header.as_bytes().into();
        wasmill_connectors::sink("file", &self.config, &context).unwrap()
    }

    fn died(self, sink: Box<dyn SinkWriter>) -> Self {
        let next = Self::new(self.config.clone(), self.header);
        copy(self.folder.path(), next.folder.path());
        // Only now: a sink that is dropped tidies up, and one whose process dies does not.
        drop(sink);
        next
    }

    fn visible(&self) -> Vec<u8> {
        let folder = self.folder.path().join("out");
        let folder = if folder.is_dir() { folder } else { self.folder.path().to_owned() };
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<_> =
            names.filter(|path| !path.file_name().unwrap().as_encoded_bytes().starts_with(b".")).collect();
        names.sort();
        let unpack = |path: &Path| {
            let bytes = fs::read(path).unwrap();
            match path.extension().unwrap().to_str().unwrap() {
                "gz" => {
                    let mut unpacked = Vec::new();
                    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).unwrap();
                    unpacked
                }
                "zst" => zstd::decode_all(&bytes[..]).unwrap(),
                _ => bytes,
            }
        };
        // Each part has the header; the kit looks for one.
        let parts = names.iter().map(|path| unpack(path));
        let bodies = parts.map(|part| part.strip_prefix(self.header.as_bytes()).expect("a header first").to_vec());
        let bodies: Vec<u8> = bodies.flatten().collect();
        if bodies.is_empty() { bodies } else { [self.header.as_bytes(), &bodies].concat() }
    }

    fn header(&self) -> Vec<u8> {
        self.header.as_bytes().to_vec()
    }
}

#[test]
fn the_file_sink_shows_epochs_as_a_whole_and_recovers_from_a_crash_anywhere() {
    let folder = json!({ "path": "out/" });
    let parts = json!({ "path": "out/", "max_bytes": 1, "overwrite": true });
    let one = json!({ "path": "out.ndjson" });
    let packed = json!({ "path": "out.csv.zst", "overwrite": true });
    for (config, header) in [(folder, ""), (parts, "id,name\n"), (one, "id,name\n"), (packed, "id,name\n")] {
        let world = || Files::new(config.clone(), header);
        sinks::conforms(&world());
        sinks::recovers(world);
    }
    for config in [
        json!({ "path": "out/", "compression": "gzip" }),
        json!({ "path": "out/", "compression": "zstd" }),
        json!({ "path": "out.ndjson", "overwrite": true }),
        json!({ "path": "out.ndjson.gz" }),
    ] {
        sinks::conforms(&Files::new(config, ""));
    }
}

struct Memory(Arc<Mutex<Ledger>>);

impl World for Memory {
    fn open(&self) -> Box<dyn SinkWriter> {
        Box::new(MemorySink::new(Promise::Recoverable, self.0.clone()))
    }

    fn died(self, sink: Box<dyn SinkWriter>) -> Self {
        std::mem::forget(sink);
        self
    }

    fn visible(&self) -> Vec<u8> {
        self.0.lock().unwrap().rows().concat()
    }
}

#[test]
fn the_memory_sink_shows_epochs_as_a_whole_and_recovers_from_a_crash_anywhere() {
    sinks::conforms(&Memory(Arc::default()));
    sinks::recovers(|| Memory(Arc::default()));
}

#[test]
fn the_stdout_sink_has_written_all_when_an_epoch_is_prepared() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let reading = std::thread::spawn(move || {
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        all
    });
    let mut sink = stdout::sink::Piped::new("stdout", writer, b"id\n", waker()).unwrap();
    let long = "x".repeat(50_000);
    for epoch in 1..=3 {
        for _ in 0..10 {
            sinks::write(&mut sink, &[&long]).unwrap();
        }
        sinks::prepare(&mut sink, epoch).unwrap();
        sinks::commit(&mut sink, epoch).unwrap();
    }
    drop(sink);
    assert_eq!(reading.join().unwrap(), format!("id\n{}", format!("{long}\n").repeat(30)));
}
