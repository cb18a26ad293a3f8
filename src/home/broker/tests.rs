//! The task before a simulated broker: what it listens to, and what it makes of what it hears.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use simulator::broker::{self, BrokerConfig, BrokerHandle};
use simulator::wire::QoS;
use tokio::task::JoinSet;

use super::*;
use crate::home::{AvailabilityConfig, HomeAssistantConfig, HomeConfig, Settings};
use crate::mqtt::{Address, Answering};
use crate::telemetry::Notices;

/// A task that is connected, and all that it is connected to.
struct Bench {
    broker: broker::Broker,
    replace: watch::Sender<Arc<Settings>>,
    commands: mpsc::Receiver<HomeCommand>,
    assistant_started: watch::Receiver<()>,
    /// What keeps the task from ending.
    _others: (mpsc::Sender<Message>, mpsc::Receiver<HomeRequest>, Notices, mpsc::Receiver<Notice>),
    _task: JoinSet<()>,
}

fn settings(base: &str, discovery: Discovery) -> Settings {
    let home = HomeConfig { base_topic: base.into(), ..HomeConfig::default() };
    let assistant = HomeAssistantConfig { discovery, ..HomeAssistantConfig::default() };
    Settings::new(&home, &assistant, AvailabilityConfig::default(), [], 1).unwrap()
}

impl Bench {
    async fn set(discovery: Discovery) -> Self {
        let broker = broker::Broker::start(BrokerConfig::default()).await.unwrap();
        let endpoint = Endpoint::new(Address::tcp(broker.addr().ip().to_string(), broker.addr().port()), "bridge");
        let (replace, settings) = LiveSettings::new(settings("ttn", discovery));
        let (publisher, messages) = mpsc::channel(10);
        let (command, commands) = mpsc::channel(10);
        let (request, requests) = mpsc::channel(10);
        let (notice, told) = mpsc::channel(10);
        let notices = Notices::new(notice);
        let (assistant_starting, assistant_started) = watch::channel(());
        let (connecting, mut connected) = watch::channel(false);
        let wiring = Wiring {
            messages,
            commands: command,
            requests: request,
            counters: Counters::default(),
            notices: notices.downgrade(),
            connected: connecting,
            assistant_started: assistant_starting,
            uplink_receipts: mpsc::channel(1).0,
            step_receipts: mpsc::channel(1).0,
        };
        let mut task = JoinSet::new();
        task.spawn(Broker::new(endpoint, settings, wiring).run(CancellationToken::new()));
        in_time(connected.wait_for(|connected| *connected)).await.unwrap();
        let bench = Self {
            broker,
            replace,
            commands,
            assistant_started,
            _others: (publisher, requests, notices, told),
            _task: task,
        };
        bench.is_subscribed("ttn").await;
        bench
    }

    fn home(&self) -> BrokerHandle {
        self.broker.handle()
    }

    /// Whoever says `online` listens.
    async fn is_subscribed(&self, base: &str) {
        let topic = format!("{base}/bridge/state");
        in_time(async {
            while self.home().retained(&topic).await.is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn publish(&self, topic: &str, payload: &'static str) {
        self.home().publish(topic, Bytes::from(payload), QoS::AtLeastOnce, false).await.unwrap();
    }
}

async fn in_time<T>(wanted: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), wanted).await.expect("it comes in time")
}

#[tokio::test]
async fn that_home_assistant_has_started_is_passed_on() {
    let mut bench = Bench::set(Discovery::Entity).await;
    bench.publish("homeassistant/status", "offline").await;
    bench.publish("ttn/lamp/set", "{}").await;
    in_time(bench.commands.recv()).await.unwrap();
    assert!(!bench.assistant_started.has_changed().unwrap());
    bench.publish("homeassistant/status", "online").await;
    in_time(bench.assistant_started.changed()).await.unwrap();
}

#[tokio::test]
async fn new_settings_move_the_subscriptions() {
    let mut bench = Bench::set(Discovery::Off).await;
    bench.publish("homeassistant/status", "online").await;
    bench.replace.send_replace(Arc::new(settings("house", Discovery::Device)));
    // Tried until the broker has taken the new subscriptions.
    in_time(async {
        loop {
            bench.publish("homeassistant/status", "online").await;
            if tokio::time::timeout(Duration::from_millis(50), bench.assistant_started.changed()).await.is_ok() {
                break;
            }
        }
    })
    .await;
    bench.publish("ttn/old/set", "{}").await;
    bench.publish("house/new/set", "{}").await;
    let command = in_time(bench.commands.recv()).await.unwrap();
    assert_eq!(command.candidates[0].device.name.as_deref(), Some("new"));
}

#[test]
fn an_answer_goes_nowhere_that_the_bridge_listens_to() {
    let settings = settings("ttn", Discovery::Device);
    let elsewhere =
        |topic: &str| inbound::is_elsewhere(&Answering { topic: topic.into(), correlation: None }, &settings);
    assert!(elsewhere("answers/7") && elsewhere("ttn/bridge/response/health"));
    for own in ["ttn/bridge/request/health", "ttn/lamp/set", "homeassistant/status", "$SYS/broker"] {
        assert!(!elsewhere(own), "{own}");
    }
}
