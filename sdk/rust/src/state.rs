//! State of keys: plain structs, loaded from columns for a row and stored after it.
//!
//! Numbers are changed where the host put them. Text and bytes are taken apart once a call; per row their buffers are
//! reused, not allocated. A row that is refused is not stored, which is all that rolling back takes. Neighbours: the
//! derive `State` puts cells together to structs, [`crate::operator`] loads and stores.

use crate::abi::{Buffers, Plain, text};
use crate::column::{Column, StateColumn};
use crate::plan::Table;
use crate::row::{Json, SpanWriter, Spans, Timestamp};

/// The state of a key: `#[derive(State, Default)]`. A key that is new has the `Default`.
///
/// ```
/// use wasmill::prelude::*;
/// use wasmill::state::State as _;
///
/// /// Forgotten an hour after its last change.
/// #[derive(State, Default)]
/// #[state(version = 2, ttl = "1h")]
/// struct Stats {
///     n: i64,
///     last: Option<String>,
/// }
/// let table = Stats::table();
/// assert_eq!((&*table.name, table.version, table.ttl_ms), ("stats", 2, Some(3_600_000)));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the state of a key",
    note = "put `#[derive(State, Default)]` on a struct with named fields"
)]
pub trait State: Default {
    /// How the host keeps it.
    fn table() -> Table;
    /// The columns of a call's keys.
    type Cells<'a>;
    /// The columns, one entry a key.
    fn cells<'a>(columns: impl Iterator<Item = StateColumn<'a>>, keys: usize) -> Self::Cells<'a>;
    /// Makes this the state of that key.
    fn load(&mut self, cells: &Self::Cells<'_>, key: usize);
    /// Makes this what the key's state is. May leave anything in `self`.
    fn store(&mut self, cells: &mut Self::Cells<'_>, key: usize);
    /// The columns as they are now.
    fn changed<'a>(cells: Self::Cells<'a>, buffers: &'a Buffers) -> Vec<Column<'a>>;
}

/// A type that a field of a state can have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a state",
    label = "no kind of column has values of this type",
    note = "fields are `bool`, `i64`, `f64`, `String`, `Vec<u8>`, `Timestamp`, `Json`, or an `Option` of one of these; \
            `#[derive(Row)]` has the borrowed ones"
)]
pub trait Cell: Sized {
    /// The contract's name of the kind.
    const KIND: &'static str;
    /// Whether it may be null.
    const NULLABLE: bool = false;
    /// The values of a call's keys.
    type Column<'a>;
    /// The column, `keys` long.
    fn column(column: StateColumn<'_>, keys: usize) -> Self::Column<'_>;
    /// Makes this the value of that key.
    fn load(&mut self, column: &Self::Column<'_>, key: usize);
    /// Makes this the key's value. May leave anything in `self`.
    fn store(&mut self, column: &mut Self::Column<'_>, key: usize);
    /// The column as it is now.
    fn changed<'a>(column: Self::Column<'a>, buffers: &'a Buffers) -> Column<'a>;
}

fn numbers<T: Plain>(column: StateColumn<'_>, keys: usize) -> &mut [T] {
    let numbers = column.data.into_numbers();
    assert_eq!(numbers.len(), keys, "a state column has a value for each key");
    numbers
}

macro_rules! fixed_cell {
    ($value:ty, $kind:literal, $stored:ty, $load:expr, $store:expr) => {
        #[diagnostic::do_not_recommend]
        impl Cell for $value {
            const KIND: &'static str = $kind;
            type Column<'a> = &'a mut [$stored];

            fn column(column: StateColumn<'_>, keys: usize) -> Self::Column<'_> {
                numbers(column, keys)
            }

            #[inline(always)]
            fn load(&mut self, column: &Self::Column<'_>, key: usize) {
                *self = $load(column[key]);
            }

            #[inline(always)]
            fn store(&mut self, column: &mut Self::Column<'_>, key: usize) {
                column[key] = $store(*self);
            }

            fn changed<'a>(column: Self::Column<'a>, _: &'a Buffers) -> Column<'a> {
                Column::fixed(column)
            }
        }
    };
}

fixed_cell!(i64, "int64", i64, |value| value, |value| value);
fixed_cell!(f64, "float64", f64, |value| value, |value| value);
fixed_cell!(bool, "boolean", u8, |value| value != 0, u8::from);
fixed_cell!(Timestamp, "timestamp", i64, Timestamp, |Timestamp(value)| value);

macro_rules! span_cell {
    ($value:ty, $kind:literal, $owned:ty, $own:expr, $bytes:ident $(, $inner:tt)?) => {
        #[diagnostic::do_not_recommend]
        impl Cell for $value {
            const KIND: &'static str = $kind;
            type Column<'a> = Vec<$owned>;

            fn column(column: StateColumn<'_>, keys: usize) -> Self::Column<'_> {
                let data: &[u8] = column.data.into_numbers();
                let spans = Spans::new(data, column.offsets.numbers(), keys);
                (0..keys).map(|key| $own(spans.get(key))).collect()
            }

            fn load(&mut self, column: &Self::Column<'_>, key: usize) {
                (*self)$(.$inner)?.clone_from(&column[key]);
            }

            fn store(&mut self, column: &mut Self::Column<'_>, key: usize) {
                std::mem::swap(&mut (*self)$(.$inner)?, &mut column[key]);
            }

            fn changed<'a>(column: Self::Column<'a>, buffers: &'a Buffers) -> Column<'a> {
                let mut writer = SpanWriter::new(buffers, column.len());
                column.iter().enumerate().for_each(|(key, value)| writer.write(value.$bytes(), key));
                writer.made(column.len())
            }
        }
    };
}

span_cell!(String, "utf8", String, |bytes| text(bytes).to_owned(), as_bytes);
span_cell!(Vec<u8>, "bytes", Vec<u8>, <[u8]>::to_vec, as_slice);
span_cell!(Json, "json", String, |bytes| text(bytes).to_owned(), as_bytes, 0);

/// A column with nulls.
pub struct NullableCells<'a, C> {
    values: C,
    /// A byte a key; empty = all have a value, and none was taken away yet.
    present: &'a mut [u8],
    /// The same, once one was taken away where the host had sent none.
    made: Vec<u8>,
    keys: usize,
}

#[diagnostic::do_not_recommend]
impl<T: Cell + Default> Cell for Option<T> {
    const KIND: &'static str = {
        assert!(!T::NULLABLE, "an `Option` within an `Option` cannot be a field of a state");
        T::KIND
    };
    const NULLABLE: bool = true;
    type Column<'a> = NullableCells<'a, T::Column<'a>>;

    fn column(mut column: StateColumn<'_>, keys: usize) -> Self::Column<'_> {
        let present = std::mem::take(&mut column.present).into_numbers();
        assert!(present.is_empty() || present.len() == keys, "a state column says of each key whether it has a value");
        NullableCells { values: T::column(column, keys), present, made: Vec::new(), keys }
    }

    fn load(&mut self, column: &Self::Column<'_>, key: usize) {
        let present = if column.made.is_empty() { &*column.present } else { &column.made };
        if present.is_empty() || present[key] != 0 {
            self.get_or_insert_default().load(&column.values, key);
        } else {
            *self = None;
        }
    }

    fn store(&mut self, column: &mut Self::Column<'_>, key: usize) {
        if column.present.is_empty() && column.made.is_empty() {
            if self.is_some() {
                return self.get_or_insert_default().store(&mut column.values, key);
            }
            column.made = vec![1; column.keys];
        }
        let present = if column.made.is_empty() { &mut *column.present } else { &mut column.made };
        present[key] = u8::from(self.is_some());
        if let Some(value) = self {
            value.store(&mut column.values, key);
        }
    }

    fn changed<'a>(column: Self::Column<'a>, buffers: &'a Buffers) -> Column<'a> {
        let present = if column.made.is_empty() { column.present } else { buffers.copy(&column.made) };
        Column { present: (&*present).into(), ..T::changed(column.values, buffers) }
    }
}
