//! The form that The Things Network's device repository and ChirpStack's device profiles share: `input` and `output` are
//! what the codec's function takes and returns.
//!
//! ```json
//! {"description": "…", "input": {"bytes": [1, 2], "fPort": 1, "recvTime": "…"}, "output": {"data": {}, "warnings": []},
//!  "normalizedOutput": {"data": [{}]}}
//! ```
//!
//! ChirpStack says `name` and `expected` for `description` and `output`. Keys not known here are left alone: such files are
//! not ours to correct.

use jiff::Timestamp;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};

use super::chirpstack::value;
use super::{Example, ExamplesError, Expected, Input, Operation, own_values};
use crate::codec::Engines;
use crate::repository;

/// An example, or why it cannot be read; one that cannot does not spoil its neighbours.
pub type Entry = Result<Example, ExamplesError>;

/// Reads the examples of one function out of a device repository's `*-codec.yaml`.
pub fn repository(operation: Operation, examples: &[repository::Example]) -> Vec<Entry> {
    let written = |example: &repository::Example| Written {
        description: example.description.clone(),
        input: example.input.clone(),
        output: example.output.clone(),
        normalized: example.normalized_output.clone(),
    };
    (1..).zip(examples).map(|(number, example)| written(example).read(operation, number)).collect()
}

/// Reads the examples of one function out of a list in this form.
pub fn published(operation: Operation, entries: &[Value]) -> Vec<Entry> {
    (1..).zip(entries).map(|(number, entry)| Written::of(entry).read(operation, number)).collect()
}

/// Reads a file of examples that lies beside a script, whoever's form it has: this project's own, a list in the form
/// above, or an object with a list each under `decodeUplink`, `encodeDownlink`, `decodeDownlink`, `normalizeUplink`. In a
/// list, an entry may say its `type` as the LoRa Alliance's TS013 does (`uplink`, `downlink-encode`, `downlink-decode`);
/// without it, one with `data` going in is a command and any other an uplink. What is no JSON is read as
/// [`chirpstack()`](super::chirpstack()) does, with the same caution.
///
/// # Errors
/// [`ExamplesError::Form`] if it is none of them, and for this project's own form those of [`own()`](super::own()).
pub fn beside_script(text: &str, engines: &Engines) -> Result<Vec<Entry>, ExamplesError> {
    let form = |reason: String| ExamplesError::Form(reason);
    match value(text, engines)? {
        Value::Array(entries) if entries.iter().any(|entry| entry.get("op").is_some()) => {
            own_values(&entries).map(|examples| examples.into_iter().map(Ok).collect())
        }
        Value::Array(entries) => {
            let read = |(number, entry): (u32, &Value)| Written::of(entry).read(guess(entry), number);
            Ok((1..).zip(&entries).map(read).collect())
        }
        Value::Object(lists) => by_function(&lists).map_err(form),
        _ => Err(form("expected a list of examples".to_owned())),
    }
}

fn guess(entry: &Value) -> Operation {
    match entry.get("type").and_then(Value::as_str) {
        Some("uplink") => Operation::DecodeUplink,
        Some("downlink-encode") => Operation::EncodeDownlink,
        Some("downlink-decode") => Operation::DecodeDownlink,
        _ if entry.pointer("/input/data").is_some() => Operation::EncodeDownlink,
        _ => Operation::DecodeUplink,
    }
}

fn by_function(lists: &Map<String, Value>) -> Result<Vec<Entry>, String> {
    let mut all = Vec::new();
    for (key, list) in lists {
        let operation = serde_json::from_value(key.as_str().into()).map_err(|error| error.to_string())?;
        let entries = list.as_array().ok_or_else(|| format!("`{key}` must be a list of examples"))?;
        all.extend(published(operation, entries));
    }
    Ok(all)
}

/// The parts of an entry, whatever each is.
struct Written {
    description: Option<String>,
    input: Value,
    output: Option<Value>,
    normalized: Option<Value>,
}

impl Written {
    fn of(entry: &Value) -> Self {
        let part = |key: &str, other: &str| entry.get(key).or_else(|| entry.get(other)).cloned();
        Self {
            description: part("description", "name").and_then(|text| text.as_str().map(str::to_owned)),
            input: part("input", "input").unwrap_or_default(),
            output: part("output", "expected"),
            normalized: part("normalizedOutput", "normalizedOutput"),
        }
    }

    fn read(self, operation: Operation, number: u32) -> Entry {
        let description = self.description.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let description = description.map_or_else(|| format!("example {number}"), str::to_owned);
        let parts = input(&self.input).and_then(|input| Ok((input, self.expected()?)));
        match parts {
            Ok((input, expected)) => Ok(Example { operation, description, input, expected }),
            Err(reason) => Err(ExamplesError::Entry { operation, description, reason }),
        }
    }

    /// The result, with what it is normalised to beside its data.
    fn expected(self) -> Result<Expected, String> {
        let mut result = self.output.filter(|output| !output.is_null()).ok_or("it does not say its `output`")?;
        let map = result.as_object_mut().ok_or("its `output` must be an object")?;
        if let Some(Value::Object(normalized)) = &self.normalized {
            add_normalized(map, normalized);
        }
        Ok(Expected::Result(result))
    }
}

fn input(input: &Value) -> Result<Input, String> {
    let input = input.as_object().ok_or("it has no `input`")?;
    let known = |key: &str| input.get(key).filter(|value| !value.is_null());
    let data = known("data").map(to_raw_value).transpose().map_err(|error| error.to_string())?;
    let recv_time = known("recvTime").map(time).transpose()?;
    Ok(Input {
        bytes: known("bytes").map(bytes).transpose()?,
        f_port: known("fPort").map(port).transpose()?,
        recv_time,
        data,
    })
}

fn bytes(value: &Value) -> Result<Vec<u8>, String> {
    let list = value.as_array().ok_or("`input.bytes` must be a list of numbers from 0 to 255")?;
    list.iter()
        .map(|byte| {
            byte_of(byte).ok_or_else(|| format!("`input.bytes` holds {byte}, which is no number from 0 to 255"))
        })
        .collect()
}

fn port(value: &Value) -> Result<u8, String> {
    byte_of(value).ok_or_else(|| format!("`input.fPort` is {value}, which is no number from 0 to 255"))
}

/// A number as YAML and people write it: 7, 7.0 and "7".
fn byte_of(value: &Value) -> Option<u8> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        number => {
            let number = number.as_f64()?;
            // Exact: only whole numbers from 0 to 255 survive the round trip.
            (f64::from(number as u8) == number).then_some(number as u8)
        }
    }
}

fn time(value: &Value) -> Result<Timestamp, String> {
    let text = value.as_str().ok_or("`input.recvTime` must be a text")?;
    text.parse().map_err(|error| format!("`input.recvTime`: {error}"))
}

fn add_normalized(result: &mut Map<String, Value>, normalized: &Map<String, Value>) {
    let list = match normalized.get("data").cloned().unwrap_or_default() {
        Value::Object(one) => Value::Array(vec![Value::Object(one)]),
        other => other,
    };
    result.insert("normalized".to_owned(), list);
    if let Some(errors) = normalized.get("errors") {
        result.insert("normalizedErrors".to_owned(), errors.clone());
    }
    if let Some(Value::Array(more)) = normalized.get("warnings") {
        let warnings = result.entry("warnings").or_insert_with(|| Value::Array(Vec::new()));
        if let Some(warnings) = warnings.as_array_mut() {
            warnings.extend(more.iter().cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Limits;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn both_dialects_say_the_same() {
        let input = json!({"fPort": 1.0, "bytes": [1, "2", 3.0], "recvTime": "2026-11-21T06:00:00+01:00"});
        let output = json!({"data": {"a": 1}});
        let ttn = json!({"description": "one", "input": input, "output": output});
        let chirpstack = json!({"name": "one", "input": input, "expected": output, "note": "unknown"});
        let read = published(Operation::DecodeUplink, &[ttn, chirpstack]);
        assert_eq!(read[0], read[1]);
        let example = read[0].as_ref().unwrap();
        assert_eq!((example.input.bytes.as_deref(), example.input.f_port), (Some(&[1, 2, 3][..]), Some(1)));
        assert_eq!(example.input.recv_time.unwrap().to_string(), "2026-11-21T05:00:00Z");
    }

    #[test]
    fn what_an_uplink_is_normalized_to_stands_beside_its_data() {
        let entry = json!({
            "input": {"bytes": []}, "output": {"data": {}, "warnings": ["a"]},
            "normalizedOutput": {"data": {"battery": 3}, "warnings": ["b"]},
        });
        let read = published(Operation::DecodeUplink, &[entry]);
        let expected = json!({"data": {}, "warnings": ["a", "b"], "normalized": [{"battery": 3}]});
        assert_eq!(read[0].as_ref().unwrap().expected, Expected::Result(expected));
        assert_eq!(read[0].as_ref().unwrap().description, "example 1");
    }

    #[test]
    fn an_entry_that_cannot_be_read_does_not_spoil_its_neighbours() {
        let good = json!({"input": {"bytes": []}, "output": {}});
        for (bad, told) in [
            (json!({"output": {}}), "no `input`"),
            (json!({"input": {"bytes": [256]}, "output": {}}), "256"),
            (json!({"input": {"bytes": [-1]}, "output": {}}), "-1"),
            (json!({"input": {"bytes": [1.5]}, "output": {}}), "1.5"),
            (json!({"input": {"bytes": "AA"}, "output": {}}), "list"),
            (json!({"input": {"bytes": [], "fPort": 300}, "output": {}}), "300"),
            (json!({"input": {"bytes": [], "recvTime": "noon"}, "output": {}}), "recvTime"),
            (json!({"input": {"bytes": []}}), "`output`"),
            (json!(7), "no `input`"),
        ] {
            let read = published(Operation::DecodeUplink, &[bad.clone(), good.clone()]);
            let error = read[0].as_ref().unwrap_err().to_string();
            assert!(error.contains(told) && read[1].is_ok(), "{bad}: {error}");
        }
    }

    #[test]
    fn a_file_beside_a_script_may_have_any_form() {
        let engines = Engines::new(&Limits { time: Duration::from_secs(20), ..Limits::default() }).unwrap();
        let operations = |text: &str| -> Vec<_> {
            let entries = beside_script(text, &engines).unwrap();
            entries.into_iter().map(|entry| entry.unwrap().operation.name()).collect()
        };
        let (up, down) = (r#"{"input": {"bytes": []}, "output": {}}"#, r#"{"input": {"data": {}}, "output": {}}"#);
        assert_eq!(operations(&format!("[{up}, {down}]")), ["decodeUplink", "encodeDownlink"]);
        assert_eq!(operations(&format!(r#"{{"decodeDownlink": [{up}]}}"#)), ["decodeDownlink"]);
        let own = r#"[{"op": "decode_uplink", "description": "", "input": {"hex": ""}, "output": {}}]"#;
        assert_eq!(operations(own), ["decodeUplink"]);
        let typed = ["uplink", "downlink-encode", "downlink-decode"]
            .map(|kind| format!("{{type: '{kind}', input: {{bytes: []}}, output: {{}}}}"));
        let functions = ["decodeUplink", "encodeDownlink", "decodeDownlink"];
        assert_eq!(operations(&format!("[ // no JSON\n{}]", typed.join(","))), functions);
        for bad in ["", "7", r#"{"decodeUplink": 7}"#, r#"{"decode": []}"#] {
            assert!(matches!(beside_script(bad, &engines), Err(ExamplesError::Form(_))), "{bad}");
        }
    }
}
