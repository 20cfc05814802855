//! `/plugins`: components by their digests.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde_json::{Value, json};
use wasmill_wasm::{COMPONENT_BYTES_WITH_RUNTIME, Info};

use super::ask::{Answer, answer, apart, body};
use crate::serve::problem::Problem;
use crate::serve::registry::Server;
use crate::serve::step::{Step, reach};

fn shown(info: &Info) -> Value {
    json!({
        "digest": info.digest, "kind": info.kind.to_string(), "size_bytes": info.size_bytes, "imports": info.imports,
    })
}

pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer {
    apart(move || {
        let plugins = server.disk.plugins()?.into_iter();
        let used = |digest: &str| server.users(digest);
        let plugins: Vec<Value> = plugins
            .map(|(digest, bytes)| json!({"digest": digest, "size_bytes": bytes, "used_by": used(&digest)}))
            .collect();
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
        let kept = server.disk.keep_plugin(&info.digest, &bytes);
        kept.map_err(|error| Problem::from(error).after("the component was not kept"))?;
        server.pins.claim(&info.digest);
        reach(Step::Done);
        server.compiled.keep(&component);
        Ok((StatusCode::CREATED, answer(&shown(info), None)).into_response())
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
        let mut shown = shown(&info.map_err(|error| Problem::failed(error.to_string()))?);
        shown["used_by"] = server.users(&digest).into();
        Ok(answer(&shown, None))
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
