//! What is wrong with a pipeline file, and how people and scripts are told: with file, line, column, the line itself, a
//! caret and what to do.

use std::fmt::Write as _;

use serde::Serialize;

/// Where something stands in a file. Lines and columns are counted from 1, in characters; 0 = the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// Line.
    pub(crate) line: usize,
    /// Column of the first character.
    pub(crate) column: usize,
    /// Number of characters.
    pub(crate) length: usize,
    /// Bytes before it in the file.
    pub(crate) offset: usize,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// The pipeline cannot run.
    Error,
    /// The pipeline can run, and probably does not do what was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Diagnostic {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// Line, counted from 1; 0 = the file as a whole.
    pub(crate) line: usize,
    /// Column in characters, counted from 1.
    pub(crate) column: usize,
    /// Number of characters that it is about.
    pub(crate) length: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do, or the name that was probably meant.
    pub(crate) help: Option<String>,
}

impl Diagnostic {
    /// An error from a sentence of the form `what is wrong; what to do`.
    pub(crate) fn error(span: Span, sentence: &str) -> Self {
        Self::new(Severity::Error, span, sentence)
    }

    /// A warning from such a sentence.
    pub(crate) fn warning(span: Span, sentence: &str) -> Self {
        Self::new(Severity::Warning, span, sentence)
    }

    fn new(severity: Severity, span: Span, sentence: &str) -> Self {
        let (message, help) = match sentence.rsplit_once("; ") {
            Some((message, help)) => (message, Some(help.to_owned())),
            None => (sentence, None),
        };
        let Span { line, column, length, .. } = span;
        Self { severity, line, column, length, message: message.to_owned(), help }
    }
}

/// All that is wrong with one file, in the order of its lines.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Diagnostics {
    /// The file, as it was named.
    pub(crate) file: String,
    /// What is wrong.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The text of the file; empty where it could not be read.
    #[serde(skip)]
    text: String,
}

/// Characters of a source line that are shown, at most.
const LINE_SHOWN: usize = 100;

impl Diagnostics {
    pub(crate) fn new(file: String, text: String, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        diagnostics.dedup();
        Self { file, diagnostics, text }
    }

    /// How many of them are errors.
    #[must_use]
    pub(crate) fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// For people: with colours, if they read it on a terminal that has them.
    #[must_use]
    pub(crate) fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for (i, diagnostic) in self.diagnostics.iter().enumerate() {
            if i > 0 {
                out.push('\n');
            }
            self.render_one(diagnostic, colour, &mut out);
        }
        out
    }

    fn render_one(&self, diagnostic: &Diagnostic, colour: bool, out: &mut String) {
        let paint = |code: &str, text: &str| {
            if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
        };
        let (word, code) = match diagnostic.severity {
            Severity::Error => ("error", "1;31"),
            Severity::Warning => ("warning", "1;33"),
        };
        let Diagnostic { line, column, .. } = diagnostic;
        let place = if *line == 0 { self.file.clone() } else { format!("{}:{line}:{column}", self.file) };
        let message = clean(&diagnostic.message);
        push_line(out, &format!("{}: {}: {}", paint("1", &place), paint(code, word), paint("1", &message)));
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        if let Some(source) = line.checked_sub(1).and_then(|line| self.text.lines().nth(line)) {
            let (shown, before, marked) = excerpt(source, diagnostic);
            push_line(out, &format!(" {} {shown}", paint("34", &format!("{number} |"))));
            let caret = paint(code, &"^".repeat(marked));
            push_line(out, &format!(" {} {}{caret}", paint("34", &format!("{margin} |")), " ".repeat(before)));
        }
        if let Some(help) = &diagnostic.help {
            push_line(out, &format!(" {margin} {} {}", paint("34", "="), clean(help)));
        }
    }

    /// For scripts: one JSON object.
    #[must_use]
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names, numbers and texts can always be written as JSON")
    }
}

fn push_line(out: &mut String, line: &str) {
    writeln!(out, "{line}").expect("a string can always be written to");
}

/// The part of a line that is shown, how many characters stand before the marked ones, and how many are marked.
fn excerpt(source: &str, diagnostic: &Diagnostic) -> (String, usize, usize) {
    let characters: Vec<char> = source.chars().collect();
    let start = diagnostic.column.saturating_sub(1).min(characters.len());
    let from = if start + 20 > LINE_SHOWN { start - LINE_SHOWN / 2 } else { 0 };
    let to = characters.len().min(from + LINE_SHOWN);
    let dots = |cut: bool| if cut { "..." } else { "" };
    let middle: String = characters[from..to].iter().collect();
    let shown = format!("{}{}{}", dots(from > 0), clean(&middle), dots(to < characters.len()));
    let marked = diagnostic.length.clamp(1, (to - start).max(1));
    (shown, dots(from > 0).len() + start - from, marked)
}

/// Text without characters that would move a terminal's cursor.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
