//! The keys that an operation takes, out of the schema of its request: where each stands, and what a text in a path or a
//! query means.

use schemars::generate::SchemaSettings;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::operations::Operation;

/// The keys of an operation.
#[derive(Debug, Default)]
pub struct Keys {
    in_path: Vec<&'static str>,
    has_body: bool,
    /// The schema of the object.
    schema: Map<String, Value>,
}

/// A key that stands in the path or the query.
#[derive(Debug)]
pub struct Key<'a> {
    pub name: &'a str,
    pub schema: &'a Value,
    pub is_needed: bool,
}

impl Keys {
    pub fn of(operation: &Operation) -> Self {
        let mut generator =
            SchemaSettings::draft2020_12().for_deserialize().with(|it| it.inline_subschemas = true).into_generator();
        let schema = operation.takes().map(|takes| takes(&mut generator).to_value());
        let schema = schema.and_then(|schema| schema.as_object().cloned()).unwrap_or_default();
        Self { in_path: operation.in_path().collect(), has_body: operation.method.has_body(), schema }
    }

    /// Those in the path, in their order.
    pub fn in_path(&self) -> impl Iterator<Item = Key<'_>> {
        self.in_path.iter().map(|name| Key { is_needed: true, ..self.key(name) })
    }

    /// Those in the query: the rest, where there is no body.
    pub fn in_query(&self) -> impl Iterator<Item = Key<'_>> {
        let all = self.properties().filter(|_| !self.has_body).map(|(name, _)| self.key(name));
        all.filter(|key| !self.in_path.contains(&key.name))
    }

    /// The schema of the body, if there is anything it can say; and whether it must be there.
    pub fn in_body(&self) -> Option<(Value, bool)> {
        let left: Map<_, _> = self
            .properties()
            .filter(|(name, _)| !self.in_path.contains(&name.as_str()))
            .map(|(name, schema)| (name.clone(), schema.clone()))
            .collect();
        if !self.has_body || left.is_empty() {
            return None;
        }
        let needed: Vec<_> = left.keys().filter(|name| self.is_needed(name)).cloned().collect();
        let is_needed = !needed.is_empty();
        let mut schema = json!({ "type": "object", "properties": left, "additionalProperties": false });
        if is_needed {
            schema["required"] = json!(needed);
        }
        Some((schema, is_needed))
    }

    /// What a text means as the value of a key: a number, a truth or a list where the key takes such, else the text.
    pub fn value(&self, key: &str, text: &str) -> Box<RawValue> {
        let schema = self.schema.get("properties").and_then(|all| all.get(key)).unwrap_or(&Value::Null);
        let meant = match text {
            _ if takes(schema, "string") => json!(text),
            _ if takes(schema, "array") => json!(text.split(',').filter(|item| !item.is_empty()).collect::<Vec<_>>()),
            // A number keeps its digits; what is neither number nor truth is for the handler to refuse.
            _ => return text.parse().ok().and_then(plain).unwrap_or_else(|| raw(&json!(text))),
        };
        raw(&meant)
    }

    fn key<'a>(&'a self, name: &'a str) -> Key<'a> {
        let schema = self.schema.get("properties").and_then(|all| all.get(name)).unwrap_or(&Value::Bool(true));
        Key { name, schema, is_needed: self.is_needed(name) }
    }

    fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    }

    fn is_needed(&self, name: &str) -> bool {
        let needed = self.schema.get("required").and_then(Value::as_array);
        needed.is_some_and(|needed| needed.iter().any(|one| one == name))
    }
}

/// Whether a value of this type fits.
fn takes(schema: &Value, kind: &str) -> bool {
    match &schema["type"] {
        Value::String(only) => only == kind,
        Value::Array(several) => several.iter().any(|one| one == kind),
        _ => schema["anyOf"].as_array().is_some_and(|several| several.iter().any(|one| takes(one, kind))),
    }
}

fn plain(value: Value) -> Option<Box<RawValue>> {
    matches!(value, Value::Number(_) | Value::Bool(_)).then(|| raw(&value))
}

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).expect("a value always serialises")
}
