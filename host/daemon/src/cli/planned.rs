//! What a change would come to, for people: printed by `apply --plan` and `swap --plan`.

use serde_json::Value;

use crate::report::count;

/// The lines of a plan that a server has made.
pub(super) fn text(planned: &Value) -> String {
    let mut lines: Vec<String> = items(&planned["changes"]).filter_map(Value::as_str).map(str::to_owned).collect();
    for stage in items(&planned["stages"]) {
        let name = word(stage, "stage");
        lines.push(format!("stage {name}: {}", state(&stage["state"], &planned["state"][name])));
        let imports: Vec<_> = items(&stage["new_imports"]).filter_map(Value::as_str).collect();
        if !imports.is_empty() {
            lines.push(format!("  imports, other than before: {}", imports.join(", ")));
        }
        if stage["needs"]["lanes"].as_u64() > Some(0) {
            let watched = planned["way"] == "swap";
            lines.push(format!("  needs {}", needs(&stage["needs"], watched)));
        }
    }
    if items(&planned["stages"]).nth(1).is_some() {
        let threads = count(planned["threads"].as_u64().unwrap_or(0));
        lines.push(format!("all of it needs {}; this server has {threads} threads", needs(&planned["needs"], false)));
    }
    if planned["needs_replace"] == true {
        lines.push(
            "what runs is drained and started anew: state is dropped, and sources are read from their beginning; apply \
             it with --replace"
                .to_owned(),
        );
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// What becomes of a stage's state; `said` is how the server has put it after a try.
fn state(of: &Value, said: &Value) -> String {
    let held = match (of["keys"].as_u64().unwrap_or(0), of["bytes"].as_u64().unwrap_or(0)) {
        (0, _) => String::new(),
        (keys, bytes) => format!(" ({} keys, {})", count(keys), size(bytes)),
    };
    let (running, wanted) = (of["running"].as_str(), of["wanted"].as_str());
    let schemas = match (running, wanted) {
        (Some(running), Some(wanted)) if running != wanted => format!(": [{running}] to [{wanted}]"),
        (Some(one), _) | (None, Some(one)) => format!(": [{one}]"),
        (None, None) => String::new(),
    };
    let why = of["why"].as_str().map_or_else(String::new, |why| format!(", {why}"));
    match word(of, "verdict") {
        "none" => "no state".to_owned(),
        "empty" => format!("state begins empty{schemas}"),
        "carried" => format!("state carried{held}{schemas}"),
        "reshaped" => format!("{}{held}{schemas}", said.as_str().or(of["why"].as_str()).unwrap_or("state carried")),
        "dropped" => format!("state dropped{held}{schemas}"),
        "refused" => format!("refused{why}{held}{schemas}"),
        other => other.to_owned(),
    }
}

/// `4 lanes, 8 instances of code with at most 1,024 MiB together, at most 4,096 MiB of state`.
fn needs(of: &Value, watched: bool) -> String {
    let number = |key: &str| of[key].as_u64().unwrap_or(0);
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    let (lanes, instances) = (number("lanes"), number("instances"));
    let until = if watched { " until the first batches are over, half of that then" } else { "" };
    let state = match number("state_bytes_max") {
        0 => String::new(),
        bytes => format!(", at most {} of state", size(bytes)),
    };
    format!(
        "{} lane{}, {} instance{} of code with at most {} of memory{until}{state}",
        count(lanes),
        plural(lanes),
        count(instances),
        plural(instances),
        size(number("memory_bytes_max"))
    )
}

/// `512 bytes`, `3 KiB`, `128 MiB`.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{} KiB", count(bytes.div_ceil(1_024))),
        _ => format!("{} MiB", count(bytes.div_ceil(1_048_576))),
    }
}

fn word<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}

fn items(of: &Value) -> impl Iterator<Item = &Value> {
    of.as_array().into_iter().flatten()
}
