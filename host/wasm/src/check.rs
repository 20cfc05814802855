//! Everything that a call gives back, checked before anybody uses it. Past this file nothing of a guest is distrusted.
//!
//! A buffer is copied once, out of the guest's memory, when it is taken from the call; here it becomes an Arrow array
//! as it is. Always true of what comes out: every column has the kind, length and nulls that the plan allows; offsets
//! rise within their data; text is UTF-8; JSON is JSON on one line; row numbers exist; no row is rejected twice or both
//! emitted and rejected; sizes are within the limits. Neighbours: [`crate::plan`] has checked the plan.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, StringArray, UInt32Array};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use serde::de::IgnoredAny;
use wasmill_engine::batch::fixed;
use wasmill_engine::operator::{Action, CallError, Effects, Emit, MetricKind, OperatorPlan, Reject, TableChanges};
use wasmill_engine::schema::{Field, Kind};

use crate::contract::{ActionOut, ColumnOut, EffectsOut, EmitOut, FaultOut, RejectOut, StepOut, TableChangesOut};
use crate::limits::Limits;

/// What an answer is held against.
#[derive(Clone, Copy)]
pub(crate) struct Check<'a> {
    /// The operator's plan.
    pub(crate) plan: &'a OperatorPlan,
    /// The limits.
    pub(crate) limits: &'a Limits,
    /// Rows of the call.
    pub(crate) rows: usize,
    /// Slots of the call.
    pub(crate) keys: usize,
    /// Bytes that crossed to the guest.
    pub(crate) input_bytes: u64,
}

impl Check<'_> {
    /// What a transform wants done.
    pub(crate) fn effects(&self, answer: EffectsOut) -> Result<Effects, CallError> {
        self.size(&answer, 0)?;
        let emits = self.emits(answer.emits)?;
        let rejects = self.rejects(answer.rejects, &emits)?;
        let metrics = self.metrics(&answer.metrics)?;
        Ok(Effects { emits, rejects, metrics, tables: Vec::new() })
    }

    /// What a keyed operator wants done.
    pub(crate) fn step(&self, answer: StepOut) -> Result<Effects, CallError> {
        if !answer.timers.is_empty() {
            return invalid("it sets timers, which this host does not have yet; return an empty list");
        }
        let state = answer.tables.iter().map(|table| columns_bytes(&table.columns) + table.forget.len() as u64).sum();
        self.size(&answer.effects, state)?;
        let tables = self.tables(answer.tables)?;
        Ok(Effects { tables, ..self.effects(answer.effects)? })
    }

    /// What the operator says failed.
    pub(crate) fn fault(&self, fault: FaultOut) -> CallError {
        match fault.row {
            Some(row) if row as usize >= self.rows => CallError::Invalid(format!(
                "its fault blames row {row} of a batch of {} rows: {}",
                self.rows, fault.message
            )),
            row => CallError::Fault { message: fault.message, row },
        }
    }

    fn size(&self, answer: &EffectsOut, state: u64) -> Result<(), CallError> {
        let emits = answer
            .emits
            .iter()
            .map(|emit| columns_bytes(&emit.columns) + emit.origin.as_ref().map_or(0, |origin| origin.len() as u64));
        let reasons = answer.rejects.iter().map(|reject| reject.reason.len() as u64);
        let requested = emits.chain(reasons).sum::<u64>() + state;
        let allowed = self.limits.output_bytes(self.input_bytes);
        if requested > allowed {
            return Err(CallError::limit("output_bytes", "B", allowed, 0, requested));
        }
        Ok(())
    }

    fn emits(&self, emits: Vec<EmitOut>) -> Result<Vec<Emit>, CallError> {
        let allowed = self.limits.output_rows(self.rows as u64);
        let mut current = 0;
        let mut checked: Vec<Emit> = Vec::with_capacity(emits.len());
        for emit in emits {
            let emit = self.emit(emit, &checked)?;
            let requested = emit.origin.as_ref().map_or(self.rows, Array::len) as u64;
            if requested > allowed - current {
                return Err(CallError::limit("output_rows_max", "rows", allowed, current, requested));
            }
            current += requested;
            checked.push(emit);
        }
        Ok(checked)
    }

    fn emit(&self, emit: EmitOut, before: &[Emit]) -> Result<Emit, CallError> {
        let position = emit.port as usize;
        let Some(port) = self.plan.ports.get(position) else {
            let ports = self.plan.ports.len();
            return invalid(format!("it emits to port {position}, the plan has {ports}"));
        };
        let name = &port.name;
        if before.iter().any(|other| other.port == position) {
            return invalid(format!("it emits to port `{name}` twice"));
        }
        let origin = emit.origin.map(|origin| self.origin(origin)).transpose();
        let origin = origin.or_else(|reason| invalid(format!("port `{name}`: {reason}")))?;
        let rows = origin.as_ref().map_or(self.rows, Array::len);
        let columns = columns(emit.columns, &port.makes, rows);
        let columns = columns.or_else(|reason| invalid(format!("port `{name}`: {reason}")))?;
        Ok(Emit { port: position, origin, columns })
    }

    fn origin(&self, origin: Vec<u8>) -> Result<UInt32Array, String> {
        let bytes = origin.len();
        if !bytes.is_multiple_of(4) {
            return Err(format!("`origin` has {bytes} bytes, which is not 4 a row"));
        }
        let origin: ScalarBuffer<u32> = numbers(origin);
        // Over all rows before any is looked for: the compiler makes wide instructions of that.
        let highest = origin.iter().fold(0, |highest, row| highest.max(*row));
        if !origin.is_empty() && highest as usize >= self.rows {
            return Err(format!("`origin` names row {highest} of a batch of {} rows", self.rows));
        }
        Ok(UInt32Array::new(origin, None))
    }

    fn rejects(&self, rejects: Vec<RejectOut>, emits: &[Emit]) -> Result<Vec<Reject>, CallError> {
        const EMITTED: u8 = 1;
        const REJECTED: u8 = 2;
        if rejects.is_empty() {
            return Ok(Vec::new());
        }
        let mut seen = vec![0; self.rows];
        for emit in emits {
            match &emit.origin {
                None => seen.fill(EMITTED),
                Some(origin) => origin.values().iter().for_each(|row| seen[*row as usize] = EMITTED),
            }
        }
        let mut checked = Vec::with_capacity(rejects.len());
        for RejectOut { row, action, reason } in rejects {
            match seen.get_mut(row as usize) {
                None => return invalid(format!("it rejects row {row} of a batch of {} rows", self.rows)),
                Some(seen) if *seen == EMITTED => return invalid(format!("it both emits and rejects row {row}")),
                Some(seen) if *seen == REJECTED => return invalid(format!("it rejects row {row} twice")),
                Some(seen) => *seen = REJECTED,
            }
            let action = match action {
                ActionOut::DeadLetter => Action::DeadLetter,
                ActionOut::Retry(ms) => self.retry(ms)?,
                ActionOut::Stop => Action::Stop,
            };
            checked.push(Reject { row, action, reason });
        }
        Ok(checked)
    }

    /// A wait that whoever waits with the row can bear.
    fn retry(&self, ms: u32) -> Result<Action, CallError> {
        let (allowed, requested) = (self.limits.retry_ms_max, u64::from(ms));
        if requested > allowed {
            return Err(CallError::limit("retry_ms_max", "ms", allowed, 0, requested));
        }
        Ok(Action::Retry(ms))
    }

    fn metrics(&self, metrics: &[u8]) -> Result<Vec<f64>, CallError> {
        let declared = &self.plan.metrics;
        if metrics.is_empty() {
            return Ok(Vec::new());
        }
        let (values, rest) = metrics.as_chunks::<8>();
        if values.len() != declared.len() || !rest.is_empty() {
            let (bytes, metrics) = (metrics.len(), declared.len());
            return invalid(format!("`metrics` has {bytes} bytes, which is not 8 for each of {metrics} metrics"));
        }
        let values: Vec<f64> = values.iter().map(|value| f64::from_le_bytes(*value)).collect();
        for (metric, value) in declared.iter().zip(&values) {
            let backwards = metric.kind == MetricKind::Counter && *value < 0.0;
            if !value.is_finite() || backwards {
                return invalid(format!("metric `{}` is given {value}", metric.name));
            }
        }
        Ok(values)
    }

    fn tables(&self, tables: Vec<TableChangesOut>) -> Result<Vec<TableChanges>, CallError> {
        let declared = &self.plan.tables;
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        if tables.len() != declared.len() {
            return invalid(format!("it changes {} tables, the plan has {}", tables.len(), declared.len()));
        }
        let check = |(changes, table): (TableChangesOut, &wasmill_engine::operator::Table)| {
            let forget = changes.forget;
            let all = forget.is_empty() || forget.len() == self.keys;
            if !all || forget.iter().any(|byte| *byte > 1) {
                return Err(format!("`forget` is not a 0 or 1 for each of {} slots", self.keys));
            }
            let columns = match changes.columns.is_empty() {
                true => Vec::new(),
                false => columns(changes.columns, &table.columns, self.keys)?,
            };
            Ok(TableChanges { forget, columns })
        };
        let named = |pair: (TableChangesOut, &wasmill_engine::operator::Table)| {
            let name = &pair.1.name;
            check(pair).or_else(|reason| invalid(format!("table `{name}`: {reason}")))
        };
        tables.into_iter().zip(declared).map(named).collect()
    }
}

fn invalid<T>(reason: impl Into<String>) -> Result<T, CallError> {
    Err(CallError::Invalid(reason.into()))
}

fn columns_bytes(columns: &[ColumnOut]) -> u64 {
    columns.iter().map(|column| (column.data.len() + column.offsets.len() + column.present.len()) as u64).sum()
}

fn columns(columns: Vec<ColumnOut>, fields: &[Field], rows: usize) -> Result<Vec<ArrayRef>, String> {
    if columns.len() != fields.len() {
        return Err(format!("{} columns, the plan has {}", columns.len(), fields.len()));
    }
    let named = |(column, field): (ColumnOut, &Field)| {
        array(column, field, rows).map_err(|reason| format!("column `{field}`: {reason}"))
    };
    columns.into_iter().zip(fields).map(named).collect()
}

/// A column as an array of the field's kind.
fn array(column: ColumnOut, field: &Field, rows: usize) -> Result<ArrayRef, String> {
    let nulls = nulls(&column.present, field, rows)?;
    if field.kind.is_variable() {
        return text(column, field.kind, rows, nulls);
    }
    if !column.offsets.is_empty() {
        return Err(format!("`offsets` has {} bytes, this kind has none", column.offsets.len()));
    }
    let width = if field.kind == Kind::Boolean { 1 } else { 8 };
    if column.data.len() != rows * width {
        return Err(format!("`data` has {} bytes, expected {} for {rows} rows", column.data.len(), rows * width));
    }
    if field.kind != Kind::Boolean {
        return Ok(fixed(field.kind, aligned::<i64>(column.data), rows, nulls));
    }
    if let Some(row) = column.data.iter().position(|byte| *byte > 1) {
        return Err(format!("`data` has {} in row {row}, a boolean is 0 or 1", column.data[row]));
    }
    let bits = BooleanBuffer::collect_bool(rows, |row| column.data[row] == 1);
    Ok(Arc::new(BooleanArray::new(bits, nulls)))
}

fn nulls(present: &[u8], field: &Field, rows: usize) -> Result<Option<NullBuffer>, String> {
    if present.is_empty() {
        return Ok(None);
    }
    if !field.nullable {
        return Err(format!("`present` has {} bytes, but the field is not nullable", present.len()));
    }
    if present.len() != rows {
        return Err(format!("`present` has {} bytes, expected none or {rows}", present.len()));
    }
    if let Some(row) = present.iter().position(|byte| *byte > 1) {
        return Err(format!("`present` has {} in row {row}, expected 0 or 1", present[row]));
    }
    let nulls = NullBuffer::new(BooleanBuffer::collect_bool(rows, |row| present[row] == 1));
    Ok(Some(nulls).filter(|nulls| nulls.null_count() > 0))
}

fn text(column: ColumnOut, kind: Kind, rows: usize, nulls: Option<NullBuffer>) -> Result<ArrayRef, String> {
    let (bytes, expected) = (column.offsets.len(), (rows + 1) * 4);
    if bytes != expected {
        return Err(format!("`offsets` has {bytes} bytes, expected {expected} for {rows} rows"));
    }
    // As i32, which Arrow wants; what is past its range is negative and found out of order.
    let offsets: ScalarBuffer<i32> = numbers(column.offsets);
    let unsigned = |offset: i32| offset.cast_unsigned();
    let rise = offsets.windows(2).fold(true, |rise, ends| rise & (ends[0] <= ends[1]));
    if !rise {
        let row = offsets.windows(2).position(|ends| ends[0] > ends[1]).unwrap_or(0);
        let (start, end) = (unsigned(offsets[row]), unsigned(offsets[row + 1]));
        return Err(format!("`offsets` fall in row {row}: from {start} to {end}"));
    }
    let (first, last) = (unsigned(offsets[0]), unsigned(offsets[rows]));
    if first != 0 || last as usize != column.data.len() {
        let data = column.data.len();
        return Err(format!("`offsets` go from {first} to {last}, expected 0 to {data}, the length of `data`"));
    }
    let offsets = OffsetBuffer::new(offsets);
    if kind == Kind::Bytes {
        return Ok(Arc::new(BinaryArray::new(offsets, Buffer::from_vec(column.data), nulls)));
    }
    let data = Buffer::from_vec(column.data);
    let texts = StringArray::try_new(offsets.clone(), data.clone(), nulls).map_err(|_| not_text(&data, &offsets))?;
    if kind == Kind::Json {
        json(&texts)?;
    }
    Ok(Arc::new(texts))
}

/// Why bytes with these offsets are not text.
fn not_text(data: &[u8], offsets: &[i32]) -> String {
    match std::str::from_utf8(data) {
        Ok(_) => "`offsets` cut a character of UTF-8 in two".into(),
        Err(error) => {
            let row = offsets.partition_point(|offset| offset.as_usize() <= error.valid_up_to()) - 1;
            format!("the value in row {row} is not UTF-8")
        }
    }
}

fn json(texts: &StringArray) -> Result<(), String> {
    for (row, text) in texts.iter().enumerate() {
        let Some(text) = text else { continue };
        if let Err(reason) = serde_json::from_str::<IgnoredAny>(text) {
            return Err(format!("the value in row {row} is not JSON: {reason}"));
        }
        if text.contains('\n') {
            return Err(format!("the JSON in row {row} goes over several lines: write it without line feeds"));
        }
    }
    Ok(())
}

/// A buffer as numbers, without a copy where the allocator has aligned it, as they do.
fn numbers<T: ArrowNativeType>(bytes: Vec<u8>) -> ScalarBuffer<T> {
    let count = bytes.len() / size_of::<T>();
    ScalarBuffer::new(aligned::<T>(bytes), 0, count)
}

fn aligned<T>(bytes: Vec<u8>) -> Buffer {
    let aligned = bytes.as_ptr().addr().is_multiple_of(align_of::<T>());
    if aligned { Buffer::from_vec(bytes) } else { Buffer::from_slice_ref(&bytes) }
}
