//! What every kind of bad line gets: a dead letter that says what is wrong and where, and no harm to its neighbours.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use wasmill_engine::codec::{DecodePlan, Needs, decoder};
use wasmill_engine::limits::RECORD_BYTES_MAX;
use wasmill_engine::schema::Schema;

use crate::{chunk, decode, decode_with, fields, plan};

/// The reason why a line is bad, which stands between two good ones, both before and after its like were learned.
fn reason(schema: &[&str], line: &[u8], good: &str) -> String {
    let schema = fields(schema);
    let text = [good.as_bytes(), line, good.as_bytes()].join(&b'\n');
    let mut decoder = decoder(plan(&schema));
    let first = decode_with(&mut *decoder, &text);
    let again = decode_with(&mut *decoder, &text);
    assert_eq!(first.bad, again.bad, "a bad record is bad whatever came before");
    assert_eq!((again.records.rows, again.bad.len()), (2, 1), "{:?}", again.bad);
    let letter = &again.bad[0];
    assert_eq!((letter.offset, letter.line), (1_000 + good.len() as u64 + 1, Some(12)));
    assert_eq!(letter.record, line);
    assert_eq!((&*letter.source, &*letter.partition, &*letter.stage), ("readings", "a.ndjson", "readings"));
    letter.reason.clone()
}

fn price(line: &str) -> String {
    reason(&["price: int64", "rate: float64?"], line.as_bytes(), r#"{"price":1,"rate":0.5}"#)
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_what_was_expected_and_found() {
    assert_eq!(
        price(r#"{"price":"12"}"#),
        "field `price`: expected int64, found string \"12\" at byte 9 of the record"
    );
    assert_eq!(price(r#"{"price":1.0}"#), "field `price`: expected int64, found number 1.0 at byte 9 of the record");
    assert_eq!(price(r#"{"price":true}"#), "field `price`: expected int64, found true at byte 9 of the record");
    assert_eq!(price(r#"{"price":[1]}"#), "field `price`: expected int64, found an array at byte 9 of the record");
    assert_eq!(price(r#"{"price": {}}"#), "field `price`: expected int64, found an object at byte 10 of the record");
    let long = format!(r#"{{"price":"{}"}}"#, "é".repeat(50));
    let short = "é".repeat(40);
    assert_eq!(
        price(&long),
        format!("field `price`: expected int64, found string \"{short}...\" at byte 9 of the record")
    );
    let bad = reason(&["at: timestamp"], br#"{"at":"yesterday"}"#, r#"{"at":5}"#);
    assert_eq!(bad, "field `at`: expected timestamp, found string \"yesterday\" at byte 6 of the record");
}

#[test]
fn a_number_past_64_bits_is_refused_and_not_rounded() {
    let past = "found number 9223372036854775808 past 64 bits at byte 9 of the record";
    assert_eq!(price(r#"{"price":9223372036854775808}"#), format!("field `price`: expected int64, {past}"));
    let bad = price(r#"{"price":1,"rate":1e999}"#);
    assert_eq!(bad, "field `rate`: expected float64, found number 1e999 past 64 bits at byte 18 of the record");
    assert_eq!(
        price(r#"{"price":1,"x":-1e999}"#),
        "number -1e999 at byte 15 of the record does not fit in a 64-bit float"
    );
}

#[test]
fn milliseconds_that_64_bits_hold_but_no_timestamp_does_are_told_as_out_of_its_years() {
    let at = |number: &str| {
        let bad = reason(&["at: timestamp"], format!(r#"{{"at":{number}}}"#).as_bytes(), r#"{"at":5}"#);
        bad.strip_prefix("field `at`: expected timestamp, found number ").unwrap().to_owned()
    };
    for number in ["9223372036854775807", "9223372036854776", "-9223372036854775808"] {
        let years = "milliseconds that lie outside of the years -290308 to +294247";
        assert_eq!(at(number), format!("{number} at byte 6 of the record, {years}"));
    }
    assert_eq!(at("9223372036854775808"), "9223372036854775808 past 64 bits at byte 6 of the record");
}

#[test]
fn a_required_field_that_is_missing_or_null_is_named() {
    assert_eq!(price(r#"{"rate":1}"#), "field `price`: required, but the record does not have it");
    assert_eq!(price(r#"{"price":null}"#), "field `price`: required, found null at byte 9 of the record");
    let site = |line: &str| reason(&["site.name: utf8"], line.as_bytes(), r#"{"site":{"name":"x"}}"#);
    assert_eq!(site("{}"), "field `site.name`: required, but the record does not have it");
    assert_eq!(site(r#"{"site":{}}"#), "field `site.name`: required, but the record does not have it");
    assert_eq!(site(r#"{"site":null}"#), "field `site.name`: required, found null at byte 8 of the record");
    assert_eq!(site(r#"{"site":7}"#), "field `site`: expected an object, found number 7 at byte 8 of the record");
}

#[test]
fn a_declared_key_that_stands_twice_is_named() {
    assert_eq!(price(r#"{"price":1,"price":2}"#), "key `price` stands twice, again at byte 11 of the record");
    let site = |line: &str| reason(&["site.name: utf8"], line.as_bytes(), r#"{"site":{"name":"x"}}"#);
    let again = r#"{"site":{"name":"x"},"site":{}}"#;
    assert_eq!(site(again), "key `site` stands twice, again at byte 21 of the record");
    let again = r#"{"site":{"name":"x","n\u0061me":"y"}}"#;
    assert_eq!(site(again), "key `site.name` stands twice, again at byte 20 of the record");
}

#[test]
fn what_is_no_object_is_refused() {
    assert_eq!(price("[1]"), "expected a JSON object, found an array at byte 0 of the record");
    assert_eq!(price("  12"), "expected a JSON object, found number 12 at byte 2 of the record");
    assert_eq!(price("hello, world"), "expected a JSON object, found hello at byte 0 of the record");
    assert_eq!(price("\u{feff}{}"), "expected a JSON object, found `\u{feff}` at byte 0 of the record");
}

#[test]
fn malformed_and_truncated_lines_say_where_they_break() {
    for (line, why) in [
        (r#"{"price":1"#, "expected `,` or `}`, found the end of the record at byte 10 of the record"),
        (r#"{"price":"#, "field `price`: expected int64, found the end of the record at byte 9 of the record"),
        (r#"{"pri"#, "the record ends within a string, at byte 5"),
        (r#"{"price":1,}"#, "expected a key in quotes, found `}` at byte 11 of the record"),
        (r#"{"price" 1}"#, "expected `:`, found number 1 at byte 9 of the record"),
        (r#"{"price":1 "x":2}"#, "expected `,` or `}`, found string \"x\" at byte 11 of the record"),
        (r#"{"price":12x}"#, "expected `,` or `}`, found x at byte 11 of the record"),
        (r#"{"price":1} {}"#, "expected the end of the record, found an object at byte 12 of the record"),
        (r#"{"price":1,"x":[1,2}"#, "expected `,` or `]`, found `}` at byte 19 of the record"),
        (r#"{"price":1,"x":01}"#, "expected a number as JSON writes them, found number 01 at byte 15 of the record"),
        (r#"{"price":1,"x":nil}"#, "expected a value, found nil at byte 15 of the record"),
        (r#"{"price":1,"x":"\q"}"#, "an escape that JSON does not know at byte 16 of the record"),
        (r#"{"price":1,"x":"\ud800"}"#, "half of a surrogate pair in an escape at byte 16 of the record"),
        ("{\"price\":1,\"x\":\"\u{1}\"}", "a control character (0x01) in a string at byte 16 of the record"),
        ("{\"price\":1\u{0}}", "expected `,` or `}`, found a control character (0x00) at byte 10 of the record"),
    ] {
        assert_eq!(price(line), why, "{line}");
    }
    let nested = |deep: usize| format!(r#"{{"price":1,"x":{}{}}}"#, "[".repeat(deep), "]".repeat(deep));
    assert_eq!(price(&nested(127)), "nested more than 127 deep at byte 141 of the record");
    assert_eq!(decode(&fields(&["price: int64"]), nested(126).as_bytes()).records.rows, 1);
}

#[test]
fn a_line_that_is_not_utf8_does_not_take_its_neighbours_along() {
    let bad = reason(&["url: utf8"], b"{\"url\":\"a\xffb\"}", r#"{"url":"x"}"#);
    assert_eq!(bad, "not UTF-8 at byte 9 of the record");
    let cut = reason(&["url: utf8"], b"{\"url\":\"\xe2\x82\"}", r#"{"url":"x"}"#);
    assert_eq!(cut, "not UTF-8 at byte 8 of the record");
}

#[test]
fn a_line_that_is_too_long_is_cut_and_says_so() {
    let long = format!(r#"{{"price":1,"x":"{}"}}"#, "y".repeat(RECORD_BYTES_MAX));
    let text = format!("{{\"price\":1}}\n{long}\n{{\"price\":2}}");
    let decoded = decode(&fields(&["price: int64"]), text.as_bytes());
    assert_eq!((decoded.records.rows, decoded.bad.len()), (2, 1));
    assert_eq!(decoded.bad[0].record.len(), RECORD_BYTES_MAX);
    let (len, max) = (long.len(), RECORD_BYTES_MAX);
    let why = format!("the record has {len} bytes, more than the {max} that one may have; it is cut to these");
    assert_eq!(decoded.bad[0].reason, why);
    assert_eq!(decoded.records.line(1), Some(13));
}

#[test]
fn a_record_that_was_broken_off_is_bad_for_that_reason() {
    for (text, record) in [("{\"price\":1}\n{\"pri", "{\"pri"), ("{\"price\":1}\n{\"price\":2}", "{\"price\":2}")] {
        let mut chunk = chunk(text.as_bytes());
        chunk.broken = Some("the gzip stream ends in the middle".to_owned());
        let decoded = decoder(plan(&fields(&["price: int64"]))).decode(&chunk);
        assert_eq!((decoded.records.rows, decoded.bad.len()), (1, 1));
        assert_eq!(decoded.bad[0].reason, "the gzip stream ends in the middle");
        assert_eq!(
            (&*decoded.bad[0].record, decoded.bad[0].offset, decoded.bad[0].line),
            (record.as_bytes(), 1_012, Some(12))
        );
    }
}

#[test]
fn blank_lines_and_carriage_returns_are_no_records() {
    let decoded = decode(&fields(&["price: int64"]), b"\n\r\n  \n{\"price\":1}\r\n\n{\"price\":2}\r\n{\"price\":3}");
    assert_eq!((decoded.records.rows, decoded.bad.len()), (3, 0));
    assert_eq!((0..3).map(|row| decoded.records.line(row)).collect::<Vec<_>>(), [Some(14), Some(16), Some(17)]);
    assert_eq!(decoded.records.bytes(0), Some(&b"{\"price\":1}"[..]));
    assert_eq!(decode(&fields(&["price: int64"]), b"").records.rows, 0);
}

/// A plan that fills nothing but what is asked for.
fn lean(schema: &Schema, fill: usize) -> DecodePlan {
    let count = schema.fields().len();
    let needs = Needs { fill: (0..count).map(|field| field == fill).collect(), locate: vec![false; count] };
    DecodePlan { needs, ..plan(schema) }
}

#[test]
fn a_field_that_nobody_reads_is_checked_all_the_same() {
    let schema = fields(&["price: int64", "url: utf8", "at: timestamp"]);
    let lines =
        [r#"{"price":1,"url":"a","at":1}"#, r#"{"price":2,"url":7,"at":1}"#, r#"{"price":3,"url":"c","at":"x"}"#];
    let decoded = decode_with(&mut *decoder(lean(&schema, 0)), lines.join("\n").as_bytes());
    assert_eq!((decoded.records.rows, decoded.bad.len()), (1, 2));
    assert!(decoded.records.columns[0].is_some() && decoded.records.columns[1].is_none());
}

#[test]
fn a_record_without_its_event_time_is_bad_even_if_the_field_is_nullable() {
    let schema = fields(&["price: int64", "at: timestamp?"]);
    let plan = DecodePlan { event_time: Some(1), ..lean(&schema, 0) };
    let lines = [
        r#"{"price":1,"at":5}"#,
        r#"{"price":2}"#,
        r#"{"price":3,"at":null}"#,
        r#"{"price":4,"at":"soon"}"#,
        r#"{"price":5,"at":6}"#,
    ];
    let decoded = decode_with(&mut *decoder(plan), lines.join("\n").as_bytes());
    assert_eq!(decoded.records.event_time.as_deref(), Some(&[5_000, 6_000][..]));
    let reasons: Vec<_> = decoded.bad.iter().map(|letter| &*letter.reason).collect();
    assert_eq!(
        reasons,
        [
            "field `at`: required, but the record does not have it",
            "field `at`: required, found null at byte 16 of the record",
            "field `at`: expected timestamp, found string \"soon\" at byte 16 of the record",
        ]
    );
}

#[test]
fn a_layout_that_changes_for_good_is_learned_again() {
    let schema = fields(&["price: int64"]);
    let mut decoder = decoder(plan(&schema));
    for round in 0..12 {
        let line =
            |row: usize| format!("{{\"x{}\":0,\"y{}\":1,\"price\":{row}}}\n", row % 997 + 1_000 * round, row % 13);
        let text: String = (0..1_000).map(line).collect();
        let decoded = decode_with(&mut *decoder, text.as_bytes());
        let prices = decoded.records.columns[0].as_ref().unwrap().as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(prices, (0..1_000).collect::<Vec<_>>());
    }
}
