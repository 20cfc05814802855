//! The admin API: paths and methods. What each does is in the folder beside this file, by resource.

mod ask;
#[cfg(all(test, feature = "openapi"))]
mod described;
mod pipelines;
mod plugins;
mod stages;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Router, middleware};
use serde::{Deserialize, Serialize};

use super::metrics;
use super::problem::{self, Problem};
use super::registry::Server;
use super::{guard, page};
use ask::{Answer, Asked, answer, apart};

/// The API in words for programs, as it is checked in. A test of the feature `openapi` compares it with the code.
const DESCRIPTION: &str = include_str!("../../openapi.json");

/// All paths.
pub(crate) fn router(server: Arc<Server>) -> Router {
    let api = Router::new()
        .route("/plugins", get(plugins::list).post(plugins::upload))
        .route("/plugins/{digest}", get(plugins::inspect).delete(plugins::delete))
        .route("/pipelines", get(pipelines::list))
        .route("/pipelines/{name}", get(pipelines::get).put(pipelines::apply).delete(pipelines::delete))
        .route("/pipelines/{name}/plan", post(pipelines::plan))
        .route("/pipelines/{name}/pause", post(pipelines::pause))
        .route("/pipelines/{name}/resume", post(pipelines::resume))
        .route("/pipelines/{name}/drain", post(pipelines::drain))
        .route("/pipelines/{name}/history", get(pipelines::history))
        .route("/pipelines/{name}/logs", get(pipelines::logs))
        .route("/pipelines/{name}/dead-letters", get(pipelines::dead_letters))
        .route("/pipelines/{name}/stages/{stage}/versions", get(stages::versions))
        .route("/pipelines/{name}/stages/{stage}/plugin", put(stages::swap))
        .route("/pipelines/{name}/stages/{stage}/plan", post(stages::plan))
        .route("/pipelines/{name}/stages/{stage}/back", post(stages::back))
        .route("/pipelines/{name}/stages/{stage}/tap", get(stages::tap))
        .route("/events", get(events))
        .route("/openapi.json", get(openapi));
    Router::new()
        .merge(page::router())
        .nest("/api/v1", api)
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .fallback(async || Problem::unknown("unknown-path", "there is nothing here; the API is under /api/v1"))
        .method_not_allowed_fallback(async || Problem::method())
        .layer(middleware::map_response(problem::formed))
        .layer(middleware::from_fn(guard::local))
        .with_state(server)
}

/// Reading on from a number.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
struct After {
    /// Only those with a higher number.
    #[serde(default)]
    after: u64,
    /// At most so many, the newest.
    #[serde(default = "all")]
    #[cfg_attr(feature = "openapi", param(required = false))]
    limit: usize,
    /// Of events only those of this pipeline.
    pipeline: Option<String>,
}

/// Which server this is.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct Versioned {
    /// That of wasmill.
    version: &'static str,
    /// That of the contract with operators.
    contract: &'static str,
}

fn all() -> usize {
    usize::MAX
}

async fn events(State(server): State<Arc<Server>>, Asked(after): Asked<After>) -> Answer {
    apart(move || {
        let wanted = |event: &super::journal::Event| after.pipeline.as_ref().is_none_or(|name| *name == event.pipeline);
        Ok(answer(&server.events.after(after.after, after.limit, wanted), None))
    })
    .await
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION).into_response()
}

async fn ready(State(server): State<Arc<Server>>) -> Response {
    if server.stopping.load(Ordering::SeqCst) { Problem::stopping().into_response() } else { "ok\n".into_response() }
}

async fn version() -> Response {
    answer(&Versioned { version: env!("CARGO_PKG_VERSION"), contract: wasmill_wasm::VERSION }, None)
}

async fn metrics(State(server): State<Arc<Server>>) -> Answer {
    apart(move || Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics::render(&server)).into_response()))
        .await
}
