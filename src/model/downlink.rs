//! A downlink from the home's command to its last state, and the limits checked before anything leaves the house.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::DeviceKey;

/// The longest FRMPayload any LoRaWAN band carries, in bytes (LoRaWAN regional parameters: 242 at the fastest data rate).
pub const MAX_PAYLOAD: usize = 242;

/// What the home asked for, parsed but not yet encoded.
#[derive(Debug)]
pub enum Command {
    /// `…/set` and its variants: fields for the device's codec to encode.
    Set(Box<RawValue>),
    /// `…/downlink/push`: one or several, all or none.
    Push(Vec<DownlinkRequest>),
    /// `…/downlink/replace`: drops what waits for this device and puts this in its place.
    Replace(Vec<DownlinkRequest>),
    /// `…/downlink/cancel`: one downlink by its id.
    Cancel(DownlinkId),
    /// `…/downlink/clear`: everything that waits for this device.
    Clear,
}

/// One downlink as the home wants it.
#[derive(Debug)]
pub struct DownlinkRequest {
    /// The home's own id, if it gave one.
    pub id: Option<DownlinkId>,
    /// Needed with bytes; with fields the codec may choose it.
    pub f_port: Option<FPort>,
    pub payload: Payload,
    pub confirmed: bool,
    pub priority: Priority,
    /// Transmissions of a confirmed downlink, 1 to 32.
    pub attempts: Option<u8>,
    /// Given up if the network has not taken it by then.
    pub expires_in: Option<Duration>,
    /// Held back until then.
    pub not_before: Option<Timestamp>,
    /// Among waiting downlinks of one device with the same key only the newest is sent.
    pub supersedes: Option<String>,
}

/// What a downlink carries.
#[derive(Debug)]
pub enum Payload {
    Bytes(Vec<u8>),
    Fields(Box<RawValue>),
}

/// A downlink with its bytes known: what is queued, pushed and followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedDownlink {
    pub id: DownlinkId,
    pub key: DeviceKey,
    pub f_port: FPort,
    /// 1 to [`MAX_PAYLOAD`] bytes: TTN cannot carry an empty one.
    pub payload: Vec<u8>,
    /// What was encoded into it, if the home gave fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Map<String, Value>>,
    pub confirmed: bool,
    pub priority: Priority,
    pub attempts: Option<u8>,
    pub expires_at: Option<Timestamp>,
    pub not_before: Option<Timestamp>,
    pub supersedes: Option<String>,
}

/// One id from the home to the device and back: it travels in the network's `correlation_ids`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(inline)]
pub struct DownlinkId(Arc<str>);

/// An application port: 1 to 223 (LoRaWAN 1.0.3, 4.3.2; 224 is for certification, above is reserved).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct FPort(u8);

/// How the network's gateways weigh this downlink, and the order of our own queue. Spelled as The Things Stack does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Priority {
    Lowest,
    Low,
    BelowNormal,
    #[default]
    Normal,
    AboveNormal,
    High,
    Highest,
}

/// Where a downlink is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "DownlinkState")]
pub enum State {
    Accepted,
    Held,
    Queued,
    Sent,
    Nacked,
    Acked,
    Failed,
    Expired,
    Superseded,
    Cancelled,
}

/// One step of a downlink's life: what `…/downlink/state` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DownlinkStep")]
pub struct Step {
    pub id: DownlinkId,
    pub state: State,
    pub at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Why a downlink cannot be what the home asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDownlink {
    #[error("f_port {0} is out of range: application ports are 1 to 223")]
    Port(u64),
    #[error(
        "priority `{0}` is unknown: LOWEST, LOW, BELOW_NORMAL, NORMAL, ABOVE_NORMAL, HIGH or HIGHEST, spelled exactly"
    )]
    Priority(String),
    #[error("the payload is {0} bytes: no LoRaWAN frame carries more than {MAX_PAYLOAD}")]
    TooLong(usize),
    #[error("the payload is empty: The Things Network cannot send an empty downlink")]
    Empty,
    #[error("id `{0}` does not fit: 1 to 64 of a-z, A-Z, 0-9, `-`, `_`, `.`")]
    Id(String),
}

impl DownlinkId {
    /// Takes 1 to 64 characters of `a-zA-Z0-9-_.`: TTN limits a correlation id to 100, ours carries a prefix.
    pub fn parse(text: &str) -> Result<Self, InvalidDownlink> {
        let fits =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        fits.then(|| Self(text.into())).ok_or_else(|| InvalidDownlink::Id(text.chars().take(80).collect()))
    }

    /// A new id out of 64 random bits.
    pub fn random(bits: u64) -> Self {
        Self(format!("{bits:016x}").into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The port of an encoded command for which none is named (as The Things Stack has it).
impl Default for FPort {
    fn default() -> Self {
        Self(1)
    }
}

impl FPort {
    pub fn new(port: u64) -> Result<Self, InvalidDownlink> {
        match u8::try_from(port) {
            Ok(port @ 1..=223) => Ok(Self(port)),
            _ => Err(InvalidDownlink::Port(port)),
        }
    }

    pub fn value(self) -> u8 {
        self.0
    }
}

impl TryFrom<u64> for FPort {
    type Error = InvalidDownlink;

    fn try_from(port: u64) -> Result<Self, InvalidDownlink> {
        Self::new(port)
    }
}

impl Priority {
    /// The Things Stack's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lowest => "LOWEST",
            Self::Low => "LOW",
            Self::BelowNormal => "BELOW_NORMAL",
            Self::Normal => "NORMAL",
            Self::AboveNormal => "ABOVE_NORMAL",
            Self::High => "HIGH",
            Self::Highest => "HIGHEST",
        }
    }
}

impl FromStr for Priority {
    type Err = InvalidDownlink;

    fn from_str(text: &str) -> Result<Self, InvalidDownlink> {
        use Priority::*;
        [Lowest, Low, BelowNormal, Normal, AboveNormal, High, Highest]
            .into_iter()
            .find(|priority| priority.as_str() == text)
            .ok_or_else(|| InvalidDownlink::Priority(text.chars().take(40).collect()))
    }
}

impl State {
    /// As it is shown at home.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Held => "held",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Nacked => "nacked",
            Self::Acked => "acked",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more can happen to a downlink in this state. `Sent` is final only for an unconfirmed one.
    pub fn is_final(self, confirmed: bool) -> bool {
        match self {
            Self::Acked | Self::Failed | Self::Expired | Self::Superseded | Self::Cancelled => true,
            Self::Sent => !confirmed,
            Self::Accepted | Self::Held | Self::Queued | Self::Nacked => false,
        }
    }
}

impl fmt::Display for DownlinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for DownlinkId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DownlinkId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_1_to_223() {
        assert!((1..=223).all(|port| FPort::new(port).is_ok()));
        assert!([0, 224, 255, 256, 1 << 40].into_iter().all(|port| FPort::new(port).is_err()));
    }

    #[test]
    fn priorities_are_spelled_exactly() {
        assert_eq!("ABOVE_NORMAL".parse(), Ok(Priority::AboveNormal));
        for bad in ["normal", "URGENT", "", "NORMAL "] {
            assert!(bad.parse::<Priority>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_travels_unchanged_or_is_refused() {
        assert_eq!(DownlinkId::random(255).as_str(), "00000000000000ff");
        for bad in ["", "a b", "a/b", &"x".repeat(65)] {
            assert!(DownlinkId::parse(bad).is_err(), "{bad}");
        }
    }
}
