//! What is said of a bad draft, word for word: these sentences are what people work with.

use super::*;

const READINGS: [&str; 3] = ["sensor: utf8", "value: float64?", "n: int64"];

/// A chain of one stage between a source and a sink.
fn around(stage: StageDraft) -> Draft {
    let name = stage.name.clone();
    draft(vec![source("readings", &READINGS)], vec![stage], vec![sink("out", &[&name])])
}

/// The only error of a draft.
fn error(draft: Draft) -> String {
    let mut errors = errors(draft);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.remove(0)
}

/// The only error of a chain of one stage with this operator.
fn error_of(factory: SharedFactory) -> String {
    error(around(stage("score", &["readings"], factory)))
}

#[test]
fn a_name_that_nobody_has_is_answered_with_the_nearest() {
    let clean = stage("clean", &["readings"], transform(&[], &[]));
    let bad = draft(vec![source("readings", &READINGS)], vec![clean], vec![sink("out", &["claen"])]);
    assert_eq!(
        error(bad),
        "sinks.out.from: sink `out` reads from `claen`, which is neither a source nor a stage; did you mean `clean`?"
    );
}

#[test]
fn a_name_that_is_like_no_other_is_answered_with_all_of_them() {
    let bad = draft(vec![source("readings", &READINGS)], vec![], vec![sink("out", &["readings", "database"])]);
    assert_eq!(
        error(bad),
        "sinks.out.from.1: sink `out` reads from `database`, which is neither a source nor a stage; there is `readings`"
    );
}

#[test]
fn sinks_cannot_be_read_and_sources_have_no_ports() {
    let readings = source("readings", &READINGS);
    let bad = draft(vec![readings], vec![], vec![sink("out", &["readings"]), sink("b", &["out", "readings.main"])]);
    assert_eq!(
        errors(bad),
        [
            "sinks.b.from.0: sink `b` reads from `out`, which is a sink; only sources and stages can be read from",
            "sinks.b.from.1: sink `b` reads from `readings.main`, but a source has no ports; write `readings`",
        ]
    );
}

#[test]
fn a_port_that_a_stage_does_not_have_is_answered_with_the_nearest() {
    let score = operator(OperatorKind::Transform, plan(&[], vec![port("main", &[]), port("alerts", &[])]));
    let score = stage("score", &["readings"], score);
    let bad = draft(vec![source("readings", &READINGS)], vec![score], vec![sink("out", &["score.alets"])]);
    assert_eq!(
        error(bad),
        "sinks.out.from: sink `out` reads from `score.alets`, but stage `score` has no such port; \
         did you mean `alerts`?"
    );
}

#[test]
fn who_reads_from_nothing_is_told() {
    let bad = draft(vec![source("readings", &READINGS)], vec![], vec![sink("a", &["readings"]), sink("b", &[])]);
    assert_eq!(error(bad), "sinks.b.from: sink `b` reads from nothing; name a source or a stage in `from`");
}

#[test]
fn an_empty_pipeline_needs_a_source_and_a_sink() {
    assert_eq!(
        errors(draft(vec![], vec![], vec![])),
        ["sources: a pipeline needs a source", "sinks: a pipeline needs a sink"]
    );
}

#[test]
fn the_same_rows_cannot_be_read_twice() {
    let bad = draft(vec![source("readings", &READINGS)], vec![], vec![sink("out", &["readings", "readings"])]);
    assert_eq!(error(bad), "sinks.out.from.1: sink `out` reads from `readings` twice; once is enough");
}

#[test]
fn a_name_is_used_once_in_a_pipeline_and_has_no_dot() {
    let bad = draft(
        vec![source("a", &READINGS), source("b.c", &READINGS)],
        vec![stage("a", &["b.c"], transform(&[], &[]))],
        vec![sink("out", &["a"])],
    );
    let found = errors(bad);
    assert_eq!(
        found[..2],
        [
            "sources.b.c: `b.c` cannot be the name of a source: use letters, digits, `-` and `_`",
            "stages.a: the stage `a` has the name of a source; a name can be used once in a pipeline",
        ]
    );
}

#[test]
fn a_loop_is_named_in_the_direction_that_rows_would_go() {
    let bad = draft(
        vec![source("readings", &READINGS)],
        vec![
            stage("a", &["readings", "c"], transform(&[], &[])),
            stage("b", &["a"], transform(&[], &[])),
            stage("c", &["b"], transform(&[], &[])),
        ],
        vec![sink("out", &["c"])],
    );
    assert_eq!(
        error(bad),
        "stages.a.from: rows would go round in a loop: `a` -> `b` -> `c` -> `a`; \
         a stage cannot read what comes of itself"
    );
}

#[test]
fn a_stage_that_reads_itself_is_a_loop() {
    let bad = around(stage("a", &["a"], transform(&[], &[])));
    assert_eq!(
        error(bad),
        "stages.a.from: rows would go round in a loop: `a` -> `a`; a stage cannot read what comes of itself"
    );
}

#[test]
fn an_operators_refusal_stands_at_the_key_of_its_configuration() {
    let refuse = |config_path: Option<&str>, field: Option<&str>| -> SharedFactory {
        let refusal = Refusal {
            message: "min must be below max".to_owned(),
            config_path: config_path.map(str::to_owned),
            field: field.map(str::to_owned),
        };
        Arc::new(Declared(OperatorKind::Transform, Box::new(move |_, _| Err(refusal.clone()))))
    };
    assert_eq!(
        error_of(refuse(Some("value.min"), None)),
        "stages.score.config.value.min: the operator of stage `score` says: min must be below max"
    );
    assert_eq!(
        error_of(refuse(None, Some("value"))),
        "stages.score.plugin: the operator of stage `score` says, about its input `value`: min must be below max"
    );
}

#[test]
fn a_missing_field_is_answered_with_the_nearest() {
    assert_eq!(
        error_of(transform(&["senser: utf8"], &[])),
        "stages.score.plugin: stage `score` reads `senser`, which its input does not have; did you mean `sensor`?"
    );
    assert_eq!(
        error_of(transform(&["@sorce: utf8"], &[])),
        "stages.score.plugin: stage `score` reads `@sorce`, and there is no such metadata; did you mean `@source`?"
    );
}

#[test]
fn a_field_of_another_kind_is_named_with_both_kinds_and_its_maker() {
    assert_eq!(
        error_of(transform(&["sensor: int64"], &[])),
        "stages.score.plugin: stage `score` reads `sensor` as int64, but it is utf8 here, made by source `readings`; \
         read it as utf8 in the operator, or make it int64 in source `readings`"
    );
    assert_eq!(
        error_of(transform(&["@offset: utf8"], &[])),
        "stages.score.plugin: stage `score` reads `@offset` as utf8, but it is int64 here, made by the source; read it \
         as int64 in the operator"
    );
    let bad = draft(
        vec![source("readings", &READINGS)],
        vec![
            stage("clean", &["readings"], transform(&[], &["n: boolean"])),
            stage("pass", &["clean"], transform(&[], &["other: int64"])),
            stage("score", &["pass"], transform(&["n: float64"], &[])),
        ],
        vec![sink("out", &["score"])],
    );
    assert_eq!(
        error(bad),
        "stages.score.plugin: stage `score` reads `n` as float64, but it is boolean here, made by stage `clean`; read \
         it as boolean in the operator, or make it float64 in stage `clean`"
    );
}

#[test]
fn a_field_that_may_be_null_is_not_read_where_null_is_not_taken() {
    assert_eq!(
        error_of(transform(&["value: float64"], &[])),
        "stages.score.plugin: stage `score` reads `value` and takes no null, but it may be null here, made by source \
         `readings`; drop the `?` from its kind or fill it in an earlier stage"
    );
}

#[test]
fn a_fallback_is_of_the_kind_that_is_read() {
    let reads = vec![Read { fallback: Some(json!("none")), ..read("n: int64") }];
    let declared = OperatorPlan { reads, ..plan(&[], vec![port("main", &[])]) };
    assert_eq!(
        error_of(operator(OperatorKind::Transform, declared)),
        "stages.score.plugin: the operator of stage `score` has the fallback \"none\" for `n`, which is no int64"
    );
}

#[test]
fn a_keyed_operator_needs_a_key_and_a_transform_has_none() {
    assert_eq!(
        error_of(keyed(&[], &[])),
        "stages.score: stage `score` has a keyed operator; name the field or fields of its `key`"
    );
    assert_eq!(
        error(around(keyed_by(&["sensor"], stage("score", &["readings"], transform(&[], &[]))))),
        "stages.score.key: stage `score` has a `key`, but its operator is a transform, which has no state; remove it"
    );
}

#[test]
fn the_fields_of_a_key_exist_once() {
    let bad = around(keyed_by(&["sensor", "sensr", "sensor", "@key"], stage("score", &["readings"], keyed(&[], &[]))));
    assert_eq!(
        errors(bad),
        [
            "stages.score.key.1: stage `score` has `sensr` in its `key`, which its input does not have; did you mean \
             `sensor`?",
            "stages.score.key.2: stage `score` has `sensor` twice in its `key`",
            "stages.score.key.3: stage `score` has `@key` in its `key`, which is metadata; a key is made of fields",
        ]
    );
}

#[test]
fn rows_that_come_together_have_one_schema() {
    let join = |left: &[&str], right: &[&str]| {
        error(draft(vec![source("l", left), source("r", right)], vec![], vec![sink("out", &["l", "r"])]))
    };
    assert_eq!(
        join(&["a: int64", "b: utf8"], &["a: int64", "b: utf8?"]),
        "sinks.out.from.1: sink `out` reads from `l` and `r`, whose rows differ: column 2 is `b: utf8` in `l` and \
         `b: utf8?` in `r`; `l` has (a: int64, b: utf8), `r` has (a: int64, b: utf8?)"
    );
    assert_eq!(
        join(&["a: int64", "b: utf8"], &["a: int64"]),
        "sinks.out.from.1: sink `out` reads from `l` and `r`, whose rows differ: `r` has no `b: utf8`; \
         `l` has (a: int64, b: utf8), `r` has (a: int64)"
    );
}

#[test]
fn an_event_time_is_a_timestamp_of_the_source() {
    let bad = |column: &str| {
        let event_time = Some((column.to_owned(), 0));
        let readings = SourceDraft { event_time, ..source("readings", &["at: int64", "t: timestamp"]) };
        error(draft(vec![readings], vec![], vec![sink("out", &["readings"])]))
    };
    assert_eq!(
        bad("att"),
        "sources.readings.event_time.column: source `readings` has no column `att` for its event time; \
         did you mean `at`?"
    );
    assert_eq!(
        bad("at"),
        "sources.readings.event_time.column: the event time of source `readings` is `at`, which is int64; \
         declare it as timestamp"
    );
}

#[test]
fn lanes_are_within_the_number_of_key_groups() {
    let mut bad = around(StageDraft { lanes: Some(129), ..stage("score", &["readings"], transform(&[], &[])) });
    bad.sources[0].lanes = 0;
    assert_eq!(
        errors(bad),
        [
            "sources.readings.lanes: `lanes` is 0; it can be 1 to 128",
            "stages.score.lanes: `lanes` is 129; it can be 1 to 128",
        ]
    );
}

#[test]
fn what_nobody_reads_is_an_error() {
    let bad = draft(
        vec![source("readings", &READINGS), source("spare", &READINGS)],
        vec![stage("score", &["readings"], transform(&[], &[]))],
        vec![sink("out", &["readings"])],
    );
    assert_eq!(
        errors(bad),
        [
            "sources.spare: nobody reads from source `spare`; name it in the `from` of a stage or sink, or remove it",
            "stages.score: nobody reads from stage `score`; name it in the `from` of a stage or sink, or remove it",
        ]
    );
}

#[test]
fn an_operators_invalid_plan_is_its_authors_fault() {
    let invalid = |port: Port| error_of(operator(OperatorKind::Transform, plan(&[], vec![port])));
    assert_eq!(
        invalid(choosing("main", &["valeu"], &[])),
        "stages.score.plugin: the operator of stage `score` is invalid: port `main` carries `valeu`, which its input \
         does not have; did you mean `value`?"
    );
    assert_eq!(
        invalid(choosing("main", &["value>x", "n>x"], &[])),
        "stages.score.plugin: the operator of stage `score` is invalid: port `main` has two columns named `x`"
    );
    assert_eq!(
        invalid(port("main", &["@key: utf8"])),
        "stages.score.plugin: the operator of stage `score` is invalid: port `main` has a column named `@key`; \
         names with `@` are metadata, and none is empty"
    );
    assert_eq!(
        error_of(operator(OperatorKind::Transform, plan(&[], vec![]))),
        "stages.score.plugin: the operator of stage `score` is invalid: it has no output port"
    );
    assert_eq!(
        error_of(operator(OperatorKind::Transform, plan(&[], vec![port("a", &[]), port("a", &[])]))),
        "stages.score.plugin: the operator of stage `score` is invalid: the name `a` of its port 1 is empty or \
         used twice"
    );
}

#[test]
fn columns_that_a_format_cannot_hold_are_refused() {
    let with = |format, fields: &[&str]| {
        let readings = SourceDraft { format: Some(format), ..source("readings", fields) };
        error(draft(vec![readings], vec![], vec![sink("out", &["readings"])]))
    };
    assert_eq!(
        with(Format::Ndjson, &["site: utf8", "site.name: utf8"]),
        "sources.readings.format: source `readings` has `site.name` within `site`; make `site` json or drop it"
    );
    assert_eq!(
        with(Format::Raw, &["a: int64"]),
        "sources.readings.format: source `readings` has raw lines, which are one utf8 or bytes column, not (a: int64)"
    );
    assert_eq!(
        with(Format::Ndjson, &["@at: utf8"]),
        "sources.readings.format: `@at` cannot be the name of a column: a name has no `@` in front, and no part of its \
         path is empty"
    );
}

#[test]
fn rows_that_a_sinks_format_cannot_hold_are_refused() {
    let raw = SinkDraft { format: Some(Format::Raw), ..sink("out", &["readings"]) };
    assert_eq!(
        error(draft(vec![source("readings", &["a: int64", "b: utf8?"])], vec![], vec![raw])),
        "sinks.out.format: sink `out` writes raw lines, which takes rows of one utf8 or bytes field, but its rows are \
         (a: int64, b: utf8?); choose another `format`"
    );
    let csv = Some(Format::Csv { separator: b',', header: true });
    let bare = SinkDraft { format: csv.clone(), ..sink("out", &["readings"]) };
    assert_eq!(
        error(draft(vec![source("readings", &[])], vec![], vec![bare])),
        "sinks.out.format: sink `out` writes CSV, but its rows have no columns; declare them at the source, \
         `columns: { name: utf8 }`, or choose another `format`"
    );
    let table = SourceDraft { format: csv, ..source("readings", &["a: utf8", "a.b: utf8"]) };
    assert_eq!(
        error(draft(vec![table], vec![], vec![sink("out", &["readings"])])),
        "sinks.out.format: sink `out` cannot write both `a` and `a.b`: one stands within the other in JSON; rename one"
    );
}

#[test]
fn all_errors_come_at_once_and_what_follows_from_one_is_not_repeated() {
    let bad = draft(
        vec![source("readings", &READINGS)],
        vec![
            stage("a", &["raedings"], transform(&[], &[])),
            stage("b", &["a"], transform(&["nothing: utf8"], &[])),
            stage("c", &["readings"], transform(&["sensor: int64"], &[])),
        ],
        vec![sink("out", &["b", "c"]), sink("log", &["d"])],
    );
    assert_eq!(
        errors(bad),
        [
            "stages.a.from: stage `a` reads from `raedings`, which is neither a source nor a stage; did you mean \
             `readings`?",
            "sinks.log.from: sink `log` reads from `d`, which is neither a source nor a stage; there is \
             `readings`, `a`, `b` and `c`",
            "stages.c.plugin: stage `c` reads `sensor` as int64, but it is utf8 here, made by source `readings`; read \
             it as utf8 in the operator, or make it int64 in source `readings`",
        ]
    );
}
