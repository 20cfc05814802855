//! The first records of a file, for those who write a pipeline or try an operator on it.
//!
//! What the file is follows from its name, else from how it begins. Lines that are no records are passed over: in a
//! pipeline they would be dead letters. Neighbours: [`crate::infer`] finds the columns of what is read here.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde_json::Value;
use wasmill_engine::codec::Format;

use crate::row::{Item, Row};

/// Records that are looked at to find the columns of a file.
pub(crate) const RECORDS: usize = 1_000;

/// Bytes that are read of a file, at most.
const BYTES_MAX: u64 = 64 << 20;

/// The first records of a file.
#[derive(Debug)]
pub(crate) struct Sample {
    /// What the file is.
    pub(crate) format: Format,
    /// The records, at most as many as were asked for; never none.
    pub(crate) rows: Vec<Vec<(String, Item)>>,
}

/// Reads the first records of a file.
///
/// # Errors
/// A sentence, what is wrong; what to do.
pub(crate) fn read(path: &Path, records: usize) -> Result<Sample, String> {
    let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut text = BufReader::new(file.take(BYTES_MAX));
    let begin = text.fill_buf().map_err(|error| format!("cannot be read: {error}"))?;
    let begin = String::from_utf8_lossy(&begin[..begin.len().min(4_096)]).into_owned();
    let first = begin.lines().next().unwrap_or_default();
    let format = format(path, begin.trim_start().chars().next(), first)?;
    let rows = match format {
        Format::Csv { separator, .. } => csv_rows(text, separator, records),
        Format::Ndjson | Format::Raw => ndjson_rows(text, records),
    }?;
    if rows.is_empty() {
        return Err("has no record that can be read; is it NDJSON (one object a line) or CSV with a header?".to_owned());
    }
    Ok(Sample { format, rows })
}

fn format(path: &Path, begins: Option<char>, first: &str) -> Result<Format, String> {
    let count = |separator: &u8| first.bytes().filter(|byte| byte == separator).count();
    let csv = || {
        let separator = [b',', b';', b'\t', b'|'].into_iter().rev().max_by_key(count).unwrap_or(b',');
        Format::Csv { separator, header: true }
    };
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match (extension.as_deref(), begins) {
        (_, None) => Err("is empty; there is nothing to see which columns there are".to_owned()),
        (Some("csv"), _) => Ok(csv()),
        (Some("tsv"), _) => Ok(Format::Csv { separator: b'\t', header: true }),
        (_, Some('[')) => {
            Err("is a JSON list; a pipeline reads one object a line, as `jq -c '.[]'` makes of it".to_owned())
        }
        (Some("ndjson" | "jsonl" | "json"), _) | (_, Some('{')) => Ok(Format::Ndjson),
        _ => Ok(csv()),
    }
}

fn ndjson_rows(text: impl std::io::BufRead, records: usize) -> Result<Vec<Vec<(String, Item)>>, String> {
    let mut rows = Vec::new();
    for line in text.split(b'\n') {
        let line = line.map_err(|error| format!("cannot be read: {error}"))?;
        if let Ok(Item::Object(row)) = serde_json::from_slice(&line) {
            rows.push(row);
        }
        if rows.len() == records {
            break;
        }
    }
    Ok(rows)
}

fn csv_rows(text: impl std::io::Read, separator: u8, records: usize) -> Result<Vec<Vec<(String, Item)>>, String> {
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(text);
    let header = reader.headers().map_err(|error| format!("has no header: {error}"))?.clone();
    let whole = reader.records().filter_map(Result::ok).filter(|record| record.len() == header.len());
    let row = |record: csv::StringRecord| {
        let named = header.iter().zip(&record).map(|(name, text)| (name.to_owned(), value(text)));
        // A header names nested fields by their paths.
        Row(named.collect()).object()
    };
    Ok(whole.take(records).map(row).collect())
}

/// What a field of CSV probably means.
fn value(text: &str) -> Value {
    let number = text.trim_start_matches('-');
    let plain = number.starts_with(|c: char| c.is_ascii_digit())
        && (!number.starts_with('0') || number.len() == 1 || number.starts_with("0."));
    match text {
        "" => Value::Null,
        "true" => true.into(),
        "false" => false.into(),
        _ if plain => {
            let whole = text.parse::<i64>().map(Value::from);
            whole.or_else(|_| text.parse::<f64>().map(Value::from)).unwrap_or_else(|_| text.into())
        }
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer;

    fn columns(name: &str, text: &str) -> Result<(Format, String), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let sample = read(&path, RECORDS)?;
        let columns: Vec<String> =
            infer::columns(sample.rows.iter().map(Vec::as_slice)).iter().map(ToString::to_string).collect();
        Ok((sample.format, columns.join(", ")))
    }

    #[test]
    fn a_table_has_the_kinds_that_its_texts_look_like() {
        let (format, found) =
            columns("a.csv", "id;code;x;on;at;site.name\n1;007;1;true;2026-01-01T00:00:00Z;a\n2;8;1.5;false;;b\n3;4\n")
                .unwrap();
        assert_eq!(format, Format::Csv { separator: b';', header: true });
        assert_eq!(found, "id: int64, code: json, x: float64, on: boolean, at: timestamp?, site.name: utf8");
        assert_eq!(columns("a.tsv", "a\tb,c\n1\t2\n").unwrap().1, "a: int64, b,c: int64");
        assert_eq!(
            columns("data", "{\"a\":1}\nnot json\n{\"a\":2}\n").unwrap(),
            (Format::Ndjson, "a: int64".to_owned())
        );
    }

    #[test]
    fn what_has_no_records_is_told_what_it_is() {
        for (name, text, said) in [
            ("a.ndjson", "", "is empty"),
            ("a.json", "[{\"a\":1}]", "is a JSON list"),
            ("a.ndjson", "hello", "has no record"),
            ("a.csv", "a,b\n", "has no record"),
        ] {
            assert!(columns(name, text).unwrap_err().starts_with(said), "{name}");
        }
        assert!(read(Path::new("absent.csv"), 1).unwrap_err().starts_with("cannot be read"));
    }
}
