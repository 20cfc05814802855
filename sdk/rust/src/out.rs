//! Where rows go: the outputs of a call, while its rows are worked on.
//!
//! Always true: the rows of a port are in the order in which they were sent, so those of the row at hand are the last
//! ones and can be taken back. Neighbours: [`crate::verdict`] sends the main row, [`crate::operator`] moves from row to
//! row.

use crate::effects::Emit;
use crate::row::{FixedWriter, Made};

/// The outputs of an operator, as its function sees them.
pub struct Out<T: Made = ()> {
    names: &'static [&'static str],
    row: u32,
    main: Port<T>,
    others: Vec<Port<T>>,
}

impl<T: Made> Out<T> {
    /// Outputs for a call with so many rows.
    pub(crate) fn new(names: &'static [&'static str], rows: u32) -> Self {
        let others = names.iter().skip(1).map(|_| Port::new(0)).collect();
        Self { names, row: 0, main: Port::new(rows), others }
    }

    /// Sends a row to the main port, traced back to the row at hand. May be called any number of times.
    #[inline(always)]
    pub fn emit(&mut self, row: T) {
        self.main.push(self.row, row);
    }

    /// Sends a row to the port of that name.
    ///
    /// # Panics
    /// When the operator has no such port; the attributes find that at compile time where the name is a literal.
    #[inline]
    pub fn to(&mut self, port: &str, row: T) {
        match self.names.iter().position(|name| *name == port) {
            Some(0) => self.main.push(self.row, row),
            Some(position) => self.others[position - 1].push(self.row, row),
            None => panic!("there is no port `{port}`: the operator has {}", self.names.join(", ")),
        }
    }

    /// Goes on to that row.
    #[inline(always)]
    pub(crate) fn at(&mut self, row: u32) {
        self.row = row;
    }

    /// Takes back what was sent for the row at hand.
    #[cold]
    pub(crate) fn take_back(&mut self) {
        for port in std::iter::once(&mut self.main).chain(&mut self.others) {
            while port.last() == Some(self.row) {
                port.pop();
            }
        }
    }

    /// What a call with so many rows sends.
    pub(crate) fn emits(self, rows: u32) -> Vec<Emit> {
        let ports = std::iter::once(self.main).chain(self.others);
        (0..).zip(ports).filter(|(_, port)| port.len > 0).map(|(number, port)| port.emit(number, rows)).collect()
    }
}

/// The rows sent to one port.
struct Port<T: Made> {
    /// Row i came from input row i so far: `origin` is not yet written.
    in_order: bool,
    origin: FixedWriter<u32>,
    len: u32,
    writers: T::Writers,
}

impl<T: Made> Port<T> {
    fn new(rows: u32) -> Self {
        Self { in_order: true, origin: FixedWriter::new(0), len: 0, writers: T::writers(rows as usize) }
    }

    #[inline(always)]
    fn push(&mut self, from: u32, row: T) {
        if self.in_order && self.len != from {
            self.leave_order();
        }
        if !self.in_order {
            self.origin.push(from);
        }
        self.len += 1;
        row.write(&mut self.writers);
    }

    fn leave_order(&mut self) {
        self.in_order = false;
        self.origin = up_to(self.len);
    }

    fn last(&self) -> Option<u32> {
        if self.in_order { self.len.checked_sub(1) } else { self.origin.last() }
    }

    fn pop(&mut self) {
        self.len -= 1;
        self.origin.pop();
        T::unwrite(&mut self.writers);
    }

    fn emit(mut self, port: u32, rows: u32) -> Emit {
        let whole = self.in_order && self.len == rows;
        if self.in_order && !whole {
            self.leave_order();
        }
        Emit { port, origin: (!whole).then(|| self.origin.into_values()), columns: T::made(self.writers) }
    }
}

#[cold]
fn up_to(len: u32) -> FixedWriter<u32> {
    let mut numbers = FixedWriter::new(len as usize);
    (0..len).for_each(|number| numbers.push(number));
    numbers
}
