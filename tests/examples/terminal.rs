//! Terminal sessions in documents: blocks marked `console`, in which a line that begins with `$ ` is a command and
//! the lines below it are what is seen, `...` standing for anything that may differ. Where nothing is shown below a
//! command, what it says may be anything. It must succeed, unless an error is shown and it does
//! not say how it goes on (`||`). A block marked with a language and a path is a file that
//! the commands below it find there.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use wasmill_tests::house::house;
use wasmill_tests::process::{binary, ended, in_setting, repository};

/// A step of a session.
enum Step {
    /// A command and what is seen.
    Command { line: usize, command: String, seen: Vec<String> },
    /// A file and what is in it.
    File { path: String, text: String },
}

fn steps(text: &str) -> Vec<Step> {
    let (mut steps, mut inside): (Vec<Step>, Option<&str>) = (Vec::new(), None);
    for (number, line) in text.lines().enumerate() {
        if let Some(marks) = line.strip_prefix("```") {
            inside = if inside.is_none() { Some(marks) } else { None };
            if let Some((_, path)) = marks.split_once(' ').filter(|_| inside.is_some()) {
                steps.push(Step::File { path: path.to_owned(), text: String::new() });
            }
            continue;
        }
        match (inside, steps.last_mut()) {
            (Some("console"), last) => match (line.strip_prefix("$ "), last) {
                (Some(command), _) => {
                    let command = command.to_owned();
                    steps.push(Step::Command { line: number + 1, command, seen: Vec::new() });
                }
                (None, Some(Step::Command { seen, .. })) => seen.push(line.to_owned()),
                (None, _) => panic!("line {} stands below no command", number + 1),
            },
            (Some(marks), Some(Step::File { text, .. })) if marks.contains(' ') => {
                text.push_str(line);
                text.push('\n');
            }
            _ => {}
        }
    }
    steps
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

/// Runs the commands that a document shows, one after the other, in the copy of the repository, and writes the files
/// between them; answers how many commands.
pub(crate) fn check(document: &str) -> usize {
    check_in(document, house())
}

/// The same in another folder.
pub(crate) fn check_in(document: &str, folder: &Path) -> usize {
    let mut commands = 0;
    let tools = std::env::join_paths(
        [binary().parent().unwrap().to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut wrong = String::new();
    for step in steps(&fs::read_to_string(repository().join(document)).unwrap()) {
        let (line, command, seen) = match step {
            Step::Command { line, command, seen } => (line, command, seen),
            Step::File { path, text } => {
                fs::write(folder.join(path), text).unwrap();
                continue;
            }
        };
        commands += 1;
        // Both streams, as a terminal shows them.
        let mut shell = Command::new("sh");
        let shell = in_setting(&mut shell, folder).args(["-c", &format!("{{ {command}\n}} 2>&1")]);
        let found = ended(shell.env("PATH", tools.as_ref().unwrap()));
        let (seen, stdout) = (seen.join("\n"), found.stdout.trim_end());
        // `|| echo` goes on after what fails.
        let fails = !command.contains("||")
            && seen.lines().any(|line| line.starts_with("error: ") || line.contains(": error: "));
        let as_shown = (seen.is_empty() || is(seen.trim_end(), stdout)) && (found.code == Some(0)) != fails;
        if !as_shown {
            let code = found.code;
            write!(wrong, "{document}:{line}: $ {command}\nshown:\n{seen}\nis:\n{stdout}\ncode: {code:?}\n\n").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    commands
}

#[test]
fn three_dots_stand_for_anything() {
    assert!(is("done in ... s\n...", "done in 0.1 s\na\nb") && is("a", "a") && is("...", ""));
    assert!(!is("done in ... s", "done in 0.1 m") && !is("a", "ab"));
}
