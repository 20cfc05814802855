//! What a run came to: counts that reconcile, for people and for scripts.
//!
//! Every record that came in is counted once more: as a row written, as filtered out by an operator, or as a dead
//! letter.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use wasmill_engine::graph::Graph;
use wasmill_engine::plan::Part;
use wasmill_engine::runtime::Status;

/// Counts of one source, stage or sink.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Counts))]
pub(crate) struct Line {
    pub(crate) part: &'static str,
    pub(crate) name: String,
    pub(crate) rows_in: u64,
    pub(crate) rows_out: u64,
    pub(crate) filtered: u64,
    pub(crate) dead_letters: u64,
    pub(crate) failures: u64,
    pub(crate) retries: u64,
    pub(crate) batches: u64,
    pub(crate) bytes: u64,
    /// Of a record in the middle of which the source was stopped.
    #[serde(skip_serializing_if = "is_zero")]
    unfinished_bytes: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<serde_json::Value>>))]
    metrics: Vec<(String, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
}

/// The whole of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pipeline: String,
    seconds: f64,
    /// Records that the sources found.
    records_in: u64,
    /// Rows that the sinks wrote and committed.
    rows_out: u64,
    filtered: u64,
    dead_letters: u64,
    nodes: Vec<Line>,
}

impl Report {
    /// Counts of a run of `graph`; `places` are those of its sinks, the one of the dead letters last.
    pub(crate) fn new(graph: &Graph, status: &[Status], places: &[String], took: Duration) -> Self {
        let mut places = places.iter();
        let nodes: Vec<Line> = status
            .iter()
            .map(|status| {
                let part = status.part;
                let place = matches!(part, Part::Sink | Part::DeadLetters).then(|| places.next().cloned()).flatten();
                line(graph, status, place)
            })
            .collect();
        let of = |part: &str, count: fn(&Line) -> u64| -> u64 {
            nodes.iter().filter(|line| line.part == part).map(count).sum()
        };
        Self {
            pipeline: graph.name.to_string(),
            seconds: took.as_secs_f64(),
            records_in: of("source", |line| line.rows_in),
            rows_out: of("sink", |line| line.rows_out),
            filtered: of("stage", |line| line.filtered),
            dead_letters: of("source", |line| line.dead_letters) + of("stage", |line| line.dead_letters),
            nodes,
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("pipeline {}: done in {:.1} s\n", self.pipeline, self.seconds);
        let width = self.nodes.iter().map(|line| line.part.len() + line.name.len() + 1).max().unwrap_or(0);
        for line in &self.nodes {
            let name =
                if line.part == "dead letters" { line.part.into() } else { format!("{} {}", line.part, line.name) };
            let mut facts = match line.part {
                "source" => format!("{} records, {} bytes", count(line.rows_in), count(line.bytes)),
                "stage" => format!(
                    "{} in, {} out, {} filtered",
                    count(line.rows_in),
                    count(line.rows_out),
                    count(line.filtered)
                ),
                _ => format!("{} rows", count(line.rows_out)),
            };
            for (number, what) in
                [(line.dead_letters, "dead-lettered"), (line.failures, "failed calls"), (line.retries, "retries")]
            {
                if number > 0 {
                    facts += &format!(", {} {what}", count(number));
                }
            }
            if line.unfinished_bytes > 0 {
                let bytes = count(line.unfinished_bytes);
                facts += &format!(", {bytes} bytes of a record that had not come whole not processed");
            }
            if let Some(place) = line.place.as_ref().filter(|_| line.rows_out > 0) {
                facts += &format!(" -> {place}");
            }
            // Writing to a string does not fail.
            writeln!(text, "  {name:width$}  {facts}").ok();
            for (metric, value) in &line.metrics {
                writeln!(text, "  {:width$}    {metric} {value}", "").ok();
            }
        }
        let [records, out, filtered, dead] =
            [self.records_in, self.rows_out, self.filtered, self.dead_letters].map(count);
        let sign = if self.reconciles() { "=" } else { "->" };
        writeln!(text, "  {records} in {sign} {out} out + {filtered} filtered + {dead} dead-lettered").ok();
        if !self.reconciles() {
            text += "  (rows multiply or part here: several ports, several readers of one output, or a flat-map)\n";
        }
        text
    }

    /// Whether every record went exactly one way, as it does where no stage multiplies rows and every output has one
    /// reader.
    pub(crate) fn reconciles(&self) -> bool {
        self.records_in == self.rows_out + self.filtered + self.dead_letters
    }
}

/// Counts of one source, stage or sink of `graph`, whose results are at `place`.
pub(crate) fn line(graph: &Graph, status: &Status, place: Option<String>) -> Line {
    let counters = &status.counters;
    let stage = graph.stages.iter().find(|stage| status.part == Part::Stage && stage.name == status.name);
    let names = stage.map_or(&[][..], |stage| &stage.plan.metrics).iter().map(|metric| metric.name.clone());
    let values = status.metrics.as_ref().map(|metrics| metrics.values()).unwrap_or_default();
    Line {
        part: match status.part {
            Part::Source => "source",
            Part::Stage => "stage",
            Part::Sink => "sink",
            Part::DeadLetters => "dead letters",
        },
        name: status.name.to_string(),
        rows_in: counters.rows_in.get(),
        rows_out: match status.part {
            Part::Sink | Part::DeadLetters => counters.committed.get(),
            Part::Source | Part::Stage => counters.rows_out.get(),
        },
        filtered: counters.filtered.get(),
        dead_letters: counters.dead.get(),
        failures: counters.failures.get(),
        retries: counters.retries.get(),
        batches: counters.batches.get(),
        bytes: counters.bytes.get(),
        unfinished_bytes: counters.unfinished.get(),
        metrics: names.zip(values).collect(),
        place,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Four digits at most: `950`, `12.3k`, `4.56M`.
pub(crate) fn brief(number: f64) -> String {
    let short = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    for (unit, name) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        let value = number / unit;
        if value >= 0.9995 {
            let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
            return short(format!("{value:.decimals$}")) + name;
        }
    }
    short(format!("{number:.*}", usize::from(number < 9.95)))
}

/// `850 µs`, `12.3 ms`, `2.40 s`.
pub(crate) fn took(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// `12 s`, `97 min`, `30 h`, `9 d`.
pub(crate) fn span(seconds: f64) -> String {
    let units = [(172_800.0, 86_400.0, "d"), (7_200.0, 3_600.0, "h"), (120.0, 60.0, "min"), (0.0, 1.0, "s")];
    let (_, unit, name) = units.into_iter().find(|(from, ..)| seconds >= *from).unwrap_or(units[3]);
    format!("{:.0} {name}", seconds / unit)
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown = [0, 999, 1_000, 1_234_567].map(super::count);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn large_numbers_are_short() {
        let shown = [0.0, 0.04, 2.5, 9.0, 950.4, 999.6, 1_234.0, 12_345.0, 123_456.0, 1_500_000.0].map(super::brief);
        assert_eq!(shown, ["0", "0", "2.5", "9", "950", "1k", "1.23k", "12.3k", "123k", "1.5M"]);
    }

    #[test]
    fn long_times_are_told_in_a_unit_that_fits() {
        let shown = [0.4, 12.0, 119.0, 5_831.0, 108_000.0, 777_600.0].map(super::span);
        assert_eq!(shown, ["0 s", "12 s", "119 s", "97 min", "30 h", "9 d"]);
    }

    #[test]
    fn times_have_a_unit_that_fits() {
        assert_eq!([0, 850, 12_345, 2_400_000].map(super::took), ["0 µs", "850 µs", "12.3 ms", "2.40 s"]);
    }
}
