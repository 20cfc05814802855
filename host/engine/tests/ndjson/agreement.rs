//! The decoder takes and refuses exactly the lines that serde_json does, with the same values.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use proptest::prelude::*;
use wasmill_engine::batch::Span;
use wasmill_engine::codec::{Decoded, decoder};
use wasmill_engine::schema::{Kind, Schema};

use crate::lines::{Health, Tape, text};
use crate::oracle::{Cell, Node, Verdict, judge, same};
use crate::{decode, decode_with, plan, schema};

/// The value of a row of a column.
pub(crate) fn cell(kind: Kind, column: &ArrayRef, row: usize) -> Cell {
    if column.is_null(row) {
        return Cell::Null;
    }
    match kind {
        Kind::Boolean => Cell::Bool(column.as_boolean().value(row)),
        Kind::Int64 => Cell::Int(column.as_primitive::<Int64Type>().value(row)),
        Kind::Float64 => Cell::Float(column.as_primitive::<Float64Type>().value(row)),
        Kind::Timestamp => Cell::Int(column.as_primitive::<TimestampMicrosecondType>().value(row)),
        Kind::Utf8 => Cell::Text(column.as_string::<i32>().value(row).to_owned()),
        Kind::Bytes => {
            Cell::Text(String::from_utf8(column.as_binary::<i32>().value(row).to_vec()).expect("text of the record"))
        }
        Kind::Json => Cell::Json(serde_json::from_str(column.as_string::<i32>().value(row)).expect("JSON")),
    }
}

/// Says what is wrong if decoding `bytes` gave something else than the oracle says.
pub(crate) fn compare(schema: &Schema, bytes: &[u8], decoded: &Decoded) -> Result<(), String> {
    let (mut row, mut letters) = (0, decoded.bad.iter().peekable());
    let mut offset = 0;
    let records = &decoded.records;
    for (number, line) in (0_u64..).zip(bytes.split(|byte| *byte == b'\n')) {
        let shown = String::from_utf8_lossy(line);
        let is_bad = letters.next_if(|letter| letter.offset == 1_000 + offset).inspect(|letter| {
            assert_eq!(letter.line, Some(11 + number));
            assert_eq!(letter.record, line.strip_suffix(b"\r").unwrap_or(line));
            assert!(!letter.reason.is_empty());
        });
        let is_good = is_bad.is_none() && row < records.rows && records.offset(row) == 1_000 + offset;
        match (judge(schema, line), is_good, is_bad) {
            (Verdict::Blank, false, None) | (Verdict::Bad | Verdict::Open, false, Some(_)) => {}
            (Verdict::Good(cells), true, _) => {
                for (position, (field, cell)) in schema.fields().iter().zip(cells).enumerate() {
                    let found = self::cell(field.kind, records.columns[position].as_ref().expect("it is filled"), row);
                    if !same(&found, &cell) {
                        return Err(format!("`{}` of {shown}: {found:?}, expected {cell:?}", field.name));
                    }
                    located(decoded, position, row, &cell)?;
                }
                assert_eq!(
                    (records.line(row), records.bytes(row)),
                    (Some(11 + number), line.strip_suffix(b"\r").or(Some(line)))
                );
                row += 1;
            }
            (Verdict::Open, true, _) => row += 1,
            (verdict, _, bad) => {
                return Err(format!("{shown}: expected {verdict:?}, bad because {:?}", bad.map(|l| &l.reason)));
            }
        }
        offset += line.len() as u64 + 1;
    }
    if row != records.rows || letters.next().is_some() {
        return Err("there are more records or dead letters than lines".to_owned());
    }
    Ok(())
}

/// The bytes at the place of a value are that value.
fn located(decoded: &Decoded, position: usize, row: usize, cell: &Cell) -> Result<(), String> {
    let raw = decoded.records.raw.as_ref().expect("lines have bytes");
    let (_, places) = raw.values.iter().find(|(field, _)| *field == position).expect("it is located");
    let place: Span = places[row];
    let node = if place == Span::default() {
        Node::Null
    } else {
        serde_json::from_slice(place.of(&raw.data)).map_err(|error| format!("{place:?} is no value: {error}"))?
    };
    let agrees = match (cell, &node) {
        (Cell::Null, Node::Null) | (Cell::Float(_), Node::Int(_) | Node::Large(_) | Node::Float(_)) => true,
        (Cell::Bool(a), Node::Bool(b)) => a == b,
        (Cell::Int(a), Node::Int(b)) => a == b || *a == b * 1_000,
        (Cell::Int(_), Node::Text(_)) => true,
        (Cell::Text(a), Node::Text(b)) => a == b,
        (Cell::Json(a), b) => a == b,
        _ => false,
    };
    if agrees { Ok(()) } else { Err(format!("{cell:?} is not what lies at its place: {node:?}")) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_lines_decode_as_serde_json_reads_them(tape in prop::collection::vec(any::<u8>(), 0..6_000)) {
        let text = text(&mut Tape { bytes: &tape }, Health::Any);
        let schema = schema();
        let mut decoder = decoder(plan(&schema));
        for round in ["unknown", "learned"] {
            let decoded = decode_with(&mut *decoder, &text);
            if let Err(difference) = compare(&schema, &text, &decoded) {
                return Err(TestCaseError::fail(format!("{round}: {difference}")));
            }
        }
    }

    #[test]
    fn good_lines_are_all_taken(tape in prop::collection::vec(any::<u8>(), 0..6_000)) {
        let text = text(&mut Tape { bytes: &tape }, Health::Good);
        let decoded = decode(&schema(), &text);
        prop_assert_eq!(&decoded.bad, &vec![]);
        prop_assert_eq!(compare(&schema(), &text, &decoded), Ok(()));
    }

    #[test]
    fn any_bytes_decode_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let decoded = decode(&schema(), &bytes);
        prop_assert_eq!(compare(&schema(), &bytes, &decoded), Ok(()));
    }

    #[test]
    fn floats_are_rounded_correctly(
        values in prop::collection::vec(any::<f64>().prop_filter("finite", |v| v.is_finite()), 1..50),
        digits in 0_usize..20,
    ) {
        let schema = crate::fields(&["x: float64", "y: float64"]);
        let line = |v: &f64| format!("{{\"x\":{v:e},\"y\":{:.digits$}}}\n", v % 1e15);
        let text: String = values.iter().map(line).collect();
        let decoded = decode(&schema, text.as_bytes());
        prop_assert_eq!(decoded.records.rows, values.len());
        for (row, value) in values.iter().enumerate() {
            let column = |number: usize| decoded.records.columns[number].as_ref().unwrap();
            let found = |number: usize| column(number).as_primitive::<Float64Type>().value(row);
            prop_assert_eq!(found(0).to_bits(), value.to_bits());
            let text = format!("{:.digits$}", value % 1e15);
            prop_assert_eq!(found(1).to_bits(), text.parse::<f64>().unwrap().to_bits());
        }
    }
}
