//! Answers that break the contract, each with what the error must say of it.

use wasmill_tests::assembled::Image;

/// An answer and what the error must say of it.
pub(crate) type Lie = (&'static str, fn(&mut Image) -> u32);

/// An answer that emits one row to a port with one column.
fn one(image: &mut Image, port: u32, data: &[u8], offsets: &[u32], present: &[u8]) -> u32 {
    let column = image.column(data, offsets, present);
    let emit = image.emit(port, Some(&[0]), &[column]);
    image.effects(&[emit], &[], &[])
}

/// All of them; the batch has 1,000 rows, the ports are those of the guest in `hostile.rs`.
pub(crate) const LIES: &[Lie] = &[
    ("port `int64`: column `x: int64`: `data` has 7 bytes, expected 8", |i| one(i, 2, &[0; 7], &[], &[])),
    ("`data` has 16 bytes, expected 8 for 1 rows", |i| one(i, 2, &[0; 16], &[], &[])),
    ("`offsets` has 8 bytes, this kind has none", |i| one(i, 2, &[0; 8], &[0, 8], &[])),
    ("`present` has 1 bytes, but the field is not nullable", |i| one(i, 2, &[0; 8], &[], &[1])),
    ("column `x: utf8?`: `present` has 2 bytes, expected none or 1", |i| one(i, 1, b"", &[0, 0], &[1, 1])),
    ("`present` has 7 in row 0, expected 0 or 1", |i| one(i, 1, b"", &[0, 0], &[7])),
    ("`data` has 2 in row 0, a boolean is 0 or 1", |i| one(i, 3, &[2], &[], &[])),
    ("`offsets` has 4 bytes, expected 8", |i| one(i, 1, b"abc", &[0], &[])),
    ("`offsets` has 0 bytes, expected 8", |i| one(i, 1, b"abc", &[], &[])),
    ("`offsets` go from 0 to 4, expected 0 to 3", |i| one(i, 1, b"abc", &[0, 4], &[])),
    ("`offsets` go from 0 to 2, expected 0 to 3", |i| one(i, 1, b"abc", &[0, 2], &[])),
    ("`offsets` go from 1 to 3, expected 0 to 3", |i| one(i, 1, b"abc", &[1, 3], &[])),
    ("`offsets` fall in row 0: from 0 to 4294967295", |i| one(i, 5, b"abc", &[0, u32::MAX], &[])),
    ("`offsets` fall in row 1: from 3 to 1", |i| {
        let column = i.column(b"abc", &[0, 3, 1, 3], &[]);
        let emit = i.emit(1, Some(&[0, 1, 2]), &[column]);
        i.effects(&[emit], &[], &[])
    }),
    ("the value in row 1 is not UTF-8", |i| {
        let column = i.column(b"ab\xff", &[0, 2, 3], &[]);
        let emit = i.emit(1, Some(&[0, 1]), &[column]);
        i.effects(&[emit], &[], &[])
    }),
    ("`offsets` cut a character of UTF-8 in two", |i| {
        let column = i.column("é".as_bytes(), &[0, 1, 2], &[]);
        let emit = i.emit(1, Some(&[0, 1]), &[column]);
        i.effects(&[emit], &[], &[])
    }),
    ("the value in row 0 is not JSON", |i| one(i, 4, b"{", &[0, 1], &[])),
    ("the JSON in row 0 goes over several lines", |i| one(i, 4, b"[\n]", &[0, 3], &[])),
    ("port `main`: `origin` names row 1000 of a batch of 1000 rows", |i| {
        let emit = i.emit(0, Some(&[0, 1_000]), &[]);
        i.effects(&[emit], &[], &[])
    }),
    ("`origin` has 3 bytes", |i| {
        let mut emit = i.emit(0, Some(&[0]), &[]);
        emit[3] = 3;
        i.effects(&[emit], &[], &[])
    }),
    ("port `utf8`: 0 columns, the plan has 1", |i| {
        let emit = i.emit(1, Some(&[0]), &[]);
        i.effects(&[emit], &[], &[])
    }),
    ("it emits to port 6, the plan has 6", |i| {
        let emit = i.emit(6, None, &[]);
        i.effects(&[emit], &[], &[])
    }),
    ("it emits to port `main` twice", |i| {
        let emit = i.emit(0, None, &[]);
        i.effects(&[emit, emit], &[], &[])
    }),
    ("it rejects row 1000 of a batch of 1000 rows", |i| {
        let reject = i.reject(1_000, "bad");
        i.effects(&[], &[reject], &[])
    }),
    ("it rejects row 7 twice", |i| {
        let reject = i.reject(7, "bad");
        i.effects(&[], &[reject, reject], &[])
    }),
    ("it both emits and rejects row 7", |i| {
        let (emit, reject) = (i.emit(0, Some(&[6, 7]), &[]), i.reject(7, "bad"));
        i.effects(&[emit], &[reject], &[])
    }),
    ("it both emits and rejects row 8", |i| {
        let (emit, reject) = (i.emit(0, None, &[]), i.reject(8, "bad"));
        i.effects(&[emit], &[reject], &[])
    }),
    ("`metrics` has 8 bytes, which is not 8 for each of 0 metrics", |i| i.effects(&[], &[], &[0; 8])),
    ("its fault blames row 1000 of a batch of 1000 rows: broken", |i| i.fault("broken", Some(1_000))),
    ("out of bounds", |i| {
        let mut emit = i.emit(0, Some(&[0]), &[]);
        emit[2] = 0xffff_0000;
        i.effects(&[emit], &[], &[])
    }),
    ("utf-8", |i| {
        let at = i.bytes(b"\xff\xfe");
        i.effects(&[], &[[0, 0, 0, at[0], at[1]]], &[])
    }),
    ("discriminant", |i| {
        let mut reject = i.reject(0, "bad");
        reject[1] = 9;
        i.effects(&[], &[reject], &[])
    }),
];
