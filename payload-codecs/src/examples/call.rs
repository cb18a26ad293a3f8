//! One call of a codec, in the names of The Things Stack's payload formatters: what goes in, what comes out.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::codec::{Codec, DownlinkInput, UplinkInput};
use crate::error::CodecError;

/// The port of a payload whose port nobody names: the first one for applications (LoRaWAN 1.0.3, 4.3.2).
const DEFAULT_PORT: u8 = 1;

/// What a codec can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// Bytes from the device to fields.
    #[serde(alias = "decode_uplink")]
    DecodeUplink,
    /// Fields of a command to bytes.
    #[serde(alias = "encode_downlink")]
    EncodeDownlink,
    /// Bytes to the device to fields.
    #[serde(alias = "decode_downlink")]
    DecodeDownlink,
    /// Fields to measurements.
    #[serde(alias = "normalize_uplink")]
    NormalizeUplink,
}

/// What goes into a call: `{bytes, fPort, recvTime}` or `{data, fPort}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The application payload of what is decoded.
    pub bytes: Option<Vec<u8>>,
    /// LoRaWAN's `FPort`.
    pub f_port: Option<u8>,
    /// When the network received the uplink.
    pub recv_time: Option<Timestamp>,
    /// The fields of what is encoded or normalised.
    pub data: Option<Box<RawValue>>,
}

/// What comes out of a call: `{data, warnings}` or `{bytes, fPort, warnings}`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The fields, or the list of measurements. None if bytes came out, and if a codec has no normaliser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    /// The payload of a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
    /// The port the codec chose for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub f_port: Option<u8>,
    /// What the codec wants known although it succeeded.
    pub warnings: Vec<String>,
}

/// One call, free to cross threads.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What is asked.
    pub operation: Operation,
    /// What goes in.
    pub input: Input,
}

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The codec itself says so, in its own words.
    #[error("the codec reports: {}", .0.join("; "))]
    Reported(Vec<String>),
    /// Anything else, for people.
    #[error("{0}")]
    Other(String),
}

impl Operation {
    /// The name of the codec's function for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DecodeUplink => "decodeUplink",
            Self::EncodeDownlink => "encodeDownlink",
            Self::DecodeDownlink => "decodeDownlink",
            Self::NormalizeUplink => "normalizeUplink",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Call {
    /// Makes it, on this thread.
    ///
    /// # Errors
    /// What the codec reports or does wrong, and an input that lacks what the operation reads.
    pub fn make(&self, codec: &mut dyn Codec) -> Result<Output, Failure> {
        let input = &self.input;
        match self.operation {
            Operation::DecodeUplink => codec.decode_uplink(&input.uplink()?).map(Output::from).map_err(Failure::from),
            Operation::DecodeDownlink => {
                codec.decode_downlink(&input.uplink()?).map(Output::from).map_err(Failure::from)
            }
            Operation::EncodeDownlink => {
                let encoded = codec.encode_downlink(&DownlinkInput { data: input.fields()?, f_port: input.f_port })?;
                let (bytes, f_port) = (Some(encoded.bytes), encoded.f_port);
                Ok(Output { data: None, bytes, f_port, warnings: encoded.warnings })
            }
            Operation::NormalizeUplink => {
                let normalized = codec.normalize_uplink(input.fields()?)?;
                let (data, warnings) = normalized.map(|found| (found.measurements, found.warnings)).unzip();
                Ok(Output { data, bytes: None, f_port: None, warnings: warnings.unwrap_or_default() })
            }
        }
    }
}

impl Input {
    fn uplink(&self) -> Result<UplinkInput<'_>, Failure> {
        let missing = || Failure::Other("the input has no `bytes`".to_owned());
        Ok(UplinkInput {
            bytes: self.bytes.as_deref().ok_or_else(missing)?,
            f_port: self.f_port.unwrap_or(DEFAULT_PORT),
            recv_time_ms: self.recv_time.map(Timestamp::as_millisecond),
        })
    }

    fn fields(&self) -> Result<&RawValue, Failure> {
        self.data.as_deref().ok_or_else(|| Failure::Other("the input has no `data`".to_owned()))
    }
}

impl PartialEq for Input {
    fn eq(&self, other: &Self) -> bool {
        let text = |input: &Self| input.data.as_ref().map(|data| data.get().to_owned());
        (&self.bytes, self.f_port, self.recv_time) == (&other.bytes, other.f_port, other.recv_time)
            && text(self) == text(other)
    }
}

impl Output {
    /// As JSON; `warnings` is always there.
    pub fn to_value(&self) -> Value {
        let data = self.data.as_ref().and_then(|data| serde_json::from_str::<Value>(data.get()).ok());
        let mut value = json!({ "data": data, "warnings": self.warnings });
        if let Some(bytes) = &self.bytes {
            value["bytes"] = bytes.as_slice().into();
            value["fPort"] = self.f_port.into();
        }
        value
    }
}

impl From<crate::codec::Decoded> for Output {
    fn from(decoded: crate::codec::Decoded) -> Self {
        Self { data: Some(decoded.data), bytes: None, f_port: None, warnings: decoded.warnings }
    }
}

impl From<CodecError> for Failure {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::Reported { errors } => Self::Reported(errors),
            other => Self::Other(other.to_string()),
        }
    }
}
