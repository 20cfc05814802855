//! The generator as a source: one partition, `0`, whose positions are numbers of events.

use std::sync::Arc;

use serde_json::Value;
use wasmill_engine::batch::Records;
use wasmill_engine::clock::Micros;
use wasmill_engine::schema::Schema;
use wasmill_engine::source::{Position, Read, SourceError, SourceReader};

use super::columns::Columns;
use super::config::Config;
use super::event;
use crate::connector::{SourceContext, SourceEntry};
use crate::error::ConnectorError;

/// The source, for the registry.
pub(crate) const ENTRY: SourceEntry = SourceEntry { name: "generator", check, open, schema };

/// Checks the configuration.
fn check(value: &Value) -> Result<(), ConnectorError> {
    Config::parse(value).map(|_| ())
}

/// The fields of the events; none where the configuration is wrong.
fn schema(value: &Value) -> Option<Schema> {
    Config::parse(value).ok().map(|config| event::schema(&config))
}

/// Opens a generator.
fn open(value: &Value, context: &SourceContext) -> Result<Box<dyn SourceReader>, ConnectorError> {
    let config = Config::parse(value)?;
    Ok(Box::new(Generator {
        schema: event::schema(&config),
        times: config.times(),
        name: context.name.clone(),
        partition: "0".into(),
        start: 0,
        next: 0,
        begun: None,
        ended: false,
        config,
    }))
}

/// A source that makes events.
struct Generator {
    config: Config,
    schema: Schema,
    times: (Micros, Micros),
    name: Arc<str>,
    partition: Arc<str>,
    start: u64,
    next: u64,
    /// The clock at the first `read`, from which the rate counts.
    begun: Option<Micros>,
    ended: bool,
}

impl Generator {
    /// How many events are due, and when the next is if none.
    fn due(&self, now: Micros) -> (u64, Option<Micros>) {
        let left = self.config.events.map_or(u64::MAX, |events| events.saturating_sub(self.next));
        let Some(rate) = self.config.rate else { return (left, None) };
        let begun = self.begun.unwrap_or(now);
        let made = self.next - self.start;
        // The first event is due at once.
        let due = ((now - begun) as f64 * rate / 1e6) as u64 + 1;
        let until = (begun + (made as f64 * 1e6 / rate).ceil() as Micros).max(now + 1);
        (due.saturating_sub(made).min(left), Some(until))
    }

    fn make(&mut self, rows: usize) -> Records {
        let mut columns = Columns::new(&self.schema, rows);
        let first = self.next;
        for number in self.next..self.next + rows as u64 {
            event::describe(&self.config, self.times, number, &mut columns);
            columns.end_row();
        }
        self.next += rows as u64;
        let (columns, event_time) = columns.finish();
        Records {
            source: self.name.clone(),
            partition: self.partition.clone(),
            rows,
            columns,
            event_time,
            message: None,
            raw: None,
            first,
        }
    }
}

impl SourceReader for Generator {
    fn seek(&mut self, positions: &[Position]) -> Result<(), SourceError> {
        for position in positions {
            if position.partition != self.partition {
                let message = format!("a generator has only partition `0`, not `{}`", position.partition);
                return Err(SourceError { message, retriable: false });
            }
            if let Some(events) = self.config.events.filter(|events| position.offset > *events) {
                let message = format!(
                    "the generator makes {events} events, but was at event {}; \
                     set `events` to at least that, or leave it out",
                    position.offset
                );
                return Err(SourceError { message, retriable: false });
            }
            (self.start, self.next) = (position.offset, position.offset);
        }
        Ok(())
    }

    fn read(&mut self, now: Micros, _: usize, max_rows: usize, _: &mut Vec<u8>) -> Result<Read, SourceError> {
        if self.config.events.is_some_and(|events| self.next >= events) {
            let first = !std::mem::replace(&mut self.ended, true);
            return Ok(if first { Read::End { partition: 0 } } else { Read::Finished });
        }
        self.begun.get_or_insert(now);
        Ok(match self.due(now) {
            (0, until) => Read::Idle { until },
            (due, _) => Read::Records(Box::new(self.make(due.min(max_rows.max(1) as u64) as usize))),
        })
    }

    fn partition(&self, _: u32) -> Arc<str> {
        self.partition.clone()
    }

    fn start(&self, _: u32) -> Position {
        Position { partition: self.partition.clone(), offset: self.start, line: 0 }
    }

    fn progress(&self) -> Option<(u64, u64)> {
        self.config.events.map(|events| (self.next, events))
    }

    fn behind(&self, now: Micros) -> Option<u64> {
        // Without a rate and an end there is always more.
        Some(self.due(now).0).filter(|due| *due < u64::MAX)
    }

    fn acknowledge(&mut self, _: &[Position]) -> Result<(), SourceError> {
        Ok(())
    }
}
