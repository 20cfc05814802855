//! `wasmill new pipeline`: a pipeline file that is valid, runs as it stands, and says what can be changed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use wasmill_engine::codec::Format;
use wasmill_engine::schema::{Field, Kind};

use super::{NewError, check_name, in_new_folder, write};
use crate::row::Plain;
use crate::sample;

/// Writes a pipeline of that name to a new folder, whose path starts from `base`: it reads `from`, with the columns
/// that its first records have, or made-up readings.
///
/// # Errors
/// The name is no good, the folder exists, nothing can be seen in `from`, or a file cannot be written.
pub(crate) fn pipeline(base: &Path, name: &str, from: Option<&Path>) -> Result<(), NewError> {
    check_name(name, "a pipeline")?;
    let source = match from {
        None => include_str!("../../templates/pipeline/generator.yaml").to_owned(),
        Some(path) => {
            let wrong = |reason| NewError::Sample { path: path.to_owned(), reason };
            let seen = sample::read(path, sample::RECORDS).map_err(wrong)?;
            let columns = seen.columns();
            let from_folder = if path.is_absolute() { path.to_owned() } else { PathBuf::from("..").join(path) };
            source(&from_folder, &seen.format, &columns, seen.rows.len())
        }
    };
    in_new_folder(&base.join(name), |folder| {
        let text = include_str!("../../templates/pipeline/pipeline.yaml");
        write(&folder.join("pipeline.yaml"), &text.replace("NAME", name).replace("SOURCE\n", &source))?;
        write(&folder.join(".gitignore"), "/out/\n/dead/\n")
    })
}

/// A source that reads a file.
fn source(path: &Path, format: &Format, columns: &[Field], records: usize) -> String {
    let path = serde_json::Value::from(path.to_string_lossy());
    let mut text = format!(
        "    file: {{ path: {path} }}   # or a pattern, \"logs/*.ndjson\"; with `follow: true` also what comes later\n"
    );
    let mut line = |indent: usize, content: &str| {
        // Writing to a string does not fail.
        writeln!(text, "{:indent$}{content}", "").ok();
    };
    line(4, "format:");
    match format {
        Format::Csv { separator: b',', .. } => line(6, "csv:"),
        Format::Csv { separator, .. } => {
            line(6, "csv:");
            line(8, &format!("separator: {}", serde_json::Value::from(char::from(*separator).to_string())));
        }
        Format::Ndjson | Format::Raw => line(6, "ndjson:"),
    }
    line(
        8,
        &format!(
            "# As the first {} records have them. A record that has them otherwise becomes a dead letter;",
            crate::report::count(records as u64)
        ),
    );
    line(8, "# `?` = it may lack the column. Kinds: boolean, int64, float64, utf8, bytes, timestamp, json.");
    line(8, "columns:");
    for Field { name, kind, nullable } in columns {
        line(10, &format!("{}: {kind}{}", Plain(name), if *nullable { "?" } else { "" }));
    }
    let time = columns.iter().find(|field| field.kind == Kind::Timestamp && !field.nullable);
    if let Some(time) = time {
        line(4, &format!("# event_time: {{ column: {}, lateness: 5s }}   # when a row happened", Plain(&time.name)));
    }
    text
}
