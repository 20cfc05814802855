//! A stage under other code: what the new operator reads and makes, beside everything that stays as it was planned.

use std::sync::Arc;

use super::reads::{self, Input};
use super::{Column, Graph, Shape, Stage, Upstream};
use crate::batch::{Batch, Place};
use crate::operator::{Operator, SharedFactory};
use crate::schema::Kind;

impl Stage {
    /// Kinds of the fields that make the key; empty for a transform.
    #[must_use]
    pub fn key_kinds(&self) -> Vec<Kind> {
        self.key.iter().map(|field| self.schema.fields()[*field].kind).collect()
    }

    /// What each port makes of the rows of a batch; none where the plan does not know its layout.
    #[must_use]
    pub fn shape(&self, batch: &Batch) -> Option<&Shape> {
        let same = |shape: &&Shape| Arc::ptr_eq(&shape.input, batch.layout());
        self.shapes.iter().find(same).or_else(|| self.shapes.iter().find(|shape| shape.input == *batch.layout()))
    }

    /// This stage with other code, opened. Its shapes are those of the old code: they are right where the ports are
    /// the same, which whoever puts it to work checks.
    ///
    /// # Errors
    /// The code cannot be opened, or reads what the stage's rows do not have.
    pub fn with_code(&self, factory: SharedFactory) -> Result<(Self, Box<dyn Operator>), String> {
        let (plan, operator) =
            factory.open(&self.config, self.schema.fields()).map_err(|refusal| refusal.to_string())?;
        let maker: Arc<str> = "an earlier part of the pipeline".into();
        let makers = vec![maker; self.schema.fields().len()];
        let input = Input { schema: &self.schema, makers: &makers };
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        let fills = reads::fills(&self.name, &plan.reads, &input, &mut errors, &mut warnings);
        match errors.into_iter().next() {
            Some(error) => Err(error.message),
            None => Ok((Self { factory, plan, fills, ..self.clone() }, operator)),
        }
    }
}

impl Graph {
    /// The first column that a stage, which reads what stage `number` of this graph reads, would read and that the
    /// sources of this graph do not fill.
    #[must_use]
    pub fn undecoded(&self, number: usize, stage: &Stage) -> Option<String> {
        let read = stage.fills.iter().filter_map(|fill| match fill.column {
            Column::Field(position) => Some(position),
            Column::Meta(_) | Column::Absent => None,
        });
        let read: Vec<usize> = read.collect();
        let decodes = self.sources_of(number).into_iter().filter_map(|source| self.sources[source].decode.as_ref());
        let mut missing = decodes.flat_map(|decode| {
            let layouts = stage.shapes.iter().map(|shape| &shape.input);
            let own = layouts.filter(|layout| layout.source == decode.schema);
            own.flat_map(|layout| read.iter().map(|field| (*field, layout.places[*field]))).filter_map(
                |(field, place)| match place {
                    Place::Record(of_source) if !decode.needs.fill[of_source] => Some(field),
                    _ => None,
                },
            )
        });
        missing.next().map(|field| self.stages[number].schema.fields()[field].name.to_string())
    }

    /// The sources that a stage's rows are from, in order.
    #[must_use]
    pub fn sources_of(&self, number: usize) -> Vec<usize> {
        let mut sources = Vec::new();
        for input in &self.stages[number].inputs {
            match input {
                Upstream::Source(source) => sources.push(*source),
                Upstream::Port(stage, _) => sources.extend(self.sources_of(*stage)),
            }
        }
        sources.sort_unstable();
        sources.dedup();
        sources
    }
}
