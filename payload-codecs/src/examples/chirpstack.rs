//! ChirpStack's `test_decode_X.json` and `test_encode_X.json`: lists in the form of `published.rs` that ChirpStack evaluates
//! as JavaScript. Most are JSON; some hold hex literals, comments, bare keys or commas at the end of a list.

use serde_json::Value;

use super::published::{Entry, published};
use super::{ExamplesError, Operation};
use crate::codec::{Engines, Source, UplinkInput};

/// Reads such a file: as JSON, and what is none as an expression of JavaScript, in the same engine and under the same limits
/// as any codec. Such an engine can be held up by native loops: a caller that must not be watches the thread.
///
/// # Errors
/// [`ExamplesError::Form`] if it is neither, or no list.
pub fn chirpstack(operation: Operation, text: &str, engines: &Engines) -> Result<Vec<Entry>, ExamplesError> {
    let text = text.trim_start_matches('\u{feff}');
    let list = serde_json::from_str(text).or_else(|_| evaluate(text, engines))?;
    let entries = list.as_array().ok_or_else(|| ExamplesError::Form("expected a list of examples".to_owned()))?;
    Ok(published(operation, entries))
}

/// The value of an expression: a codec is made of it that decodes everything to this value.
fn evaluate(text: &str, engines: &Engines) -> Result<Value, ExamplesError> {
    // The line break keeps a comment at the end of the text from swallowing what follows; line 1 stays line 1.
    let script =
        format!("var examples = {text}\n; function decodeUplink() {{ return {{data: {{examples: examples}}}}; }}");
    let source = Source::JavaScript { name: "examples".into(), script: script.into() };
    let form = |reason: String| ExamplesError::Form(format!("neither JSON nor JavaScript: {reason}"));
    let mut codec = engines.load(&source).map_err(|error| form(error.to_string()))?;
    let nothing = UplinkInput { bytes: &[], f_port: 1, recv_time_ms: None };
    let decoded = codec.decode_uplink(&nothing).map_err(|error| form(error.to_string()))?;
    let mut value: Value = serde_json::from_str(decoded.data.get()).map_err(|error| form(error.to_string()))?;
    Ok(value["examples"].take())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use std::time::Duration;

    fn read(text: &str) -> Result<Vec<Entry>, ExamplesError> {
        let limits = Limits { time: Duration::from_secs(20), ..Limits::default() };
        chirpstack(Operation::DecodeUplink, text, &Engines::new(&limits).unwrap())
    }

    #[test]
    fn json_and_what_only_looks_like_it_give_the_same() {
        let json = r#"[{"name": "a", "input": {"fPort": 10, "bytes": [255]}, "expected": {"data": {"x": null}}}]"#;
        let loose = "\u{feff}// a comment\n[{name: 'a', input: {fPort: 0x0a, bytes: [0xff,],}, /* why */ \
                     expected: {data: {x: undefined}}}, ]; // the end";
        assert_eq!(read(loose).unwrap(), read(json).unwrap());
        assert_eq!(read(json).unwrap().len(), 1);
    }

    #[test]
    fn what_is_neither_is_an_error() {
        for (text, told) in
            [("", "JavaScript"), ("[{", "JavaScript"), ("{}", "list"), ("while (true) {}", "JavaScript")]
        {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
