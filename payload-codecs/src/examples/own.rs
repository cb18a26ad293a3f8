//! This project's own form: a JSON list of examples in a device folder's `examples.json`, or in a table's `examples`.
//!
//! ```json
//! {"op": "decode_uplink", "description": "…", "input": {"hex": "0866", "f_port": 15}, "output": {"data": {}}}
//! {"op": "encode_downlink", "description": "…", "input": {"data": {"led": true}}, "output": {"hex": "0101", "f_port": 15}}
//! {"op": "decode_uplink", "description": "…", "input": {"hex": "", "f_port": 15}, "error": "a part of its text"}
//! ```
//!
//! A decoded uplink's `output` may also say what it is `normalized` to, as one list.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use super::{Example, ExamplesError, Expected, Input, Operation};

/// Reads the text of an `examples.json`.
///
/// # Errors
/// [`ExamplesError::Form`] if it is no such list, [`ExamplesError::Entry`] if an entry cannot be meant so.
pub fn own(text: &str) -> Result<Vec<Example>, ExamplesError> {
    let written: Vec<Written> = serde_json::from_str(text).map_err(|error| ExamplesError::Form(error.to_string()))?;
    written.into_iter().map(Written::read).collect()
}

/// Reads examples that stand in a file of another kind: a table's.
///
/// # Errors
/// Those of [`own()`].
pub fn own_values(entries: &[Value]) -> Result<Vec<Example>, ExamplesError> {
    let numbered = (1..).zip(entries);
    let read = |(number, entry): (u32, &Value)| {
        let written: Result<Written, _> = serde_json::from_value(entry.clone());
        written.map_err(|error| ExamplesError::Form(format!("example {number}: {error}")))?.read()
    };
    numbered.map(read).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    op: Operation,
    description: String,
    input: WrittenInput,
    output: Option<WrittenOutput>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInput {
    hex: Option<String>,
    f_port: Option<u8>,
    recv_time: Option<Timestamp>,
    data: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOutput {
    data: Option<Value>,
    normalized: Option<Value>,
    #[serde(default)]
    warnings: Vec<String>,
    hex: Option<String>,
    f_port: Option<u8>,
}

impl Written {
    fn read(self) -> Result<Example, ExamplesError> {
        let Self { op: operation, description, input, output, error } = self;
        let parts = input.read().and_then(|input| Ok((input, expected(output, error)?)));
        match parts {
            Ok((input, expected)) => Ok(Example { operation, description, input, expected }),
            Err(reason) => Err(ExamplesError::Entry { operation, description, reason }),
        }
    }
}

impl WrittenInput {
    fn read(self) -> Result<Input, String> {
        let data = self.data.as_ref().map(to_raw_value).transpose().map_err(|error| error.to_string())?;
        let bytes = self.hex.as_deref().map(from_hex).transpose()?;
        Ok(Input { bytes, f_port: self.f_port, recv_time: self.recv_time, data })
    }
}

fn expected(output: Option<WrittenOutput>, error: Option<String>) -> Result<Expected, String> {
    match (output, error) {
        (Some(output), None) => output.read(),
        (None, Some(part)) => Ok(Expected::Failure(part)),
        _ => Err("either `output` or `error` says what shall come out".to_owned()),
    }
}

impl WrittenOutput {
    fn read(self) -> Result<Expected, String> {
        let mut result = json!({ "data": self.data, "warnings": self.warnings });
        if let Some(hex) = &self.hex {
            result["bytes"] = from_hex(hex)?.into();
        }
        if let Some(f_port) = self.f_port {
            result["fPort"] = f_port.into();
        }
        if let Some(normalized) = self.normalized {
            result["normalized"] = normalized;
        }
        Ok(Expected::Result(result))
    }
}

fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text).map_err(|error| format!("{text:?} is no hex: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_of_each_kind_is_read() {
        let text = r#"[
            {"op": "decode_uplink", "description": "a", "input": {"hex": "0aFF", "f_port": 2, "recv_time": "2026-11-21T06:00:00Z"},
             "output": {"data": {"x": 1}, "normalized": [{"battery": 3}], "warnings": ["w"]}},
            {"op": "encode_downlink", "description": "b", "input": {"data": {"x": 1}}, "output": {"hex": "01", "f_port": 3}},
            {"op": "decode_downlink", "description": "c", "input": {"hex": ""}, "error": "short"}
        ]"#;
        let read = own(text).unwrap();
        let bytes: Vec<_> = read.iter().map(|example| example.input.bytes.clone()).collect();
        assert_eq!(bytes, [Some(vec![10, 255]), None, Some(vec![])]);
        let expected: Vec<_> = read.into_iter().map(|example| example.expected).collect();
        assert_eq!(
            expected,
            [
                Expected::Result(json!({"data": {"x": 1}, "normalized": [{"battery": 3}], "warnings": ["w"]})),
                Expected::Result(json!({"data": null, "bytes": [1], "fPort": 3, "warnings": []})),
                Expected::Failure("short".to_owned()),
            ]
        );
        let values: Vec<Value> = serde_json::from_str(text).unwrap();
        assert_eq!(own_values(&values).unwrap(), own(text).unwrap());
    }

    #[test]
    fn a_mistake_is_told_and_not_overlooked() {
        for (text, told) in [
            ("{}", "expected a sequence"),
            (r#"[{"op": "guess", "description": "", "input": {}}]"#, "guess"),
            (r#"[{"op": "decode_uplink", "description": "", "input": {"hx": ""}, "error": ""}]"#, "hx"),
            (
                r#"[{"op": "decode_uplink", "description": "odd", "input": {"hex": "1"}, "error": ""}]"#,
                "odd: \"1\" is no hex",
            ),
            (r#"[{"op": "decode_uplink", "description": "none", "input": {"hex": ""}}]"#, "none: either"),
        ] {
            let error = own(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
