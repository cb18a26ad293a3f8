//! Tries a codec on what a device sent last: what each uplink said then, and what it would say.

use jiff::Timestamp;
use payload_codecs::CodecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Codecs, Written};
use crate::codecs::{Answer, Form, Question, Tried};
use crate::control::downlinks::LONGEST_WAIT;
use crate::control::problem::{Kind, Problem};
use crate::model::{DeviceKey, UplinkRecord};
use crate::store::UplinkFilter;
use crate::telemetry::with_causes;

/// Uplinks tried on, unless the request says otherwise, and at most.
const USUAL: usize = 10;
const MOST: usize = 50;

/// A codec that is not kept, and the device it shall be tried for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Try {
    /// By its name at home or its id at the network.
    device: String,
    application: Option<String>,
    text: String,
    /// What `text` is; without it, a table if it can be read as one, else a script.
    kind: Option<Form>,
    /// The newest so many uplinks: 10 unless given, 50 at most.
    #[schemars(range(min = 1, max = 50))]
    limit: Option<usize>,
}

/// What came of it, the newest uplink first. Those without a payload that a codec could read are left out.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CodecReplay")]
pub struct Replay {
    tried: Vec<Replayed>,
}

/// One uplink.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CodecReplayed")]
struct Replayed {
    id: String,
    #[schemars(with = "String", extend("format" = "date-time"))]
    at: Timestamp,
    f_port: u8,
    payload_hex: String,
    before: Before,
    after: After,
}

/// What was published.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CodecBefore")]
struct Before {
    fields: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What would be.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "CodecAfter")]
struct After {
    fields: Option<Box<RawValue>>,
    normalized: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Where in the script, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    warnings: Vec<String>,
    /// What the script wrote to its `console`.
    log: Vec<String>,
}

impl Codecs {
    /// Tries a codec on a device's last uplinks. Nothing is published, and nothing of it stays.
    ///
    /// # Errors
    /// There is no such device, the text is no codec, or it did not come back.
    pub async fn replay(&self, wanted: Try) -> Result<Replay, Problem> {
        let found = self.desk.find(&wanted.device, wanted.application.as_deref());
        let key = found.map_err(|refusal| Problem::of(Kind::Unknown, refusal))?;
        let written = Written { name: key.device.as_str(), text: &wanted.text, form: wanted.kind };
        let draft = written.draft()?.map_err(|error| Problem::new(Kind::Refused, with_causes(&error)))?;
        let most = wanted.limit.unwrap_or(USUAL).clamp(1, MOST);
        let most = most.min(self.trial.lock().await.most_within(LONGEST_WAIT / 2));
        let uplinks = self.last_uplinks(key, most).await?;
        let questions = uplinks.iter().map(|(f_port, uplink)| Question::Decode {
            payload: uplink.payload.to_vec(),
            f_port: *f_port,
            at: Some(uplink.at),
        });
        let examined = self.examine(&draft, questions.collect()).await?;
        let tried = uplinks.into_iter().zip(examined.tried);
        Ok(Replay { tried: tried.map(|((f_port, uplink), tried)| Replayed::of(uplink, f_port, tried)).collect() })
    }

    /// Those that a codec can read, and the port of each.
    async fn last_uplinks(&self, device: DeviceKey, most: usize) -> Result<Vec<(u8, UplinkRecord)>, Problem> {
        let wanted = UplinkFilter { device, from: 0, before: i64::MAX, newest_first: true, most };
        let page = self.store.uplinks(wanted).await.map_err(|error| {
            Problem::new(Kind::Unavailable, error.to_string()).hint("the log tells what is wrong with the disk")
        })?;
        let readable = page.uplinks.into_iter().filter(|(_, uplink)| !uplink.encrypted);
        Ok(readable.filter_map(|(_, uplink)| Some((uplink.f_port?, uplink))).collect())
    }
}

impl Replayed {
    fn of(uplink: UplinkRecord, f_port: u8, tried: Tried) -> Self {
        Self {
            id: uplink.id,
            at: uplink.at,
            f_port,
            payload_hex: hex::encode_upper(&uplink.payload),
            before: Before { fields: uplink.fields, error: uplink.codec_error },
            after: After::of(tried),
        }
    }
}

impl After {
    fn of(Tried { outcome, console }: Tried) -> Self {
        let after = match outcome {
            Ok(Answer::Decoded(reading)) => Self {
                fields: Some(reading.data),
                normalized: reading.measurements,
                warnings: reading.warnings,
                ..Self::default()
            },
            // It was asked to decode.
            Ok(Answer::Encoded(_)) => Self::default(),
            Err(error) => Self { line: CodecError::line(&error), error: Some(error.to_string()), ..Self::default() },
        };
        Self { log: console, ..after }
    }
}
