//! Stories of records that are no records: each goes to the dead letters as it came, with where and why; all others
//! come out. Without dead letters the first one stops the pipeline, which says what to do.

use serde_json::Value;
use wasmill_tests::process::Folder;

const PIPELINE: &str = "\
name: bad-lines
sources:
  lines:
    file: { path: in.ndjson }
    format: { ndjson: { columns: { n: int64, text: utf8?, value: float64?, at: timestamp } } }
    event_time: { column: at, lateness: 1s }
sinks:
  out: { from: lines, file: { path: out/ } }
";
const DEAD_LETTERS: &str = "dead_letters: { file: { path: dead/ } }\n";

/// Bytes of a record, at most; what is longer is cut to this.
const RECORD_BYTES_MAX: usize = 1 << 20;

const AT: &str = r#""at":"2026-01-01T00:00:00Z""#;

fn good(n: usize) -> Vec<u8> {
    format!(r#"{{"n":{n},"text":"row {n}",{AT}}}"#).into_bytes()
}

/// Records that are wrong, each in its own way, and what is said of them.
fn bad() -> Vec<(&'static str, Vec<u8>)> {
    let text = |reason, text: &str| (reason, text.replace("AT", AT).into_bytes());
    vec![
        text("expected `:`", r#"{"n"=1,AT}"#),
        text("the record ends within a string", r#"{"n":1,"text":"the writer was kil"#),
        text("expected a JSON object, found an array", "[1, 2]"),
        text("expected a JSON object, found number 7", "7"),
        (
            "more than the 1048576 that one may have; it is cut to these",
            format!(r#"{{"n":1,"text":"{}",{AT}}}"#, "x".repeat(3 * RECORD_BYTES_MAX)).into_bytes(),
        ),
        ("not UTF-8 at byte 16", [br#"{"n":1,"text":"a"#, &b"\xff\xfe\","[..], AT.as_bytes(), b"}"].concat()),
        text("field `n`: expected int64, found string \"one\"", r#"{"n":"one",AT}"#),
        text("field `n`: expected int64, found number 1.5", r#"{"n":1.5,AT}"#),
        text("field `text`: expected utf8, found an object", r#"{"n":1,"text":{},AT}"#),
        text("field `n`: required, found null", r#"{"n":null,AT}"#),
        text("key `n` stands twice", r#"{"n":1,AT,"n":2}"#),
        text("found number 9223372036854775808 past 64 bits", r#"{"n":9223372036854775808,AT}"#),
        text("field `value`: expected float64, found number 1e999 past 64 bits", r#"{"n":1,"value":1e999,AT}"#),
        text("field `at`: required, but the record does not have it", r#"{"n":1}"#),
        text("field `at`: expected timestamp, found string \"yesterday\"", r#"{"n":1,"at":"yesterday"}"#),
    ]
}

/// The bytes of a dead letter.
fn record(letter: &Value) -> Vec<u8> {
    match (letter["record"].as_str(), letter["record_base64"].as_str()) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(text)) => from_base64(text),
        both => panic!("one of record and record_base64, not {both:?}"),
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut word, mut bits) = (Vec::new(), 0_u32, 0);
    for digit in text.trim_end_matches('=').chars() {
        word = word << 6 | u32::try_from(ALPHABET.find(digit).unwrap()).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    bytes
}

#[test]
fn a_bad_line_goes_to_the_dead_letters_as_it_came_and_all_others_come_out() {
    let folder = Folder::with(&[PIPELINE, DEAD_LETTERS].concat());
    let (mut input, mut expected) = (Vec::new(), Vec::new());
    for (number, (reason, bytes)) in bad().into_iter().enumerate() {
        input.extend([good(number), b"\n".to_vec()].concat());
        expected.push((reason, input.len() as u64, 2 * number as u64 + 2, bytes.clone()));
        input.extend([bytes, b"\n".to_vec()].concat());
    }
    // The last line is broken off and has no end either.
    input.extend([good(bad().len()), b"\n".to_vec()].concat());
    let cut = &good(0)[..30];
    expected.push(("the record ends", input.len() as u64, 2 * bad().len() as u64 + 2, cut.to_vec()));
    input.extend(cut);
    folder.write("in.ndjson", input);

    let report = folder.run().report();

    let rows: Vec<u64> = folder.rows("out").iter().map(|row| row["n"].as_u64().unwrap()).collect();
    assert_eq!(rows, (0..=bad().len() as u64).collect::<Vec<_>>());
    let letters = folder.rows("dead");
    assert_eq!(letters.len(), expected.len());
    for (letter, (reason, offset, line, bytes)) in letters.iter().zip(&expected) {
        let said = letter["reason"].as_str().unwrap();
        assert!(said.contains(reason), "expected `{reason}`, was: {said}");
        assert_eq!((&letter["offset"], &letter["line"]), (&(*offset).into(), &(*line).into()), "{said}");
        let [source, partition, stage] = ["source", "partition", "stage"].map(|name| letter[name].as_str().unwrap());
        assert_eq!((source, partition, stage), ("lines", "in.ndjson", "lines"));
        assert!(letter["component"].is_null() && letter["at"].is_string(), "no component is to blame: {said}");
        let kept = &bytes[..bytes.len().min(RECORD_BYTES_MAX)];
        assert!(record(letter) == kept, "the bytes are not those of the record: {said}");
    }
    let counts = ["records_in", "rows_out", "dead_letters"].map(|name| report[name].as_u64().unwrap());
    assert_eq!(counts, [2 * bad().len() as u64 + 2, bad().len() as u64 + 1, bad().len() as u64 + 1]);
}

#[test]
fn without_dead_letters_a_bad_line_stops_the_pipeline_with_where_why_and_what_to_do() {
    for (reason, bytes) in bad() {
        let folder = Folder::with(PIPELINE);
        let first = good(0);
        folder.write("in.ndjson", [first.clone(), bytes, good(2), Vec::new()].join(&b'\n'));
        let place = format!("in.ndjson: line 2, offset {}: ", first.len() + 1);
        let todo = "mend the record, or add `dead_letters:` to the pipeline";
        let told: Value = serde_json::from_str(&folder.run().with_code(1).stderr).unwrap();
        let told = told["error"].as_str().unwrap();
        for words in ["pipeline bad-lines stopped: lines: ", &place, reason, todo] {
            assert!(told.contains(words), "it does not say `{words}`: {told}");
        }
        assert!(folder.names("out").is_empty(), "what was written is withdrawn: {reason}");
    }
}

#[test]
fn what_a_run_that_stops_has_written_is_removed() {
    let folder = Folder::with(PIPELINE);
    let rows = (0..50_000).map(good).collect::<Vec<_>>().join(&b'\n');
    folder.write("in.ndjson", [rows, b"bad".to_vec()].join(&b'\n'));
    folder.run().with_code(1).says(&["in.ndjson: line 50001, ", "what was not committed yet was withdrawn"]);
    assert!(folder.names("out").is_empty(), "{:?}", folder.names("out"));
}
