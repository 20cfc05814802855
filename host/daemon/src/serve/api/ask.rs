//! How requests are read and answers written: bodies within limits, revisions as ETags, work off the I/O thread.

use std::ops::Deref;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use wasmill_wasm::COMPONENT_BYTES_WITH_RUNTIME;

use crate::serve::problem::Problem;

/// What a handler comes to.
pub(super) type Answer = Result<Response, Problem>;

/// What stands behind the `?` of a path.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        let wrong = |error: QueryRejection| Problem::malformed(format!("{}: {error}", parts.uri));
        read.map(|Query(asked)| Self(asked)).map_err(wrong)
    }
}

/// Something as JSON, with the revision of the pipeline that it is about.
pub(super) fn answer(of: &impl Serialize, revision: Option<u64>) -> Response {
    let body = serde_json::to_vec(of).expect("what is told has names, numbers and texts only");
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    if let Some(tag) = revision.and_then(|revision| HeaderValue::from_str(&format!("\"{revision}\"")).ok()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The revision that a request is about: none = whatever there is.
pub(super) fn expected(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|text| text.parse().ok());
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(Problem::malformed(format!("`If-Match: {text}` is no revision; send the ETag of an answer"))),
    }
}

/// Bytes of bodies that are kept in memory at once: four of the largest components.
const BODIES_BYTES_MAX: usize = 4 * COMPONENT_BYTES_WITH_RUNTIME as usize;

/// How long the next bytes of a body are waited for, and all of it.
const BYTES_WITHIN: Duration = Duration::from_secs(10);
const BODY_WITHIN: Duration = Duration::from_secs(300);

/// Room for bodies that is left.
static ROOM: Semaphore = Semaphore::const_new(BODIES_BYTES_MAX);

/// A body, and the room that it takes for as long as it is there.
pub(super) struct Sent {
    bytes: Vec<u8>,
    room: SemaphorePermit<'static>,
}

impl Deref for Sent {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Sent {
    fn add(&mut self, chunk: &[u8], limit: u64, what: &str) -> Result<(), Problem> {
        if (self.bytes.len() + chunk.len()) as u64 > limit {
            return Err(Problem::too_large(format!("{what} has more than the limit of {limit} bytes")));
        }
        let room = u32::try_from(chunk.len()).ok().and_then(|bytes| ROOM.try_acquire_many(bytes).ok());
        let Some(room) = room else {
            let detail = format!(
                "what others are sending fills the {BODIES_BYTES_MAX} bytes that there are for it; send {what} again"
            );
            return Err(Problem::crowded(detail));
        };
        self.room.merge(room);
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

/// All of a body of at most `limit` bytes, if it comes in time.
pub(super) async fn body(body: Body, limit: u64, what: &str) -> Result<Sent, Problem> {
    let (declared, whole) = (body.size_hint().lower(), Instant::now() + BODY_WITHIN);
    if declared > limit {
        return Err(Problem::too_large(format!("{what} has {declared} bytes, and the limit is {limit}")));
    }
    let mut sent = Sent { bytes: Vec::new(), room: ROOM.try_acquire_many(0).expect("nothing needs no room") };
    let mut chunks = body.into_data_stream();
    loop {
        let next = timeout_at(whole.min(Instant::now() + BYTES_WITHIN), chunks.next()).await;
        match next {
            Ok(None) => return Ok(sent),
            Ok(Some(Ok(chunk))) => sent.add(&chunk, limit, what)?,
            Ok(Some(Err(_))) => return Err(Problem::malformed(format!("{what} broke off before its end"))),
            Err(_) => {
                let (bytes, whole) = (BYTES_WITHIN.as_secs(), BODY_WITHIN.as_secs());
                let detail = format!("nothing more of {what} came for {bytes} s, or not all of it in {whole} s");
                return Err(Problem::slow(detail));
            }
        }
    }
}

/// Does what waits for disks, compilers or pipelines on a thread of its own.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Problem::failed("internal error, please report it: a request panicked")))
}
