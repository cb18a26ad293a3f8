//! Examples of what codecs give: read from the forms in which people keep them, run, and compared.
//!
//! Three forms are read: this project's own `examples.json` ([`own()`]), the `*-codec.yaml` of The Things Network's device
//! repository ([`repository`]), and the `test_decode_X.json` and `test_encode_X.json` of ChirpStack's device profiles
//! ([`chirpstack()`]). Everything here works on texts; who has files reads them first. An [`Example`] is run through whatever
//! makes its [`Call`]s: a codec at hand, or one on a watched thread.

mod call;
mod chirpstack;
mod comparison;
mod own;
mod published;

use serde_json::Value;

pub use call::{Call, Failure, Input, Operation, Output};
pub use chirpstack::chirpstack;
pub use comparison::{Difference, differences};
pub use own::{own, own_values};
pub use published::{Entry, beside_script, published, repository};

/// One call, and what shall come of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What is asked of the codec.
    pub operation: Operation,
    /// In its author's words; may be empty.
    pub description: String,
    /// What goes in.
    pub input: Input,
    /// What shall come out.
    pub expected: Expected,
}

/// What an example says shall come out.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// A result: `data`, or `bytes` and `fPort`; `warnings`, `errors`, and where an uplink shall be normalised too,
    /// `normalized` (a list) and `normalizedErrors`.
    Result(Value),
    /// A failure whose text holds this.
    Failure(String),
}

/// How an example went.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// As it says.
    Pass,
    /// Otherwise, and where; never empty.
    Fail(Vec<Difference>),
    /// The codec gave no result at all.
    Error(String),
}

/// Why examples cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExamplesError {
    /// The text is not of the form.
    #[error("{0}")]
    Form(String),
    /// One of them lacks something or has it in a wrong form.
    #[error("{description}: {reason}")]
    Entry {
        /// What is asked of the codec.
        operation: Operation,
        /// In its author's words, or its number.
        description: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Example {
    /// Runs it. `make` makes a call and waits for its outcome; it is asked twice where an uplink is decoded and then
    /// normalised.
    pub fn run(&self, mut make: impl FnMut(Call) -> Result<Output, Failure>) -> Verdict {
        let outcome = make(Call { operation: self.operation, input: self.input.clone() });
        let actual = match outcome {
            Err(failure) => return self.expected.judge_failure(&failure),
            Ok(output) if self.is_normalized() => self.normalized(output, &mut make),
            Ok(output) => output.to_value(),
        };
        self.expected.judge(&actual)
    }

    /// Whether the uplink's fields go on to the normaliser.
    fn is_normalized(&self) -> bool {
        let asked = |key| matches!(&self.expected, Expected::Result(result) if result.get(key).is_some());
        self.operation == Operation::DecodeUplink && (asked("normalized") || asked("normalizedErrors"))
    }

    fn normalized(&self, decoded: Output, make: &mut impl FnMut(Call) -> Result<Output, Failure>) -> Value {
        let input = Input { data: decoded.data.clone(), ..Input::default() };
        let mut actual = decoded.to_value();
        match make(Call { operation: Operation::NormalizeUplink, input }) {
            Ok(normalized) => {
                let normalized = normalized.to_value();
                actual["normalized"] = normalized["data"].clone();
                let more = normalized["warnings"].as_array().cloned().unwrap_or_default();
                actual["warnings"].as_array_mut().expect("an output always has its list of warnings").extend(more);
            }
            Err(Failure::Reported(errors)) => actual["normalizedErrors"] = errors.into(),
            Err(Failure::Missing(_)) => {}
            Err(Failure::Other(reason)) => actual["normalizedErrors"] = vec![reason].into(),
        }
        actual
    }
}

impl Expected {
    fn judge(&self, actual: &Value) -> Verdict {
        let found = match self {
            Self::Result(expected) => differences(expected, actual),
            Self::Failure(part) => {
                vec![Difference { path: "error".to_owned(), expected: part.as_str().into(), got: actual.clone() }]
            }
        };
        if found.is_empty() { Verdict::Pass } else { Verdict::Fail(found) }
    }

    /// A codec that reports errors has no result, whatever else it returns: only the errors are compared then.
    fn judge_failure(&self, failure: &Failure) -> Verdict {
        match (self, failure) {
            (Self::Failure(part), failure) if failure.to_string().contains(part) => Verdict::Pass,
            (Self::Failure(part), failure) => {
                let got = failure.to_string().into();
                Verdict::Fail(vec![Difference { path: "error".to_owned(), expected: part.as_str().into(), got }])
            }
            (Self::Result(expected), Failure::Reported(errors)) => {
                let of = |errors: Value| serde_json::json!({ "errors": errors });
                let wanted = of(expected.get("errors").cloned().unwrap_or_default());
                Self::Result(wanted).judge(&of(errors.clone().into()))
            }
            (Self::Result(_), failure) => Verdict::Error(failure.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Source, load};
    use serde_json::json;
    use std::time::Duration;

    const PATIENT: Limits = Limits { time: Duration::from_secs(20), memory: 8 << 20, stack: 256 << 10 };

    fn verdict(script: &str, operation: Operation, input: Value, expected: Expected) -> Verdict {
        let source = Source::JavaScript { name: "test".into(), script: script.into() };
        let mut codec = load(&source, &PATIENT).unwrap();
        let input = serde_json::from_value(input).unwrap();
        let example = Example { operation, description: String::new(), input, expected };
        example.run(|call| call.make(codec.as_mut()))
    }

    fn decoded(script: &str, expected: Expected) -> Verdict {
        verdict(script, Operation::DecodeUplink, json!({"bytes": [1, 2], "fPort": 3}), expected)
    }

    const ECHO: &str = "function decodeUplink(input) { return {data: {port: input.fPort, bytes: input.bytes}} }
        function normalizeUplink(input) { return {data: {battery: input.data.port}, warnings: ['low']} }
        function encodeDownlink(input) { return {bytes: [input.data.a], fPort: input.fPort} }";

    #[test]
    fn an_example_passes_or_says_where_it_does_not() {
        let data = json!({"port": 3, "bytes": [1, 2]});
        assert_eq!(decoded(ECHO, Expected::Result(json!({"data": data}))), Verdict::Pass);
        let Verdict::Fail(found) = decoded(ECHO, Expected::Result(json!({"data": {"port": 4, "bytes": [1, 2]}})))
        else {
            panic!("it passed");
        };
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["data.port: expected 4, got 3"]);
    }

    #[test]
    fn an_uplink_is_normalized_where_the_example_says_what_to() {
        let data = json!({"port": 3, "bytes": [1, 2]});
        let expected = json!({"data": data, "normalized": [{"battery": 3}], "warnings": ["low"]});
        assert_eq!(decoded(ECHO, Expected::Result(expected)), Verdict::Pass);
        let expected = json!({"data": data, "normalized": [{"battery": 4}]});
        assert!(matches!(decoded(ECHO, Expected::Result(expected)), Verdict::Fail(found) if found.len() == 2));
    }

    #[test]
    fn a_command_is_compared_by_bytes_and_port() {
        let run = |bytes: Value, port: u8| {
            let expected = Expected::Result(json!({"bytes": bytes, "fPort": port}));
            verdict(ECHO, Operation::EncodeDownlink, json!({"data": {"a": 7}, "fPort": 9}), expected)
        };
        assert_eq!(run(json!([7]), 9), Verdict::Pass);
        assert!(matches!(run(json!([8]), 9), Verdict::Fail(_)) && matches!(run(json!([7]), 8), Verdict::Fail(_)));
    }

    #[test]
    fn errors_are_compared_alone_and_a_throw_is_no_result() {
        let reports = "function decodeUplink() { return {data: {a: 1}, errors: ['no such port']} }";
        let expected = json!({"data": {}, "errors": ["no such port"], "warnings": ["x"]});
        assert_eq!(decoded(reports, Expected::Result(expected)), Verdict::Pass);
        assert!(matches!(decoded(reports, Expected::Result(json!({"data": {"a": 1}}))), Verdict::Fail(_)));
        assert_eq!(decoded(reports, Expected::Failure("such port".into())), Verdict::Pass);
        let throws = "function decodeUplink() { throw new Error('too short') }";
        assert!(
            matches!(decoded(throws, Expected::Result(json!({"data": {}}))), Verdict::Error(why) if why.contains("too short"))
        );
        assert!(matches!(decoded(throws, Expected::Failure("too long".into())), Verdict::Fail(_)));
        assert!(matches!(decoded(ECHO, Expected::Failure("too long".into())), Verdict::Fail(_)));
    }
}
