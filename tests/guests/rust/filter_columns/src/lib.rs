//! Nexmark q2 with loops over columns: what the same job costs without rows.

use wasmill::effects::{Effects, Emit};
use wasmill::operator::{Call, Transform};
use wasmill::plan::{Field, Plan, Port, Read, Refusal};

struct Filter;

impl Transform for Filter {
    fn open(config: &str, _: &[Field]) -> Result<(Self, Plan), Refusal> {
        wasmill::config::parse_none(config)?;
        let field = Field { name: "auction".into(), kind: "int64".into(), nullable: false };
        let port = Port { name: "main".into(), carries: None, makes: vec![] };
        Ok((Self, Plan { reads: vec![Read { field, fallback: None }], ports: vec![port], ..Plan::default() }))
    }

    fn process<'a>(&self, call: Call<'a>) -> Effects<'a> {
        let auctions: &[i64] = call.rows.columns.get()[0].numbers();
        let origin = call.buffers.numbers(auctions.len());
        let mut len = 0;
        for (row, auction) in (0..).zip(auctions) {
            if auction % 123 == 0 {
                origin[len] = row;
                len += 1;
            }
        }
        let emits =
            if len == 0 { vec![] } else { vec![Emit { port: 0, origin: Some(&origin[..len]), columns: vec![] }] };
        Effects { emits, ..Effects::default() }
    }
}

wasmill::export!(transform Filter);
