//! How far a pipeline is behind: what its sources have still to read, how old their rows are, and what waits on edges.

use std::sync::Arc;

use serde::Serialize;
use wasmill_engine::clock::Micros;
use wasmill_engine::counters::Flow;
use wasmill_engine::graph::Graph;
use wasmill_engine::plan::Part;
use wasmill_engine::runtime::Status;

use super::rates::Rate;

/// How far a source is behind. What is not known, or does not apply, is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Lag {
    /// Bytes that are there and were not read, as of its last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) behind_bytes: Option<u64>,
    /// The same in rows, for a source that makes rows: those that its rate owes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) behind_rows: Option<u64>,
    /// Seconds from its watermark, the event time up to which its rows are complete, to now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_time_s: Option<f64>,
    /// Seconds since it brought something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idle_s: Option<f64>,
}

/// What goes along an edge to a stage or sink.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Input {
    /// Where from: a source, a stage, or `stage.port`.
    pub(crate) from: String,
    pub(crate) rows_per_s: f64,
    /// Rows that were sent and not taken, and the messages that they are in.
    pub(crate) waiting_rows: u64,
    pub(crate) waiting_messages: u64,
}

impl Lag {
    /// That of a source of `graph`.
    pub(crate) fn of(graph: &Graph, status: &Status, now: Micros) -> Self {
        let source = graph.sources.iter().find(|source| source.name == status.name);
        let makes_rows = source.is_some_and(|source| source.decode.is_none());
        let behind = status.counters.behind.get().checked_sub(1);
        let ago = |at: Option<Micros>| at.map(|at| now.saturating_sub(at) as f64 / 1e6);
        Self {
            behind_bytes: behind.filter(|_| !makes_rows),
            behind_rows: behind.filter(|_| makes_rows),
            event_time_s: ago(status.counters.watermark.get()),
            idle_s: ago(status.counters.brought.get()).map(|idle| idle.max(0.0)),
        }
    }

    /// Of several sources: all that they have to read, the oldest watermark, the newest rows.
    pub(crate) fn with(self, other: &Self) -> Self {
        let both = |a: Option<f64>, b: Option<f64>, of: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(of(a, b)),
            (a, b) => a.or(b),
        };
        let sum = |a: Option<u64>, b: Option<u64>| a.or(b).map(|_| a.unwrap_or(0) + b.unwrap_or(0));
        Self {
            behind_bytes: sum(self.behind_bytes, other.behind_bytes),
            behind_rows: sum(self.behind_rows, other.behind_rows),
            event_time_s: both(self.event_time_s, other.event_time_s, f64::max),
            idle_s: both(self.idle_s, other.idle_s, f64::min),
        }
    }

    /// That of a pipeline, by what its sources count.
    pub(crate) fn of_all(graph: &Graph, status: &[Status], now: Micros) -> Self {
        let sources = status.iter().filter(|status| status.part == Part::Source);
        sources.fold(Self::default(), |all, source| all.with(&Self::of(graph, source, now)))
    }
}

impl Input {
    /// The inputs of a node, which come `from` there.
    pub(crate) fn all(status: &Status, from: &[String], rate: &Rate) -> Vec<Self> {
        let input = |(number, (edges, from)): (usize, (&Vec<Arc<Flow>>, &String))| {
            let waiting = |of: fn(&Flow) -> u64| edges.iter().map(|edge| of(edge)).sum();
            Self {
                from: from.clone(),
                rows_per_s: rate.inputs.get(number).copied().unwrap_or_default(),
                waiting_rows: waiting(Flow::rows),
                waiting_messages: waiting(Flow::messages),
            }
        };
        status.inputs.iter().zip(from).enumerate().map(input).collect()
    }
}

/// Rows that wait on all edges of a pipeline.
pub(crate) fn waiting(status: &[Status]) -> u64 {
    status.iter().flat_map(|status| &status.inputs).flatten().map(|edge| edge.rows()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_sources_are_behind_by_the_sum_and_as_old_as_the_oldest() {
        let bytes = Lag { behind_bytes: Some(10), event_time_s: Some(3.0), idle_s: Some(0.5), ..Lag::default() };
        let rows = Lag { behind_rows: Some(7), idle_s: Some(9.0), ..Lag::default() };
        let all = Lag::default().with(&bytes).with(&rows).with(&bytes);
        let wanted = Lag { behind_bytes: Some(20), behind_rows: Some(7), event_time_s: Some(3.0), idle_s: Some(0.5) };
        assert_eq!(all, wanted);
    }
}
