//! Nexmark q1 with loops over columns: what the same job costs without rows.

use wasmill::column::Column;
use wasmill::effects::{Effects, Emit};
use wasmill::operator::{Call, Transform};
use wasmill::plan::{Field, Plan, Port, Read, Refusal};

struct Convert;

impl Transform for Convert {
    fn open(config: &str, _: &[Field]) -> Result<(Self, Plan), Refusal> {
        wasmill::config::parse_none(config)?;
        let price = Field { name: "price".into(), kind: "int64".into(), nullable: false };
        let port = Port { name: "main".into(), carries: None, makes: vec![price.clone()] };
        let reads = vec![Read { field: price, fallback: None }];
        Ok((Self, Plan { reads, ports: vec![port], ..Plan::default() }))
    }

    fn process<'a>(&self, call: Call<'a>) -> Effects<'a> {
        let prices: &[i64] = call.rows.columns.get()[0].numbers();
        let euros = call.buffers.numbers(prices.len());
        for (euros, price) in euros.iter_mut().zip(prices) {
            *euros = price * 908 / 1000;
        }
        let emit = Emit { port: 0, origin: None, columns: vec![Column::fixed(euros)] };
        Effects { emits: vec![emit], ..Effects::default() }
    }
}

wasmill::export!(transform Convert);
