//! CSV as others read it, as people write it, and as it goes wrong.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use proptest::prelude::*;

use super::NO_HEADER;
use crate::batch::{Batch, Layout, PADDING, Records, Span};
use crate::codec::{Chunk, DecodePlan, Decoded, Needs, decoder, encoder, header};
use crate::schema::{Field, Format, Kind, Schema};

const FORMAT: Format = Format::Csv { separator: b',', header: true };
const BARE: Format = Format::Csv { separator: b',', header: false };

fn chunk(bytes: &[u8], header: Option<&[u8]>) -> Chunk {
    let data = [bytes, &[0; PADDING]].concat();
    let (offset, header) = (header.map_or(0, |header| header.len() as u64), header.map(Arc::from));
    let (source, partition) = ("readings".into(), "a.csv".into());
    Chunk { source, partition, data: data.into(), len: bytes.len(), offset, line: 2, header, broken: None }
}

fn plan(format: Format, fields: &[Field]) -> DecodePlan {
    let needs = Needs { fill: vec![true; fields.len()], locate: vec![false; fields.len()] };
    DecodePlan { format, schema: Schema::new(fields.to_vec()), needs, event_time: None }
}

fn decode(fields: &[Field], head: &str, rows: &str) -> Decoded {
    decoder(plan(FORMAT, fields)).decode(&chunk(rows.as_bytes(), Some(head.as_bytes())))
}

fn reasons(decoded: &Decoded) -> Vec<&str> {
    decoded.bad.iter().map(|letter| &*letter.reason).collect()
}

fn texts(column: &ArrayRef) -> Vec<Option<&str>> {
    column.as_string::<i32>().iter().collect()
}

fn reading() -> Vec<Field> {
    vec![
        Field::required("sensor", Kind::Utf8),
        Field::nullable("value", Kind::Float64),
        Field::nullable("note", Kind::Utf8),
    ]
}

#[test]
fn columns_are_found_by_name_in_any_order_and_others_are_passed_over() {
    let decoded = decode(&reading(), "\u{FEFF}extra,value,\"sensor\"\r\n", "x,1.5,a\r\ny,,\"b \"\"c\"\"\"\n");
    assert_eq!(reasons(&decoded), [""; 0]);
    let columns: Vec<&ArrayRef> = decoded.records.columns.iter().flatten().collect();
    assert_eq!(texts(columns[0]), [Some("a"), Some("b \"c\"")]);
    assert_eq!(columns[1].as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [Some(1.5), None]);
    assert_eq!(texts(columns[2]), [None, None]);
}

#[test]
fn a_file_without_a_required_column_goes_to_the_dead_letters_and_says_so() {
    let decoded = decode(&reading(), "value,note\n", "1,x\n2,y\n");
    assert_eq!(reasons(&decoded), ["the header has no column `sensor`: it is `value,note`"; 2]);
    let twice = decode(&reading(), "sensor,value,sensor\n", "a,1,b\n");
    assert_eq!(reasons(&twice), ["the header has two columns `sensor`"]);
    let unknown = decoder(plan(FORMAT, &reading())).decode(&chunk(b"a,1,b\n", None));
    assert!(reasons(&unknown)[0].starts_with("the header of the partition was not read"));
}

#[test]
fn the_header_of_one_partition_is_not_that_of_another() {
    let mut decoder = decoder(plan(FORMAT, &reading()));
    let first = decoder.decode(&chunk(b"a,1,x\n", Some(b"sensor,value,note\n")));
    let second = decoder.decode(&chunk(b"y,b\n", Some(b"note,sensor\n")));
    let again = decoder.decode(&chunk(b"c,3,z\n", Some(b"sensor,value,note\n")));
    for (decoded, sensor) in [(first, "a"), (second, "b"), (again, "c")] {
        assert_eq!(texts(decoded.records.columns[0].as_ref().unwrap()), [Some(sensor)]);
    }
}

#[test]
fn without_a_header_of_its_own_a_partition_is_not_read_under_that_of_another() {
    let mut decoder = decoder(plan(FORMAT, &reading()));
    assert_eq!(decoder.decode(&chunk(b"a,1,x\n", Some(b"sensor,value,note\n"))).records.rows, 1);
    let unknown = decoder.decode(&chunk(b"b,2,y\n", None));
    assert_eq!((unknown.records.rows, reasons(&unknown)), (0, vec![NO_HEADER]));
    assert_eq!(decoder.decode(&chunk(b"a,1,x\n", Some(b"sensor,value,note\n"))).records.rows, 1);
}

#[test]
fn an_empty_field_is_null_and_quotes_make_it_the_empty_text() {
    let decoded = decode(&reading(), "sensor,value,note\n", ",,\n\"\",1,\"\"\n");
    assert_eq!(texts(decoded.records.columns[0].as_ref().unwrap()), [Some(""), Some("")]);
    assert_eq!(texts(decoded.records.columns[2].as_ref().unwrap()), [None, Some("")]);
    let decoded = decode(&reading(), "sensor,value,note\n", "\"a\",\"\",\"\"\n");
    let values = decoded.records.columns[1].as_ref().unwrap();
    assert_eq!(values.as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [None], "no float is empty");
    let required = [Field::required("value", Kind::Float64)];
    let decoded = decode(&required, "value\n", "\"\"\n");
    assert_eq!(reasons(&decoded), ["field `value`: expected float64, found nothing"]);
}

#[test]
fn a_bad_record_names_its_line_its_offset_its_field_and_what_was_found() {
    let fields =
        [Field::required("n", Kind::Int64), Field::required("ok", Kind::Boolean), Field::nullable("j", Kind::Json)];
    let good_and_bad = "1,true,\"[1,\n2]\"\n\nx,true,\n2,yes,\n3,true,{\n4,true\n";
    let rows = &format!("{good_and_bad}99999999999999999999,true,\n5,\"true\"x,\n6,false,{{}}\n");
    let decoded = decode(&fields, "n,ok,j\n", rows);
    assert_eq!(decoded.records.columns[0].as_ref().unwrap().as_primitive::<Int64Type>().values(), &[1, 6]);
    assert_eq!(
        reasons(&decoded),
        [
            "field `n`: expected int64, found `x`",
            "field `ok`: expected boolean, found `yes`",
            "field `j`: expected json, found `{`",
            "expected 3 fields, found 2",
            "field `n`: expected int64, found `99999999999999999999`",
            "field `ok`: expected a separator or the line's end after the closing quote, found text",
        ]
    );
    let first = &decoded.bad[0];
    assert_eq!((first.line, first.offset, &*first.record), (Some(5), 7 + 17, &b"x,true,"[..]));
    assert_eq!((decoded.records.line(0), decoded.records.line(1)), (Some(2), Some(11)));
    assert_eq!(decoded.records.bytes(1), Some(&b"6,false,{}"[..]));
    assert_eq!(decoded.records.offset(1) as usize, 7 + rows.find("6,").unwrap());
}

#[test]
fn a_float_that_is_not_finite_and_a_year_that_no_timestamp_has_are_bad_and_say_so() {
    let fields = [Field::nullable("v", Kind::Float64), Field::nullable("at", Kind::Timestamp)];
    let times = "1,9223372036854775807\n1,9223372036854775\n1,9223372036854775808\n";
    let decoded = decode(&fields, "v,at\n", &format!("nan,\n-Infinity,\n1e999,\n,\n{times}"));
    let float = |text: &str| {
        let detail = "which is no finite number; for no value leave the field empty, and declare it `float64?`";
        format!("field `v`: expected float64, found `{text}`, {detail}")
    };
    let at = "field `at`: expected timestamp, found `922337203685477580";
    let year = format!("{at}7`, milliseconds that lie outside of the years -290308 to +294247");
    let expected = [float("nan"), float("-Infinity"), float("1e999"), year, format!("{at}8`")];
    assert_eq!(reasons(&decoded), expected);
    assert_eq!(decoded.records.rows, 2);
}

#[test]
fn a_field_that_nobody_reads_is_checked_all_the_same() {
    let mut plan = plan(FORMAT, &reading());
    plan.needs.fill = vec![false, false, true];
    let decoded = decoder(plan).decode(&chunk(b"a,1,x\nb,one,y\n", Some(b"sensor,value,note\n")));
    assert_eq!(reasons(&decoded), ["field `value`: expected float64, found `one`"]);
    assert!(decoded.records.columns[1].is_none());
    assert_eq!(texts(decoded.records.columns[2].as_ref().unwrap()), [Some("x")]);
}

#[test]
fn event_times_are_rfc_3339_or_milliseconds_and_required() {
    let mut plan = plan(BARE, &[Field::nullable("at", Kind::Timestamp)]);
    plan.event_time = Some(0);
    plan.needs = Needs { fill: vec![false], locate: vec![true] };
    let decoded = decoder(plan).decode(&chunk(b"1970-01-01T00:00:01Z\n\"1500\"\n\"\"\nsoon\n", None));
    assert_eq!(decoded.records.event_time.unwrap().to_vec(), [1_000_000, 1_500_000]);
    assert_eq!(decoded.bad.len(), 2);
    let values = &decoded.records.raw.unwrap().values;
    assert_eq!(*values, [(0, vec![Span { start: 0, end: 20 }, Span { start: 21, end: 27 }])]);
}

#[test]
fn what_is_not_text_or_was_broken_off_costs_one_record() {
    let mut broken = chunk(b"a,1,x\n\xFF,2,y\nc,3,z\nd,\"4", Some(b"sensor,value,note\n"));
    broken.broken = Some("the file ends in the middle".into());
    let decoded = decoder(plan(FORMAT, &reading())).decode(&broken);
    assert_eq!(texts(decoded.records.columns[0].as_ref().unwrap()), [Some("a"), Some("c")]);
    assert_eq!(reasons(&decoded), ["the record is not UTF-8 from its byte 0 on", "the file ends in the middle"]);
    broken.len = 0;
    let decoded = decoder(plan(FORMAT, &reading())).decode(&broken);
    assert_eq!((decoded.records.rows, reasons(&decoded)), (0, vec!["the file ends in the middle"]));
}

/// Whether a record keeps RFC 4180's rules, told without the decoder.
fn strict(record: &[u8]) -> bool {
    let mut rest = record;
    loop {
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            let Some(end) = closing(quoted) else { return false };
            rest = &quoted[end + 1..];
        } else {
            let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
            if rest[..end].contains(&b'"') {
                return false;
            }
            rest = &rest[end..];
        }
        match rest.split_first() {
            None => return true,
            Some((b',', after)) => rest = after,
            Some(_) => return false,
        }
    }
}

fn closing(quoted: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += quoted[at..].iter().position(|byte| *byte == b'"')?;
        if quoted.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// The records that the `csv` crate sees, each with whether we are to read it too.
fn expected(data: &[u8], width: usize) -> Vec<(Vec<Vec<u8>>, bool)> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(data);
    let records: Vec<csv::ByteRecord> = reader.byte_records().map(Result::unwrap).collect();
    let starts: Vec<usize> = records.iter().map(|record| record.position().unwrap().byte() as usize).collect();
    let end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    records
        .iter()
        .enumerate()
        .map(|(i, record)| {
            let raw = &data[starts[i]..starts.get(i + 1).copied().unwrap_or(data.len())];
            let start = raw.iter().position(|byte| !end(byte)).unwrap_or(0);
            let stop = raw.iter().rposition(|byte| !end(byte)).map_or(0, |last| last + 1);
            let good = strict(&raw[start..stop]) && std::str::from_utf8(raw).is_ok() && record.len() == width;
            (record.iter().map(<[u8]>::to_vec).collect(), good)
        })
        .collect()
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"a"[..],
        b"bc",
        b"\xC3\xA9",
        b",",
        b",",
        b",",
        b"\n",
        b"\n",
        b"\r\n",
        b"\"",
        b"\"",
        b"\"\"",
        b"\"x,\n\"",
        b" ",
        b"\xFF",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn any_field() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "b c", "\"", "a,b", "x\ny", "\r", "\r\n", "\"\"", " ", "é", "null"])
        .prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn whatever_the_csv_crate_reads_we_read_alike_or_refuse(data in pieces()) {
        // The crate takes a byte order mark off and ends records at a `\r` alone: neither is in these pieces.
        let fields = ["x", "y"].map(|name| Field::required(name, Kind::Utf8));
        let decoded = decoder(plan(BARE, &fields)).decode(&chunk(&data, None));
        let expected = expected(&data, fields.len());
        let columns: Vec<_> = decoded.records.columns.iter().flatten().collect();
        let ours: Vec<Vec<Vec<u8>>> = (0..decoded.records.rows)
            .map(|row| columns.iter().map(|column| column.as_string::<i32>().value(row).as_bytes().to_vec()).collect())
            .collect();
        let theirs: Vec<_> = expected.iter().filter(|(_, good)| *good).map(|(record, _)| record.clone()).collect();
        prop_assert_eq!(ours, theirs);
        prop_assert_eq!(decoded.bad.len(), expected.iter().filter(|(_, good)| !good).count());
    }

    #[test]
    fn what_the_csv_crate_writes_we_read(
        rows in prop::collection::vec([any_field(), any_field(), any_field()], 1..20),
    ) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        rows.iter().for_each(|row| writer.write_record(row).unwrap());
        let data = writer.into_inner().unwrap();
        let fields = ["x", "y", "z"].map(|name| Field::required(name, Kind::Utf8));
        let decoded = decoder(plan(BARE, &fields)).decode(&chunk(&data, None));
        prop_assert_eq!(reasons(&decoded), Vec::<&str>::new());
        for (i, column) in decoded.records.columns.iter().flatten().enumerate() {
            prop_assert_eq!(texts(column), rows.iter().map(|row| Some(&*row[i])).collect::<Vec<_>>());
        }
    }

    #[test]
    fn cutting_in_two_where_the_framing_says_changes_nothing(data in pieces(), at in any::<prop::sample::Index>()) {
        let fields = ["x", "y"].map(|name| Field::required(name, Kind::Utf8));
        let whole = decoder(plan(BARE, &fields)).decode(&chunk(&data, None));
        let cut = crate::codec::framing(&BARE).boundary(&data[..at.index(data.len() + 1)]).unwrap_or(0);
        let parts = [&data[..cut], &data[cut..]].map(|part| decoder(plan(BARE, &fields)).decode(&chunk(part, None)));
        let records = |decoded: &Decoded| -> Vec<Vec<u8>> {
            (0..decoded.records.rows).map(|row| decoded.records.bytes(row).unwrap().to_vec()).collect()
        };
        prop_assert_eq!(records(&whole), parts.iter().flat_map(records).collect::<Vec<_>>());
        prop_assert_eq!(whole.bad.len(), parts[0].bad.len() + parts[1].bad.len());
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(data in prop::collection::vec(any::<u8>(), 0..200), head in pieces()) {
        let decoded = decoder(plan(FORMAT, &reading())).decode(&chunk(&data, Some(&head)));
        prop_assert_eq!(decoded.records.raw.unwrap().spans.len(), decoded.records.rows);
    }

    #[test]
    fn what_we_write_we_read(
        rows in prop::collection::vec((
            (any_field(), prop::option::of(any_field()), prop::option::of(any::<i64>())),
            (any::<f64>(), any::<bool>(), prop::option::of(any::<i64>())),
        ), 0..20),
        separator in prop::sample::select(vec![b',', b';', b'\t']),
    ) {
        let format = Format::Csv { separator, header: true };
        let fields = [
            Field::required("site.name", Kind::Utf8),
            Field::nullable("b, c", Kind::Utf8),
            Field::nullable("n", Kind::Int64),
            Field::required("f", Kind::Float64),
            Field::required("ok", Kind::Boolean),
            Field::nullable("at", Kind::Timestamp),
        ];
        let schema = Schema::new(fields.to_vec());
        let columns: [ArrayRef; 6] = [
            Arc::new(rows.iter().map(|row| Some(&row.0.0)).collect::<arrow_array::StringArray>()),
            Arc::new(rows.iter().map(|row| row.0.1.as_ref()).collect::<arrow_array::StringArray>()),
            Arc::new(rows.iter().map(|row| row.0.2).collect::<arrow_array::Int64Array>()),
            Arc::new(rows.iter().map(|row| row.1.0).collect::<arrow_array::Float64Array>()),
            Arc::new(rows.iter().map(|row| Some(row.1.1)).collect::<arrow_array::BooleanArray>()),
            Arc::new(rows.iter().map(|row| row.1.2).collect::<arrow_array::TimestampMicrosecondArray>()),
        ];
        let records = Records {
            source: "s".into(),
            partition: "p".into(),
            rows: rows.len(),
            columns: columns.iter().cloned().map(Some).collect(),
            event_time: None,
            message: None,
            raw: None,
            first: 0,
        };
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let batch = Batch::new(Arc::new(records), Arc::new(Layout::of_source(&schema)));
        encoder(&format).encode(&batch, &mut bytes, &mut ends);
        prop_assert_eq!((ends.len(), ends.last().copied().unwrap_or(0) as usize), (rows.len(), bytes.len()));
        let head = header(&format, &schema);
        let decoded = decoder(plan(format, &fields)).decode(&chunk(&bytes, Some(&head)));
        prop_assert_eq!(reasons(&decoded), Vec::<&str>::new());
        for (ours, read) in columns.iter().zip(decoded.records.columns.iter().flatten()) {
            prop_assert_eq!(&**ours, &**read);
        }
    }
}
