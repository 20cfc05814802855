//! CSV beside the `csv` crate: each of its records is one of ours, with the same text, or a dead letter with a reason
//! that the crate's reading bears out.
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
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(data);
    let theirs: Vec<csv::ByteRecord> = reader.byte_records().collect::<Result<_, _>>().expect("bytes are always read");
    let records = &decoded.records;
    let read = (0..records.rows).map(|row| (records.offset(row), Some(row), None));
    let refused = decoded.bad.iter().map(|letter| (letter.offset, None, Some(letter)));
    let mut ours: Vec<_> = read.chain(refused).collect();
    ours.sort_by_key(|(offset, ..)| *offset);
    assert_eq!(ours.len(), theirs.len(), "one record is one record");
    for ((_, row, letter), theirs) in ours.into_iter().zip(&theirs) {
        if let Some(row) = row {
            assert!(theirs.iter().eq(columns.iter().map(|column| column.value(row).as_bytes())));
        }
        // We are stricter with quotes and with text, and want each record to have all fields.
        if let Some(letter) = letter {
            let quoted = letter.record.contains(&b'"');
            let text = std::str::from_utf8(&letter.record).is_ok();
            assert!(quoted || !text || theirs.len() != 2, "{}, but the crate reads {theirs:?}", letter.reason);
        }
    }
});
