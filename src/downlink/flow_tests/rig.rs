//! What the flow's tests run against: a scripted network, an encoder of one field, and a clock that follows tokio's.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use serde_json::value::RawValue;
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::codecs::{EncodeError, Encoded};
use crate::downlink::{Clock, Desk, DownlinkConfig, Downlinks, Encoder, OpenDownlinks, Parts};
use crate::home::{AssistantStarts, Home, HomeCommand, LiveSettings, Route};
use crate::model::{
    ApplicationName, DeviceId, DeviceKey, Directory, DownlinkEvent, DownlinkHappening, DownlinkId, FPort, HomeName,
    NetworkMessage, QueuedDownlink, Receipt,
};
use crate::mqtt::Ack;
use crate::mqtt::Message;
use crate::network::{
    Budget, DownlinkHistory, NetworkHealth, NetworkServer, PushError, RawMessage, Tracked, Unreadable,
};
use crate::store;
use crate::store::here::{FullDisk, open_here};
use crate::telemetry::{Counters, NetworkClock, Notice, Notices};

/// Answers pushes by its script, then well; lists and withdraws what the test puts into it.
pub struct Scripted {
    name: ApplicationName,
    pub script: Mutex<VecDeque<PushError>>,
    pub pushed: Mutex<Vec<QueuedDownlink>>,
    pub waiting: Mutex<Vec<DownlinkId>>,
    pub history: Mutex<DownlinkHistory>,
    pub history_hangs: AtomicBool,
    pub looks: Mutex<usize>,
    /// A push is answered once it gets a permit.
    pub gate: Semaphore,
}

impl NetworkServer for Scripted {
    fn name(&self) -> &ApplicationName {
        &self.name
    }

    fn parse(&self, _: &RawMessage) -> Result<NetworkMessage, Unreadable> {
        Err(Unreadable::Missing("anything"))
    }

    fn push<'a>(
        &'a self,
        _: &'a DeviceId,
        downlinks: &'a [QueuedDownlink],
    ) -> BoxFuture<'a, Result<Budget, PushError>> {
        Box::pin(async {
            self.pushed.lock().unwrap().extend_from_slice(downlinks);
            let permit = self.gate.acquire().await;
            drop(permit);
            self.script.lock().unwrap().pop_front().map_or(Ok(Budget::default()), Err)
        })
    }

    fn waiting<'a>(&'a self, _: &'a DeviceId) -> BoxFuture<'a, Result<Vec<DownlinkId>, PushError>> {
        *self.looks.lock().unwrap() += 1;
        Box::pin(async { Ok(self.waiting.lock().unwrap().clone()) })
    }

    fn downlink_history<'a>(
        &'a self,
        _: &'a DeviceId,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<DownlinkHistory, PushError>> {
        Box::pin(async {
            match self.history_hangs.load(Ordering::Relaxed) {
                true => Err(PushError::Unknown("timeout".into())),
                false => Ok(self.history.lock().unwrap().clone()),
            }
        })
    }

    fn withdraw<'a>(
        &'a self,
        _: &'a DeviceId,
        ids: &'a [DownlinkId],
    ) -> BoxFuture<'a, Result<Vec<DownlinkId>, PushError>> {
        let waiting = self.waiting.lock().unwrap().clone();
        Box::pin(async move { Ok(waiting.into_iter().filter(|id| ids.contains(id)).collect()) })
    }

    fn health(&self) -> NetworkHealth {
        NetworkHealth { connected: true, was_connected: true, last_message: None, dropped: 0, degraded: Vec::new() }
    }
}

/// `{"led":…}` is one byte on port 2; anything else is more than a codec can do.
struct LedEncoder;

impl Encoder for LedEncoder {
    fn encode<'a>(
        &'a self,
        _: &'a DeviceKey,
        data: Box<RawValue>,
        _: Option<FPort>,
    ) -> BoxFuture<'a, Result<Encoded, EncodeError>> {
        let fields: Value = serde_json::from_str(data.get()).unwrap();
        Box::pin(async move {
            match &fields["led"] {
                Value::Bool(on) => Ok(Encoded { bytes: vec![(*on).into()], f_port: Some(2), warnings: Vec::new() }),
                Value::String(text) if text == "long" => {
                    Ok(Encoded { bytes: vec![0; 300], f_port: Some(2), warnings: Vec::new() })
                }
                Value::String(text) if text == "port" => {
                    Ok(Encoded { bytes: vec![0], f_port: Some(224), warnings: Vec::new() })
                }
                Value::String(text) if text == "no port" => {
                    Ok(Encoded { bytes: vec![0], f_port: None, warnings: Vec::new() })
                }
                _ => Err(EncodeError::NoCodec),
            }
        })
    }
}

pub struct Flow {
    pub commands: mpsc::Sender<HomeCommand>,
    pub tracked: mpsc::Sender<Tracked>,
    pub receipts: mpsc::Sender<(DownlinkId, u32)>,
    pub messages: mpsc::Receiver<Message>,
    /// Of the last step that was taken.
    pub receipt: Option<Receipt>,
    /// What is pending for the lamp, as last told.
    pub pending: Value,
    pub notices: mpsc::Receiver<Notice>,
    pub server: Arc<Scripted>,
    pub queue: OpenDownlinks,
    pub desk: Desk,
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
    pub writer: JoinHandle<()>,
    pub disk: FullDisk,
    config: DownlinkConfig,
    clock: Clock,
    /// Knows the network's time from the start, unless a test takes that away before it starts again.
    pub network: NetworkClock,
    folder: Arc<TempDir>,
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.task.abort();
        self.writer.abort();
    }
}

pub fn lamp() -> DeviceKey {
    DeviceKey::new(&ApplicationName::parse("my-app").unwrap(), DeviceId::parse("node-1").unwrap())
}

pub fn id(text: &str) -> DownlinkId {
    DownlinkId::parse(text).unwrap()
}

pub fn start(script: impl IntoIterator<Item = PushError>) -> Flow {
    start_with(script, DownlinkConfig::default())
}

pub fn start_with(script: impl IntoIterator<Item = PushError>, config: DownlinkConfig) -> Flow {
    let server = Arc::new(Scripted {
        name: lamp().application,
        script: Mutex::new(script.into_iter().collect()),
        pushed: Mutex::default(),
        waiting: Mutex::default(),
        history: Mutex::default(),
        history_hangs: AtomicBool::default(),
        looks: Mutex::default(),
        gate: Semaphore::new(1),
    });
    let (began, base) = (Instant::now(), "2026-11-21T12:00:00Z".parse::<Timestamp>().unwrap());
    let clock: Clock = Arc::new(move || base + SignedDuration::try_from(began.elapsed()).unwrap());
    let network = NetworkClock::default();
    network.heard(Timestamp::now());
    start_on(Arc::new(TempDir::new().unwrap()), server, config, (clock, network))
}

#[allow(clippy::disallowed_methods, reason = "the tasks are owned by the Flow")]
fn start_on(
    folder: Arc<TempDir>,
    server: Arc<Scripted>,
    config: DownlinkConfig,
    (clock, network): (Clock, NetworkClock),
) -> Flow {
    let (commands, commands_in) = mpsc::channel(64);
    let (tracked, tracked_in) = mpsc::channel(64);
    let (receipts, step_receipts) = mpsc::channel(64);
    let (messages_out, messages) = mpsc::channel(256);
    let (told, notices) = mpsc::channel(64);
    let told = Notices::new(told);
    let mut directory = Directory::default();
    directory.add(lamp(), HomeName::parse("lamp").unwrap());
    let disk = FullDisk::default();
    let (store, writer, restored) = open_here(&folder.path().join(store::FILE), &disk, &told);
    let parts = Parts {
        config,
        commands: commands_in,
        tracked: tracked_in,
        step_receipts,
        home: Home::new(messages_out, LiveSettings::usual(1)),
        directory: Arc::new(Mutex::new(directory)),
        encoder: Arc::new(LedEncoder),
        servers: HashMap::from([(lamp().application, server.clone() as Arc<dyn NetworkServer>)]),
        // Nobody tells: nothing is waited for.
        listed: watch::channel(BTreeMap::new()).1,
        devices_changed: watch::channel(()).1,
        home_connected: watch::channel(true).1,
        assistant: AssistantStarts::new(watch::channel(()).1),
        counters: Counters::default(),
        notices: told,
        store,
        restored: restored.downlinks,
        usage: restored.usage,
        clock: network.clone(),
    };
    let (downlinks, desk) = Downlinks::with_clock(parts, clock.clone());
    let stop = CancellationToken::new();
    let (task, writer) = (tokio::spawn(downlinks.run(stop.clone())), tokio::spawn(writer.run()));
    Flow {
        commands,
        tracked,
        receipts,
        messages,
        receipt: None,
        pending: Value::Null,
        notices,
        server,
        queue: desk.open(),
        desk,
        stop,
        task,
        writer,
        disk,
        config,
        clock,
        network,
        folder,
    }
}

impl Flow {
    /// Kills the flow where it stands, and starts it again on the same store and the same network.
    pub async fn kill_and_restart(mut self) -> Flow {
        for task in [&mut self.task, &mut self.writer] {
            if !task.is_finished() {
                task.abort();
                task.await.ok();
            }
        }
        self.server.gate.add_permits(1 - self.server.gate.available_permits());
        start_on(self.folder.clone(), self.server.clone(), self.config, (self.clock.clone(), self.network.clone()))
    }

    pub async fn send(&self, topic: &str, payload: &str) {
        self.send_with(topic, payload, Ack::default()).await;
    }

    /// With the broker's wish to know when it is stored.
    pub async fn send_with(&self, topic: &str, payload: &str, ack: Ack) {
        let Some(Route::Command(candidates)) = LiveSettings::usual(1).now().topics.route(topic) else {
            panic!("{topic}")
        };
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        self.commands.send(HomeCommand { candidates, payload, ack }).await.unwrap();
    }

    pub async fn push(&self, id: &str, more: &str) {
        self.send("ttn/lamp/downlink/push", &format!(r#"{{"id":"{id}","f_port":1,"payload_hex":"01"{more}}}"#)).await;
    }

    pub async fn report(&self, id: Option<DownlinkId>, happening: DownlinkHappening) {
        let event = DownlinkEvent { key: lamp(), id, happening, at: Timestamp::UNIX_EPOCH };
        self.tracked.send(Tracked::Event(event)).await.unwrap();
    }

    pub async fn alive(&self) {
        self.alive_for(std::time::Duration::ZERO).await;
    }

    pub async fn alive_for(&self, airtime: std::time::Duration) {
        self.tracked.send(Tracked::Alive { key: lamp(), airtime }).await.unwrap();
    }

    /// The home broker acknowledges the last step that was taken.
    pub async fn acknowledge(&mut self) {
        let Some(Receipt::Step(id, number)) = self.receipt.take() else { panic!("no step to acknowledge") };
        self.receipts.send((id, number)).await.unwrap();
    }

    /// The next step published for the lamp: id, state, reason.
    pub async fn step(&mut self) -> (String, String, String) {
        let (topic, step) = self.message().await;
        assert_eq!(topic, "ttn/lamp/downlink/state");
        let text = |key: &str| step[key].as_str().unwrap_or_default().to_owned();
        (text("id"), text("state"), text("reason"))
    }

    pub async fn message(&mut self) -> (String, Value) {
        loop {
            let message = self.messages.recv().await.expect("the flow still runs");
            let body = serde_json::from_slice(&message.payload).unwrap();
            if !message.topic.ends_with("/downlink/pending") {
                self.receipt = message.receipt;
                return (message.topic, body);
            }
            self.pending = body;
        }
    }

    /// What is pending for the lamp, once it reads like this.
    pub async fn expect_pending(&mut self, wanted: &Value) {
        while self.pending != *wanted {
            let message = self.messages.recv().await.expect("the flow still runs");
            if message.topic == "ttn/lamp/downlink/pending" {
                self.pending = serde_json::from_slice(&message.payload).unwrap();
            }
        }
    }

    pub async fn expect(&mut self, id: &str, states: &[&str]) {
        for state in states {
            let (of, next, reason) = self.step().await;
            assert_eq!((of.as_str(), next.as_str()), (id, *state), "{reason}");
        }
    }

    pub fn pushes(&self) -> Vec<String> {
        self.server.pushed.lock().unwrap().iter().map(|downlink| downlink.id.to_string()).collect()
    }
}
