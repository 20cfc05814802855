//! An opened guest as the engine sees it: an operator that is as good as new after whatever went wrong.
//!
//! Always true: the instance is there, or the next call makes one; every instance has answered `open` with the same
//! plan. Neighbours: [`crate::lower`] and [`crate::check`] are the way in and out of a call.

use arrow_buffer::ToByteSlice;
use wasmill_engine::operator::{Call, CallError, Context, Effects, Keys, Operator, OperatorPlan, Refusal};
use wasmill_engine::schema::Field;

use crate::check::Check;
use crate::contract::{ColumnIn, ContextIn, FieldIn, PlanOut, RowsIn, TableRowsIn};
use crate::instance::{Code, Instance};
use crate::lower::{Placed, Scratch, bytes};
use crate::plan;

/// An opened guest.
pub(crate) struct Opened {
    code: Code,
    config: String,
    input: Vec<Field>,
    declared: PlanOut,
    plan: OperatorPlan,
    instance: Option<Instance>,
    scratch: Scratch,
}

impl Opened {
    /// Makes the first instance and asks it for its plan.
    pub(crate) fn new(code: Code, config: String, input: &[Field]) -> Result<Self, Refusal> {
        let answer = code.open(&config, &lend(input)).map_err(|error| {
            let frames = match &error {
                CallError::Trap { backtrace, .. } => format!("\n{backtrace}"),
                _ => String::new(),
            };
            Refusal::new(format!("the operator cannot be opened: {error}{frames}"))
        })?;
        let (instance, declared) = answer.map_err(|refusal| Refusal {
            message: refusal.message,
            config_path: refusal.config_path,
            field: refusal.field,
        })?;
        let plan = plan::check(declared.clone(), code.kind, &code.limits)?;
        let scratch = Scratch::default();
        Ok(Self { code, config, input: input.to_vec(), declared, plan, instance: Some(instance), scratch })
    }

    pub(crate) fn plan(&self) -> &OperatorPlan {
        &self.plan
    }

    /// The instance, a new one if the last was thrown away.
    fn instance(&mut self) -> Result<Instance, CallError> {
        if let Some(instance) = self.instance.take() {
            return Ok(instance);
        }
        match self.code.open(&self.config, &lend(&self.input))? {
            Ok((instance, declared)) if declared == self.declared => Ok(instance),
            Ok(_) => Err(CallError::Invalid(
                "`open` answered another plan than the first time, with the same arguments".into(),
            )),
            Err(refusal) => {
                let message = refusal.message;
                Err(CallError::Invalid(format!("`open` refused what it accepted the first time: {message}")))
            }
        }
    }
}

impl Operator for Opened {
    fn process(&mut self, call: &Call<'_>) -> Result<Effects, CallError> {
        assert_eq!(call.columns.len(), self.plan.reads.len(), "a call has the columns that the plan reads");
        let mut instance = self.instance()?;
        self.scratch.clear();
        let placed = self.scratch.place(call.columns);
        let tables: Vec<Vec<Placed>> = call
            .keys
            .map_or(&[][..], |keys| keys.tables)
            .iter()
            .map(|table| self.scratch.place(&table.columns))
            .collect();
        let columns = self.scratch.lend(&placed, call.columns);
        let input_bytes = bytes(&columns);
        let mut check = Check { plan: &self.plan, limits: &self.code.limits, rows: call.rows, keys: 0, input_bytes };
        let result = match &call.keys {
            None => transform(&mut instance, call, &columns, &check),
            Some(keys) => {
                check.keys = keys.count as usize;
                let lent: Vec<Vec<ColumnIn<'_>>> = tables
                    .iter()
                    .zip(keys.tables)
                    .map(|(placed, table)| self.scratch.lend(placed, &table.columns))
                    .collect();
                check.input_bytes += lent.iter().map(|columns| bytes(columns)).sum::<u64>();
                keyed(&mut instance, call, &columns, keys, &lent, &check)
            }
        };
        let sound = matches!(result, Ok(_) | Err(CallError::Fault { .. }));
        if sound && !instance.is_worn() {
            self.instance = Some(instance);
        }
        result
    }
}

fn transform(
    instance: &mut Instance,
    call: &Call<'_>,
    columns: &[ColumnIn<'_>],
    check: &Check<'_>,
) -> Result<Effects, CallError> {
    let (answer,) = instance.transform(check.input_bytes, (context(&call.context), rows(call.rows, columns)))?;
    match answer {
        Ok(effects) => check.effects(effects),
        Err(fault) => Err(check.fault(fault)),
    }
}

fn keyed(
    instance: &mut Instance,
    call: &Call<'_>,
    columns: &[ColumnIn<'_>],
    keys: &Keys<'_>,
    lent: &[Vec<ColumnIn<'_>>],
    check: &Check<'_>,
) -> Result<Effects, CallError> {
    let tables: Vec<TableRowsIn<'_>> =
        keys.tables.iter().zip(lent).map(|(table, columns)| TableRowsIn { fresh: &table.fresh, columns }).collect();
    let slots = keys.slots.to_byte_slice();
    let call = (context(&call.context), rows(call.rows, columns), slots, keys.count, &*tables);
    let (answer,) = instance.keyed(check.input_bytes, call)?;
    match answer {
        Ok(step) => check.step(step),
        Err(fault) => Err(check.fault(fault)),
    }
}

fn context(context: &Context) -> ContextIn {
    let Context { batch, attempt, watermark, now, seed } = *context;
    ContextIn { batch, attempt, watermark, now, seed }
}

fn rows<'a>(count: usize, columns: &'a [ColumnIn<'a>]) -> RowsIn<'a> {
    RowsIn { count: u32::try_from(count).expect("a batch has fewer than 2^32 rows"), columns }
}

fn lend(input: &[Field]) -> Vec<FieldIn<'_>> {
    input.iter().map(|field| FieldIn { name: &field.name, kind: field.kind.name(), nullable: field.nullable }).collect()
}
