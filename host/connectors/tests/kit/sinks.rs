//! What every sink whose commit can be repeated must do.

use std::collections::BTreeSet;
use std::sync::Arc;

use wasmill_engine::batch::{Batch, Layout, Records};
use wasmill_engine::schema::Schema;
use wasmill_engine::sink::{Block, Progress, SinkError, SinkWriter};

/// Where a sink writes, seen from outside.
pub(crate) trait World {
    /// The sink, as a process that starts opens it.
    fn open(&self) -> Box<dyn SinkWriter>;
    /// What the next process finds after one that died with this sink: no destructor ran, and what it held is free.
    fn died(self, sink: Box<dyn SinkWriter>) -> Self;
    /// All that people see, in order.
    fn visible(&self) -> Vec<u8>;
    /// What stands before the first row.
    fn header(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// Writes lines as one block.
pub(crate) fn write(sink: &mut dyn SinkWriter, lines: &[&str]) -> Result<(), SinkError> {
    let schema = Schema::new(Vec::new());
    let records = Records {
        source: "in".into(),
        partition: "0".into(),
        rows: lines.len(),
        columns: Vec::new(),
        event_time: None,
        message: None,
        raw: None,
        first: 0,
    };
    let batch = Batch::new(Arc::new(records), Arc::new(Layout::of_source(&schema)));
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for line in lines {
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        ends.push(bytes.len() as u32);
    }
    until_done(|| sink.write(0, &Block { batch: &batch, bytes: &bytes, ends: &ends }))
}

/// Prepares an epoch, waiting as the driver would.
pub(crate) fn prepare(sink: &mut dyn SinkWriter, epoch: u64) -> Result<(), SinkError> {
    until_done(|| sink.prepare(epoch))
}

/// Commits an epoch, waiting as the driver would.
pub(crate) fn commit(sink: &mut dyn SinkWriter, epoch: u64) -> Result<(), SinkError> {
    until_done(|| sink.commit(epoch))
}

fn until_done(mut ask: impl FnMut() -> Result<Progress, SinkError>) -> Result<(), SinkError> {
    while ask()? != Progress::Done {
        std::thread::park();
    }
    Ok(())
}

/// The three blocks of an epoch; epoch 3 has none.
fn rows(epoch: u64) -> Vec<String> {
    if epoch == 3 { Vec::new() } else { (0..3).map(|i| format!("{{\"id\":{}}}", epoch * 10 + i)).collect() }
}

fn text(world: &impl World, epochs: u64) -> String {
    let rows: Vec<String> = (1..=epochs).flat_map(rows).map(|row| row + "\n").collect();
    let header = if rows.is_empty() { Vec::new() } else { world.header() };
    String::from_utf8(header).unwrap() + &rows.concat()
}

fn sees(world: &impl World, epochs: u64, when: &str) {
    assert_eq!(String::from_utf8_lossy(&world.visible()), text(world, epochs), "{when}");
}

/// Nothing is visible before its commit, all is after it, in order; to commit twice is harmless.
pub(crate) fn conforms(world: &impl World) {
    let mut sink = world.open();
    sink.recover(None).unwrap();
    for epoch in 1..=5 {
        for row in rows(epoch) {
            write(&mut *sink, &[&row]).unwrap();
            sees(world, epoch - 1, "a row that was only written is not visible");
        }
        prepare(&mut *sink, epoch).unwrap();
        sees(world, epoch - 1, "an epoch that was only prepared is not visible");
        commit(&mut *sink, epoch).unwrap();
        sees(world, epoch, "an epoch that was committed is visible");
        commit(&mut *sink, epoch).unwrap();
        sees(world, epoch, "to commit twice is harmless");
    }
    drop(sink);
    sees(world, 5, "what is visible stays");
}

/// One thing that a pipeline does with its sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Write(u64),
    Prepare(u64),
    Commit(u64),
}

fn act(sink: &mut dyn SinkWriter, act: Act) {
    match act {
        Act::Write(epoch) => rows(epoch).iter().for_each(|row| write(sink, &[row]).unwrap()),
        Act::Prepare(epoch) => prepare(sink, epoch).unwrap(),
        Act::Commit(epoch) => commit(sink, epoch).unwrap(),
    }
}

/// After a crash between any two calls, what is visible is what the checkpoint says, and the sink goes on from there.
/// The next epoch may be written, and prepared, before the one before it is committed.
pub(crate) fn recovers<W: World>(new_world: impl Fn() -> W) {
    use Act::{Commit, Prepare, Write};
    let script = [
        Write(1),
        Prepare(1),
        Commit(1),
        Write(2),
        Prepare(2),
        Write(3),
        Prepare(3),
        Write(4),
        Commit(2),
        Prepare(4),
        Commit(3),
        Write(5),
        Commit(4),
        Prepare(5),
        Commit(5),
    ];
    for crash in 0..=script.len() {
        let done = &script[..crash];
        let prepared = (1..=5).rev().find(|epoch| done.contains(&Prepare(*epoch)));
        let committed = (1..=5).rev().find(|epoch| done.contains(&Commit(*epoch)));
        // Recovery goes to the newest prepared epoch, or falls back to what is visible already.
        for to in BTreeSet::from([prepared, committed]) {
            let world = new_world();
            let mut sink = world.open();
            sink.recover(None).unwrap();
            done.iter().for_each(|it| act(&mut *sink, *it));
            let world = world.died(sink);
            for restart in 0..2 {
                let mut sink = world.open();
                sink.recover(to).unwrap();
                sees(&world, to.unwrap_or(0), &format!("after {done:?}, recovery to {to:?}, restart {restart}"));
            }
            let mut sink = world.open();
            sink.recover(to).unwrap();
            for epoch in (to.unwrap_or(0) + 1..=6).take(2) {
                [Write(epoch), Prepare(epoch), Commit(epoch)].iter().for_each(|it| act(&mut *sink, *it));
                sees(&world, epoch, &format!("after {done:?}, recovery to {to:?}, epoch {epoch}"));
            }
        }
    }
}
