//! Wires the sides and the flows, and owns every task.
//!
//! ```text
//! stream ─raw─▶ sorting ─arrivals─▶ uplinks ─┐
//!                  └─tracked─▶ downlinks ────┼─messages─▶ home broker
//!            requests, notices ─▶ control ───┘     └─commands─▶ downlinks, requests ─▶ control
//!            command line ─HTTP─▶ web ─▶ control's handlers ─▶ downlinks, repair
//! directory of devices ─▶ discovery ─messages─▶ home broker
//! outages, jumps of counters ─▶ repair ─▶ arrivals, backfilled
//! ```
//!
//! What the flows must not lose goes through the store, which is opened first and ends last.
//!
//! A stop runs through this picture by itself: the streams stop reading and close their channel, each task finishes
//! what it holds and closes the next one, and the home broker's task, when nobody can publish any more, delivers the
//! rest, says `offline` and disconnects.
//!
//! | to learn about | open |
//! |---|---|
//! | the two sides | `sides.rs` |
//! | the flow up, repair, codecs | `flows.rs` |
//! | what a changed configuration changes while all runs | `reload/` |
//! | how a backup takes the place of the store between two bridges | `restoring.rs` |
//! | what requests reach, and how they come in | `doors.rs` |
//! | what can be wrong before anything runs | `error.rs` |

mod doors;
mod error;
mod flows;
mod reload;
mod restoring;
mod sides;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use error::BuildError;
pub use restoring::{RestoreError, finish_restore, restore};

use self::doors::{Handles, answers, backups, web};
use self::flows::{Entrances, Orders, codecs, discovery_task, downlink_flow, repair_task, uplink_flow};
use self::reload::reload_task;
use self::sides::{Asked, home_side, network_side};
use crate::config::{Config, Environment, store_folder};
use crate::control::{self, Control};
use crate::downlink::Downlinks;
use crate::home::discovery::Signals;
use crate::home::live::Live;
use crate::model::{ApplicationName, Directory, HomeName};
use crate::network::{NetworkServer, Outages};
use crate::shutdown::{Ended, Hangups, Tasks};
use crate::store::{self, Restored, Store};
use crate::telemetry::{Counters, LogLevel, NetworkClock, Notices, Systemd};
use crate::uplink::{Decode, Formatters, MOST_IN_DECODING, Memory, Record, Uplinks};
use crate::web::{Certificate, certificate};

/// Parsed messages between the network and a flow. The raw ones before them are `service.intake`.
const FLOW_CAPACITY: usize = 256;
/// Messages between the flows and the home broker's task, which keeps what has to wait.
const HOME_CAPACITY: usize = 256;
/// Commands and requests that wait to be looked at.
const COMMAND_CAPACITY: usize = 1024;
/// Notices that wait to be told at home.
const NOTICE_CAPACITY: usize = 256;
/// Seconds between signs of life on the home connection.
const HOME_KEEP_ALIVE: u16 = 30;
/// Levels of a home name that commands are subscribed to, unless the configuration has longer ones.
const NAME_LEVELS: usize = 2;

/// A bridge, built and not yet running.
pub struct App {
    tasks: Tasks,
    stop: CancellationToken,
    grace: Duration,
    systemd: Systemd,
    counters: Counters,
    /// Rung to have the configuration read again.
    reload: Arc<Notify>,
    again: Arc<Notify>,
    /// Where the page is.
    page: Option<SocketAddr>,
}

/// What every part of a bridge is built from, and where its tasks go.
struct Site<'a> {
    config: &'a Config,
    environment: &'static dyn Environment,
    shared: Shared,
    systemd: Systemd,
    tasks: Tasks,
}

/// What the tasks of a bridge share.
struct Shared {
    stop: CancellationToken,
    counters: Counters,
    notices: Notices,
    directory: Arc<Mutex<Directory>>,
    devices_changed: watch::Sender<()>,
    outages: Outages,
    clock: NetworkClock,
    /// Rung to have the bridge end and begin again.
    again: Arc<Notify>,
    live: Live,
    /// What the page is served with.
    certificate: watch::Sender<Certificate>,
}

impl Shared {
    fn new(config: &Config, notices: Notices) -> Result<Self, BuildError> {
        let names = config.application.iter().map(|application| ApplicationName::parse(application.name()));
        Ok(Self {
            stop: CancellationToken::new(),
            counters: Counters::of(names.collect::<Result<Vec<_>, _>>()?),
            clock: NetworkClock::telling(&notices),
            notices,
            directory: Arc::new(Mutex::new(directory(config)?)),
            devices_changed: watch::Sender::new(()),
            outages: Outages::default(),
            again: Arc::default(),
            live: Live::default(),
            certificate: watch::Sender::new(certificate(config.web.identity.as_deref())),
        })
    }
}

impl Site<'_> {
    /// Adds the last tasks, those that the others lead to.
    fn run_these(
        self,
        (uplinks, formatters, downlinks, control): (Uplinks, Vec<Formatters>, Downlinks, Control),
        (reload, page): (Arc<Notify>, Option<SocketAddr>),
    ) -> App {
        let Self { config, shared, systemd, mut tasks, .. } = self;
        let stop = &shared.stop;
        tasks.add("uplinks", uplinks.run());
        formatters.into_iter().for_each(|task| tasks.add("formatters", task.run(stop.clone())));
        tasks.add("downlinks", downlinks.run(stop.clone()));
        tasks.add("control", control.run(stop.clone()));
        tasks.add_background("watchdog", async move { systemd.watchdog().await });
        let (stop, counters, again) = (shared.stop, shared.counters, shared.again);
        App { tasks, stop, grace: config.service.grace, systemd, counters, reload, page, again }
    }
}

impl App {
    /// Builds a bridge: everything that can be wrong without a network is found here.
    pub fn build(config: &Config, environment: &'static dyn Environment, log: LogLevel) -> Result<Self, BuildError> {
        let (notices, told) = mpsc::channel(NOTICE_CAPACITY);
        let shared = Shared::new(config, Notices::new(notices))?;
        let mut site = Site { config, environment, shared, systemd: Systemd::detect(), tasks: Tasks::default() };
        let mut disk = open_store(&mut site)?;
        let (arrivals, arrived) = mpsc::channel(FLOW_CAPACITY);
        let (tracked, tracking) = mpsc::channel(FLOW_CAPACITY);
        let servers = network_side(&mut site, &disk, &arrivals, &tracked)?;
        let repair = repair_task(&mut site, &mut disk, &servers, (arrivals, tracked));
        let retained = std::mem::take(&mut disk.restored.retained);
        let (home, asked, settings) = home_side(&mut site, retained)?;
        let (crossed, back) = mpsc::channel(MOST_IN_DECODING);
        let (codecs, renewal) = codecs(&mut site, crossed)?;

        let (listed, known) = watch::channel(BTreeMap::new());
        let signals = signals(&asked, known.clone(), &site.shared);
        discovery_task(&mut site, &home, signals)?;
        let orders = Orders {
            commands: asked.commands,
            tracked: tracking,
            step_receipts: asked.step_receipts,
            listed: known,
            home_connected: asked.connected.clone(),
            assistant: asked.assistant.clone(),
        };
        let (downlinks, desk) = downlink_flow(&site, orders, &servers, (&home, &codecs), &mut disk);
        let entrances = Entrances {
            arrivals: arrived,
            crossed: back,
            receipts: asked.uplink_receipts,
            home_connected: asked.connected.clone(),
            assistant: asked.assistant.clone(),
            listed,
        };
        let record = Record::new(disk.memory, site.shared.counters.clone(), repair.clone());
        let (wants, formatters) = Formatters::of_all(&servers, &codecs, &disk.folder, config.codecs.refresh);
        let decode = Decode::new(codecs.clone(), wants, site.shared.counters.clone());
        let kept = reload_task(&mut site, (settings, codecs.clone(), log.clone()));
        let handles = Handles {
            servers: servers.clone(),
            store: disk.store.clone(),
            backups: backups(&site, &disk.store, &disk.folder),
            backfill: repair,
            codecs: (codecs, renewal),
            settings: home.settings().clone(),
            configuring: kept.configuring,
            in_use: kept.in_use,
            home_connected: asked.connected.clone(),
            log: control::Log(log.clone()),
            desk,
        };
        let answers = Arc::new(answers(&site, handles));
        let uplinks = uplink_flow(&site, entrances, (disk.store, disk.restored, record), &servers, &home, decode);
        let control = Control {
            answers: answers.clone(),
            chronicle: answers.events.chronicle(),
            home,
            requests: asked.requests,
            notices: told,
            devices_changed: site.shared.devices_changed.subscribe(),
            home_connected: asked.connected,
            assistant: asked.assistant,
            health_interval: kept.health_interval,
            systemd: site.systemd,
        };
        site.tasks.add_background("repeated log lines", log.tell_repeats());
        let page = web(&mut site, answers)?;
        Ok(site.run_these((uplinks, formatters, downlinks, control), (kept.reload, page)))
    }

    /// Reads the configuration again at each hangup.
    pub fn reload_at(&mut self, mut hangups: Hangups) {
        let reload = self.reload.clone();
        self.tasks.add_background("hangups", async move {
            loop {
                hangups.next().await;
                reload.notify_one();
            }
        });
    }

    /// Counts what happens in this bridge.
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Where the page and the API are served, if they are.
    pub fn page(&self) -> Option<SocketAddr> {
        self.page
    }

    /// Runs until `stop` resolves for the first time, then drains within the grace period; a second `stop` ends the
    /// drain at once. A task that ends by itself stops the bridge too, and so does a backup that is to be restored: then
    /// [`finish_restore`], and another one.
    pub async fn run_until_stopped(self, stop: impl AsyncFnMut()) -> Ended {
        self.systemd.ready();
        let ended = self.tasks.run(self.stop, self.grace, self.systemd, stop, self.again.notified()).await;
        let left = self.counters.snapshot().waiting_at_home;
        if left > 0 {
            tracing::error!(messages = left, "Stopped before the home broker had everything; uplinks wait on disk.");
        }
        ended
    }
}

/// The store, and what was in it.
struct Disk {
    folder: PathBuf,
    store: Store,
    restored: Restored,
    memory: Memory,
}

fn open_store(Site { config, environment, shared, tasks, .. }: &mut Site<'_>) -> Result<Disk, BuildError> {
    let folder = store_folder(config, *environment)?;
    let (store, writer, mut restored) = store::open(&folder.join(store::FILE), &config.store, shared.notices.clone())?;
    tasks.add("store", writer.with(shared.counters.clone(), shared.clock.clone()).run());
    // Numbers rise over restarts, also if the clock was set back.
    shared.live = Live::starting_at(Live::first_number(Timestamp::now(), restored.last_event));
    let memory = Memory::restore(std::mem::take(&mut restored.runs));
    Ok(Disk { folder, store, restored, memory })
}

fn by_name(servers: &[Arc<dyn NetworkServer>]) -> HashMap<ApplicationName, Arc<dyn NetworkServer>> {
    servers.iter().map(|server| (server.name().clone(), server.clone())).collect()
}

/// What announcements to Home Assistant follow.
fn signals(asked: &Asked, listed: watch::Receiver<BTreeMap<ApplicationName, bool>>, shared: &Shared) -> Signals {
    Signals {
        devices_changed: shared.devices_changed.subscribe(),
        listed,
        home_connected: asked.connected.clone(),
        assistant: asked.assistant.clone(),
    }
}

/// The devices the configuration speaks of, by their names.
fn directory(config: &Config) -> Result<Directory, BuildError> {
    let mut directory = Directory::default();
    for (key, device) in config.devices()? {
        if let Some(name) = &device.friendly_name {
            directory.add(key, HomeName::parse(name)?);
        }
    }
    Ok(directory)
}

fn longest_name(config: &Config) -> usize {
    let names = config.device.iter().filter_map(|device| device.friendly_name.as_deref());
    names.map(|name| name.split('/').count()).max().unwrap_or(0).max(NAME_LEVELS)
}
