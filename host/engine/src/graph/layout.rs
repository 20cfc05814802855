//! What an operator's ports make of the rows that come in: the schema, and where each column lies afterwards.
//!
//! A [`Recipe`] depends on the schema that comes in alone, what it derives also on where the columns lie, which may
//! differ between the sources and paths that lead to one stage.

use std::sync::Arc;

use super::Derived;
use super::suggest::hint;
use crate::batch::{Layout, Place};
use crate::operator::Port;
use crate::schema::{Field, Schema};

/// Where a field of a port's rows is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The field of that position in the input's schema.
    Carried(usize),
    /// The column of that position in the port's `makes`.
    Made(usize),
}

/// The rows of a port, whatever layout comes in.
#[derive(Debug)]
pub(super) struct Recipe {
    /// Their fields.
    pub(super) schema: Schema,
    /// Where each field is from.
    pub(super) origins: Vec<Origin>,
    /// How many columns the operator makes.
    makes: usize,
    /// Whether all fields are carried on, so that nothing of the record is left out.
    all: bool,
}

impl Recipe {
    /// What that port makes of rows of that schema, or what is wrong with the port, the rest of a sentence about the
    /// operator.
    pub(super) fn new(port: &Port, input: &Schema) -> Result<Self, String> {
        let mut fields: Vec<Field> = Vec::new();
        let mut origins = Vec::new();
        match &port.carries {
            None => {
                fields.extend_from_slice(input.fields());
                origins.extend((0..fields.len()).map(Origin::Carried));
            }
            Some(carries) => {
                for (from, to) in carries {
                    let Some(position) = input.position(from) else {
                        let names = input.fields().iter().map(|field| &*field.name);
                        let hint = hint(from, names);
                        return Err(format!(
                            "port `{}` carries `{from}`, which its input does not have{hint}",
                            port.name
                        ));
                    };
                    let field = &input.fields()[position];
                    add(port, &mut fields, Field { name: to.as_str().into(), ..field.clone() })?;
                    origins.push(Origin::Carried(position));
                }
            }
        }
        for (made, field) in port.makes.iter().enumerate() {
            let same = fields.iter().position(|other| other.name == field.name);
            match same {
                Some(at) if matches!(origins[at], Origin::Carried(_)) => {
                    fields[at] = field.clone();
                    origins[at] = Origin::Made(made);
                }
                _ => {
                    add(port, &mut fields, field.clone())?;
                    origins.push(Origin::Made(made));
                }
            }
        }
        Ok(Self { schema: Schema::new(fields), origins, makes: port.makes.len(), all: port.carries.is_none() })
    }

    /// The layout of the rows, and which of the columns made earlier it keeps, for rows that come in like that.
    pub(super) fn derive(&self, input: &Layout, layouts: &mut Layouts) -> Derived {
        let mut keeps: Vec<usize> = Vec::new();
        let mut place = |origin: &Origin| match origin {
            Origin::Made(made) => Place::Made(*made),
            Origin::Carried(field) => match input.places[*field] {
                Place::Record(record) => Place::Record(record),
                Place::Made(made) => {
                    let kept = keeps.iter().position(|kept| *kept == made).unwrap_or_else(|| {
                        keeps.push(made);
                        keeps.len() - 1
                    });
                    Place::Made(self.makes + kept)
                }
            },
        };
        let places = self.origins.iter().map(&mut place).collect();
        let whole = input.whole && self.all;
        let layout = Layout { source: input.source.clone(), schema: self.schema.clone(), places, whole };
        Derived { layout: layouts.share(layout), keeps }
    }
}

fn add(port: &Port, fields: &mut Vec<Field>, field: Field) -> Result<(), String> {
    if field.name.is_empty() || field.name.starts_with('@') {
        let (port, name) = (&port.name, &field.name);
        return Err(format!(
            "port `{port}` has a column named `{name}`; names with `@` are metadata, and none is empty"
        ));
    }
    if fields.iter().any(|other| other.name == field.name) {
        return Err(format!("port `{}` has two columns named `{}`", port.name, field.name));
    }
    fields.push(field);
    Ok(())
}

/// All layouts of a graph; equal ones are one.
#[derive(Debug, Default)]
pub(super) struct Layouts(Vec<Arc<Layout>>);

impl Layouts {
    /// The one that is equal to this.
    pub(super) fn share(&mut self, layout: Layout) -> Arc<Layout> {
        if let Some(same) = self.0.iter().find(|other| ***other == layout) {
            return same.clone();
        }
        let layout = Arc::new(layout);
        self.0.push(layout.clone());
        layout
    }
}
