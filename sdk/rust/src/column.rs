//! The columns of a call: as they come and are made, and as the state of keys that may be changed in place.
//!
//! Their layout is that of the contract's records (`record` has the test). Neighbours: [`crate::abi`] has
//! lists and buffers, [`crate::row`] and [`crate::state`] read and fill columns.

use crate::abi::{Buffer, List, Plain, bytes_of, text};

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

/// The kinds of values that the contract names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A byte a value, 0 or 1.
    Boolean,
    /// 64-bit integers.
    Int64,
    /// 64-bit floats.
    Float64,
    /// UTF-8 text.
    Utf8,
    /// Bytes.
    Bytes,
    /// Microseconds since 1970-01-01 UTC.
    Timestamp,
    /// JSON text of any value.
    Json,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Boolean, Self::Int64, Self::Float64, Self::Utf8, Self::Bytes, Self::Timestamp, Self::Json];

    /// The contract's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Utf8 => "utf8",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp",
            Self::Json => "json",
        }
    }

    /// The kind of that name; none for one that is newer than this SDK.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether values differ in length.
    #[must_use]
    pub const fn is_variable(self) -> bool {
        matches!(self, Self::Utf8 | Self::Bytes | Self::Json)
    }
}

impl<'a> Column<'a> {
    /// The values of a column of one width: `i64` for int64 and timestamp, `f64` for float64, `u8` for boolean.
    ///
    /// # Panics
    /// When the column has values of another width.
    #[must_use]
    pub fn numbers<T: Plain>(&self) -> &'a [T] {
        self.data.numbers()
    }

    /// The value in that row of a column of values of differing length.
    #[must_use]
    #[inline]
    pub fn bytes(&self, row: usize) -> &'a [u8] {
        let ends: &[u32] = self.offsets.numbers();
        &self.data.get()[ends[row] as usize..ends[row + 1] as usize]
    }

    /// The same of a column of text or JSON.
    #[must_use]
    #[inline]
    pub fn text(&self, row: usize) -> &'a str {
        text(self.bytes(row))
    }

    /// Whether there is a value in that row.
    #[must_use]
    #[inline]
    pub fn is_present(&self, row: usize) -> bool {
        let present = self.present.get();
        present.is_empty() || present[row] != 0
    }

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
    /// One column for each of the table's. Not public: a copy of the list would hand out a column twice.
    pub(crate) columns: List<'a, StateColumn<'a>>,
}

impl<'a> TableRows<'a> {
    /// The state of the keys of a call.
    #[must_use]
    pub fn new(fresh: &'a [u8], columns: &'a mut [StateColumn<'a>]) -> Self {
        Self { fresh: fresh.into(), columns: columns.into() }
    }

    /// The columns, in the order of the table.
    pub fn into_columns(self) -> impl Iterator<Item = StateColumn<'a>> {
        self.columns.take_each()
    }
}
