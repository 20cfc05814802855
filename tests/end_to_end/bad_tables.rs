//! Stories of CSV that is none, through the binary: each bad record goes to the dead letters as it came, with where and
//! why; all others come out.

use wasmill_tests::process::Folder;

const PIPELINE: &str = "\
name: bad-tables
sources:
  tables:
    file: { path: \"*.csv\" }
    format: { csv: { columns: { n: int64, text: utf8?, value: float64?, at: timestamp } } }
    event_time: { column: at, lateness: 1s }
sinks:
  out: { from: tables, file: { path: out/ }, format: ndjson }
dead_letters: { file: { path: dead/ } }
";

const HEADER: &str = "n,text,value,at\n";
const AT: &str = "2026-01-01T00:00:00Z";

/// Bytes of a record, at most; what is longer is cut to this.
const RECORD_BYTES_MAX: usize = 1 << 20;

fn good(n: usize) -> Vec<u8> {
    format!("{n},row {n},,{AT}\n").into_bytes()
}

/// Records that are wrong, each in its own way, and what is said of them.
fn bad() -> Vec<(&'static str, Vec<u8>)> {
    let text = |reason, text: &str| (reason, text.replace("AT", AT).into_bytes());
    vec![
        text("expected 4 fields, found 3", "1,x,AT\n"),
        text("expected 4 fields, found 5", "1,x,,AT,more\n"),
        text("field `text`: expected a separator or the line's end after the closing quote", "1,\"x\"y,,AT\n"),
        text("field `text`: a quote within it, but none around it", "1,x\"y,,AT\n"),
        text("field `text`: a carriage return without a line feed", "1,x\ry,,AT\n"),
        text("field `n`: expected int64, found `one`", "one,x,,AT\n"),
        text("field `n`: expected int64, found `1.5`", "1.5,x,,AT\n"),
        text("field `n`: expected int64, found nothing", ",x,,AT\n"),
        text("field `n`: expected int64, found `9223372036854775808`", "9223372036854775808,x,,AT\n"),
        text("field `value`: expected float64, found `much`", "1,x,much,AT\n"),
        text("field `at`: expected timestamp, found `yesterday`", "1,x,,yesterday\n"),
        text("field `at`: expected timestamp, found nothing", "1,x,,\n"),
        ("not UTF-8 from its byte 3 on", [&b"1,a\xff\xfe,,"[..], AT.as_bytes(), b"\n"].concat()),
        (
            "more than the 1048576 that one may have; it is cut to these",
            format!("1,{},,{AT}\n", "x".repeat(3 * RECORD_BYTES_MAX)).into(),
        ),
    ]
}

#[test]
fn a_bad_record_of_a_table_goes_to_the_dead_letters_as_it_came_and_all_others_come_out() {
    let folder = Folder::with(PIPELINE);
    let (mut input, mut expected) = (HEADER.as_bytes().to_vec(), Vec::new());
    for (number, (reason, bytes)) in bad().into_iter().enumerate() {
        input.extend(good(number));
        expected.push((reason, input.len() as u64, 2 * number as u64 + 3, bytes.clone()));
        input.extend(bytes);
    }
    // The last record is broken off within quotes, and takes all that follows with it.
    input.extend(good(bad().len()));
    expected.push(("the quote that opens it is never closed", input.len() as u64, 2 * bad().len() as u64 + 3, vec![]));
    input.extend(b"1,\"the writer was kil");
    folder.write("in.csv", input);
    let report = folder.run().report();

    let rows: Vec<u64> = folder.rows("out").iter().map(|row| row["n"].as_u64().unwrap()).collect();
    assert_eq!(rows, (0..=bad().len() as u64).collect::<Vec<_>>());
    let letters = folder.rows("dead");
    assert_eq!(letters.len(), expected.len());
    for (letter, (reason, offset, line, bytes)) in letters.iter().zip(&expected) {
        let said = letter["reason"].as_str().unwrap();
        assert!(said.contains(reason), "expected `{reason}`, was: {said}");
        assert_eq!((&letter["offset"], &letter["line"]), (&(*offset).into(), &(*line).into()), "{said}");
        if let (Some(record), Ok(text)) = (letter["record"].as_str(), std::str::from_utf8(bytes)) {
            let kept = &text[..text.len().min(RECORD_BYTES_MAX)];
            assert!(text.is_empty() || record.trim_end() == kept.trim_end(), "the record is another: {said}");
        }
    }
    assert_eq!(report["dead_letters"], expected.len());
}

#[test]
fn a_table_without_a_column_without_rows_or_without_anything_is_told_or_nothing() {
    let folder = Folder::with(PIPELINE);
    folder.write("a.csv", "n,text,value\n1,x,\n2,y,\n");
    folder.write("b.csv", HEADER);
    folder.write("c.csv", "");
    folder.write("d.csv", [HEADER.as_bytes(), &good(7)].concat());
    let report = folder.run().report();
    assert_eq!((&report["rows_out"], &report["dead_letters"]), (&1.into(), &2.into()));
    for letter in folder.rows("dead") {
        assert_eq!(letter["partition"], "a.csv");
        assert_eq!(letter["reason"], "the header has no column `at`: it is `n,text,value`");
    }
}

#[test]
fn a_table_whose_header_is_too_long_is_not_read_under_that_of_the_table_before() {
    let folder = Folder::with(PIPELINE);
    folder.write("a.csv", [HEADER.as_bytes(), &good(1)].concat());
    folder.write("b.csv", [format!("n,text,value,at,{}\n", "x".repeat(2 << 20)).as_bytes(), &good(2)].concat());
    let report = folder.run().report();
    assert_eq!((&report["rows_out"], &report["dead_letters"]), (&1.into(), &2.into()));
    let letters = folder.rows("dead");
    let reasons: Vec<&str> = letters.iter().map(|letter| letter["reason"].as_str().unwrap()).collect();
    assert!(reasons[0].contains("more than the 1048576 that one may have"), "{reasons:?}");
    assert!(reasons[1].contains("the header of the partition was not read"), "{reasons:?}");
}
