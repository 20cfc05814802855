//! Stories of work on an operator: `wasmill dev`, names that change, and what a person at a terminal sees.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use wasmill_tests::house::{built, go_is_here};
use wasmill_tests::process::{Ended, Folder, Running, binary, ended, in_setting, until, wasmill};
use wasmill_tests::server::Server;

use crate::author::{edit, fresh, in_folder, project};

/// Reads what it writes until the line that ends a run.
fn until_run(dev: &Running, number: u32) -> String {
    let mut text = String::new();
    loop {
        let line = dev.line();
        text += &line;
        text.push('\n');
        if line.starts_with(&format!("run {number}: ")) {
            return text;
        }
    }
}

#[test]
fn each_save_builds_runs_and_shows_what_changed_until_it_is_interrupted() {
    let folder = project("developed");
    let mut dev = Running::start(&mut wasmill(&folder, &["dev"]));
    let first = until_run(&dev, 1);
    assert!(first.contains("freezing and boiling  (as expected)") && first.contains("fahrenheit: 212.0"), "{first}");
    let source = folder.join("src/lib.rs");
    edit(&source, "+ 32.0", "+ 33.0");
    let second = until_run(&dev, 2);
    for words in ["changed: ./src/lib.rs", "(not as expected", "fahrenheit: was 212.0, is 213.0", "nothing changed"] {
        assert!(second.contains(words), "no `{words}` in:\n{second}");
    }
    edit(&source, "+ 33.0", "+ thirty");
    assert!(until_run(&dev, 3).contains("not built"));
    dev.hear("cannot find value `thirty`");
    edit(&source, "+ thirty", "+ 32.0");
    assert!(until_run(&dev, 4).contains("fahrenheit: was 213.0, is 212.0"));
    dev.interrupt();
    dev.end().with_code(0);
}

#[test]
fn an_operator_in_work_is_run_on_a_sample_or_in_its_pipeline_without_touching_the_sinks() {
    let folder = project("sampled");
    fs::write(folder.join("rows.csv"), "sensor,temperature\na,100\nb,-300\n").unwrap();
    let pipeline = "\
name: p
sources:
  rows:
    file: { path: rows.csv }
    format: { csv: { columns: { sensor: utf8, temperature: float64 } } }
stages:
  f: { from: rows, plugin: ./ }
sinks:
  out: { from: f, file: { path: out/ }, format: ndjson }
dead_letters: { file: { path: dead/ } }
";
    fs::write(folder.join("pipeline.yaml"), pipeline).unwrap();
    let sampled = in_folder(&folder, &["dev", "--once", "--sample", "rows.csv", "--config", "{\"coldest\": -200}"]);
    let sampled = sampled.with_code(0).stdout;
    assert!(sampled.contains("fahrenheit: 212.0") && sampled.contains("row: 1"), "{sampled}");
    let run = in_folder(&folder, &["dev", "--once", "--pipeline", "pipeline.yaml"]).with_code(0).stdout;
    assert!(run.contains("out:\n") && run.contains("fahrenheit: 212.0") && run.contains("dead letters:\n"), "{run}");
    assert!(!folder.join("out").exists() && !folder.join("dead").exists());
    let told = in_folder(&folder, &["dev", "--once", "--sample", "rows.csv", "--output", "json"]).with_code(0).json();
    assert_eq!((&told["run"], &told["error"]), (&json!(1), &Value::Null));
    assert_eq!(told["results"][0]["changes"]["rejects"].as_array().map(Vec::len), Some(1), "{told:#}");
}

#[test]
fn an_operator_in_work_goes_into_a_running_pipeline_when_its_cases_pass_and_not_before() {
    let plugin = fresh("swapped", &["--kind", "keyed"]);
    in_folder(&plugin, &["build"]).with_code(0);
    let folder = Folder::with(&format!(
        "name: live\nsources:\n  readings:\n    file: {{ path: in.ndjson, follow: true }}\n    \
         format: {{ ndjson: {{ columns: {{ sensor: utf8, temperature: float64 }} }} }}\n\
         stages:\n  score: {{ from: readings, plugin: {}, key: sensor }}\n\
         sinks:\n  out: {{ from: score, file: {{ path: out/ }} }}\ndead_letters: {{ file: {{ path: dead/ }} }}\n",
        plugin.display()
    ));
    folder.write("in.ndjson", "{\"sensor\":\"a\",\"temperature\":1.0}\n");
    let server = Server::start(&folder);
    server.wasmill(&folder, &["apply", "pipeline.yaml"]).with_code(0);
    server.until("the row is through", "live", |pipeline| pipeline.to_string().contains("\"rows_out\":1"));
    let dev = || server.wasmill(&folder, &["dev", plugin.to_str().unwrap(), "--once", "--swap", "live/score"]);
    edit(&plugin.join("src/lib.rs"), "too cold to be true", "much too cold");
    dev().with_code(1).says(&["live/score is left as it is"]);
    edit(&plugin.join("cases.yaml"), "too cold to be true", "much too cold");
    let swapped = dev().with_code(0).stdout;
    assert!(swapped.contains("live/score runs ") && swapped.contains("0 lost, state carried (1 keys)"), "{swapped}");
}

#[test]
fn work_on_an_operator_in_go_goes_as_in_rust() {
    if !go_is_here() {
        return println!("skipped: there is no `go` on the path");
    }
    let folder = fresh("developed-in-go", &["--lang", "go"]);
    let mut dev = Running::start(&mut wasmill(&folder, &["dev"]));
    let first = until_run(&dev, 1);
    assert!(first.contains("(as expected)") && first.contains("fahrenheit: 212.0"), "{first}");
    edit(&folder.join("main.go"), "*1.8 + 32", "*1.8 + 33");
    let second = until_run(&dev, 2);
    for words in ["changed: ./main.go", "(not as expected", "fahrenheit: was 212.0, is 213.0"] {
        assert!(second.contains(words), "no `{words}` in:\n{second}");
    }
    edit(&folder.join("main.go"), "*1.8 + 33", "*1.8 + thirty");
    assert!(until_run(&dev, 3).contains("not built"));
    dev.hear("undefined: thirty");
    dev.interrupt();
    dev.end().with_code(0);
}

#[test]
fn work_that_should_end_by_itself_and_is_interrupted_has_not_succeeded() {
    let folder = project("interrupted");
    // A compiler that is never done, and ends with whoever started it.
    let compiler = "#!/bin/sh\ntouch started\nexec tail --pid=$PPID -f /dev/null\n";
    fs::write(folder.join("cargo"), compiler).unwrap();
    fs::set_permissions(folder.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = wasmill(&folder, &["dev", "--once"]);
    let dev = Running::start(command.env("WASMILL_CARGO", folder.join("cargo")));
    until("the compiler runs", || folder.join("started").exists());
    dev.interrupt();
    dev.end().with_code(130);
}

#[test]
fn an_operator_that_has_another_name_is_the_only_one_in_its_folder() {
    let folder = project("renamed");
    in_folder(&folder, &["build"]).with_code(0);
    edit(&folder.join("Cargo.toml"), "name = \"renamed\"", "name = \"named-anew\"");
    in_folder(&folder, &["build"]).with_code(0);
    let components = fs::read_dir(folder.join("target/wasmill")).unwrap();
    let mut components: Vec<_> = components.map(|entry| entry.unwrap().file_name()).collect();
    components.sort();
    let expected = ["named-anew.sources", "named-anew.wasm"];
    assert_eq!(components, expected, "a pipeline that names the folder means this one");
}

#[test]
fn a_source_that_was_saved_after_the_build_is_told_until_there_is_another() {
    let plugin = project("saved");
    let folder = Folder::with(&format!(
        "name: p\nsources:\n  rows: {{ file: {{ path: rows.ndjson }}, format: {{ ndjson: {{ columns: {{ temperature: \
         float64 }} }} }} }}\nstages:\n  convert: {{ from: rows, plugin: {} }}\nsinks:\n  \
         out: {{ from: convert, file: {{ path: out/, overwrite: true }} }}\n",
        plugin.display()
    ));
    folder.write("rows.ndjson", "{\"temperature\":1.0}\n");
    let run = |verb: &str| folder.wasmill(&[verb, "pipeline.yaml"]).with_code(0).stderr;
    let counts = || folder.wasmill(&["run", "pipeline.yaml", "--output", "json"]).counts()["warnings"].clone();
    let source = plugin.join("src/lib.rs");
    in_folder(&plugin, &["build"]).with_code(0);
    edit(&plugin.join("cases.yaml"), "freezing", "melting");
    assert!(!run("run").contains("warning") && counts() == json!([]), "the component is what would be built");

    edit(&source, "in Fahrenheit", "in degrees Fahrenheit");
    let (place, what) = ("pipeline.yaml:5:34: warning: ", "src/lib.rs has changed since the component was built");
    let todo = format!("run `wasmill build {}`", plugin.display());
    for told in [run("run"), run("validate")] {
        assert!([place, what, &todo].iter().all(|part| told.contains(part)), "{told}");
    }
    assert!(counts()[0]["message"].as_str().is_some_and(|message| message.ends_with(what)), "{}", counts());
    let server = Server::start(&folder);
    let told = server.wasmill(&folder, &["apply", "pipeline.yaml"]).with_code(0).stderr;
    assert!([place, what, &todo].iter().all(|part| told.contains(part)), "{told}");

    // What the compiler makes of a comment is the same as before.
    in_folder(&plugin, &["build"]).with_code(0);
    assert!(!run("run").contains("warning"), "it was built");
    edit(&source, "in degrees Fahrenheit", "in Fahrenheit");
    assert!(run("run").contains(what), "it was built from other sources");
}

#[test]
fn a_component_of_another_text_of_the_contract_does_not_run_and_is_told_what_to_do() {
    let section = b"wasmill:contract";
    let folder = Folder::with(
        "name: p\nsources:\n  rows: { stdin: {}, format: { ndjson: { columns: { id: int64, sensor: utf8 } } } }\n\
         stages:\n  judge: { from: rows, plugin: ./guest.wasm, key: sensor }\nsinks:\n  \
         out: { from: judge, stdout: {} }\n",
    );
    let operators = ["tests/guests/rust/judge", "examples/enrich/locate"];
    for operator in operators.iter().take(if go_is_here() { 2 } else { 1 }) {
        let mut component = fs::read(built(operator)).unwrap();
        let at = component.windows(section.len()).rposition(|bytes| bytes == section).unwrap() + section.len();
        component[at..at + 64].fill(b'0');
        folder.write("guest.wasm", component);
        let told = folder.wasmill(&["run", "pipeline.yaml"]).with_code(2);
        told.says(&["built for the contract with digest 0000", "again with the SDK that belongs to this host"]);
    }
}

/// What somebody at a terminal sees of a command; none where there is no way to make one.
fn at_a_terminal(folder: &Path, arguments: &str, environment: &[(&str, &str)]) -> Option<Ended> {
    if Command::new("script").arg("--version").output().is_err() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "there is no `script` on the path");
        return None;
    }
    let command = format!("{} {arguments}", binary().display());
    let mut script = Command::new("script");
    let script = in_setting(&mut script, folder).args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    script.env_remove("NO_COLOR").env("TERM", "xterm").envs(environment.iter().copied());
    Some(ended(script))
}

const RED: &str = "\x1b[31m";

#[test]
fn colour_and_progress_are_for_a_terminal_and_for_whoever_wants_them() {
    let folder = Folder::with("name: p\nsuorces: {}\n");
    let validate = |environment: &[(&str, &str)]| at_a_terminal(folder.path(), "validate pipeline.yaml", environment);
    let Some(seen) = validate(&[]) else { return println!("skipped: there is no `script` on the path") };
    assert!(seen.stdout.contains("\x1b[") && seen.stdout.contains("suorces"), "{:?}", seen.stdout);
    let plain = validate(&[("NO_COLOR", "1")]).unwrap().stdout;
    assert!(!plain.contains("\x1b[") && plain.contains("suorces"), "{plain:?}");
    assert!(!folder.wasmill(&["validate", "pipeline.yaml"]).stderr.contains('\x1b'), "nobody is at a terminal");

    if !go_is_here() {
        return println!("skipped the build: there is no `go` on the path");
    }
    let project = fresh("watched-in-go", &["--lang", "go"]);
    edit(&project.join("cases.yaml"), "212.0", "213.0");
    let tested = at_a_terminal(&project, "test", &[]).unwrap().with_code(1).stdout;
    assert!(tested.contains("building ") && tested.contains(RED), "{tested:?}");
    let piped = in_folder(&project, &["test"]).with_code(1);
    assert!(!piped.stderr.contains("building ") && !piped.stdout.contains('\x1b'), "{piped:?}");
}
