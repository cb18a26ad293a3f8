//! The handle through which everything reaches the home broker.

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

use super::LiveSettings;
use crate::model::{HomeName, Receipt, Step, Subject};
use crate::mqtt::{Answering, Message};

/// Publishes at home. A message counts as delivered only once the broker acknowledged it; until then the home broker's
/// task keeps it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Home {
    messages: mpsc::Sender<Message>,
    settings: LiveSettings,
}

impl Home {
    pub fn new(messages: mpsc::Sender<Message>, settings: LiveSettings) -> Self {
        Self { messages, settings }
    }

    pub fn settings(&self) -> &LiveSettings {
        &self.settings
    }

    /// One message per uplink, and who waits for its delivery. Published last of all that an uplink gives rise to.
    pub async fn uplink(&self, device: Subject<'_>, body: Bytes, receipt: Option<Receipt>) {
        let topic = self.settings.now().topics.uplink(device);
        self.send(Message::new(topic, body).receipt(receipt)).await;
    }

    /// The merged state: retained, and only the newest counts.
    pub async fn state(&self, device: Subject<'_>, body: Bytes) {
        self.send(Message::new(self.settings.now().topics.state(device), body).retained().latest()).await;
    }

    /// Takes what is retained of a device away from the broker, for a name it no longer has.
    pub async fn clear(&self, device: Subject<'_>) {
        let topics = &self.settings.now().topics;
        self.send(Message::new(topics.state(device), Bytes::new()).retained().latest()).await;
        self.send(Message::new(topics.downlink(device, "state"), Bytes::new()).retained()).await;
    }

    /// Something that happened to a device: `join`, `codec_error`, `location` …
    pub async fn event(&self, device: Subject<'_>, kind: &str, body: &impl Serialize, receipt: Option<Receipt>) {
        let topic = self.settings.now().topics.event(device, kind);
        self.send(Message::new(topic, json(body)).receipt(receipt)).await;
    }

    /// A step of a downlink. Each counts, and the last one stays with the broker.
    pub async fn downlink_state(&self, device: Subject<'_>, step: &Step, receipt: Option<Receipt>) {
        let topic = self.settings.now().topics.downlink(device, "state");
        self.send(Message::new(topic, json(step)).retained().receipt(receipt)).await;
    }

    /// Why a command for a device nobody knows is refused. Not retained: a typo must not stay with the broker for ever.
    pub async fn refusal(&self, name: &HomeName, step: &Step) {
        self.send(Message::new(self.settings.now().topics.refusal(name), json(step))).await;
    }

    /// Something that happened to the bridge.
    pub async fn bridge_event(&self, body: &impl Serialize) {
        self.send(Message::new(self.of_bridge("event"), json(body))).await;
    }

    /// What the bridge is like now: `info`, `devices`, `health`. Retained, and only the newest counts.
    pub async fn bridge_status(&self, what: &str, body: &impl Serialize) {
        self.send(Message::new(self.of_bridge(what), json(body)).retained().latest()).await;
    }

    /// The answer to a request: where the bridge always answers and, if the asker named a place, there too.
    pub async fn respond(&self, command: &str, answering: Option<Answering>, body: &impl Serialize) {
        let body = json(body);
        if let Some(Answering { topic, correlation }) = answering {
            self.send(Message { correlation, ..Message::new(topic, body.clone()) }).await;
        }
        self.send(Message::new(self.of_bridge(&format!("response/{command}")), body)).await;
    }

    fn of_bridge(&self, what: &str) -> String {
        self.settings.now().topics.of_bridge(what)
    }

    /// Waits while the broker's task is busy. A closed channel means the process is past its drain: the message is
    /// told, because nobody will carry it any more.
    async fn send(&self, message: Message) {
        if let Err(lost) = self.messages.send(message).await {
            tracing::warn!(topic = lost.0.topic, "Message came after the home side had stopped.");
        }
    }
}

fn json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("our own types have string keys and always serialise").into()
}
