//! Guests assembled in the test itself: a few lines of WebAssembly text and answers laid out by hand, so that they can
//! be anything, also what no SDK would ever return. No guest toolchain is needed.
//!
//! An answer is an image of the guest's memory: records are words (a discriminant takes a whole one), a list is where
//! its elements are and how many. Neighbours: `hostile.rs` and the boundary benchmark use it.

use std::fmt::Write as _;

use wasmill_engine::operator::OperatorKind;

/// Address of the image; what is below stays zero.
const BASE: u32 = 1_024;

/// What lies in a guest's memory from the start.
#[derive(Default)]
pub struct Image(Vec<u8>);

/// A column of an answer.
pub type Column = [u32; 6];

impl Image {
    /// Puts bytes there and says where.
    pub fn put(&mut self, bytes: &[u8]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let at = BASE + u32::try_from(self.0.len()).expect("an image is small");
        self.0.extend_from_slice(bytes);
        at
    }

    /// A `list<u8>` or `string`.
    pub fn bytes(&mut self, bytes: &[u8]) -> [u32; 2] {
        [self.put(bytes), u32::try_from(bytes.len()).expect("an image is small")]
    }

    /// A list of records.
    pub fn records<const N: usize>(&mut self, records: &[[u32; N]]) -> [u32; 2] {
        let words: Vec<u8> = records.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        [self.put(&words), u32::try_from(records.len()).expect("an image is small")]
    }

    /// `data.field`
    pub fn field(&mut self, name: &str, kind: &str, nullable: bool) -> [u32; 5] {
        join([&self.bytes(name.as_bytes()), &self.bytes(kind.as_bytes()), &[u32::from(nullable)]])
    }

    /// `data.read` without fallback.
    pub fn read(&mut self, name: &str, kind: &str) -> [u32; 8] {
        join([&self.bytes(name.as_bytes()), &self.bytes(kind.as_bytes()), &[0, 0, 0, 0]])
    }

    /// `data.port` that carries everything.
    pub fn port(&mut self, name: &str, makes: &[[u32; 5]]) -> [u32; 7] {
        join([&self.bytes(name.as_bytes()), &[0, 0, 0], &self.records(makes)])
    }

    /// `data.table` without time to live.
    pub fn table(&mut self, name: &str, columns: &[[u32; 5]]) -> [u32; 10] {
        join([&self.bytes(name.as_bytes()), &[1], &self.records(columns), &[0, 0, 0, 0, 0]])
    }

    /// A successful answer of `open`.
    pub fn plan(&mut self, reads: &[[u32; 8]], ports: &[[u32; 7]], tables: &[[u32; 10]]) -> u32 {
        let plan: [u32; 9] = join([&[0], &self.records(reads), &self.records(ports), &self.records(tables), &[0, 0]]);
        self.records(&[plan])[0]
    }

    /// `data.column`
    pub fn column(&mut self, data: &[u8], offsets: &[u32], present: &[u8]) -> Column {
        let offsets: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        join([&self.bytes(data), &self.bytes(&offsets), &self.bytes(present)])
    }

    /// `data.emit`
    pub fn emit(&mut self, port: u32, origin: Option<&[u32]>, columns: &[Column]) -> [u32; 6] {
        let origin = match origin {
            None => [0, 0, 0],
            Some(rows) => {
                let rows: Vec<u8> = rows.iter().flat_map(|row| row.to_le_bytes()).collect();
                join([&[1], &self.bytes(&rows)])
            }
        };
        join([&[port], &origin, &self.records(columns)])
    }

    /// `data.reject` to the dead letters.
    pub fn reject(&mut self, row: u32, reason: &str) -> [u32; 5] {
        join([&[row, 0, 0], &self.bytes(reason.as_bytes())])
    }

    /// A successful answer of `transform.process`.
    pub fn effects(&mut self, emits: &[[u32; 6]], rejects: &[[u32; 5]], metrics: &[u8]) -> u32 {
        let effects: [u32; 7] = join([&[0], &self.records(emits), &self.records(rejects), &self.bytes(metrics)]);
        self.records(&[effects])[0]
    }

    /// A successful answer of `keyed.process` that emits nothing.
    pub fn step(&mut self, tables: &[[u32; 4]], timers: &[u8]) -> u32 {
        let step: [u32; 11] = join([&[0; 7], &self.records(tables), &self.bytes(timers)]);
        self.records(&[step])[0]
    }

    /// A failed answer of `process`.
    pub fn fault(&mut self, message: &str, row: Option<u32>) -> u32 {
        let fault: [u32; 5] =
            join([&[1], &self.bytes(message.as_bytes()), &[u32::from(row.is_some()), row.unwrap_or(0)]]);
        self.records(&[fault])[0]
    }

    /// The guest with this memory, which answers `open` with what is at `plan` and `process` with what the
    /// instructions of `body` leave: the address of an answer. `extra` are further definitions.
    pub fn guest(&self, kind: OperatorKind, plan: u32, body: &str, extra: &str) -> Vec<u8> {
        let interface = format!("wasmill:operator/{kind}@0.1.0");
        let keyed = if kind == OperatorKind::Keyed { "(param $slots i32) (param i32 i32 i32 i32)" } else { "" };
        let timers = if kind == OperatorKind::Keyed {
            format!(
                r#"(func (export "{interface}#on-timers")
                  (param i64 i32 i64 i64 i64 i32 i32 i32 i32 i32) (result i32) unreachable)"#
            )
        } else {
            String::new()
        };
        let heap = (BASE as usize + self.0.len()).next_multiple_of(65_536);
        let pages = heap / 65_536 + 8;
        let image = self.0.iter().fold(String::new(), |mut text, byte| {
            write!(text, "\\{byte:02x}").expect("writing to a string cannot fail");
            text
        });
        let text = format!(
            r#"(module $guest
              (import "wasmill:operator/log@0.1.0" "write" (func $log (param i32 i32 i32)))
              (memory (export "memory") {pages})
              (global $free (mut i32) (i32.const {heap}))
              (func $realloc (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32) (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get $at) (local.get $size)))
                (block $fits (loop $more
                  (br_if $fits (i32.le_u (global.get $free) (i32.shl (memory.size) (i32.const 16))))
                  (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))
                  unreachable))
                (local.get $at))
              (func (export "{interface}#open") (param i32 i32 i32 i32) (result i32) (i32.const {plan}))
              (func $process (export "{interface}#process") (param $batch i64) (param $attempt i32) (param i64 i64 i64)
                (param $count i32) (param $columns i32) (param i32) {keyed} (result i32)
                {body})
              (func (export "cabi_post_{interface}#process") (param i32) (global.set $free (i32.const {heap})))
              {timers}
              {extra}
              (data (i32.const {BASE}) "{image}"))"#
        );
        wat::parse_str(text).expect("the text that the test gives is WebAssembly")
    }
}

fn join<const N: usize, const M: usize>(parts: [&[u32]; M]) -> [u32; N] {
    parts.concat().try_into().expect("the parts make up the record")
}
