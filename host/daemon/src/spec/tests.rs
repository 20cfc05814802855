//! Pipeline files against connectors and plugins that exist only here: what a good file becomes, and what is said of a
//! bad one, word for word.

mod good;
mod text;
mod told;

use std::sync::Arc;

use serde_json::json;
use wasmill_engine::operator::{
    Call, CallError, Effects, Factory, Operator, OperatorKind, OperatorPlan, Port, Read, Refusal,
};
use wasmill_engine::schema::{Field, Kind};

use super::*;

/// The outside of the tests: three sources, two sinks, a few plugins, two variables.
pub(crate) struct Shelf;

impl Outside for Shelf {
    fn source_names(&self) -> Vec<&'static str> {
        vec!["file", "generator", "stdin"]
    }

    fn sink_names(&self) -> Vec<&'static str> {
        vec!["file", "stdout"]
    }

    fn check_source(&self, connector: &str, config: &Value) -> Result<(), ConfigError> {
        match (connector, config.get("path"), config.get("follow")) {
            ("file", None, _) => {
                Err(ConfigError { path: String::new(), message: "file: it has no `path`; name the files".to_owned() })
            }
            ("file", _, Some(Value::String(_))) => {
                Err(ConfigError { path: "follow".to_owned(), message: "file: `follow` is true or false".to_owned() })
            }
            _ => Ok(()),
        }
    }

    fn check_sink(&self, _: &str, _: &Value) -> Result<(), ConfigError> {
        Ok(())
    }

    fn source_schema(&self, connector: &str, _: &Value) -> Option<Schema> {
        let fields = || vec![Field::required("price", Kind::Int64), Field::required("at", Kind::Timestamp)];
        (connector == "generator").then(|| Schema::new(fields()))
    }

    fn plugin(&self, _: &str, plugin: &PluginRef, base: &Path, _: &Limits) -> Result<SharedFactory, String> {
        match plugin.to_string().as_str() {
            "pass@1" => Ok(Arc::new(Plugin(OperatorKind::Transform, vec![]))),
            "validate@1" => Ok(Arc::new(Plugin(OperatorKind::Transform, vec![("value", Kind::Float64)]))),
            "./score" | "./old" => Ok(Arc::new(Plugin(OperatorKind::Keyed, vec![("value", Kind::Float64)]))),
            "./missing" => {
                let folder = base.join("missing");
                Err(format!("there is no plugin at `{}`; build it with `wasmill build`", folder.display()))
            }
            other => Err(format!("there is no plugin `{other}`; did you mean `validate@1`?")),
        }
    }

    fn warning(&self, plugin: &PluginRef, base: &Path) -> Option<String> {
        let old = base.join("old/src/lib.rs");
        (plugin.to_string() == "./old").then(|| format!("{} has changed; build it", old.display()))
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "LANES" => Some("4".to_owned()),
            "FOLDER" => Some("/data".to_owned()),
            _ => None,
        }
    }
}

/// An operator that reads these, carries all and has a port for alerts. `min` in its configuration must be a number.
struct Plugin(OperatorKind, Vec<(&'static str, Kind)>);

struct Idle;

impl Operator for Idle {
    fn process(&mut self, _: &Call<'_>) -> Result<Effects, CallError> {
        Ok(Effects::default())
    }
}

impl Factory for Plugin {
    fn kind(&self) -> OperatorKind {
        self.0
    }

    fn digest(&self) -> &str {
        "native"
    }

    fn open(&self, config: &Value, _: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
        if config.pointer("/value/min").is_some_and(|min| !min.is_number()) {
            let message = "`min` is a number".to_owned();
            return Err(Refusal { message, config_path: Some("value.min".to_owned()), field: None });
        }
        let read = |(name, kind): &(&str, Kind)| Read {
            name: (*name).to_owned(),
            kind: *kind,
            nullable: false,
            fallback: None,
        };
        let port = |name: &str| Port { name: name.to_owned(), carries: None, makes: vec![] };
        let ports = if self.0 == OperatorKind::Keyed { vec![port("main"), port("alerts")] } else { vec![port("main")] };
        let plan = OperatorPlan { reads: self.1.iter().map(read).collect(), ports, tables: vec![], metrics: vec![] };
        Ok((plan, Box::new(Idle)))
    }
}

/// The parts of a good file.
pub(crate) fn good(text: &str) -> (Spec, Graph) {
    match parse("pipeline.yaml", Path::new(""), text, &Shelf) {
        Ok(parts) => parts,
        Err(problems) => panic!("the file is good, but:\n{}", problems.render(false)),
    }
}
