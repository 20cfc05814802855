//! Files that are hardly text, and the forms in which problems are told.

use std::fs;

use super::*;

fn told_of_bytes(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    fs::write(&path, bytes).unwrap();
    let problems = load(&path, &Shelf).err().expect("the file is bad");
    problems.render(false).replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let problems = load(Path::new("nowhere/p.yaml"), &Shelf).err().unwrap();
    assert_eq!(
        problems.render(false),
        "nowhere/p.yaml: error: the pipeline file cannot be read: No such file or directory (os error 2)\n"
    );
}

#[test]
fn bytes_that_are_not_utf8_are_placed() {
    assert_eq!(
        told_of_bytes(b"name: p\nsources: \xFF\n"),
        "p.yaml:2:10: error: byte 18 of the file is not UTF-8\n   = save the file as UTF-8\n"
    );
}

#[test]
fn a_huge_file_is_not_read_to_its_end() {
    assert_eq!(
        told_of_bytes(&vec![b'#'; FILE_BYTES_MAX + 1]),
        "p.yaml: error: the file has more than 1048576 bytes, so it is no pipeline file\n"
    );
}

#[test]
fn plugins_are_looked_for_from_the_files_folder() {
    let file = "name: p\nsources: { s: { generator: } }\nstages: { a: { from: s, plugin: ./missing } }\nsinks: {}\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    fs::write(&path, file).unwrap();
    let problems = load(&path, &Shelf).err().expect("there is no such plugin");
    let looked_for = folder.path().join("missing");
    assert_eq!(problems.diagnostics[0].message, format!("there is no plugin at `{}`", looked_for.display()));
}

#[test]
fn a_plugin_is_a_path_or_has_a_version() {
    for path in [".", "..", "./score", "../score", "plugins/score", "score.wasm"] {
        assert_eq!(PluginRef::parse(path), Ok(PluginRef::Path(path.into())));
    }
    let told = PluginRef::parse("score").unwrap_err();
    assert_eq!(told, "`score` is no plugin; write `name@version`, or `./score` for a folder");
}

#[test]
fn scripts_get_the_same_as_json() {
    let problems = parse("p.yaml", Path::new(""), "name: p\nlans: 3\n", &Shelf).err().unwrap();
    assert_eq!(
        problems.to_json(),
        concat!(
            r#"{"file":"p.yaml","diagnostics":[{"severity":"error","line":2,"column":1,"length":4,"#,
            r#""message":"`lans` is no key of a pipeline file","help":"did you mean `lanes`?"}]}"#
        )
    );
}

#[test]
fn colours_are_only_for_terminals_and_control_characters_for_nobody() {
    let problems = parse("p.yaml", Path::new(""), "name: p\n\"la\\e[31mns\": 3\n", &Shelf).err().unwrap();
    assert!(!problems.render(false).contains('\x1b'));
    assert!(problems.render(true).contains("\x1b[1;31merror\x1b[0m"));
    assert!(!problems.render(true).contains("\x1b[31m"), "what comes from the file cannot colour the terminal");
}

#[test]
fn of_a_very_long_line_the_part_is_shown_that_matters() {
    let text = format!("name: p # {}\nsources: {{ s: {{ {}nothing: {{}} }} }}\n", "x".repeat(300), " ".repeat(150));
    let problems = parse("p.yaml", Path::new(""), &text, &Shelf).err().unwrap();
    let shown = problems.render(false);
    let lines: Vec<&str> = shown.lines().filter(|line| line.starts_with(" 2 |") || line.contains('^')).collect();
    let caret = lines[1].find('^').unwrap();
    assert!(lines[0][caret..].starts_with("nothing"), "{shown}");
    assert!(lines.iter().all(|line| line.chars().count() < 120), "{shown}");
}

#[test]
fn no_text_whatever_makes_the_reader_panic() {
    let whole = "name: p\nlanes: 2\n\
        sources:\n  r: { file: { path: \"a*\" }, format: { csv: { columns: { a: int64? } } } }\n\
        stages:\n  s: { from: r, plugin: pass@1, on_error: { retry: { max: 1 } } }\n\
        sinks:\n  o: { from: [s], stdout: }\n";
    good(whole);
    let pieces =
        ["", "{", "}", "[", "]", ":", "- ", "&a ", "*a", "\"", "\n", "\t", "${", "}", "~", "é", "<<: ", "|", "? "];
    let places: Vec<usize> = (0..whole.len()).filter(|at| whole.is_char_boundary(*at)).collect();
    for at in places {
        for piece in pieces {
            for skip in [0, 3] {
                let end = (at + skip).min(whole.len());
                let text = format!("{}{piece}{}", &whole[..at], &whole[end..]);
                if let Err(problems) = parse("p.yaml", Path::new(""), &text, &Shelf) {
                    assert!(!problems.render(true).is_empty());
                }
            }
        }
    }
}
