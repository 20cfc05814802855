//! The stage's configuration: JSON into a serde type, with the path of whatever is wrong.
//!
//! A struct, and a variant of an enum that has fields, takes only the keys that it has, also where its author did not
//! ask serde to deny others: a mistyped key would otherwise silently mean its default. Where serde keeps keys aside and
//! does not say which ones a type has (`flatten`, `tag`, `untagged`) that is the author's: `deny_unknown_fields`.
//! Neighbours: the attributes call [`parse`] when an operator is opened.

use std::fmt;

use serde_core::de::value::StrDeserializer;
use serde_core::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde_core::forward_to_deserialize_any;

use crate::json::{self, Value};
use crate::plan::Refusal;

/// Asks a configuration whether its values make sense. A type's own `fn check(&self) -> Result<(), String>` goes before
/// this one, which finds everything right.
pub trait Check {
    /// Whether the values make sense.
    ///
    /// # Errors
    /// What does not, in a sentence.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

impl<T> Check for T {}

/// What a type's `check` answers.
#[diagnostic::on_unimplemented(
    message = "the `check` of a configuration answers `Result<(), String>`, not `{Self}`",
    note = "`fn check(&self) -> Result<(), String>`: the error is a sentence for whoever wrote the configuration"
)]
pub trait Checked {
    /// The answer.
    ///
    /// # Errors
    /// The configuration's values make no sense.
    fn checked(self) -> Result<(), Refusal>;
}

impl Checked for Result<(), String> {
    fn checked(self) -> Result<(), Refusal> {
        self.map_err(|what| Refusal::new(format!("the configuration is not usable: {what}")))
    }
}

/// A type that a configuration is read into: whatever serde can deserialize.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a configuration",
    note = "put `#[derive(serde::Deserialize)]` on it"
)]
pub trait Configuration: DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Configuration for T {}

/// The configuration that the text of a JSON object says.
///
/// # Errors
/// It is not JSON, has a key that the type does not know, lacks one without a default, or has one of the wrong type.
pub fn parse<C: Configuration>(text: &str) -> Result<C, Refusal> {
    let value = json(text)?;
    C::deserialize(Node { value: &value, path: String::new() }).map_err(Wrong::refusal)
}

/// The configuration of an operator that has none: an empty object.
///
/// # Errors
/// There is a key.
pub fn parse_none(text: &str) -> Result<(), Refusal> {
    match json(text)? {
        Value::Object(keys) => known(&keys, &[], "").map_err(Wrong::refusal),
        _ => Ok(()),
    }
}

/// What the `check` of a configuration answered.
///
/// # Errors
/// It found something.
pub fn checked(answer: impl Checked) -> Result<(), Refusal> {
    answer.checked()
}

fn json(text: &str) -> Result<Value, Refusal> {
    json::parse(text).map_err(|error| Refusal::new(format!("the configuration is not JSON: {error}")))
}

/// Something wrong at a path; the path is empty until the innermost value that has one adds it.
#[derive(Debug)]
struct Wrong {
    what: String,
    path: String,
}

impl Wrong {
    fn at(mut self, path: &str) -> Self {
        if self.path.is_empty() {
            path.clone_into(&mut self.path);
        }
        self
    }

    fn refusal(self) -> Refusal {
        let Self { what, path } = self;
        if path.is_empty() {
            return Refusal::new(format!("configuration: {what}"));
        }
        Refusal::new(format!("configuration key `{path}`: {what}")).key(path)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Wrong {}

impl Error for Wrong {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self { what: what.to_string(), path: String::new() }
    }

    /// In the words of JSON: serde calls null a unit value, and writes all digits of a large number.
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Unit => Self::custom(format_args!("invalid type: null, expected {expected}")),
            Unexpected::Float(number) => {
                Self::custom(format_args!("invalid type: floating point `{number:?}`, expected {expected}"))
            }
            found => Self::custom(format_args!("invalid type: {found}, expected {expected}")),
        }
    }
}

/// A value of the configuration and where it stands.
struct Node<'v> {
    value: &'v Value,
    path: String,
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let Self { value, path } = self;
        match value {
            Value::Array(items) => visitor.visit_seq(Items { items: items.iter().enumerate(), path: &path }),
            Value::Object(keys) => visitor.visit_map(Keys { keys: keys.iter(), value: None, path: &path }),
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::Unsigned(number) => visitor.visit_u64(*number),
            Value::Negative(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::String(text) => visitor.visit_borrowed_str(text),
        }
        .map_err(|wrong| wrong.at(&path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if *self.value == Value::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        if let Value::Object(keys) = self.value {
            known(keys, fields, &self.path)?;
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let Self { value, path } = self;
        let (variant, content) = match value {
            Value::String(name) => (name.as_str(), None),
            Value::Object(keys) if keys.len() == 1 => (keys[0].0.as_str(), Some(&keys[0].1)),
            _ => {
                let what =
                    format!("this is one of `{}`, or one of them as a key with its value", variants.join("`, `"));
                return Err(Wrong { what, path });
            }
        };
        visitor.visit_enum(Variant { name: variant, content, path: &path, variants }).map_err(|wrong| wrong.at(&path))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// A variant of an enum: its name, and what stands below it.
struct Variant<'v, 'p> {
    name: &'v str,
    content: Option<&'v Value>,
    path: &'p str,
    variants: &'static [&'static str],
}

impl<'v> Variant<'v, '_> {
    /// What stands below the name.
    fn below(&self) -> Result<Node<'v>, Wrong> {
        let none = || Wrong::custom(format!("`{0}` has a value: write `{{ {0}: .. }}`", self.name));
        Ok(Node { value: self.content.ok_or_else(none)?, path: below(self.path, self.name) })
    }
}

impl<'v> EnumAccess<'v> for Variant<'v, '_> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'v>>(self, seed: V) -> Result<(V::Value, Self), Wrong> {
        let name: StrDeserializer<'_, Wrong> = self.name.into_deserializer();
        let unknown = |_| {
            let known = match nearest(self.name, self.variants.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("there is `{}`", self.variants.join("`, `")),
            };
            Wrong::custom(format!("there is no `{}`; {known}", self.name))
        };
        let variant = seed.deserialize(name).map_err(unknown)?;
        Ok((variant, self))
    }
}

impl<'v> VariantAccess<'v> for Variant<'v, '_> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        match self.content {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(Wrong::custom(format!("`{}` has no value: write the name alone", self.name))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'v>>(self, seed: T) -> Result<T::Value, Wrong> {
        seed.deserialize(self.below()?)
    }

    fn tuple_variant<V: Visitor<'v>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.below()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'v>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Wrong> {
        self.below()?.deserialize_struct("", fields, visitor)
    }
}

struct Items<'v, 'p> {
    items: std::iter::Enumerate<std::slice::Iter<'v, Value>>,
    path: &'p str,
}

impl<'v> SeqAccess<'v> for Items<'v, '_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'v>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some((number, value)) = self.items.next() else { return Ok(None) };
        seed.deserialize(Node { value, path: format!("{}[{number}]", self.path) }).map(Some)
    }
}

struct Keys<'v, 'p> {
    keys: std::slice::Iter<'v, (String, Value)>,
    value: Option<(&'v str, &'v Value)>,
    path: &'p str,
}

impl<'v> MapAccess<'v> for Keys<'v, '_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'v>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((key, value)) = self.keys.next() else { return Ok(None) };
        self.value = Some((key, value));
        let key: StrDeserializer<'_, Wrong> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'v>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let (key, value) = self.value.take().expect("serde asks for a value after its key");
        seed.deserialize(Node { value, path: below(self.path, key) })
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Refuses a key that is not among the fields.
fn known(keys: &[(String, Value)], fields: &[&str], path: &str) -> Result<(), Wrong> {
    let Some((key, _)) = keys.iter().find(|(key, _)| !fields.contains(&key.as_str())) else { return Ok(()) };
    let what = match nearest(key, fields.iter().copied()) {
        Some(meant) => format!("unknown key; did you mean `{meant}`?"),
        None if fields.is_empty() => "unknown key; the operator has no configuration".to_owned(),
        None => format!("unknown key; the known ones are `{}`", fields.join("`, `")),
    };
    Err(Wrong { what, path: below(path, key) })
}

/// The name among the known ones that `wanted` was probably meant to be: at most a third of its letters away.
#[must_use]
pub fn nearest<'n>(wanted: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let near = known.into_iter().map(|name| (distance(wanted, name), name)).min()?;
    (near.0 * 3 <= wanted.len().max(near.1.len())).then_some(near.1)
}

/// How many bytes are to be inserted, taken out, changed, or swapped with the next one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(row[j] + 1).min(last[j + 1] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(default)]
    struct Rate {
        numerator: i64,
        denominator: i64,
        steps: Vec<Step>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Step {
        at: f64,
        unit: Option<Unit>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Unit {
        Cent,
        Part(f64),
        Pair(i64, i64),
        Ratio { of: i64, to: Option<i64> },
    }

    impl Default for Rate {
        fn default() -> Self {
            Self { numerator: 908, denominator: 1000, steps: Vec::new() }
        }
    }

    fn refused(text: &str) -> (String, Option<String>) {
        let refusal = parse::<Rate>(text).expect_err("refused");
        (refusal.message, refusal.config_path)
    }

    #[test]
    fn keys_that_are_absent_have_their_defaults() {
        assert_eq!(parse("{}"), Ok(Rate::default()));
        let steps = vec![Step { at: 1.0, unit: Some(Unit::Cent) }, Step { at: 2.5, unit: None }];
        let read = parse(r#"{"denominator": 10, "steps": [{"at": 1, "unit": "cent"}, {"at": 2.5}]}"#);
        assert_eq!(read, Ok(Rate { denominator: 10, steps, ..Rate::default() }));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let (message, path) = refused(r#"{"denominater": 3}"#);
        assert_eq!(message, "configuration key `denominater`: unknown key; did you mean `denominator`?");
        assert_eq!(path.as_deref(), Some("denominater"));
        let (message, path) = refused(r#"{"steps": [{"at": 1, "colour": 1}]}"#);
        assert_eq!(message, "configuration key `steps[0].colour`: unknown key; the known ones are `at`, `unit`");
        assert_eq!(path.as_deref(), Some("steps[0].colour"));
    }

    #[test]
    fn a_slip_of_the_fingers_finds_the_name_that_was_meant() {
        let names = ["value", "sensor", "at"];
        for (wanted, meant) in [("valeu", Some("value")), ("vlue", Some("value")), ("ta", None), ("price", None)] {
            assert_eq!(nearest(wanted, names), meant, "{wanted}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_with_its_path() {
        let (message, path) = refused(r#"{"steps": [{"at": "soon"}]}"#);
        assert_eq!(message, "configuration key `steps[0].at`: invalid type: string \"soon\", expected f64");
        assert_eq!(path.as_deref(), Some("steps[0].at"));
        assert_eq!(refused(r#"{"steps": [{}]}"#).1.as_deref(), Some("steps[0]"), "a missing key blames its object");
        assert!(refused("{").0.contains("not JSON"));
    }

    #[test]
    fn a_variant_takes_only_what_it_has_and_is_told_with_its_path() {
        let unit = |text: &str| parse::<Rate>(&format!(r#"{{"steps": [{{"at": 1, "unit": {text}}}]}}"#));
        let read = |text: &str| unit(text).map(|rate| rate.steps.into_iter().next().and_then(|step| step.unit));
        assert_eq!(read(r#""cent""#), Ok(Some(Unit::Cent)));
        assert_eq!(read(r#"{"cent": null}"#), Ok(Some(Unit::Cent)));
        assert_eq!(read(r#"{"part": 1}"#), Ok(Some(Unit::Part(1.0))));
        assert_eq!(read(r#"{"pair": [1, 2]}"#), Ok(Some(Unit::Pair(1, 2))));
        assert_eq!(read(r#"{"ratio": {"of": 1}}"#), Ok(Some(Unit::Ratio { of: 1, to: None })));
        for (text, path, words) in [
            (r#""cnet""#, "steps[0].unit", "there is no `cnet`; did you mean `cent`?"),
            ("3", "steps[0].unit", "this is one of `cent`, `part`, `pair`, `ratio`"),
            (r#""ratio""#, "steps[0].unit", "`ratio` has a value: write `{ ratio: .. }`"),
            (r#"{"cent": 1}"#, "steps[0].unit", "`cent` has no value"),
            (r#"{"part": "x"}"#, "steps[0].unit.part", "invalid type: string \"x\", expected f64"),
            (r#"{"pair": [1, "x"]}"#, "steps[0].unit.pair[1]", "invalid type"),
            (r#"{"ratio": {"of": 1, "tu": 2}}"#, "steps[0].unit.ratio.tu", "the known ones are `of`, `to`"),
            (r#"{"ratio": {"of": "x"}}"#, "steps[0].unit.ratio.of", "invalid type"),
        ] {
            let refusal = unit(text).expect_err(text);
            assert_eq!(refusal.config_path.as_deref(), Some(path), "{}", refusal.message);
            assert!(refusal.message.contains(words), "{}", refusal.message);
        }
    }

    #[test]
    fn an_operator_without_configuration_takes_no_key() {
        assert_eq!(parse_none("{}"), Ok(()));
        assert_eq!(parse_none(r#"{"a": 1}"#).map_err(|refusal| refusal.config_path), Err(Some("a".to_owned())));
    }
}
