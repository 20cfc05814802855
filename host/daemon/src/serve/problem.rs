//! What the admin API says when it does not do what it was asked: `application/problem+json`, with what is wrong,
//! where, and what to do.

use std::io::ErrorKind;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use super::disk::DiskError;
use crate::spec::Diagnostics;

/// The form of all refusals.
const CONTENT_TYPE: &str = "application/problem+json";

/// Bytes of a reason that is not ours.
const REASON_BYTES_MAX: usize = 4 << 10;

/// A refusal.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Problem {
    /// A word for scripts: `unknown-pipeline`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status of the answer.
    status: u16,
    /// What is wrong, where, and what to do, a sentence.
    detail: String,
    /// For a pipeline file, all that is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostics: Option<Value>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    rendered: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, status: status.as_u16(), detail: detail.into(), diagnostics: None, rendered: None }
    }

    /// What is wrong, where, and what to do.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// 400: the request makes no sense.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// 403: not from here.
    pub(crate) fn foreign(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "foreign", detail)
    }

    /// 404: there is no such thing.
    pub(crate) fn unknown(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, kind, detail)
    }

    /// 405: not with this method.
    pub(crate) fn method() -> Self {
        let detail = "this path does not take this method; `allow` in the head of this answer has those that it takes";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "other-method", detail)
    }

    /// 408: it did not come in time.
    pub(crate) fn slow(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow", detail)
    }

    /// 409: not in this state.
    pub(crate) fn conflict(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, kind, detail)
    }

    /// 412: somebody else was first.
    pub(crate) fn stale(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "stale", detail)
    }

    /// 413: more than a body may have.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    /// 422: what was sent is wrong.
    pub(crate) fn wrong(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, kind, detail)
    }

    /// 422 with places in the file.
    pub(crate) fn diagnosed(wrong: &Diagnostics) -> Self {
        let (count, end) = (wrong.errors(), if wrong.errors() == 1 { "" } else { "s" });
        let detail = format!("{} is not valid: {count} error{end}; mend it and apply it again", wrong.file);
        let diagnostics = serde_json::to_value(&wrong.diagnostics).ok();
        let rendered = Some(wrong.render(false));
        Self { diagnostics, rendered, ..Self::wrong("invalid-pipeline", detail) }
    }

    /// 500: our own fault, or the machine's.
    pub(crate) fn failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", detail)
    }

    /// The word for scripts.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// The same after a sentence about what was done nevertheless.
    pub(crate) fn after(self, sentence: &str) -> Self {
        Self { detail: format!("{sentence}: {}", self.detail), ..self }
    }

    /// 503: too much at once.
    pub(crate) fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-changes", detail)
    }

    /// 503: more is being sent than there is room for.
    pub(crate) fn crowded(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-bytes", detail)
    }

    /// 503: the server is on its way down.
    pub(crate) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping; try again when it is back")
    }
}

impl From<DiskError> for Problem {
    fn from(error: DiskError) -> Self {
        let full = |reason: &std::io::Error| matches!(reason.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        match &error {
            DiskError::File { reason, .. } if full(reason) => {
                let detail = format!("{error}; free space there and try again");
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", detail)
            }
            _ => Self::failed(error.to_string()),
        }
    }
}

/// What was refused before any code of ours saw it, in the form of all refusals.
pub(crate) async fn formed(response: Response) -> Response {
    let status = response.status();
    let told = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == CONTENT_TYPE);
    if told || !status.is_client_error() {
        return response;
    }
    let text = axum::body::to_bytes(response.into_body(), REASON_BYTES_MAX).await.unwrap_or_default();
    Problem::new(status, "malformed", String::from_utf8_lossy(&text)).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).expect("texts and numbers can always be written as JSON");
        (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response()
    }
}
