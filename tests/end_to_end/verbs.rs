//! Stories of the verbs that do not run a pipeline, and of exit codes.

use std::io::pipe;
use std::process::Stdio;

use wasmill_tests::process::{Folder, wasmill};

use crate::guests::passing;

const PIPELINE: &str = "\
name: drawn
sources:
  rows: { file: { path: \"a<b>&.ndjson\" }, format: { ndjson: { columns: { n: int64 } } } }
stages:
  pass: { from: rows, plugin: ./guest.wasm }
sinks:
  out: { from: pass, file: { path: out/ } }
  too: { from: [pass, rows], stdout: {} }
dead_letters: { file: { path: dead/ } }
";

fn folder() -> Folder {
    let folder = Folder::with(PIPELINE);
    folder.write("guest.wasm", passing());
    folder
}

/// What is wrong with a text as XML: elements that do not close, characters that must be escaped.
fn misformed(xml: &str) -> Option<String> {
    let mut open = Vec::new();
    for tag in xml.split('<').skip(1) {
        let Some((tag, text)) = tag.split_once('>') else { return Some(format!("`<{tag}` has no end")) };
        if text.contains('>') || text.split('&').skip(1).any(|rest| !rest.split(' ').any(|word| word.contains(';'))) {
            return Some(format!("`{text}` is not escaped"));
        }
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next()?;
        if tag.starts_with(['?', '!']) || tag.ends_with('/') {
            continue;
        }
        if !tag.starts_with('/') {
            open.push(name);
        } else if open.pop() != Some(name) {
            return Some(format!("`</{name}>` closes another element"));
        }
        if tag.matches('"').count() % 2 != 0 {
            return Some(format!("`{tag}` has half a value"));
        }
    }
    open.pop().map(|name| format!("`<{name}>` is not closed"))
}

#[test]
fn a_graph_is_drawn_with_every_part_of_the_pipeline() {
    let folder = folder();
    let text = folder.wasmill(&["graph", "pipeline.yaml"]).with_code(0).stdout;
    let ascii = folder.wasmill(&["graph", "pipeline.yaml", "--ascii"]).with_code(0).stdout;
    let svg = folder.wasmill(&["graph", "pipeline.yaml", "--svg"]).with_code(0).stdout;
    for name in ["drawn", "rows", "pass", "./guest.wasm", "out", "too", "dead letters"] {
        assert!([&text, &ascii, &svg].iter().all(|drawing| drawing.contains(name)), "`{name}` is missing in:\n{text}");
    }
    assert!(ascii.is_ascii());
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    assert_eq!(misformed(&svg), None);
    assert!(svg.contains("a&lt;b&gt;&amp;.ndjson"), "what a pipeline says is escaped");
}

#[test]
fn a_plugin_is_inspected_before_it_runs() {
    let folder = folder();
    let inspect = ["plugin", "inspect", "guest.wasm", "--output", "json"];
    let facts = folder.wasmill(&inspect).with_code(0).json();
    assert_eq!((&facts["kind"], &facts["size_bytes"]), (&"transform".into(), &passing().len().into()));
    assert_eq!(facts["digest"].as_str().map(str::len), Some(64), "SHA-256 in hex");
    assert!(facts["imports"].to_string().contains("wasmill:operator/log@0.1.0"), "{facts:#}");
    assert!(facts["exports"].to_string().contains("wasmill:operator/transform@0.1.0"), "{facts:#}");
    assert!(facts.get("reads").is_none(), "an operator declares what it reads when it is opened");
}

#[test]
fn a_valid_pipeline_is_counted() {
    let folder = folder();
    let told = folder.wasmill(&["validate", "pipeline.yaml", "--output", "json"]).with_code(0).json();
    let counts = ["sources", "stages", "sinks"].map(|part| told[part].as_u64().unwrap());
    assert_eq!((&told["pipeline"], &told["valid"], counts), (&"drawn".into(), &true.into(), [1, 1, 2]));
    assert!(folder.names("out").is_empty() && folder.names("dead").is_empty(), "nothing is opened");
    let text = folder.wasmill(&["validate", "pipeline.yaml"]).with_code(0).stdout;
    assert_eq!(text, "pipeline.yaml is valid: 1 source, 1 stage, 2 sinks\n");
}

#[test]
fn generated_events_are_the_same_every_time_and_others_with_another_seed() {
    let folder = Folder::new();
    let generate = |what: &str, seed: &str| {
        folder.wasmill(&["generate", what, "--events", "1000", "--seed", seed]).with_code(0).stdout
    };
    for what in ["nexmark", "bids", "sensors"] {
        let once = generate(what, "1");
        assert_eq!(wasmill_tests::process::rows(&once).len(), 1_000);
        assert!(once == generate(what, "1") && once != generate(what, "2"), "{what}");
    }
}

/// The verbs that a verb's help lists.
fn verbs_below(help: &str) -> Vec<String> {
    let listed = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let lines = listed.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_verb_has_help_with_examples_completion_and_a_manual_page() {
    let folder = Folder::new();
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    let mut all = Vec::new();
    while let Some(verb) = open.pop() {
        let words: Vec<&str> = verb.iter().map(String::as_str).chain(["--help"]).collect();
        let help = folder.wasmill(&words).with_code(0).stdout;
        assert!(help.contains("\nExamples:\n  wasmill "), "`wasmill {}` has no examples:\n{help}", words.join(" "));
        open.extend(verbs_below(&help).into_iter().map(|inner| [verb.clone(), vec![inner]].concat()));
        all.push(verb);
    }
    assert!(all.contains(&vec!["new".to_owned(), "plugin".to_owned()]), "{all:?}");

    folder.wasmill(&["man", "pages"]).with_code(0);
    let pages = folder.names("pages");
    for shell in ["bash", "zsh", "fish"] {
        let script = folder.wasmill(&["completion", shell]).with_code(0).stdout;
        let last = all.iter().filter_map(|verb| verb.last());
        last.for_each(|name| assert!(script.contains(name.as_str()), "{shell} does not know `{name}`"));
    }
    for verb in &all {
        let page = [vec!["wasmill".to_owned()], verb.clone()].concat().join("-") + ".1";
        assert!(pages.contains(&page), "no {page} in {pages:?}");
        let text = std::fs::read_to_string(folder.path().join("pages").join(&page)).unwrap();
        assert!(text.contains("Examples:") && text.contains("wasmill "), "{page} has no examples:\n{text}");
    }
    assert_eq!(pages.len(), all.len());
}

#[test]
fn the_exit_code_tells_a_wrong_command_from_work_that_failed() {
    let folder = folder();
    let code = |arguments: &[&str]| folder.wasmill(arguments).code;
    assert_eq!(code(&["validate", "pipeline.yaml"]), Some(0));
    assert_eq!(code(&["--version"]), Some(0));
    assert_eq!(code(&["run", "pipeline.yaml"]), Some(1), "its input is not there");
    assert_eq!(code(&["build", "."]), Some(1), "there is nothing to build");
    let wrong: [&[&str]; 7] = [
        &[],
        &["runn"],
        &["run"],
        &["run", "absent.yaml"],
        &["validate", "guest.wasm"],
        &["plugin", "inspect", "absent.wasm"],
        &["generate", "bids", "--events", "-1"],
    ];
    for arguments in wrong {
        assert_eq!(code(arguments), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_a_verb_without_a_word() {
    let (folder, (reader, writer)) = (folder(), pipe().unwrap());
    drop(reader);
    let mut command = wasmill(folder.path(), &["graph", "pipeline.yaml"]);
    let ended = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!((ended.status.code(), &*String::from_utf8_lossy(&ended.stderr)), (Some(141), ""));
}
