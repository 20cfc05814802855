//! What leaves an operator for what enters it: the loop over rows with derived rows and states, run natively.

use wasmill::abi::{Buffer, List, bytes_of};
use wasmill::column::{Column, MadeColumn, Rows, StateColumn, TableRows, Values};
use wasmill::effects::{Action, Effects, Emit, Step};
use wasmill::operator::{Keys, keyed, keyed_plan, transform, transform_plan};
use wasmill::plan::{Field, Outputs, Port, Read, Table};
use wasmill::prelude::*;

const MAIN: Outputs = Outputs { ports: &["main"], carries: None };
const ALERTS: Outputs = Outputs { ports: &["main", "alerts"], carries: Some(&["id"]) };

fn int64(values: &[i64]) -> Column<'_> {
    Column { data: bytes_of(values).into(), ..Column::default() }
}

fn rows<'a>(count: u32, columns: &'a [Column<'a>]) -> Rows<'a> {
    Rows { count, columns: columns.into() }
}

fn made(values: &[i64]) -> MadeColumn<'static> {
    MadeColumn::fixed(Values::Int64(values.to_vec()))
}

fn main_only(origin: Option<&[u32]>, columns: Vec<MadeColumn<'static>>) -> Vec<Emit> {
    vec![Emit { port: 0, origin: origin.map(<[u32]>::to_vec), columns }]
}

#[derive(Row)]
struct Price {
    price: i64,
}

#[test]
fn a_row_for_each_row_needs_no_origin() {
    let double = |row: Price, _: &mut Out<Price>| Price { price: row.price * 2 };
    let columns = [int64(&[1, 2, 3])];
    let effects = transform(&MAIN, rows(3, &columns), double);
    assert_eq!(effects, Effects { emits: main_only(None, vec![made(&[2, 4, 6])]), rejects: vec![] });
}

#[test]
fn a_filter_sends_row_numbers_and_no_column() {
    let columns = [int64(&[5, 60, 7, 80, 90])];
    let effects = transform(&MAIN, rows(5, &columns), |row: Price, _: &mut Out| row.price > 50);
    assert_eq!(effects.emits, main_only(Some(&[1, 3, 4]), vec![]));
    let effects = transform(&MAIN, rows(5, &columns), |row: Price, _: &mut Out| row.price > 500);
    assert_eq!(effects.emits, vec![]);
    let effects = transform(&MAIN, rows(5, &columns), |row: Price, _: &mut Out| row.price < 60);
    assert_eq!(effects.emits, main_only(Some(&[0, 2]), vec![]));
}

#[test]
fn a_refused_row_takes_back_what_it_sent() {
    let split = |row: Price, out: &mut Out<Price>| -> Result<Verdict<Price>, Reject> {
        out.emit(Price { price: row.price });
        out.to("alerts", Price { price: row.price });
        match row.price {
            1 => Err("one is refused")?,
            2 => return retry(250, "later"),
            3 => return Ok(stop("no further")),
            4 => Ok(skip()),
            _ => Ok(emit(Price { price: -row.price })),
        }
    };
    let columns = [int64(&[9, 1, 2, 3, 4])];
    let Effects { emits, rejects } = transform(&ALERTS, rows(5, &columns), split);
    let alerts = Emit { port: 1, origin: Some(vec![0, 4]), columns: vec![made(&[9, 4])] };
    let main = Emit { port: 0, origin: Some(vec![0, 0, 4]), columns: vec![made(&[9, -9, 4])] };
    assert_eq!(emits, [main, alerts]);
    let reject = |action, reason: &str| Reject { action, reason: reason.to_owned() };
    let expected = [
        (1, reject(Action::DeadLetter, "one is refused")),
        (2, reject(Action::Retry(250), "later")),
        (3, reject(Action::Stop, "no further")),
    ];
    assert_eq!(rejects, expected);
}

#[derive(Row, Debug, PartialEq)]
struct Every<'a> {
    flag: bool,
    real: f64,
    at: Timestamp,
    #[row(name = "site.name")]
    name: &'a str,
    body: &'a [u8],
    tags: Option<Json<&'a str>>,
    #[row(default = "none")]
    note: String,
}

#[test]
fn every_kind_is_read_and_written_as_it_was() {
    let (real, at, offsets) = ([0.5, -1.0], [7_i64, -7], [0_u32, 1, 3]);
    let variable = |data| Column { data: List::from(data), offsets: bytes_of(&offsets).into(), ..Column::default() };
    let (flag, name, body): (&[u8], _, _) = (&[1, 0], "aüü".as_bytes(), &[1_u8, 2, 3][..]);
    let name_offsets = [0_u32, 1, 5];
    let columns = [
        Column { data: flag.into(), ..Column::default() },
        Column { data: bytes_of(&real).into(), ..Column::default() },
        int64(&at),
        Column { data: name.into(), offsets: bytes_of(&name_offsets).into(), ..Column::default() },
        variable(body),
        Column { present: List::from(&[0_u8, 1][..]), ..variable(b"x{}") },
        variable(b"abc"),
    ];
    let mut seen = Vec::new();
    let copy = |row, _: &mut Out<_>| {
        let row: Every<'_> = row;
        seen.push((row.flag, row.at.0, row.name.to_owned(), row.tags.map(|tags| tags.0.to_owned())));
        row
    };
    let effects = transform(&MAIN, rows(2, &columns), copy);
    assert_eq!(seen, [(true, 7, "a".to_owned(), None), (false, -7, "üü".to_owned(), Some("{}".to_owned()))]);
    let text = |data: &[u8], offsets: &[u32]| MadeColumn {
        data: Values::Bytes(data.to_vec()),
        offsets: offsets.to_vec(),
        present: Values::Bytes(vec![]),
    };
    let expected = vec![
        MadeColumn::fixed(Values::Bytes(flag.to_vec())),
        MadeColumn::fixed(Values::Float64(real.to_vec())),
        made(&at),
        text(name, &name_offsets),
        text(body, &offsets),
        MadeColumn { present: Values::Bytes(vec![0, 1]), ..text(b"{}", &[0, 0, 2]) },
        text(b"abc", &offsets),
    ];
    assert_eq!(effects.emits, main_only(None, expected));
}

#[test]
fn the_plan_says_what_the_types_say() {
    let plan = transform_plan(&ALERTS, |row: Every<'_>, _: &mut Out<Price>| Price { price: row.at.0 });
    let field = |name, kind, nullable| Field { name, kind, nullable };
    assert_eq!(plan.reads[3], Read { field: field("site.name", "utf8", false), fallback: None });
    assert_eq!(plan.reads[5], Read { field: field("tags", "json", true), fallback: None });
    assert_eq!(plan.reads[6], Read { field: field("note", "utf8", false), fallback: Some("\"none\"") });
    const PRICE: &[Field] = &[Field { name: "price", kind: "int64", nullable: false }];
    let port = |name| Port { name, carries: Some(&["id"]), makes: PRICE };
    assert_eq!((plan.ports, plan.tables), (vec![port("main"), port("alerts")], vec![]));
    let plan = keyed_plan(&MAIN, |_: Price, _: &mut Seen, _: &mut Out| true);
    let Table { name, version, columns, ttl_ms } = plan.tables[0];
    assert_eq!((name, version, ttl_ms), ("seen", 2, Some(3_600_000)));
    assert_eq!(columns, [field("n", "int64", false), field("last", "utf8", false), field("best", "int64", true)]);
}

#[derive(State, Debug)]
#[state(version = 2, ttl = "1h")]
struct Seen {
    n: i64,
    last: String,
    best: Option<i64>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { n: 100, last: String::new(), best: None }
    }
}

/// Runs `note` on rows of three keys: one known, one new, one new whose only row is refused.
fn run<'a>(columns: &'a [Column<'a>], state: &'a mut [StateColumn<'a>]) -> Step<'a> {
    let table = TableRows { fresh: List::from(&[0_u8, 1, 1][..]), columns: state.into() };
    let keys = Keys { slots: &[0, 1, 0, 2, 1, 0], count: 3, table };
    keyed(&MAIN, rows(6, columns), keys, |row: Price, seen: &mut Seen, _: &mut Out<Price>| -> Verdict<Price> {
        seen.n += 1;
        seen.last = format!("was {}", row.price);
        seen.best = (row.price != 30).then_some(row.price);
        if row.price < 0 { reject("negative") } else { emit(Price { price: seen.n }) }
    })
}

#[test]
fn a_refused_row_leaves_the_state_of_its_key_as_it_was() {
    let columns = [int64(&[10, 20, -1, -2, 40, 30])];
    let (mut n, offsets, mut last, mut best) = ([5_i64, 0, 0], [0_u32, 3, 3, 3], *b"old", [1_i64, 0, 0]);
    let mut present = [1_u8, 0, 0];
    let mut state = [
        StateColumn { data: Buffer::from(&mut n[..]), ..StateColumn::default() },
        StateColumn {
            data: Buffer::from(&mut last[..]),
            offsets: bytes_of(&offsets[..]).into(),
            ..StateColumn::default()
        },
        StateColumn {
            data: Buffer::from(&mut best[..]),
            present: Buffer::from(&mut present[..]),
            ..StateColumn::default()
        },
    ];
    let step = run(&columns, &mut state);
    assert_eq!(step.effects.emits, main_only(Some(&[0, 1, 4, 5]), vec![made(&[6, 101, 102, 7])]));
    assert_eq!(step.effects.rejects.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(step.forget, [0, 0, 1], "the key whose only row was refused is not kept");
    let [n, last, best] = &step.state[..] else { panic!("a column for each field") };
    assert_eq!(n.data, Values::Kept(bytes_of(&[7_i64, 102, 100])));
    assert_eq!((&last.data, &last.offsets), (&Values::Bytes(b"was 30was 40".to_vec()), &vec![0, 6, 12, 12]));
    assert_eq!(best.present, Values::Kept(&[0, 1, 0]));
    assert_eq!(best.data, Values::Kept(bytes_of(&[10_i64, 40, 0])), "a value that was taken away is not written");
}
