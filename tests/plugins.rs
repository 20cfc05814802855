//! The plugins that ship: each builds, is what its page says, passes its cases, and is called by its name.
//!
//! Neighbours: `plugins/` has their native tests, `bench/plugins.rs` what they cost, `examples.rs` pipelines of them.
#![forbid(unsafe_code)]

use std::fs;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StringArray};
use serde_json::{Value, json};
use wasmill_engine::key;
use wasmill_engine::operator::{Call, Context, Factory as _, Keys, Operator};
use wasmill_engine::schema::{Field, Kind};
use wasmill_engine::state::KeyedState;
use wasmill_tests::house::{SHIPPED, built, go_is_here, house, shelve};
use wasmill_tests::process::{Folder, ended, repository, wasmill};
use wasmill_wasm::{Engine, Limits};

/// What a plugin is opened with to be looked at: a configuration and what it then says.
fn opened(plugin: &str) -> (&'static str, &'static [&'static str]) {
    match plugin {
        "filter" => (r#"{"where": "value > 30"}"#, &["reads       value: float64"]),
        "select" => (r#"{"keep": ["site"], "rename": {"site": "place"}}"#, &["carries site.name as place.name"]),
        "validate" => (r#"{"value": {"max": 3}}"#, &["reads       value: float64"]),
        "route" => (r#"{"routes": [{"to": "hot", "where": "value > 30"}]}"#, &["hot: carries everything"]),
        "dedupe" => (r#"{"ttl": "1s"}"#, &["passed: timestamp"]),
        "anomaly" => ("{}", &["alerts: carries everything; makes z: float64", "m2: float64"]),
        other => panic!("`{other}` ships; say here what it is opened with"),
    }
}

#[test]
fn every_plugin_that_ships_builds_and_is_what_its_page_says() {
    let table = fs::read_to_string(repository().join("plugins/README.md")).unwrap();
    for plugin in SHIPPED {
        let component = built(&format!("plugins/{plugin}"));
        let (config, words) = opened(plugin);
        let fields = ["--fields", "value=float64,site.name=utf8", "--config", config];
        let inspected = ended(wasmill(house(), &["plugin", "inspect", component.to_str().unwrap()]).args(fields));
        let text = &inspected.with_code(0).stdout;
        for word in words {
            assert!(text.contains(word), "{plugin}: {word} is not in\n{text}");
        }
        let kind = if text.contains("kind        keyed") { "keyed" } else { "transform" };
        assert!(table.contains(&format!("| [{plugin}]({plugin}/README.md) | {kind} |")), "{plugin} is {kind}");
        let page = fs::read_to_string(repository().join("plugins").join(plugin).join("README.md")).unwrap();
        assert!(page.starts_with(&format!("# {plugin}\n")), "{plugin}");
        let stages = shown_stages(plugin, &page);
        assert!(stages.contains(&format!("plugin: {plugin}@1")), "{plugin} is not shown in a stage");
        shelve(&stages);
        let folder = Folder::with(&shown_pipeline(&stages));
        let mut validate = wasmill(folder.path(), &["validate", "pipeline.yaml"]);
        ended(validate.env("WASMILL_PLUGINS", house().join("plugins"))).with_code(0);
    }
}

/// The stages that a plugin's page shows, indented as in a pipeline.
fn shown_stages(plugin: &str, page: &str) -> String {
    let yaml = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let yaml = yaml.unwrap_or_else(|| panic!("{plugin} shows no stage"));
    let stages = yaml.split("sinks:\n").next().unwrap_or_default();
    match stages.strip_prefix("stages:\n") {
        Some(stages) => stages.to_owned(),
        None => stages.lines().map(|line| format!("  {line}\n")).collect(),
    }
}

/// A pipeline around stages, with all columns that pages speak of.
fn shown_pipeline(stages: &str) -> String {
    let columns = "sensor: utf8, order: utf8, at: timestamp, value: float64?, temperature: float64, status: utf8?, \
                   site.name: utf8, start: int64, end: int64";
    let from = stages.split("from: ").nth(1).and_then(|rest| rest.split([',', '\n']).next()).unwrap_or_default();
    let name = stages.split(':').next().unwrap_or_default().trim();
    format!(
        "name: shown\nsources:\n  {from}: {{ stdin: {{}}, format: {{ ndjson: {{ columns: {{ {columns} }} }} }} }}\n\
         stages:\n{stages}sinks: {{ out: {{ from: {name}, stdout: {{}} }} }}\n"
    )
}

#[test]
fn every_plugin_that_ships_passes_its_cases() {
    for plugin in SHIPPED {
        let folder = house().join("plugins").join(plugin);
        assert!(folder.join("cases.yaml").is_file(), "{plugin} has no cases.yaml");
        let component = built(&format!("plugins/{plugin}"));
        let plugin = component.to_str().unwrap();
        ended(wasmill(&folder, &["test", "--plugin"]).arg(plugin)).with_code(0);
    }
}

/// So many rows pass of a batch at that time, through the component and the state that the host keeps.
fn passing(operator: &mut dyn Operator, state: &mut KeyedState, now: i64, orders: &[&str]) -> usize {
    let column: ArrayRef = Arc::new(StringArray::from(orders.to_vec()));
    let keys = key::Keys::encode(&[column]);
    let turn = state.resolve(&keys, now).expect("there is room");
    let tables = turn.gather();
    let keys = Keys { slots: turn.slots(), count: turn.count(), tables: &tables };
    let context = Context { batch: 1, attempt: 0, watermark: i64::MIN, now, seed: 1 };
    let call = Call { context, rows: orders.len(), columns: &[], keys: Some(keys) };
    let effects = operator.process(&call).expect("it answers");
    turn.apply(&effects.tables).expect("there is room");
    effects.emits.iter().map(|emit| emit.origin.as_ref().map_or(orders.len(), Array::len)).sum()
}

#[test]
fn dedupe_passes_a_key_again_when_its_time_is_over_which_duplicates_do_not_prolong() {
    let component = fs::read(built("plugins/dedupe")).expect("it was built");
    let engine = Engine::new(Limits::default(), None).expect("there is an engine");
    let component = engine.load(&component).expect("it is a component");
    let input = [Field::required("order", Kind::Utf8)];
    let (plan, mut operator) = component.open(&json!({ "ttl": "10s" }), &input).expect("it opens");
    let mut state = KeyedState::new(&[Kind::Utf8], &plan.tables, 1 << 20);
    let mut pass = |second: i64| passing(&mut *operator, &mut state, second * 1_000_000, &["a", "a", "b"]);
    assert_eq!([0, 5, 9, 10, 19, 20].map(&mut pass), [2, 0, 0, 2, 0, 2]);
}

#[test]
fn the_plugin_in_go_passes_the_cases_of_the_one_in_rust() {
    if !go_is_here() {
        return;
    }
    let component = built("plugins/anomaly-go");
    let folder = house().join("plugins/anomaly");
    ended(wasmill(&folder, &["test", "--plugin"]).arg(component)).with_code(0);
}

const PIPELINE: &str = "
name: by-name
sources: { in: { stdin: {}, format: { ndjson: { columns: { id: int64, value: float64? } } } } }
stages: { hot: { from: in, plugin: filter@1, config: { where: value > 30 } } }
sinks: { out: { from: hot, stdout: {} } }
";

#[test]
fn a_pipeline_calls_a_plugin_by_its_name_and_a_name_that_is_wrong_is_told_with_the_one_that_was_meant() {
    shelve("filter@1");
    let folder = Folder::with(PIPELINE);
    let in_folder = |pipeline: &str, shelf: &str| {
        folder.write("pipeline.yaml", pipeline);
        let mut command = wasmill(folder.path(), &["validate", "pipeline.yaml"]);
        ended(command.env("WASMILL_PLUGINS", house().join(shelf)))
    };
    in_folder(PIPELINE, "plugins").with_code(0);
    let told = in_folder(&PIPELINE.replace("filter@1", "fliter@1"), "plugins");
    told.with_code(2).says(&["pipeline.yaml:4:36: error: there is no plugin `fliter@1`", "= did you mean `filter@1`?"]);
    in_folder(PIPELINE, "absent").with_code(2).says(&["put filter@1.wasm into a folder `plugins`"]);
    folder.write("plugins/filter@1.wasm", fs::read(house().join("plugins/filter@1.wasm")).unwrap());
    in_folder(PIPELINE, "absent").with_code(0);
}

#[test]
fn what_is_wrong_with_a_condition_is_told_at_its_place_in_the_pipeline() {
    shelve("filter@1");
    let folder = Folder::with(&PIPELINE.replace("value > 30", "valeu > 30"));
    let mut command = wasmill(folder.path(), &["validate", "pipeline.yaml", "--output", "json"]);
    let told = ended(command.env("WASMILL_PLUGINS", house().join("plugins"))).with_code(2).json();
    let message = told["diagnostics"][0]["message"].as_str().unwrap();
    let words = "configuration key `where`, character 1: there is no column `valeu`";
    assert!(message.contains(words), "{message}");
    assert_eq!(told["diagnostics"][0]["line"], Value::from(4));
}
