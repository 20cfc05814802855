//! Conditions over rows: what holds, what does not, what cannot be told, and what is said of a condition that is wrong.

use wasmill::abi::Buffers;
use wasmill::column::{Column, Kind};
use wasmill::plan::{Field, Read, name};

use crate::{FALSE, Scope, TRUE, UNKNOWN, parse};

/// `n`: whole numbers, `x`: others, `s` and `site.name`: texts, `on`: booleans, `at` and `until`: moments. Row 0 has
/// all of them, row 1 none but `n`, row 2 all again.
struct Rows(Buffers);

const BIG: i64 = (1 << 53) + 1;

impl Rows {
    fn input() -> Vec<Field> {
        let field = |(text, kind): (&'static str, Kind)| Field {
            name: name(text),
            kind: name(kind.name()),
            nullable: text != "n",
        };
        let fields = [
            ("n", Kind::Int64),
            ("x", Kind::Float64),
            ("s", Kind::Utf8),
            ("site.name", Kind::Utf8),
            ("on", Kind::Boolean),
            ("at", Kind::Timestamp),
            ("until", Kind::Timestamp),
            ("tags", Kind::Json),
        ];
        fields.map(field).to_vec()
    }

    fn column(&self, name: &str) -> Column<'_> {
        let ints = |values: &[i64]| Column::fixed(&*self.0.copy(values));
        let texts = |values: [&str; 3]| {
            let mut ends = vec![0];
            values.iter().for_each(|text| ends.push(ends[ends.len() - 1] + text.len() as u32));
            Column::spans(self.0.copy(values.concat().as_bytes()), self.0.copy(&ends))
        };
        let column = match name {
            "n" => return ints(&[BIG, 2, -3]),
            "x" => Column::fixed(&*self.0.copy(&[(1_i64 << 53) as f64, 0.0, 2.5])),
            "s" => texts(["grün", "", "blue"]),
            "site.name" => texts(["gr", "", "oslo"]),
            "on" => Column::fixed(&*self.0.copy(&[1_u8, 0, 0])),
            "at" => ints(&[1_767_225_600_000_000, 0, 0]),
            "until" => ints(&[1_767_225_600_000_001, 0, -1]),
            other => panic!("no column {other}"),
        };
        Column { present: (&*self.0.copy(&[1_u8, 0, 1])).into(), ..column }
    }

    fn truths(&self, condition: &str) -> Vec<u8> {
        let input = Self::input();
        let mut scope = Scope::new(&input);
        let condition = parse(condition, &mut scope).unwrap_or_else(|wrong| panic!("{condition}: {wrong:?}"));
        let columns: Vec<Column<'_>> = scope.into_reads().iter().map(|read| self.column(&read.field.name)).collect();
        condition.truths(3, &columns)
    }
}

const T: u8 = TRUE;
const F: u8 = FALSE;
const U: u8 = UNKNOWN;

#[test]
fn conditions_hold_or_not_or_cannot_be_told() {
    let rows = Rows(Buffers::new());
    for (condition, truths) in [
        ("n > 0", [T, T, F]),
        ("0 < n", [T, T, F]),
        ("n == -3 or n = 2", [F, T, T]),
        ("n in (2, -3, 7.5)", [F, T, T]),
        ("n not in (2)", [T, F, T]),
        ("x >= 2.5", [T, U, T]),
        ("x is null", [F, T, F]),
        ("x is not null and n < 0", [F, F, T]),
        ("x > 0 or n == 2", [T, T, T]),
        ("x > 1e9 and n == 2", [F, U, F]),
        ("not x > 1e9", [F, U, T]),
        ("s == 'blue'", [F, U, T]),
        ("s != 'blue'", [T, U, F]),
        ("s > 'c'", [T, U, F]),
        ("s in ('blue', 'red')", [F, U, T]),
        ("s contains 'lu'", [F, U, T]),
        ("site.name starts_with 'os'", [F, U, T]),
        ("s not ends_with \"e\"", [T, U, F]),
        ("length(s) == 4", [T, U, T]),
        ("length(s) > length(site.name)", [T, U, F]),
        ("on", [T, U, F]),
        ("not on", [F, U, T]),
        ("on == false", [F, U, T]),
        ("at >= '2026-01-01T01:00:00+01:00'", [T, U, F]),
        ("at < until", [T, U, F]),
        ("`s` == 'blue' AND (n < 0 OR n > 9)", [F, F, T]),
    ] {
        assert_eq!(rows.truths(condition), truths, "{condition}");
    }
}

#[test]
fn numbers_wider_than_53_bits_compare_exactly() {
    let rows = Rows(Buffers::new());
    for (condition, truths) in [
        ("n == 9007199254740993", [T, F, F]),
        ("n == 9007199254740992", [F, F, F]),
        ("n > 9007199254740992.0", [T, F, F]),
        ("n > x", [T, U, F]),
        ("x < n", [T, U, F]),
        ("n != x", [T, U, T]),
        ("x < 9007199254740993", [T, U, T]),
        ("x == 9007199254740993", [F, U, F]),
        ("x >= 9007199254740993", [F, U, F]),
        ("n < 2.5", [F, T, T]),
        ("n >= 2.5", [T, F, F]),
        ("n != 2.5", [T, T, T]),
        ("n < 1e300", [T, T, T]),
        ("n > -1e300", [T, T, T]),
    ] {
        assert_eq!(rows.truths(condition), truths, "{condition}");
    }
}

#[test]
fn a_number_compares_the_same_whichever_side_stands_in_the_text() {
    let ints = [i64::MIN, i64::MIN + 1, -BIG, -3, -1, 0, 1, 2, BIG - 1, BIG, BIG + 1, i64::MAX - 1, i64::MAX];
    let near = ints.map(|int| int as f64);
    let floats: Vec<f64> =
        near.iter().flat_map(|x| [x.next_down(), *x, x.next_up()]).chain([0.5, -2.5, 1e300]).collect();
    let input = ["n", "x"].map(|text| {
        let kind = if text == "n" { Kind::Int64 } else { Kind::Float64 };
        Field { name: name(text), kind: name(kind.name()), nullable: false }
    });
    for n in ints {
        for x in &floats {
            // The fraction that a float is, against the whole number: exact.
            let exact = (i128::from(n)).cmp(&(x.floor() as i128)).then(0.0_f64.total_cmp(&(x - x.floor()).abs()));
            for (sign, holds) in [
                ("==", exact.is_eq()),
                ("!=", exact.is_ne()),
                ("<", exact.is_lt()),
                ("<=", exact.is_le()),
                (">", exact.is_gt()),
                (">=", exact.is_ge()),
            ] {
                for condition in [format!("n {sign} x"), format!("n {sign} {x:?}"), format!("{n} {sign} x")] {
                    let mut scope = Scope::new(&input);
                    let parsed = parse(&condition, &mut scope).unwrap_or_else(|wrong| panic!("{condition}: {wrong:?}"));
                    let (ints, floats) = ([n], [*x]);
                    let column = |read: &Read| match &*read.field.name {
                        "n" => Column::fixed(&ints),
                        _ => Column::fixed(&floats),
                    };
                    let reads = scope.into_reads();
                    let columns: Vec<Column<'_>> = reads.iter().map(column).collect();
                    assert_eq!(parsed.truths(1, &columns), [TRUE * u8::from(holds)], "{condition}, n {n}, x {x:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_was_meant() {
    for (condition, at, words) in [
        ("n > 1 and sit.name == 'a'", 11, "there is no column `sit.name`; did you mean `site.name`?"),
        ("name == 'a'", 1, "there is no column `name`; did you mean `site.name`?"),
        ("zzzzzzzz == 1", 1, "there is no column `zzzzzzzz`; there is `n`, `x`, `s`, `site.name`, `on`, "),
        ("n == 'a'", 1, "`n` is int64, 'a' is text; they cannot be compared"),
        ("n == s", 1, "`n` is int64, `s` is utf8; they cannot be compared"),
        ("s contains 3", 12, "here must be a text in quotes, not 3"),
        ("n contains 'a'", 1, "`n` is int64; only utf8 can be searched"),
        ("length(n) > 1", 1, "`n` is int64; only utf8 and bytes have a length"),
        ("at > 'soon'", 1, "'soon' is no moment; write one as '2026-01-31T12:00:00Z'"),
        ("on > true", 1, "`on` is boolean: only == and != compare booleans"),
        ("tags == 'a'", 1, "`tags` is json, which is not compared; ask whether it `is null`"),
        ("n == null", 6, "nothing compares with null; write `is null` or `is not null`"),
        ("1 < 2", 1, "two constants are compared; one side must be a column"),
        ("n", 2, "here must be a comparison, as in `value > 3` or `value is null`, not the end"),
        ("n > 1 x > 2", 7, "after the condition comes `x`; join two with `and` or `or`"),
        ("(n > 1", 7, "here must be `)` to close the condition, not the end"),
        ("n is 3", 6, "here must be `null`, not 3"),
        ("n not > 3", 7, "here must be `in`, `contains`, `starts_with` or `ends_with`, not `>`"),
        ("n in 3", 6, "here must be `(` and the values, as in `in ('a', 'b')`, not 3"),
        ("", 1, "here must be a column or a value, not the end"),
        ("n > and", 5, "here must be a column or a value, not `and`"),
    ] {
        let input = Rows::input();
        let wrong = parse(condition, &mut Scope::new(&input)).expect_err(condition);
        assert_eq!(wrong.at, at, "{condition}: {}", wrong.message);
        assert!(wrong.message.starts_with(words), "{condition}: {}", wrong.message);
    }
}

#[test]
fn whatever_is_written_is_a_condition_or_is_told_to_be_none() {
    const PIECES: [&str; 34] = [
        "n",
        "x",
        "s",
        "on",
        "at",
        "site.name",
        "tags",
        "nix",
        "`s`",
        "`",
        "'ab'",
        "'",
        "\"",
        "3",
        "-2.5",
        "-",
        "1e",
        "1e+9",
        "9223372036854775808",
        "(",
        ")",
        ",",
        "==",
        "<=",
        ">",
        "!",
        "is",
        "not",
        "null",
        "in",
        "and",
        "contains",
        "length",
        "ü",
    ];
    let (rows, input) = (Rows(Buffers::new()), Rows::input());
    let (mut random, mut conditions) = (88_172_645_463_325_252_u64, 0);
    for _ in 0..50_000 {
        let mut text = String::new();
        for _ in 0..=random % 7 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            text.push_str(PIECES[(random >> 8) as usize % PIECES.len()]);
            text.push_str(if random % 5 == 0 { "" } else { " " });
        }
        let wrong = match parse(&text, &mut Scope::new(&input)) {
            Ok(_) if text.contains("tags") => continue,
            Ok(_) => {
                conditions += 1;
                assert!(rows.truths(&text).iter().all(|truth| [T, U, F].contains(truth)), "{text}");
                continue;
            }
            Err(wrong) => wrong,
        };
        assert!((1..=text.chars().count() + 1).contains(&wrong.at), "{text}: {wrong:?}");
    }
    assert!(conditions > 200, "only {conditions} of them were conditions");
}

#[test]
fn conditions_within_one_another_have_an_end() {
    let input = Rows::input();
    let deep = |depth: usize| format!("{}n > 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&deep(60), &mut Scope::new(&input)).is_ok());
    let wrong = parse(&deep(100_000), &mut Scope::new(&input)).expect_err("too deep");
    assert_eq!(wrong.message, "conditions are more than 64 deep in one another");
}
