//! What is written reads as the same again, and what nobody touched is written as it was.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use proptest::prelude::*;
use wasmill_engine::batch::{Batch, Layout, Place, Records};
use wasmill_engine::codec::ndjson::can_splice;
use wasmill_engine::codec::{Format, encoder};
use wasmill_engine::schema::{Field, Kind, Schema};

use crate::agreement::cell;
use crate::lines::{Health, Tape, text};
use crate::oracle::{Node, same};
use crate::{decode, fields, schema};

/// The lines of a batch, each with its end.
fn encode(batch: &Batch) -> Vec<String> {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    encoder(&Format::Ndjson).encode(batch, &mut bytes, &mut ends);
    assert_eq!((ends.len(), ends.last().map_or(0, |end| *end as usize)), (batch.rows(), bytes.len()));
    let starts = std::iter::once(&0).chain(&ends);
    let line =
        |(start, end): (&u32, &u32)| String::from_utf8(bytes[*start as usize..*end as usize].to_vec()).expect("UTF-8");
    starts.zip(&ends).map(line).collect()
}

/// The layout of records with made columns over or beside their fields.
fn layout(source: &Schema, made: &[Field], whole: bool) -> Arc<Layout> {
    let mut all = source.fields().to_vec();
    let mut places: Vec<_> = (0..all.len()).map(Place::Record).collect();
    for (number, field) in made.iter().enumerate() {
        match all.iter().position(|other| other.name == field.name) {
            Some(position) => (all[position], places[position]) = (field.clone(), Place::Made(number)),
            None => {
                all.push(field.clone());
                places.push(Place::Made(number));
            }
        }
    }
    Arc::new(Layout { source: source.clone(), schema: Schema::new(all), places, whole })
}

/// Those rows of a text's records, with one made column.
fn made(source: &Schema, text: &str, field: Field, column: ArrayRef, whole: bool) -> Vec<String> {
    let decoded = decode(source, text.as_bytes());
    assert_eq!(decoded.bad, vec![]);
    let batch = Batch::new(Arc::new(decoded.records), Arc::new(Layout::of_source(source)));
    encode(&batch.derive(None, vec![column], &[], &layout(source, &[field], whole)))
}

#[test]
fn a_replaced_value_is_spliced_in_and_everything_else_stays_byte_for_byte() {
    let source = fields(&["price: int64", "url: utf8?"]);
    let text = "{\"x\": [1, 2],  \"price\" : 100, \"url\":null }\n{\"price\":7,\"y\":{\"price\":1}}\r\n";
    let lines =
        made(&source, text, Field::required("price", Kind::Int64), Arc::new(Int64Array::from(vec![-5, 123_456])), true);
    assert_eq!(
        lines,
        ["{\"x\": [1, 2],  \"price\" : -5, \"url\":null }\n", "{\"price\":123456,\"y\":{\"price\":1}}\n"]
    );
    let urls = StringArray::from(vec![Some("a\"b"), None]);
    let lines = made(&source, text, Field::nullable("url", Kind::Utf8), Arc::new(urls), true);
    let expected = [
        "{\"x\": [1, 2],  \"price\" : 100, \"url\":\"a\\\"b\" }\n",
        "{\"price\":7,\"y\":{\"price\":1},\"url\":null}\n",
    ];
    assert_eq!(lines, expected, "a field that the record lacks is added");
}

#[test]
fn a_new_value_is_added_once_whatever_the_record_has() {
    let source = fields(&["price: int64?"]);
    let text = [
        r#"{"price":1}"#,
        r#"{ "price":1 }"#,
        "{}",
        "{ }",
        r#"{"fee":"old","price":1}"#,
        r#"{"f\u0065e":[1],"price":1}"#,
        r#"{"x":"fee","y":{"fee":2}}"#,
    ]
    .join("\n");
    let lines =
        made(&source, &text, Field::required("fee", Kind::Int64), Arc::new(Int64Array::from_iter_values(10..17)), true);
    let expected = [
        "{\"price\":1,\"fee\":10}\n",
        "{ \"price\":1,\"fee\":11}\n",
        "{\"fee\":12}\n",
        "{\"fee\":13}\n",
        "{\"fee\":14,\"price\":1}\n",
        "{\"f\\u0065e\":15,\"price\":1}\n",
        "{\"x\":\"fee\",\"y\":{\"fee\":2},\"fee\":16}\n",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn values_are_replaced_in_whatever_order_the_keys_stand() {
    let source = fields(&["a: int64", "b: int64"]);
    let decoded = decode(&source, b"{\"a\":1,\"b\":2}\n{\"b\":3,\"a\":4}\n{\"a\":5,\"b\":6}\n");
    let batch = Batch::new(Arc::new(decoded.records), Arc::new(Layout::of_source(&source)));
    let fields = [Field::required("b", Kind::Int64), Field::required("a", Kind::Int64)];
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![20, 30])), Arc::new(Int64Array::from(vec![40, 50]))];
    let batch = batch.derive(Some(&UInt32Array::from(vec![1, 2])), columns, &[], &layout(&source, &fields, true));
    assert_eq!(encode(&batch), ["{\"b\":20,\"a\":40}\n", "{\"a\":50,\"b\":30}\n"]);
}

#[test]
fn rows_that_are_not_their_records_are_written_in_the_order_of_their_schema() {
    let source = fields(&["price: int64", "site.name: utf8?", "at: timestamp", "site.size: int64?"]);
    let text = "{\"at\":1795272616123,\"other\":1,\"site\":{\"name\":\"a\\tb\"},\"price\":7}";
    let lines = made(&source, text, Field::required("n", Kind::Int64), Arc::new(Int64Array::from(vec![1])), false);
    let expected = r#"{"price":7,"site":{"name":"a\tb","size":null},"at":"2026-11-21T14:50:16.123000Z","n":1}"#;
    assert_eq!(lines, [format!("{expected}\n")]);
}

#[test]
fn values_of_every_kind_are_written_as_documented() {
    let mut live = BooleanBuilder::new();
    [Some(true), None].into_iter().for_each(|value| live.append_option(value));
    let mut tags = StringBuilder::new();
    [Some("[1,\n2]"), Some("no json")].into_iter().for_each(|value| tags.append_option(value));
    let columns: Vec<Option<ArrayRef>> = vec![
        Some(Arc::new(live.finish())),
        Some(Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::NAN)]))),
        Some(Arc::new(BinaryArray::from_vec(vec![b"text", b"\xff\x00"]))),
        Some(Arc::new(TimestampMicrosecondArray::from(vec![-1, i64::MAX]))),
        Some(Arc::new(tags.finish())),
    ];
    let source = fields(&["live: boolean?", "rate: float64", "blob: bytes", "at: timestamp", "tags: json"]);
    let (name, partition) = ("made".into(), "".into());
    let records =
        Records { source: name, partition, rows: 2, columns, event_time: None, message: None, raw: None, first: 0 };
    let batch = Batch::new(Arc::new(records), Arc::new(Layout::of_source(&source)));
    let expected = [
        "{\"live\":true,\"rate\":0.1,\"blob\":\"text\",\"at\":\"1969-12-31T23:59:59.999999Z\",\"tags\":[1, 2]}\n",
        concat!(
            "{\"live\":null,\"rate\":null,\"blob\":\"/wA=\",",
            "\"at\":\"+294247-01-10T04:00:54.775807Z\",\"tags\":\"no json\"}\n"
        ),
    ];
    assert_eq!(encode(&batch), expected);
}

#[test]
fn only_rows_that_are_their_records_can_be_spliced() {
    let source = fields(&["price: int64", "site.name: utf8", "site.size: int64?"]);
    let can = |field: Field, whole| can_splice(&layout(&source, &[field], whole), &Format::Ndjson);
    assert_eq!(can_splice(&Layout::of_source(&source), &Format::Ndjson), Some(vec![]));
    assert_eq!(can_splice(&Layout::of_source(&source), &Format::Raw), None);
    assert_eq!(can(Field::required("price", Kind::Float64), true), Some(vec![0]));
    assert_eq!(can(Field::required("site.name", Kind::Utf8), true), Some(vec![1]));
    assert_eq!(can(Field::required("fee", Kind::Int64), true), Some(vec![]));
    assert_eq!(can(Field::required("fee", Kind::Int64), false), None, "a stage has chosen among the fields");
    assert_eq!(
        can(Field::nullable("site.size", Kind::Int64), true),
        None,
        "a record may lack it, and then `site` stands already"
    );
    assert_eq!(can(Field::required("site.code", Kind::Int64), true), None, "`site` stands already");
    assert_eq!(can(Field::required("site", Kind::Json), true), None, "it would take declared fields along");
    let mut renamed = Layout::of_source(&source);
    renamed.schema = fields(&["cost: int64", "site.name: utf8", "site.size: int64?"]);
    assert_eq!(can_splice(&renamed, &Format::Ndjson), None, "a field has another name");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_anew_reads_as_the_same(tape in prop::collection::vec(any::<u8>(), 0..6_000)) {
        let (schema, text) = (schema(), text(&mut Tape { bytes: &tape }, Health::Good));
        let records = Arc::new(decode(&schema, &text).records);
        let layout = Layout { whole: false, ..Layout::of_source(&schema) };
        let lines = encode(&Batch::new(records.clone(), Arc::new(layout))).concat();
        let again = decode(&schema, lines.as_bytes());
        prop_assert_eq!((again.records.rows, &again.bad), (records.rows, &vec![]));
        for (position, field) in schema.fields().iter().enumerate() {
            for row in 0..records.rows {
                let of = |records: &Records| cell(field.kind, records.columns[position].as_ref().unwrap(), row);
                let (before, after) = (of(&records), of(&again.records));
                prop_assert!(same(&before, &after), "{}: {before:?}, {after:?}", field.name);
            }
        }
    }

    #[test]
    fn a_splice_changes_what_it_should_and_nothing_else(
        tape in prop::collection::vec(any::<u8>(), 0..6_000),
        price in any::<i64>(),
    ) {
        let (schema, text) = (schema(), text(&mut Tape { bytes: &tape }, Health::Good));
        let records = Arc::new(decode(&schema, &text).records);
        let prices: ArrayRef = Arc::new(Int64Array::from(vec![price; records.rows]));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["é\n"; records.rows]));
        let text = |name| Field::required(name, Kind::Utf8);
        let fields = [Field::required("price", Kind::Int64), text("site.name"), text("other")];
        let batch = Batch::new(records.clone(), Arc::new(Layout::of_source(&schema)));
        let batch = batch.derive(None, vec![prices, names.clone(), names], &[], &layout(&schema, &fields, true));
        for (row, line) in encode(&batch).iter().enumerate() {
            let mut expected: Node = serde_json::from_slice(records.bytes(row).unwrap()).unwrap();
            put(&mut expected, "price", Node::Int(price));
            put(&mut expected, "other", Node::Text("é\n".to_owned()));
            let Node::Object(entries) = &mut expected else { panic!("records are objects") };
            let site = entries.iter_mut().find(|(key, _)| key == "site").map(|(_, site)| site).unwrap();
            put(site, "name", Node::Text("é\n".to_owned()));
            prop_assert_eq!(serde_json::from_str::<Node>(line).unwrap(), expected);
        }
    }
}

/// Sets a key of an object, at its end where it is not there.
fn put(object: &mut Node, key: &str, value: Node) {
    let Node::Object(entries) = object else { panic!("an object") };
    match entries.iter_mut().rfind(|(other, _)| other == key) {
        Some((_, old)) => *old = value,
        None => entries.push((key.to_owned(), value)),
    }
}
