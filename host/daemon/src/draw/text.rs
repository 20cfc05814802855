//! A graph as lines of text: what reads from a part stands below it, several readers one after the other with a branch
//! each.
//!
//! A part that reads from several others stands below the last of them; the others point to it.

use super::{Edge, Role, Sketch};

/// Columns of a line, at most, unless a name alone is longer.
const WIDTH: usize = 80;

/// What lines are made of.
struct Glyphs {
    down: &'static str,
    branch: &'static str,
    last: &'static str,
    arrow: &'static str,
    dot: &'static str,
    source: &'static str,
    stage: &'static str,
    sink: &'static str,
}

#[rustfmt::skip]
const UNICODE: Glyphs =
    Glyphs { down: "│", branch: "├─", last: "└─", arrow: "→", dot: " · ", source: "●", stage: "■", sink: "○" };
const ASCII: Glyphs =
    Glyphs { down: "|", branch: "|-", last: "`-", arrow: "->", dot: ", ", source: "*", stage: "#", sink: "o" };

/// A line: the tree, and what stands beside it.
struct Line {
    left: String,
    /// What stands in front of the lines that the details are continued on.
    below: String,
    details: Vec<String>,
}

pub(super) fn draw(sketch: &Sketch, ascii: bool) -> String {
    let glyphs = if ascii { &ASCII } else { &UNICODE };
    let mut tree = Tree { sketch, glyphs, drawn: vec![0; sketch.parts.len()], lines: Vec::new() };
    for (i, part) in sketch.parts.iter().enumerate() {
        if part.role == Role::Source {
            tree.blank("");
            tree.part(i, "", "", "");
        }
    }
    if let Some(dead) = &sketch.dead_letters {
        tree.blank("");
        let left = format!("{} {}", glyphs.sink, dead.name);
        tree.lines.push(Line { left, below: String::new(), details: dead.details.clone() });
    }
    let lines = tree.lines;
    let widest = lines.iter().filter(|line| !line.details.is_empty()).map(|line| line.left.chars().count()).max();
    let margin = widest.unwrap_or(0).min(WIDTH / 2) + 2;
    let mut out = format!("{}\n", sketch.name);
    lines.iter().for_each(|line| write(line, margin, glyphs, &mut out));
    out
}

struct Tree<'a> {
    sketch: &'a Sketch,
    glyphs: &'a Glyphs,
    /// For each part how many of its inputs have come by.
    drawn: Vec<usize>,
    lines: Vec<Line>,
}

impl Tree<'_> {
    /// A line with nothing but what leads on.
    fn blank(&mut self, lead: &str) {
        self.lines.push(Line { left: lead.to_owned(), below: String::new(), details: Vec::new() });
    }

    /// A part and all that reads from it. `lead` stands in front of lines below the part, `branch` and `port` in front
    /// of its name.
    fn part(&mut self, part: usize, lead: &str, branch: &str, port: &str) {
        let glyphs = self.glyphs;
        let here = &self.sketch.parts[part];
        let readers: Vec<&Edge> = self.sketch.edges.iter().filter(|edge| edge.from == part).collect();
        let sign = match here.role {
            Role::Source => glyphs.source,
            Role::Stage => glyphs.stage,
            Role::Sink => glyphs.sink,
        };
        let below = if readers.is_empty() { lead.to_owned() } else { format!("{lead}{}", glyphs.down) };
        let left = format!("{branch}{port}{sign} {}", here.name);
        self.lines.push(Line { left, below: below.clone(), details: here.details.clone() });
        for (i, edge) in readers.iter().enumerate() {
            let port = edge.port.as_ref().map_or_else(String::new, |port| format!("{port} {} ", glyphs.arrow));
            self.drawn[edge.to] += 1;
            let inputs = self.sketch.edges.iter().filter(|other| other.to == edge.to).count();
            let elsewhere = self.drawn[edge.to] < inputs;
            let last = i + 1 == readers.len();
            self.blank(&below);
            if last && !elsewhere && port.is_empty() {
                // What is last goes straight on, so a chain stays at the margin however long it is.
                self.part(edge.to, lead, lead, "");
                continue;
            }
            let (branch, next) = if last { (glyphs.last, "   ") } else { (glyphs.branch, glyphs.down) };
            let branch = format!("{lead}{branch} ");
            let next = if last { format!("{lead}   ") } else { format!("{lead}{next}  ") };
            if elsewhere {
                let name = &self.sketch.parts[edge.to].name;
                let left = format!("{branch}{port}{name} (below)");
                self.lines.push(Line { left, below: next, details: Vec::new() });
            } else {
                self.part(edge.to, &next, &branch, &port);
            }
        }
    }
}

fn write(line: &Line, margin: usize, glyphs: &Glyphs, out: &mut String) {
    let mut left = line.left.clone();
    let mut room = WIDTH.saturating_sub(margin);
    let mut first = true;
    let put = |left: &str, text: &str, out: &mut String| {
        let gap = margin.saturating_sub(left.chars().count()).max(2);
        let text = format!("{left}{}{text}", " ".repeat(if text.is_empty() { 0 } else { gap }));
        out.push_str(text.trim_end());
        out.push('\n');
    };
    let mut row = String::new();
    for detail in &line.details {
        let longer = row.chars().count() + glyphs.dot.chars().count() + detail.chars().count();
        if !row.is_empty() && longer > room {
            put(&left, &row, out);
            left = line.below.clone();
            room = WIDTH.saturating_sub(margin);
            first = false;
            row.clear();
        }
        if !row.is_empty() {
            row.push_str(glyphs.dot);
        }
        row.push_str(detail);
    }
    if first || !row.is_empty() {
        put(&left, &row, out);
    }
}
