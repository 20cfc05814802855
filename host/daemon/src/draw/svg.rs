//! A graph as a picture: boxes in columns, rows flowing from left to right.
//!
//! Texts are set in a fixed-width font, so that their width is known here; colours follow the reader's light or dark
//! page.

use std::fmt::Write as _;

use super::place::{Place, Places, place};
use super::{Part, Role, Sketch};

/// Width of a character of the small text.
const CHARACTER: f64 = 7.25;
/// Width of a character of a box's name.
const NAME_CHARACTER: f64 = 8.45;
const LINE: f64 = 17.0;
const PADDING: f64 = 12.0;
const MARGIN: f64 = 24.0;
/// Height of the title.
const TITLE: f64 = 40.0;
/// Space between two columns where no port is named on the way.
const BETWEEN: f64 = 64.0;
const BOX_WIDTH_MIN: f64 = 96.0;
/// Characters of a line in a box; longer ones are cut.
const CHARACTERS_MAX: usize = 34;

/// Plain colours and no variables: not every renderer knows them.
const STYLE: &str = "
  text { font-family: ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; font-size: 12px; fill: #5b6675 }
  .title { font-size: 17px; font-weight: 600; fill: #1c2430 }
  .name { font-size: 14px; font-weight: 600; fill: #1c2430 }
  .page { fill: #ffffff }
  .box { stroke-width: 1.3 }
  .source { fill: #e3f1ea; stroke: #3f8f6b }
  .stage { fill: #e6edf9; stroke: #4a74b8 }
  .sink { fill: #f8ecdc; stroke: #b7813a }
  .dead { fill: #f7e3e3; stroke: #b25454; stroke-dasharray: 5 3 }
  .edge { fill: none; stroke: #8a94a3; stroke-width: 1.5 }
  .head { fill: #8a94a3 }
  .port { fill: #1c2430; paint-order: stroke; stroke: #ffffff; stroke-width: 5px; stroke-linejoin: round }
  @media (prefers-color-scheme: dark) {
    text { fill: #a3adba }
    .title, .name { fill: #e8ecf2 }
    .page { fill: #14181f }
    .source { fill: #1b3329; stroke: #57b58c }
    .stage { fill: #1e2b42; stroke: #6f9be0 }
    .sink { fill: #38291a; stroke: #d79f58 }
    .dead { fill: #3a2021; stroke: #d67a7a }
    .edge { stroke: #6d7888 }
    .head { fill: #6d7888 }
    .port { fill: #e8ecf2; stroke: #14181f }
  }
";

pub(super) fn draw(sketch: &Sketch) -> String {
    let heights: Vec<f64> = sketch.parts.iter().map(height).collect();
    let places = place(sketch, &heights);
    let (lefts, widths) = columns(sketch, &places);
    let mut body = String::new();
    for (edge, way) in sketch.edges.iter().zip(&places.ways) {
        edge_lines(way, edge.port.as_deref(), &lefts, &widths, &mut body);
    }
    for (part, place) in sketch.parts.iter().zip(&places.parts) {
        let top = TITLE + MARGIN + place.y - place.height / 2.0;
        let class = match part.role {
            Role::Source => "source",
            Role::Stage => "stage",
            Role::Sink => "sink",
        };
        boxed(part, class, (lefts[place.column], top), (widths[place.column], place.height), &mut body);
    }
    let mut width = lefts.last().zip(widths.last()).map_or(0.0, |(left, width)| left + width) + MARGIN;
    let mut bottom = TITLE + MARGIN + places.bottom;
    if let Some(dead) = &sketch.dead_letters {
        let size = (own_width(dead), height(dead));
        boxed(dead, "dead", (MARGIN, bottom + MARGIN), size, &mut body);
        width = width.max(size.0 + 2.0 * MARGIN);
        bottom += MARGIN + size.1;
    }
    let title = cut(&sketch.name, 60);
    width = width.max(characters(&title) * 10.5 + 2.0 * MARGIN);
    let height = bottom + MARGIN;
    let (name, title) = (escape(&sketch.name), escape(&title));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"Pipeline {name}\">\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"36\">{title}</text>\n{body}</svg>\n"
    )
}

fn characters(text: &str) -> f64 {
    f64::from(u32::try_from(text.chars().count()).unwrap_or(u32::MAX))
}

fn height(part: &Part) -> f64 {
    let details = f64::from(u32::try_from(part.details.len()).unwrap_or(u32::MAX));
    2.0 * PADDING + LINE * (1.0 + details) - 4.0
}

fn own_width(part: &Part) -> f64 {
    let details = part.details.iter().map(|detail| characters(&cut(detail, CHARACTERS_MAX)) * CHARACTER);
    let name = characters(&cut(&part.name, CHARACTERS_MAX)) * NAME_CHARACTER;
    (details.fold(name, f64::max) + 2.0 * PADDING).max(BOX_WIDTH_MIN)
}

/// Left end and width of each column. Between two columns there is room for the longest name of a port.
fn columns(sketch: &Sketch, places: &Places) -> (Vec<f64>, Vec<f64>) {
    let mut widths = vec![BOX_WIDTH_MIN; places.columns];
    for (part, place) in sketch.parts.iter().zip(&places.parts) {
        widths[place.column] = widths[place.column].max(own_width(part));
    }
    let mut after = vec![BETWEEN; places.columns];
    for edge in &sketch.edges {
        let column = places.parts[edge.from].column;
        let port = edge.port.as_ref().map_or(0.0, |port| characters(port) * CHARACTER + 44.0);
        after[column] = after[column].max(port);
    }
    let mut lefts = Vec::with_capacity(widths.len());
    let mut left = MARGIN;
    for (width, after) in widths.iter().zip(after) {
        lefts.push(left);
        left += width + after;
    }
    (lefts, widths)
}

fn boxed(part: &Part, class: &str, (left, top): (f64, f64), (width, height): (f64, f64), body: &mut String) {
    let mut put = |line: String| write(body, &line);
    put(format!(
        "<rect class=\"box {class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
         height=\"{height:.1}\" rx=\"6\"/>"
    ));
    let x = left + PADDING;
    let mut y = top + PADDING + 12.0;
    put(format!("<text class=\"name\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(&cut(&part.name, CHARACTERS_MAX))));
    for detail in &part.details {
        y += LINE;
        let text = escape(&cut(detail, CHARACTERS_MAX));
        put(format!("<text x=\"{x:.1}\" y=\"{y:.1}\">{text}<title>{}</title></text>", escape(detail)));
    }
}

/// A line from the right of the first place through those that it passes to the left of the last, with a head.
fn edge_lines(way: &[Place], port: Option<&str>, lefts: &[f64], widths: &[f64], body: &mut String) {
    let y = |place: &Place| TITLE + MARGIN + place.y;
    let (first, last) = (&way[0], &way[way.len() - 1]);
    let start = (lefts[first.column] + widths[first.column], y(first));
    let mut at = start;
    let mut path = format!("M{:.1} {:.1}", at.0, at.1);
    for place in &way[1..] {
        let end = (lefts[place.column] - if place.column == last.column { 7.0 } else { 0.0 }, y(place));
        let middle = f64::midpoint(at.0, end.0);
        path.push_str(&format!(" C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}", at.1, end.1, end.0, end.1));
        at = end;
        if place.column != last.column {
            at.0 += widths[place.column];
            path.push_str(&format!(" L{:.1} {:.1}", at.0, at.1));
        }
    }
    write(body, &format!("<path class=\"edge\" d=\"{path}\"/>"));
    let (x, y) = at;
    let head = format!("M{:.1} {y:.1} l-8 -4.5 v9 z", x + 7.0);
    write(body, &format!("<path class=\"head\" d=\"{head}\"/>"));
    if let Some(port) = port {
        let second = &way[1];
        let end = TITLE + MARGIN + second.y;
        let x = f64::midpoint(start.0, lefts[second.column]);
        let y = f64::midpoint(start.1, end) + 4.0;
        let port = escape(port);
        write(body, &format!("<text class=\"port\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{y:.1}\">{port}</text>"));
    }
}

fn write(body: &mut String, line: &str) {
    writeln!(body, "{line}").expect("a string can always be written to");
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
