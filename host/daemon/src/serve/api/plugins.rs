//! `/plugins`: components by their digests.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde::Serialize;
use wasmill_wasm::{COMPONENT_BYTES_WITH_RUNTIME, Info};

use super::ask::{Answer, answer, apart, body};
use crate::serve::problem::Problem;
use crate::serve::registry::Server;
use crate::serve::step::{Step, reach};

/// A component in a list.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Kept {
    digest: String,
    size_bytes: u64,
    /// Pipelines of whose stages it is a version.
    used_by: Vec<String>,
}

/// A component.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Shown {
    digest: String,
    /// The kind of operator in it.
    kind: String,
    size_bytes: u64,
    /// What it asks of the host.
    imports: Vec<String>,
    /// Pipelines of whose stages it is a version; told when it is inspected.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_by: Option<Vec<String>>,
}

fn shown(info: &Info, used_by: Option<Vec<String>>) -> Shown {
    let (digest, kind, imports) = (info.digest.clone(), info.kind.to_string(), info.imports.clone());
    Shown { digest, kind, size_bytes: info.size_bytes, imports, used_by }
}

pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer {
    apart(move || {
        let plugins = server.disk.plugins()?.into_iter();
        let used = |digest: &str| server.users(digest);
        let plugins: Vec<Kept> =
            plugins.map(|(digest, size_bytes)| Kept { used_by: used(&digest), digest, size_bytes }).collect();
        Ok(answer(&plugins, None))
    })
    .await
}

/// Takes a component, and compiles it, so that what uses it need not wait.
pub(super) async fn upload(State(server): State<Arc<Server>>, sent: Body) -> Answer {
    let bytes = body(sent, COMPONENT_BYTES_WITH_RUNTIME, "the component").await?;
    apart(move || {
        let engine = server.world.engine().map_err(Problem::failed)?;
        let component = engine.load(&bytes);
        let component = component.map_err(|error| Problem::wrong("unusable-plugin", error.to_string()))?;
        let info = component.info();
        let keep = || server.disk.keep_plugin(&info.digest, &bytes);
        let kept = server.pins.upload(&server.disk, &info.digest, keep);
        kept.map_err(|error| Problem::from(error).after("the component was not kept"))?;
        reach(Step::Done);
        server.compiled.keep(&component);
        Ok((StatusCode::CREATED, answer(&shown(info, None), None)).into_response())
    })
    .await
}

fn unknown(digest: &str) -> Problem {
    Problem::unknown("unknown-plugin", format!("there is no plugin of digest `{digest}` here"))
}

pub(super) async fn inspect(State(server): State<Arc<Server>>, Path(digest): Path<String>) -> Answer {
    apart(move || {
        let bytes = server.disk.plugin(&digest)?.ok_or_else(|| unknown(&digest))?;
        let limits = *server.world.engine().map_err(Problem::failed)?.limits();
        let info = wasmill_wasm::inspect(&bytes, &limits);
        let info = info.map_err(|error| Problem::failed(error.to_string()))?;
        Ok(answer(&shown(&info, Some(server.users(&digest))), None))
    })
    .await
}

pub(super) async fn delete(State(server): State<Arc<Server>>, Path(digest): Path<String>) -> Answer {
    apart(move || {
        server.delete_plugin(&digest)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}
