//! What a stage still has to do for one message: stretches of rows, each with its number of tries.
//!
//! A call that fails is cut in half until the row to blame stands alone; a row that shall be tried again comes back
//! after a wait, before anything behind it. So the rows of a key stay in order whatever goes wrong.

use std::collections::VecDeque;

use arrow_array::UInt32Array;

use crate::batch::Batch;
use crate::clock::Micros;

/// Rows to call the operator with.
#[derive(Clone, Debug)]
pub struct Task {
    /// The rows.
    pub batch: Batch,
    /// Number of the batch that they are of: the same at every try.
    pub number: u64,
    /// Tries before this one.
    pub attempt: u32,
    /// Not before then.
    pub due: Micros,
}

/// Tasks, in order.
#[derive(Debug, Default)]
pub struct Work(VecDeque<Task>);

impl Work {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the next task may be done.
    #[must_use]
    pub fn due(&self) -> Option<Micros> {
        self.0.front().map(|task| task.due)
    }

    /// Takes the next task.
    pub fn take(&mut self) -> Option<Task> {
        self.0.pop_front()
    }

    /// Puts a task behind all others.
    pub fn push(&mut self, task: Task) {
        self.0.push_back(task);
    }

    /// Puts a task before all others.
    pub fn again(&mut self, task: Task) {
        self.0.push_front(task);
    }

    /// Puts the task back around the rows `from..to`: those before, they, those behind, without the empty ones.
    pub fn cut(&mut self, task: &Task, from: usize, to: usize) {
        let ends = [0, from, to, task.batch.rows()];
        for pair in ends.windows(2).rev().filter(|pair| pair[0] < pair[1]) {
            let rows = UInt32Array::from_iter_values((pair[0]..pair[1]).map(|row| row as u32));
            self.again(Task { batch: task.batch.pick(&rows), ..task.clone() });
        }
    }
    /// Puts the task back in stretches: rows that have a time in `due` are tried again, the latest of their stretch's
    /// times; those between them are called as if nothing had been.
    pub fn wait(&mut self, task: &Task, due: &[Option<Micros>]) {
        let mut end = task.batch.rows();
        for stretch in due.chunk_by(|a, b| a.is_some() == b.is_some()).rev() {
            let rows = UInt32Array::from_iter_values((end - stretch.len()..end).map(|row| row as u32));
            end -= stretch.len();
            let batch = task.batch.pick(&rows);
            self.again(match stretch.iter().flatten().max() {
                Some(due) => Task { batch, attempt: task.attempt + 1, due: *due, ..task.clone() },
                None => Task { batch, ..task.clone() },
            });
        }
    }
}
