//! Nodes: the parts of a running pipeline, each stepped from outside.
//!
//! A node takes one message, does its work and hands on what came of it; what finds no room waits in its [`Outbox`],
//! and until it has gone the node takes nothing more. That is all the back-pressure there is. Nodes in the order in
//! which a record meets them: [`read`], [`decode`], [`stage`], [`encode`], [`write`](mod@write).

pub mod code;
pub mod decode;
pub mod encode;
pub mod fill;
pub mod order;
pub mod outbox;
pub mod read;
pub mod stage;
pub mod work;
pub mod write;

use crate::clock::{Clock, Micros};

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done; step again.
    Progressed,
    /// Nothing to do before a message comes, or before then.
    Idle {
        /// When to step again even if nothing comes.
        until: Option<Micros>,
    },
    /// What was done finds no room downstream.
    Blocked,
    /// Done for good.
    Finished,
    /// The pipeline cannot go on.
    Failed(Failure),
}

/// Why a pipeline stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{node}: {message}")]
pub struct Failure {
    /// The source, stage or sink.
    pub node: String,
    /// What, where and what to do.
    pub message: String,
}

/// A part of a running pipeline: one lane of a source, stage or sink.
pub trait Node: Send {
    /// Does a little: at most one message, one read, or one call of an operator. Never waits.
    fn step(&mut self, clock: &dyn Clock) -> Step;

    /// The source, stage or sink that it is a part of.
    fn name(&self) -> &str;

    /// Of a node that works for all lanes the one whose turn it is: that gets what it reads next, or has made what it
    /// writes next. None = any.
    fn turn(&self) -> Option<u32> {
        None
    }
}

/// A node's failure.
pub(crate) fn failed(node: &str, message: impl Into<String>) -> Step {
    Step::Failed(Failure { node: node.to_owned(), message: message.into() })
}
