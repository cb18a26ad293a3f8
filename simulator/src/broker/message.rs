//! A message on its way through the broker.

use std::sync::Arc;

use bytes::Bytes;

use crate::wire::{LastWill, Publish, QoS};

/// One message as it was published; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// A valid topic name, without wildcards.
    pub topic: Arc<str>,
    pub payload: Bytes,
    /// The QoS of the publisher, or of one delivery.
    pub qos: QoS,
    /// As published: to be kept. On a delivery: was kept, and is sent because of a new subscription.
    pub retain: bool,
}

impl Message {
    /// This message as it goes to one subscriber.
    pub(super) fn delivered(&self, granted: QoS, retain: bool) -> Self {
        Self { qos: lower(self.qos, granted), retain, ..self.clone() }
    }

    /// The packet that carries this delivery. `packet_id` is 0 for QoS 0.
    pub(super) fn packet(&self, packet_id: u16, dup: bool) -> Publish {
        Publish {
            dup,
            qos: self.qos,
            retain: self.retain,
            topic: Bytes::copy_from_slice(self.topic.as_bytes()),
            pkid: packet_id,
            payload: self.payload.clone(),
        }
    }
}

impl From<LastWill> for Message {
    fn from(will: LastWill) -> Self {
        Self { topic: will.topic.into(), payload: will.message, qos: will.qos, retain: will.retain }
    }
}

/// The lower of the two: what a subscriber gets is bounded by both sides (MQTT 3.1.1, 3.8.4-6).
pub(super) fn lower(a: QoS, b: QoS) -> QoS {
    if a < b { a } else { b }
}
