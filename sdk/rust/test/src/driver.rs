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

/// An operator under test.
pub struct Driver<O> {
    operator: O,
    plan: Plan,
    key: Vec<String>,
    context: Context,
    /// Each key's values and when they last changed.
    state: BTreeMap<String, (i64, Vec<Datum>)>,
}

/// What came of the rows of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// The rows of each port that has any.
    pub ports: BTreeMap<String, Vec<Value>>,
    /// The rows that were refused.
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
        Ok(Self { operator, plan, key: Vec::new(), context: Context::default(), state: BTreeMap::new() })
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

    /// The state of each key, by the values of its columns with `,` between them.
    #[must_use]
    pub fn state(&self) -> BTreeMap<String, Value> {
        let Some(table) = self.plan.tables.first() else { return BTreeMap::new() };
        let shown = |values: &[Datum]| {
            let mut state = Value::Object(serde_json::Map::new());
            for (field, value) in table.columns.iter().zip(values) {
                state[&*field.name] = value.show(kind(field));
            }
            state
        };
        self.state.iter().map(|(key, (_, values))| (key.clone(), shown(values))).collect()
    }

    /// Calls the operator with rows, each a JSON object.
    ///
    /// # Errors
    /// A row lacks a value that the operator reads and has no default for, or has one of another kind.
    ///
    /// # Panics
    /// Where the operator does, and where a keyed operator's driver was given no key.
    pub fn process(&mut self, rows: impl IntoIterator<Item = Value>) -> Result<Done, String> {
        let rows: Vec<Value> = rows.into_iter().collect();
        let buffers = Buffers::new();
        let columns = self.columns(&rows, &buffers)?;
        let count = u32::try_from(rows.len()).expect("a test has fewer than 2^32 rows");
        self.context.batch += 1;
        let call = Call { context: self.context, rows: Rows { count, columns: columns[..].into() }, buffers: &buffers };
        if !O::KEYED {
            let step = self.operator.process(call, None);
            return Ok(self.done(&rows, &step.effects));
        }
        assert!(!self.key.is_empty(), "a keyed operator is tested with a key: `Driver::open(..)?.key([\"sensor\"])`");
        self.expire();
        let keys: Vec<String> = rows.iter().map(|row| self.key_of(row)).collect();
        let mut distinct: Vec<String> = Vec::new();
        let mut slots: Vec<u32> = Vec::new();
        for key in keys {
            let slot = distinct.iter().position(|other| *other == key).unwrap_or(distinct.len());
            slots.push(u32::try_from(slot).expect("there are no more keys than rows"));
            distinct.extend((slot == distinct.len()).then_some(key));
        }
        let table = self.plan.tables.first().cloned().expect("a keyed operator has a table");
        let fresh: Vec<u8> = distinct.iter().map(|key| u8::from(!self.state.contains_key(key))).collect();
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
                serde_json::from_str(json).ok().and_then(|value| Datum::read(&value, kind)).expect("a default is JSON")
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

    fn key_of(&self, row: &Value) -> String {
        let part = |column: &String| match get(row, column) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "null".to_owned(),
        };
        self.key.iter().map(part).collect::<Vec<_>>().join(",")
    }

    /// Forgets keys that have outlived their table's time.
    fn expire(&mut self) {
        let ttl_ms = self.plan.tables.first().and_then(|table| table.ttl_ms);
        let Some(ttl) = ttl_ms.and_then(|ms| i64::try_from(ms).ok()) else { return };
        let now = self.context.now;
        self.state.retain(|_, (changed, _)| now < changed.saturating_add(ttl.saturating_mul(1_000)));
    }

    fn state_columns<'a>(
        &self,
        table: &Table,
        keys: &[String],
        buffers: &'a Buffers,
    ) -> Vec<wasmill::column::StateColumn<'a>> {
        let column = |(number, field): (usize, &Field)| {
            let nothing = if field.nullable { Datum::Null } else { Datum::nothing(kind(field)) };
            let value = |key| self.state.get(key).map_or(&nothing, |(_, values)| &values[number]).clone();
            let values: Vec<Datum> = keys.iter().map(value).collect();
            columns::state(&values, kind(field), buffers)
        };
        table.columns.iter().enumerate().map(column).collect()
    }

    fn keep(
        state: &mut BTreeMap<String, (i64, Vec<Datum>)>,
        now: i64,
        table: &Table,
        keys: Vec<String>,
        changed: &[Column<'_>],
        forget: &[u8],
    ) {
        if changed.is_empty() && forget.is_empty() {
            return;
        }
        let fields = table.columns.iter().zip(changed);
        let columns: Vec<_> = fields.map(|(field, column)| columns::values(column, kind(field), keys.len())).collect();
        for (slot, key) in keys.into_iter().enumerate() {
            if forget.get(slot) == Some(&1) {
                state.remove(&key);
            } else if !changed.is_empty() {
                let values: Vec<Datum> = columns.iter().map(|column| column[slot].clone()).collect();
                // Time to live runs from the last change, and a value that is what it was is none.
                if state.get(&key).is_none_or(|(_, before)| *before != values) {
                    state.insert(key, (now, values));
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
        let ports = effects.emits.iter().map(|emit| {
            let port = &self.plan.ports[emit.port as usize];
            (port.name.to_string(), emitted(rows, emit, port))
        });
        Done {
            ports: ports.collect(),
            rejects: effects.rejects.iter().map(rejected).collect(),
            metrics: names.zip(effects.metrics.iter().copied()).collect(),
        }
    }
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
    out
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
