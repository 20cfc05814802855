//! The columns of a call: as they come, as the state of keys that may be changed in place, and as they are made.
//!
//! The layout of what comes is that of the contract's records (`record` has the test). Neighbours: [`crate::abi`] has
//! lists and buffers, [`crate::row`] and [`crate::state`] read and fill columns.

use crate::abi::{Buffer, List, bytes_of};

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
#[derive(Clone, Copy, Default)]
pub struct Column<'a> {
    /// The values.
    pub data: List<'a, u8>,
    /// Where values of differing length begin and end.
    pub offsets: List<'a, u8>,
    /// Which rows have a value; empty = all.
    pub present: List<'a, u8>,
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

/// Values that the operator owns, or has changed where they lie.
#[derive(Debug, PartialEq)]
pub enum Values<'a> {
    /// 8 bytes each.
    Int64(Vec<i64>),
    /// 8 bytes each.
    Float64(Vec<f64>),
    /// A byte each, or back to back.
    Bytes(Vec<u8>),
    /// In the call's arguments.
    Kept(&'a [u8]),
}

impl Values<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Int64(values) => bytes_of(values),
            Self::Float64(values) => bytes_of(values),
            Self::Bytes(values) => values,
            Self::Kept(values) => values,
        }
    }
}

/// A column of an answer.
#[derive(Debug, PartialEq)]
pub struct MadeColumn<'a> {
    /// The values.
    pub data: Values<'a>,
    /// Where values of differing length begin and end; else empty.
    pub offsets: Vec<u32>,
    /// Which rows have a value; empty = all.
    pub present: Values<'a>,
}

impl<'a> MadeColumn<'a> {
    /// A column of fixed width without nulls.
    #[must_use]
    pub const fn fixed(data: Values<'a>) -> Self {
        Self { data, offsets: Vec::new(), present: Values::Bytes(Vec::new()) }
    }

    /// As it crosses.
    pub(crate) fn lower(&self) -> Column<'_> {
        let offsets = bytes_of(&self.offsets).into();
        Column { data: self.data.bytes().into(), offsets, present: self.present.bytes().into() }
    }
}
