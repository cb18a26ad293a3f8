//! From a command at home to the device: *accept → encode → queue → dispatch → track*.
//!
//! ```text
//! home ──▶ accept ──▶ encode ──▶ queue ──▶ (store) ──▶ dispatch ──▶ network
//! desk ──▶ (parse,    (codec)    (decides              (HTTP)        │
//!           resolve)              when)                              │ queued, sent, acked, failed
//! home ◀──────────────── downlink/state ◀── (store) ◀── track ◀──────┘
//! ```
//!
//! One task, [`Downlinks`]: codecs and HTTP requests are awaited beside each other, so that neither keeps reports from
//! being tracked. What is decided is decided in [`queue`], which has no clock and no I/O. Whatever changes there is
//! stored before anything is done about it: before a command is answered, a step is shown, a push goes out.

mod accept;
mod config;
mod desk;
mod dispatch;
mod encode;
#[cfg(test)]
mod flow_tests;
mod intake;
mod ledger;
mod orders;
mod pending;
pub mod queue;
mod refusal;
mod request;
mod track;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use accept::nobody;
pub use config::DownlinkConfig;
pub use desk::{Desk, DownlinkView, Filter};
pub use dispatch::Servers;
pub use encode::Encoder;
pub use intake::Clock;
pub use ledger::resumed;
pub use queue::{Allowance, OpenDownlink, Usage};
pub use refusal::Refusal;
pub use request::{DownlinkKeys, from_base64, from_hex};

use crate::home::{AssistantStarts, Home, HomeCommand};
use crate::model::{ApplicationName, DeviceKey, Directory, DownlinkId};
use crate::network::Tracked;
use crate::store::{DownlinkRow, Store, UsageRow};
use crate::telemetry::{Counters, NetworkClock, Notice, Notices};
use desk::DESK_CAPACITY;
use dispatch::Dispatcher;
use intake::{Intake, Preparing};
use ledger::Ledger;
use pending::{Pending, Signals};
use queue::{Action, Answer, Event, Exceeded, Item, Machine, Request};

/// A clock that was set forward is noticed within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// How long what could not be stored waits for another try.
const STORE_AGAIN: Duration = Duration::from_secs(5);
/// Reports that are followed with one commit.
const BATCH: usize = 64;

/// Commands wait at most so long after the start for the devices to be known.
const DEVICES_KNOWN_WITHIN: Duration = Duration::from_secs(20);

/// How often it is looked whether the network has told its time, if something waits for that.
const TIME_AGAIN: Duration = Duration::from_secs(1);

/// The downlink flow's task.
pub struct Downlinks {
    intake: Intake,
    tracked: mpsc::Receiver<Tracked>,
    step_receipts: mpsc::Receiver<(DownlinkId, u32)>,
    home: Home,
    directory: Arc<Mutex<Directory>>,
    queue: OpenDownlinks,
    /// What the store kept and the home may not know.
    restored: Vec<Item>,
    ledger: Ledger,
    dispatcher: Dispatcher,
    counters: Counters,
    notices: Notices,
    steps: watch::Sender<u64>,
    pending: Pending,
    clock: NetworkClock,
    now: Clock,
}

/// What the flow is built from.
pub struct Parts {
    pub config: DownlinkConfig,
    pub commands: mpsc::Receiver<HomeCommand>,
    pub tracked: mpsc::Receiver<Tracked>,
    /// The steps that the home broker acknowledged, by their numbers.
    pub step_receipts: mpsc::Receiver<(DownlinkId, u32)>,
    pub home: Home,
    pub directory: Arc<Mutex<Directory>>,
    pub encoder: Arc<dyn Encoder>,
    pub servers: Servers,
    /// The applications whose registries were read.
    pub listed: watch::Receiver<BTreeMap<ApplicationName, bool>>,
    /// Marked when the list of devices reads differently.
    pub devices_changed: watch::Receiver<()>,
    pub home_connected: watch::Receiver<bool>,
    pub assistant: AssistantStarts,
    pub counters: Counters,
    pub notices: Notices,
    pub store: Store,
    /// What the store kept: downlinks that are open, or whose end the home may not know.
    pub restored: Vec<DownlinkRow>,
    pub usage: Vec<UsageRow>,
    pub clock: NetworkClock,
}

/// A handle for whoever asks how the queue stands. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenDownlinks(Arc<Mutex<Machine>>);

impl Downlinks {
    pub fn new(parts: Parts) -> (Self, Desk) {
        let clock = parts.clock.clone();
        Self::with_clock(parts, Arc::new(move || clock.now()))
    }

    fn with_clock(parts: Parts, now: Clock) -> (Self, Desk) {
        let Parts { config, commands, tracked, step_receipts, home, directory, .. } = parts;
        let Parts { devices_changed, home_connected, assistant, .. } = parts;
        let signals = Signals { devices_changed, home_connected, assistant };
        let restored: Vec<_> = parts.restored.into_iter().filter_map(ledger::item).collect();
        let mut machine = Machine::new(config.limits(), config.allowance());
        machine.restore(restored.iter().cloned(), parts.usage.into_iter().map(ledger::usage), now());
        let queue = OpenDownlinks(Arc::new(Mutex::new(machine)));
        let mut applications = parts.servers.keys();
        let only = applications.next().filter(|_| parts.servers.len() == 1).cloned();
        let (asking, asked) = mpsc::channel(DESK_CAPACITY);
        let (steps, changes) = watch::channel(0);
        let desk = Desk {
            asking,
            open: queue.clone(),
            store: parts.store.clone(),
            directory: directory.clone(),
            changes,
            only: only.clone(),
        };
        let preparing =
            Preparing { directory: directory.clone(), encoder: parts.encoder, only, now: now.clone(), config };
        let flow = Self {
            intake: Intake::new(commands, asked, preparing).opening_after(known(parts.listed, parts.servers.len())),
            tracked,
            step_receipts,
            home: home.clone(),
            directory: directory.clone(),
            queue,
            restored,
            ledger: Ledger::new(parts.store),
            dispatcher: Dispatcher::new(parts.servers),
            counters: parts.counters,
            notices: parts.notices,
            steps,
            pending: Pending::new(home, directory, signals),
            clock: parts.clock,
            now,
        };
        (flow, desk)
    }

    /// Runs until `stop`; then answers what is here already, waits for the requests under way and for whoever tells of
    /// reports to close that channel, and publishes what they brought. What is still open stays in the store. The
    /// caller's grace bounds it all.
    pub async fn run(mut self, stop: CancellationToken) {
        self.begin().await;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let due = self.until_next_deadline();
            tokio::select! {
                () = stop.cancelled() => break,
                1.. = self.tracked.recv_many(&mut batch, BATCH) => self.track(&mut batch).await,
                Some((id, number)) = self.step_receipts.recv() => self.told(id, number).await,
                Some(answer) = self.dispatcher.next() => self.happened([Event::Answered(answer)]).await,
                Some(order) = self.intake.next() => self.take(order).await,
                () = self.pending.wanted() => self.pending.tell_all(&self.queue).await,
                () = sleep(due) => self.happened([Event::Tick]).await,
            }
        }
        self.drain(batch).await;
    }

    /// Tells again what the home may not know, and looks after what was under way.
    async fn begin(&mut self) {
        for item in std::mem::take(&mut self.restored) {
            if let Some((step, number)) = item.untold() {
                track::publish(&self.home, &self.directory, &item.downlink.key, step, Some(number)).await;
            }
        }
        self.happened([Event::Tick]).await;
    }

    async fn drain(mut self, mut batch: Vec<Tracked>) {
        self.intake.close();
        self.happened([Event::Stop]).await;
        while let Some(order) = self.intake.next().await {
            self.take(order).await;
        }
        let mut tracking = true;
        while tracking || !self.dispatcher.is_idle() {
            tokio::select! {
                Some(answer) = self.dispatcher.next() => self.happened([Event::Answered(answer)]).await,
                taken = self.tracked.recv_many(&mut batch, BATCH), if tracking => {
                    tracking = taken > 0;
                    self.track(&mut batch).await;
                }
                // Whoever sends these ends after this task.
                Some((id, number)) = self.step_receipts.recv() => self.told(id, number).await,
            }
        }
    }

    async fn track(&mut self, batch: &mut Vec<Tracked>) {
        let events: Vec<_> = batch.drain(..).filter_map(track::event).collect();
        self.happened(events).await;
    }

    /// The home has a step.
    async fn told(&mut self, id: DownlinkId, number: u32) {
        if self.queue.holds(&id) {
            self.queue.lock().handle(Event::Told(id, number), (self.now)());
        } else {
            self.ledger.told(&id, number).await;
        }
    }

    /// Decides, stores what changed, and only then does something about it.
    async fn happened(&mut self, events: impl IntoIterator<Item = Event>) {
        let mut events: Vec<_> = events.into_iter().collect();
        loop {
            if self.clock.confirmed().is_some() {
                self.queue.lock().time_is_known();
            }
            let (actions, changes, used) = self.queue.decide(events, (self.now)());
            let kept = self.ledger.keep(changes).await;
            self.ledger.keep_usage(used).await;
            events = self.carry_out(actions, &kept).await;
            if events.is_empty() {
                return;
            }
        }
    }

    /// Returns what came of actions that are not carried out: a push goes out only if it is stored that it does.
    async fn carry_out(&mut self, actions: Vec<Action>, kept: &Result<(), String>) -> Vec<Event> {
        let mut events = Vec::new();
        let (mut moved, mut ended) = (BTreeSet::new(), BTreeMap::new());
        let mut steps = 0;
        for action in actions {
            match (action, kept) {
                (Action::Publish(key, step, number), _) => {
                    track::publish(&self.home, &self.directory, &key, &step, number).await;
                    steps += 1;
                    if number.is_some() && step.state.is_final(false) {
                        ended.insert(step.id, (key.application.clone(), step.state));
                    }
                    moved.insert(key);
                }
                (Action::Warn(key, exceeded, usage), _) => self.warn(&key, exceeded, usage),
                (Action::Ask(Request::Push(downlink)), Err(why)) => {
                    events.push(Event::Answered(Answer::Unstored(downlink.key, downlink.id, why.clone())));
                }
                (Action::Ask(request), _) => self.dispatcher.start(request),
            }
        }
        // What was sent and is not over waits for its confirmation.
        for (_, (application, state)) in ended.into_iter().filter(|(id, _)| !self.queue.holds(id)) {
            self.counters.downlink_ended(&application, state);
        }
        for key in moved {
            self.pending.tell(&key, &self.queue).await;
        }
        if steps > 0 {
            self.steps.send_modify(|all| *all += steps);
        }
        events
    }

    fn warn(&self, key: &DeviceKey, exceeded: Exceeded, usage: Usage) {
        let Some(device) = track::name(&self.directory, key) else { return };
        self.notices.tell(Notice::FairUse {
            device,
            application: key.application.clone(),
            device_id: key.device.to_string(),
            exceeded: exceeded.as_str(),
            downlinks: usage.downlinks,
            airtime_s: usage.airtime.as_secs(),
            day: usage.date(),
        });
    }

    fn until_next_deadline(&self) -> Option<Duration> {
        let now = (self.now)();
        let deadline = self.queue.lock().next_deadline(now);
        let due = deadline.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default().min(LONGEST_SLEEP));
        let again = self.ledger.behind().then_some(STORE_AGAIN);
        let looked = self.queue.lock().waits_for_time().then_some(TIME_AGAIN);
        [due, again, looked].into_iter().flatten().min()
    }
}

impl OpenDownlinks {
    /// Downlinks that have not reached their end.
    pub fn count(&self) -> usize {
        self.lock().depth()
    }

    /// The open downlinks of one device, oldest first.
    pub fn of(&self, device: &DeviceKey) -> Vec<OpenDownlink> {
        self.lock().open(device)
    }

    /// What a device has used of its day, and of how much; nothing if that is not counted.
    pub fn usage(&self, device: &DeviceKey, now: Timestamp) -> Option<(Usage, Allowance)> {
        self.lock().usage(device, now)
    }

    /// How many of one device are open, and the fields they shall set.
    fn pending(&self, device: &DeviceKey) -> (usize, serde_json::Map<String, serde_json::Value>) {
        self.lock().pending(device)
    }

    /// The devices that have some.
    fn busy(&self) -> Vec<DeviceKey> {
        self.lock().busy().cloned().collect()
    }

    fn holds(&self, id: &DownlinkId) -> bool {
        self.lock().holds(id)
    }

    fn find(&self, id: &DownlinkId) -> Option<Item> {
        self.lock().find(id).cloned()
    }

    fn items(&self) -> Vec<Item> {
        self.lock().items().cloned().collect()
    }

    /// What is to be done about these events, and what has to be kept first.
    fn decide(&self, events: Vec<Event>, now: Timestamp) -> (Vec<Action>, Vec<Item>, Vec<(DeviceKey, Usage)>) {
        let mut machine = self.lock();
        let mut actions: Vec<_> = events.into_iter().flat_map(|event| machine.handle(event, now)).collect();
        actions.extend(machine.ask(now));
        let changes = machine.take_changes(now);
        (actions, changes, machine.take_usage())
    }

    /// Never held over an await. Poisoned means that a panic ended the task in the middle of a decision: what is to be
    /// read of the queue is still worth reading.
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves once the devices of so many applications are known, or it takes too long.
fn known(mut listed: watch::Receiver<BTreeMap<ApplicationName, bool>>, applications: usize) -> BoxFuture<'static, ()> {
    async move {
        let known = listed.wait_for(|listed| listed.len() >= applications);
        // Whoever tells may have gone: then there is nothing to wait for.
        drop(tokio::time::timeout(DEVICES_KNOWN_WITHIN, known).await);
    }
    .boxed()
}

async fn sleep(due: Option<Duration>) {
    match due {
        Some(due) => tokio::time::sleep(due).await,
        None => std::future::pending().await,
    }
}
