//! CSV beside the `csv` crate: each of its records is one of ours, with the same text, or a dead letter.
#![no_main]

use arrow_array::cast::AsArray;
use libfuzzer_sys::fuzz_target;
use wasmill_engine::schema::{Field, Format, Kind};
use wasmill_fuzz::decode;

fuzz_target!(|data: &[u8]| {
    // The crate takes a byte order mark off, and ends records at a `\r` alone, which we refuse.
    let lone = data.iter().enumerate().any(|(i, byte)| *byte == b'\r' && data.get(i + 1) != Some(&b'\n'));
    if lone || data.starts_with(b"\xEF\xBB\xBF") {
        return;
    }
    let fields = ["x", "y"].map(|name| Field::required(name, Kind::Utf8));
    let decoded = decode(Format::Csv { separator: b',', header: false }, &fields, data);
    let columns: Vec<_> = decoded.records.columns.iter().flatten().map(|column| column.as_string::<i32>()).collect();
    let mut ours =
        (0..decoded.records.rows).map(|row| columns.iter().map(|column| column.value(row)).collect::<Vec<_>>());
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(data);
    let theirs: Vec<csv::ByteRecord> = reader.byte_records().collect::<Result<_, _>>().expect("bytes are always read");
    assert_eq!(decoded.records.rows + decoded.bad.len(), theirs.len(), "one record is one record");
    // What we read is a subsequence of what the crate reads.
    let mut theirs = theirs.iter();
    assert!(ours.all(|record| theirs.any(|other| other.iter().eq(record.iter().map(|text| text.as_bytes())))));
});
