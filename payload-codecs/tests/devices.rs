//! Runs every example of every shipped device folder through the device's own codec.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::time::Duration;

use payload_codecs::devices::{self, Device};
use payload_codecs::{Codec, DownlinkInput, Limits, UplinkInput, load, read_uplink};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

/// Ample for a busy test machine.
const PATIENT: Limits = Limits { time: Duration::from_secs(20), memory: 8 << 20, stack: 256 << 10 };

#[test]
fn every_example_of_every_device_gives_what_it_says() {
    let mut failures = Vec::new();
    assert!(devices::all().len() >= 6, "only {} device folders were found", devices::all().len());
    for device in devices::all() {
        let examples = examples(device);
        assert!(!examples.is_empty(), "{} has no examples", device.id);
        // One codec for all examples of a device, so that a state left behind by one would show in the next.
        let mut codec = load(&device.source(), &PATIENT).unwrap();
        for example in &examples {
            let failed = example.run(codec.as_mut());
            failures.extend(failed.into_iter().map(|what| format!("{}: {}: {what}", device.id, example.description)));
        }
    }
    assert!(failures.is_empty(), "{} examples failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_command_of_every_device_is_encoded_in_some_example() {
    for device in devices::all() {
        let examples = examples(device);
        for command in &device.commands {
            let sent = |example: &&Example| example.op == "encode_downlink" && example.output.is_some();
            let found = examples.iter().filter(sent).any(|example| example.input.data.get(&command.field).is_some());
            assert!(found, "{} has no example that sends {}", device.id, command.field);
        }
    }
}

#[test]
fn every_field_that_a_device_names_is_decoded_in_some_example() {
    for device in devices::all() {
        let outputs: Vec<Value> =
            examples(device).into_iter().filter_map(|example| Some(example.output?.data)).collect();
        for field in &device.fields {
            let shown = outputs.iter().filter_map(Value::as_object).flat_map(Map::keys);
            let found = shown.into_iter().any(|key| device.field(key).is_some_and(|of_key| of_key.name == field.name));
            assert!(found, "{} has no example that shows {}", device.id, field.name);
        }
    }
}

#[test]
fn the_comparison_sees_a_difference_and_names_its_path() {
    let expected = json!({"a": [1, {"b": 2.0}], "c": null});
    assert!(differences("", &expected, &json!({"a": [1.0, {"b": 2}]})).is_empty());
    assert_eq!(differences("", &expected, &json!({"a": [1, {"b": 3}]})), [".a[1].b: expected 2.0, got 3"]);
    assert_eq!(differences("", &expected, &json!({"a": [1], "d": 1})).len(), 2);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    op: String,
    description: String,
    input: Input,
    output: Option<Output>,
    /// A part of the error's text.
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    hex: String,
    f_port: Option<u8>,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Output {
    #[serde(default)]
    data: Value,
    /// Compared only if given.
    normalized: Option<Value>,
    #[serde(default)]
    warnings: Vec<String>,
    hex: Option<String>,
    f_port: Option<u8>,
}

impl Example {
    fn run(&self, codec: &mut dyn Codec) -> Vec<String> {
        match (self.answer(codec), &self.output, &self.error) {
            (Ok(answer), Some(output), None) => differences("", &output.expected(), &output.comparable(answer)),
            (Err(message), None, Some(part)) if message.contains(part) => Vec::new(),
            (Ok(answer), ..) => vec![format!("expected an error, got {answer}")],
            (Err(message), ..) => vec![format!("unexpected error: {message}")],
        }
    }

    fn answer(&self, codec: &mut dyn Codec) -> Result<Value, String> {
        let bytes = hex::decode(&self.input.hex).unwrap();
        let uplink = UplinkInput { bytes: &bytes, f_port: self.input.f_port.unwrap_or(1), recv_time_ms: Some(0) };
        let data = to_raw_value(&self.input.data).unwrap();
        match self.op.as_str() {
            "decode_uplink" => read_uplink(codec, &uplink).map(|decoded| {
                let normalized = decoded.measurements.map(|list| parse(&list));
                json!({"data": parse(&decoded.data), "normalized": normalized, "warnings": decoded.warnings})
            }),
            "decode_downlink" => codec
                .decode_downlink(&uplink)
                .map(|decoded| json!({"data": parse(&decoded.data), "warnings": decoded.warnings})),
            "encode_downlink" => {
                codec.encode_downlink(&DownlinkInput { data: &data, f_port: self.input.f_port }).map(|encoded| {
                    let bytes = hex::encode(encoded.bytes);
                    json!({"hex": bytes, "f_port": encoded.f_port, "warnings": encoded.warnings})
                })
            }
            other => panic!("{}: no operation is called {other}", self.description),
        }
        .map_err(|error| error.to_string())
    }
}

impl Output {
    fn expected(&self) -> Value {
        json!({
            "data": self.data, "normalized": self.normalized, "warnings": self.warnings,
            "hex": self.hex, "f_port": self.f_port,
        })
    }

    fn comparable(&self, mut answer: Value) -> Value {
        let answer_map = answer.as_object_mut().unwrap();
        if self.normalized.is_none() {
            answer_map.remove("normalized");
        }
        answer
    }
}

fn examples(device: &Device) -> Vec<Example> {
    serde_json::from_str(device.examples).unwrap_or_else(|cause| panic!("{}: {cause}", device.id))
}

fn parse(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap()
}

/// Where two values differ: key order is free, null equals absent, numbers may differ by 1e-12 of their size.
fn differences(path: &str, expected: &Value, actual: &Value) -> Vec<String> {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => object_differences(path, expected, actual),
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            let pairs = expected.iter().zip(actual).enumerate();
            pairs.flat_map(|(index, (left, right))| differences(&format!("{path}[{index}]"), left, right)).collect()
        }
        (Value::Number(left), Value::Number(right)) if close(left, right) => Vec::new(),
        (left, right) if left == right => Vec::new(),
        (left, right) => vec![format!("{path}: expected {left}, got {right}")],
    }
}

fn object_differences(path: &str, expected: &Map<String, Value>, actual: &Map<String, Value>) -> Vec<String> {
    let mut keys: Vec<_> = expected.keys().chain(actual.keys()).collect();
    keys.sort();
    keys.dedup();
    let of = |map: &Map<String, Value>, key: &String| map.get(key).cloned().unwrap_or_default();
    keys.into_iter()
        .flat_map(|key| differences(&format!("{path}.{key}"), &of(expected, key), &of(actual, key)))
        .collect()
}

fn close(left: &serde_json::Number, right: &serde_json::Number) -> bool {
    let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
    (left - right).abs() <= 1e-12 * left.abs().max(right.abs())
}
