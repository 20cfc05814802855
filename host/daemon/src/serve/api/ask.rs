//! How requests are read and answers written: bodies within limits, revisions as ETags, work off the I/O thread.

use axum::body::{Body, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

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

/// All of a body of at most `limit` bytes.
pub(super) async fn body(body: Body, limit: u64, what: &str) -> Result<Vec<u8>, Problem> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    match to_bytes(body, most).await {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(error) if is_limit(&error) => {
            Err(Problem::too_large(format!("{what} has more than the limit of {limit} bytes")))
        }
        Err(_) => Err(Problem::malformed(format!("{what} broke off before its end"))),
    }
}

fn is_limit(error: &axum::Error) -> bool {
    use std::error::Error as _;
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.to_string().contains("length limit") {
            return true;
        }
        cause = error.source();
    }
    error.to_string().contains("length limit")
}

/// Does what waits for disks, compilers or pipelines on a thread of its own.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Problem::failed("internal error, please report it: a request panicked")))
}
