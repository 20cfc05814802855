//! The loop that calls an author's function by its name.
//!
//! An author gives a function to the SDK, which calls it for each row. Go's compiler does not look into a function that
//! is given, and a call costs more in WebAssembly than what many functions do. So a build adds a file to the package,
//! by an overlay and not in the author's folder, with the loop of the SDK in which the function stands by its name: a
//! small one becomes part of it, a large one is called without a table. Where the function has no name, or is not
//! found, the SDK's own loop runs. Neighbour: [`super`] builds with the file, and without it where that does not
//! compile.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::json;

use crate::sdk::Sdk;

/// The file that is added. In what Go tells of a panic it is the `.txt` that lies beside what is built; the SDK leaves
/// its frames out.
const FILE: &str = "wasmill_by_name.go";

/// The functions of the SDK that make an operator of a function, each with a loop that calls it as `each`.
const MAKERS: [&str; 4] = ["Map", "Filter", "Transform", "Keyed"];

/// The file of the SDK with these functions.
const LOOPS: &str = "operator.go";

/// Writes the overlay for the package in `folder` beside what is built of it, and answers where it is; none where the
/// package does not give the SDK one function that has a name.
///
/// # Errors
/// A file cannot be read or written: which, and why.
pub(super) fn overlay(folder: &Path) -> Result<Option<PathBuf>, (PathBuf, io::Error)> {
    let Some(text) = text(&sources(folder)?) else { return Ok(None) };
    let built = folder.join("target/go");
    fs::create_dir_all(&built).map_err(|reason| (built.clone(), reason))?;
    // Not by a name of Go's: what walks over packages would take it for one.
    let (file, overlay) = (built.join("wasmill_by_name.txt"), built.join("overlay.json"));
    let replaced = json!({ "Replace": { folder.join(FILE).display().to_string(): file } }).to_string();
    for (path, text) in [(&file, &text), (&overlay, &replaced)] {
        fs::write(path, text).map_err(|reason| (path.clone(), reason))?;
    }
    Ok(Some(overlay))
}

/// The texts of the package's files, those of its tests left out.
fn sources(folder: &Path) -> Result<Vec<String>, (PathBuf, io::Error)> {
    let failed = |reason| (folder.to_owned(), reason);
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if super::is_source(&path.file_name().unwrap_or_default().to_string_lossy()) {
            texts.push(fs::read_to_string(&path).map_err(|reason| (path.clone(), reason))?);
        }
    }
    Ok(texts)
}

/// The file for a package of these files. It is found by its words and not by Go's grammar: at worst it does not
/// compile, or is for a function that no operator has.
fn text(sources: &[String]) -> Option<String> {
    let calls = MAKERS.iter().flat_map(|maker| {
        let call = format!("wasmill.{maker}(");
        let functions: Vec<_> = sources.iter().flat_map(|source| named_arguments(source, &call)).collect();
        functions.into_iter().map(move |function| (maker, function))
    });
    let defined = |function: &str| sources.iter().any(|source| source.contains(&format!("\nfunc {function}(")));
    let mut calls = calls.filter(|(_, function)| defined(function));
    let (maker, function) = calls.next()?;
    // A component has one operator; with more it is not known which.
    if calls.next().is_some() {
        return None;
    }
    let run = run(Sdk::Go.file(LOOPS)?, maker)?.replace("each(", &format!("{function}("));
    let head =
        "// Made by `wasmill build`, for speed: the loop of the SDK that calls the operator's function by its name.";
    Some(format!(
        "{head}\npackage main\n\nimport \"wasmill\"\n\nfunc init() {{\n\tloop := wasmill.LoopOf{maker}({function})\n\t\
         {run}\n}}\n"
    ))
}

/// The statement that sets the loop of a function of the SDK.
fn run<'s>(sdk: &'s str, maker: &str) -> Option<&'s str> {
    let (_, maker) = sdk.split_once(&format!("\nfunc {maker}["))?;
    let run = &maker[maker.find("loop.Run = func() {")?..];
    let end = "\n\t}\n";
    Some(&run[..run.find(end)? + end.len() - 1])
}

/// The names that stand alone as the first argument of a call.
fn named_arguments<'s>(source: &'s str, call: &str) -> impl Iterator<Item = &'s str> {
    source.split(call).skip(1).filter_map(|rest| {
        let rest = rest.trim_start();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        let (name, after) = rest.split_at(end);
        after.trim_start().starts_with([',', ')']).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(source: &str) -> Option<String> {
        text(&["package main\n".to_owned(), source.to_owned()])
    }

    const SCORE: &str =
        "\nfunc score(r Reading, s *Stats, cfg *Config, out *wasmill.Out[Scored]) error { return nil }\n";

    #[test]
    fn a_function_with_a_name_is_called_by_it() {
        let keyed = "func init() { keyed.Export(wasmill.Keyed(score, wasmill.Ports(\"alerts\"))) }";
        let text = made(&format!("{keyed}{SCORE}")).unwrap();
        assert!(text.contains("loop := wasmill.LoopOfKeyed(score)"), "{text}");
        assert!(text.contains("score(rows[row], own, config, out)"), "{text}");
        assert!(!text.contains("each("), "{text}");
        let map = "func init() { transform.Export(wasmill.Map(\n\tdouble,\n)) }\nfunc double(r Row) Row { return r }";
        assert!(made(map).unwrap().contains("made[row] = double(rows[row])"));
        for maker in MAKERS {
            let loop_of = made(&format!("var o = wasmill.{maker}(score){SCORE}")).unwrap();
            assert!(loop_of.contains("score(rows[row]") && loop_of.ends_with("\n\t}\n}\n"), "{loop_of}");
        }
    }

    #[test]
    fn what_has_no_name_or_more_than_one_operator_is_called_by_the_sdk() {
        assert_eq!(made("func init() { keyed.Export(wasmill.Keyed(func(r Row) error { return nil })) }"), None);
        assert_eq!(made("func init() { keyed.Export(wasmill.Keyed(elsewhere)) }"), None, "a name that is not here");
        assert_eq!(made("func init() { keyed.Export(wasmill.Keyed(rules.Score)) }\nfunc rules() {}"), None);
        assert_eq!(made("func init() { keyed.Export(wasmill.Keyed(make(3))) }\nfunc make(n int) {}"), None);
        let two = format!("var a = wasmill.Keyed(score)\nvar b = wasmill.Keyed(score){SCORE}");
        assert_eq!(made(&two), None);
    }
}
