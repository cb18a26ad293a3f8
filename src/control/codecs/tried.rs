//! Tries a codec on a payload or a command: what it decodes, what that means, which entities it would make.

use payload_codecs::CodecError;
use payload_codecs::metadata::Field;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Codecs, Written, not_found};
use crate::codecs::{Answer, Draft, Form, Question, Tried, Wishes};
use crate::control::problem::{Kind, Problem};
use crate::downlink::{from_base64, from_hex};
use crate::home::assistant::{Place, Portrait, Preview, preview};
use crate::model::{DeviceKey, FPort};
use crate::telemetry::with_causes;

/// The longest payload that is tried, in bytes; LoRaWAN's longest is 242.
const LONGEST_PAYLOAD: usize = 1024;
const PAYLOADS: &str = "give one of `payload_hex`, `payload_base64` and `payload_text` of an uplink, or the `fields` of a \
                        command";

/// A codec, and what it shall be tried on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The device's own codec: by its name at home or its id at the network.
    device: Option<String>,
    application: Option<String>,
    /// Or the codec of this name.
    codec: Option<String>,
    /// Or this codec, which is not kept. With a `device` or a `codec` it is tried in that one's place.
    text: Option<String>,
    /// What `text` is; without it, a table if it can be read as one, else a script.
    kind: Option<Form>,
    f_port: Option<u8>,
    payload_hex: Option<String>,
    payload_base64: Option<String>,
    payload_text: Option<String>,
    fields: Option<Box<RawValue>>,
}

/// What the codec made of it.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "CodecOutcome")]
pub struct Outcome {
    codec: String,
    /// Why the device has this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    chosen_by: Option<&'static str>,
    /// Of an uplink.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    normalized: Option<Box<RawValue>>,
    /// What would be announced to Home Assistant of such an uplink.
    #[serde(skip_serializing_if = "Option::is_none")]
    entities: Option<Vec<Preview>>,
    /// Of a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    f_port: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_hex: Option<String>,
    /// What the codec says is wrong, or what is wrong with the codec; and where in its script, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    warnings: Vec<String>,
    /// What the script wrote to its `console`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    console: Vec<String>,
}

/// A codec, the reason for it, and whose it is.
struct Subject {
    draft: Draft,
    by: Option<&'static str>,
    device: Option<DeviceKey>,
}

impl Codecs {
    /// Has a codec decode a payload or encode a command. Nothing is published or sent, and nothing of it stays. A codec
    /// that fails is an answer.
    ///
    /// # Errors
    /// The request names no codec or nothing to try it on, or the codec did not come back.
    pub async fn test(&self, mut wanted: Wanted) -> Result<Outcome, Problem> {
        let question = question(&mut wanted)?;
        let subject = match self.subject(&wanted).await? {
            Ok(subject) => subject,
            Err(unreadable) => return Ok(unreadable),
        };
        let f_port = match &question {
            Question::Encode { f_port, .. } => *f_port,
            Question::Decode { .. } => None,
        };
        let examined = self.examine(&subject.draft, vec![question]).await?;
        let tried = examined.tried.into_iter().next();
        let tried = tried.ok_or_else(|| Problem::new(Kind::Unavailable, "the codec gave no answer"))?;
        let entities = self.entities(&subject, examined.described, &tried);
        let codec = subject.draft.name;
        Ok(Outcome { codec, chosen_by: subject.by, entities, ..Outcome::of(tried, f_port) })
    }

    /// The codec that is meant, or what is wrong with the one that was sent.
    async fn subject(&self, wanted: &Wanted) -> Result<Result<Subject, Outcome>, Problem> {
        let found = wanted.device.as_deref().map(|device| self.desk.find(device, wanted.application.as_deref()));
        let device = found.transpose().map_err(|refusal| Problem::of(Kind::Unknown, refusal))?;
        if let Some(text) = &wanted.text {
            let of_device = || device.as_ref().map(|key| key.device.to_string());
            let name = wanted.codec.clone().or_else(of_device).unwrap_or_else(|| "codec".into());
            let draft = Written { name: &name, text, form: wanted.kind }.draft()?;
            return Ok(draft.map(|draft| Subject { draft, by: None, device }).map_err(|error| {
                let line = error.line().and_then(|line| u32::try_from(line).ok());
                Outcome { codec: name, error: Some(with_causes(&error)), line, ..Outcome::default() }
            }));
        }
        match (&wanted.codec, device) {
            (Some(name), None) => {
                let draft = self.library.look_up(name).await.map_err(not_found)?;
                Ok(Ok(Subject { draft, by: None, device: None }))
            }
            (None, Some(key)) => {
                let chosen = self.library.choose(&key, &Wishes::default()).ok_or_else(no_codec)?;
                Ok(Ok(Subject { draft: chosen.codec.draft(), by: Some(chosen.by), device: Some(key) }))
            }
            _ => {
                let hint = "give either `device` or `codec`, or the `text` of one";
                Err(Problem::new(Kind::Malformed, "the request names no codec").hint(hint))
            }
        }
    }

    /// What would be announced of a device whose codec says this.
    fn entities(&self, subject: &Subject, described: Vec<Field>, tried: &Tried) -> Option<Vec<Preview>> {
        let Ok(Answer::Decoded(reading)) = &tried.outcome else { return None };
        let settings = self.settings.now();
        let draft = &subject.draft;
        let fields = if draft.fields.is_empty() { described } else { draft.fields.to_vec() };
        let mut portrait = Portrait::of_reading(
            subject.device.clone(),
            (fields, draft.commands.to_vec()),
            (&reading.data, reading.measurements.as_deref()),
        );
        if let Some(own) = settings.device(&portrait.key) {
            portrait.overrides = own.home_assistant.clone();
        }
        let place = Place { settings: &settings, bridge: "", version: env!("CARGO_PKG_VERSION") };
        Some(preview(&portrait, &place))
    }
}

impl Outcome {
    /// `asked`: the port for a command whose codec chooses none.
    fn of(Tried { outcome, console }: Tried, asked: Option<u8>) -> Self {
        let outcome = match outcome {
            Ok(Answer::Decoded(reading)) => Self {
                fields: Some(reading.data),
                normalized: reading.measurements,
                warnings: reading.warnings,
                ..Self::default()
            },
            Ok(Answer::Encoded(encoded)) => Self {
                f_port: Some(encoded.f_port.or(asked).unwrap_or_else(|| FPort::default().value())),
                payload_hex: Some(hex::encode_upper(&encoded.bytes)),
                warnings: encoded.warnings,
                ..Self::default()
            },
            Err(error) => Self { line: CodecError::line(&error), error: Some(error.to_string()), ..Self::default() },
        };
        Self { console, ..outcome }
    }
}

fn question(wanted: &mut Wanted) -> Result<Question, Problem> {
    let Wanted { f_port, payload_hex, payload_base64, payload_text, fields, .. } = wanted;
    let given = [payload_hex.is_some(), payload_base64.is_some(), payload_text.is_some(), fields.is_some()];
    if given.iter().filter(|given| **given).count() != 1 {
        return Err(Problem::new(Kind::Malformed, "nothing to try, or several things at once").hint(PAYLOADS));
    }
    if let Some(fields) = fields.take() {
        let f_port = f_port.map(|port| FPort::new(port.into())).transpose();
        let f_port = f_port.map_err(|invalid| Problem::new(Kind::Malformed, invalid.to_string()))?;
        return Ok(Question::Encode { fields, f_port: f_port.map(FPort::value) });
    }
    let hex = payload_hex.take().map(|text| from_hex(&text));
    let base64 = || payload_base64.take().map(|text| from_base64(&text));
    let text = || payload_text.take().map(|text| Some(text.into_bytes()));
    let payload = hex.or_else(base64).or_else(text).flatten();
    let payload = payload.filter(|payload| payload.len() <= LONGEST_PAYLOAD).ok_or_else(|| {
        let hint = format!("bytes 01 FF are \"01FF\" in hex and \"Af8=\" in base64; at most {LONGEST_PAYLOAD}");
        Problem::new(Kind::Malformed, "the payload cannot be read").hint(hint)
    })?;
    let f_port = f_port.filter(|port| *port > 0).ok_or_else(|| {
        Problem::new(Kind::Malformed, "`f_port` is missing").hint("the port that the uplink came on, 1 to 255")
    })?;
    Ok(Question::Decode { payload, f_port, at: None })
}

fn no_codec() -> Problem {
    let hint = "name one: `codec`, or `codec` of the device in the configuration";
    Problem::new(Kind::Refused, "no codec is known for this device").hint(hint)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::control::Body;

    fn asked(text: &str) -> Result<Question, Problem> {
        Body::parse(text.as_bytes()).and_then(Body::read).and_then(|mut wanted| question(&mut wanted))
    }

    #[test]
    fn a_payload_may_be_written_in_three_ways() {
        for payload in [r#""payload_hex": "61 62""#, r#""payload_base64": "YWI=""#, r#""payload_text": "ab""#] {
            let question = asked(&format!(r#"{{"codec": "x", "f_port": 2, {payload}}}"#));
            assert!(
                matches!(question, Ok(Question::Decode { payload, f_port: 2, .. }) if payload == b"ab"),
                "{payload}"
            );
        }
        assert!(asked(&format!(r#"{{"f_port": 2, "payload_text": "{}"}}"#, "x".repeat(LONGEST_PAYLOAD + 1))).is_err());
    }

    proptest! {
        #[test]
        fn whatever_a_stranger_writes_is_a_question_or_a_problem(
            key in "payload_(hex|base64|text)|fields|device|f_port", value in "\\PC{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..60)
        ) {
            let _ = asked(&serde_json::json!({ key: value, "f_port": 1 }).to_string());
            let _ = Body::parse(&bytes).and_then(Body::read::<Wanted>);
        }
    }
}
