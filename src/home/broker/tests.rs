//! The task before a simulated broker: what it listens to, and what it makes of what it hears.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use simulator::broker::{self, BrokerConfig, BrokerHandle};
use simulator::wire::QoS;
use tokio::task::JoinSet;

use super::*;
use crate::home::{AvailabilityConfig, HomeAssistantConfig, HomeConfig, Settings};
use crate::model::Receipt;
use crate::mqtt::{Address, Answering, Reason};
use crate::telemetry::Notices;

/// A task that is connected, and all that it is connected to.
struct Bench {
    broker: broker::Broker,
    replace: watch::Sender<Arc<Settings>>,
    others: Others,
    _task: JoinSet<()>,
}

/// The other ends of a [`Wiring`].
struct Others {
    commands: mpsc::Receiver<HomeCommand>,
    assistant_started: watch::Receiver<()>,
    uplink_receipts: mpsc::Receiver<u64>,
    /// What keeps the task from ending.
    _open: (mpsc::Sender<Message>, mpsc::Receiver<HomeRequest>, Notices, mpsc::Receiver<Notice>),
}

fn wiring(connected: watch::Sender<bool>) -> (Wiring, Others) {
    let (publisher, messages) = mpsc::channel(10);
    let (command, commands) = mpsc::channel(10);
    let (request, requests) = mpsc::channel(10);
    let (notice, told) = mpsc::channel(10);
    let notices = Notices::new(notice);
    let (assistant_starting, assistant_started) = watch::channel(());
    let (uplink_receipt, uplink_receipts) = mpsc::channel(10);
    let wiring = Wiring {
        messages,
        commands: command,
        requests: request,
        counters: Counters::default(),
        notices: notices.downgrade(),
        connected,
        assistant_started: assistant_starting,
        uplink_receipts: uplink_receipt,
        step_receipts: mpsc::channel(1).0,
    };
    let _open = (publisher, requests, notices, told);
    (wiring, Others { commands, assistant_started, uplink_receipts, _open })
}

fn settings(base: &str, discovery: Discovery) -> Settings {
    let home = HomeConfig { base_topic: base.into(), ..HomeConfig::default() };
    let assistant = HomeAssistantConfig { discovery, ..HomeAssistantConfig::default() };
    Settings::new(&home, &assistant, AvailabilityConfig::default(), [], 1).unwrap()
}

impl Bench {
    async fn set(discovery: Discovery) -> Self {
        Self::before(broker::Broker::start(BrokerConfig::default()).await.unwrap(), discovery).await
    }

    async fn before(broker: broker::Broker, discovery: Discovery) -> Self {
        let endpoint = Endpoint::new(Address::tcp(broker.addr().ip().to_string(), broker.addr().port()), "bridge");
        let (replace, settings) = LiveSettings::new(settings("ttn", discovery));
        let (connecting, mut connected) = watch::channel(false);
        let (wiring, others) = wiring(connecting);
        let mut task = JoinSet::new();
        task.spawn(Broker::new(endpoint, settings, wiring).run(CancellationToken::new()));
        in_time(connected.wait_for(|connected| *connected)).await.unwrap();
        let bench = Self { broker, replace, others, _task: task };
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
    in_time(bench.others.commands.recv()).await.unwrap();
    assert!(!bench.others.assistant_started.has_changed().unwrap());
    bench.publish("homeassistant/status", "online").await;
    in_time(bench.others.assistant_started.changed()).await.unwrap();
}

#[tokio::test]
async fn that_it_was_there_before_us_is_no_start_of_home_assistant() {
    let broker = broker::Broker::start(BrokerConfig::default()).await.unwrap();
    broker.handle().publish("homeassistant/status", "online", QoS::AtLeastOnce, true).await.unwrap();
    let mut bench = Bench::before(broker, Discovery::Device).await;
    bench.publish("ttn/lamp/set", "{}").await;
    in_time(bench.others.commands.recv()).await.unwrap();
    assert!(!bench.others.assistant_started.has_changed().unwrap());
}

#[test]
fn an_uplink_that_the_broker_has_no_room_for_is_tried_again_and_nothing_else_is() {
    let (wiring, mut others) = wiring(watch::channel(false).0);
    let (_replace, settings) = LiveSettings::new(settings("ttn", Discovery::Off));
    let mut task = Broker::new(Endpoint::new(Address::tcp("localhost", 1883), "bridge"), settings, wiring);
    for (seq, reason) in [(1, Reason::Quota), (2, Reason::NotAuthorized)] {
        task.outbox.push(Message::new("ttn/lamp/uplink", "{}").receipt(Some(Receipt::Uplink(seq))));
        task.outbox.push(Message::new("ttn/bridge/event", "{}"));
        for packet in 1..=2 {
            task.outbox.take_next().unwrap();
            task.outbox.written(packet);
            task.refused(packet, reason);
        }
        assert!(task.outbox.take_next().is_none());
    }
    assert_eq!(others.uplink_receipts.try_recv(), Ok(2), "given up");
    assert!(others.uplink_receipts.try_recv().is_err() && task.retry_at.is_some());
    assert_eq!(task.wiring.counters.snapshot().dropped, 3);
    task.outbox.try_again();
    assert_eq!(task.outbox.take_next().unwrap().receipt, Some(Receipt::Uplink(1)));
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
            if tokio::time::timeout(Duration::from_millis(50), bench.others.assistant_started.changed()).await.is_ok() {
                break;
            }
        }
    })
    .await;
    bench.publish("ttn/old/set", "{}").await;
    bench.publish("house/new/set", "{}").await;
    let command = in_time(bench.others.commands.recv()).await.unwrap();
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
