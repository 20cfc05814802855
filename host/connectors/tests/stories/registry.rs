//! Stories of names and configurations: what is wrong is said with the key to blame and what to do, without any I/O.

use serde_json::{Value, json};
use wasmill_connectors::{ConnectorError, check_sink, check_source, sink_names, source_names, source_schema};

#[test]
fn the_registry_lists_what_there_is_in_order() {
    assert_eq!(source_names(), ["file", "generator", "stdin"]);
    assert_eq!(sink_names(), ["file", "stdout"]);
}

#[test]
fn an_unknown_connector_is_refused_with_the_nearest_name() {
    let error = check_source("generater", &json!({})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no source `generater`, did you mean `generator`?; there are: file, generator, stdin"
    );
    let error = check_sink("kafka", &json!({})).unwrap_err();
    assert_eq!(error.to_string(), "there is no sink `kafka`; there are: file, stdout");
}

type Case = (&'static str, Value, &'static str, &'static str);

/// Each case: connector, configuration, key to blame, message.
fn refused(check: fn(&str, &Value) -> Result<(), ConnectorError>, cases: &[Case]) {
    for (name, config, path, message) in cases {
        let error = check(name, config).unwrap_err();
        assert_eq!((error.path(), error.to_string().as_str()), (*path, *message), "{config}");
    }
}

#[test]
fn a_wrong_configuration_of_files_or_pipes_is_refused_with_the_key_to_blame() {
    let unknown = "file: unknown key `folow`, did you mean `follow`?; there are: path, follow";
    let pattern = "file: `path`: `a***b` is no pattern: wildcards are either regular `*` or recursive `**`";
    let empty = "file: `path` is empty; name a file or a pattern like `in/*.ndjson`";
    let text = "file: its configuration is keys and values, like `{ path: .. }`, not `\"a\"`";
    let zip = "file: `compression`: unknown variant `zip`, expected one of `none`, `gzip`, `zstd`";
    let cases = [
        ("file", json!({}), "path", "file: missing field `path`; add it"),
        ("file", json!(null), "path", "file: missing field `path`; add it"),
        ("file", json!({ "path": "a", "folow": true }), "folow", unknown),
        (
            "file",
            json!({ "path": "a", "follow": "yes" }),
            "follow",
            "file: `follow`: invalid type: string \"yes\", expected a boolean",
        ),
        ("file", json!({ "path": 7 }), "path", "file: `path`: expected a path or a list of paths"),
        ("file", json!({ "path": "" }), "path", empty),
        ("file", json!({ "path": "a***b" }), "path", pattern),
        ("file", json!("a"), "", text),
        ("stdin", json!({ "path": "a" }), "path", "stdin: unknown key `path`; it takes none"),
    ];
    refused(check_source, &cases);
    let zero = "file: `max_bytes` is 0; leave it out for parts of 512 MiB";
    let cases = [
        ("file", json!({ "path": "out/", "compression": "zip" }), "compression", zip),
        ("file", json!({ "path": "out/", "max_bytes": 0 }), "max_bytes", zero),
        ("stdout", json!({ "colour": true }), "colour", "stdout: unknown key `colour`; it takes none"),
    ];
    refused(check_sink, &cases);
}

#[test]
fn a_wrong_configuration_of_the_generator_is_refused_with_the_key_to_blame() {
    let rate = "generator: `rate` is events a second, above 0 and up to 1e9, not 0; leave it out for full speed";
    let kind = "generator: `kind`: unknown variant `sensor`, expected `nexmark` or `sensors`";
    let share = "generator: `anomaly_share` is a share from 0 to 1, not 2";
    let start = "generator: `start` is a time like 2026-01-01T00:00:00Z, not `today`";
    let cases = [
        ("generator", json!({ "kind": "nexmark", "rate": 0 }), "rate", rate),
        ("generator", json!({ "kind": "sensor" }), "kind", kind),
        (
            "generator",
            json!({ "kind": "sensors", "only": "bids" }),
            "only",
            "generator: `only` is for `kind: nexmark`; leave it out",
        ),
        ("generator", json!({ "kind": "sensors", "anomaly_share": 2 }), "anomaly_share", share),
        ("generator", json!({ "kind": "sensors", "start": "today" }), "start", start),
    ];
    refused(check_source, &cases);
}

#[test]
fn a_right_configuration_is_accepted_whether_or_not_its_files_are_there() {
    check_source("file", &json!({ "path": ["nowhere/*.gz", "b"], "follow": true })).unwrap();
    check_source("stdin", &json!(null)).unwrap();
    check_sink("file", &json!({ "path": "/nowhere/out.ndjson.gz", "overwrite": true })).unwrap();
    check_sink("stdout", &json!({})).unwrap();
}

#[test]
fn only_a_source_that_makes_rows_has_a_schema_of_its_own() {
    assert_eq!(source_schema("file", &json!({ "path": "a" })), None);
    assert_eq!(source_schema("generator", &json!({ "kind": "nothing" })), None);
    let text = |config: Value| {
        let schema = source_schema("generator", &config).unwrap();
        schema.fields().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(
        text(json!({ "kind": "nexmark", "only": "bids" })),
        "id: int64, auction: int64, bidder: int64, price: int64, \
         channel: utf8, url: utf8, date_time: timestamp, extra: utf8"
    );
    assert_eq!(
        text(json!({ "kind": "sensors" })),
        "id: int64, sensor: utf8, site.name: utf8, at: timestamp, \
         temperature: float64?, humidity: float64?, pressure: float64?"
    );
    assert!(
        text(json!({ "kind": "nexmark" }))
            .starts_with("id: int64, event_type: utf8, date_time: timestamp, person.id: int64?")
    );
}
