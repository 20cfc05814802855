//! Running count, sum and average of the prices of a key with loops over columns: what the same job costs without rows.

use wasmill::column::Column;
use wasmill::effects::{Effects, Emit, Step};
use wasmill::operator::{Call, Keyed, Keys};
use wasmill::plan::{Field, Plan, Port, Read, Refusal, Table};

struct Total;

impl Keyed for Total {
    fn open(config: &str, _: &[Field]) -> Result<(Self, Plan), Refusal> {
        wasmill::config::parse_none(config)?;
        let field =
            |name: &'static str, kind: &'static str| Field { name: name.into(), kind: kind.into(), nullable: false };
        let makes = vec![field("count", "int64"), field("sum", "int64"), field("avg", "float64")];
        let columns = vec![field("n", "int64"), field("sum", "int64")];
        let plan = Plan {
            reads: vec![Read { field: field("price", "int64"), fallback: None }],
            ports: vec![Port { name: "main".into(), carries: None, makes }],
            tables: vec![Table { name: "totals".into(), version: 1, columns, ttl_ms: None }],
            ..Plan::default()
        };
        Ok((Self, plan))
    }

    fn process<'a>(&self, call: Call<'a>, keys: Keys<'a>) -> Step<'a> {
        let prices: &[i64] = call.rows.columns.get()[0].numbers();
        let mut state = keys.table.into_columns();
        let mut column = || state.next().expect("the table has two columns").data.into_numbers::<i64>();
        let (n, sum) = (column(), column());
        let (counts, sums) = (call.buffers.numbers(prices.len()), call.buffers.numbers(prices.len()));
        let averages = call.buffers.numbers(prices.len());
        for (row, (price, slot)) in prices.iter().zip(keys.slots).enumerate() {
            let slot = *slot as usize;
            n[slot] += 1;
            sum[slot] += price;
            counts[row] = n[slot];
            sums[row] = sum[slot];
            averages[row] = sum[slot] as f64 / n[slot] as f64;
        }
        let columns = vec![Column::fixed(counts), Column::fixed(sums), Column::fixed(averages)];
        let effects = Effects { emits: vec![Emit { port: 0, origin: None, columns }], ..Effects::default() };
        Step { effects, forget: vec![], state: vec![Column::fixed(n), Column::fixed(sum)] }
    }
}

wasmill::export!(keyed Total);
