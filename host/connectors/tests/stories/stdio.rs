//! Stories of the standard input and output, over pipes that the test holds.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use crate::kit::sinks::{prepare, write};
use crate::kit::sources::{Reading, Step};
use crate::kit::waker;
use wasmill_connectors::stdin::source::{CHUNK_BYTES, CHUNKS, Piped as Stdin};
use wasmill_connectors::stdout::sink::Piped as Stdout;
use wasmill_engine::source::Position;

#[test]
fn what_is_written_to_the_input_wakes_the_reader_and_the_end_ends_it() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut reading = Reading::new(Box::new(Stdin::new("stdin", reader, waker())));
    assert_eq!(reading.step(100), Ok(Step::Idle(None)));
    writer.write_all(b"one\ntw").unwrap();
    assert_eq!(reading.next(100), Step::Some(0));
    drop(writer);
    assert_eq!([reading.next(100), reading.next(100)], [Step::End(0), Step::Finished]);
    assert_eq!(reading.by_name()["stdin"].bytes, b"one\ntw");
}

/// An endless input that counts what was taken.
struct Endless(Arc<std::sync::atomic::AtomicU64>);

impl std::io::Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.fetch_add(into.len() as u64, std::sync::atomic::Ordering::Relaxed);
        into.fill(b'\n');
        Ok(into.len())
    }
}

/// An input that fails after its first bytes.
struct Failing(usize);

impl std::io::Read for Failing {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0 += 1;
        match self.0 {
            1 => (&b"one\n"[..]).read(into),
            2 => Err(std::io::ErrorKind::Interrupted.into()),
            _ => Err(std::io::Error::other("the cable is torn")),
        }
    }
}

#[test]
fn an_input_that_fails_brings_what_came_before_and_never_looks_ended() {
    let mut reading = Reading::new(Box::new(Stdin::new("stdin", Failing(0), waker())));
    assert_eq!(reading.next(100), Step::Some(0));
    for _ in 0..2 {
        let error = loop {
            match reading.step(100) {
                Ok(Step::Idle(None)) => std::thread::park(),
                Ok(other) => panic!("not {other:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.message, "stdin cannot be read: the cable is torn");
    }
}

#[test]
fn an_input_that_is_faster_than_its_reader_waits() {
    let taken = Arc::default();
    let mut reading = Reading::new(Box::new(Stdin::new("stdin", Endless(Arc::clone(&taken)), waker())));
    for _ in 0..100 {
        reading.next(CHUNK_BYTES);
        let taken = taken.load(std::sync::atomic::Ordering::Relaxed);
        let ahead = taken - reading.brought[&0].bytes.len() as u64;
        assert!(ahead <= (CHUNKS as u64 + 3) * CHUNK_BYTES as u64, "{ahead} bytes are in memory");
    }
}

/// An input that brings so many chunks, says so, and then waits for ever.
struct Waiting(usize, std::sync::mpsc::Sender<()>);

impl std::io::Read for Waiting {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.0 == 0 {
            self.1.send(()).unwrap();
            loop {
                std::thread::park();
            }
        }
        self.0 -= 1;
        into.fill(b'x');
        Ok(into.len())
    }
}

#[test]
fn what_was_taken_from_the_input_still_comes_when_it_is_stopped() {
    let (waits, waiting) = std::sync::mpsc::channel();
    let mut reading = Reading::new(Box::new(Stdin::new("stdin", Waiting(CHUNKS - 1, waits), waker())));
    assert_eq!(reading.next(100), Step::Some(0));
    waiting.recv().unwrap();
    assert!(reading.reader.stop(), "there is something to bring");
    let end = loop {
        match reading.step(CHUNK_BYTES).unwrap() {
            Step::Some(0) => {}
            other => break other,
        }
    };
    assert!(matches!(&end, Step::Broken(0, reason) if reason.contains("stopped before the rest")), "{end:?}");
    assert_eq!(reading.next(100), Step::Finished);
    assert_eq!(reading.by_name()["stdin"].bytes.len(), (CHUNKS - 1) * CHUNK_BYTES);
}

/// An input that brings what a test sends, and says when it waits.
struct Sent(std::sync::mpsc::Receiver<&'static [u8]>, std::sync::mpsc::Sender<()>);

impl std::io::Read for Sent {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.1.send(()).unwrap();
        self.0.recv().map_or(Ok(0), |mut bytes| bytes.read(into))
    }
}

#[test]
fn what_the_input_brings_between_the_last_read_and_the_end_of_a_stop_still_comes() {
    let (send, sent) = std::sync::mpsc::channel();
    let (waits, waiting) = std::sync::mpsc::channel();
    let mut reading = Reading::new(Box::new(Stdin::new("stdin", Sent(sent, waits), waker())));
    assert_eq!(reading.step(100), Ok(Step::Idle(None)));
    send.send(b"one\n").unwrap();
    // It waits again: the first bytes were handed on.
    (0..2).for_each(|_| waiting.recv().unwrap());
    assert!(reading.reader.stop());
    assert_eq!(reading.step(100), Ok(Step::Some(0)));
    send.send(b"two\n").unwrap();
    assert!(waiting.recv().is_err(), "the thread has handed on what it read, and ended");
    let end = [reading.step(100).unwrap(), reading.step(100).unwrap(), reading.step(100).unwrap()];
    assert!(matches!(&end, [Step::Some(0), Step::Broken(0, _), Step::Finished]), "{end:?}");
    assert_eq!(reading.by_name()["stdin"].bytes, b"one\ntwo\n");
}

#[test]
fn an_input_that_was_never_read_or_has_ended_has_nothing_to_bring_when_it_is_stopped() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut reading = Reading::new(Box::new(Stdin::new("stdin", reader, waker())));
    assert!(!reading.reader.stop());
    drop(writer);
    assert_eq!([reading.next(100), reading.next(100)], [Step::End(0), Step::Finished]);
    assert!(!reading.reader.stop());
}

#[test]
fn the_input_cannot_be_read_again() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut reading = Reading::new(Box::new(Stdin::new("stdin", reader, waker())));
    let at = |offset| [Position { partition: "stdin".into(), offset, line: 0 }];
    assert_eq!(reading.reader.seek(&at(0)), Ok(()));
    let error = reading.reader.seek(&at(7)).unwrap_err();
    assert!(error.message.contains("stdin cannot be read again from byte 7"), "{error}");
}

#[test]
fn a_line_is_visible_before_its_epoch_is_prepared() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut sink = Stdout::new("stdout", writer, &[], waker()).unwrap();
    write(&mut sink, &["one"]).unwrap();
    let mut seen = [0; 4];
    reader.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"one\n");
}

#[test]
fn an_output_that_its_reader_closed_ends_with_that_reason() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut sink = Stdout::new("stdout", writer, &[], waker()).unwrap();
    drop(reader);
    let error = write(&mut sink, &["one"]).and_then(|()| prepare(&mut sink, 1)).unwrap_err();
    assert_eq!(error.message, "stdout was closed by its reader");
    assert!(!error.retriable);
    assert!(write(&mut sink, &["two"]).is_err(), "and stays so");
}
