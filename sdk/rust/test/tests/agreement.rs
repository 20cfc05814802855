//! The files that all drivers of cases agree on: `sdk/cases`, with the operator of the guest `judge`.

#[path = "../../../../tests/guests/rust/judge/src/lib.rs"]
mod judge;

use wasmill_test::cases;

const GOOD: &str = "../../cases/good.yaml";
const BAD: &str = "../../cases/bad.txt";

#[test]
fn what_all_drivers_find_right_is_right() {
    cases::<judge::judge>(GOOD);
}

#[test]
fn what_all_drivers_find_wrong_is_wrong() {
    let folder = std::env::temp_dir().join(format!("wasmill-shared-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("cases.yaml");
    let text = std::fs::read_to_string(BAD).unwrap();
    let mut passed = Vec::new();
    for bad in text.split("\n--- ").skip(1) {
        let (what, cases_text) = bad.split_once('\n').unwrap();
        std::fs::write(&file, cases_text).unwrap();
        if std::panic::catch_unwind(|| cases::<judge::judge>(&file)).is_ok() {
            passed.push(what);
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(text.matches("\n--- ").count() > 50 && passed.is_empty(), "found right: {passed:?}");
}
