//! Normalised measurements: one vocabulary for what all devices measure, as The Things Stack defines it.
//!
//! A measurement is a JSON object such as `{"air": {"temperature": 21.5}, "battery": 3.3}`. The rules are The Things
//! Stack's: a field it does not know, or of the wrong type, fails the whole; a value that cannot be true costs itself and
//! gives a warning.

mod schema;

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

use serde_json::Value;
use serde_json::value::RawValue;

pub use schema::{Kind, QUANTITIES, Quantity};

/// Measurements that keep to the schema.
#[derive(Debug)]
pub struct Checked {
    /// A JSON list of measurements, keys in order, without groups that hold nothing.
    pub measurements: Box<RawValue>,
    /// What was left out, and why: ``measurement 1: `soil.moisture` should be equal or less than `100` ``.
    pub warnings: Vec<String>,
}

/// Why data is no list of measurements.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The schema does not know this field.
    #[error("unknown field `{path}`")]
    UnknownField {
        /// Levels joined by dots.
        path: String,
    },
    /// The field holds something else than it must.
    #[error("`{path}` must be {wanted}, not {got}")]
    WrongType {
        /// Levels joined by dots; `data` for the whole.
        path: String,
        /// "a number", "an object" …
        wanted: &'static str,
        /// "null", "a text" …
        got: &'static str,
    },
}

/// The quantity at this path.
pub fn find(path: &str) -> Option<&'static Quantity> {
    QUANTITIES.iter().find(|quantity| quantity.path == path)
}

/// The quantities that a measurement, or any in a list of them, has.
pub fn found_in(measurements: &Value) -> Vec<&'static Quantity> {
    let has = |quantity: &&Quantity, measurement: &Value| {
        quantity.path.split('.').try_fold(measurement, |value, level| value.get(level)).is_some()
    };
    let list = measurements.as_array().map_or(std::slice::from_ref(measurements), Vec::as_slice);
    QUANTITIES.iter().filter(|quantity| list.iter().any(|measurement| has(quantity, measurement))).collect()
}

/// Checks a measurement, or a list of them.
///
/// # Errors
/// [`Refused`] names the first field that is unknown or of the wrong type.
pub fn check(data: &RawValue) -> Result<Checked, Refused> {
    let list: Vec<&RawValue> = match Shape::of(data) {
        Shape::List => serde_json::from_str(data.get()).unwrap_or_default(),
        _ => vec![data],
    };
    let (mut measurements, mut warnings) = (Vec::new(), Vec::new());
    for (index, measurement) in list.into_iter().enumerate() {
        let mut dropped = Vec::new();
        measurements.push(group("", measurement, &mut dropped)?);
        warnings.extend(dropped.into_iter().map(|reason| format!("measurement {}: {reason}", index + 1)));
    }
    let measurements = format!("[{}]", measurements.join(","));
    let measurements = RawValue::from_string(measurements).expect("it is made of JSON values and text keys");
    Ok(Checked { measurements, warnings })
}

/// Decoded data that is a measurement as it stands, for a codec that has no normalizer. The Things Stack does the same:
/// one field that the schema does not know, and it is none.
pub fn implied(data: &RawValue) -> Option<Checked> {
    check(data).ok().filter(|checked| !matches!(checked.measurements.get(), "[]" | "[{}]"))
}

/// A group's fields that hold, as JSON.
fn group(path: &str, value: &RawValue, dropped: &mut Vec<String>) -> Result<String, Refused> {
    let fields: BTreeMap<String, &RawValue> = match Shape::of(value) {
        Shape::Object => serde_json::from_str(value.get()).unwrap_or_default(),
        _ => return Err(wrong(if path.is_empty() { "data" } else { path }, "an object", value)),
    };
    let mut kept = Vec::new();
    for (key, value) in fields {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if let Some(text) = field(&path, value, dropped)? {
            kept.push(format!("\"{key}\":{text}"));
        }
    }
    Ok(format!("{{{}}}", kept.join(",")))
}

/// A field as JSON, if it holds: the schema's keys need no escapes.
fn field(path: &str, value: &RawValue, dropped: &mut Vec<String>) -> Result<Option<String>, Refused> {
    if let Some(quantity) = find(path) {
        let objection = objection(quantity, value)?;
        let holds = objection.is_none();
        dropped.extend(objection.map(|reason| format!("`{path}` should be {reason}")));
        return Ok(holds.then(|| value.get().to_owned()));
    }
    if !is_group(path) {
        return Err(Refused::UnknownField { path: path.to_owned() });
    }
    Ok(Some(group(path, value, dropped)?).filter(|text| text != "{}"))
}

fn is_group(path: &str) -> bool {
    QUANTITIES.iter().any(|quantity| quantity.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// What a value that is of the right type should be instead.
fn objection(quantity: &Quantity, value: &RawValue) -> Result<Option<String>, Refused> {
    let wrong = |wanted| wrong(quantity.path, wanted, value);
    match (&quantity.kind, Shape::of(value)) {
        (Kind::Flag, Shape::Flag) => Ok(None),
        (Kind::Flag, _) => Err(wrong("true or false")),
        (Kind::Time, Shape::Text) if text(value).parse::<jiff::Timestamp>().is_ok() => Ok(None),
        (Kind::Time, _) => Err(wrong("a time in RFC 3339")),
        (Kind::Choice(texts), Shape::Text) => {
            let is_one = texts.contains(&text(value).as_str());
            Ok((!is_one).then(|| format!("one of `{}`", texts.join("`, `"))))
        }
        (Kind::Choice(_), _) => Err(wrong("a text")),
        (Kind::Number(..), Shape::Number) => Ok(out_of_range(&quantity.kind, value)),
        (Kind::Number(..), _) => Err(wrong("a number")),
    }
}

fn out_of_range(kind: &Kind, value: &RawValue) -> Option<String> {
    let Kind::Number(least, most) = kind else { return None };
    let number: f64 = value.get().parse().ok().filter(|number: &f64| number.is_finite())?;
    match (least, most) {
        (Included(least), _) if number < *least => Some(format!("equal or greater than `{least}`")),
        (_, Included(most)) if number > *most => Some(format!("equal or less than `{most}`")),
        (_, Excluded(most)) if number >= *most => Some(format!("less than `{most}`")),
        _ => None,
    }
}

fn text(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_default()
}

fn wrong(path: &str, wanted: &'static str, value: &RawValue) -> Refused {
    Refused::WrongType { path: path.to_owned(), wanted, got: Shape::of(value).name() }
}

/// What sort of JSON a value is: its first character tells.
#[derive(Clone, Copy)]
enum Shape {
    Object,
    List,
    Text,
    Flag,
    Null,
    Number,
}

impl Shape {
    fn of(value: &RawValue) -> Self {
        match value.get().as_bytes().first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::List,
            Some(b'"') => Self::Text,
            Some(b't' | b'f') => Self::Flag,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::List => "a list",
            Self::Text => "this text",
            Self::Flag => "true or false",
            Self::Null => "null",
            Self::Number => "a number",
        }
    }
}

#[cfg(test)]
mod tests;
