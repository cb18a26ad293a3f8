//! Wires the sides and the flows, and owns every task.
//!
//! ```text
//! stream ─raw─▶ sorting ─arrivals─▶ uplinks ─┐
//!                  └─tracked─▶ downlinks ────┼─messages─▶ home broker
//!            requests, notices ─▶ control ───┘     └─commands─▶ downlinks, requests ─▶ control
//!            command line ─HTTP─▶ web ─▶ control's handlers ─▶ downlinks, repair
//! outages, jumps of counters ─▶ repair ─▶ arrivals, backfilled
//! ```
//!
//! What the flows must not lose goes through the store, which is opened first and ends last.
//!
//! A stop runs through this picture by itself: the streams stop reading and close their channel, each task finishes
//! what it holds and closes the next one, and the home broker's task, when nobody can publish any more, delivers the
//! rest, says `offline` and disconnects.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::codecs::{Codecs, Crossed, FindError, Finder, Shown};
use crate::config::{Config, Environment, NoStateFolder, TrustError, control_socket, store_folder, trust};
use crate::control::{self, Answers, Control};
use crate::downlink::{self, Desk, Downlinks};
use crate::home::{self, Home, OFFLINE, Topics, Wiring};
use crate::model::{ApplicationName, DeviceKey, Directory, DownlinkId, HomeName, InvalidName};
use crate::mqtt::{Address, Endpoint, InvalidAddress, Will};
use crate::network::ttn::{self, EncryptedDevices, Parts};
use crate::network::{Arrival, Late, NetworkServer, Outages, Sorting, Tracked};
use crate::shutdown::{Ended, Tasks};
use crate::store::{self, OpenError, Restored, Store};
use crate::telemetry::{Counters, Notices, Systemd};
use crate::uplink::{
    Decode, Formatters, HomePresence, MOST_IN_DECODING, MOST_IN_FLIGHT, Memory, Publish, Receive, Record, Repair,
    RepairHandle, RepairParts, Spool, SpoolParts, Uplinks,
};
use crate::web::{Socket, SocketError, Web};

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
}

/// Why no bridge can be built of a configuration that parsed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Codec(#[from] FindError),
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error("home.url: {0}")]
    HomeAddress(#[from] InvalidAddress),
    #[error("home.ca_file: {0}")]
    HomeTrust(#[from] TrustError),
    #[error("application `{name}`: {source}")]
    Application { name: String, source: ttn::PartsError },
    #[error("{source}\n  hint: {}", source.hint())]
    NoStateFolder {
        #[from]
        source: NoStateFolder,
    },
    // It tells its causes itself, before the hint.
    #[error("{error}\n  hint: {}", error.hint())]
    Store { error: OpenError },
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("no thread could be started for codecs")]
    Threads(#[source] std::io::Error),
}

impl BuildError {
    /// Whether the configuration must be changed, or the store: trying again does not help.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Threads(_) | Self::Socket(_) => false,
            Self::Store { error } => error.is_permanent(),
            _ => true,
        }
    }
}

impl From<OpenError> for BuildError {
    fn from(error: OpenError) -> Self {
        Self::Store { error }
    }
}

/// What the tasks of a bridge share.
struct Shared {
    stop: CancellationToken,
    counters: Counters,
    notices: Notices,
    directory: Arc<Mutex<Directory>>,
    devices_changed: Arc<Notify>,
    outages: Outages,
}

impl Shared {
    fn new(directory: Directory, notices: Notices) -> Self {
        Self {
            stop: CancellationToken::new(),
            counters: Counters::default(),
            notices,
            directory: Arc::new(Mutex::new(directory)),
            devices_changed: Arc::default(),
            outages: Outages::default(),
        }
    }
}

impl App {
    /// Builds a bridge: everything that can be wrong without a network is found here.
    pub fn build(config: &Config, environment: &dyn Environment) -> Result<Self, BuildError> {
        let (notices, told) = mpsc::channel(NOTICE_CAPACITY);
        let shared = Shared::new(directory(config)?, Notices::new(notices));
        let systemd = Systemd::detect();
        let mut tasks = Tasks::default();
        let mut disk = open_store(config, environment, &shared, &mut tasks)?;
        let (arrivals, arrived) = mpsc::channel(FLOW_CAPACITY);
        let (tracked, tracking) = mpsc::channel(FLOW_CAPACITY);
        let servers = network_side(config, environment, (&disk, &shared), &arrivals, &tracked, &mut tasks)?;
        let repair = repair_task(config, &mut disk, &servers, (arrivals, tracked), &shared, &mut tasks);
        let (home, asked) = home_side(config, environment, &shared, &mut tasks)?;
        let (crossed, back) = mpsc::channel(MOST_IN_DECODING);
        let codecs = codecs(config, crossed, &shared, &mut tasks)?;

        let (listed, known) = watch::channel(BTreeSet::new());
        let (downlinks, desk) = Downlinks::new(downlink::Parts {
            config: config.downlink,
            commands: asked.commands,
            tracked: tracking,
            step_receipts: asked.step_receipts,
            home: home.clone(),
            directory: shared.directory.clone(),
            encoder: Arc::new(codecs.clone()),
            servers: by_name(&servers),
            listed: known,
            notices: shared.notices.clone(),
            store: disk.store.clone(),
            restored: std::mem::take(&mut disk.restored.downlinks),
            usage: std::mem::take(&mut disk.restored.usage),
        });
        let entrances = Entrances {
            arrivals: arrived,
            crossed: back,
            receipts: asked.uplink_receipts,
            home_connected: asked.connected.clone(),
            listed,
        };
        let backfill = repair.clone();
        let record = Record::new(disk.memory, shared.counters.clone(), repair);
        let (wants, formatters) = Formatters::of_all(&servers, &codecs, &disk.folder, config.codecs.refresh);
        let decode = Decode::new(codecs.clone(), wants, shared.counters.clone());
        let uplinks =
            uplink_flow(config, entrances, (disk.store, disk.restored, record), &servers, &home, decode, &shared);
        let answers = Arc::new(answers(config, servers, desk, backfill, &shared));
        let control = Control {
            answers: answers.clone(),
            home,
            requests: asked.requests,
            notices: told,
            devices_changed: shared.devices_changed.clone(),
            home_connected: asked.connected,
            health_interval: config.service.health_interval,
            systemd,
        };
        let stop = shared.stop.clone();
        tasks.add("uplinks", uplinks.run());
        formatters.into_iter().for_each(|task| tasks.add("formatters", task.run(stop.clone())));
        tasks.add("downlinks", downlinks.run(stop.clone()));
        tasks.add("control", control.run(stop.clone()));
        if let Some(path) = control_socket(config, environment) {
            tasks.add("control API", Web { socket: Socket::open(&path)?, answers }.run(stop.clone()));
        }
        tasks.add_background("codec watch", codecs.watch(shared.notices.downgrade(), systemd.is_there()));
        tasks.add_background("watchdog", async move { systemd.watchdog().await });
        Ok(Self { tasks, stop, grace: config.service.grace, systemd, counters: shared.counters })
    }

    /// Counts what happens in this bridge.
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Runs until `stop` resolves for the first time, then drains within the grace period; a second `stop` ends the
    /// drain at once. A task that ends by itself stops the bridge too.
    pub async fn run_until_stopped(self, stop: impl AsyncFnMut()) -> Ended {
        self.systemd.ready();
        let ended = self.tasks.run(self.stop, self.grace, self.systemd, stop).await;
        let left = self.counters.snapshot().waiting_at_home;
        if left > 0 {
            tracing::error!(messages = left, "Stopped before the home broker had everything; uplinks wait on disk.");
        }
        ended
    }
}

/// What the home asks, and whether it is there.
struct Asked {
    commands: mpsc::Receiver<home::HomeCommand>,
    requests: mpsc::Receiver<home::HomeRequest>,
    uplink_receipts: mpsc::Receiver<u64>,
    step_receipts: mpsc::Receiver<(DownlinkId, u32)>,
    connected: watch::Receiver<bool>,
}

/// The store, and what was in it.
struct Disk {
    folder: PathBuf,
    store: Store,
    restored: Restored,
    memory: Memory,
}

fn open_store(
    config: &Config,
    environment: &dyn Environment,
    shared: &Shared,
    tasks: &mut Tasks,
) -> Result<Disk, BuildError> {
    let folder = store_folder(config, environment)?;
    let (store, writer, mut restored) = store::open(&folder.join(store::FILE), &config.store, shared.notices.clone())?;
    tasks.add("store", writer.run());
    let memory = Memory::restore(std::mem::take(&mut restored.runs));
    Ok(Disk { folder, store, restored, memory })
}

fn repair_task(
    config: &Config,
    disk: &mut Disk,
    servers: &[Arc<dyn NetworkServer>],
    (arrivals, tracked): (mpsc::Sender<Arrival>, mpsc::Sender<Tracked>),
    shared: &Shared,
    tasks: &mut Tasks,
) -> RepairHandle {
    let heard_until = |server: &Arc<dyn NetworkServer>| {
        let name = server.name().clone();
        disk.memory.heard_until(&name).map(|at| (name, at))
    };
    let (repair, handle) = Repair::new(RepairParts {
        config: config.repair,
        heard_until: servers.iter().filter_map(heard_until).collect(),
        servers: by_name(servers),
        outages: shared.outages.clone(),
        arrivals,
        tracked,
        store: disk.store.clone(),
        rows: std::mem::take(&mut disk.restored.gaps),
        directory: shared.directory.clone(),
        counters: shared.counters.clone(),
        notices: shared.notices.clone(),
    });
    tasks.add("repair", repair.run(shared.stop.clone()));
    handle
}

fn home_side(
    config: &Config,
    environment: &dyn Environment,
    shared: &Shared,
    tasks: &mut Tasks,
) -> Result<(Home, Asked), BuildError> {
    let topics = Arc::new(Topics::new(&config.home.base_topic, longest_name(config)));
    let endpoint = home_endpoint(config, environment, &topics)?;
    let (messages, published) = mpsc::channel(HOME_CAPACITY);
    let (command, commands) = mpsc::channel(COMMAND_CAPACITY);
    let (request, requests) = mpsc::channel(COMMAND_CAPACITY);
    let (connecting, connected) = watch::channel(false);
    let (uplink_receipt, uplink_receipts) = mpsc::channel(MOST_IN_FLIGHT);
    let (step_receipt, step_receipts) = mpsc::channel(COMMAND_CAPACITY);
    let wiring = Wiring {
        messages: published,
        commands: command,
        requests: request,
        counters: shared.counters.clone(),
        notices: shared.notices.downgrade(),
        connected: connecting,
        uplink_receipts: uplink_receipt,
        step_receipts: step_receipt,
    };
    let broker = home::Broker::new(endpoint, topics.clone(), wiring);
    tasks.add("home broker", broker.run(shared.stop.clone()));
    Ok((Home::new(messages, topics), Asked { commands, requests, uplink_receipts, step_receipts, connected }))
}

fn network_side(
    config: &Config,
    environment: &dyn Environment,
    (disk, shared): (&Disk, &Shared),
    arrivals: &mpsc::Sender<Arrival>,
    tracked: &mpsc::Sender<Tracked>,
    tasks: &mut Tasks,
) -> Result<Vec<Arc<dyn NetworkServer>>, BuildError> {
    let mut servers = Vec::new();
    for application in &config.application {
        let (raw, heard) = mpsc::channel(config.service.intake);
        let failed = |source| BuildError::Application { name: application.name().into(), source };
        let (outages, notices) = (shared.outages.clone(), shared.notices.clone());
        let encrypted = encrypted_devices(config, application.name(), disk)?;
        let Parts { server, stream, registry } =
            ttn::parts(application, environment, encrypted, raw, arrivals.clone(), outages, notices).map_err(failed)?;
        let sorting = Sorting {
            server: server.clone(),
            raw: heard,
            arrivals: arrivals.clone(),
            tracked: tracked.clone(),
            counters: shared.counters.clone(),
            notices: shared.notices.clone(),
            late: Late::new(server.name().clone(), shared.outages.clone()),
        };
        tasks.add("network stream", stream.run(shared.stop.clone()));
        tasks.add("network sorting", sorting.run());
        tasks.add("network registry", registry.run(shared.stop.clone()));
        servers.push(server);
    }
    Ok(servers)
}

/// What is configured and was noted of one application's devices whose payloads the network cannot read.
fn encrypted_devices(config: &Config, application: &str, disk: &Disk) -> Result<EncryptedDevices, InvalidName> {
    let own = |key: &DeviceKey| key.application.as_str() == application;
    let keys = config.devices()?.into_iter().filter(|(key, _)| own(key));
    let noted = disk.restored.notes.iter().filter(|(key, _)| own(key));
    Ok(EncryptedDevices {
        app_s_keys: keys.filter_map(|(key, device)| Some((key.device, device.app_s_key.clone()?))).collect(),
        noted: noted.map(|(key, body)| (key.device.clone(), body.clone())).collect(),
        notes: Arc::new(disk.store.clone()),
    })
}

/// What the uplink flow waits for.
struct Entrances {
    arrivals: mpsc::Receiver<Arrival>,
    crossed: mpsc::Receiver<Crossed>,
    receipts: mpsc::Receiver<u64>,
    home_connected: watch::Receiver<bool>,
    listed: watch::Sender<BTreeSet<ApplicationName>>,
}

fn uplink_flow(
    config: &Config,
    Entrances { arrivals, crossed, receipts, home_connected, listed }: Entrances,
    (store, restored, record): (Store, Restored, Record),
    servers: &[Arc<dyn NetworkServer>],
    home: &Home,
    decode: Decode,
    shared: &Shared,
) -> Uplinks {
    let mut publish = Publish {
        home: home.clone(),
        states: home::States::default(),
        directory: shared.directory.clone(),
        devices_changed: shared.devices_changed.clone(),
    };
    for (key, state) in restored.states {
        let heard_until = record.memory().device_heard_until(&key);
        publish.restore(key, state, heard_until);
    }
    let spool = Spool::new(SpoolParts {
        store,
        next_seq: restored.next_seq,
        receipts,
        servers: by_name(servers),
        most_bytes: config.store.spool_size,
        most_age: config.store.spool_age,
        counters: shared.counters.clone(),
        notices: shared.notices.clone(),
    });
    Uplinks {
        arrivals,
        crossed,
        record,
        spool,
        receive: Receive {
            directory: shared.directory.clone(),
            home: home.clone(),
            notices: shared.notices.clone(),
            devices_changed: shared.devices_changed.clone(),
            most_levels: longest_name(config),
        },
        decode,
        publish,
        home: HomePresence::new(home_connected),
        listed,
        drain: config.service.grace / 2,
    }
}

fn by_name(servers: &[Arc<dyn NetworkServer>]) -> HashMap<ApplicationName, Arc<dyn NetworkServer>> {
    servers.iter().map(|server| (server.name().clone(), server.clone())).collect()
}

fn answers(
    config: &Config,
    servers: Vec<Arc<dyn NetworkServer>>,
    desk: Desk,
    backfill: RepairHandle,
    shared: &Shared,
) -> Answers {
    Answers {
        backfill: control::Backfill::new(backfill, servers.iter().map(|server| server.name().clone()).collect()),
        servers,
        directory: shared.directory.clone(),
        counters: shared.counters.clone(),
        open_downlinks: desk.open(),
        downlinks: control::Downlinks::new(desk),
        configuration: config.public(),
        started: Instant::now(),
    }
}

fn home_endpoint(config: &Config, environment: &dyn Environment, topics: &Topics) -> Result<Endpoint, BuildError> {
    let home = &config.home;
    let address = Address::parse(&home.url)?;
    let tls = address.tls.then(|| trust(home.ca_file.as_deref(), environment)).transpose()?;
    Ok(Endpoint {
        address,
        tls,
        client_id: home.client_id.clone(),
        username: home.username.clone(),
        password: home.password.clone(),
        keep_alive: HOME_KEEP_ALIVE,
        window: home.in_flight,
        keep_session: home.keep_session,
        will: Some(Will { topic: topics.of_bridge("state"), payload: OFFLINE }),
    })
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

fn codecs(
    config: &Config,
    crossed: mpsc::Sender<Crossed>,
    shared: &Shared,
    tasks: &mut Tasks,
) -> Result<Codecs, BuildError> {
    let shown = Shown::new(shared.directory.clone(), shared.devices_changed.clone());
    let finder = finder(config, shared.notices.clone())?;
    let codecs = Codecs::start(finder, &config.codecs, crossed, shown).map_err(BuildError::Threads)?;
    let reload = codecs.reload(&config.codecs, shared.notices.clone());
    tasks.add("codec reload", reload.run(shared.stop.clone()));
    Ok(codecs)
}

/// The codecs the configuration speaks of; each must be there.
fn finder(config: &Config, notices: Notices) -> Result<Finder, BuildError> {
    let mut finder = Finder::new(&config.codecs);
    finder.tell(notices);
    for application in &config.application {
        if let Some(codec) = &application.codec {
            finder.assign_default(ApplicationName::parse(application.name())?, codec)?;
        }
    }
    for (key, device) in config.devices()? {
        if let Some(codec) = &device.codec {
            finder.assign(key, codec)?;
        }
    }
    Ok(finder)
}

fn longest_name(config: &Config) -> usize {
    let names = config.device.iter().filter_map(|device| device.friendly_name.as_deref());
    names.map(|name| name.split('/').count()).max().unwrap_or(0).max(NAME_LEVELS)
}
