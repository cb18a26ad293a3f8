//! From a command at home to the device: *accept → encode → queue → dispatch → track*.
//!
//! ```text
//! home ──▶ accept ──▶ encode ──▶ queue ──▶ dispatch ──▶ network
//!          (parse,    (codec)    (decides    (HTTP)        │
//!           resolve)              when)                    │ queued, sent, acked, failed
//! home ◀─────────────── downlink/state ◀── track ◀─────────┘
//! ```
//!
//! One task, [`Downlinks`]: codecs and HTTP requests are awaited beside each other, so that neither keeps reports from
//! being tracked. What is decided is decided in [`queue`], which has no clock and no I/O.

mod accept;
mod config;
mod desk;
mod dispatch;
mod encode;
#[cfg(test)]
mod flow_tests;
mod intake;
pub mod queue;
mod refusal;
mod request;
mod track;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use config::DownlinkConfig;
pub use desk::{Desk, DownlinkView, Filter};
pub use dispatch::Servers;
pub use encode::Encoder;
pub use intake::Clock;
pub use queue::OpenDownlink;
pub use refusal::Refusal;

use crate::home::{Home, HomeCommand};
use crate::model::{DeviceKey, Directory, State, Step};
use crate::network::Tracked;
use dispatch::Dispatcher;
use intake::{Addressee, Intake, Prepared, Preparing, Refused, new_id};
use queue::{Action, Event, Machine};

/// A clock that was set forward is noticed within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The downlink flow's task.
pub struct Downlinks {
    intake: Intake,
    tracked: mpsc::Receiver<Tracked>,
    home: Home,
    directory: Arc<Mutex<Directory>>,
    queue: OpenDownlinks,
    dispatcher: Dispatcher,
    now: Clock,
}

/// What the flow is built from.
pub struct Parts {
    pub config: DownlinkConfig,
    pub commands: mpsc::Receiver<HomeCommand>,
    pub tracked: mpsc::Receiver<Tracked>,
    pub home: Home,
    pub directory: Arc<Mutex<Directory>>,
    pub encoder: Arc<dyn Encoder>,
    pub servers: Servers,
}

/// A handle for whoever asks how the queue stands. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenDownlinks(Arc<Mutex<Machine>>);

impl Downlinks {
    pub fn new(parts: Parts) -> (Self, OpenDownlinks) {
        Self::with_clock(parts, Arc::new(Timestamp::now))
    }

    fn with_clock(parts: Parts, now: Clock) -> (Self, OpenDownlinks) {
        let Parts { config, commands, tracked, home, directory, encoder, servers } = parts;
        let queue = OpenDownlinks(Arc::new(Mutex::new(Machine::new(config.limits()))));
        let mut applications = servers.keys();
        let only = applications.next().filter(|_| servers.len() == 1).cloned();
        let steps = Preparing { directory: directory.clone(), encoder, only, now: now.clone(), config };
        let intake = Intake::new(commands, steps);
        let dispatcher = Dispatcher::new(servers);
        (Self { intake, tracked, home, directory, queue: queue.clone(), dispatcher, now }, queue)
    }

    /// Runs until `stop`; then answers what is here already, waits for the requests under way and for whoever tells of
    /// reports to close that channel, and publishes what they brought. The caller's grace bounds it all.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let due = self.until_next_deadline();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(tracked) = self.tracked.recv() => self.track(tracked).await,
                Some(answer) = self.dispatcher.next() => self.happened(Event::Answered(answer)).await,
                Some(prepared) = self.intake.next() => self.take(prepared).await,
                () = sleep(due) => self.happened(Event::Tick).await,
            }
        }
        self.drain().await;
    }

    async fn drain(mut self) {
        self.intake.close();
        self.happened(Event::Stop).await;
        while let Some(prepared) = self.intake.next().await {
            self.take(prepared).await;
        }
        loop {
            tokio::select! {
                Some(answer) = self.dispatcher.next() => self.happened(Event::Answered(answer)).await,
                Some(tracked) = self.tracked.recv() => self.track(tracked).await,
                else => break,
            }
        }
    }

    async fn track(&mut self, tracked: Tracked) {
        if let Some(event) = track::event(tracked) {
            self.happened(event).await;
        }
    }

    /// One command, after its first two steps.
    async fn take(&mut self, prepared: Prepared) {
        match self.without_duplicates(prepared).and_then(|prepared| self.with_room(prepared)).map(intake::events) {
            Ok(Ok(events)) => {
                for event in events {
                    self.happened(event).await;
                }
            }
            Ok(Err(refused)) | Err(refused) => self.refuse(refused).await,
        }
    }

    /// An id stands for one downlink as long as that is open.
    fn without_duplicates(&self, prepared: Prepared) -> Result<Prepared, Refused> {
        let machine = self.queue.lock();
        let Some(downlink) = prepared.adds().iter().find(|downlink| machine.holds(&downlink.id)) else {
            return Ok(prepared);
        };
        let refusal = Refusal::new(format!("id `{}` belongs to a downlink that is still open", downlink.id))
            .hint("choose another id, or leave it out");
        Err(Refused { addressee: Addressee::Device(downlink.key.clone()), id: None, refusal })
    }

    /// All of a command's downlinks fit, or none is taken.
    fn with_room(&self, prepared: Prepared) -> Result<Prepared, Refused> {
        let adds = prepared.adds();
        let Some(first) = adds.first() else { return Ok(prepared) };
        let replacing = matches!(prepared, Prepared::Replace(..));
        let Some(why) = self.queue.lock().no_room(&first.key, adds.len(), replacing) else { return Ok(prepared) };
        let id = (adds.len() == 1).then(|| first.id.clone());
        let refusal = Refusal { reason: why.reason.unwrap_or_default(), hint: why.hint.map(str::to_owned) };
        Err(Refused { addressee: Addressee::Device(first.key.clone()), id, refusal })
    }

    async fn happened(&mut self, event: Event) {
        let clear = match &event {
            Event::Clear(key) => Some(key.clone()),
            _ => None,
        };
        let actions = self.queue.lock().handle(event, (self.now)());
        if let Some(key) = clear.filter(|key| actions.is_empty() && self.queue.of(key).is_empty()) {
            self.nothing_to_clear(&key).await;
        }
        for action in actions {
            match action {
                Action::Publish(key, step) => track::publish(&self.home, &self.directory, &key, &step).await,
                Action::Ask(request) => self.dispatcher.start(request),
            }
        }
    }

    /// Every command gets an answer, also one that finds nothing to do.
    async fn nothing_to_clear(&mut self, key: &DeviceKey) {
        let reason = Some("nothing was waiting".to_owned());
        let step = Step { id: new_id(), state: State::Cancelled, at: (self.now)(), reason, hint: None };
        track::publish(&self.home, &self.directory, key, &step).await;
    }

    /// Says why, under the command's own id unless an open downlink has it.
    async fn refuse(&mut self, Refused { addressee, id, refusal }: Refused) {
        let id = id.filter(|id| !self.queue.lock().holds(id)).unwrap_or_else(new_id);
        let step = refusal.step(id, (self.now)());
        match addressee {
            Addressee::Device(key) => track::publish(&self.home, &self.directory, &key, &step).await,
            Addressee::Unknown(name) => {
                tracing::warn!(
                    name = name.as_ref().map(|name| name.as_str()),
                    reason = step.reason,
                    "Command refused."
                );
                if let Some(name) = name {
                    self.home.refusal(&name, &step).await;
                }
            }
        }
    }

    fn until_next_deadline(&self) -> Option<Duration> {
        let now = (self.now)();
        let deadline = self.queue.lock().next_deadline(now)?;
        Some(Duration::try_from(deadline.duration_since(now)).unwrap_or_default().min(LONGEST_SLEEP))
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

    /// Never held over an await. Poisoned means that a panic ended the task in the middle of a decision: what is to be
    /// read of the queue is still worth reading.
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sleep(due: Option<Duration>) {
    match due {
        Some(due) => tokio::time::sleep(due).await,
        None => std::future::pending().await,
    }
}
