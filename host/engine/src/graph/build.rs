//! From a draft to a graph: sources, then each stage after those that it reads from, then sinks, then what is needed of
//! the sources.
//!
//! An error does not end the work: whatever does not depend on what failed is checked too, so all errors come at once.

use std::sync::Arc;

use super::flow::{Flow, Flows};
use super::layout::{Layouts, Recipe};
use super::names::{self, Link};
use super::needs::{self, Arrival, Demand};
use super::reads::{self, Input};
use super::suggest::hint;
use super::{
    Draft, Graph, GraphError, Shape, Sink, SinkDraft, Source, SourceDraft, Stage, StageDraft, Upstream, check_lanes,
};
use crate::batch::Layout;
use crate::codec::{DecodePlan, Format, Needs};
use crate::dead_letter;
use crate::limits::LAYOUTS_MAX;
use crate::operator::{OperatorKind, OperatorPlan, Refusal};
use crate::schema::{Kind, Schema};

impl Graph {
    /// Resolves names, opens each operator once for its plan, checks every type and works out every column's place.
    ///
    /// # Errors
    /// All that is wrong with the draft.
    pub fn build(draft: Draft) -> Result<Self, Vec<GraphError>> {
        let mut build = Build::default();
        let links = names::resolve(&draft, &mut build.errors);
        if draft.sources.is_empty() {
            build.error("sources", "a pipeline needs a source".to_owned());
        }
        if draft.sinks.is_empty() {
            build.error("sinks", "a pipeline needs a sink".to_owned());
        }
        draft.sources.iter().for_each(|source| build.source(source));
        build.flows.stages.resize_with(draft.stages.len(), || None);
        for stage in &links.order {
            let links = links.stages[*stage].as_deref();
            build.flows.stages[*stage] = links.and_then(|links| build.stage(&draft.stages[*stage], links));
        }
        let mut sinks = Vec::with_capacity(draft.sinks.len());
        for (sink, links) in draft.sinks.iter().zip(&links.sinks) {
            sinks.extend(links.as_ref().and_then(|links| build.sink(sink, links)));
        }
        if links.complete() && links.order.len() == draft.stages.len() {
            build.check_unread(&draft);
        }
        build.finish(&draft, sinks)
    }
}

/// The work so far.
#[derive(Default)]
struct Build {
    errors: Vec<GraphError>,
    warnings: Vec<GraphError>,
    layouts: Layouts,
    sources: Vec<Source>,
    flows: Flows,
    stages: Vec<Stage>,
    /// What comes into each of `stages`.
    arrivals: Vec<Vec<Arrival>>,
    /// What comes into each sink.
    sunk: Vec<Vec<Arrival>>,
}

impl Build {
    fn error(&mut self, path: &str, message: String) {
        self.errors.push(GraphError { path: path.to_owned(), message });
    }

    fn source(&mut self, draft: &SourceDraft) {
        let SourceDraft { name, schema, format, .. } = draft;
        let position = self.sources.len();
        self.check_fields(draft);
        self.check_lanes(&format!("sources.{name}"), draft.lanes);
        let event_time = draft.event_time.as_ref().and_then(|(column, lateness)| {
            let found = event_time(name, schema, column);
            let path = format!("sources.{name}.event_time.column");
            found.map_err(|message| self.error(&path, message)).ok().map(|position| (position, *lateness))
        });
        let layout = self.layouts.share(Layout::of_source(schema));
        let fields = schema.fields().len();
        let needs = Needs { fill: vec![false; fields], locate: vec![false; fields] };
        let event_position = event_time.map(|(position, _)| position);
        let decode = format.clone().map(|format| DecodePlan {
            format,
            schema: schema.clone(),
            needs,
            event_time: event_position,
        });
        self.flows.sources.push(Flow {
            upstream: Upstream::Source(position),
            name: name.clone(),
            port: String::new(),
            schema: schema.clone(),
            makers: vec![format!("source `{name}`").into(); fields],
            arrivals: vec![(position, layout.clone())],
            lanes: draft.lanes,
            read: false,
        });
        self.sources.push(Source { name: name.as_str().into(), decode, layout, event_time, lanes: draft.lanes });
    }

    fn check_fields(&mut self, draft: &SourceDraft) {
        let SourceDraft { name, schema, format, .. } = draft;
        let path = format!("sources.{name}.format");
        for field in schema.fields() {
            if field.name.starts_with('@') || field.name.split('.').any(str::is_empty) {
                let message = format!(
                    "`{}` cannot be the name of a column: a name has no `@` in front, and no part of its \
                     path is empty",
                    field.name
                );
                self.error(&path, message);
            }
        }
        match (format, schema.fields()) {
            (Some(Format::Raw), [field]) if matches!(field.kind, Kind::Utf8 | Kind::Bytes) => {}
            (Some(Format::Raw), _) => {
                let has = needs::shown(schema);
                self.error(
                    &path,
                    format!("source `{name}` has raw lines, which are one utf8 or bytes column, not {has}"),
                );
            }
            (Some(Format::Ndjson), _) => {
                if let Some((outer, inner)) = needs::nested_twice(schema, |outer| outer.kind != Kind::Json) {
                    let message =
                        format!("source `{name}` has `{inner}` within `{outer}`; make `{outer}` json or drop it");
                    self.error(&path, message);
                }
            }
            _ => {}
        }
    }

    fn check_lanes(&mut self, path: &str, lanes: u32) {
        if let Err(message) = check_lanes(lanes) {
            self.error(&format!("{path}.lanes"), message);
        }
    }

    /// Everything about one stage; answers what its ports give, or none where that cannot be known.
    fn stage(&mut self, draft: &StageDraft, links: &[Link]) -> Option<Vec<Flow>> {
        let name = &draft.name;
        let inputs = self.flows.inputs(("stage", name), links, &mut self.errors)?;
        // Between rows of several inputs there is no order that lanes could take turns in.
        let merges = inputs.upstreams.len() > 1 && draft.key.is_empty();
        let lanes = if merges { 1 } else { draft.lanes.unwrap_or(inputs.lanes) };
        if draft.lanes.is_some() {
            self.check_lanes(&format!("stages.{name}"), lanes);
        }
        if draft.latency.is_some_and(|latency| latency <= 0) {
            self.error(
                &format!("stages.{name}.latency"),
                format!("stage `{name}` has a `latency` of nothing; write `10ms`"),
            );
        }
        let key = reads::key(draft, &inputs.schema, &mut self.errors);
        let plan = match draft.factory.open(&draft.config, inputs.schema.fields()) {
            Ok((plan, _)) => plan,
            Err(refusal) => {
                self.errors.push(refused(name, refusal));
                return None;
            }
        };
        let input = Input { schema: &inputs.schema, makers: &inputs.makers };
        let fills = reads::fills(name, &plan.reads, &input, &mut self.errors, &mut self.warnings);
        let recipes = match recipes(draft, &plan, &inputs.schema) {
            Ok(recipes) => recipes,
            Err(message) => {
                self.error(
                    &format!("stages.{name}.plugin"),
                    format!("the operator of stage `{name}` is invalid: {message}"),
                );
                return None;
            }
        };
        let shapes = self.shapes(&recipes, &inputs.arrivals);
        if shapes.len() > LAYOUTS_MAX {
            let message = format!(
                "rows reach stage `{name}` on {} different ways, more than {LAYOUTS_MAX}; \
                 join the ways in fewer places",
                shapes.len()
            );
            self.error(&format!("stages.{name}.from"), message);
            return None;
        }
        let flows = Flow::of_stage((self.stages.len(), name, lanes), &plan, &recipes, &shapes, &inputs);
        self.stages.push(Stage {
            name: name.as_str().into(),
            inputs: inputs.upstreams,
            schema: inputs.schema,
            factory: draft.factory.clone(),
            config: draft.config.clone(),
            plan,
            fills,
            key,
            shapes,
            lanes,
            on_error: draft.on_error,
            latency: draft.latency,
        });
        self.arrivals.push(inputs.arrivals);
        Some(flows)
    }

    /// One shape for each layout that can come in.
    fn shapes(&mut self, recipes: &[Recipe], arrivals: &[Arrival]) -> Vec<Shape> {
        let mut shapes: Vec<Shape> = Vec::new();
        for (_, layout) in arrivals {
            if !shapes.iter().any(|shape| Arc::ptr_eq(&shape.input, layout)) {
                let ports = recipes.iter().map(|recipe| recipe.derive(layout, &mut self.layouts)).collect();
                shapes.push(Shape { input: layout.clone(), ports });
            }
        }
        shapes
    }

    fn sink(&mut self, draft: &SinkDraft, links: &[Link]) -> Option<Sink> {
        let inputs = self.flows.inputs(("sink", &draft.name), links, &mut self.errors)?;
        self.sunk.push(inputs.arrivals);
        Some(Sink {
            name: draft.name.as_str().into(),
            inputs: inputs.upstreams,
            schema: inputs.schema,
            format: draft.format.clone(),
        })
    }

    /// Rows that nobody reads: an error where it is all that a source or stage gives, a warning for a single port.
    fn check_unread(&mut self, draft: &Draft) {
        let mut errors = Vec::new();
        for flow in self.flows.sources.iter().filter(|flow| !flow.read) {
            let message = format!(
                "nobody reads from source `{0}`; name it in the `from` of a stage or sink, or remove it",
                flow.name
            );
            errors.push(GraphError { path: format!("sources.{}", flow.name), message });
        }
        for (stage, ports) in draft.stages.iter().zip(&self.flows.stages) {
            let Some(ports) = ports else { continue };
            let path = format!("stages.{}", stage.name);
            if ports.iter().all(|port| !port.read) {
                let message = format!(
                    "nobody reads from stage `{0}`; name it in the `from` of a stage or sink, or remove it",
                    stage.name
                );
                errors.push(GraphError { path, message });
                continue;
            }
            for port in ports.iter().filter(|port| !port.read) {
                let message = format!("nobody reads from `{}`; its rows are dropped", port.name);
                self.warnings.push(GraphError { path: path.clone(), message });
            }
        }
        self.errors.append(&mut errors);
    }

    fn finish(mut self, draft: &Draft, sinks: Vec<Sink>) -> Result<Graph, Vec<GraphError>> {
        let mut demand = Demand::new(&self.sources);
        for (stage, arrivals) in self.stages.iter().zip(&self.arrivals) {
            demand.stage(stage, arrivals);
        }
        for (sink, arrivals) in sinks.iter().zip(&self.sunk) {
            self.errors.extend(demand.sink(sink, &self.sources, arrivals).err());
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        for (source, needs) in self.sources.iter_mut().zip(demand.into_needs()) {
            if let Some(decode) = &mut source.decode {
                decode.needs = needs;
            }
        }
        let dead_letters = draft.dead_letters.as_ref().map(|sink| Sink {
            name: sink.name.as_str().into(),
            inputs: Vec::new(),
            schema: dead_letter::schema(),
            format: sink.format.clone(),
        });
        Ok(Graph {
            name: draft.name.as_str().into(),
            sources: self.sources,
            stages: self.stages,
            sinks,
            dead_letters,
            warnings: self.warnings,
        })
    }
}

/// Position of the field that is the event time.
fn event_time(source: &str, schema: &Schema, column: &str) -> Result<usize, String> {
    let Some(position) = schema.position(column) else {
        let hint = hint(column, schema.fields().iter().map(|field| &*field.name));
        return Err(format!("source `{source}` has no column `{column}` for its event time{hint}"));
    };
    let kind = schema.fields()[position].kind;
    if kind != Kind::Timestamp {
        return Err(format!(
            "the event time of source `{source}` is `{column}`, which is {kind}; declare it as timestamp"
        ));
    }
    Ok(position)
}

/// A refusal as an error at the key of the configuration that it names.
fn refused(stage: &str, refusal: Refusal) -> GraphError {
    let Refusal { message, config_path, field } = refusal;
    let path =
        config_path.map_or_else(|| format!("stages.{stage}.plugin"), |key| format!("stages.{stage}.config.{key}"));
    let about = field.map_or_else(String::new, |field| format!(", about its input `{field}`"));
    GraphError { path, message: format!("the operator of stage `{stage}` says{about}: {message}") }
}

/// What each port makes of the rows, or what is wrong with the plan.
fn recipes(draft: &StageDraft, plan: &OperatorPlan, input: &Schema) -> Result<Vec<Recipe>, String> {
    if plan.ports.is_empty() {
        return Err("it has no output port".to_owned());
    }
    if draft.factory.kind() == OperatorKind::Transform && !plan.tables.is_empty() {
        return Err("it is a transform and has state tables".to_owned());
    }
    let mut recipes = Vec::with_capacity(plan.ports.len());
    for (i, port) in plan.ports.iter().enumerate() {
        if port.name.is_empty() || plan.ports[..i].iter().any(|other| other.name == port.name) {
            return Err(format!("the name `{}` of its port {i} is empty or used twice", port.name));
        }
        recipes.push(Recipe::new(port, input)?);
    }
    Ok(recipes)
}
