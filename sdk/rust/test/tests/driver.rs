//! Operators run natively: what goes in, what comes out, and what a failing case says.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use serde_json::json;
use wasmill::effects::{Action, Effects, Emit};
use wasmill::operator::Call;
use wasmill::plan::{Field, Plan, Port, Refusal, name};
use wasmill_test::{Driver, Rejected, cases};

mod operator {
    use serde::Deserialize;
    use wasmill::prelude::*;

    #[derive(Row)]
    pub(crate) struct Reading<'a> {
        value: Option<f64>,
        #[row(name = "site.name", default = "nowhere")]
        site: &'a str,
    }

    #[derive(State, Default)]
    #[state(ttl = "1h")]
    pub(crate) struct Stats {
        n: i64,
        last_site: Option<String>,
    }

    #[derive(Row)]
    pub(crate) struct Scored {
        #[row(name = "score.n")]
        n: i64,
        at: Timestamp,
    }

    #[derive(Metrics, Default)]
    pub(crate) struct Counts {
        /// Rows without a value.
        missing_rows: Counter,
    }

    #[derive(Deserialize, Default)]
    #[serde(default)]
    pub(crate) struct Config {
        least: f64,
    }

    #[keyed(ports(low), carries("id" as "reading"))]
    pub(crate) fn score(
        reading: Reading<'_>,
        stats: &mut Stats,
        counts: &mut Counts,
        config: &Config,
        context: &Context,
        out: &mut Out<Scored>,
    ) -> Verdict {
        let Some(value) = reading.value else {
            counts.missing_rows.increment();
            return reject("there is no value");
        };
        stats.n += 1;
        stats.last_site = Some(reading.site.to_owned());
        let scored = || Scored { n: stats.n, at: Timestamp(context.now) };
        if value < config.least {
            out.to("low", scored());
            return skip();
        }
        emit(scored())
    }
}

use operator::score;

#[test]
fn a_keyed_operator_is_driven_row_by_row_with_state_and_time() {
    let mut driver = Driver::<score>::open(json!({"least": 1.0})).unwrap().key(["sensor", "unit"]);
    driver.set_now(1_700_000_000_000_000);
    let row = |id: i64, value: serde_json::Value| json!({"id": id, "sensor": "a", "unit": 1, "value": value});
    let done = driver.process([row(1, json!(2)), row(2, json!(null)), row(3, json!(0.5))]).unwrap();
    let at = "2023-11-14T22:13:20.000000Z";
    assert_eq!(done.port("main"), [json!({"reading": 1, "score": {"n": 1}, "at": at})]);
    assert_eq!(done.port("low"), [json!({"reading": 3, "score": {"n": 2}, "at": at})]);
    let refused = Rejected { row: 1, action: Action::DeadLetter, reason: "there is no value".to_owned() };
    assert_eq!((done.rejects, done.metrics["missing_rows"]), (vec![refused], 1.0));
    assert_eq!(driver.state()["a,1"], json!({"n": 2, "last_site": "nowhere"}));
    driver.set_now(1_700_000_000_000_000 + 3_600_000_000);
    driver.process([row(4, json!(1))]).unwrap();
    assert_eq!(driver.state()["a,1"]["n"], 1, "after its hour a key begins anew");
}

mod first {
    use wasmill::prelude::*;

    #[derive(Row)]
    pub(crate) struct Any {
        #[row(name = "@offset")]
        offset: i64,
    }

    #[derive(State, Default)]
    #[state(ttl = "10s")]
    pub(crate) struct Seen {
        seen: bool,
    }

    /// Passes the first row of a key.
    #[keyed]
    pub(crate) fn first(row: Any, seen: &mut Seen) -> bool {
        row.offset >= 0 && !std::mem::replace(&mut seen.seen, true)
    }
}

#[test]
fn time_to_live_runs_from_the_last_change_and_a_value_that_is_what_it_was_is_none() {
    let mut driver = Driver::<first::first>::open(json!({})).unwrap().key(["id"]);
    let mut passes_at = |seconds: i64| {
        driver.set_now(seconds * 1_000_000);
        driver.process([json!({"id": 1}), json!({"id": 1})]).unwrap().port("main").len()
    };
    assert_eq!([0, 9, 10, 19, 20].map(&mut passes_at), [1, 0, 1, 0, 1]);
}

/// Sends its rows to one port in two parts.
struct InParts;

impl wasmill::operator::Transform for InParts {
    fn open(_: &str, _: &[Field]) -> Result<(Self, Plan), Refusal> {
        let port = Port { name: name("main"), carries: None, makes: Vec::new() };
        Ok((Self, Plan { ports: vec![port], ..Plan::default() }))
    }

    fn process<'a>(&self, _: Call<'a>) -> Effects<'a> {
        let part = |origin: &'static [u32]| Emit { port: 0, origin: Some(origin), columns: Vec::new() };
        Effects { emits: vec![part(&[1]), part(&[0, 2])], ..Effects::default() }
    }
}

wasmill::__native!(Transform InParts);

#[test]
fn rows_that_a_port_is_sent_in_several_parts_all_come() {
    let mut driver = Driver::<InParts>::open(json!({})).unwrap();
    let done = driver.process([json!({"a.b": 1}), json!({"a": {"b": 2}, "c": null}), json!({"d": {}})]).unwrap();
    assert_eq!(done.port("main"), [json!({"a": {"b": 2}}), json!({"a": {"b": 1}}), json!({"d": {}})]);
}

#[test]
fn keys_are_the_same_by_their_values_and_named_as_their_first_row_has_them() {
    let mut driver = Driver::<first::first>::open(json!({})).unwrap().key(["id", "site.id"]);
    let rows = [
        json!({"id": 1.0, "site": {"id": "a"}}),
        json!({"id": 1, "site.id": "a"}),
        json!({"id": null, "site": {"id": "null"}}),
        json!({"id": "a,b", "site": {"id": "c"}}),
        json!({"id": "a", "site": {"id": "b,c"}}),
        json!({"site": {"id": true}}),
    ];
    assert_eq!(driver.process(rows).unwrap().port("main").len(), 5, "1 and 1.0 are one key, and only they");
    let state = driver.state();
    assert_eq!(state.keys().collect::<Vec<_>>(), ["1.0,a", "a,b,c", "null,null", "null,true"]);
}

#[test]
fn what_does_not_suit_the_operator_is_said_with_its_place() {
    let Err(refusal) = Driver::<score>::open(json!({"leest": 1.0})) else { panic!("an unknown key is refused") };
    assert_eq!(refusal.message, "configuration key `leest`: unknown key; did you mean `least`?");
    let mut driver = Driver::<score>::open(json!({})).unwrap().key(["sensor"]);
    let wrong = driver.process([json!({"value": 1}), json!({"value": "high"})]).unwrap_err();
    assert_eq!(wrong, "row 1: `value` is \"high\", which is not float64");
}

#[test]
fn cases_of_a_file_pass() {
    cases::<score>("tests/cases.yaml");
}

/// What the panic of a failing file says.
fn failing(text: &str) -> String {
    let path = std::env::temp_dir().join(format!("wasmill-test-{}-{}.yaml", std::process::id(), text.len()));
    std::fs::write(&path, text).unwrap();
    let panic = std::panic::catch_unwind(|| cases::<score>(&path)).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn a_failing_case_shows_what_was_expected_and_what_came() {
    let said = failing(
        r"
key: sensor
cases:
- name: one row
  input: [{ id: 1, sensor: a, value: 1 }]
  expect:
    main: [{ reading: 2, score: { n: 1 }, at: 1970-01-01T00:00:00Z }]
    rejects: [{ row: 0, reason: no }]
",
    );
    for part in [
        "case `one row`",
        "main: expected 1, got 1",
        "- {\"at\"",
        "+ {\"at\"",
        "reading: expected 2, is 1",
        "- {\"action\":\"dead_letter\",\"reason\":\"no\",\"row\":0}",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
}

#[test]
fn a_case_and_a_row_of_it_are_found_by_line_and_column() {
    let case = "key: sensor\ncases:\n- name: rows\n  input:\n  - { id: 1, sensor: a, value: 1 }\n";
    let said = failing(&format!("{case}  -  sensor: a\n     value: high\n"));
    for part in [".yaml:3:9: case `rows`:", ".yaml:6:6: `value` is \"high\", which is not float64"] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    let said = failing(&format!("columns: {{ sensor: utf8 }}\n{case}  - {{ value: 1 }}\n"));
    assert!(said.contains(".yaml:7:5: there is no `sensor`"), "{said}");
}

#[test]
fn an_unknown_key_of_a_case_is_found_with_its_line() {
    let said = failing("key: sensor\ncases:\n- name: one row\n  inputs: []\n  expect: {}\n");
    assert!(said.contains("inputs") && said.contains("line 4"), "{said}");
}
