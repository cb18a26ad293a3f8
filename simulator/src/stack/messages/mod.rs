//! The JSON that leaves the look-alike: protobuf JSON as The Things Stack writes it.
//!
//! Default values are omitted, 64-bit integers are strings, bytes are base64, identifiers upper-case hex. The shape was
//! observed on version 3.32 and is held against captured messages in the tests.

mod correlation;
mod downlink;
mod failure;
mod received;
mod uplink;

pub use correlation::{correlation_id, request_id};
pub use downlink::{ApplicationDownlink, DownlinkFailed, QueueInvalidated};
pub use failure::Failure;
pub use uplink::{JoinAccept, UplinkMessage};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// The envelope of every message.
#[derive(Debug, Clone, Serialize)]
pub struct ApplicationUp {
    pub end_device_ids: EndDeviceIds,
    pub correlation_ids: Vec<String>,
    /// When the Application Server got it.
    pub received_at: String,
    #[serde(flatten)]
    pub body: Body,
    #[serde(skip_serializing_if = "is_false")]
    pub simulated: bool,
}

/// What the envelope holds, under its own key.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    UplinkMessage(Box<UplinkMessage>),
    JoinAccept(JoinAccept),
    DownlinkQueued(ApplicationDownlink),
    DownlinkSent(ApplicationDownlink),
    DownlinkAck(ApplicationDownlink),
    DownlinkNack(ApplicationDownlink),
    DownlinkFailed(DownlinkFailed),
    DownlinkQueueInvalidated(QueueInvalidated),
}

impl Body {
    /// The end of the topic this kind of message is published to, after `v3/{uid}/devices/{device}/`.
    pub fn topic_suffix(&self) -> &'static str {
        match self {
            Self::UplinkMessage(_) => "up",
            Self::JoinAccept(_) => "join",
            Self::DownlinkQueued(_) => "down/queued",
            Self::DownlinkSent(_) => "down/sent",
            Self::DownlinkAck(_) => "down/ack",
            Self::DownlinkNack(_) => "down/nack",
            Self::DownlinkFailed(_) => "down/failed",
            Self::DownlinkQueueInvalidated(_) => "down/invalidated",
        }
    }
}

/// Who a message is about.
#[derive(Debug, Clone, Serialize)]
pub struct EndDeviceIds {
    pub device_id: String,
    pub application_ids: ApplicationIds,
    pub dev_eui: String,
    pub join_eui: String,
    /// Only where a session is involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev_addr: Option<String>,
}

/// The application, without its tenant.
#[derive(Debug, Clone, Serialize)]
pub struct ApplicationIds {
    pub application_id: String,
}

/// The present time as The Things Stack prints it: RFC 3339 with nine fraction digits.
pub fn now() -> String {
    format!("{:.9}", jiff::Timestamp::now())
}

/// Standard base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
