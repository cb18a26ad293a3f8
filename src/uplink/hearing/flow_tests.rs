//! The whole uplink flow, from a network that comes and goes to what the home is told of its devices, on a clock that
//! does not wait.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;
use crate::codecs::{Codecs, CodecsConfig, Finder, Shown};
use crate::home::{AssistantStarts, Attributes, LiveSettings, States};
use crate::model::{
    ApplicationName, DeviceId, DownlinkId, EndDeviceIds, NetworkMessage, QueuedDownlink, RegisteredDevice, Uplink,
};
use crate::mqtt::Message;
use crate::network::{Arrival, Budget, NetworkHealth, PushError, RawMessage, Unreadable};
use crate::store::Writer;
use crate::store::here::{FullDisk, open_here};
use crate::telemetry::{Counters, NetworkClock};
use crate::uplink::{
    Decode, Formatters, HomePresence, Memory, Publish, Receive, Record, RepairHandle, Roll, Spool, SpoolParts, Tidy,
    Uplinks,
};

const MINUTE: Duration = Duration::from_secs(60);
/// How often the node sends.
const INTERVAL: Duration = Duration::from_secs(10 * 60);
const LONG: Duration = Duration::from_secs(3 * 3600);
const NOTHING: [bool; 0] = [];

/// Is connected or not.
struct Switched(ApplicationName, AtomicBool);

impl NetworkServer for Switched {
    fn name(&self) -> &ApplicationName {
        &self.0
    }

    fn parse(&self, _: &RawMessage) -> Result<NetworkMessage, Unreadable> {
        unreachable!("everything fits into memory")
    }

    fn push<'a>(&'a self, _: &'a DeviceId, _: &'a [QueuedDownlink]) -> BoxFuture<'a, Result<Budget, PushError>> {
        unreachable!("nothing is pushed")
    }

    fn waiting<'a>(&'a self, _: &'a DeviceId) -> BoxFuture<'a, Result<Vec<DownlinkId>, PushError>> {
        unreachable!("nothing waits")
    }

    fn health(&self) -> NetworkHealth {
        let connected = self.1.load(Ordering::Relaxed);
        NetworkHealth { connected, was_connected: connected, last_message: None, dropped: 0, degraded: Vec::new() }
    }
}

/// The flow and what goes in and out of it.
struct Rig {
    network: Arc<Switched>,
    arrivals: mpsc::Sender<Arrival>,
    messages: mpsc::Receiver<Message>,
    notices: mpsc::Receiver<Notice>,
    home_connected: watch::Sender<bool>,
    directory: Arc<Mutex<Directory>>,
    folder: TempDir,
    running: JoinSet<()>,
    /// What the network's clock says, and when it did.
    clock: (Timestamp, Instant),
    f_cnt: u32,
    _receipts: mpsc::Sender<u64>,
}

impl Rig {
    fn start() -> Self {
        let clock = (Timestamp::from_second(1_700_000_000).unwrap(), Instant::now());
        Self::start_in(tempfile::tempdir().unwrap(), clock, 0)
    }

    fn start_in(folder: TempDir, clock: (Timestamp, Instant), f_cnt: u32) -> Self {
        let network = Arc::new(Switched(app(), AtomicBool::new(true)));
        let (arrivals, arrived) = mpsc::channel(64);
        let (published, messages) = mpsc::channel(256);
        let (telling, notices) = mpsc::channel(64);
        let (home_connected, connected) = watch::channel(true);
        let (_receipts, receipts) = mpsc::channel(64);
        let parts = HearingParts {
            servers: vec![network.clone()],
            home: Home::new(published, LiveSettings::usual(1)),
            directory: Arc::default(),
            devices_changed: watch::Sender::new(()),
            notices: Notices::new(telling),
        };
        let directory = parts.directory.clone();
        let (uplinks, writer) = flow(parts, &folder, (arrived, receipts, connected));
        let mut running = JoinSet::new();
        running.spawn(writer.run());
        running.spawn(uplinks.run());
        Self {
            network,
            arrivals,
            messages,
            notices,
            home_connected,
            directory,
            folder,
            running,
            clock,
            f_cnt,
            _receipts,
        }
    }

    /// Stops the bridge and starts it again.
    async fn restarted(self) -> Self {
        let Self { arrivals, mut messages, mut running, folder, clock, f_cnt, .. } = self;
        drop((arrivals, self._receipts));
        while messages.recv().await.is_some() {}
        while running.join_next().await.is_some() {}
        Self::start_in(folder, clock, f_cnt)
    }

    fn now(&self) -> Timestamp {
        self.clock.0 + SignedDuration::try_from(self.clock.1.elapsed()).unwrap()
    }

    /// The node sends. It has no codec, and a payload that none could read.
    async fn up(&mut self) {
        let now = self.now();
        let sample = *Uplink::sample("node", self.f_cnt, 0);
        let uplink = Uplink { at: now, received_at: now, f_port: None, ..sample };
        let raw = RawMessage { topic: Bytes::new(), payload: Bytes::from_static(b"{}"), at: now, backfilled: false };
        self.arrivals.send(Arrival::Message(raw, Content::Uplink(Box::new(uplink)))).await.unwrap();
        self.f_cnt += 1;
    }

    /// The node sends so many times; returns what was told meanwhile of whether it is there.
    async fn regular(&mut self, count: u32) -> Vec<bool> {
        let mut told = Vec::new();
        for n in 0..count {
            self.up().await;
            told.extend(self.told_within(if n + 1 < count { INTERVAL } else { MINUTE }).await);
        }
        told
    }

    async fn register(&self, attributes: &[(&str, &str)]) {
        let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let device = RegisteredDevice { key: key(), ids: EndDeviceIds::default(), attributes, version_ids: None };
        self.arrivals.send(Arrival::Registered(Box::new(device))).await.unwrap();
    }

    fn connected(&self, connected: bool) {
        self.network.1.store(connected, Ordering::Relaxed);
    }

    /// What is told within that time of whether the node is there, under the name it has then.
    async fn told_within(&mut self, time: Duration) -> Vec<bool> {
        self.heard_within(time)
            .await
            .into_iter()
            .filter(|(topic, _)| topic == "ttn/node/availability")
            .map(online)
            .collect()
    }

    /// Everything about availability that is told within that time.
    async fn heard_within(&mut self, time: Duration) -> Vec<(String, Value)> {
        let (mut heard, limit) = (Vec::new(), Instant::now() + time);
        while let Ok(message) = tokio::time::timeout_at(limit, self.messages.recv()).await {
            let Message { topic, payload, retain, .. } = message.expect("the flow runs");
            if topic.ends_with("/availability") {
                assert!(retain, "{topic}");
                heard.push((topic, serde_json::from_slice(&payload).unwrap_or(Value::Null)));
            }
        }
        heard
    }

    /// Waits until the node is told to be there or not; returns how long that took.
    async fn turned(&mut self) -> (bool, Duration) {
        let start = Instant::now();
        loop {
            let message = timeout(LONG, self.messages.recv()).await.expect("it comes").expect("the flow runs");
            if message.topic == "ttn/node/availability" {
                let state = serde_json::from_slice(&message.payload).unwrap();
                return (online((message.topic, state)), start.elapsed());
            }
        }
    }

    /// The notices about the node's coming and going, and how long it was silent in seconds.
    fn notices(&mut self) -> Vec<(bool, u64)> {
        let turn = |notice| match notice {
            Notice::DeviceOnline { silent_s, .. } => Some((true, silent_s)),
            Notice::DeviceOffline { silent_s, .. } => Some((false, silent_s)),
            _ => None,
        };
        std::iter::from_fn(|| self.notices.try_recv().ok()).filter_map(turn).collect()
    }
}

/// A flow without codecs, and the task of its store in that folder.
fn flow(
    parts: HearingParts,
    folder: &TempDir,
    (arrivals, receipts, connected): (mpsc::Receiver<Arrival>, mpsc::Receiver<u64>, watch::Receiver<bool>),
) -> (Uplinks, Writer) {
    let HearingParts { servers, home, directory, devices_changed, notices } = parts.clone();
    let (store, writer, restored) = open_here(&folder.path().join(crate::store::FILE), &FullDisk::default(), &notices);
    let mut hearing = Hearing::new(parts);
    hearing.restore(restored.states.into_iter().map(|(key, _)| key), restored.availability);
    let (crossed, back) = mpsc::channel(1);
    let config = CodecsConfig { threads: 1, ..CodecsConfig::default() };
    let shown = Shown::new(directory.clone(), devices_changed.clone());
    let codecs = Codecs::start(Finder::default(), &config, crossed, shown).unwrap();
    let (wants, _) = Formatters::of_all(&servers, &codecs, folder.path(), LONG);
    let counters = Counters::default();
    let spool = SpoolParts {
        store,
        next_seq: restored.next_seq,
        receipts,
        servers: HashMap::new(),
        most_bytes: 1 << 20,
        most_age: 1000 * LONG,
        counters: counters.clone(),
        notices: notices.clone(),
        clock: NetworkClock::default(),
    };
    let changed = devices_changed.clone();
    let uplinks = Uplinks {
        arrivals,
        crossed: back,
        record: Record::new(Memory::restore(restored.runs), counters.clone(), RepairHandle::deaf()),
        spool: Spool::new(spool),
        tidy: Tidy::new(home.clone(), directory.clone(), changed.subscribe(), BTreeSet::from([app()])),
        receive: Receive { directory: directory.clone(), home: home.clone(), notices, devices_changed },
        decode: Decode::new(codecs, wants, counters),
        publish: Publish {
            home,
            attributes: Attributes::default(),
            states: States::default(),
            directory,
            devices_changed: changed,
        },
        hearing,
        roll: Roll::default(),
        home: HomePresence::new(connected, AssistantStarts::new(watch::channel(()).1)),
        listed: watch::Sender::default(),
        drain: MINUTE,
    };
    (uplinks, writer)
}

fn online((topic, body): (String, Value)) -> bool {
    match body["state"].as_str() {
        Some("online") => true,
        Some("offline") => false,
        _ => panic!("{topic}: {body}"),
    }
}

fn app() -> ApplicationName {
    ApplicationName::parse("app").unwrap()
}

fn key() -> DeviceKey {
    DeviceKey::new(&app(), DeviceId::parse("node").unwrap())
}

/// What is looked at once a second comes up to two seconds late.
fn about(told: Duration, wanted: Duration) {
    assert!((wanted..=wanted + Duration::from_secs(2)).contains(&told), "{told:?} instead of {wanted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_falls_silent_is_told_offline_and_online_when_it_is_heard_again() {
    let mut rig = Rig::start();
    assert_eq!(rig.regular(10).await, [true]);
    assert_eq!(rig.notices(), [], "that it is new is told by itself");
    let (is_there, after) = rig.turned().await;
    assert!(!is_there);
    about(after, 3 * INTERVAL - MINUTE);
    rig.up().await;
    let (is_there, after) = rig.turned().await;
    assert!(is_there && after < Duration::from_secs(1), "{after:?}");
    let notices = rig.notices();
    assert!(matches!(notices[..], [(false, 1800..1803), (true, 1800..1803)]), "{notices:?}");
    let directory = Directory::lock(&rig.directory);
    let device = directory.find(&key()).unwrap();
    assert_eq!((device.online, device.interval), (Some(true), Some(INTERVAL)));
}

#[tokio::test(start_paused = true)]
async fn while_the_network_is_away_no_device_goes_and_each_has_time_when_it_is_back() {
    let mut rig = Rig::start();
    rig.regular(10).await;
    rig.connected(false);
    assert_eq!(rig.told_within(LONG).await, NOTHING);
    rig.connected(true);
    let (is_there, after) = rig.turned().await;
    assert!(!is_there);
    about(after, 3 * INTERVAL - MINUTE);
}

#[tokio::test(start_paused = true)]
async fn over_a_restart_who_was_gone_is_gone_and_who_was_there_is_given_time() {
    let mut rig = Rig::start();
    rig.regular(10).await;
    let mut rig = rig.restarted().await;
    rig.register(&[]).await;
    assert_eq!(rig.told_within(3 * INTERVAL - MINUTE).await, [true], "its silence began with this start");
    assert_eq!(rig.told_within(INTERVAL).await, [false]);
    let mut rig = rig.restarted().await;
    rig.register(&[]).await;
    assert_eq!(rig.told_within(LONG).await, [false]);
    rig.up().await;
    assert_eq!(rig.told_within(MINUTE).await, [true]);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_never_heard_is_offline_and_keeps_to_its_attribute_when_it_is() {
    let mut rig = Rig::start();
    rig.register(&[("ferry-interval", "20m")]).await;
    assert_eq!(rig.told_within(LONG).await, [false]);
    rig.up().await;
    assert_eq!(rig.told_within(6 * INTERVAL).await, [true]);
    assert_eq!(rig.told_within(MINUTE).await, [false]);
}

#[tokio::test(start_paused = true)]
async fn a_home_broker_that_comes_back_is_told_everything_and_one_that_is_away_makes_nobody_silent() {
    let mut rig = Rig::start();
    rig.regular(5).await;
    rig.home_connected.send(false).unwrap();
    assert_eq!(rig.regular(5).await, NOTHING);
    rig.home_connected.send(true).unwrap();
    assert_eq!(rig.told_within(MINUTE).await, [true]);
}

#[tokio::test(start_paused = true)]
async fn a_device_is_told_under_the_name_it_has_now() {
    let mut rig = Rig::start();
    rig.regular(2).await;
    let kitchen = HomeName::parse("kitchen").unwrap();
    Directory::lock(&rig.directory).rename(&key(), kitchen);
    rig.up().await;
    let heard = rig.heard_within(MINUTE).await;
    let told = heard.iter().find(|(topic, _)| topic == "ttn/kitchen/availability");
    assert_eq!(told.map(|(_, body)| body["state"].as_str()), Some(Some("online")), "{heard:?}");
}
