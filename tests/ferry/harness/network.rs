//! The network side as tests use it: captured messages, made-up uplinks, and what the look-alike saw.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::stack::{Application, HttpRequest, Stack, StackEvent, StackHandle};
use tokio::sync::broadcast;

use super::{APP, in_time};

/// The look-alike and the applications in it.
pub struct Network {
    stack: Stack,
    pub handle: StackHandle,
    events: broadcast::Receiver<StackEvent>,
    applications: Vec<Application>,
}

/// A message captured from a real Things Stack.
#[derive(Debug, Clone)]
pub struct Fixture {
    pub name: String,
    pub topic: String,
    pub json: String,
}

impl Network {
    pub fn new(stack: Stack, applications: Vec<Application>) -> Self {
        let handle = stack.handle();
        Self { stack, events: handle.events(), handle, applications }
    }

    /// Where it speaks MQTT, and where HTTP.
    pub fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.stack.mqtt_addr(), self.stack.http_addr())
    }

    pub fn applications(&self) -> usize {
        self.applications.len()
    }

    /// The API key of the first application.
    pub fn key(&self) -> &str {
        &self.applications[0].keys[0].key
    }

    /// A message on any topic.
    pub fn publish(&self, topic: &str, payload: impl Into<bytes::Bytes>) {
        self.handle.publish_raw(topic, payload);
    }

    /// An uplink of a device of `app1`, as [`uplink`] makes it.
    pub fn up(&self, device: &str, f_cnt: u32, payload: &[u8]) {
        self.handle.publish_up(APP, device, &uplink(f_cnt, payload));
    }

    pub fn fixture(&self, name: &str) {
        let fixture = fixtures().into_iter().find(|fixture| fixture.name == name).expect("a fixture of this name");
        self.publish(&fixture.topic, fixture.json);
    }

    /// The next event that is wanted, of those not waited for yet.
    pub async fn wait_for(&mut self, what: &str, wanted: impl Fn(&StackEvent) -> bool) -> StackEvent {
        in_time(what, self.next(wanted)).await
    }

    /// For what the bridge itself is in no hurry to do.
    pub async fn wait_within(&mut self, patience: Duration, what: &str, wanted: impl Fn(&StackEvent) -> bool) {
        let next = tokio::time::timeout(patience, self.next(wanted)).await;
        assert!(next.is_ok(), "waited in vain for {what}");
    }

    async fn next(&mut self, wanted: impl Fn(&StackEvent) -> bool) -> StackEvent {
        loop {
            let event = self.events.recv().await.expect("the look-alike runs");
            if wanted(&event) {
                return event;
            }
        }
    }

    /// The bridge has asked for the devices of one application, the last question it asks at its start.
    pub async fn registry_read(&self) {
        let mut events = self.handle.events();
        let is_last = |request: &HttpRequest| request.path.contains("/devices?");
        if self.handle.http_requests().iter().any(is_last) {
            return;
        }
        in_time("a look at the registry", async {
            while !matches!(events.recv().await.unwrap(), StackEvent::Http(ref request) if is_last(request)) {}
        })
        .await;
    }

    /// Every application of the bridge is subscribed to.
    pub async fn subscribed(&mut self) {
        for _ in 0..self.applications() {
            self.wait_for("a subscription", |event| matches!(event, StackEvent::Subscribed { .. })).await;
        }
    }
}

/// An uplink on port 2, `f_cnt` seconds after the year began, in the one session of its device.
pub fn uplink(f_cnt: u32, payload: &[u8]) -> Value {
    let at = Timestamp::from_second(1_767_225_600).unwrap() + SignedDuration::from_secs(f_cnt.into());
    json!({
        "received_at": at.to_string(),
        "uplink_message": {
            "session_key_id": "c2Vzc2lvbg==",
            "f_port": 2,
            "f_cnt": f_cnt,
            "frm_payload": STANDARD.encode(payload),
            "received_at": at.to_string(),
        },
    })
}

/// All captured messages with the topics they came on.
pub fn fixtures() -> Vec<Fixture> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tts");
    let index = std::fs::read_to_string(format!("{folder}/INDEX.tsv")).unwrap();
    let fixture = |line: &str| {
        let (file, topic) = line.split_once('\t').expect("a file and its topic");
        let json = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
        Fixture { name: file.trim_end_matches(".json").into(), topic: topic.into(), json }
    };
    let all: Vec<_> = index.lines().map(fixture).collect();
    assert!(all.len() > 30, "only {} captured messages were found", all.len());
    all
}
