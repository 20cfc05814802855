//! Stories of somebody who writes an operator: a new project, its cases, and work on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use wasmill_tests::house::{go_is_here, house};
use wasmill_tests::process::{Ended, Folder, ended, in_setting, kept, wasmill};

use crate::guests::passing;

/// A new operator whose SDK is the repository's, which is compiled for other tests too.
pub(crate) fn project(name: &str) -> PathBuf {
    let folder = fresh(name, &[]);
    let sdk = house().join("sdk/rust");
    edit(&folder.join("Cargo.toml"), ".wasmill/sdk/rust", sdk.to_str().unwrap());
    drop(fs::remove_dir_all(folder.join(".wasmill")));
    folder
}

/// A new operator, by `wasmill new`, in a place that is the same from run to run, so that what was compiled of it is
/// still good.
pub(crate) fn fresh(name: &str, arguments: &[&str]) -> PathBuf {
    let folder = kept("author");
    // It is not there the first time.
    drop(fs::remove_dir_all(folder.join(name)));
    let made = ended(&mut wasmill(&folder, &[&["new", "plugin", name], arguments].concat())).with_code(0).stdout;
    assert!(made.contains(&format!("cd {name}")) && made.contains("wasmill test"), "{made}");
    folder.join(name)
}

pub(crate) fn in_folder(folder: &Path, arguments: &[&str]) -> Ended {
    ended(&mut wasmill(folder, arguments))
}

const IN_RUST: [&str; 6] = [".gitignore", "Cargo.lock", "Cargo.toml", "README.md", "cases.yaml", "src/lib.rs"];
const IN_GO: [&str; 7] = [".gitignore", "README.md", "cases.yaml", "go.mod", "go.sum", "main.go", "main_test.go"];

/// The files that would be committed.
fn seen_by_git(folder: &Path) -> Vec<String> {
    let git = |arguments: &[&str]| ended(Command::new("git").current_dir(folder).args(arguments)).with_code(0).stdout;
    git(&["init", "--quiet", "."]);
    let listed = git(&["ls-files", "--others", "--exclude-standard"]);
    let mut files: Vec<String> = listed.lines().map(str::to_owned).collect();
    files.sort();
    files
}

/// Replaces a piece of a file that is there.
pub(crate) fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{} does not contain `{from}`", file.display());
    fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn a_new_operator_builds_its_cases_pass_natively_too_and_git_sees_no_file_that_a_tool_made() {
    let mut made = vec![("to-fahrenheit", "transform", "rust"), ("room-mean", "keyed", "rust")];
    if go_is_here() {
        made.extend([("to-fahrenheit-in-go", "transform", "go"), ("room-mean-in-go", "keyed", "go")]);
    }
    for (name, kind, language) in made {
        let folder = fresh(name, &["--kind", kind, "--lang", language]);
        let passed = in_folder(&folder, &["test"]).with_code(0).stdout;
        assert!(passed.starts_with("cases.yaml\n  ok  ") && passed.ends_with("\n3 passed, 0 failed\n"), "{passed}");
        assert_eq!(in_folder(&folder, &["build", "--output", "json"]).with_code(0).json()["kind"], kind);
        assert_eq!(seen_by_git(&folder), if language == "go" { &IN_GO[..] } else { &IN_RUST[..] });
        assert!(fs::read_to_string(folder.join("README.md")).unwrap().contains(&format!("plugin: ./{name}")));
        let native = if language == "go" { ["go", "test"] } else { ["cargo", "test"] };
        ended(in_setting(&mut Command::new(native[0]), &folder).arg(native[1])).with_code(0);
    }
}

#[test]
fn the_sdk_of_a_project_is_mended_when_it_is_built() {
    let folder = fresh("mended", &[]);
    fs::remove_dir_all(folder.join(".wasmill")).unwrap();
    in_folder(&folder, &["build"]).with_code(0);
    assert!(folder.join(".wasmill/sdk/rust/src/lib.rs").is_file());
}

#[test]
fn nothing_that_exists_is_overwritten_and_a_bad_name_is_told_which_are_good() {
    let folder = Folder::new();
    folder.write("there/kept.txt", "kept");
    for what in ["plugin", "pipeline"] {
        let told = folder.wasmill(&["new", what, "there"]).with_code(2);
        told.says(&["error: there exists already; take another name, or remove it first"]);
        folder.wasmill(&["new", what, "My Operator"]).with_code(2).says(&["begins with a letter", "as in `room-mean`"]);
    }
    assert_eq!((folder.names(""), folder.names("there")), (vec!["there".to_owned()], vec!["kept.txt".to_owned()]));
}

const CASES: &str = "\
# What the guest does.
cases:
  - name: all pass   # one
    input: [ { n: 1 }, { n: 2, site: { name: x } } ]
    expect:
      main: [ { n: 1 }, { n: 2, site: { name: x } } ]

  - name: one is lost
    input: [ { n: 1 }, { n: 2 } ]
    expect:
      main: [ { n: 1 } ]
";

/// A folder with cases of a guest that passes every row on.
fn guest(cases: &str) -> Folder {
    let folder = Folder::new();
    folder.write("guest.wasm", passing());
    folder.write("cases.yaml", cases);
    folder
}

const TEST: [&str; 4] = ["test", "cases.yaml", "--plugin", "guest.wasm"];

#[test]
fn a_case_that_fails_shows_which_rows_differ_and_ends_with_1() {
    let folder = guest(CASES);
    let failed = folder.wasmill(&TEST).with_code(1).says(&["1 case failed"]).stdout;
    let expected = "\
cases.yaml
  ok  all pass
  FAILED  one is lost  (cases.yaml:8)
      main:
          (1 the same)
        + { n: 2 }
1 passed, 1 failed
";
    assert_eq!(failed, expected);
    let told = folder.wasmill(&[&TEST[..], &["--output", "json"]].concat()).with_code(1).json();
    assert_eq!((&told["passed"], &told["failed"]), (&json!(1), &json!(1)));
    let difference = &told["cases"][1]["differences"][0];
    let (expected, actual) = (json!([{ "n": 1 }]), json!([{ "n": 1 }, { "n": 2 }]));
    assert_eq!(difference, &json!({ "step": 1, "part": "main", "expected": expected, "actual": actual }));
}

const STEPS: &str = "\
cases:
  - name: one and one
    steps:
      - input: [ { n: 1 } ]
        expect: { main: [ { n: 1 } ] }
      - now: 2026-01-01T00:00:00Z
        input: [ { n: 2 } ]
        # Too many.
        expect: { main: [ { n: 1 }, { n: 2 } ] }
";

#[test]
fn the_step_of_a_case_that_fails_is_shown_and_rewritten() {
    let folder = guest(STEPS);
    let failed = folder.wasmill(&TEST).with_code(1).stdout;
    let expected = "\
cases.yaml
  FAILED  one and one  (cases.yaml:2)
      step 2  (cases.yaml:6)
        main:
          - { n: 1 }
            (1 the same)
0 passed, 1 failed
";
    assert_eq!(failed, expected);
    let told = folder.wasmill(&[&TEST[..], &["--output", "json"]].concat()).with_code(1).json();
    assert_eq!(told["cases"][0]["differences"][0]["step"], 2, "{told}");
    let update = folder.wasmill(&[&TEST[..], &["--update"]].concat()).with_code(0).stdout;
    assert!(update.ends_with("0 passed, 0 failed, 1 rewritten\n"), "{update}");
    let new = "        expect:\n          main:\n            - { n: 2 }\n";
    let rewritten = STEPS.replace("        expect: { main: [ { n: 1 }, { n: 2 } ] }\n", new);
    assert_eq!(fs::read_to_string(folder.path().join("cases.yaml")).unwrap(), rewritten);
    folder.write("cases.yaml", STEPS.replace("{ n: 2 } ]\n        #", "{ n: 2 }, { n: 1.5 } ]\n        #"));
    let wrong = folder.wasmill(&TEST).with_code(1).stdout;
    assert!(wrong.contains("row 1 of the input of step 2: "), "{wrong}");
}

#[test]
fn expectations_are_rewritten_on_demand_and_all_else_stays() {
    let folder = guest(CASES);
    let update = folder.wasmill(&[&TEST[..], &["--update"]].concat()).with_code(0).stdout;
    assert!(update.ends_with("1 passed, 0 failed, 1 rewritten\n"), "{update}");
    let rewritten = CASES.replace(
        "    expect:\n      main: [ { n: 1 } ]\n",
        "    expect:\n      main:\n        - { n: 1 }\n        - { n: 2 }\n",
    );
    assert_eq!(fs::read_to_string(folder.path().join("cases.yaml")).unwrap(), rewritten);
    folder.wasmill(&TEST).with_code(0);
    let gone = guest(&rewritten.replace("- { n: 1 }\n        - { n: 2 }\n", "- { n: 1 }\n      late: []\n"));
    gone.wasmill(&TEST).with_code(2).says(&["`late` is no port of the operator"]);
    gone.wasmill(&[&TEST[..], &["--update"]].concat()).with_code(0);
    assert_eq!(fs::read_to_string(gone.path().join("cases.yaml")).unwrap(), rewritten, "the port is gone there too");
}

#[test]
fn what_is_wrong_with_a_case_file_is_told_with_line_column_and_what_was_meant_and_ends_with_2() {
    for (from, to, told) in [
        (
            "input: [ { n: 1 }, { n: 2 } ]",
            "inputs: []",
            ["cases.yaml:9:5: error: `inputs` is no key", "did you mean `input`?"],
        ),
        ("- name: all pass", "- name: 3", ["cases.yaml:3:11: error: `name` of case 1 is text", "not `3`"]),
        ("main: [ { n: 1 } ]", "mian: []", ["cases.yaml:11:7: error: `mian` is no port of the operator", "`main`?"]),
    ] {
        let cases = CASES.replace(from, to);
        assert_ne!(cases, CASES);
        guest(&cases).wasmill(&TEST).with_code(2).says(&told);
    }
    let folder = guest(CASES);
    folder.wasmill(&["test", "absent.yaml"]).with_code(2).says(&["absent.yaml: error: the case file cannot be read"]);
    folder.wasmill(&["test"]).with_code(2).says(&["was not built yet"]);
    fs::remove_file(folder.path().join("cases.yaml")).unwrap();
    folder.wasmill(&["test"]).with_code(2).says(&["has no cases.yaml; write one"]);
}

#[test]
fn rows_that_do_not_suit_the_operator_fail_their_case_with_what_is_missing_or_of_another_kind() {
    let cases = "cases:\n  - { name: lacks, input: [ { m: 1 } ] }\n  - { name: other, input: [ { n: one } ] }\n";
    let told = guest(cases).wasmill(&TEST).with_code(1).stdout;
    for words in ["reads `n`, which its input does not have", "row 0 of the input: field `n`: expected int64"] {
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn rows_that_take_several_calls_are_numbered_through_and_keep_their_state() {
    let folder = fresh("room-mean-of-many", &["--kind", "keyed"]);
    edit(&folder.join("Cargo.toml"), ".wasmill/sdk/rust", house().join("sdk/rust").to_str().unwrap());
    let row = "      - { sensor: a, temperature: 10.0 }\n".repeat(2_999);
    let cases = format!(
        "key: sensor\ncases:\n  - name: many\n    input:\n{row}      - {{ sensor: a, temperature: -300 }}\n\
         \x20   expect: {{ state: {{}} }}\n"
    );
    fs::write(folder.join("cases.yaml"), &cases).unwrap();
    in_folder(&folder, &["test"]).with_code(1);
    in_folder(&folder, &["test", "--update"]).with_code(0);
    let text = fs::read_to_string(folder.join("cases.yaml")).unwrap();
    assert!(text.starts_with(cases.split("    expect").next().unwrap()), "the input stays");
    for line in ["- { row: 2999, reason: \"-300 degrees are too cold to be true\" }", "a: { n: 2999, mean: 10.0 }"] {
        assert!(text.lines().any(|found| found.trim() == line), "no `{line}`");
    }
    assert_eq!(text.matches("mean: 10.0 }").count(), 3_000, "rows, and the state");
    in_folder(&folder, &["test"]).with_code(0);
    edit(&folder.join("cases.yaml"), "key: sensor", "# no key");
    let told = in_folder(&folder, &["test"]).with_code(2);
    told.says(&["cases.yaml:1:1: error: the operator has state for each key", "`key: sensor`"]);
}

#[test]
fn a_field_that_is_missing_or_of_another_kind_is_told_by_validate_and_when_the_pipeline_opens() {
    let pipeline = |columns: &str| {
        format!(
            "name: p\nsources:\n\
             \x20 rows: {{ file: {{ path: in.ndjson }}, format: {{ ndjson: {{ columns: {columns} }} }} }}\n\
             stages:\n  pass: {{ from: rows, plugin: ./guest.wasm }}\nsinks:\n  out: {{ from: pass, stdout: {{}} }}\n"
        )
    };
    for (columns, told) in [
        ("{ m: int64 }", "stage `pass` reads `n`, which its input does not have"),
        ("{ n: utf8 }", "stage `pass` reads `n` as int64, but it is utf8 here, made by source `rows`"),
        ("{ n: int64? }", "stage `pass` reads `n` and takes no null, but it may be null here"),
    ] {
        let folder = guest(CASES);
        folder.write("pipeline.yaml", pipeline(columns));
        folder.write("in.ndjson", "");
        for verb in ["validate", "run"] {
            folder.wasmill(&[verb, "pipeline.yaml"]).with_code(2).says(&["pipeline.yaml:5:31: error: ", told]);
        }
    }
    let inspect = |fields: &str| guest(CASES).wasmill(&["plugin", "inspect", "guest.wasm", "--fields", fields]);
    inspect("n=int64").with_code(0);
    inspect("m=int64").with_code(2).says(&["error: the operator reads `n`, which its input does not have"]);
    inspect("n=utf8").with_code(2).says(&["error: the operator reads `n` as int64, but it is utf8 here"]);
}

#[test]
fn an_unknown_key_of_an_operators_configuration_is_told_with_what_was_meant() {
    let folder = project("configured");
    in_folder(&folder, &["build"]).with_code(0);
    let pipeline = "\
name: p
sources:
  rows: { generator: { kind: sensors, events: 1 } }
stages:
  f: { from: rows, plugin: ./, config: { coldes: 1 } }
sinks:
  out: { from: f, stdout: {} }
";
    fs::write(folder.join("pipeline.yaml"), pipeline).unwrap();
    for verb in ["validate", "run"] {
        let told = in_folder(&folder, &[verb, "pipeline.yaml"]).with_code(2);
        told.says(&["pipeline.yaml:5:50: error: ", "`coldes`", "did you mean `coldest`?"]);
    }
    edit(&folder.join("cases.yaml"), "coldest: 0.0", "coldes: 0.0");
    let told = in_folder(&folder, &["test"]).with_code(1).stdout;
    assert!(told.contains("unknown key; did you mean `coldest`?"), "{told}");
}

#[test]
fn a_build_that_fails_shows_what_the_compiler_says() {
    let folder = project("broken");
    edit(&folder.join("src/lib.rs"), "reading.temperature < config.coldest", "reading.temperature < config.coldst");
    for (verb, code) in [("build", 1), ("test", 2)] {
        let told = in_folder(&folder, &[verb]).with_code(code);
        told.says(&["no field `coldst` on type `&Config`", "src/lib.rs:", "does not compile, see above"]);
    }
    edit(&folder.join("src/lib.rs"), "config.coldst", "config.coldest");
    let second = "mod second {\n    #[wasmill::prelude::transform]\n    fn other(_: super::Reading) -> bool {\n        \
                  true\n    }\n}\n\n#[cfg(test)]";
    edit(&folder.join("src/lib.rs"), "#[cfg(test)]", second);
    in_folder(&folder, &["build"])
        .with_code(1)
        .says(&["the name `a_package_has_one_operator` is defined multiple times"]);
    let told = in_folder(&folder, &["test", "--output", "json"]).with_code(2).json();
    assert!(told["error"].as_str().unwrap().ends_with("does not compile, see above"), "{told:#}");
}

#[test]
fn a_toolchain_without_the_wasm_target_is_told_how_to_get_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    folder.wasmill(&["new", "plugin", "untargeted"]).with_code(0);
    let compiler = folder.write("rustc", "#!/bin/sh\necho /nowhere/at/all\n");
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).unwrap();
    let build =
        |name: &str, value: &str| ended(wasmill(folder.path(), &["build", "untargeted"]).env(name, value)).with_code(1);
    let told = build("WASMILL_GUEST_RUSTC", compiler.to_str().unwrap());
    told.says(&["has no standard library for wasm32-unknown-unknown", "rustup target add wasm32-unknown-unknown"]);
    build("WASMILL_CARGO", "/no/cargo").says(&["cannot start `/no/cargo`", "install Rust from https://rustup.rs"]);
}

#[test]
fn an_import_that_no_operator_is_given_is_named_with_its_likely_cause() {
    let folder = project("imports");
    let source = folder.join("src/lib.rs");
    edit(
        &source,
        "use wasmill::prelude::*;",
        "use wasmill::prelude::*;\n\nunsafe extern \"C\" {\n    safe fn host_time() -> f64;\n}",
    );
    edit(&source, "reading.temperature < config.coldest", "host_time() < config.coldest");
    let told = in_folder(&folder, &["build"]).with_code(1);
    told.says(&["imports `env.host_time`, which no operator is given", "it comes from an `extern` block"]);
}

#[test]
fn a_new_pipeline_is_valid_and_runs_with_the_columns_of_the_file_that_it_was_made_from() {
    let folder = Folder::new();
    let readings = folder.wasmill(&["generate", "sensors", "--events", "500"]).with_code(0).stdout;
    folder.write("readings.ndjson", [b"no json\n\xff\n", readings.as_bytes()].concat());
    folder.write("table.csv", "id;at;site.name;ok\n1;2026-01-01T00:00:00Z;a;true\n2;2026-01-01T00:00:01Z;;false\n");
    let run = |name: &str, more: &[&str]| -> Value {
        let made = folder.wasmill(&[&["new", "pipeline", name], more].concat()).with_code(0).stdout;
        assert!(made.contains("wasmill run pipeline.yaml"), "{made}");
        let home = folder.path().join(name);
        in_folder(&home, &["validate", "pipeline.yaml"]).with_code(0);
        in_folder(&home, &["run", "pipeline.yaml", "--output", "json"]).report()
    };
    assert_eq!(run("made-up", &[])["rows_out"], 1_000);
    assert_eq!(run("of-rows", &["--from", "readings.ndjson"])["records_in"], 502);
    assert_eq!(run("of-table", &["--from", "table.csv"])["rows_out"], 2);
    let text = fs::read_to_string(folder.path().join("of-table/pipeline.yaml")).unwrap();
    for line in ["separator: \";\"", "id: int64", "at: timestamp", "site.name: utf8?", "ok: boolean"] {
        assert!(text.lines().any(|found| found.trim() == line), "no `{line}` in:\n{text}");
    }
    folder.write("codes.csv", "code,count,on,note\n007,1,true,\nA7,2.5,1,\n8,3,false,\n");
    let codes = run("of-codes", &["--from", "codes.csv"]);
    assert_eq!((&codes["rows_out"], &codes["dead_letters"]), (&3.into(), &0.into()), "{codes}");
    folder.write("quoted.csv", "\"n\",\"on\",\"at\"\n\"1\",\"true\",\"\"\n\"\",\"\",\"2026-01-01T00:00:00Z\"\n");
    let quoted = run("of-quoted", &["--from", "quoted.csv"]);
    assert_eq!((&quoted["rows_out"], &quoted["dead_letters"]), (&2.into(), &0.into()), "{quoted}");
    let packed = zstd::encode_all(&b"id;code\n1;007\n2;A7\n"[..], 0).unwrap();
    folder.write("cut.csv.zst", &packed[..packed.len() - 5]);
    folder.write("codes.csv.zst", packed);
    let codes = run("of-packed", &["--from", "codes.csv.zst"]);
    assert_eq!((&codes["rows_out"], &codes["dead_letters"]), (&2.into(), &0.into()), "{codes}");
    let told = folder.wasmill(&["new", "pipeline", "none", "--from", "cut.csv.zst"]).with_code(2);
    told.says(&["cut.csv.zst: cannot be read: ", "cut short"]);
    let told = folder.wasmill(&["new", "pipeline", "none", "--from", "absent.csv"]).with_code(2);
    told.says(&["absent.csv: cannot be read"]);
    assert!(!folder.path().join("none").exists());
}
