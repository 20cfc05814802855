//! The driver: opens an operator, calls it with rows, keeps the state of its keys, and says what came of the rows.
//!
//! It does what the host does around a call, row by row and without hurry. Always true: state changes when a call has
//! answered, as a whole. Neighbours: `columns` makes the arguments, `suite` runs cases through a driver.

use std::collections::BTreeMap;

use serde_json::Value;
use wasmill::abi::Buffers;
use wasmill::column::{Column, Kind, Rows, TableRows};
use wasmill::effects::{Action, Effects, Emit};
use wasmill::native::Operator;
use wasmill::operator::{Call, Context, Keys};
use wasmill::plan::{Field, Plan, Port, Refusal, Table};

use crate::columns;
use crate::datum::{Datum, get, put};
use crate::row;

/// An operator under test.
///
/// ```
/// # mod operator {
/// # use wasmill::prelude::*;
/// # #[derive(Row)]
/// # pub struct Any { #[row(name = "@offset")] _offset: i64 }
/// # #[derive(State, Default)]
/// # #[state(ttl = "10s")]
/// # pub struct Seen { seen: bool }
/// # #[keyed]
/// # pub fn first(_row: Any, seen: &mut Seen) -> bool { !std::mem::replace(&mut seen.seen, true) }
/// # }
/// # use operator::first;
/// use serde_json::json;
/// use wasmill_test::Driver;
///
/// // `first` passes the first row of a key, and forgets a key after ten seconds.
/// let mut driver = Driver::<first>::open(json!({})).unwrap().key(["id"]);
/// let rows = [json!({"id": 1}), json!({"id": 1}), json!({"id": 2})];
/// assert_eq!(driver.process(rows).unwrap().port("main").len(), 2);
/// driver.set_now(10_000_000);
/// assert_eq!(driver.process([json!({"id": 1})]).unwrap().port("main").len(), 1);
/// ```
pub struct Driver<O> {
    operator: O,
    plan: Plan,
    key: Vec<String>,
    context: Context,
    state: BTreeMap<Key, Kept>,
}

/// A key: the values of its columns as JSON, where 1 and 1.0 are one.
type Key = String;

/// What is kept for a key.
struct Kept {
    /// The key as its first row has it.
    name: String,
    /// When the values last changed.
    changed: i64,
    values: Vec<Datum>,
}

/// What came of the rows of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// The rows of each port that has any.
    pub ports: BTreeMap<String, Vec<Value>>,
    /// The rows that were refused, by their numbers.
    pub rejects: Vec<Rejected>,
    /// What each metric reported.
    pub metrics: BTreeMap<String, f64>,
}

impl Done {
    /// The rows of a port, none where nothing was sent to it.
    #[must_use]
    pub fn port(&self, name: &str) -> &[Value] {
        self.ports.get(name).map_or(&[], Vec::as_slice)
    }
}

/// A row that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its number among the rows of the call, from 0.
    pub row: usize,
    /// What the host does with it.
    pub action: Action,
    /// Why.
    pub reason: String,
}

impl<O: Operator> Driver<O> {
    /// Opens an operator with a configuration. What its input has is taken to be what its rows read.
    ///
    /// # Errors
    /// The operator refuses the configuration.
    pub fn open(config: impl Into<Value>) -> Result<Self, Refusal> {
        Self::over(config, &[])
    }

    /// Opens an operator for an input of these columns.
    ///
    /// # Errors
    /// The operator refuses the configuration or the input.
    pub fn over(config: impl Into<Value>, input: &[Field]) -> Result<Self, Refusal> {
        let (operator, plan) = O::open(&config.into().to_string(), input)?;
        let context = Context { watermark: i64::MIN, ..Context::default() };
        Ok(Self { operator, plan, key: Vec::new(), context, state: BTreeMap::new() })
    }

    /// Names the columns that are the key of a keyed operator.
    #[must_use]
    pub fn key<'k>(self, columns: impl IntoIterator<Item = &'k str>) -> Self {
        Self { key: columns.into_iter().map(ToOwned::to_owned).collect(), ..self }
    }

    /// Sets the time that calls see and that state ages by, in microseconds since 1970-01-01 UTC.
    pub fn set_now(&mut self, micros: i64) {
        self.context.now = micros;
    }

    /// Sets the watermark that calls see, in microseconds.
    pub fn set_watermark(&mut self, micros: i64) {
        self.context.watermark = micros;
    }

    /// What the operator said when it was opened.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The state of each key, by the values of its columns with `,` between them, null where there is none. A field
    /// that is null is left out, and so is a key that has outlived its table's time.
    #[must_use]
    pub fn state(&self) -> BTreeMap<String, Value> {
        let Some(table) = self.plan.tables.first() else { return BTreeMap::new() };
        let shown = |values: &[Datum]| {
            let mut state = Value::Object(serde_json::Map::new());
            for (field, value) in table.columns.iter().zip(values).filter(|(_, value)| **value != Datum::Null) {
                state[&*field.name] = value.show(kind(field));
            }
            state
        };
        let alive = self.state.values().filter(|kept| self.is_alive(kept.changed));
        alive.map(|kept| (kept.name.clone(), shown(&kept.values))).collect()
    }

    /// Calls the operator with rows, each a JSON object. `{"site": {"name": 1}}` and `{"site.name": 1}` are the same
    /// row, and null is the same as no value: what comes out has neither paths as keys nor nulls.
    ///
    /// # Errors
    /// A row lacks a value that the operator reads and has no default for, or has one of another kind.
    ///
    /// # Panics
    /// Where the operator does, and where a keyed operator's driver was given no key.
    pub fn process(&mut self, rows: impl IntoIterator<Item = Value>) -> Result<Done, String> {
        let rows: Vec<Value> = rows.into_iter().map(|row| row::nested(&row)).collect();
        let buffers = Buffers::new();
        let columns = self.columns(&rows, &buffers)?;
        let count = u32::try_from(rows.len()).expect("a test has fewer than 2^32 rows");
        self.context.batch += 1;
        self.context.seed = self.context.batch;
        let call = Call { context: self.context, rows: Rows { count, columns: columns[..].into() }, buffers: &buffers };
        if !O::KEYED {
            let step = self.operator.process(call, None);
            return Ok(self.done(&rows, &step.effects));
        }
        assert!(!self.key.is_empty(), "a keyed operator is tested with a key: `Driver::open(..)?.key([\"sensor\"])`");
        self.expire();
        let mut distinct: Vec<(Key, String)> = Vec::new();
        let mut slots: Vec<u32> = Vec::new();
        for row in &rows {
            let (key, name) = self.key_of(row);
            let slot = distinct.iter().position(|(other, _)| *other == key).unwrap_or(distinct.len());
            slots.push(u32::try_from(slot).expect("there are no more keys than rows"));
            distinct.extend((slot == distinct.len()).then_some((key, name)));
        }
        let table = self.plan.tables.first().cloned().expect("a keyed operator has a table");
        let fresh: Vec<u8> = distinct.iter().map(|(key, _)| u8::from(!self.state.contains_key(key))).collect();
        let mut state = self.state_columns(&table, &distinct, &buffers);
        let table_rows = TableRows::new(&fresh, &mut state);
        let keys = Keys { slots: &slots, count: distinct.len(), table: table_rows };
        let step = self.operator.process(call, Some(keys));
        let done = self.done(&rows, &step.effects);
        Self::keep(&mut self.state, self.context.now, &table, distinct, &step.state, &step.forget);
        Ok(done)
    }

    fn columns<'a>(&self, rows: &[Value], buffers: &'a Buffers) -> Result<Vec<Column<'a>>, String> {
        let mut columns = Vec::new();
        for read in &self.plan.reads {
            let field = &read.field;
            let (kind, name) = (kind(field), &field.name);
            let fallback = read.fallback.as_deref().map(|json| {
                let value = serde_json::from_str(json).ok().and_then(|value| Datum::fallback(&value, kind));
                value.unwrap_or_else(|| panic!("the default {json} of `{name}` is not {}", field.kind))
            });
            let mut values = Vec::new();
            for (number, row) in rows.iter().enumerate() {
                let written = get(row, name).filter(|value| !value.is_null());
                let value = match (written, &fallback) {
                    (Some(value), _) => Datum::read(value, kind)
                        .ok_or_else(|| format!("row {number}: `{name}` is {value}, which is not {}", field.kind))?,
                    (None, Some(fallback)) => fallback.clone(),
                    (None, None) if name.starts_with('@') => metadata(name, number),
                    (None, None) if field.nullable => Datum::Null,
                    (None, None) => {
                        return Err(format!("row {number}: there is no `{name}`, which the operator reads"));
                    }
                };
                values.push(value);
            }
            columns.push(columns::column(&values, kind, buffers));
        }
        Ok(columns)
    }

    /// The key of a row, and as people write it.
    fn key_of(&self, row: &Value) -> (Key, String) {
        let values: Vec<&Value> = self.key.iter().map(|column| get(row, column).unwrap_or(&Value::Null)).collect();
        let part = |value: &&Value| match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let name = values.iter().map(part).collect::<Vec<_>>().join(",");
        let one = |value: &&Value| match value {
            Value::Number(number) if number.is_i64() => number.as_f64().map_or_else(|| (*value).clone(), Value::from),
            value => (*value).clone(),
        };
        (values.iter().map(one).collect::<Value>().to_string(), name)
    }

    /// Forgets keys that have outlived their table's time.
    fn expire(&mut self) {
        let mut state = std::mem::take(&mut self.state);
        state.retain(|_, kept| self.is_alive(kept.changed));
        self.state = state;
    }

    /// Whether what was changed then is still kept.
    fn is_alive(&self, changed: i64) -> bool {
        let ttl_ms = self.plan.tables.first().and_then(|table| table.ttl_ms);
        let ttl = ttl_ms.and_then(|ms| i64::try_from(ms).ok());
        ttl.is_none_or(|ttl| self.context.now < changed.saturating_add(ttl.saturating_mul(1_000)))
    }

    fn state_columns<'a>(
        &self,
        table: &Table,
        keys: &[(Key, String)],
        buffers: &'a Buffers,
    ) -> Vec<wasmill::column::StateColumn<'a>> {
        let column = |(number, field): (usize, &Field)| {
            let nothing = if field.nullable { Datum::Null } else { Datum::nothing(kind(field)) };
            let value = |key| self.state.get(key).map_or(&nothing, |kept| &kept.values[number]).clone();
            let values: Vec<Datum> = keys.iter().map(|(key, _)| value(key)).collect();
            columns::state(&values, kind(field), buffers)
        };
        table.columns.iter().enumerate().map(column).collect()
    }

    fn keep(
        state: &mut BTreeMap<Key, Kept>,
        now: i64,
        table: &Table,
        keys: Vec<(Key, String)>,
        changed: &[Column<'_>],
        forget: &[u8],
    ) {
        if changed.is_empty() && forget.is_empty() {
            return;
        }
        let fields = table.columns.iter().zip(changed);
        let columns: Vec<_> = fields.map(|(field, column)| columns::values(column, kind(field), keys.len())).collect();
        for (slot, (key, name)) in keys.into_iter().enumerate() {
            if forget.get(slot) == Some(&1) {
                state.remove(&key);
            } else if !changed.is_empty() {
                let values: Vec<Datum> = columns.iter().map(|column| column[slot].clone()).collect();
                // Time to live runs from the last change, and a value that is what it was is none.
                match state.get_mut(&key) {
                    Some(kept) if same_state(&kept.values, &values) => {}
                    Some(kept) => (kept.changed, kept.values) = (now, values),
                    None => drop(state.insert(key, Kept { name, changed: now, values })),
                }
            }
        }
    }

    fn done(&self, rows: &[Value], effects: &Effects<'_>) -> Done {
        let rejected = |(row, reject): &(u32, wasmill::effects::Reject)| Rejected {
            row: *row as usize,
            action: reject.action,
            reason: reject.reason.clone(),
        };
        let names = self.plan.metrics.iter().map(|metric| metric.name.to_string());
        let mut ports: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for emit in &effects.emits {
            let port = &self.plan.ports[emit.port as usize];
            ports.entry(port.name.to_string()).or_default().extend(emitted(rows, emit, port));
        }
        let mut rejects: Vec<Rejected> = effects.rejects.iter().map(rejected).collect();
        rejects.sort_by_key(|rejected| rejected.row);
        Done { ports, rejects, metrics: names.zip(effects.metrics.iter().copied()).collect() }
    }
}

/// Whether nothing changed; floats are by their bits, as the host compares them.
fn same_state(before: &[Datum], now: &[Datum]) -> bool {
    before.iter().zip(now).all(|pair| match pair {
        (Datum::Float64(before), Datum::Float64(now)) => before.to_bits() == now.to_bits(),
        (before, now) => before == now,
    })
}

/// The rows that a port is sent: what is carried of their origin, and what was made.
fn emitted(rows: &[Value], emit: &Emit<'_>, port: &Port) -> Vec<Value> {
    let each: Vec<u32>;
    let origin = match emit.origin {
        Some(origin) => origin,
        None => {
            each = (0..).take(rows.len()).collect();
            &each
        }
    };
    let carry = |row: &u32| {
        let row = &rows[*row as usize];
        let Some(carries) = &port.carries else { return row.clone() };
        let mut carried = Value::Object(serde_json::Map::new());
        for names in carries {
            put(&mut carried, &names.output, get(row, &names.input).cloned().unwrap_or(Value::Null));
        }
        carried
    };
    let mut out: Vec<Value> = origin.iter().map(carry).collect();
    for (field, column) in port.makes.iter().zip(&emit.columns) {
        for (row, value) in out.iter_mut().zip(columns::values(column, kind(field), origin.len())) {
            put(row, &field.name, value.show(kind(field)));
        }
    }
    out.iter().map(row::nested).collect()
}

/// What the host adds to a row, where the test has not said it.
fn metadata(name: &str, row: usize) -> Datum {
    match name {
        "@source" | "@partition" => Datum::Bytes(b"input".to_vec()),
        "@offset" => Datum::Int64(i64::try_from(row).expect("a test has fewer than 2^63 rows")),
        _ => Datum::Null,
    }
}

fn kind(field: &Field) -> Kind {
    Kind::of(&field.kind).unwrap_or_else(|| panic!("this driver does not know the kind `{}`", field.kind))
}
