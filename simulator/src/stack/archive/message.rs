//! A published message as the archive sees it: whose it is, of which kind, and what it is counted and sorted by.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

/// One ApplicationUp that went out.
#[derive(Debug, Clone)]
pub struct Message {
    /// Bare application id.
    pub application: String,
    pub device: String,
    pub kind: Kind,
    /// When the Application Server got it: the outer `received_at`, or the present if the message has none.
    pub received_at: Timestamp,
    /// Empty for simulated uplinks and for everything that is no uplink.
    pub session_key_id: String,
    pub f_cnt: u32,
    pub body: Bytes,
}

/// The kinds of messages the Application Server publishes, as the Storage Integration names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    UplinkMessage,
    UplinkNormalized,
    JoinAccept,
    DownlinkQueued,
    DownlinkSent,
    DownlinkAck,
    DownlinkNack,
    DownlinkFailed,
    DownlinkQueueInvalidated,
    LocationSolved,
    ServiceData,
}

/// Kind, its name in messages and paths, and the end of its topic.
const KINDS: [(Kind, &str, &str); 11] = [
    (Kind::UplinkMessage, "uplink_message", "up"),
    (Kind::UplinkNormalized, "uplink_normalized", "up/normalized"),
    (Kind::JoinAccept, "join_accept", "join"),
    (Kind::DownlinkQueued, "downlink_queued", "down/queued"),
    (Kind::DownlinkSent, "downlink_sent", "down/sent"),
    (Kind::DownlinkAck, "downlink_ack", "down/ack"),
    (Kind::DownlinkNack, "downlink_nack", "down/nack"),
    (Kind::DownlinkFailed, "downlink_failed", "down/failed"),
    (Kind::DownlinkQueueInvalidated, "downlink_queue_invalidated", "down/invalidated"),
    (Kind::LocationSolved, "location_solved", "location/solved"),
    (Kind::ServiceData, "service_data", "service/data"),
];

impl Kind {
    /// The kind of this name, for example `uplink_message`.
    pub fn named(name: &str) -> Option<Self> {
        KINDS.iter().find(|(_, known, _)| *known == name).map(|(kind, ..)| *kind)
    }

    fn of_topic(suffix: &str) -> Option<Self> {
        KINDS.iter().find(|(.., known)| *known == suffix).map(|(kind, ..)| *kind)
    }
}

/// The few fields that are looked at; tests publish messages that lack any of them.
#[derive(Deserialize)]
struct Head {
    received_at: Option<String>,
    uplink_message: Option<UplinkHead>,
}

#[derive(Deserialize)]
struct UplinkHead {
    #[serde(default)]
    session_key_id: String,
    #[serde(default)]
    f_cnt: u32,
}

impl Message {
    /// Reads what was published; `None` if topic or payload are none of the Application Server's.
    pub fn read(topic: &str, payload: &Bytes) -> Option<Self> {
        let mut levels = topic.splitn(5, '/');
        let ("v3", uid, "devices", device) = (levels.next()?, levels.next()?, levels.next()?, levels.next()?) else {
            return None;
        };
        let kind = Kind::of_topic(levels.next()?)?;
        let head: Head = serde_json::from_slice(payload).ok()?;
        let received_at = head.received_at.and_then(|text| text.parse().ok()).unwrap_or_else(Timestamp::now);
        let (session_key_id, f_cnt) =
            head.uplink_message.map(|uplink| (uplink.session_key_id, uplink.f_cnt)).unwrap_or_default();
        Some(Self {
            application: uid.split('@').next().unwrap_or_default().to_owned(),
            device: device.to_owned(),
            kind,
            received_at,
            session_key_id,
            f_cnt,
            body: payload.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_by_its_topic_and_outer_fields() {
        let body = r#"{"received_at":"2026-11-21T00:00:05Z","uplink_message":{"session_key_id":"AQ==","f_cnt":7}}"#;
        let message = Message::read("v3/app@ttn/devices/dev/up", &Bytes::from(body)).unwrap();
        assert_eq!((message.application.as_str(), message.device.as_str()), ("app", "dev"));
        assert_eq!((message.kind, message.f_cnt), (Kind::UplinkMessage, 7));
        assert_eq!(message.received_at, "2026-11-21T00:00:05Z".parse().unwrap());
    }

    #[test]
    fn strange_topics_and_bodies_are_not_messages() {
        for (topic, body) in
            [("v3/app/devices/dev/down/push", "{}"), ("v3/app/other", "{}"), ("v3/a/devices/d/up", "[")]
        {
            assert!(Message::read(topic, &Bytes::from(body)).is_none(), "{topic} {body}");
        }
    }
}
