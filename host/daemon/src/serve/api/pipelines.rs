//! `/pipelines`: what shall run, what does, and what came of it.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};

use super::After;
use super::ask::{Answer, Asked, answer, apart, body, expected};
use crate::serve::changes::Applied;
use crate::serve::problem::Problem;
use crate::serve::registry::Server;
use crate::serve::status;
use crate::spec::FILE_BYTES_MAX;

pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer {
    apart(move || {
        let all: Vec<_> = server.all().iter().filter_map(|pipeline| status::short(pipeline)).collect();
        Ok(answer(&all, None))
    })
    .await
}

pub(super) async fn get(State(server): State<Arc<Server>>, Path(name): Path<String>) -> Answer {
    apart(move || {
        let whole = status::whole(&*server.find(&name)?);
        let whole =
            whole.ok_or_else(|| Problem::unknown("unknown-pipeline", format!("pipeline {name} was deleted")))?;
        let revision = whole.short.revision;
        Ok(answer(&whole, Some(revision)))
    })
    .await
}

/// How a file is to be read.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
pub(super) struct File {
    /// Its name, for messages.
    #[serde(default = "nameless")]
    #[cfg_attr(feature = "openapi", param(required = false))]
    file: String,
    /// Where relative paths in it start; absolute.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    base: Option<PathBuf>,
    /// Whether a pipeline that cannot be changed while it runs is drained and started anew.
    #[serde(default)]
    replace: bool,
}

fn nameless() -> String {
    "pipeline.yaml".to_owned()
}

async fn applied(file: File, sent: Body) -> Result<Applied, Problem> {
    let bytes = body(sent, FILE_BYTES_MAX as u64, "the pipeline file").await?;
    let text = str::from_utf8(&bytes).map_err(|_| Problem::malformed("the pipeline file is not UTF-8"))?.to_owned();
    let File { file, base, replace } = file;
    let base = base.unwrap_or_else(|| PathBuf::from("/"));
    if !base.is_absolute() {
        return Err(Problem::malformed(format!("`base` is an absolute path, not `{}`", base.display())));
    }
    Ok(Applied { file, base, text, replace })
}

pub(super) async fn apply(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    Asked(file): Asked<File>,
    headers: HeaderMap,
    sent: Body,
) -> Answer {
    let (expected, applied) = (expected(&headers)?, applied(file, sent).await?);
    apart(move || {
        let planned = server.apply(&name, applied, expected, false)?;
        Ok(answer(&planned, Some(planned.revision)))
    })
    .await
}

pub(super) async fn plan(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    Asked(file): Asked<File>,
    headers: HeaderMap,
    sent: Body,
) -> Answer {
    let (expected, applied) = (expected(&headers)?, applied(file, sent).await?);
    apart(move || {
        let planned = server.apply(&name, applied, expected, true)?;
        Ok(answer(&planned, Some(planned.revision)))
    })
    .await
}

/// A pipeline that was changed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Revised {
    pipeline: String,
    revision: u64,
}

pub(super) async fn pause(State(server): State<Arc<Server>>, Path(name): Path<String>, headers: HeaderMap) -> Answer {
    rest(server, name, true, &headers).await
}

pub(super) async fn resume(State(server): State<Arc<Server>>, Path(name): Path<String>, headers: HeaderMap) -> Answer {
    rest(server, name, false, &headers).await
}

async fn rest(server: Arc<Server>, name: String, rest: bool, headers: &HeaderMap) -> Answer {
    let expected = expected(headers)?;
    apart(move || {
        let revision = server.rest(&name, rest, expected)?;
        Ok(answer(&Revised { pipeline: name, revision }, Some(revision)))
    })
    .await
}

pub(super) async fn drain(State(server): State<Arc<Server>>, Path(name): Path<String>, headers: HeaderMap) -> Answer {
    let expected = expected(&headers)?;
    apart(move || {
        let revision = server.drain(&name, expected)?;
        Ok(answer(&Revised { pipeline: name, revision }, Some(revision)))
    })
    .await
}

/// How a pipeline is removed.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
pub(super) struct Removal {
    /// End it at once in place of draining it.
    #[serde(default)]
    abandon: bool,
}

pub(super) async fn delete(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    Asked(removal): Asked<Removal>,
    headers: HeaderMap,
) -> Answer {
    let expected = expected(&headers)?;
    apart(move || {
        server.delete(&name, removal.abandon, expected)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

/// Samples after a time.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
pub(super) struct Since {
    /// Only those that ended after that time, in milliseconds since 1970.
    #[serde(default)]
    after_ms: u64,
}

pub(super) async fn history(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    Asked(since): Asked<Since>,
) -> Answer {
    apart(move || {
        let samples = server.find(&name)?.view().history.after(since.after_ms);
        Ok(answer(&samples, None))
    })
    .await
}

pub(super) async fn logs(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    Asked(after): Asked<After>,
) -> Answer {
    apart(move || {
        let lines = server.find(&name)?.lines.clone();
        Ok(answer(&lines.after(after.after, after.limit, |_| true), None))
    })
    .await
}

pub(super) async fn dead_letters(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    Asked(after): Asked<After>,
) -> Answer {
    apart(move || {
        let letters = server.find(&name)?.view().letters.clone();
        Ok(answer(&letters.after(after.after, after.limit, |_| true), None))
    })
    .await
}
