//! Whether a pipeline can take the place of one that is drained for it: looked at while that one runs.
//!
//! Always true: nothing is drained for what is known to fail afterwards. What only the drain itself could show is for
//! [`super::changes`], which starts again what ran.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::task::Waker;

use wasmill_connectors::one_file;
use wasmill_engine::graph::Graph;

use super::problem::Problem;
use crate::assemble;
use crate::spec::{Connector, Spec};

/// A file by the folder that it is in, as that is on disk, and its name: the file itself may not be there.
type Place = (PathBuf, OsString);

/// That no sink would find a file in its way that it may not overwrite: one that is there, or that what runs writes
/// (its results are in `places`) and leaves behind. Touches nothing.
///
/// # Errors
/// One would.
pub(super) fn free(name: &str, (spec, graph): (&Spec, &Graph), places: &[String]) -> Result<(), Problem> {
    let left: Vec<Place> = places.iter().filter_map(|place| at(Path::new(place))).collect();
    let sinks = graph.sinks.iter().zip(&spec.sinks).map(|(of, to)| (format!("sink {}", of.name), to));
    let dead = spec.dead_letters.iter().map(|to| ("the dead letters".to_owned(), to));
    let file = |to: &Connector| one_file(&to.name, &to.config, &spec.base);
    for (what, file) in sinks.chain(dead).filter_map(|(what, to)| Some((what, file(to)?))) {
        let why = match at(&file) {
            _ if file.symlink_metadata().is_ok() => "which exists",
            Some(place) if left.contains(&place) => "which what runs now may leave behind",
            _ => continue,
        };
        let detail = format!(
            "pipeline {name} was not applied, and nothing was drained: {what} would write the single file {}, {why}; \
             set `overwrite: true`, name a folder (`path: out/`), or name another file",
            file.display()
        );
        return Err(Problem::conflict("output-exists", detail));
    }
    Ok(())
}

/// That all ends of a pipeline can be opened, which the drain changes nothing about. Makes the folders of its sinks.
///
/// # Errors
/// One cannot.
pub(super) fn openable(name: &str, spec: &Spec, graph: &Graph) -> Result<(), Problem> {
    let opened = assemble::connect(spec, graph, Waker::noop(), &|sink| sink);
    opened.map(drop).map_err(|error| {
        let detail =
            format!("pipeline {name} was not applied, and nothing was drained: it cannot be started: {error:#}");
        Problem::wrong("not-started", detail)
    })
}

/// Where a file is; none where its folder is not there.
fn at(file: &Path) -> Option<Place> {
    let folder = file.parent()?.canonicalize().ok()?;
    Some((folder, file.file_name()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::tests::good;

    /// What is said of a pipeline with such a sink in a folder where `there.ndjson` is and `running.ndjson` is written.
    fn told(folder: &Path, sink: serde_json::Value) -> Option<String> {
        let (mut spec, graph) =
            good("name: p\nsources: { s: { generator: {} } }\nsinks: { o: { from: s, stdout: } }\n");
        spec.base = folder.to_owned();
        spec.sinks = vec![Connector { name: "file".to_owned(), config: sink }];
        let places = [folder.join("running.ndjson").display().to_string(), format!("{}/out/", folder.display())];
        free("p", (&spec, &graph), &places).err().map(|problem| problem.detail().to_owned())
    }

    #[test]
    fn a_single_file_that_is_there_or_is_written_now_is_in_the_way_unless_it_may_be_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        std::fs::create_dir_all(folder.join("out")).unwrap();
        std::fs::write(folder.join("there.ndjson"), "").unwrap();
        let refused = told(folder, json!({ "path": "there.ndjson" })).unwrap();
        assert!(refused.contains("there.ndjson, which exists; set `overwrite: true`"), "{refused}");
        let refused = told(folder, json!({ "path": "out/../running.ndjson", "overwrite": false })).unwrap();
        assert!(refused.contains("which what runs now may leave behind"), "{refused}");
        for good in [
            json!({ "path": "there.ndjson", "overwrite": true }),
            json!({ "path": "running.ndjson", "overwrite": true }),
            json!({ "path": "other.ndjson" }),
            json!({ "path": "absent/running.ndjson" }),
            json!({ "path": "out/" }),
            json!({ "path": "out" }),
        ] {
            assert_eq!(told(folder, good.clone()), None, "{good}");
        }
    }
}
