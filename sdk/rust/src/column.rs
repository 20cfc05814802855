//! The columns of a call: as they come and are made, and as the state of keys that may be changed in place.
//!
//! Their layout is that of the contract's records (`record` has the test). Neighbours: [`crate::abi`] has
//! lists and buffers, [`crate::row`] and [`crate::state`] read and fill columns.

use crate::abi::{Buffer, List, Plain, bytes_of};

/// `data.rows`, passed as two arguments.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// Number of rows.
    pub count: u32,
    /// One column for each of the plan's reads.
    pub columns: List<'a, Column<'a>>,
}

/// `data.column` as it is read, or as it is returned.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Column<'a> {
    /// The values.
    pub data: List<'a, u8>,
    /// Where values of differing length begin and end.
    pub offsets: List<'a, u8>,
    /// Which rows have a value; empty = all.
    pub present: List<'a, u8>,
}

impl<'a> Column<'a> {
    /// A column of values of one width without nulls.
    #[must_use]
    pub fn fixed<T: Plain>(values: &'a [T]) -> Self {
        Self { data: bytes_of(values).into(), ..Self::default() }
    }

    /// A column of values of differing length without nulls: the values back to back, and where they begin and end.
    #[must_use]
    pub fn spans(data: &'a [u8], offsets: &'a [u32]) -> Self {
        Self { data: data.into(), offsets: bytes_of(offsets).into(), ..Self::default() }
    }
}

/// `data.column` of a state table, which the call may change in place.
#[repr(C)]
#[derive(Default)]
pub struct StateColumn<'a> {
    /// The values.
    pub data: Buffer<'a>,
    /// Where values of differing length begin and end.
    pub offsets: List<'a, u8>,
    /// Which keys have a value; empty = all.
    pub present: Buffer<'a>,
}

/// `keyed.table-rows`.
#[repr(C)]
#[derive(Default)]
pub struct TableRows<'a> {
    /// Which keys are new; empty = none.
    pub fresh: List<'a, u8>,
    /// One column for each of the table's.
    pub columns: List<'a, StateColumn<'a>>,
}
