//! A server that a story runs: `wasmill serve` in a folder of its own, asked over HTTP as any client would.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Mutex;

use serde_json::Value;
use wasmill_tests::process::{Ended, Folder, PATIENCE, Running, ended, until, wasmill};

/// A server that runs.
pub(crate) struct Server {
    /// Locked only so that several threads of a story can ask the server.
    process: Mutex<Running>,
    address: String,
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Answer {
    /// It has that status.
    #[track_caller]
    pub(crate) fn with(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// What it says is wrong contains all of these.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        let detail = self.body["detail"].as_str().unwrap_or_else(|| panic!("no detail in {self:#?}"));
        words.iter().for_each(|word| assert!(detail.contains(word), "it does not say `{word}`: {detail}"));
        self
    }

    /// The revision that it is about.
    pub(crate) fn tag(&self) -> String {
        let tag =
            self.head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("etag: ").map(str::to_owned));
        tag.unwrap_or_else(|| panic!("no tag in {self:#?}")).trim().to_owned()
    }
}

impl Server {
    /// A server over the folder's `data`.
    pub(crate) fn start(folder: &Folder) -> Self {
        let mut command = wasmill(folder.path(), &["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
        let mut process = Running::start(command.stdin(Stdio::null()));
        let address = process.hear_after("listening on http://");
        Self { process: Mutex::new(process), address }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(self) {
        self.process.into_inner().unwrap().kill();
    }

    /// Asks it to stop, and waits for its end.
    pub(crate) fn stop(self) -> Ended {
        let process = self.process.into_inner().unwrap();
        process.terminate();
        process.end()
    }

    /// Runs a verb of `wasmill` against it.
    pub(crate) fn wasmill(&self, folder: &Folder, arguments: &[&str]) -> Ended {
        ended(wasmill(folder.path(), arguments).env("WASMILL_SERVER", &self.address))
    }

    /// Sends a request as it stands; header lines end in `\r\n`.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.to_ascii_lowercase().contains("host:") {
            write!(head, "host: {}\r\n", self.address).unwrap();
        }
        write!(head, "content-length: {}\r\n{headers}\r\n", body.len()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses early reads no further.
        drop(stream.write_all(body));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer"));
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        let body = String::from_utf8_lossy(&answer[end + 4..]).into_owned();
        let body = serde_json::from_str(&body).unwrap_or(Value::from(body));
        Answer { status, head, body }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", b"")
    }

    /// A pipeline as it is.
    pub(crate) fn pipeline(&self, name: &str) -> Value {
        self.get(&format!("/api/v1/pipelines/{name}")).with(200).body
    }

    /// Waits until a pipeline is so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, name: &str, so: impl Fn(&Value) -> bool) {
        until(what, || so(&self.pipeline(name)));
    }

    /// Uploads a component; its digest.
    pub(crate) fn upload(&self, component: &[u8]) -> String {
        let answer = self.send("POST", "/api/v1/plugins", "", component).with(201);
        answer.body["digest"].as_str().unwrap().to_owned()
    }

    /// Swaps a stage to a digest.
    pub(crate) fn swap(&self, pipeline: &str, stage: &str, digest: &str, headers: &str) -> Answer {
        let body = serde_json::json!({"digest": digest}).to_string();
        self.send("PUT", &format!("/api/v1/pipelines/{pipeline}/stages/{stage}/plugin"), headers, body.as_bytes())
    }

    /// Asks for a swap, and does not wait for the answer.
    pub(crate) fn send_unanswered(&self, pipeline: &str, stage: &str, digest: &str) {
        let body = serde_json::json!({"digest": digest}).to_string();
        let path = format!("/api/v1/pipelines/{pipeline}/stages/{stage}/plugin");
        let head = format!("PUT {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n", self.address, body.len());
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    }

    /// Applies the pipeline of that file in the folder.
    pub(crate) fn apply(&self, folder: &Folder, pipeline: &str, file: &str) -> Answer {
        let text = std::fs::read(folder.path().join(file)).unwrap();
        let path = format!("/api/v1/pipelines/{pipeline}?file={file}&base={}", folder.path().display());
        self.send("PUT", &path, "", &text)
    }
}

/// The same component under another digest: with a section more, which means nothing.
pub(crate) fn relabelled(component: &[u8], label: u8) -> Vec<u8> {
    [component, &[0, 6, 5, b'l', b'a', b'b', b'e', label]].concat()
}
