//! A server that a story runs: `wasmill serve` in a folder of its own, asked over HTTP as any client would.
//!
//! Neighbours: `end_to_end/serve.rs` and `bench/serve.rs` ask it, `end_to_end/process.rs` runs it.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use crate::process::{Ended, Folder, PATIENCE, Running, ended, until, wasmill};
use serde_json::Value;

/// The arguments of every server.
const SERVE: [&str; 5] = ["serve", "--data", "data", "--listen", "127.0.0.1:0"];

/// A server that runs.
pub struct Server {
    /// Locked only so that several threads of a story can ask the server.
    process: Mutex<Running>,
    address: String,
}

/// What it answered.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its status line and headers.
    pub head: String,
    /// What it says: JSON, or else its text.
    pub body: Value,
}

impl Answer {
    /// It has that status.
    #[track_caller]
    pub fn with(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// What it says is wrong contains all of these.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        let detail = self.body["detail"].as_str().unwrap_or_else(|| panic!("no detail in {self:#?}"));
        words.iter().for_each(|word| assert!(detail.contains(word), "it does not say `{word}`: {detail}"));
        self
    }

    /// The revision that it is about.
    pub fn tag(&self) -> String {
        let tag =
            self.head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("etag: ").map(str::to_owned));
        tag.unwrap_or_else(|| panic!("no tag in {self:#?}")).trim().to_owned()
    }
}

impl Server {
    /// A server over the folder's `data`.
    pub fn start(folder: &Folder) -> Self {
        Self::run(&mut wasmill(folder.path(), &SERVE))
    }

    /// The same with more arguments, and with faults: the folder's file `fault` says which.
    pub fn with_faults(folder: &Folder, arguments: &[&str]) -> Self {
        let mut command = wasmill(folder.path(), &SERVE);
        Self::run(command.args(arguments).env("WASMILL_FAULT", folder.path().join("fault")))
    }

    /// The same where a process is given so many open files unless it asks for more.
    pub fn with_few_files(folder: &Folder, files: u32) -> Self {
        let serve = wasmill(folder.path(), &SERVE);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -Sn {files} && exec \"$0\" \"$@\"")).current_dir(folder.path());
        shell.arg(serve.get_program()).args(serve.get_args());
        shell.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self::run(&mut shell)
    }

    fn run(command: &mut Command) -> Self {
        let mut process = Running::start(command.stdin(Stdio::null()));
        let address = process.hear_after("listening on http://");
        Self { process: Mutex::new(process), address }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends it as `kill -9` does.
    pub fn kill(self) {
        self.process.into_inner().expect("nobody panics with it").kill();
    }

    /// Asks it to stop, and waits for its end.
    pub fn stop(self) -> Ended {
        let process = self.process.into_inner().expect("nobody panics with it");
        process.terminate();
        process.end()
    }

    /// Sends a request that it does not survive, and waits for its end.
    pub fn dies_of(self, method: &str, path: &str, body: &[u8]) {
        let _stream = self.send_off(method, path, body);
        let ended = self.process.into_inner().expect("nobody panics with it").end();
        assert_eq!(ended.code, None, "it ended by itself:\n{}", ended.stderr);
    }

    /// Runs a verb of `wasmill` against it.
    pub fn wasmill(&self, folder: &Folder, arguments: &[&str]) -> Ended {
        ended(wasmill(folder.path(), arguments).env("WASMILL_SERVER", &self.address))
    }

    /// Sends a request as it stands; header lines end in `\r\n`.
    pub fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a second is a timeout");
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.to_ascii_lowercase().lines().any(|line| line.starts_with("host:")) {
            write!(head, "host: {}\r\n", self.address).expect("a text can be written to");
        }
        write!(head, "content-length: {}\r\n{headers}\r\n", body.len()).expect("a text can be written to");
        stream.write_all(head.as_bytes()).expect("the server reads");
        // A server that refuses early reads no further.
        drop(stream.write_all(body));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer"));
        let head = String::from_utf8(answer[..end].to_vec()).expect("a head is text");
        let status = head[9..12].parse().expect("a status is a number");
        let body = String::from_utf8_lossy(&answer[end + 4..]).into_owned();
        let body = serde_json::from_str(&body).unwrap_or(Value::from(body));
        Answer { status, head, body }
    }

    /// What is at a path.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", b"")
    }

    /// A pipeline as it is.
    pub fn pipeline(&self, name: &str) -> Value {
        self.get(&format!("/api/v1/pipelines/{name}")).with(200).body
    }

    /// Waits until a pipeline is so.
    #[track_caller]
    pub fn until(&self, what: &str, name: &str, mut so: impl FnMut(&Value) -> bool) {
        until(what, || so(&self.pipeline(name)));
    }

    /// Uploads a component; its digest.
    pub fn upload(&self, component: &[u8]) -> String {
        let answer = self.send("POST", "/api/v1/plugins", "", component).with(201);
        answer.body["digest"].as_str().expect("a component has a digest").to_owned()
    }

    /// Swaps a stage to a digest.
    pub fn swap(&self, pipeline: &str, stage: &str, digest: &str, headers: &str) -> Answer {
        let body = serde_json::json!({"digest": digest}).to_string();
        self.send("PUT", &format!("/api/v1/pipelines/{pipeline}/stages/{stage}/plugin"), headers, body.as_bytes())
    }

    /// Asks for a swap, and leaves the answer in the stream: were that closed, nothing might be done.
    pub fn send_unanswered(&self, pipeline: &str, stage: &str, digest: &str) -> TcpStream {
        let body = serde_json::json!({"digest": digest}).to_string();
        let path = format!("/api/v1/pipelines/{pipeline}/stages/{stage}/plugin");
        self.send_off("PUT", &path, body.as_bytes())
    }

    /// Sends a request, and leaves its answer in the stream.
    pub fn send_off(&self, method: &str, path: &str, body: &[u8]) -> TcpStream {
        let (address, length) = (&self.address, body.len());
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n");
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.write_all(&[head.as_bytes(), body].concat()).expect("the server reads");
        stream
    }

    /// Applies the pipeline of that file in the folder.
    pub fn apply(&self, folder: &Folder, pipeline: &str, file: &str) -> Answer {
        let text = std::fs::read(folder.path().join(file)).expect("the story has written it");
        let path = format!("/api/v1/pipelines/{pipeline}?file={file}&base={}", folder.path().display());
        self.send("PUT", &path, "", &text)
    }
}

/// The same component under another digest: with a section more, which means nothing.
pub fn relabelled(component: &[u8], label: u8) -> Vec<u8> {
    [component, &[0, 6, 5, b'l', b'a', b'b', b'e', label]].concat()
}
