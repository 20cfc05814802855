//! Asks a server over its admin API, and says helpfully when there is none.

use std::io::{BufRead, BufReader, ErrorKind};
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

/// Bytes of an answer, at most.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Time between two looks whether a server is there.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long a server may take to take a connection, to take more of a request, and to give more of an answer. A drain
/// or a swap of a large component takes a minute or two; a tap without rows gives a sign of life each second.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const SEND_WITHIN: Duration = Duration::from_secs(60);
const ANSWER_WITHIN: Duration = Duration::from_secs(300);

/// How long a connection is kept for another request: less than a server keeps it.
const CONNECTION_KEPT: Duration = Duration::from_secs(5);

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody listens.
    #[error(
        "no server at {address} ({reason}); start one with `wasmill serve --data DIR`, or name another with --server"
    )]
    NoServer {
        /// Where it should be.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// It was asked, and does not answer: nobody knows whether it did what it was asked.
    #[error(
        "the server at {address} was asked and gave no answer ({reason}); look with `wasmill status` what it has done \
         before you ask it again"
    )]
    Silent {
        /// Where it is.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The server refuses.
    #[error("{detail}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// What is wrong, and what to do.
        detail: String,
        /// All of the answer.
        problem: Box<Value>,
    },
    /// The answer is none.
    #[error("what listens at {address} does not answer like a wasmill server: {reason}")]
    Strange {
        /// Where.
        address: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

impl ClientError {
    /// What the server says of a pipeline file, as `validate` says it.
    pub(crate) fn rendered(&self) -> Option<&str> {
        if let Self::Refused { problem, .. } = self { problem["rendered"].as_str() } else { None }
    }
}

/// A server's answer.
pub(crate) struct Answer {
    /// What it says; null where it says nothing.
    pub(crate) body: Value,
    /// The revision of the pipeline that it is about.
    pub(crate) revision: Option<u64>,
}

/// A way to a server.
pub(crate) struct Client {
    agent: Agent,
    address: String,
    /// Until when a server that is not there is waited for.
    patience: Instant,
}

impl Client {
    /// A way to the server at that address, which is waited for so long.
    pub(crate) fn new(address: &str, wait: Duration) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let config = config.timeout_connect(Some(CONNECT_WITHIN)).timeout_per_write(Some(SEND_WITHIN));
        let config = config.timeout_per_read(Some(ANSWER_WITHIN)).max_idle_age(CONNECTION_KEPT).build();
        Self { agent: Agent::new_with_config(config), address: address.to_owned(), patience: Instant::now() + wait }
    }

    /// Where it leads.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Asks, and takes the whole answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        revision: Option<u64>,
    ) -> Result<Answer, ClientError> {
        let mut response = self.send(method, path, body, revision)?;
        let tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok()?.trim_matches('"').parse().ok());
        let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let text = text.map_err(|error| self.strange(&error.to_string()))?;
        let body = if text.is_empty() { Value::Null } else { self.json(&text)? };
        Ok(Answer { body, revision: tag })
    }

    /// What is there.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub(crate) fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.ask("GET", path, &[], None)
    }

    /// The data of server-sent events, one after the other.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub(crate) fn events(&self, path: &str) -> Result<impl Iterator<Item = String>, ClientError> {
        let response = self.send("GET", path, &[], None)?;
        let lines = BufReader::new(response.into_body().into_reader()).lines().map_while(Result::ok);
        Ok(lines.filter_map(|line| line.strip_prefix("data:").map(|data| data.trim_start().to_owned())))
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        revision: Option<u64>,
    ) -> Result<Response<Body>, ClientError> {
        loop {
            match self.send_once(method, path, body, revision) {
                Err(ClientError::NoServer { .. }) if Instant::now() < self.patience => {
                    std::thread::sleep(LOOK_EVERY);
                }
                sent => return sent,
            }
        }
    }

    fn send_once(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        revision: Option<u64>,
    ) -> Result<Response<Body>, ClientError> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if let Some(revision) = revision {
            request = request.header("if-match", format!("\"{revision}\""));
        }
        let made = if matches!(method, "GET" | "DELETE") {
            request.body(()).map(|request| self.agent.run(request))
        } else {
            request.body(body).map(|request| self.agent.run(request))
        };
        let sent = made.map_err(|error| self.strange(&error.to_string()))?;
        let mut response = sent.map_err(|error| self.unanswered(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_vec().map_err(|error| self.strange(&error.to_string()))?;
        let problem = self.json(&text)?;
        let detail = problem["detail"].as_str().unwrap_or("it does not say why").to_owned();
        Err(ClientError::Refused { status, detail, problem: Box::new(problem) })
    }

    fn json(&self, text: &[u8]) -> Result<Value, ClientError> {
        serde_json::from_slice(text).map_err(|error| self.strange(&error.to_string()))
    }

    /// Only where nobody can have heard the request it may be sent again without a word.
    fn unanswered(&self, error: ureq::Error) -> ClientError {
        let (address, reason) = (self.address.clone(), error.to_string());
        match error {
            ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => ClientError::NoServer { address, reason },
            ureq::Error::Timeout(ureq::Timeout::Connect) => ClientError::NoServer { address, reason },
            ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
                ClientError::NoServer { address, reason }
            }
            ureq::Error::Io(_) | ureq::Error::Timeout(_) => ClientError::Silent { address, reason },
            _ => ClientError::Strange { address, reason },
        }
    }

    fn strange(&self, reason: &str) -> ClientError {
        ClientError::Strange { address: self.address.clone(), reason: reason.to_owned() }
    }
}

/// Text as a part of a path or a query.
pub(crate) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn what_is_not_plain_is_escaped() {
        assert_eq!(escaped("a-b_c.d/ü ?"), "a-b_c.d%2F%C3%BC%20%3F");
    }

    #[test]
    fn without_a_server_it_says_how_to_start_one() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let Err(error) = Client::new(&free.to_string(), Duration::ZERO).get("/version") else {
            panic!("somebody answered")
        };
        assert!(error.to_string().contains("start one with `wasmill serve --data DIR`"), "{error}");
    }

    #[test]
    fn what_a_server_has_heard_is_not_sent_again_however_long_one_is_waited_for() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = std::thread::spawn(move || {
            let mut heard = 0;
            loop {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4];
                stream.read_exact(&mut request).unwrap();
                if &request == b"over" {
                    return heard;
                }
                heard += 1;
            }
        });
        let Err(error) = Client::new(&address, Duration::from_secs(60)).ask("POST", "/x", b"body", None) else {
            panic!("there was no answer")
        };
        assert!(error.to_string().contains("was asked and gave no answer"), "{error}");
        std::net::TcpStream::connect(&address).unwrap().write_all(b"over").unwrap();
        assert_eq!(heard.join().unwrap(), 1);
    }
}
