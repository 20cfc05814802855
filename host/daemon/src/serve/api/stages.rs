//! `/pipelines/{name}/stages`: the code of stages, and the rows that pass them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse as _;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::json;
use wasmill_engine::node::order::Side;
use wasmill_engine::runtime::stages::TapError;
use wasmill_wasm::COMPONENT_BYTES_WITH_RUNTIME;

use super::ask::{Answer, Asked, answer, apart, body, expected};
use crate::serve::problem::Problem;
use crate::serve::registry::Server;
use crate::serve::{rows, status};

/// Bytes of a request that is a small object.
const OBJECT_BYTES_MAX: u64 = 4 << 10;

/// Taps that are open at once: each has a thread that waits.
const TAPS_MAX: usize = 32;

/// Rows of a batch that a tap shows.
const TAPPED_ROWS: usize = 5;

/// Batches that wait for a slow reader of a tap.
const TAPPED_BATCHES: usize = 4;

/// How often a tap without rows gives a sign of life, by which a reader that is gone is noticed.
const SIGN_EVERY: Duration = Duration::from_secs(1);

/// How often a tap without rows looks whether its reader is still there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The versions of a stage's code.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Versions {
    /// Their digests, as they are written down; the last one runs.
    digests: Vec<String>,
    /// Those since the pipeline was started, with what they have done.
    versions: Vec<status::VersionOf>,
}

pub(super) async fn versions(State(server): State<Arc<Server>>, Path((name, stage)): Path<(String, String)>) -> Answer {
    apart(move || {
        let pipeline = server.find(&name)?;
        let nodes = status::whole(&pipeline).map_or_else(Vec::new, |whole| whole.nodes);
        let node = nodes.into_iter().find(|node| node.line.part == "stage" && node.line.name == stage);
        let view = pipeline.view();
        let digests = view.desired.as_ref().and_then(|desired| desired.plugins.get(&stage).cloned());
        let Some(digests) = digests else {
            return Err(Problem::unknown("unknown-stage", format!("pipeline {name} has no stage `{stage}`")));
        };
        let versions = node.map(|node| node.versions).unwrap_or_default();
        Ok(answer(&Versions { digests, versions }, None))
    })
    .await
}

/// The code that a stage shall have.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Plugin {
    /// That of a component that was uploaded.
    digest: String,
}

pub(super) async fn swap(
    State(server): State<Arc<Server>>,
    Path((name, stage)): Path<(String, String)>,
    headers: HeaderMap,
    sent: Body,
) -> Answer {
    let (expected, bytes) = (expected(&headers)?, body(sent, OBJECT_BYTES_MAX, "the request").await?);
    let plugin: Plugin = serde_json::from_slice(&bytes).map_err(|error| {
        Problem::malformed(format!("the request is `{{\"digest\": \"..\"}}`, and this is not: {error}"))
    })?;
    apart(move || {
        let swapped = server.swap(&name, &stage, &plugin.digest, expected)?;
        Ok(answer(&swapped, Some(swapped.revision)))
    })
    .await
}

pub(super) async fn back(
    State(server): State<Arc<Server>>,
    Path((name, stage)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let expected = expected(&headers)?;
    apart(move || {
        let swapped = server.back(&name, &stage, expected)?;
        Ok(answer(&swapped, Some(swapped.revision)))
    })
    .await
}

/// What a plan of a swap is about, where no code is sent.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
pub(super) struct Way {
    /// To the code before.
    #[serde(default)]
    back: bool,
}

/// What it would come to to swap to the component that is sent.
pub(super) async fn plan(
    State(server): State<Arc<Server>>,
    Path((name, stage)): Path<(String, String)>,
    Asked(way): Asked<Way>,
    headers: HeaderMap,
    sent: Body,
) -> Answer {
    let expected = expected(&headers)?;
    let bytes = body(sent, COMPONENT_BYTES_WITH_RUNTIME, "the component").await?;
    if way.back != bytes.is_empty() {
        return Err(Problem::malformed("send a component, or ask with `?back=true` and send nothing"));
    }
    apart(move || {
        let planned = server.plan_swap(&name, &stage, (!way.back).then_some(&bytes[..]), expected)?;
        Ok(answer(&planned, Some(planned.revision)))
    })
    .await
}

/// Which rows a tap shows.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
pub(super) struct Which {
    /// Those that come in, in place of those that go out.
    #[serde(default)]
    input: bool,
    /// End after so many.
    limit: Option<u64>,
}

/// A sample of the rows at a stage as they pass, as server-sent events.
pub(super) async fn tap(
    State(server): State<Arc<Server>>,
    Path((name, stage)): Path<(String, String)>,
    Asked(which): Asked<Which>,
) -> Answer {
    let Some(running) = server.find(&name)?.view().alive() else {
        return Err(Problem::conflict("not-running", format!("pipeline {name} does not run; apply it first")));
    };
    let looking = server.taps.clone();
    if Arc::strong_count(&looking) > TAPS_MAX + 1 {
        let detail = format!("{TAPS_MAX} taps are open, and that is the limit; close one");
        return Err(Problem::conflict("too-many-taps", detail));
    }
    let ((to, from), reader) = (sync_channel(TAPPED_BATCHES), Arc::new(()));
    let side = if which.input { Side::In } else { Side::Out };
    let ports = running.with(|controls| {
        controls.stages().tap(&stage, side, &to, &reader)?;
        let of = controls.graph().stages.iter().find(|of| *of.name == *stage).ok_or(TapError::Unknown)?;
        Ok::<_, TapError>(of.plan.ports.iter().map(|port| port.name.clone()).collect::<Vec<_>>())
    });
    let ports = ports.map_err(|error| match error {
        TapError::Unknown => Problem::unknown("unknown-stage", format!("pipeline {name} has no stage `{stage}`")),
        TapError::TooMany => Problem::conflict("too-many-taps", error.to_string()),
    })?;
    drop(to);
    let (send, receive) = tokio::sync::mpsc::channel::<String>(TAPPED_BATCHES * TAPPED_ROWS);
    // A thread of its own: it waits for rows for as long as somebody looks.
    tokio::task::spawn_blocking(move || {
        let _looking = (looking, reader);
        let mut left = which.limit.unwrap_or(u64::MAX);
        while left > 0 && !send.is_closed() {
            let tapped = match from.recv_timeout(LOOK_EVERY) {
                Ok(tapped) => tapped,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            for row in rows::json(&tapped.batch, TAPPED_ROWS.min(usize::try_from(left).unwrap_or(usize::MAX))) {
                left -= 1;
                let port = if which.input { None } else { ports.get(tapped.port) };
                if send.blocking_send(json!({"port": port, "row": row}).to_string()).is_err() {
                    return;
                }
            }
        }
    });
    let rows = stream::unfold(receive, async |mut receive| {
        let row = receive.recv().await?;
        Some((Ok::<_, Infallible>(Event::default().data(row)), receive))
    });
    Ok(Sse::new(rows).keep_alive(KeepAlive::new().interval(SIGN_EVERY)).into_response())
}
