//! The API in words for programs: each path with what it takes and answers, made of the types that are really sent.
//!
//! Only tests are made with this, and the feature `openapi`: what a server gives away is the file that is checked in.
//! Always true: that file is what stands here, and every path of the router stands here and no other.
#![expect(dead_code, reason = "a path is described by a function that nobody calls")]

use utoipa::OpenApi as _;

use super::pipelines::{File, Removal, Revised, Since};
use super::plugins::{Kept, Shown};
use super::stages::{Plugin, Versions, Way, Which};
use super::{After, Versioned};
use crate::serve::history::Sample;
use crate::serve::journal::{Event, Letter, Line, Numbered};
use crate::serve::planned::Planned;
use crate::serve::problem::Problem;
use crate::serve::status::{Short, Whole};
use crate::serve::swap::Swapped;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "wasmill admin API",
        description = "Many pipelines in one process, and an operator swapped while rows flow.",
        version = "1",
        contact()
    ),
    paths(
        list_plugins,
        upload_plugin,
        inspect_plugin,
        delete_plugin,
        list_pipelines,
        get_pipeline,
        apply_pipeline,
        delete_pipeline,
        plan_pipeline,
        pause_pipeline,
        resume_pipeline,
        drain_pipeline,
        pipeline_history,
        pipeline_logs,
        dead_letters,
        stage_versions,
        swap_stage,
        plan_swap,
        swap_back,
        tap_stage,
        events,
        openapi,
        alive,
        ready,
        version,
        metrics,
    )
)]
struct Described;

/// Components that the server has.
#[utoipa::path(
    get,
    path = "/api/v1/plugins",
    tag = "plugins",
    responses(
        (status = 200, body = [Kept], description = "All of them."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn list_plugins() {}

/// Takes a component, and compiles it.
#[utoipa::path(
    post,
    path = "/api/v1/plugins",
    tag = "plugins",
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "The component."),
    responses(
        (status = 201, body = Shown, description = "It is kept."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn upload_plugin() {}

/// What a component is.
#[utoipa::path(
    get,
    path = "/api/v1/plugins/{digest}",
    tag = "plugins",
    params(
        ("digest" = String, Path, description = "SHA-256 of the component, in hex.")
    ),
    responses(
        (status = 200, body = Shown, description = "It, and who uses it."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn inspect_plugin() {}

/// Removes a component that nobody uses.
#[utoipa::path(
    delete,
    path = "/api/v1/plugins/{digest}",
    tag = "plugins",
    params(
        ("digest" = String, Path, description = "SHA-256 of the component, in hex.")
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn delete_plugin() {}

/// All pipelines.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines",
    tag = "pipelines",
    responses(
        (status = 200, body = [Short], description = "In the order of their names."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn list_pipelines() {}

/// A pipeline: what it shall be, and what it does.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}",
    tag = "pipelines",
    params(
        ("name" = String, Path, description = "The pipeline.")
    ),
    responses(
        (status = 200, body = Whole, description = "Its revision is its ETag."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn get_pipeline() {}

/// Makes a pipeline what a file says.
#[utoipa::path(
    put,
    path = "/api/v1/pipelines/{name}",
    tag = "pipelines",
    params(
        ("name" = String, Path, description = "The pipeline."),
        File,
        ("If-Match" = Option<String>, Header, description = "The ETag that was seen; 412 if it is another.")
    ),
    request_body(content = String, content_type = "application/yaml", description = "The pipeline file."),
    responses(
        (status = 200, body = Planned, description = "What was done."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn apply_pipeline() {}

/// Removes a pipeline, drained first.
#[utoipa::path(
    delete,
    path = "/api/v1/pipelines/{name}",
    tag = "pipelines",
    params(
        ("name" = String, Path, description = "The pipeline."),
        Removal,
        ("If-Match" = Option<String>, Header, description = "The ETag that was seen; 412 if it is another.")
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn delete_pipeline() {}

/// What an apply of a file would do; nothing is done.
#[utoipa::path(
    post,
    path = "/api/v1/pipelines/{name}/plan",
    tag = "pipelines",
    params(
        ("name" = String, Path, description = "The pipeline."),
        File,
        ("If-Match" = Option<String>, Header, description = "The ETag that was seen; 412 if it is another.")
    ),
    request_body(content = String, content_type = "application/yaml", description = "The pipeline file."),
    responses(
        (status = 200, body = Planned, description = "What would be done."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn plan_pipeline() {}

/// Lets the sources of a pipeline read nothing for now.
#[utoipa::path(
    post,
    path = "/api/v1/pipelines/{name}/pause",
    tag = "pipelines",
    params(
        ("name" = String, Path, description = "The pipeline."),
        ("If-Match" = Option<String>, Header, description = "The ETag that was seen; 412 if it is another.")
    ),
    responses(
        (status = 200, body = Revised, description = "They rest."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn pause_pipeline() {}

/// Lets them read again.
#[utoipa::path(
    post,
    path = "/api/v1/pipelines/{name}/resume",
    tag = "pipelines",
    params(
        ("name" = String, Path, description = "The pipeline."),
        ("If-Match" = Option<String>, Header, description = "The ETag that was seen; 412 if it is another.")
    ),
    responses(
        (status = 200, body = Revised, description = "They read."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn resume_pipeline() {}

/// Ends a pipeline in order: what was read is committed.
#[utoipa::path(
    post,
    path = "/api/v1/pipelines/{name}/drain",
    tag = "pipelines",
    params(
        ("name" = String, Path, description = "The pipeline."),
        ("If-Match" = Option<String>, Header, description = "The ETag that was seen; 412 if it is another.")
    ),
    responses(
        (status = 200, body = Revised, description = "It is done."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn drain_pipeline() {}

/// Rates of each second of the last five minutes.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}/history",
    tag = "pipelines",
    params(
        ("name" = String, Path, description = "The pipeline."),
        Since
    ),
    responses(
        (status = 200, body = [Sample], description = "Oldest first."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn pipeline_history() {}

/// What the operators of a pipeline have logged.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}/logs",
    tag = "pipelines",
    params(
        ("name" = String, Path, description = "The pipeline."),
        After
    ),
    responses(
        (status = 200, body = [Numbered<Line>], description = "Oldest first."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn pipeline_logs() {}

/// The last dead letters of a pipeline.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}/dead-letters",
    tag = "pipelines",
    params(
        ("name" = String, Path, description = "The pipeline."),
        After
    ),
    responses(
        (status = 200, body = [Numbered<Letter>], description = "Oldest first."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn dead_letters() {}

/// The versions of the code of a stage.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}/stages/{stage}/versions",
    tag = "stages",
    params(
        ("name" = String, Path, description = "The pipeline."),
        ("stage" = String, Path, description = "The stage.")
    ),
    responses(
        (status = 200, body = Versions, description = "Oldest first."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn stage_versions() {}

/// Puts other code into a stage while rows flow.
#[utoipa::path(
    put,
    path = "/api/v1/pipelines/{name}/stages/{stage}/plugin",
    tag = "stages",
    params(
        ("name" = String, Path, description = "The pipeline."),
        ("stage" = String, Path, description = "The stage."),
        ("If-Match" = Option<String>, Header, description = "The ETag that was seen; 412 if it is another.")
    ),
    request_body(content = Plugin),
    responses(
        (status = 200, body = Swapped, description = "It works with that code."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn swap_stage() {}

/// What a swap to this code would do; nothing is done.
#[utoipa::path(
    post,
    path = "/api/v1/pipelines/{name}/stages/{stage}/plan",
    tag = "stages",
    params(
        ("name" = String, Path, description = "The pipeline."),
        ("stage" = String, Path, description = "The stage."),
        Way,
        ("If-Match" = Option<String>, Header, description = "The ETag that was seen; 412 if it is another.")
    ),
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "The component."),
    responses(
        (status = 200, body = Planned, description = "What would be done."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn plan_swap() {}

/// Puts the code before back into a stage.
#[utoipa::path(
    post,
    path = "/api/v1/pipelines/{name}/stages/{stage}/back",
    tag = "stages",
    params(
        ("name" = String, Path, description = "The pipeline."),
        ("stage" = String, Path, description = "The stage."),
        ("If-Match" = Option<String>, Header, description = "The ETag that was seen; 412 if it is another.")
    ),
    responses(
        (status = 200, body = Swapped, description = "It works with that code."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn swap_back() {}

/// A sample of the rows at a stage, as they pass.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}/stages/{stage}/tap",
    tag = "stages",
    params(
        ("name" = String, Path, description = "The pipeline."),
        ("stage" = String, Path, description = "The stage."),
        Which
    ),
    responses(
        (status = 200, body = String, content_type = "text/event-stream", description = "Objects of `port`, `row`."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn tap_stage() {}

/// What happened on the server.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "server",
    params(
        After
    ),
    responses(
        (status = 200, body = [Numbered<Event>], description = "Oldest first."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn events() {}

/// This description.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "server",
    responses(
        (status = 200, description = "OpenAPI."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn openapi() {}

/// Whether the server answers.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "server",
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "It does."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn alive() {}

/// Whether the server takes changes.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "server",
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "It does."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn ready() {}

/// Which server this is.
#[utoipa::path(
    get,
    path = "/version",
    tag = "server",
    responses(
        (status = 200, body = Versioned, description = "This one."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn version() {}

/// All counts.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "server",
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "The text format of Prometheus."),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "It is not done.")
    )
)]
fn metrics() {}

/// Where it is checked in: what a server gives away is this file.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

#[test]
fn the_description_that_is_checked_in_is_what_the_code_gives() {
    let given = Described::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("WASMILL_WRITE_OPENAPI").is_some() {
        std::fs::write(FILE, &given).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(FILE).unwrap();
    let differs = given.lines().zip(kept.lines()).find(|(given, kept)| given != kept);
    assert!(
        given == kept,
        "{FILE} is not what the code gives ({differs:?}); look at what changes for those who use the API, and write it \
         anew: WASMILL_WRITE_OPENAPI=1 cargo test --release --workspace --features wasmill-daemon/openapi described"
    );
}

#[test]
fn every_path_of_the_router_is_described_and_no_other() {
    let mut described: Vec<String> = Vec::new();
    let whole = serde_json::to_value(Described::openapi()).unwrap();
    for (path, operations) in whole["paths"].as_object().unwrap() {
        described.extend(operations.as_object().unwrap().keys().map(|method| format!("{method} {path}")));
    }
    // A router does not tell what it has: its code does.
    let mut routed: Vec<String> = Vec::new();
    let (api, server) = include_str!("../api.rs").split_once(".merge(page::router())").unwrap();
    for (code, prefix) in [(api, "/api/v1"), (server, "")] {
        for route in code.split(".route(\"").skip(1) {
            let (path, handlers) = route.split_once('"').unwrap();
            let handlers = handlers.lines().next().unwrap();
            let methods = ["get", "put", "post", "delete", "patch"].into_iter();
            let taken = methods.filter(|method| {
                [format!(" {method}("), format!(".{method}(")].iter().any(|call| handlers.contains(call))
            });
            routed.extend(taken.map(|method| format!("{method} {prefix}{path}")));
        }
    }
    described.sort();
    routed.sort();
    assert!(routed.len() > 20, "{routed:?}");
    assert_eq!(described, routed);
}
