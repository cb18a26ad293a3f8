//! The usual scene: one application, one registered device, a key for everything.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::nodes::{MbedExample, Node};
use simulator::stack::{
    ApiKey, Application, Device, Location, Stack, StackConfig, StackEvent, StackHandle, VersionIds,
};
use simulator::wire::QoS;
use tokio::sync::broadcast;

use crate::client::{EventStream, HttpAnswer, Mqtt, page, request};

pub const APP: &str = "app1";
pub const DEVICE: &str = "dev1";

/// A running stack with application `app1` and device `dev1`.
pub struct Scene {
    pub stack: Stack,
    pub handle: StackHandle,
    pub key: ApiKey,
}

impl Scene {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Changes the configuration first. Radio times are zero unless changed back.
    pub async fn with(change: impl FnOnce(&mut StackConfig)) -> Self {
        let key = ApiKey::with_all_rights();
        let application = Application { id: APP.into(), tenant: None, keys: vec![key.clone()] };
        let mut config = StackConfig {
            applications: vec![application],
            deduplication: Duration::ZERO,
            receive_delay: Duration::ZERO,
            ..StackConfig::default()
        };
        change(&mut config);
        let stack = Stack::start(config).await.unwrap();
        let handle = stack.handle();
        handle.register(APP, device()).unwrap();
        Self { stack, handle, key }
    }

    /// The scene's key has these rights only.
    pub async fn with_key(rights: &[&str]) -> Self {
        let key = ApiKey::with_rights(rights.iter().copied());
        let mut scene = Self::with(|config| config.applications[0].keys.push(key.clone())).await;
        scene.key = key;
        scene
    }

    /// A node for `dev1` that has joined.
    pub async fn joined_node(&self) -> Node {
        let mut node = Node::new(&device(), MbedExample::default());
        node.join(&self.handle).await.unwrap();
        node
    }

    pub async fn mqtt(&self) -> Mqtt {
        Mqtt::login(self.stack.mqtt_addr(), APP, &self.key.key).await
    }

    /// A connection that is subscribed to everything.
    pub async fn listener(&self) -> Mqtt {
        let mut client = self.mqtt().await;
        client.subscribe(&[("#", QoS::AtLeastOnce)]).await;
        client
    }

    /// A request with the scene's key; `line` is for example `GET /auth_info`.
    pub async fn api(&self, line: &str, body: Value) -> HttpAnswer {
        let (method, path) = line.split_once(' ').unwrap();
        let authorization = format!("Bearer {}", self.key.key);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        request(self.stack.http_addr(), &format!("{method} /api/v3{path}"), Some(&authorization), &body).await
    }

    /// A page of stored messages; `path` begins behind the application.
    pub async fn stored(&self, path: &str) -> (HttpAnswer, Vec<Value>) {
        let line = format!("GET /api/v3/as/applications/{APP}{path}");
        page(self.stack.http_addr(), &line, &self.key.key).await
    }

    /// The event stream that answers this request.
    pub async fn event_stream(&self, request: Value) -> EventStream {
        EventStream::open(self.stack.http_addr(), "POST /api/v3/events", &self.key.key, &request).await
    }

    /// Pushes one downlink by HTTP.
    pub async fn push(&self, downlink: Value) -> HttpAnswer {
        let line = format!("POST /as/applications/{APP}/devices/{DEVICE}/down/push");
        self.api(&line, json!({"downlinks": [downlink]})).await
    }
}

/// `dev1` with everything that can be registered about it.
pub fn device() -> Device {
    let dev_eui = [0x70, 0xB3, 0xD5, 0x7E, 0xD0, 0, 0, 1];
    let mut device = Device::new(DEVICE, dev_eui, [0x70, 0xB3, 0xD5, 0x7E, 0xD0, 0, 0, 0], [0x2B; 16]);
    device.name = Some("The first".into());
    device.location = Some(Location { latitude: 52.3, longitude: 4.8, altitude: 10 });
    device.version_ids = Some(VersionIds {
        brand_id: "the-things-products".into(),
        model_id: "the-things-uno".into(),
        hardware_version: "1.0".into(),
        firmware_version: "quickstart".into(),
        band_id: "EU_863_870".into(),
    });
    device
}

/// Everything published so far: the end of its topic, and its JSON.
pub fn published(events: &mut broadcast::Receiver<StackEvent>) -> Vec<(String, Value)> {
    let mut published = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let StackEvent::Published { topic, payload } = event {
            let suffix = topic.splitn(5, '/').last().unwrap_or_default().to_owned();
            published.push((suffix, serde_json::from_slice(&payload).unwrap()));
        }
    }
    published
}

/// The ends of the topics published so far.
pub fn topics(events: &mut broadcast::Receiver<StackEvent>) -> Vec<String> {
    published(events).into_iter().map(|(suffix, _)| suffix).collect()
}
