//! What an operator declares when it is opened, checked before anything is built on it.
//!
//! That the input has what the operator reads, and what its rows are on the way out, is for the pipeline's planner to
//! check: it is the same for native operators. Neighbours: [`crate::check`] holds answers of calls against this plan.

use serde_json::Value;
use wasmill_engine::batch::Meta;
use wasmill_engine::operator::{Metric, MetricKind, OperatorKind, OperatorPlan, Port, Read, Refusal, Table};
use wasmill_engine::schema::{Field, Kind};

use crate::contract::{FieldOut, MetricOut, PlanOut, PortOut, ReadOut, TableOut};
use crate::limits::{Limits, NAME_BYTES_MAX};

/// Checks a plan.
///
/// # Errors
/// What the operator's author has to mend.
pub(crate) fn check(plan: PlanOut, kind: OperatorKind, limits: &Limits) -> Result<OperatorPlan, Refusal> {
    let PlanOut { reads, ports, tables, metrics } = plan;
    if ports.is_empty() {
        return Err(Refusal::new("the operator's plan has no output port: at least one is needed"));
    }
    at_most("ports_max", limits.ports_max, ports.len())?;
    at_most("metrics_max", limits.metrics_max, metrics.len())?;
    if kind == OperatorKind::Transform && !tables.is_empty() {
        return Err(Refusal::new("the operator's plan has state tables, which only a keyed operator can have"));
    }
    unique("the plan's reads", reads.iter().map(|read| &*read.name))?;
    unique("the plan's ports", ports.iter().map(|port| &*port.name))?;
    unique("the plan's tables", tables.iter().map(|table| &*table.name))?;
    unique("the plan's metrics", metrics.iter().map(|metric| &*metric.name))?;
    Ok(OperatorPlan {
        reads: reads.into_iter().map(read).collect::<Result<_, _>>()?,
        ports: ports.into_iter().map(port).collect::<Result<_, _>>()?,
        tables: tables.into_iter().map(table).collect::<Result<_, _>>()?,
        metrics: metrics.into_iter().map(metric).collect::<Result<_, _>>()?,
    })
}

fn at_most(limit: &str, allowed: u64, requested: usize) -> Result<(), Refusal> {
    if requested as u64 <= allowed {
        return Ok(());
    }
    Err(Refusal::new(format!("the operator's plan exceeds {limit}: limit {allowed}, requested {requested}")))
}

fn unique<'a>(place: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let mut seen: Vec<&str> = names.collect();
    seen.sort_unstable();
    match seen.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Refusal::new(format!("{place}: `{}` stands twice", pair[0]))),
        None => Ok(()),
    }
}

fn kind_of(place: &str, name: &str) -> Result<Kind, Refusal> {
    Kind::parse(name).ok_or_else(|| {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        Refusal::new(format!("{place} has kind `{name}`, which is not one of {}", known.join(", ")))
    })
}

fn read(read: ReadOut) -> Result<Read, Refusal> {
    let place = format!("the plan's read `{}`", read.name);
    if read.name.is_empty() {
        return Err(Refusal::new("one of the plan's reads has no name"));
    }
    let kind = kind_of(&place, &read.kind)?;
    if read.name.starts_with('@') {
        let Some((_, actual, _)) = Meta::parse(&read.name) else {
            return Err(Refusal::new(format!(
                "{place} names no metadata: there are @event-time, @key, @source, @partition, @offset and @headers"
            )));
        };
        if actual != kind {
            return Err(Refusal::new(format!("{place} has kind {kind}, but that metadata is {actual}")));
        }
    }
    let fallback = read.fallback.as_deref().map(|text| fallback(&place, kind, text)).transpose()?;
    Ok(Read { name: read.name, kind, nullable: read.nullable, fallback })
}

fn fallback(place: &str, kind: Kind, text: &str) -> Result<Value, Refusal> {
    let value: Value = serde_json::from_str(text)
        .map_err(|reason| Refusal::new(format!("{place} has a fallback that is not JSON: `{text}`: {reason}")))?;
    let fits = match kind {
        Kind::Boolean => value.is_boolean(),
        Kind::Int64 | Kind::Timestamp => value.is_i64(),
        Kind::Float64 => value.is_number(),
        Kind::Utf8 | Kind::Bytes => value.is_string(),
        Kind::Json => true,
    };
    if fits { Ok(value) } else { Err(Refusal::new(format!("{place} has kind {kind}, its fallback `{text}` has not"))) }
}

fn port(port: PortOut) -> Result<Port, Refusal> {
    if !is_word(&port.name, "-_") {
        let name = &port.name;
        return Err(Refusal::new(format!(
            "the port name `{name}` is not lower-case words with `-` or `_` between them"
        )));
    }
    let place = format!("the port `{}`", port.name);
    let makes = fields(&place, port.makes)?;
    if let Some(carries) = &port.carries {
        unique(&format!("{place}'s carried columns"), carries.iter().map(|carried| &*carried.output))?;
    }
    let pairs = |carries: Vec<_>| {
        carries.into_iter().map(|crate::contract::CarriedOut { input, output }| (input, output)).collect()
    };
    Ok(Port { name: port.name, carries: port.carries.map(pairs), makes })
}

fn fields(place: &str, fields: Vec<FieldOut>) -> Result<Vec<Field>, Refusal> {
    unique(&format!("{place}'s columns"), fields.iter().map(|field| &*field.name))?;
    let field = |field: FieldOut| {
        if field.name.is_empty() || field.name.starts_with('@') {
            let name = &field.name;
            return Err(Refusal::new(format!(
                "{place} makes a column `{name}`: a name is needed that does not begin with @"
            )));
        }
        if field.name.len() > NAME_BYTES_MAX {
            let bytes = field.name.len();
            let whole = format!("{place} makes a column whose name has {bytes} bytes, more than {NAME_BYTES_MAX}");
            return Err(Refusal::new(whole));
        }
        let kind = kind_of(&format!("{place}'s column `{}`", field.name), &field.kind)?;
        Ok(Field { name: field.name.into(), kind, nullable: field.nullable })
    };
    fields.into_iter().map(field).collect()
}

fn table(table: TableOut) -> Result<Table, Refusal> {
    let place = format!("the state table `{}`", table.name);
    if table.name.is_empty() {
        return Err(Refusal::new("one of the plan's state tables has no name"));
    }
    let columns = fields(&place, table.columns)?;
    Ok(Table { name: table.name, version: table.version, columns, ttl_ms: table.ttl_ms })
}

fn metric(metric: MetricOut) -> Result<Metric, Refusal> {
    if !is_word(&metric.name, "_") {
        let name = &metric.name;
        return Err(Refusal::new(format!("the metric name `{name}` is not lower-case words with `_` between them")));
    }
    let kind = match &*metric.kind {
        "counter" => MetricKind::Counter,
        "gauge" => MetricKind::Gauge,
        other => {
            let name = &metric.name;
            return Err(Refusal::new(format!(
                "the metric `{name}` has kind `{other}`, which is not one of counter, gauge"
            )));
        }
    };
    Ok(Metric { name: metric.name, kind, help: metric.help })
}

/// Whether a name is lower-case words, the first beginning with a letter, with one of `between` between two of them.
fn is_word(name: &str, between: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let words = name.split(|letter: char| between.contains(letter));
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && words.into_iter().all(|word| !word.is_empty() && word.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> PlanOut {
        let port = PortOut { name: "main".into(), carries: None, makes: vec![] };
        PlanOut { reads: vec![], ports: vec![port], tables: vec![], metrics: vec![] }
    }

    fn refusal(change: impl FnOnce(&mut PlanOut)) -> String {
        let mut plan = plan();
        change(&mut plan);
        check(plan, OperatorKind::Transform, &Limits::default()).unwrap_err().message
    }

    fn reading(name: &str, kind: &str, fallback: Option<&str>) -> String {
        let (name, kind, fallback) = (name.to_string(), kind.to_string(), fallback.map(Into::into));
        refusal(|plan| plan.reads.push(ReadOut { name, kind, nullable: false, fallback }))
    }

    #[test]
    fn the_smallest_plan_is_one_port() {
        assert!(check(plan(), OperatorKind::Transform, &Limits::default()).is_ok());
        assert!(refusal(|plan| plan.ports.clear()).contains("no output port"));
    }

    #[test]
    fn names_are_unique_and_well_formed() {
        assert!(refusal(|plan| plan.ports.push(plan.ports[0].clone())).contains("`main` stands twice"));
        for name in ["", "Main", "a b", "-a", "a-", "a--b", "1a"] {
            let said = refusal(|plan| plan.ports[0].name = name.into());
            assert!(said.contains("port name"), "`{name}`: {said}");
        }
        assert!(is_word("late-rows_2", "-_") && !is_word("late-rows", "_"));
    }

    #[test]
    fn a_column_has_a_name_that_can_be_written_with_every_row() {
        let making = |bytes: usize| {
            let mut plan = plan();
            plan.ports[0].makes.push(FieldOut { name: "n".repeat(bytes), kind: "int64".into(), nullable: false });
            check(plan, OperatorKind::Transform, &Limits::default())
        };
        assert!(making(NAME_BYTES_MAX).is_ok());
        let said = making(NAME_BYTES_MAX + 1).unwrap_err().message;
        assert!(said.contains("whose name has 257 bytes, more than 256"), "{said}");
    }

    #[test]
    fn too_many_ports_name_the_limit() {
        let said = refusal(|plan| {
            plan.ports = (0..9).map(|i| PortOut { name: format!("p{i}"), carries: None, makes: vec![] }).collect();
        });
        assert!(said.contains("ports_max: limit 8, requested 9"), "{said}");
    }

    #[test]
    fn too_many_metrics_name_the_limit() {
        let metric = |i| MetricOut { name: format!("m{i}"), kind: "counter".into(), help: "One.".into() };
        let said = refusal(|plan| plan.metrics = (0..101).map(metric).collect());
        assert!(said.contains("metrics_max: limit 100, requested 101"), "{said}");
    }

    #[test]
    fn kinds_and_fallbacks_fit() {
        assert!(reading("x", "string", None).contains("not one of boolean, int64"));
        assert!(reading("x", "int64", Some("0.5")).contains("has kind int64, its fallback `0.5` has not"));
        assert!(reading("x", "utf8", Some("unquoted")).contains("is not JSON"));
        assert!(reading("@offset", "utf8", None).contains("that metadata is int64"));
        assert!(reading("@time", "utf8", None).contains("@event-time"));
    }

    #[test]
    fn state_is_for_keyed_operators() {
        let table = TableOut { name: "t".into(), version: 1, columns: vec![], ttl_ms: None };
        assert!(refusal(|plan| plan.tables.push(table)).contains("only a keyed operator"));
    }
}
