//! The real `wasmill` binary, run as a user runs it: in a folder, with arguments, its streams in the test's hands.
//!
//! Always true: nothing waits for a time to pass. What must happen is waited for until it does, and a test fails when
//! it has not within [`PATIENCE`]. A process that a test leaves behind is killed. Neighbours: `end_to_end.rs`,
//! `examples.rs`.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use serde_json::Value;
use tempfile::TempDir;

/// How long something that must happen may take, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Lines of standard error that are read before the test asks: nothing that runs should wait for it.
const STDERR_LINES: usize = 10_000;

/// The binary, beside the folder that the running test lies in; built if it is not there.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let binary = profile_folder().join("wasmill");
        if !binary.is_file() {
            let target = profile_folder().parent().expect("a profile's folder lies in the target folder").to_owned();
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--release", "--workspace", "--bin", "wasmill", "--target-dir"]).arg(target);
            let status = cargo.current_dir(repository()).status().expect("cargo starts");
            assert!(status.success() && binary.is_file(), "{cargo:?} made no {}", binary.display());
        }
        binary
    })
}

/// `target/release`, wherever it is: tests lie in its folder `deps`.
fn profile_folder() -> PathBuf {
    let test = env::current_exe().expect("a test has a file");
    test.ancestors().nth(2).expect("tests lie two folders deep in the target folder").to_owned()
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

/// A folder below the target folder that tests keep from run to run.
pub fn kept(name: &str) -> PathBuf {
    let folder = profile_folder().parent().expect("a profile's folder lies in the target folder").join("end-to-end");
    let folder = folder.join(name);
    fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// A command that is `wasmill` with those arguments in that folder.
pub fn wasmill(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    in_setting(&mut command, folder).args(arguments);
    command
}

/// Gives a command the folder and the caches that tests use, and nothing of the user's own settings.
pub fn in_setting<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command.current_dir(folder).env("WASMILL_CACHE", kept("cache")).env("CARGO_TARGET_DIR", kept("built"));
    command.env_remove("WASMILL_LOG").env_remove("WASMILL_PLUGINS").stdin(Stdio::null())
}

/// A folder that a pipeline runs in.
pub struct Folder(TempDir);

impl Folder {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "it makes a folder, which a default should not")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("the system has a folder for what is temporary"))
    }

    /// One with a pipeline.
    pub fn with(pipeline: &str) -> Self {
        let folder = Self::new();
        folder.write("pipeline.yaml", pipeline);
        folder
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and the folders that it lies in.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("folders can be made");
        fs::write(&path, bytes).expect("files can be written");
        path
    }

    /// The names in one of its folders, hidden ones too, sorted; none where it is not there.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path().join(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// What the visible files of one of its folders have, one after the other.
    pub fn visible(&self, folder: &str) -> String {
        let names = self.names(folder).into_iter().filter(|name| !name.starts_with('.'));
        let read = |name| fs::read_to_string(self.path().join(folder).join(name)).expect("it was listed and is text");
        names.map(read).collect()
    }

    /// The rows of the visible NDJSON files of one of its folders.
    pub fn rows(&self, folder: &str) -> Vec<Value> {
        rows(&self.visible(folder))
    }

    /// Runs `wasmill` here until it ends.
    pub fn wasmill(&self, arguments: &[&str]) -> Ended {
        ended(&mut wasmill(self.path(), arguments))
    }

    /// Runs its `pipeline.yaml` until it ends.
    pub fn run(&self) -> Ended {
        self.wasmill(&["run", "pipeline.yaml", "--output", "json"])
    }

    /// Starts its `pipeline.yaml`, with more arguments.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = wasmill(self.path(), &["run", "pipeline.yaml", "--output", "json"]);
        Running::start(command.args(arguments).stdin(Stdio::piped()))
    }
}

/// Text as NDJSON.
pub fn rows(text: &str) -> Vec<Value> {
    let row = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("`{line}` is no JSON: {error}"));
    text.lines().map(row).collect()
}

/// Runs a command to its end.
pub fn ended(command: &mut Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("what wasmill writes is UTF-8")
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none = killed by a signal.
    pub code: Option<i32>,
    /// All that it wrote.
    pub stdout: String,
    /// All that it said.
    pub stderr: String,
}

impl Ended {
    /// It ended with that code.
    #[track_caller]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "its last words:\n{}", self.stderr);
        self
    }

    /// What it said contains all of these.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "it does not say `{word}`:\n{}", self.stderr);
        }
        self
    }

    /// The report of a run that succeeded, whose counts reconcile.
    #[track_caller]
    pub fn report(self) -> Value {
        let report = self.counts();
        reconcile(&report);
        report
    }

    /// The report of a run that succeeded; its rows may multiply.
    #[track_caller]
    pub fn counts(self) -> Value {
        let ended = self.with_code(0);
        let start = ended.stderr.find("{\n").unwrap_or_else(|| panic!("no report in:\n{}", ended.stderr));
        serde_json::from_str(&ended.stderr[start..])
            .unwrap_or_else(|error| panic!("the report is no JSON: {error}\n{}", ended.stderr))
    }

    /// Its standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{}", self.stdout))
    }
}

/// Every record of a report went exactly one way, in all and at each source and stage.
#[track_caller]
pub fn reconcile(report: &Value) {
    let count = |of: &Value, name: &str| of[name].as_u64().unwrap_or_else(|| panic!("no count `{name}` in {of}"));
    let all = ["rows_out", "filtered", "dead_letters"].map(|name| count(report, name));
    assert_eq!(count(report, "records_in"), all.iter().sum::<u64>(), "the counts do not reconcile: {report:#}");
    for node in report["nodes"].as_array().expect("a report has nodes") {
        if ["source", "stage"].contains(&node["part"].as_str().expect("a node is some part")) {
            let ways = ["rows_out", "filtered", "dead_letters"].map(|name| count(node, name));
            assert_eq!(count(node, "rows_in"), ways.iter().sum::<u64>(), "the counts do not reconcile: {node:#}");
        }
    }
}

/// Waits until it is true.
#[track_caller]
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A process that runs. Its standard output is read a line ahead of the test and no further.
pub struct Running {
    child: Child,
    /// Its standard input, where the test keeps it.
    pub stdin: Option<ChildStdin>,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    said: String,
}

impl Running {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdin = child.stdin.take();
        let stdout = lines(child.stdout.take().expect("it is piped"), 0);
        let stderr = lines(child.stderr.take().expect("it is piped"), STDERR_LINES);
        Self { child, stdin, stdout, stderr, said: String::new() }
    }

    /// The next line that it writes, without its end.
    #[track_caller]
    pub fn line(&self) -> String {
        let line = self.stdout.recv_timeout(PATIENCE).expect("no line came");
        text(line).trim_end().to_owned()
    }

    /// Waits until it says that.
    #[track_caller]
    pub fn hear(&mut self, words: &str) {
        while !self.said.contains(words) {
            let line = self.stderr.recv_timeout(PATIENCE);
            self.said += &text(line.unwrap_or_else(|_| panic!("it does not say `{words}`:\n{}", self.said)));
        }
    }

    /// Waits until it says that; the rest of the line.
    #[track_caller]
    pub fn hear_after(&mut self, words: &str) -> String {
        self.hear(words);
        let after = self.said.split_once(words).map_or("", |(_, after)| after);
        after.lines().next().unwrap_or_default().trim().to_owned()
    }

    /// Interrupts it, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal("-INT");
    }

    /// Asks it to end, as `kill` and service managers do.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("there is `kill`").success());
    }

    /// Reads no more of what it writes: its standard output is closed.
    pub fn turn_away(&mut self) {
        self.stdout = sync_channel(0).1;
    }

    /// Ends it without a warning, as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is our child");
    }

    /// Waits for its end without reading what it writes to its standard output.
    #[track_caller]
    pub fn end_unread(mut self) -> Option<i32> {
        until("the process ends", || self.child.try_wait().expect("it is our child").is_some());
        self.child.wait().expect("it is our child").code()
    }

    /// Closes its input, reads all that it still writes and waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        drop(self.stdin.take());
        let stdout = rest(&self.stdout);
        self.said += &rest(&self.stderr);
        let code = self.child.wait().expect("it is our child").code();
        Ended { code, stdout, stderr: std::mem::take(&mut self.said) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A thread that reads lines, so many and one more ahead of whoever takes them.
fn lines(stream: impl Read + Send + 'static, ahead: usize) -> Receiver<Vec<u8>> {
    let (give, take) = sync_channel(ahead);
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        loop {
            let mut line = Vec::new();
            let read = stream.read_until(b'\n', &mut line).expect("a pipe can be read");
            if read == 0 || give.send(line).is_err() {
                return;
            }
        }
    });
    take
}

#[track_caller]
fn rest(lines: &Receiver<Vec<u8>>) -> String {
    let mut all = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => all.extend(line),
            Err(RecvTimeoutError::Disconnected) => return text(all),
            Err(RecvTimeoutError::Timeout) => panic!("it neither writes nor ends; so far:\n{}", text(all)),
        }
    }
}
