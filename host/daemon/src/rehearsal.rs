//! A pipeline from end to end with its own sources, and with sinks that nobody else sees.
//!
//! Always true: what the pipeline's sinks name is neither opened nor touched. Neighbours: [`crate::assemble`] opens
//! what is left, [`crate::driver`] runs it, the verb `dev` shows what came out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Waker;
use std::{fs, io};

use serde_json::{Value, json};

use crate::assemble::{self, World};
use crate::cases::Outcome;
use crate::driver::{self, Bell, Wishes};
use crate::row::{Item, Row};
use crate::spec::{Connector, Diagnostics};

/// The dead letters among the sinks.
const DEAD: &str = "dead letters";

/// Runs a pipeline until its input ends; answers the rows of each sink, the dead letters last, or why it did not run.
///
/// # Errors
/// What is wrong with its file.
pub(crate) fn run(pipeline: &Path, world: &World) -> Result<Result<Outcome, String>, Diagnostics> {
    let (mut spec, graph) = assemble::load(pipeline, world)?;
    let made = || -> anyhow::Result<Outcome> {
        let folder = tempfile::tempdir()?;
        let aside = |name: &str| {
            let path = folder.path().join(name);
            Connector { name: "file".to_owned(), config: json!({ "path": path, "overwrite": true }) }
        };
        let names: Vec<String> = graph.sinks.iter().map(|sink| sink.name.to_string()).collect();
        spec.sinks = names.iter().map(|name| aside(name)).collect();
        spec.dead_letters = spec.dead_letters.is_some().then(|| aside(DEAD));
        let bell = Arc::new(Bell::default());
        let assembled = assemble::open(&spec, graph, &Waker::from(bell.clone()), &|sink| sink)?;
        anyhow::ensure!(!assembled.endless, "its input has no end that is known; name a sample, `--sample FILE`");
        let wishes = Wishes { stop: Arc::new(AtomicBool::new(false)), commit_every: None };
        driver::run(assembled.runtime, bell, &wishes, |_| {})?;
        let dead = spec.dead_letters.is_some().then(|| DEAD.to_owned());
        let rows = |name: String| Ok((rows(&folder.path().join(&name))?, name));
        let ports: io::Result<Vec<(Vec<Row>, String)>> = names.into_iter().chain(dead).map(rows).collect();
        let ports = ports?.into_iter().map(|(rows, name)| (name, rows)).collect();
        Ok(Outcome { ports, ..Outcome::default() })
    };
    Ok(made().map_err(|error| format!("{error:#}")))
}

/// The rows that a sink wrote; what is no JSON is one column, `line`.
fn rows(file: &Path) -> io::Result<Vec<Row>> {
    let text = match fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let row = |line: &str| match serde_json::from_str(line) {
        // When a record was given up differs from run to run.
        Ok(Item::Object(entries)) if file.ends_with(DEAD) => {
            Row::of(entries.into_iter().filter(|(name, _)| name != "at" && name != "component").collect())
        }
        Ok(Item::Object(entries)) => Row::of(entries),
        _ => Row(vec![("line".to_owned(), Value::from(line))]),
    };
    Ok(text.lines().map(row).collect())
}
