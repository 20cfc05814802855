//! Terminal sessions in documents: blocks marked `console`, in which a line that begins with `$ ` is a command and
//! the lines below it are what is seen, `...` standing for anything that may differ. Where nothing is shown below a
//! command, what it says may be anything, but it must succeed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use wasmill_tests::house::house;
use wasmill_tests::process::{binary, ended, in_setting, repository};

/// A command and what is seen.
struct Shown {
    line: usize,
    command: String,
    seen: Vec<String>,
}

fn sessions(text: &str) -> Vec<Shown> {
    let (mut shown, mut inside): (Vec<Shown>, bool) = (Vec::new(), false);
    for (number, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(language) => inside = !inside && language == "console",
            None if !inside => {}
            None => match line.strip_prefix("$ ") {
                Some(command) => {
                    shown.push(Shown { line: number + 1, command: command.to_owned(), seen: Vec::new() });
                }
                None => shown.last_mut().expect("a session begins with a command").seen.push(line.to_owned()),
            },
        }
    }
    shown
}

/// Whether a text is the pattern, in which `...` stands for anything, line ends too.
fn is(pattern: &str, text: &str) -> bool {
    match pattern.split_once("...") {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| is(after, &rest[at..]))
        }),
    }
}

/// Runs the commands that a document shows, one after the other, in the copy of the repository; answers how many.
pub(crate) fn check(document: &str) -> usize {
    check_in(document, house())
}

/// The same in another folder.
pub(crate) fn check_in(document: &str, folder: &Path) -> usize {
    let shown = sessions(&fs::read_to_string(repository().join(document)).unwrap());
    let tools = std::env::join_paths(
        [binary().parent().unwrap().to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut wrong = String::new();
    for Shown { line, command, seen } in &shown {
        // Both streams, as a terminal shows them.
        let mut shell = Command::new("sh");
        let shell = in_setting(&mut shell, folder).args(["-c", &format!("{{ {command}\n}} 2>&1")]);
        let found = ended(shell.env("PATH", tools.as_ref().unwrap()));
        let (seen, stdout) = (seen.join("\n"), found.stdout.trim_end());
        let as_shown = if seen.is_empty() { found.code == Some(0) } else { is(seen.trim_end(), stdout) };
        if !as_shown {
            write!(wrong, "{document}:{line}: $ {command}\nshown:\n{seen}\nis:\n{stdout}\n\n").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    shown.len()
}

#[test]
fn three_dots_stand_for_anything() {
    assert!(is("done in ... s\n...", "done in 0.1 s\na\nb") && is("a", "a") && is("...", ""));
    assert!(!is("done in ... s", "done in 0.1 m") && !is("a", "ab"));
}
