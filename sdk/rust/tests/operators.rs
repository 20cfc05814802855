//! What leaves an operator for what enters it: the loop over rows with derived rows and states, run natively.

use wasmill::abi::{Buffer, Buffers, List, bytes_of};
use wasmill::column::{Column, Rows, StateColumn, TableRows};
use wasmill::effects::{Action, Effects, Emit, Step};
use wasmill::metrics::Metrics as _;
use wasmill::operator::{Call, Keys, keyed, keyed_plan, transform, transform_plan};
use wasmill::out::Main;
use wasmill::plan::{Carried, Field, Metric, Outputs, Port, Read, Table, name};
use wasmill::prelude::*;
use wasmill::row::TURN;

const MAIN: Outputs = Outputs { ports: &["main"], carries: None };
const ALERTS: Outputs = Outputs { ports: &["main", "alerts"], carries: Some(&[("id", "id"), ("user", "by")]) };

fn int64(values: &[i64]) -> Column<'_> {
    Column::fixed(values)
}

fn call<'a>(columns: &'a [Column<'a>], count: u32, buffers: &'a Buffers) -> Call<'a> {
    Call { context: Context::default(), rows: Rows { count, columns: columns.into() }, buffers }
}

fn main_only<'a>(origin: Option<&'a [u32]>, columns: Vec<Column<'a>>) -> Vec<Emit<'a>> {
    vec![Emit { port: 0, origin, columns }]
}

#[derive(Row)]
struct Price {
    price: i64,
}

#[test]
fn a_row_for_each_row_needs_no_origin() {
    let (columns, buffers) = ([int64(&[1, 2, 3])], Buffers::new());
    let double = |row: Price, _: &mut Main<'_, _>| Price { price: row.price * 2 };
    let effects = transform(&MAIN, call(&columns, 3, &buffers), double);
    assert_eq!(effects.emits, main_only(None, vec![int64(&[2, 4, 6])]));
    let some = |row: Price, _: &mut Main<'_, _>| if row.price > 9 { skip() } else { emit(row) };
    assert_eq!(transform(&MAIN, call(&columns, 3, &buffers), some).emits, main_only(None, columns.to_vec()));
    let every = |row: Price, out: &mut Out<'_, Price>| out.emit(row);
    assert_eq!(transform(&MAIN, call(&columns, 3, &buffers), every).emits, main_only(None, columns.to_vec()));
}

#[test]
fn a_filter_sends_row_numbers_and_no_column() {
    let (columns, buffers) = ([int64(&[5, 60, 7, 80, 90])], Buffers::new());
    let above = |least: i64| {
        let keep = move |row: Price, _: &mut Main<'_, _>| row.price > least;
        transform(&MAIN, call(&columns, 5, &buffers), keep).emits
    };
    assert_eq!(above(50), main_only(Some(&[1, 3, 4]), vec![]));
    assert_eq!(above(500), vec![]);
    let below = |row: Price, _: &mut Main<'_, _>| row.price < 60;
    assert_eq!(transform(&MAIN, call(&columns, 5, &buffers), below).emits, main_only(Some(&[0, 2]), vec![]));
}

#[test]
fn a_row_may_become_more_rows_than_there_is_room_for() {
    let (columns, buffers) = ([int64(&[100, 0, 50])], Buffers::new());
    let count = |row: Price, out: &mut Out<'_, Named>| {
        (0..row.price)
            .for_each(|n| out.to("alerts", Named { name: format!("{n:040}"), n: Some(n).filter(|n| n % 2 == 0) }));
    };
    let emits = transform(&ALERTS, call(&columns, 3, &buffers), count).emits;
    let [Emit { port: 1, origin: Some(origin), columns }] = &emits[..] else { panic!("one port: {emits:?}") };
    assert_eq!(origin.iter().filter(|row| **row == 0).count(), 100);
    assert_eq!((origin.len(), columns[0].data.get().len()), (150, 150 * 40));
    assert!(columns[0].data.get().ends_with(b"0000049"));
    assert_eq!(columns[1].present.get()[..4], [1, 0, 1, 0]);
}

#[derive(Row)]
struct Fixed {
    n: i64,
    real: f64,
    flag: bool,
    at: Timestamp,
    some: Option<i64>,
}

#[test]
fn rows_of_a_turn_and_those_after_the_last_are_all_worked_on_once_and_in_order() {
    for count in [1, TURN - 1, TURN, TURN + 1, 3 * TURN + 5] {
        let numbers: Vec<i64> = (1..).take(count).collect();
        let reals: Vec<f64> = numbers.iter().map(|n| *n as f64 / 2.0).collect();
        let flags: Vec<u8> = numbers.iter().map(|n| u8::from(n % 3 == 0)).collect();
        let present = Column { present: flags[..].into(), ..int64(&numbers) };
        let columns = [int64(&numbers), Column::fixed(&reals), Column::fixed(&flags), int64(&numbers), present];
        let (call, buffers) = (|buffers| call(&columns, count as u32, buffers), Buffers::new());
        let same = |row: Fixed, _: &mut Main<'_, _>| row;
        let emits = transform(&MAIN, call(&buffers), same).emits;
        // Of an optional value that is absent there is nothing in the data.
        let kept: Vec<i64> = numbers.iter().map(|n| if n % 3 == 0 { *n } else { 0 }).collect();
        let made = Column { present: flags[..].into(), ..int64(&kept) };
        let made = [&columns[..4], &[made]].concat();
        assert_eq!(emits, main_only(None, made), "{count} rows");
        let keep =
            |row: Fixed, _: &mut Main<'_, _>| row.flag && row.some == Some(row.at.0) && row.real * 2.0 == row.n as f64;
        let third: Vec<u32> = (0..count as u32).filter(|row| (row + 1) % 3 == 0).collect();
        let expected = if third.is_empty() { vec![] } else { main_only(Some(&third), vec![]) };
        assert_eq!(transform(&MAIN, call(&buffers), keep).emits, expected, "{count} rows");
    }
}

#[derive(Row)]
struct Named {
    name: String,
    n: Option<i64>,
}

#[test]
fn a_refused_row_takes_back_what_it_sent() {
    let split = |row: Price, out: &mut Out<'_, Price>| -> Result<Verdict<Price>, Reject> {
        out.emit(Price { price: row.price });
        out.to("alerts", Price { price: row.price });
        match row.price {
            1 => Err("one is refused")?,
            2 => retry(250, "later"),
            3 => Ok(stop("no further")),
            4 => Ok(skip()),
            _ => Ok(emit(Price { price: -row.price })),
        }
    };
    let (columns, buffers) = ([int64(&[9, 1, 2, 3, 4])], Buffers::new());
    let Effects { emits, rejects, .. } = transform(&ALERTS, call(&columns, 5, &buffers), split);
    let alerts = Emit { port: 1, origin: Some(&[0, 4]), columns: vec![int64(&[9, 4])] };
    let main = Emit { port: 0, origin: Some(&[0, 0, 4]), columns: vec![int64(&[9, -9, 4])] };
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
    let variable = |data| Column::spans(data, &offsets);
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
    let (mut seen, buffers) = (Vec::new(), Buffers::new());
    let copy = |row, _: &mut Main<'_, _>| {
        let row: Every<'_> = row;
        seen.push((row.flag, row.at.0, row.name.to_owned(), row.tags.map(|tags| tags.0.to_owned())));
        row
    };
    let effects = transform(&MAIN, call(&columns, 2, &buffers), copy);
    assert_eq!(seen, [(true, 7, "a".to_owned(), None), (false, -7, "üü".to_owned(), Some("{}".to_owned()))]);
    let tags = Column { present: List::from(&[0_u8, 1][..]), ..Column::spans(b"{}", &[0, 0, 2]) };
    let mut expected = columns.to_vec();
    expected[5] = tags;
    assert_eq!(effects.emits, main_only(None, expected));
}

#[test]
fn the_plan_says_what_the_types_say() {
    let plan =
        transform_plan(&ALERTS, Counts::METRICS, |row: Every<'_>, _: &mut Main<'_, _>| Price { price: row.at.0 });
    let field = |column, kind, nullable| Field { name: name(column), kind: name(kind), nullable };
    assert_eq!(plan.reads[3], Read { field: field("site.name", "utf8", false), fallback: None });
    assert_eq!(plan.reads[5], Read { field: field("tags", "json", true), fallback: None });
    assert_eq!(plan.reads[6], Read { field: field("note", "utf8", false), fallback: Some(name("\"none\"")) });
    let carried = |input, output| Carried { input: name(input), output: name(output) };
    let carries = vec![carried("id", "id"), carried("user", "by")];
    let makes = vec![field("price", "int64", false)];
    let port = |port| Port { name: name(port), carries: Some(carries.clone()), makes: makes.clone() };
    assert_eq!((plan.ports, plan.tables), (vec![port("main"), port("alerts")], vec![]));
    let metric = |metric, kind, help| Metric { name: name(metric), kind: name(kind), help: name(help) };
    let highest = metric("highest_value", "gauge", "");
    assert_eq!(plan.metrics, [metric("refused_rows", "counter", "Rows without a price."), highest]);
    let plan = keyed_plan(&MAIN, &[], |_: Price, _: &mut Seen, _: &mut Main<'_, _>| true);
    let Table { name: table, version, columns, ttl_ms } = &plan.tables[0];
    assert_eq!((&**table, *version, *ttl_ms), ("seen", 2, Some(3_600_000)));
    assert_eq!(*columns, [field("n", "int64", false), field("last", "utf8", false), field("best", "int64", true)]);
}

#[derive(Metrics, Default)]
struct Counts {
    /// Rows without
    /// a price.
    refused_rows: Counter,
    #[metrics(name = "highest_value")]
    highest: Gauge,
}

#[test]
fn a_counter_begins_anew_after_each_report_and_a_gauge_stays() {
    let (mut counts, mut report) = (Counts::default(), Vec::new());
    counts.refused_rows.increment();
    counts.refused_rows.add(2.0);
    counts.highest.set(7.5);
    counts.report(&mut report);
    counts.report(&mut report);
    assert_eq!(report, [3.0, 7.5, 0.0, 7.5]);
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
fn run<'a>(columns: &'a [Column<'a>], state: &'a mut [StateColumn<'a>], buffers: &'a Buffers) -> Step<'a> {
    let table = TableRows::new(&[0, 1, 1], state);
    let keys = Keys { slots: &[0, 1, 0, 2, 1, 0], count: 3, table };
    let note = |row: Price, seen: &mut Seen, _: &mut Main<'_, _>| -> Verdict<Price> {
        seen.n += 1;
        seen.last = format!("was {}", row.price);
        seen.best = (row.price != 30).then_some(row.price);
        if row.price < 0 { reject("negative") } else { emit(Price { price: seen.n }) }
    };
    keyed(&MAIN, call(columns, 6, buffers), keys, note)
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
    let buffers = Buffers::new();
    let step = run(&columns, &mut state, &buffers);
    assert_eq!(step.effects.emits, main_only(Some(&[0, 1, 4, 5]), vec![int64(&[6, 101, 102, 7])]));
    assert_eq!(step.effects.rejects.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(step.forget, [0, 0, 1], "the key whose only row was refused is not kept");
    let [n, last, best] = &step.state[..] else { panic!("a column for each field") };
    assert_eq!(*n, int64(&[7, 102, 100]));
    assert_eq!(*last, Column::spans(b"was 30was 40", &[0, 6, 12, 12]));
    let expected = Column { present: List::from(&[0_u8, 1, 0][..]), ..int64(&[10, 40, 0]) };
    assert_eq!(*best, expected, "a value that was taken away is not written");
}

mod elsewhere {
    use wasmill::prelude::*;

    /// Something else that things are sent to.
    #[derive(Default)]
    struct Mail(Vec<String>);

    impl Mail {
        fn to(&mut self, whom: &str) {
            self.0.push(whom.to_owned());
        }
    }

    #[derive(Row)]
    pub(crate) struct Price {
        #[row(default = 1.)]
        price: f64,
    }

    #[transform(ports(late))]
    pub(crate) fn send(row: Price, sent: &mut Out<'_, Price>) {
        let mut out = Mail::default();
        out.to("somebody");
        sent.to("late", Price { price: row.price + out.0.len() as f64 });
    }
}

#[test]
fn only_what_is_sent_through_the_outputs_is_taken_for_a_port() {
    use wasmill::native::Operator as _;
    let (operator, plan) = elsewhere::send::open("{}", &[]).expect("it has no configuration");
    assert_eq!(plan.reads[0].fallback.as_deref(), Some("1.0"), "as JSON has it");
    let (columns, buffers) = ([Column::fixed(&[1.5])], Buffers::new());
    let step = operator.process(call(&columns, 1, &buffers), None);
    assert_eq!(step.effects.emits[0].columns, [Column::fixed(&[2.5])]);
}
