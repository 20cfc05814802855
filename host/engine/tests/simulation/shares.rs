//! How the limit on state is shared: each lane of each keyed stage has the same part, and answers for its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use arrow_array::{ArrayRef, Int64Array};
use wasmill_engine::graph::Draft;
use wasmill_engine::key::{self, Keys};
use wasmill_engine::runtime::Settings;

use super::world::{Dice, Numbers, Sum};
use super::{draft, simulate_under};

/// Lanes of the stage whose keys are many, and of another keyed stage.
const LANES: u32 = 4;
const OTHER_LANES: u32 = 2;

/// What each lane may have.
const SHARE: u64 = 100_000;

/// Rows: far more keys of the first lane than it has room for, each three times.
const ROWS: i64 = 12_000;

/// Keys of the first lane, and of the others.
static KEYS: LazyLock<[Vec<i64>; 2]> = LazyLock::new(|| {
    let (first, others) = (0..20_000).partition(|key| lane(*key) == 0);
    [first, others]
});

/// The lane that has a key.
fn lane(key: i64) -> u32 {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![key]));
    key::lane_of(key::group(Keys::encode(&[column]).hashes()[0]), LANES)
}

/// Every fourth row is of one of few keys of the other lanes.
fn row(id: i64) -> (i64, i64) {
    let [first, others] = &*KEYS;
    let key = if id % 4 == 0 { others[(id / 4 % 90) as usize] } else { first[(id % (ROWS / 3)) as usize] };
    (key, id % 50)
}

/// Two keyed stages, one behind the other; the keys of the first are few.
fn pipeline() -> Draft {
    let mut draft = draft([2, 1, LANES]);
    draft.stages[0].factory = Arc::new(Sum);
    (draft.stages[0].key, draft.stages[0].lanes) = (vec!["value".into()], Some(OTHER_LANES));
    draft
}

#[test]
fn a_lane_whose_share_of_the_state_is_full_says_so_and_goes_on_with_its_keys_and_the_others_with_all() {
    let settings = Settings { state_bytes_max: SHARE * u64::from(LANES + OTHER_LANES), ..Settings::default() };
    for seed in 0..3 {
        let numbers = Numbers { next: 0, end: ROWS, row, dice: Dice(seed) };
        let (kept, dead) = simulate_under(seed, &settings, numbers, pipeline(), |_, _, _| {});
        for reason in &dead.reasons {
            let numbers = reason.strip_prefix("the operator exceeded state_bytes_max: limit ").unwrap();
            let numbers: Vec<u64> = numbers.split(' ').filter_map(|word| word.parse().ok()).collect();
            let [limit, current, requested] = numbers[..] else { panic!("{reason}") };
            assert!(limit == SHARE && current <= limit && requested > limit - current, "{reason}");
        }
        let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
        for row in &kept.committed {
            let count = counts.entry(row["key"]).or_default();
            *count += 1;
            assert_eq!(row["n"], *count, "seed {seed}: the state of a key is in step with its rows");
        }
        let refused: BTreeSet<i64> = dead.committed.iter().map(|letter| row(letter["offset"]).0).collect();
        assert!(refused.iter().all(|key| lane(*key) == 0), "seed {seed}: only the lane without room refuses");
        assert!(refused.iter().all(|key| !counts.contains_key(key)), "seed {seed}: a key that is there stays");
        assert_eq!(kept.committed.len() + dead.committed.len(), ROWS as usize, "seed {seed}");
        let room = counts.keys().filter(|key| lane(**key) == 0).count();
        assert!(room > 100 && refused.len() > 100, "seed {seed}: {room} keys, {} refused", refused.len());
    }
}
