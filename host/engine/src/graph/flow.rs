//! The rows between two parts of a graph while it is built: what a source or a port gives, and what a reader gets when
//! it reads from one or several of them.

use std::sync::Arc;

use super::layout::{Origin, Recipe};
use super::names::{self, Link};
use super::needs::{self, Arrival};
use super::suggest::hint;
use super::{GraphError, Shape, Upstream};
use crate::operator::OperatorPlan;
use crate::schema::Schema;

/// Rows of a source or a port, as whoever reads them finds them.
pub(super) struct Flow {
    /// Which source or port.
    pub(super) upstream: Upstream,
    /// `readings`, `score`, `score.alerts`.
    pub(super) name: String,
    /// The port's own name; empty for a source.
    pub(super) port: String,
    /// The fields.
    pub(super) schema: Schema,
    /// For each field who made it.
    pub(super) makers: Vec<Arc<str>>,
    /// Which rows can come.
    pub(super) arrivals: Vec<Arrival>,
    /// Lanes that they come from.
    pub(super) lanes: u32,
    /// Whether somebody reads them.
    pub(super) read: bool,
}

impl Flow {
    /// What the ports of a stage give. `position` is the stage's in the graph.
    pub(super) fn of_stage(
        (position, stage, lanes): (usize, &str, u32),
        plan: &OperatorPlan,
        recipes: &[Recipe],
        shapes: &[Shape],
        inputs: &Inputs,
    ) -> Vec<Self> {
        let maker: Arc<str> = format!("stage `{stage}`").into();
        let flow = |(number, recipe): (usize, &Recipe)| {
            let port = plan.ports[number].name.clone();
            let name = if number == 0 { stage.to_owned() } else { format!("{stage}.{port}") };
            let makers = recipe.origins.iter().map(|origin| match origin {
                Origin::Carried(field) => inputs.makers[*field].clone(),
                Origin::Made(_) => maker.clone(),
            });
            let mut arrivals: Vec<Arrival> = Vec::new();
            for (source, layout) in &inputs.arrivals {
                let shape = shapes.iter().find(|shape| Arc::ptr_eq(&shape.input, layout));
                let shape = shape.expect("each layout that comes in has a shape");
                add_arrival(&mut arrivals, &(*source, shape.ports[number].layout.clone()));
            }
            let makers = makers.collect();
            let schema = recipe.schema.clone();
            Self {
                upstream: Upstream::Port(position, number),
                name,
                port,
                schema,
                makers,
                arrivals,
                lanes,
                read: false,
            }
        };
        recipes.iter().enumerate().map(flow).collect()
    }
}

/// What comes into a stage or a sink.
pub(super) struct Inputs {
    /// Where from.
    pub(super) upstreams: Vec<Upstream>,
    /// The fields, the same from everywhere.
    pub(super) schema: Schema,
    /// For each field who made it.
    pub(super) makers: Vec<Arc<str>>,
    /// Which rows can come.
    pub(super) arrivals: Vec<Arrival>,
    /// The most lanes that any of them come from.
    pub(super) lanes: u32,
}

impl Inputs {
    fn of(flow: &Flow) -> Self {
        Self {
            upstreams: vec![flow.upstream],
            schema: flow.schema.clone(),
            makers: flow.makers.clone(),
            arrivals: flow.arrivals.clone(),
            lanes: flow.lanes,
        }
    }

    fn join(&mut self, flow: &Flow) {
        self.upstreams.push(flow.upstream);
        self.lanes = self.lanes.max(flow.lanes);
        flow.arrivals.iter().for_each(|arrival| add_arrival(&mut self.arrivals, arrival));
    }
}

/// Who reads, in errors: `("stage", "score")`.
pub(super) type Reader<'a> = (&'a str, &'a str);

/// All flows known so far.
#[derive(Default)]
pub(super) struct Flows {
    /// One entry a source.
    pub(super) sources: Vec<Flow>,
    /// For each stage of the draft its ports; none = it has failed, or its turn has not come.
    pub(super) stages: Vec<Option<Vec<Flow>>>,
}

impl Flows {
    /// What comes in over these links; none where that cannot be known, for reasons that are reported.
    pub(super) fn inputs(
        &mut self,
        reader: Reader<'_>,
        links: &[Link],
        errors: &mut Vec<GraphError>,
    ) -> Option<Inputs> {
        let (what, name) = reader;
        let mut inputs: Option<(String, Inputs)> = None;
        let mut known = true;
        for (i, link) in links.iter().enumerate() {
            let joined = self.find(link).and_then(|flow| {
                let Some(flow) = flow else { return Ok(false) };
                flow.read = true;
                match &mut inputs {
                    None => inputs = Some((flow.name.clone(), Inputs::of(flow))),
                    Some((first, inputs)) => {
                        check_joined(first, inputs, flow)?;
                        inputs.join(flow);
                    }
                }
                Ok(true)
            });
            known &= joined.unwrap_or_else(|message| {
                let path = names::entry_path(&format!("{what}s.{name}.from"), i, links.len());
                errors.push(GraphError { path, message: format!("{what} `{name}` reads from {message}") });
                false
            });
        }
        inputs.map(|(_, inputs)| inputs).filter(|_| known)
    }

    /// What a link leads to; none where that has failed. An error where the stage has no such port.
    fn find(&mut self, link: &Link) -> Result<Option<&mut Flow>, String> {
        let (stage, port) = match link {
            Link::Source(position) => return Ok(self.sources.get_mut(*position)),
            Link::Stage(stage, port) => (*stage, port.as_ref()),
        };
        let Some(ports) = self.stages[stage].as_mut() else { return Ok(None) };
        let position = match port {
            None => 0,
            Some(port) => ports.iter().position(|flow| flow.port == *port).ok_or_else(|| {
                // Some port was meant: that nobody reads it is not a second mistake.
                ports.iter_mut().for_each(|flow| flow.read = true);
                let stage = &ports[0].name;
                let hint = hint(port, ports.iter().map(|flow| flow.port.as_str()));
                format!("`{stage}.{port}`, but stage `{stage}` has no such port{hint}")
            })?,
        };
        Ok(ports.get_mut(position))
    }
}

fn add_arrival(arrivals: &mut Vec<Arrival>, new: &Arrival) {
    if !arrivals.iter().any(|(source, layout)| *source == new.0 && Arc::ptr_eq(layout, &new.1)) {
        arrivals.push(new.clone());
    }
}

/// Whether the rows of `flow` can come in beside those of `inputs`, whose first are from `first`.
fn check_joined(first: &str, inputs: &Inputs, flow: &Flow) -> Result<(), String> {
    let name = &flow.name;
    if inputs.upstreams.contains(&flow.upstream) {
        return Err(format!("`{name}` twice; once is enough"));
    }
    let Some(difference) = difference(first, &inputs.schema, name, &flow.schema) else { return Ok(()) };
    let (left, right) = (needs::shown(&inputs.schema), needs::shown(&flow.schema));
    Err(format!("`{first}` and `{name}`, whose rows differ: {difference}; `{first}` has {left}, `{name}` has {right}"))
}

/// The first difference between two schemas, in words.
fn difference(left_name: &str, left: &Schema, right_name: &str, right: &Schema) -> Option<String> {
    let (left, right) = (left.fields(), right.fields());
    let differing = left.iter().zip(right).position(|(left, right)| left != right);
    let position = differing.unwrap_or(left.len().min(right.len()));
    match (left.get(position), right.get(position)) {
        (None, None) => None,
        (Some(l), Some(r)) => {
            let ordinal = position + 1;
            Some(format!("column {ordinal} is `{l}` in `{left_name}` and `{r}` in `{right_name}`"))
        }
        (Some(field), None) => Some(format!("`{right_name}` has no `{field}`")),
        (None, Some(field)) => Some(format!("`{left_name}` has no `{field}`")),
    }
}
