//! `wasmill plugin inspect`: what a component is, before it runs.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use wasmill_engine::operator::{Factory as _, OperatorPlan, Read, SharedFactory};
use wasmill_engine::schema::{Field, Kind};

use super::{Failed, Output, Setting};
use crate::assemble::World;
use crate::{plugins, structure, trial};

pub(super) const EXAMPLES: &str = "\
Examples:
  wasmill plugin inspect examples/currency/plugin
  wasmill plugin inspect score.wasm --fields sensor=utf8,value=float64 --config '{\"sigma\": 3}'";

/// Show what a component is: kind, imports, size, digest. With the fields of an input also what it reads, its ports,
/// its state and its metrics, which an operator declares when it is opened; with --output json each is a list of
/// objects.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The component, or the folder that it was built in
    plugin: PathBuf,
    /// Fields of the input, `name=kind` with commas between; `kind?` may be null
    #[arg(long, value_delimiter = ',', value_parser = field)]
    fields: Option<Vec<Field>>,
    /// Configuration to open it with, a JSON object
    #[arg(long, default_value = "{}")]
    config: String,
}

fn field(text: &str) -> Result<Field, String> {
    let (name, kind) = text.split_once('=').ok_or("a field is `name=kind`, for example `price=int64`")?;
    let (kind, nullable) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
    let known = || Kind::ALL.map(Kind::name).join(", ");
    let kind = Kind::parse(kind).ok_or_else(|| format!("there is no kind `{kind}`; there are: {}", known()))?;
    Ok(Field { name: name.into(), kind, nullable })
}

pub(super) fn run(args: &Args, setting: &Setting) -> Result<(), Failed> {
    let world = World::new(&setting.cache);
    let wrong = |message: String| Failed::Input(format!("error: {message}"));
    let path = plugins::built(&args.plugin).map_err(wrong)?;
    let component = world.engine().and_then(|engine| plugins::load(&path, engine)).map_err(wrong)?;
    let info = component.info();
    let mut facts = json!({
        "path": path,
        "kind": info.kind.to_string(),
        "digest": info.digest,
        "size_bytes": info.size_bytes,
        "imports": info.imports,
        "exports": info.exports,
    });
    let mut unsuitable = Vec::new();
    if let Some(fields) = &args.fields {
        if let Some(twice) =
            fields.iter().enumerate().find(|(at, field)| fields[..*at].iter().any(|before| before.name == field.name))
        {
            return Err(wrong(format!("--fields names `{}` twice", twice.1.name)));
        }
        let config: Value =
            serde_json::from_str(&args.config).map_err(|error| wrong(format!("--config is not JSON: {error}")))?;
        let (plan, _) = component.open(&config, fields).map_err(|refusal| wrong(refusal.to_string()))?;
        declared(&plan, setting.output, &mut facts);
        let factory: SharedFactory = Arc::new(component.clone());
        let found = trial::unsuitable(&factory, &config, fields).map_err(|refusal| wrong(refusal.to_string()))?;
        unsuitable.extend(found);
    }
    match setting.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&facts)?),
        Output::Text => {
            print(&facts);
            if args.fields.is_none() {
                println!("with --fields name=kind,.. also what it reads, its ports and its state");
            }
        }
    }
    if unsuitable.is_empty() { Ok(()) } else { Err(wrong(unsuitable.join("\nerror: "))) }
}

/// Adds what an operator declares: for scripts as objects, for people a line each.
fn declared(plan: &OperatorPlan, output: Output, facts: &mut Value) {
    if output == Output::Json {
        if let (Some(facts), Value::Object(more)) = (facts.as_object_mut(), structure::operator(plan)) {
            facts.extend(more);
        }
        return;
    }
    let fields = |fields: &[Field]| fields.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let read = |read: &Read| format!("{}: {}{}", read.name, read.kind, if read.nullable { "?" } else { "" });
    facts["reads"] = plan.reads.iter().map(read).collect();
    let port = |port: &wasmill_engine::operator::Port| {
        let carried = |(input, output): &(String, String)| {
            if input == output { input.clone() } else { format!("{input} as {output}") }
        };
        let carries = port
            .carries
            .as_ref()
            .map_or("everything".to_owned(), |all| all.iter().map(carried).collect::<Vec<_>>().join(", "));
        format!("{}: carries {carries}; makes {}", port.name, fields(&port.makes))
    };
    facts["ports"] = plan.ports.iter().map(port).collect();
    let table = |table: &wasmill_engine::operator::Table| {
        let ttl = table.ttl_ms.map_or_else(String::new, |ms| format!(", forgotten after {ms} ms"));
        format!("{} version {}: {}{ttl}", table.name, table.version, fields(&table.columns))
    };
    facts["state"] = plan.tables.iter().map(table).collect();
    facts["metrics"] = plan.metrics.iter().map(|metric| format!("{}: {}", metric.name, metric.help)).collect();
}

fn print(facts: &Value) {
    for (key, value) in facts.as_object().into_iter().flatten() {
        let shown = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) if items.is_empty() => "none".to_owned(),
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n            "),
            other => other.to_string(),
        };
        println!("{key:11} {shown}");
    }
}
