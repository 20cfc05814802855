//! A file of cases, by the rules of `wasmill test`: what one of the two refuses, so does the other.
//!
//! Always true: whatever may be left out may also be nothing (`input:`). Neighbours: [`crate::yaml`] has what a file is
//! made of, [`crate::suite`] runs what is read here.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;
use wasmill::column::Kind;
use wasmill::config::nearest;
use wasmill::plan::Field;

use crate::datum::moment;
use crate::yaml::{Any, Entries, List, Text};

/// What may be done with a refused row, as files call it.
pub(crate) const ACTIONS: [&str; 3] = ["dead_letter", "retry", "stop"];

/// A file of cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suite {
    /// The columns that it names.
    #[serde(default)]
    pub(crate) columns: Columns,
    /// The columns of the key; none for a transform.
    pub(crate) key: Option<Names>,
    /// The cases, in order.
    pub(crate) cases: Cases,
}

/// Columns with their kinds, in the order of the file.
#[derive(Default)]
pub(crate) struct Columns(pub(crate) Vec<Field>);

/// A name, or a list of them.
pub(crate) struct Names(pub(crate) Vec<String>);

/// Cases that have names of their own.
pub(crate) struct Cases(pub(crate) Vec<Case>);

/// A case.
#[derive(Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Case {
    /// What happens in it.
    called: Spanned<Text>,
    config: Entries<Any>,
    /// What happens, one after the other: at least one step. State is kept from each to the next.
    pub(crate) steps: Vec<Step>,
}

/// What happens at one moment of a case.
pub(crate) struct Step {
    /// What the operator is told the time is.
    pub(crate) now: i64,
    /// And the watermark; [`i64::MIN`] = unknown.
    pub(crate) watermark: i64,
    input: Vec<Spanned<Entries<Any>>>,
    /// What must come out.
    pub(crate) expect: Expect,
}

/// A case as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Spanned<Text>,
    #[serde(default)]
    config: Entries<Any>,
    #[serde(default)]
    steps: List<Option<WrittenStep>>,
    now: Option<Moment>,
    watermark: Option<Moment>,
    input: Option<List<Spanned<Entries<Any>>>>,
    expect: Option<Expect>,
}

/// A step as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    now: Option<Moment>,
    watermark: Option<Moment>,
    input: Option<List<Spanned<Entries<Any>>>>,
    expect: Option<Expect>,
}

/// Microseconds since 1970-01-01 UTC.
struct Moment(i64);

/// What must come out.
#[derive(Default)]
pub(crate) struct Expect {
    /// The rows of each port that is named.
    pub(crate) ports: Vec<(String, Vec<Value>)>,
    /// The refused rows, by their numbers.
    pub(crate) rejects: Vec<Refused>,
    /// The state of each key; none = it is not looked at.
    pub(crate) state: Option<Vec<(String, Value)>>,
}

/// A row that is refused.
pub(crate) struct Refused {
    /// Its number, from 0.
    pub(crate) row: usize,
    /// One of [`ACTIONS`].
    pub(crate) action: String,
    /// Why; none = any.
    pub(crate) reason: Option<String>,
}

/// Reads a file's text.
///
/// # Errors
/// What is wrong with it, with its place.
pub(crate) fn parse(text: &str) -> Result<Suite, String> {
    // `no` is text in YAML 1.2, as in pipelines.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

impl Case {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.called.value.0
    }

    /// Line and column of its name.
    pub(crate) fn place(&self) -> String {
        place(&self.called)
    }

    /// The operator's configuration, an object.
    pub(crate) fn config(&self) -> Value {
        object(&self.config)
    }

    /// The rows that go in, those of all steps, with line and column of each.
    pub(crate) fn input(&self) -> impl Iterator<Item = (String, Value)> {
        self.steps.iter().flat_map(|step| &step.input).map(|row| (place(row), object(&row.value)))
    }
}

impl Step {
    /// How many rows go in.
    pub(crate) fn rows(&self) -> usize {
        self.input.len()
    }
}

impl TryFrom<Written> for Case {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { name: called, config, steps: List(mut steps), now, watermark, input, expect } = written;
        let own = [("now", now.is_some()), ("watermark", watermark.is_some()), ("input", input.is_some())];
        let own = own.into_iter().chain([("expect", expect.is_some())]).find(|(_, is)| *is);
        match own {
            Some((key, _)) if !steps.is_empty() => {
                return Err(format!("`{key}` stands beside the steps of a case; move it into one of them"));
            }
            _ if steps.is_empty() => steps.push(Some(WrittenStep { now, watermark, input, expect })),
            _ => {}
        }
        let (mut at, mut complete) = (None, None);
        let read = |step: Option<WrittenStep>| {
            let WrittenStep { now, watermark, input, expect } = step.unwrap_or_default();
            at = later("now", at, now)?;
            complete = later("watermark", complete, watermark)?;
            let (now, watermark) = (at.unwrap_or(0), complete.unwrap_or(i64::MIN));
            Ok(Step { now, watermark, input: input.unwrap_or_default().0, expect: expect.unwrap_or_default() })
        };
        let steps = steps.into_iter().map(read).collect::<Result<_, String>>()?;
        Ok(Self { called, config, steps })
    }
}

/// The moment of a step, or that of the one before, which it is not before.
fn later(key: &str, before: Option<i64>, now: Option<Moment>) -> Result<Option<i64>, String> {
    match (before, now.map(|Moment(at)| at)) {
        (Some(before), Some(at)) if at < before => {
            Err(format!("`{key}` of a step is before that of the step before; time does not go back"))
        }
        (before, now) => Ok(now.or(before)),
    }
}

fn place<T>(of: &Spanned<T>) -> String {
    // Of what stands elsewhere and is only named here, where it is named.
    format!("{}:{}", of.referenced.line(), of.referenced.column())
}

fn object(entries: &Entries<Any>) -> Value {
    Value::Object(entries.0.iter().map(|(key, Any(value))| (key.clone(), value.clone())).collect())
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let field = |(name, Text(text)): (String, Text)| {
            let (kind, nullable) = text.strip_suffix('?').map_or((&*text, false), |kind| (kind, true));
            let names = Kind::ALL.map(Kind::name);
            if Kind::of(kind).is_none() {
                let meant = nearest(kind, names).map_or_else(|| names.join("`, `"), str::to_owned);
                return Err(D::Error::custom(format!("there is no kind `{kind}`; `{meant}`?")));
            }
            Ok(Field { name: name.into(), kind: kind.to_owned().into(), nullable })
        };
        Entries::deserialize(deserializer)?.0.into_iter().map(field).collect::<Result<_, _>>().map(Self)
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("this is a name or a list of names");
        let name = |name: Value| match name {
            Value::String(name) => Ok(name),
            _ => Err(wrong()),
        };
        match Any::deserialize(deserializer)?.0 {
            Value::Array(names) => names.into_iter().map(name).collect::<Result<_, _>>().map(Self),
            one => name(one).map(|name| Self(vec![name])),
        }
    }
}

impl<'de> Deserialize<'de> for Cases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(List(cases)) = Option::<List<Case>>::deserialize(deserializer)? else {
            return Err(D::Error::custom("there are no cases; write `- name: what happens`, `input:` and `expect:`"));
        };
        let mut names = BTreeSet::new();
        match cases.iter().find(|case| !names.insert(case.name())) {
            Some(case) => {
                Err(D::Error::custom(format!("two cases are called `{}`; give each a name of its own", case.name())))
            }
            None => Ok(Self(cases)),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format!("this is a moment, `2026-01-01T00:00:00Z`, not `{text}`"));
        moment(&text).map(Self).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Expect;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of ports, `rejects` and `state`")
            }

            fn visit_unit<E>(self) -> Result<Expect, E> {
                Ok(Expect::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut parts: A) -> Result<Expect, A::Error> {
                let mut expect = Expect::default();
                let mut names = BTreeSet::new();
                while let Some(name) = parts.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("`{name}` stands twice")));
                    }
                    match &*name {
                        "rejects" => {
                            expect.rejects = parts.next_value::<List<Refused>>()?.0;
                            expect.rejects.sort_by_key(|refused| refused.row);
                        }
                        "state" => {
                            let keys = parts.next_value::<Entries<Entries<Any>>>()?.0;
                            expect.state = Some(keys.into_iter().map(|(key, row)| (key, object(&row))).collect());
                        }
                        _ => {
                            let rows = parts.next_value::<List<Entries<Any>>>()?.0;
                            expect.ports.push((name, rows.iter().map(object).collect()));
                        }
                    }
                }
                Ok(expect)
            }
        }
        deserializer.deserialize_any(Parts)
    }
}

impl<'de> Deserialize<'de> for Refused {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Entry {
            row: Any,
            action: Option<Text>,
            reason: Option<Text>,
        }
        let Entry { row: Any(row), action, reason } = Entry::deserialize(deserializer)?;
        let number = match &row {
            Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
            Value::String(text) => text.parse::<u32>().ok(),
            _ => None,
        };
        let wrong = || D::Error::custom(format!("`row` is the number of an input row, from 0, not `{row}`"));
        let action = action.map_or_else(|| ACTIONS[0].to_owned(), |Text(action)| action);
        if !ACTIONS.contains(&&*action) {
            let what = format!("`{action}` is no action for a refused row; there is `{}`", ACTIONS.join("`, `"));
            return Err(D::Error::custom(what));
        }
        Ok(Self { row: number.ok_or_else(wrong)? as usize, action, reason: reason.map(|Text(reason)| reason) })
    }
}
