//! The state beside a model of it, a `BTreeMap`, under random histories; and the limits and costs that a history does
//! not show.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow_array::{TimestampMicrosecondArray, UInt32Array};
use proptest::prelude::*;

use super::cell::SLOT;
use super::{KeyedState, Row, StateFull, Value};
use crate::clock::Micros;
use crate::key::{self, Keys};
use crate::limits::KEY_GROUPS;
use crate::operator::{Table, TableChanges};
use crate::schema::{Field, Kind};

/// A value that owns its bytes.
#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Null,
    Boolean(bool),
    Word(u64),
    Bytes(Vec<u8>),
}

type ModelRow = Option<(Micros, Vec<Owned>)>;
type Model = BTreeMap<Vec<u8>, Vec<ModelRow>>;

const TTL_MS: u64 = 10;

fn tables() -> Vec<Table> {
    let counts = vec![
        Field::required("n", Kind::Int64),
        Field::nullable("name", Kind::Utf8),
        Field::nullable("seen", Kind::Boolean),
        Field::required("mean", Kind::Float64),
        Field::nullable("at", Kind::Timestamp),
    ];
    let last = vec![
        Field::required("image", Kind::Bytes),
        Field::nullable("document", Kind::Json),
        Field::required("open", Kind::Boolean),
    ];
    let table = |name: &str, columns, ttl_ms| Table { name: name.into(), version: 1, columns, ttl_ms };
    vec![table("counts", counts, None), table("last", last, Some(TTL_MS))]
}

/// What a key is in a history: short, longer than a cell has room for, a number, null, several columns.
#[derive(Clone, Copy, Debug)]
enum KeyShape {
    Number,
    Text,
    Several,
}

impl KeyShape {
    fn kinds(self) -> Vec<Kind> {
        match self {
            Self::Number => vec![Kind::Int64],
            Self::Text => vec![Kind::Utf8],
            Self::Several => vec![Kind::Utf8, Kind::Boolean, Kind::Int64],
        }
    }

    fn columns(self, ids: &[u8]) -> Vec<ArrayRef> {
        let number = |id: &u8| (*id != 3).then_some(i64::from(*id) << 20);
        let text = |id: &u8| (*id != 3).then(|| "long key ".repeat(usize::from(*id) % 5) + &id.to_string());
        let numbers = || Arc::new(ids.iter().map(number).collect::<Int64Array>()) as ArrayRef;
        let texts = || Arc::new(ids.iter().map(text).collect::<StringArray>()) as ArrayRef;
        match self {
            Self::Number => vec![numbers()],
            Self::Text => vec![texts()],
            Self::Several => {
                let odd = ids.iter().map(|id| (*id != 5).then_some(*id % 2 == 1)).collect::<BooleanArray>();
                vec![texts(), Arc::new(odd), numbers()]
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// A call with the rows of these keys; none for a table = it answers no columns; `fails` = it has no effect.
    Call {
        ids: Vec<u8>,
        seed: u64,
        answers: [bool; 2],
        forgets: bool,
        fails: bool,
    },
    Wait(i64),
    Sweep(usize),
    Restore,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ids = prop_oneof![prop::collection::vec(0u8..12, 0..8), prop::collection::vec(any::<u8>(), 1..120)];
    let call = (ids, any::<u64>(), any::<[bool; 2]>(), any::<bool>(), prop::bool::weighted(0.2))
        .prop_map(|(ids, seed, answers, forgets, fails)| Step::Call { ids, seed, answers, forgets, fails });
    let other = prop_oneof![
        3 => (0i64..15_000).prop_map(Step::Wait),
        2 => (0usize..3_000).prop_map(Step::Sweep),
        1 => Just(Step::Restore),
    ];
    prop::collection::vec(prop_oneof![3 => call, 1 => other], 1..40)
}

/// A random value; often the same again, so that some changes change nothing.
fn value(field: &Field, random: u64) -> Owned {
    if field.nullable && random.is_multiple_of(4) {
        return Owned::Null;
    }
    let small = random >> 8 & 3;
    match field.kind {
        Kind::Boolean => Owned::Boolean(small > 1),
        Kind::Int64 | Kind::Timestamp => Owned::Word(small.wrapping_neg()),
        Kind::Float64 => Owned::Word((small as f64 / 3.0).to_bits()),
        Kind::Utf8 | Kind::Bytes | Kind::Json => {
            Owned::Bytes(b"wasm".repeat((random >> 16 & 15) as usize * small as usize))
        }
    }
}

fn absent(field: &Field) -> Owned {
    match field.kind {
        _ if field.nullable => Owned::Null,
        Kind::Boolean => Owned::Boolean(false),
        Kind::Int64 | Kind::Timestamp | Kind::Float64 => Owned::Word(0),
        Kind::Utf8 | Kind::Bytes | Kind::Json => Owned::Bytes(Vec::new()),
    }
}

fn array(kind: Kind, values: &[Owned]) -> ArrayRef {
    let word = |value: &Owned| if let Owned::Word(word) = value { Some(*word) } else { None };
    let bytes = |value: &Owned| if let Owned::Bytes(bytes) = value { Some(bytes.clone()) } else { None };
    let boolean = |value: &Owned| if let Owned::Boolean(bit) = value { Some(*bit) } else { None };
    let values = values.iter();
    match kind {
        Kind::Boolean => Arc::new(values.map(boolean).collect::<BooleanArray>()),
        Kind::Int64 => Arc::new(values.map(|v| word(v).map(|w| w as i64)).collect::<Int64Array>()),
        Kind::Timestamp => Arc::new(values.map(|v| word(v).map(|w| w as i64)).collect::<TimestampMicrosecondArray>()),
        Kind::Float64 => Arc::new(values.map(|v| word(v).map(f64::from_bits)).collect::<Float64Array>()),
        Kind::Bytes => Arc::new(values.map(bytes).collect::<BinaryArray>()),
        Kind::Utf8 | Kind::Json => {
            Arc::new(values.map(|v| bytes(v).map(|b| String::from_utf8(b).unwrap())).collect::<StringArray>())
        }
    }
}

fn owned_at(kind: Kind, column: &ArrayRef, row: usize) -> Owned {
    if column.is_null(row) {
        return Owned::Null;
    }
    match kind {
        Kind::Boolean => Owned::Boolean(column.as_boolean().value(row)),
        Kind::Int64 => Owned::Word(column.as_primitive::<Int64Type>().value(row) as u64),
        Kind::Timestamp => Owned::Word(column.as_primitive::<TimestampMicrosecondType>().value(row) as u64),
        Kind::Float64 => Owned::Word(column.as_primitive::<Float64Type>().value(row).to_bits()),
        Kind::Bytes => Owned::Bytes(column.as_binary::<i32>().value(row).to_vec()),
        Kind::Utf8 | Kind::Json => Owned::Bytes(column.as_string::<i32>().value(row).as_bytes().to_vec()),
    }
}

/// Forgets what is past its time, as every reader must see it.
fn expire(model: &mut Model, now: Micros) {
    for rows in model.values_mut() {
        if rows[1].as_ref().is_some_and(|(changed, _)| now - changed >= TTL_MS as i64 * 1_000) {
            rows[1] = None;
        }
    }
    model.retain(|_, rows| rows.iter().any(Option::is_some));
}

fn dump(state: &KeyedState, now: Micros) -> Model {
    let own = |row: Option<Row<'_>>| {
        row.map(|row| {
            (
                row.changed,
                row.values
                    .iter()
                    .map(|value| match value {
                        Value::Null => Owned::Null,
                        Value::Boolean(bit) => Owned::Boolean(*bit),
                        Value::Word(word) => Owned::Word(*word),
                        Value::Bytes(bytes) => Owned::Bytes(bytes.to_vec()),
                    })
                    .collect(),
            )
        })
    };
    let mut all = Model::new();
    for entry in state.entries(0..KEY_GROUPS, now) {
        assert_eq!(entry.group(), key::group(key::hash(&entry.key())));
        let before = all.insert(entry.key(), entry.rows().into_iter().map(own).collect());
        assert!(before.is_none(), "a key stands in one cell");
    }
    all
}

/// Runs a call on both sides.
fn call(state: &mut KeyedState, model: &mut Model, shape: KeyShape, step: &Step, now: Micros) {
    let Step::Call { ids, seed, answers, forgets, fails } = step else { unreachable!() };
    let keys = Keys::encode(&shape.columns(ids));
    let mut order: Vec<Vec<u8>> = Vec::new();
    let slots: Vec<u32> = (0..ids.len())
        .map(|row| {
            let slot = order.iter().position(|key| key == keys.get(row)).unwrap_or(order.len());
            if slot == order.len() {
                order.push(keys.get(row).to_vec())
            }
            slot as u32
        })
        .collect();
    let turn = state.resolve(&keys, now).unwrap();
    assert_eq!((turn.slots(), turn.count() as usize), (&slots[..], order.len()));
    let mut random = *seed;
    let mut changes = Vec::new();
    let before = model.clone();
    for (t, (table, gathered)) in tables().iter().zip(turn.gather()).enumerate() {
        let row = |slot: usize| before.get(&order[slot]).and_then(|rows| rows[t].clone());
        let fresh: Vec<u8> = (0..order.len()).map(|slot| u8::from(row(slot).is_none())).collect();
        assert_eq!(gathered.fresh, if fresh.contains(&1) { fresh } else { Vec::new() });
        for (i, (field, column)) in table.columns.iter().zip(&gathered.columns).enumerate() {
            assert_eq!((column.data_type(), column.len()), (&field.kind.data_type(), order.len()));
            for slot in 0..order.len() {
                let expected = row(slot).map_or_else(|| absent(field), |(_, values)| values[i].clone());
                assert_eq!(owned_at(field.kind, column, slot), expected, "{} of slot {slot}", field.name);
            }
        }
        let mut next = || {
            random = key::hash_word(random);
            random
        };
        let forget: Vec<u8> =
            if *forgets { order.iter().map(|_| u8::from(next() % 3 == 0)).collect() } else { Vec::new() };
        let new: Vec<Vec<Owned>> =
            order.iter().map(|_| table.columns.iter().map(|field| value(field, next())).collect()).collect();
        for (slot, values) in new.iter().enumerate() {
            let now_has = match row(slot) {
                _ if forget.get(slot) == Some(&1) => None,
                old if !answers[t] => old,
                Some((changed, old)) if old == *values => Some((changed, old)),
                _ => Some((if table.ttl_ms.is_some() { now } else { 0 }, values.clone())),
            };
            if !fails {
                model.entry(order[slot].clone()).or_insert_with(|| vec![None; 2])[t] = now_has;
            }
        }
        let column =
            |(i, field): (usize, &Field)| array(field.kind, &new.iter().map(|row| row[i].clone()).collect::<Vec<_>>());
        let columns = if answers[t] { table.columns.iter().enumerate().map(column).collect() } else { Vec::new() };
        changes.push(TableChanges { forget, columns });
    }
    if *fails { drop(turn) } else { turn.apply(&changes).unwrap() }
}

fn run(shape: KeyShape, steps: &[Step]) {
    let fresh = || KeyedState::new(&shape.kinds(), &tables(), u64::MAX);
    let (mut state, mut model, mut now) = (fresh(), Model::new(), 1_000_000);
    for step in steps {
        expire(&mut model, now);
        match step {
            Step::Call { .. } => call(&mut state, &mut model, shape, step, now),
            Step::Wait(micros) => now += micros,
            Step::Sweep(budget) => {
                let before = state.len();
                assert_eq!(state.sweep(now, *budget), before - state.len());
            }
            Step::Restore => {
                let mut restored = fresh();
                for entry in state.entries(0..KEY_GROUPS, now) {
                    restored.restore(&entry.key(), &entry.rows()).unwrap();
                }
                assert!(restored.entries(0..KEY_GROUPS, now).all(|entry| !entry.dirty()));
                state = restored;
            }
        }
        expire(&mut model, now);
        assert_eq!(dump(&state, now), model);
        assert!(state.cells.keys().all(|at| state.cells.cell(at)[0] & SLOT == 0), "no cell carries a slot");
    }
    state.sweep(now + TTL_MS as i64 * 1_000, 1_000_000);
    assert_eq!(state.len(), model.values().filter(|rows| rows[0].is_some()).count(), "a full sweep leaves what lives");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_state_does_what_the_model_does(
        shape in prop::sample::select(vec![KeyShape::Number, KeyShape::Text, KeyShape::Several]),
        steps in steps(),
    ) {
        run(shape, &steps);
    }
}

fn count_table() -> Vec<Table> {
    vec![Table { name: "t".into(), version: 1, columns: vec![Field::required("n", Kind::Int64)], ttl_ms: None }]
}

fn name_table() -> Vec<Table> {
    vec![Table { name: "t".into(), version: 1, columns: vec![Field::required("name", Kind::Utf8)], ttl_ms: None }]
}

fn numbers(range: std::ops::Range<i64>) -> Keys {
    Keys::encode(&[Arc::new(Int64Array::from_iter_values(range))])
}

/// Counts each key of the range once more.
fn count(state: &mut KeyedState, range: std::ops::Range<i64>) -> Result<(), StateFull> {
    let turn = state.resolve(&numbers(range), 0)?;
    let counts = turn.gather()[0].columns[0].as_primitive::<Int64Type>().unary::<_, Int64Type>(|n| n + 1);
    turn.apply(&[TableChanges { forget: Vec::new(), columns: vec![Arc::new(counts)] }])
}

/// Gives each key of the range a name of that length.
fn name(state: &mut KeyedState, range: std::ops::Range<i64>, len: usize) -> Result<(), StateFull> {
    let names = StringArray::from_iter_values(range.clone().map(|_| "x".repeat(len)));
    let turn = state.resolve(&numbers(range), 0)?;
    turn.apply(&[TableChanges { forget: Vec::new(), columns: vec![Arc::new(names)] }])
}

#[test]
fn a_call_past_the_limit_names_it_and_changes_nothing() {
    let mut state = KeyedState::new(&[Kind::Int64], &count_table(), 100_000);
    count(&mut state, 0..500).unwrap();
    let before = dump(&state, 0);
    let full = count(&mut state, 0..20_000).unwrap_err();
    assert!(full.limit == 100_000 && full.current + full.requested > 100_000, "{full}");
    assert!(full.to_string().contains("100000 bytes"), "{full}");
    assert_eq!(dump(&state, 0), before);
    count(&mut state, 0..500).unwrap();
    assert!(state.bytes() <= 100_000);
}

#[test]
fn a_value_past_the_limit_changes_nothing() {
    let mut state = KeyedState::new(&[Kind::Int64], &name_table(), 100_000);
    name(&mut state, 0..10, 1_000).unwrap();
    let before = dump(&state, 0);
    assert_eq!(name(&mut state, 5..25, 5_000).unwrap_err().requested, 100_000);
    assert_eq!(dump(&state, 0), before);
    assert_eq!(state.len(), 10);
}

#[test]
fn values_that_grow_again_and_again_do_not_pile_up() {
    let mut state = KeyedState::new(&[Kind::Int64], &name_table(), u64::MAX);
    for round in 0..400 {
        name(&mut state, 0..1_000, 100 + round % 50).unwrap();
    }
    assert!(state.bytes() < 1_000 * 150 * 3 + 128 * 4_096, "{} bytes", state.bytes());
}

#[test]
fn memory_comes_back_when_keys_are_forgotten() {
    let mut state = KeyedState::new(&[Kind::Int64], &count_table(), u64::MAX);
    let empty = state.bytes();
    count(&mut state, 0..50_000).unwrap();
    assert!(state.bytes() > 1_000_000);
    let turn = state.resolve(&numbers(0..50_000), 0).unwrap();
    turn.apply(&[TableChanges { forget: vec![1; 50_000], columns: Vec::new() }]).unwrap();
    assert_eq!((state.len(), state.bytes()), (0, empty));
}

#[test]
fn a_failed_call_of_new_keys_gives_their_memory_back() {
    let mut state = KeyedState::new(&[Kind::Int64], &count_table(), u64::MAX);
    let empty = state.bytes();
    drop(state.resolve(&numbers(0..8_000), 0).unwrap());
    assert_eq!((state.len(), state.bytes()), (0, empty));
}

#[test]
fn entries_of_a_lane_are_those_that_its_partition_has() {
    let mut state = KeyedState::new(&[Kind::Int64], &count_table(), u64::MAX);
    count(&mut state, 0..5_000).unwrap();
    let lists: Vec<UInt32Array> = key::partition(numbers(0..5_000).hashes(), 3);
    for (lane, rows) in (0..).zip(&lists) {
        assert_eq!(state.entries(key::groups_of(lane, 3), 0).count(), rows.len());
    }
    assert!(state.entries(0..KEY_GROUPS, 0).all(|entry| entry.dirty()));
}
