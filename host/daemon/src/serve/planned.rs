//! What a change would come to, said before anything happens: the stages that it touches, what becomes of their state,
//! what the new code asks of the host, and how much it needs.
//!
//! Neighbours: [`super::changes`] and [`super::swap`] make changes; what fits is for the engine's `runtime::change` to
//! say.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use wasmill_engine::graph::{Graph, Stage};
use wasmill_engine::plan::{Action, Part, Plan};
use wasmill_engine::runtime::Status;
use wasmill_engine::runtime::change::{Carry, Change, ChangeError, fits, schema};

use super::problem::Problem;
use super::registry::Server;
use crate::assemble;
use crate::spec::Limits;

/// What an apply or a swap would do, or did.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Planned {
    /// The pipeline.
    pub(crate) pipeline: String,
    /// Its revision.
    pub(crate) revision: u64,
    /// How it gets there: `start`, `swap`, `restart`, `nothing`, or `refused`.
    pub(crate) way: &'static str,
    /// The changes, in the order of a record's way.
    pub(crate) changes: Vec<String>,
    /// For each stage whose code changes what becomes of its state, in words.
    pub(crate) state: BTreeMap<String, String>,
    /// The stages that change, or all where the pipeline starts.
    pub(crate) stages: Vec<StagePlan>,
    /// What all of these need together.
    pub(crate) needs: Needs,
    /// Threads that the server has for all pipelines.
    pub(crate) threads: usize,
    /// Whether it has to be applied with `replace`: what runs is drained, its state dropped, its sources read anew.
    pub(crate) needs_replace: bool,
    /// What the change of code has cost, where it was done.
    pub(crate) swapped: Vec<Switched>,
    /// Why it would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
    /// What is allowed and probably not meant.
    pub(crate) warnings: Value,
}

/// A stage whose code an apply has changed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Switched {
    pub(crate) stage: String,
    /// The digest of its code.
    pub(crate) to: String,
    /// The longest that rows of a lane waited.
    pub(crate) waited_us: i64,
    /// Keys whose state was carried over.
    pub(crate) keys: u64,
}

/// What becomes of a stage.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct StagePlan {
    pub(crate) stage: String,
    /// Digest of the code that runs; none where there is none.
    pub(crate) from: Option<String>,
    /// Digest of the code that would run; none where the stage goes.
    pub(crate) to: Option<String>,
    /// What the new code imports that the code before does not; all of it where there is none before.
    pub(crate) new_imports: Vec<String>,
    pub(crate) state: StatePlan,
    pub(crate) needs: Needs,
}

/// What becomes of a stage's state.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct StatePlan {
    /// `none`, `empty` (it begins so), `carried`, `reshaped` (carried, with other fields), `dropped`, or `refused`.
    pub(crate) verdict: &'static str,
    /// The tables as they are, and as the new code has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) running: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wanted: Option<String>,
    /// Why it is refused, or what changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// Keys that it has, and bytes of memory that it takes.
    pub(crate) keys: u64,
    pub(crate) bytes: u64,
}

/// What something may need at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Needs {
    /// Lanes: as many threads can be busy with it.
    pub(crate) lanes: u64,
    /// Instances of code; while new code is watched those of the code before are there too.
    pub(crate) instances: u64,
    /// Bytes of memory of these, at most.
    pub(crate) memory_bytes_max: u64,
    /// Bytes of state, at most.
    pub(crate) state_bytes_max: u64,
}

/// What a change is between.
pub(crate) struct Between<'a> {
    /// What runs: its graph, and what it counts.
    pub(crate) running: Option<(&'a Graph, &'a [Status])>,
    /// What shall run.
    pub(crate) wanted: &'a Graph,
    /// `start`, `swap`, `restart` or `nothing`.
    pub(crate) way: &'static str,
    /// Whether fields of the state may be dropped, as on the way back.
    pub(crate) may_drop: bool,
    /// Bytes of memory that an instance may have.
    pub(crate) memory_bytes_max: u64,
    /// Bytes of state that a lane may have.
    pub(crate) state_share: u64,
}

impl Between<'_> {
    /// The stages that change.
    pub(crate) fn stages(&self) -> Vec<StagePlan> {
        let old = self.running.map_or(&[][..], |(graph, _)| &graph.stages);
        let find = |name: &str| old.iter().find(|stage| *stage.name == *name);
        let plan = Plan::between(self.running.map(|(graph, _)| graph), self.wanted);
        let swapped = |stage: &&Stage| {
            let is = |change: &&wasmill_engine::plan::Change| change.part == Part::Stage && change.name == stage.name;
            plan.changes().iter().find(is).is_some_and(|change| matches!(change.action, Action::Swap { .. }))
        };
        let anew = matches!(self.way, "start" | "restart");
        let wanted = self.wanted.stages.iter().filter(|stage| anew || swapped(stage));
        let mut stages: Vec<_> = wanted.map(|stage| self.stage(find(&stage.name), stage)).collect();
        let gone = |stage: &&Stage| !self.wanted.stages.iter().any(|of| of.name == stage.name);
        stages.extend(old.iter().filter(gone).map(|stage| StagePlan {
            stage: stage.name.to_string(),
            from: Some(stage.factory.digest().to_owned()),
            to: None,
            new_imports: Vec::new(),
            state: self.state(Some(stage), None),
            needs: Needs::default(),
        }));
        stages
    }

    fn stage(&self, old: Option<&Stage>, new: &Stage) -> StagePlan {
        let before = old.map(|old| old.factory.imports()).unwrap_or_default();
        let is_new = |import: &String| !before.contains(import);
        let lanes = u64::from(new.lanes);
        let instances = if self.way == "swap" { 2 * lanes } else { lanes };
        let keyed = !new.plan.tables.is_empty();
        StagePlan {
            stage: new.name.to_string(),
            from: old.map(|old| old.factory.digest().to_owned()),
            to: Some(new.factory.digest().to_owned()),
            new_imports: new.factory.imports().into_iter().filter(is_new).collect(),
            state: self.state(old, Some(new)),
            needs: Needs {
                lanes,
                instances,
                memory_bytes_max: instances * self.memory_bytes_max,
                state_bytes_max: if keyed { lanes * self.state_share } else { 0 },
            },
        }
    }

    fn state(&self, old: Option<&Stage>, new: Option<&Stage>) -> StatePlan {
        let shown = |stage: Option<&Stage>| {
            let tables = stage.map_or(&[][..], |stage| &stage.plan.tables);
            (!tables.is_empty()).then(|| schema(tables))
        };
        let (running, wanted) = (shown(old), shown(new));
        let is = |status: &&Status| status.part == Part::Stage && old.is_some_and(|old| old.name == status.name);
        let counters = self.running.and_then(|(_, status)| status.iter().find(is)).map(|status| &status.counters);
        let [keys, bytes] = counters.map_or([0, 0], |of| [of.state_keys.get(), of.state_bytes.get()]);
        let (verdict, why) = match (old, new) {
            (Some(old), Some(new)) if self.way == "swap" => match fits(old, new, self.may_drop) {
                Ok(Carry::Stateless) => ("none", None),
                Ok(Carry::Same) => ("carried", None),
                Ok(carry @ Carry::Reshaped { .. }) => ("reshaped", Some(carry.to_string())),
                Err(ChangeError::State { problem, .. }) => ("refused", Some(problem)),
                Err(error) => ("refused", Some(error.to_string())),
            },
            _ if running.is_some() => ("dropped", None),
            _ if wanted.is_some() => ("empty", None),
            _ => ("none", None),
        };
        StatePlan { verdict, running, wanted, why, keys, bytes }
    }
}

impl Planned {
    /// Notes what a change that was made ready does with state.
    pub(crate) fn carries(&mut self, change: &Change) {
        self.state = change.carries().iter().map(|(of, carry)| (of.to_string(), carry.to_string())).collect();
    }

    /// The same, which is refused.
    pub(crate) fn refused(self, problem: &Problem) -> Self {
        Self { way: "refused", refused: Some(problem.detail().to_owned()), ..self }
    }
}

impl Needs {
    /// Of all stages together.
    fn of(stages: &[StagePlan]) -> Self {
        stages.iter().fold(Self::default(), |all, stage| Self {
            lanes: all.lanes + stage.needs.lanes,
            instances: all.instances + stage.needs.instances,
            memory_bytes_max: all.memory_bytes_max + stage.needs.memory_bytes_max,
            state_bytes_max: all.state_bytes_max + stage.needs.state_bytes_max,
        })
    }
}

impl Server {
    /// What it would come to, if `running`, with what it counts, became `wanted`, under these limits, in that way.
    pub(crate) fn planned(
        &self,
        (pipeline, revision): (&str, u64),
        running: Option<(&Graph, &[Status])>,
        (wanted, limits): (&Graph, &Limits),
        (way, may_drop): (&'static str, bool),
    ) -> Planned {
        let memory_bytes_max = assemble::of_guests(limits).memory_bytes_max;
        let state_share = assemble::settings(limits).state_share(wanted);
        let changes = Plan::between(running.map(|(graph, _)| graph), wanted);
        let stages = Between { running, wanted, way, may_drop, memory_bytes_max, state_share }.stages();
        Planned {
            pipeline: pipeline.to_owned(),
            revision,
            way,
            changes: changes.changes().iter().map(ToString::to_string).collect(),
            state: BTreeMap::new(),
            needs: Needs::of(&stages),
            stages,
            threads: self.pool.threads(),
            needs_replace: way == "restart",
            swapped: Vec::new(),
            refused: None,
            warnings: Value::Array(Vec::new()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use wasmill_engine::codec::Format;
    use wasmill_engine::counters::Counters;
    use wasmill_engine::graph::{Draft, OnError, SinkDraft, SourceDraft, StageDraft};
    use wasmill_engine::operator::{
        Call, CallError, Effects, Factory, Operator, OperatorKind, OperatorPlan, Port, Refusal, Table,
    };
    use wasmill_engine::schema::{Field, Kind, Schema};

    use super::*;

    /// Code that keeps state of these columns.
    #[derive(Clone)]
    pub(in crate::serve) struct Keeping {
        pub(in crate::serve) digest: &'static str,
        pub(in crate::serve) imports: &'static [&'static str],
        pub(in crate::serve) columns: Vec<Field>,
    }

    impl Factory for Keeping {
        fn kind(&self) -> OperatorKind {
            OperatorKind::Keyed
        }

        fn digest(&self) -> &str {
            self.digest
        }

        fn imports(&self) -> Vec<String> {
            self.imports.iter().map(ToString::to_string).collect()
        }

        fn open(&self, _: &Value, _: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
            let tables = vec![Table { name: "seen".into(), version: 1, columns: self.columns.clone(), ttl_ms: None }];
            let ports = vec![Port { name: "main".into(), carries: None, makes: Vec::new() }];
            Ok((OperatorPlan { reads: Vec::new(), ports, tables, metrics: Vec::new() }, Box::new(self.clone())))
        }
    }

    impl Operator for Keeping {
        fn process(&mut self, _: &Call<'_>) -> Result<Effects, CallError> {
            panic!("a plan calls nobody")
        }
    }

    /// A pipeline whose only stage, `keep`, has that code.
    pub(in crate::serve) fn graph(code: Keeping, lanes: u32) -> Graph {
        let schema = Schema::new(vec![Field::required("key", Kind::Int64)]);
        let names = |name: &str| vec![name.to_owned()];
        let source = SourceDraft { name: "rows".into(), schema, format: None, event_time: None, lanes };
        let stage = StageDraft {
            name: "keep".into(),
            from: names("rows"),
            factory: Arc::new(code),
            config: json!({}),
            key: names("key"),
            lanes: None,
            on_error: OnError::Stop,
            latency: None,
        };
        let sink = SinkDraft { name: "out".into(), from: names("keep"), format: Some(Format::Ndjson) };
        let (sources, stages, sinks) = (vec![source], vec![stage], vec![sink]);
        Graph::build(Draft { name: "kept".into(), sources, stages, sinks, dead_letters: None }).unwrap()
    }

    /// The only stage of a plan from the code with 7 keys of `n` to other code.
    fn planned(way: &'static str, wanted: Keeping) -> StagePlan {
        let old = Keeping { digest: "old", imports: &["data"], columns: vec![Field::required("n", Kind::Int64)] };
        let (running, wanted) = (graph(old, 2), graph(wanted, 2));
        let counters = Arc::new(Counters::default());
        counters.state_keys.add(7);
        counters.state_bytes.add(700);
        let of_stage = Status { part: Part::Stage, name: "keep".into(), counters, metrics: None, inputs: Vec::new() };
        let status = [of_stage];
        let running = (way != "start").then_some((&running, &status[..]));
        let between =
            Between { running, wanted: &wanted, way, may_drop: false, memory_bytes_max: 1_000, state_share: 500 };
        let mut stages = between.stages();
        assert_eq!(stages.len(), 1);
        stages.remove(0)
    }

    fn code(columns: Vec<Field>) -> Keeping {
        Keeping { digest: "new", imports: &["data", "log"], columns }
    }

    #[test]
    fn a_plan_says_what_becomes_of_state_with_both_schemas() {
        let n = Field::required("n", Kind::Int64);
        let verdict = |way, columns| {
            let StatePlan { verdict, running, wanted, why, keys, .. } = planned(way, code(columns)).state;
            (verdict, running.unwrap_or_default(), wanted.unwrap_or_default(), why.unwrap_or_default(), keys)
        };
        let of_n = "seen version 1: n: int64".to_owned();
        let none = String::new;
        assert_eq!(verdict("start", vec![n.clone()]), ("empty", none(), of_n.clone(), none(), 0));
        assert_eq!(verdict("swap", vec![n.clone()]), ("carried", of_n.clone(), of_n.clone(), none(), 7));
        let more = vec![n.clone(), Field::nullable("m", Kind::Utf8)];
        let (word, running, wanted, why, _) = verdict("swap", more);
        assert_eq!((word, running), ("reshaped", of_n.clone()));
        assert!(wanted.contains("m: utf8") && why.contains("added seen.m"), "{wanted} {why}");
        let (word, running, wanted, why, keys) = verdict("swap", vec![Field::required("n", Kind::Utf8)]);
        assert_eq!((word, running, keys), ("refused", of_n.clone(), 7));
        assert!(wanted.contains("n: utf8") && why.contains("seen.n"), "{wanted} {why}");
        assert_eq!(verdict("restart", vec![n]), ("dropped", of_n.clone(), of_n, none(), 7));
    }

    #[test]
    fn a_plan_says_what_new_code_imports_and_needs() {
        let n = || vec![Field::required("n", Kind::Int64)];
        assert_eq!(planned("start", code(n())).new_imports, ["data", "log"], "all of it is new");
        let swap = planned("swap", code(n()));
        assert_eq!(swap.new_imports, ["log"]);
        assert_eq!((swap.from.as_deref(), swap.to.as_deref()), (Some("old"), Some("new")));
        let twice = Needs { lanes: 2, instances: 4, memory_bytes_max: 4_000, state_bytes_max: 1_000 };
        assert_eq!(swap.needs, twice, "both are there while the new one is watched");
        assert_eq!(planned("restart", code(n())).needs, Needs { instances: 2, memory_bytes_max: 2_000, ..twice });
    }
}
