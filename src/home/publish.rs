//! The handle through which everything reaches the home broker.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

use super::Topics;
use crate::model::{HomeName, Receipt, Step};
use crate::mqtt::{Kind, Message};

/// Publishes at home, QoS 1. A message counts as delivered only once the broker acknowledged it; until then the home
/// broker's task keeps it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Home {
    messages: mpsc::Sender<Message>,
    topics: Arc<Topics>,
}

impl Home {
    pub fn new(messages: mpsc::Sender<Message>, topics: Arc<Topics>) -> Self {
        Self { messages, topics }
    }

    /// One message per uplink, and who waits for its delivery. Published last of all that an uplink gives rise to.
    pub async fn uplink(&self, device: &HomeName, body: Bytes, receipt: Option<Receipt>) {
        self.send_with(self.topics.of_device(device, "uplink"), body, false, Kind::Each, receipt).await;
    }

    /// The merged state: retained, and only the newest counts.
    pub async fn state(&self, device: &HomeName, body: Bytes) {
        self.send(self.topics.state(device), body, true, Kind::Latest).await;
    }

    /// Takes what is retained of a device away from the broker, for a name it no longer has.
    pub async fn clear(&self, device: &HomeName) {
        self.send(self.topics.state(device), Bytes::new(), true, Kind::Latest).await;
        self.send(self.topics.of_device(device, "downlink/state"), Bytes::new(), true, Kind::Each).await;
    }

    /// Something that happened to a device: `join`, `codec_error`, `location` …
    pub async fn event(&self, device: &HomeName, kind: &str, body: &impl Serialize, receipt: Option<Receipt>) {
        let topic = self.topics.of_device(device, &format!("event/{kind}"));
        self.send_with(topic, json(body), false, Kind::Each, receipt).await;
    }

    /// A step of a downlink. Each counts, and the last one stays with the broker.
    pub async fn downlink_state(&self, device: &HomeName, step: &Step, receipt: Option<Receipt>) {
        self.send_with(self.topics.of_device(device, "downlink/state"), json(step), true, Kind::Each, receipt).await;
    }

    /// Why a command for a device nobody knows is refused. Not retained: a typo must not stay with the broker for ever.
    pub async fn refusal(&self, name: &HomeName, step: &Step) {
        self.send(self.topics.of_device(name, "downlink/state"), json(step), false, Kind::Each).await;
    }

    /// Something that happened to the bridge.
    pub async fn bridge_event(&self, body: &impl Serialize) {
        self.send(self.topics.of_bridge("event"), json(body), false, Kind::Each).await;
    }

    /// What the bridge is like now: `info`, `devices`, `health`. Retained, and only the newest counts.
    pub async fn bridge_status(&self, what: &str, body: &impl Serialize) {
        self.send(self.topics.of_bridge(what), json(body), true, Kind::Latest).await;
    }

    /// The answer to a request.
    pub async fn respond(&self, command: &str, body: &impl Serialize) {
        self.send(self.topics.of_bridge(&format!("response/{command}")), json(body), false, Kind::Each).await;
    }

    async fn send(&self, topic: String, payload: Bytes, retain: bool, kind: Kind) {
        self.send_with(topic, payload, retain, kind, None).await;
    }

    /// Waits while the broker's task is busy. A closed channel means the process is past its drain: the message is
    /// told, because nobody will carry it any more.
    async fn send_with(&self, topic: String, payload: Bytes, retain: bool, kind: Kind, receipt: Option<Receipt>) {
        if let Err(lost) = self.messages.send(Message { topic, payload, retain, kind, receipt }).await {
            tracing::warn!(topic = lost.0.topic, "Message came after the home side had stopped.");
        }
    }
}

fn json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("our own types have string keys and always serialise").into()
}
