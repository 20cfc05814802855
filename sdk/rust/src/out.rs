//! Where rows go: the outputs of a call, while its rows are worked on.
//!
//! Always true: the rows of a port are in the order in which they were sent, so those of the row at hand are the last
//! ones and can be taken back. Neighbours: [`crate::verdict`] sends the main row, [`crate::operator`] moves from row to
//! row.

use crate::abi::Buffers;
use crate::effects::Emit;
use crate::row::{Made, grown};

/// Where the loop over rows sends what becomes of them.
pub trait Sink<'a, T: Made>: Sized {
    /// For a call with so many rows of an operator with these ports. `always`: each row goes to the main port once.
    fn open(ports: &'static [&'static str], buffers: &'a Buffers, rows: u32, always: bool) -> Self;
    /// [`TURN`](crate::row::TURN) rows follow.
    #[inline(always)]
    fn turn(&mut self) {}
    /// Goes on to that row.
    fn at(&mut self, row: u32);
    /// Sends a row to the main port, traced back to the row at hand.
    fn send(&mut self, row: T);
    /// Takes back what was sent for the row at hand.
    fn take_back(&mut self);
    /// What was sent, of a call with so many rows.
    fn emits(self, rows: u32) -> Vec<Emit<'a>>;
}

/// The main port alone, of which each row goes in once at most, as its function's answer.
///
/// All that it holds are numbers and slices that no function takes the address of, so that a compiler keeps them in
/// registers: this is what makes a loop over rows as fast as one that is written over columns.
pub struct Main<'a, T: Made> {
    row: u32,
    len: usize,
    /// Whether each row goes in, so that there is no need to note which.
    always: bool,
    origin: &'a mut [u32],
    writers: T::Writers<'a>,
}

impl<'a, T: Made> Sink<'a, T> for Main<'a, T> {
    #[inline(always)]
    fn open(_: &'static [&'static str], buffers: &'a Buffers, rows: u32, always: bool) -> Self {
        let rows = rows as usize;
        let origin = buffers.numbers(if always { 0 } else { rows });
        Self { row: 0, len: 0, always, origin, writers: T::writers(buffers, rows) }
    }

    #[inline(always)]
    fn turn(&mut self) {
        if self.always {
            T::has_room(&self.writers, self.len);
        }
    }

    #[inline(always)]
    fn at(&mut self, row: u32) {
        self.row = row;
    }

    #[inline(always)]
    fn send(&mut self, row: T) {
        if !self.always {
            self.origin[self.len] = self.row;
        }
        row.write(&mut self.writers, self.len);
        self.len += 1;
    }

    /// A row that is refused was not sent: its answer is one or the other.
    #[inline(always)]
    fn take_back(&mut self) {}

    fn emits(self, rows: u32) -> Vec<Emit<'a>> {
        let origin = (!self.always).then_some(self.origin);
        emit::<T>(0, origin, self.len, rows, self.writers).into_iter().collect()
    }
}

/// The outputs of an operator, as its function sees them.
///
/// ```
/// use wasmill::prelude::*;
///
/// #[derive(Row)]
/// struct Line<'a> {
///     text: &'a str,
/// }
/// #[derive(Row)]
/// struct Word<'a> {
///     word: &'a str,
/// }
///
/// /// A row for each word; long ones go to a port of their own.
/// #[transform(ports(long))]
/// fn words<'a>(line: Line<'a>, out: &mut Out<'_, Word<'a>>) {
///     for word in line.text.split_whitespace() {
///         if word.len() > 20 { out.to("long", Word { word }) } else { out.emit(Word { word }) }
///     }
/// }
/// # fn main() {}
/// ```
pub struct Out<'a, T: Made = ()> {
    names: &'static [&'static str],
    buffers: &'a Buffers,
    row: u32,
    main: Port<'a, T>,
    others: Vec<Port<'a, T>>,
}

impl<'a, T: Made> Out<'a, T> {
    /// Sends a row to the main port, traced back to the row at hand. May be called any number of times.
    #[inline(always)]
    pub fn emit(&mut self, row: T) {
        self.main.push(self.buffers, self.row, row);
    }

    /// Sends a row to the port of that name.
    ///
    /// # Panics
    /// When the operator has no such port; the attributes find that at compile time where the name is a literal.
    #[inline]
    pub fn to(&mut self, port: &str, row: T) {
        let port = match self.names.iter().position(|name| *name == port) {
            Some(0) => &mut self.main,
            Some(position) => &mut self.others[position - 1],
            None => panic!("there is no port `{port}`: the operator has {}", self.names.join(", ")),
        };
        port.push(self.buffers, self.row, row);
    }
}

impl<'a, T: Made> Sink<'a, T> for Out<'a, T> {
    fn open(names: &'static [&'static str], buffers: &'a Buffers, rows: u32, _: bool) -> Self {
        let others = names.iter().skip(1).map(|_| Port::new(buffers, 0)).collect();
        Self { names, buffers, row: 0, main: Port::new(buffers, rows as usize), others }
    }

    #[inline(always)]
    fn at(&mut self, row: u32) {
        self.row = row;
    }

    #[inline(always)]
    fn send(&mut self, row: T) {
        self.emit(row);
    }

    #[cold]
    fn take_back(&mut self) {
        for port in std::iter::once(&mut self.main).chain(&mut self.others) {
            while port.len > 0 && port.origin[port.len - 1] == self.row {
                port.len -= 1;
            }
        }
    }

    fn emits(self, rows: u32) -> Vec<Emit<'a>> {
        let ports = (0..).zip(std::iter::once(self.main).chain(self.others));
        let emit =
            |(number, port): (u32, Port<'a, T>)| emit::<T>(number, Some(port.origin), port.len, rows, port.writers);
        ports.filter_map(emit).collect()
    }
}

/// The rows sent to one port.
struct Port<'a, T: Made> {
    len: usize,
    /// The input row of each row so far, and room for more.
    origin: &'a mut [u32],
    writers: T::Writers<'a>,
}

impl<'a, T: Made> Port<'a, T> {
    fn new(buffers: &'a Buffers, rows: usize) -> Self {
        Self { len: 0, origin: buffers.numbers(rows), writers: T::writers(buffers, rows) }
    }

    #[inline(always)]
    fn push(&mut self, buffers: &'a Buffers, from: u32, row: T) {
        if self.len == self.origin.len() {
            self.grow(buffers);
        }
        self.origin[self.len] = from;
        row.write(&mut self.writers, self.len);
        self.len += 1;
    }

    #[cold]
    fn grow(&mut self, buffers: &'a Buffers) {
        let rows = (self.len * 2).max(64);
        grown(&mut self.origin, buffers, rows);
        T::grow(&mut self.writers, buffers, rows);
    }
}

/// The rows of a port as they leave; none where there are none. Without an origin it is each input row.
fn emit<'a, T: Made>(
    port: u32,
    origin: Option<&'a mut [u32]>,
    len: usize,
    rows: u32,
    writers: T::Writers<'a>,
) -> Option<Emit<'a>> {
    let origin = origin.map(|origin| &origin[..len]).filter(|origin| len != rows as usize || !is_each(origin));
    (len > 0).then(|| Emit { port, origin, columns: T::made(writers, len) })
}

/// Whether the rows are 0, 1, 2, ...; without a way out in the middle, so that it is done with wide instructions.
fn is_each(rows: &[u32]) -> bool {
    rows.iter().zip(0..).fold(0, |wrong, (row, number)| wrong | (row ^ number)) == 0
}
