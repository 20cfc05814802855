//! The first records of a file, for those who write a pipeline or try an operator on it.
//!
//! What the file is follows from its name, else from how it begins. A packed one is unpacked. Lines that are no records
//! are passed over: in a pipeline they would be dead letters. Neighbours: [`crate::infer`] finds the columns of what is
//! read here.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde_json::Value;
use wasmill_connectors::file::Contents;
use wasmill_engine::codec::Format;
use wasmill_engine::schema::{Field, Kind};

use crate::infer;
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

impl Sample {
    /// The columns of the records. Those of a table that go together as nothing else are texts, as are those without a
    /// value: what looks like JSON in one record is none in the next.
    pub(crate) fn columns(&self) -> Vec<Field> {
        let mut columns = infer::columns(self.rows.iter().map(Vec::as_slice));
        if matches!(self.format, Format::Csv { .. }) {
            columns.iter_mut().filter(|field| field.kind == Kind::Json).for_each(|field| field.kind = Kind::Utf8);
        }
        columns
    }
}

/// Reads the first records of a file.
///
/// # Errors
/// A sentence, what is wrong; what to do.
pub(crate) fn read(path: &Path, records: usize) -> Result<Sample, String> {
    let file = Contents::open(path).map_err(|error| format!("cannot be read: {error}"))?;
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
    let extension = |path: &Path| path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let extension = match extension(path).as_deref() {
        Some("gz" | "zst") => extension(&path.with_extension("")),
        _ => extension(path),
    };
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
    let mut whole = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) if record.len() == header.len() => whole.push(record),
            Ok(_) => {}
            Err(error) if error.is_io_error() => return Err(format!("cannot be read: {error}")),
            Err(_) => {}
        }
        if whole.len() == records {
            break;
        }
    }
    let values = |at: usize| whole.iter().map(move |record| value(&record[at]));
    // `007` and `A7` beside `8` are texts, all three.
    let mixed = |at: usize| infer::kind_of(values(at).collect::<Vec<_>>().iter()) == Some(Kind::Json);
    let texts: Vec<bool> = (0..header.len()).map(mixed).collect();
    let row = |record: &csv::StringRecord| {
        let value = |(text, is_text): (&str, bool)| match value(text) {
            value if value.is_null() || !is_text => value,
            _ => text.into(),
        };
        let values = record.iter().zip(texts.iter().copied()).map(value);
        // A header names nested fields by their paths.
        Row(header.iter().map(ToOwned::to_owned).zip(values).collect()).object()
    };
    Ok(whole.iter().map(row).collect())
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
            let finite = || text.parse::<f64>().ok().filter(|number| number.is_finite());
            whole.ok().or_else(|| finite().map(Value::from)).unwrap_or_else(|| text.into())
        }
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(name: &str, text: &str) -> Result<(Format, String), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let sample = read(&path, RECORDS)?;
        let columns: Vec<String> = sample.columns().iter().map(ToString::to_string).collect();
        Ok((sample.format, columns.join(", ")))
    }

    #[test]
    fn a_table_has_the_kinds_that_its_texts_look_like() {
        let (format, found) =
            columns("a.csv", "id;code;x;on;at;site.name\n1;007;1;true;2026-01-01T00:00:00Z;a\n2;8;1.5;false;;b\n3;4\n")
                .unwrap();
        assert_eq!(format, Format::Csv { separator: b';', header: true });
        assert_eq!(found, "id: int64, code: utf8, x: float64, on: boolean, at: timestamp?, site.name: utf8");
        assert_eq!(columns("a.tsv", "a\tb,c\n1\t2\n").unwrap().1, "a: int64, b,c: int64");
        assert_eq!(
            columns("data", "{\"a\":1}\nnot json\n{\"a\":2}\n").unwrap(),
            (Format::Ndjson, "a: int64".to_owned())
        );
    }

    #[test]
    fn texts_of_a_table_that_do_not_go_together_are_texts_and_so_are_those_that_are_always_empty() {
        let text = "id,code,on,big,none,at\n1,007,true,1e999,,2026-01-01T00:00:00Z\nA7,8,1,2,,5\n3,9.50,,3,,\n";
        let (_, found) = columns("a.csv", text).unwrap();
        assert_eq!(found, "id: utf8, code: utf8, on: utf8?, big: utf8, none: utf8?, at: utf8?");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        let codes = read(&path, 9).unwrap().rows.into_iter().map(|row| Row::of(row).get("code").cloned());
        let expected = ["007", "8", "9.50"].map(|code| Some(Value::from(code)));
        assert_eq!(codes.collect::<Vec<_>>(), expected, "as they stand in the file");
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
