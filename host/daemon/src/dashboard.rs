//! The dashboard of `wasmill top`: what a server says of its pipelines, drawn into the cells of a terminal.
//!
//! Always true: what is drawn depends on nothing but what it is given, so a test has it without a terminal and
//! `--once` without a screen. Neighbour: `cli/top.rs` asks the server and reads the keys.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Constraint, Layout, Rect};
use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::text::{Line, Span, Text};
use ratatui_core::widgets::{StatefulWidget, Widget as _};
use ratatui_widgets::table::{Cell, Row, Table, TableState};
use serde_json::Value;

use crate::report::{brief, span, took};

/// The help line.
const KEYS: &str = "↑ ↓ pipeline   Home End first, last   q end";

/// Lines of the list of pipelines that stay in view, its titles counted, however many parts the chosen one has.
const LIST_LINES_MIN: u16 = 4;

/// What is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Where the server is.
    pub(crate) address: String,
    /// All pipelines, as the server lists them.
    pub(crate) pipelines: Vec<Value>,
    /// The chosen one, whole; null = none.
    pub(crate) whole: Value,
    /// What is wrong, if the server does not answer.
    pub(crate) note: Option<String>,
}

impl Seen {
    /// The number of a pipeline in the list.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.pipelines.iter().position(|pipeline| pipeline["name"] == name)
    }

    /// Lines that all of it takes, the help line left out.
    pub(crate) fn lines(&self) -> u16 {
        self.list_lines().saturating_add(self.part_lines()).saturating_add(2)
    }

    /// Those of the list, its titles counted.
    fn list_lines(&self) -> u16 {
        u16::try_from(self.pipelines.len().max(1) + 1).unwrap_or(u16::MAX)
    }

    /// Those of the chosen pipeline.
    fn part_lines(&self) -> u16 {
        let (parts, reason) = (self.parts().len(), usize::from(self.whole["reason"].is_string()));
        u16::try_from(if parts > 0 { 2 + reason + parts } else { 0 }).unwrap_or(u16::MAX)
    }

    fn parts(&self) -> &[Value] {
        self.whole["nodes"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// Draws into all of `area`: a line about the server, the pipelines with the chosen one marked, the parts of that one.
pub(crate) fn draw(seen: &Seen, colour: bool, area: Rect, cells: &mut Buffer) {
    let paint = Paint { colour };
    // The server's line, the empty one below the list, and that of the keys.
    let room = area.height.saturating_sub(3).saturating_sub(seen.part_lines()).max(LIST_LINES_MIN);
    let [top, pipelines, whole, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(seen.list_lines().min(room).saturating_add(1)),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    paint.head(seen).render(top, cells);
    if seen.pipelines.is_empty() {
        Line::from("no pipelines; apply one with `wasmill apply pipeline.yaml`").render(pipelines, cells);
    } else {
        paint.list(seen, pipelines, cells);
    }
    paint.whole(seen, whole, cells);
    Line::styled(KEYS, paint.quiet()).render(keys, cells);
}

/// The cells as lines of text.
pub(crate) fn text(cells: &Buffer) -> String {
    let line = |y| {
        let symbols = (0..cells.area.width).filter_map(|x| Some(cells.cell((x, y))?.symbol()));
        symbols.collect::<String>().trim_end().to_owned() + "\n"
    };
    (0..cells.area.height).map(line).collect()
}

/// A column of a table.
struct Column {
    title: &'static str,
    width: Constraint,
    /// Whether it is left out where the terminal is narrow.
    spare: bool,
}

/// From how many columns on a terminal is not narrow.
const WIDE: u16 = 100;

const fn number(title: &'static str) -> Column {
    Column { title, width: Constraint::Length(7), spare: false }
}

const fn time(title: &'static str) -> Column {
    Column { width: Constraint::Length(8), ..number(title) }
}

const fn words(title: &'static str, width: Constraint) -> Column {
    Column { title, width, spare: false }
}

const fn spare(column: Column) -> Column {
    Column { spare: true, ..column }
}

const PIPELINES: [Column; 8] = [
    words("pipeline", Constraint::Fill(2)),
    words("state", Constraint::Max(8)),
    number("in/s"),
    number("out/s"),
    number("waiting"),
    number("dead"),
    spare(number("failed")),
    words("lag", Constraint::Fill(3)),
];
const PARTS: [Column; 11] = [
    spare(words("", Constraint::Max(6))),
    words("part", Constraint::Fill(2)),
    number("in/s"),
    number("out/s"),
    spare(number("batch")),
    time("p99"),
    time("age p99"),
    spare(number("waiting")),
    number("dead"),
    spare(number("failed")),
    words("version, lag", Constraint::Fill(3)),
];

/// With which styles.
struct Paint {
    colour: bool,
}

impl Paint {
    fn colour(&self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn quiet(&self) -> Style {
        self.colour(Color::DarkGray)
    }

    fn head(&self, seen: &Seen) -> Line<'static> {
        let running = seen.pipelines.iter().filter(|pipeline| pipeline["state"] == "running").count();
        let count = seen.pipelines.len();
        let end = if count == 1 { "" } else { "s" };
        let said = format!("  {}   {count} pipeline{end}, {running} running", seen.address);
        let mut line =
            Line::from(vec![Span::styled("wasmill", Style::new().add_modifier(Modifier::BOLD)), said.into()]);
        if let Some(note) = &seen.note {
            line.push_span(Span::styled(format!("   {note}"), self.colour(Color::Red)));
        }
        line
    }

    fn list(&self, seen: &Seen, area: Rect, cells: &mut Buffer) {
        let row = |pipeline: &Value| {
            let state = pipeline["state"].as_str().unwrap_or_default();
            vec![
                left(pipeline["name"].as_str().unwrap_or_default()),
                left(state).style(self.state(state)),
                right(rate(&pipeline["rows_in_per_s"])),
                right(rate(&pipeline["rows_out_per_s"])),
                right(some(&pipeline["waiting_rows"])),
                self.wrong(&pipeline["dead_letters"]),
                self.wrong(&pipeline["failures"]),
                left(lag(&pipeline["lag"])),
            ]
        };
        let chosen = seen.whole["name"].as_str().and_then(|name| seen.position(name));
        let mark = Style::new().add_modifier(Modifier::REVERSED);
        let table = table(&PIPELINES, seen.pipelines.iter().map(row).collect(), area.width, self.quiet());
        let mut state = TableState::new().with_selected(chosen);
        let table = table.row_highlight_style(mark).highlight_symbol("> ");
        StatefulWidget::render(table, area, cells, &mut state);
    }

    fn whole(&self, seen: &Seen, area: Rect, cells: &mut Buffer) {
        if seen.parts().is_empty() {
            return;
        }
        let mut title =
            format!("{}  revision {}", seen.whole["name"].as_str().unwrap_or_default(), seen.whole["revision"]);
        if let Some(epoch) = seen.whole["committed_epoch"].as_u64() {
            title += &format!(", epoch {epoch} committed");
        }
        let mut lines = vec![Line::styled(title, Style::new().add_modifier(Modifier::BOLD))];
        let reason = seen.whole["reason"].as_str();
        lines.extend(reason.map(|reason| Line::styled(reason.to_owned(), self.colour(Color::Red))));
        let above = lines.len() as u16;
        let [said, parts] = Layout::vertical([Constraint::Length(above), Constraint::Min(0)]).areas(area);
        Text::from(lines).render(said, cells);
        let rows = seen.parts().iter().map(|node| self.part(node)).collect();
        StatefulWidget::render(table(&PARTS, rows, area.width, self.quiet()), parts, cells, &mut TableState::new());
    }

    fn part(&self, node: &Value) -> Vec<Cell<'static>> {
        let part = node["part"].as_str().unwrap_or_default();
        let (part, name) =
            if part == "dead letters" { ("sink", part) } else { (part, node["name"].as_str().unwrap_or_default()) };
        let waiting: u64 =
            node["inputs"].as_array().into_iter().flatten().filter_map(|it| it["waiting_rows"].as_u64()).sum();
        let p99 = |times: &Value| times["p99_us"].as_u64().filter(|p99| *p99 > 0).map_or_else(String::new, took);
        let batch = node["batch_rows"].as_f64().filter(|rows| *rows > 0.0).map_or_else(String::new, brief);
        let of_stage = |text: String| if part == "stage" { text } else { String::new() };
        vec![
            left(part).style(self.quiet()),
            left(name),
            right(rate(&node["rows_in_per_s"])),
            right(rate(&node["rows_out_per_s"])),
            right(of_stage(batch)),
            right(p99(&node["took"])),
            right(p99(&node["age"])),
            right(some(&Value::from(waiting))),
            self.wrong(&node["dead_letters"]),
            self.wrong(&node["failures"]),
            left(if part == "stage" { version(node) } else { lag(&node["lag"]) }),
        ]
    }

    fn state(&self, state: &str) -> Style {
        match state {
            "running" => self.colour(Color::Green),
            "paused" | "draining" => self.colour(Color::Yellow),
            "failed" | "broken" => self.colour(Color::Red),
            _ => Style::new(),
        }
    }

    /// A count of what should not be.
    fn wrong(&self, of: &Value) -> Cell<'static> {
        right(some(of)).style(self.colour(Color::Red))
    }
}

fn table(columns: &[Column], rows: Vec<Vec<Cell<'static>>>, width: u16, quiet: Style) -> Table<'static> {
    let shown = |number: &usize| width >= WIDE || !columns[*number].spare;
    let title = |column: &Column| match column.width {
        Constraint::Length(_) => right(column.title.to_owned()),
        _ => left(column.title),
    };
    let row = |cells: Vec<Cell<'static>>| {
        Row::new(cells.into_iter().enumerate().filter(|(number, _)| shown(number)).map(|(_, cell)| cell))
    };
    let header = row(columns.iter().map(title).collect()).style(quiet);
    let widths = columns.iter().enumerate().filter(|(number, _)| shown(number)).map(|(_, column)| column.width);
    let widths: Vec<_> = widths.collect();
    Table::new(rows.into_iter().map(row), widths).header(header).column_spacing(1)
}

fn left(text: impl Into<String>) -> Cell<'static> {
    Cell::from(text.into())
}

fn right(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).right_aligned())
}

fn rate(of: &Value) -> String {
    brief(of.as_f64().unwrap_or(0.0))
}

/// A number that is worth a look when it is not 0.
fn some(of: &Value) -> String {
    of.as_u64().filter(|number| *number > 0).map_or_else(String::new, |number| brief(number as f64))
}

fn version(node: &Value) -> String {
    let live = node["versions"].as_array().into_iter().flatten().find(|version| version["live"] == true);
    live.map_or_else(String::new, |live| {
        let digest = live["digest"].as_str().and_then(|digest| digest.get(..8)).unwrap_or_default();
        format!("v{} {digest}{}", live["version"], if live["watched"] == true { " watched" } else { "" })
    })
}

/// `1.2M bytes, 3 rows, event time 12 s, idle 5 s`; what is 0 is left out.
fn lag(of: &Value) -> String {
    let behind = [("behind_bytes", "bytes"), ("behind_rows", "rows")].into_iter().filter_map(|(key, unit)| {
        let behind = of[key].as_f64().filter(|behind| *behind > 0.0)?;
        Some(format!("{} {unit}", brief(behind)))
    });
    let since = [("event_time_s", "event time"), ("idle_s", "idle")].into_iter().filter_map(|(key, what)| {
        let seconds = of[key].as_f64().filter(|seconds| *seconds >= 2.0)?;
        Some(format!("{what} {}", span(seconds)))
    });
    behind.chain(since).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use ratatui_core::backend::TestBackend;
    use ratatui_core::terminal::Terminal;
    use serde_json::json;

    use super::*;

    fn seen(pipelines: usize) -> Seen {
        let short = |number: usize| {
            let (name, failed) = (format!("p{number}"), if number == 1 { 3 } else { 0 });
            json!({"name": name, "state": if number == 1 { "failed" } else { "running" }, "rows_in_per_s": 1234.5,
                   "rows_out_per_s": 0.0, "waiting_rows": 2048, "dead_letters": 7, "failures": failed,
                   "lag": {"behind_bytes": 1_500_000, "event_time_s": 12.4, "idle_s": 0.5}})
        };
        let digest = "0123456789abcdef";
        let stage = json!({"part": "stage", "name": "score", "rows_in_per_s": 1200.0, "rows_out_per_s": 1100.0,
            "batch_rows": 512.0, "took": {"p99_us": 850}, "age": {"p99_us": 12_345}, "dead_letters": 7, "failures": 0,
            "inputs": [{"waiting_rows": 1000}, {"waiting_rows": 24}],
            "versions": [{"version": 1, "digest": "old", "live": false},
                         {"version": 2, "digest": digest, "live": true, "watched": true}]});
        let source = json!({"part": "source", "name": "rows", "rows_in_per_s": 1200.0, "rows_out_per_s": 1200.0,
            "batch_rows": 512.0, "lag": {"behind_rows": 9}});
        let whole = json!({"name": "p1", "revision": 4, "committed_epoch": 17, "reason": "it broke",
                           "nodes": [source, stage]});
        Seen { address: "127.0.0.1:7070".into(), pipelines: (0..pipelines).map(short).collect(), whole, note: None }
    }

    fn drawn(seen: &Seen, colour: bool, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(seen, colour, frame.area(), frame.buffer_mut())).unwrap();
        terminal.backend().buffer().clone()
    }

    /// The line that has these words.
    fn line<'a>(text: &'a str, words: &str) -> &'a str {
        text.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("no `{words}` in\n{text}"))
    }

    fn has(line: &str, words: &[&str]) {
        let mut rest = line;
        for word in words {
            let at = rest.find(word).unwrap_or_else(|| panic!("no `{word}` in its place in `{line}`"));
            rest = &rest[at + word.len()..];
        }
    }

    #[test]
    fn pipelines_and_the_parts_of_the_chosen_one_are_shown_with_their_numbers() {
        let shown = text(&drawn(&seen(3), false, 110, 20));
        has(line(&shown, "wasmill"), &["127.0.0.1:7070", "3 pipelines, 2 running"]);
        has(line(&shown, "p0"), &["running", "1.23k", "0", "2.05k", "7", "1.5M bytes, event time 12 s"]);
        has(line(&shown, "> p1"), &["failed", "1.23k", "7", "3"]);
        has(line(&shown, "revision 4"), &["p1", "epoch 17 committed"]);
        line(&shown, "it broke");
        has(line(&shown, "source rows"), &["1.2k", "1.2k", "9 rows"]);
        let stage = line(&shown, "score");
        has(stage, &["stage", "1.2k", "1.1k", "512", "850 µs", "12.3 ms", "1.02k", "7", "v2 01234567 watched"]);
        assert!(!line(&shown, "source rows").contains("512"), "a source has no batches of an operator");
        assert_eq!(shown.lines().last(), Some(KEYS));
    }

    #[test]
    fn the_chosen_pipeline_stays_in_view_however_many_there_are_and_however_small_the_terminal_is() {
        let mut many = seen(50);
        many.whole["name"] = "p42".into();
        let narrow = text(&drawn(&many, false, 80, 16));
        has(line(&narrow, "> p42"), &["running", "1.23k", "2.05k", "7", "1.5M bytes"]);
        has(line(&narrow, "score"), &["1.2k", "1.1k", "850 µs", "12.3 ms", "7", "v2 01234567"]);
        for (width, height) in [(1, 1), (20, 3), (40, 8), (300, 100)] {
            drawn(&many, true, width, height);
        }
        let none = Seen::default();
        line(&text(&drawn(&none, false, 80, 10)), "no pipelines; apply one with");
    }

    #[test]
    fn there_is_colour_where_it_is_wanted_and_none_elsewhere() {
        let colours = |colour| {
            let cells = drawn(&seen(2), colour, 110, 20);
            cells.content().iter().filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset).count()
        };
        assert!(colours(true) > 0);
        assert_eq!(colours(false), 0);
    }
}
