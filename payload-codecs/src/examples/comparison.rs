//! Where what came out differs from what was expected.
//!
//! Public examples were written by hand and printed by many tools, so the comparison is of meaning: the order of keys is
//! free, null equals absent, no warnings and no errors equal none said, numbers may differ by 1e-12 of their size, and the
//! times of RFC 3339 are equal up to zeros at the end of their fraction.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Number, Value};

/// The lists of a result that may be empty or absent.
const MESSAGES: [&str; 4] = ["warnings", "errors", "normalizedErrors", "normalizedWarnings"];

/// One place where two values differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Where: `data.readings[3].value`.
    pub path: String,
    /// What the example says; null if nothing.
    pub expected: Value,
    /// What came out; null if nothing.
    pub got: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |value: &Value| if value.is_null() { "nothing".to_owned() } else { value.to_string() };
        write!(f, "{}: expected {}, got {}", self.path, told(&self.expected), told(&self.got))
    }
}

/// Every difference between two results, in the order of their paths.
pub fn differences(expected: &Value, got: &Value) -> Vec<Difference> {
    let (expected, got) = (without_silence(expected), without_silence(got));
    let mut found = Vec::new();
    compare(&mut String::new(), &expected, &got, &mut found);
    found
}

/// A result without its empty lists of messages.
fn without_silence(result: &Value) -> Value {
    let mut result = result.clone();
    if let Some(map) = result.as_object_mut() {
        map.retain(|key, value| !(MESSAGES.contains(&key.as_str()) && value.as_array().is_some_and(Vec::is_empty)));
    }
    result
}

/// `path` is put back as it was.
fn compare(path: &mut String, expected: &Value, got: &Value, found: &mut Vec<Difference>) {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => compare_objects(path, expected, got, found),
        (Value::Array(expected), Value::Array(got)) => compare_lists(path, expected, got, found),
        (Value::Number(expected), Value::Number(got)) if close(expected, got) => {}
        (Value::String(expected), Value::String(got)) if same_time(expected, got) => {}
        (expected, got) if expected == got => {}
        (expected, got) => found.push(Difference { path: path.clone(), expected: expected.clone(), got: got.clone() }),
    }
}

fn compare_objects(
    path: &mut String,
    expected: &Map<String, Value>,
    got: &Map<String, Value>,
    found: &mut Vec<Difference>,
) {
    let mut keys: Vec<_> = expected.keys().chain(got.keys()).collect();
    keys.sort();
    keys.dedup();
    let length = path.len();
    for key in keys {
        if length > 0 {
            path.push('.');
        }
        path.push_str(key);
        compare(path, expected.get(key).unwrap_or(&Value::Null), got.get(key).unwrap_or(&Value::Null), found);
        path.truncate(length);
    }
}

fn compare_lists(path: &mut String, expected: &[Value], got: &[Value], found: &mut Vec<Difference>) {
    let length = path.len();
    if expected.len() != got.len() {
        let path = format!("{path}.length");
        found.push(Difference { path, expected: expected.len().into(), got: got.len().into() });
    }
    for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
        path.push_str(&format!("[{index}]"));
        compare(path, expected, got, found);
        path.truncate(length);
    }
}

fn close(expected: &Number, got: &Number) -> bool {
    let (Some(expected), Some(got)) = (expected.as_f64(), got.as_f64()) else { return expected == got };
    (expected - got).abs() <= 1e-12 * expected.abs().max(got.abs())
}

fn same_time(expected: &str, got: &str) -> bool {
    expected == got || time(expected).is_some_and(|expected| time(got) == Some(expected))
}

/// The parts of a time of RFC 3339 that tell it from others: up to the seconds, the fraction without zeros at its end, and
/// the offset.
fn time(text: &str) -> Option<(&str, &str, &str)> {
    const SECONDS: &str = "0000-00-00T00:00:00";
    let (seconds, rest) = text.split_at_checked(SECONDS.len())?;
    let fits = |(byte, sample): (u8, u8)| if sample == b'0' { byte.is_ascii_digit() } else { byte == sample };
    if !seconds.bytes().zip(SECONDS.bytes()).all(fits) {
        return None;
    }
    let (fraction, offset) = rest.split_at(rest.find(['Z', '+', '-'])?);
    let digits = fraction.strip_prefix('.').unwrap_or_default();
    let is_fraction = fraction.is_empty() || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let is_offset = offset == "Z" || offset.len() == "+00:00".len();
    (is_fraction && is_offset).then_some((seconds, digits.trim_end_matches('0'), offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn told(expected: Value, got: Value) -> Vec<String> {
        differences(&expected, &got).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        for (expected, got) in [
            (json!({"a": [1, {"b": 2.0}], "c": null}), json!({"a": [1.0, {"b": 2}]})),
            (json!({"data": {}, "warnings": [], "errors": []}), json!({"data": {}})),
            (json!({"a": 0.1, "b": 1e300}), json!({"a": 0.100_000_000_000_000_01, "b": 1.000_000_000_000_1e300})),
            (json!({"t": "2026-11-21T06:00:00Z"}), json!({"t": "2026-11-21T06:00:00.000Z"})),
            (json!({"t": "2026-11-21T06:00:00.5+01:00"}), json!({"t": "2026-11-21T06:00:00.50+01:00"})),
        ] {
            assert_eq!(told(expected, got), [""; 0]);
        }
    }

    #[test]
    fn a_difference_is_told_with_its_path() {
        assert_eq!(told(json!({"a": [1, {"b": 2.0}]}), json!({"a": [1, {"b": 3}]})), ["a[1].b: expected 2.0, got 3"]);
        assert_eq!(
            told(json!({"a": {"b": "x"}}), json!({"a": {}, "d": true})),
            ["a.b: expected \"x\", got nothing", "d: expected nothing, got true"]
        );
        assert_eq!(
            told(json!({"a": [1, 2]}), json!({"a": [3]})),
            ["a.length: expected 2, got 1", "a[0]: expected 1, got 3"]
        );
    }

    #[test]
    fn what_is_only_alike_differs() {
        for (expected, got) in [
            (json!({"a": 1}), json!({"a": "1"})),
            (json!({"a": 1}), json!({"a": true})),
            (json!({"a": [null]}), json!({"a": []})),
            (json!({"a": 1.0}), json!({"a": 1.000_000_000_1})),
            (json!({"data": {"warnings": []}}), json!({"data": {}})),
            (json!({"t": "2026-11-21T06:00:00Z"}), json!({"t": "2026-11-21T06:00:00.001Z"})),
            (json!({"t": "2026-11-21T06:00:00Z"}), json!({"t": "2026-11-21T06:00:00+01:00"})),
            (json!({"t": "2026-11-21T06:00:00"}), json!({"t": "2026-11-21T06:00:00.0"})),
            (json!({"t": "1.50"}), json!({"t": "1.5"})),
        ] {
            assert_eq!(differences(&expected, &got).len(), 1, "{expected} and {got}");
        }
    }

    proptest! {
        #[test]
        fn texts_of_any_kind_are_compared_without_a_panic(expected in ".*", got in "[0-9T:.Z+é-]{0,30}") {
            same_time(&expected, &got);
            prop_assert!(same_time(&got, &got));
        }
    }
}
