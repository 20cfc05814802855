//! The table of `docs/sdk.md` says which test holds each of its rows: that test is there.

use std::fs;
use std::path::Path;

/// The texts in backticks of a piece of Markdown, and what stands behind each up to the next.
fn quoted(text: &str) -> Vec<(&str, &str)> {
    let parts: Vec<&str> = text.split('`').collect();
    parts[1..].chunks(2).map(|pair| (pair[0], pair.get(1).copied().unwrap_or_default())).collect()
}

/// What is wrong with what a row says of its test. `above` is what the row above says.
fn wrong(held_by: &str, above: &str, root: &Path) -> Option<String> {
    let held_by = if held_by == "the same" { above } else { held_by };
    let named = quoted(held_by);
    if named.iter().all(|(name, _)| !name.contains('/') && !name.ends_with(".rs")) {
        return Some(format!("`{held_by}` names no file"));
    }
    for (name, behind) in named.into_iter().filter(|(name, _)| name.contains('/') || name.ends_with(".rs")) {
        let homes = [root.join("tests/parity"), root.join("tests"), root.to_owned()];
        let Some(path) = homes.iter().map(|home| home.join(name)).find(|path| path.exists()) else {
            return Some(format!("there is no {name}"));
        };
        let Ok(text) = fs::read_to_string(path).map(|text| text.to_lowercase()) else { continue };
        let labels = behind.trim_start_matches(": ").split(';').next().unwrap_or_default();
        let labels: Vec<String> =
            labels.split(", ").map(|label| label.trim().to_lowercase().replace(' ', "_")).collect();
        let label = labels.iter().find(|label| label.is_empty() || !text.contains(&**label));
        if let Some(label) = label {
            return Some(format!("{name} has no test `{label}`"));
        }
    }
    None
}

#[test]
fn each_word_of_the_sdks_is_held_by_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("docs/sdk.md")).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 20, "{rows:?}");
    let held_by = |row: &str| row.trim_end_matches(" |").rsplit(" | ").next().unwrap().to_owned();
    let mut above = String::new();
    for row in rows {
        let held = held_by(row);
        assert_eq!(wrong(&held, &above, root), None, "{row}");
        if held != "the same" {
            above = held;
        }
    }
    assert!(wrong("`words.rs`: no such thing", "", root).is_some() && wrong("nothing", "", root).is_some());
}
