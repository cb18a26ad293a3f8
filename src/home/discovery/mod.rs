//! The task that keeps Home Assistant told of every device: what is announced follows what is known.
//!
//! It looks at a device when something of it changed, at all of them when settings did, and says everything again when the
//! home broker or Home Assistant may have lost it. What the announcements hold is [`super::assistant`]'s; how one takes the
//! place of another is in [`record`].
//!
//! A device is announced once all of it is known: its application's registry was read, or that takes too long. One that
//! is announced without a part of its entities loses them in Home Assistant, with whatever the user said about them.

mod record;
mod starts;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::assistant::{self, Announcement, Place, Portrait};
use super::{Discovery, Home, LiveSettings, Retained, Settings};
use crate::model::{ApplicationName, Device, DeviceKey, Directory};
use crate::telemetry::Counters;

use record::{Record, Step};
pub use starts::AssistantStarts;

/// Changes are gathered this long: of a device that is new, much changes at once.
const GATHER: Duration = Duration::from_millis(200);
/// The registries are waited for this long after the start.
const DEVICES_KNOWN_WITHIN: Duration = Duration::from_secs(20);
/// While more messages than this wait for the home broker, announcements give way, each for so long at most.
const BUSY: u64 = 100;
const GIVE_WAY: Duration = Duration::from_millis(10);
const GIVE_WAYS: usize = 25;

/// Keeps the announcements true.
pub struct Keeper {
    home: Home,
    settings: LiveSettings,
    directory: Arc<Mutex<Directory>>,
    applications: BTreeMap<ApplicationName, Residence>,
    bridge: String,
    signals: Signals,
    counters: Counters,
    records: HashMap<Owner, Record>,
    /// Who is to be looked at.
    dirty: BTreeSet<Owner>,
    /// The directory's revision up to which devices were looked at.
    revision: u64,
    due: Option<Instant>,
    /// When devices are announced even if their registry was not read.
    patient_until: Option<Instant>,
}

/// A device, or the bridge itself.
type Owner = Option<DeviceKey>;

/// What the keeper is built from.
pub struct Parts {
    pub home: Home,
    pub directory: Arc<Mutex<Directory>>,
    /// Every application that is configured.
    pub applications: BTreeMap<ApplicationName, Residence>,
    /// What tells this bridge from others on the same broker: its MQTT client id.
    pub bridge: String,
    pub signals: Signals,
    pub counters: Counters,
}

/// What makes a look worth while.
pub struct Signals {
    /// Marked when the list of devices reads differently.
    pub devices_changed: watch::Receiver<()>,
    /// The applications whose registries were read, and whether they told every device.
    pub listed: watch::Receiver<BTreeMap<ApplicationName, bool>>,
    pub home_connected: watch::Receiver<bool>,
    pub assistant: AssistantStarts,
}

/// Where an application lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residence {
    /// Cluster and tenant: the same ids may be given elsewhere too.
    pub network: String,
    /// The application's page in the network's console.
    pub console: Option<String>,
}

/// What is to be announced of a device.
enum Standing {
    Announced(Box<Portrait>),
    /// It is known too little to say anything, or to take anything back.
    Unclear,
    Gone,
}

impl Keeper {
    pub fn new(Parts { home, directory, applications, bridge, signals, counters }: Parts) -> Self {
        let devices = home.ledger().devices().into_iter().map(Some);
        let owners: Vec<Owner> = devices.chain([None]).collect();
        let records = owners.iter().map(|owner| (owner.clone(), Record::restore(announced(&home, owner)))).collect();
        Self {
            settings: home.settings().clone(),
            home,
            directory,
            applications,
            bridge,
            signals,
            counters,
            records,
            dirty: owners.into_iter().collect(),
            revision: 0,
            due: Some(Instant::now() + GATHER),
            patient_until: Some(Instant::now() + DEVICES_KNOWN_WITHIN),
        }
    }

    /// Runs until `stop`. What is announced stays: the devices are still there.
    pub async fn run(mut self, stop: CancellationToken) {
        let keeping = async {
            loop {
                self.wait().await;
                if *self.signals.home_connected.borrow() {
                    self.look().await;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = keeping => {}
        }
    }

    /// Resolves when there is something to look at.
    async fn wait(&mut self) {
        loop {
            let (due, patient_until) = (self.due, self.patient_until);
            let Signals { devices_changed, listed, home_connected, assistant } = &mut self.signals;
            tokio::select! {
                biased;
                () = at(due), if due.is_some() => {
                    self.due = None;
                    return;
                }
                () = at(patient_until), if patient_until.is_some() => {
                    self.patient_until = None;
                    self.look_at_all();
                }
                Ok(()) = home_connected.changed() => self.say_again(),
                () = assistant.settled() => self.say_again(),
                () = self.settings.changed() => self.look_at_all(),
                Ok(()) = listed.changed() => self.look_at_all(),
                Ok(()) = devices_changed.changed() => self.look_soon(),
            }
        }
    }

    fn look_soon(&mut self) {
        self.due = self.due.or(Some(Instant::now() + GATHER));
    }

    fn look_at_all(&mut self) {
        self.revision = 0;
        self.dirty.extend(self.records.keys().cloned());
        self.dirty.insert(None);
        self.look_soon();
    }

    fn say_again(&mut self) {
        self.records.values_mut().for_each(Record::renew);
        self.look_at_all();
    }

    /// Looks at whoever is due, and says what is to be said.
    async fn look(&mut self) {
        self.gather();
        for owner in std::mem::take(&mut self.dirty) {
            let now = Instant::now();
            if let Some(until) = self.records.get(&owner).and_then(|record| record.waits_until(now)) {
                self.look_later(owner, until);
                continue;
            }
            let Some(wanted) = self.wanted(&owner) else { continue };
            let is_listed = self.is_listed(&owner);
            let record = self.records.entry(owner.clone()).or_default();
            if !is_listed {
                record.keep_restored();
            }
            let (steps, more) = record.next(wanted, now);
            if record.is_empty() && !more {
                self.records.remove(&owner);
            }
            if more {
                self.look_later(owner.clone(), now + record::PAUSE);
            }
            if !steps.is_empty() {
                self.give_way().await;
            }
            self.say(&owner, steps).await;
        }
    }

    /// Those that changed since the last look, or were forgotten.
    fn gather(&mut self) {
        let directory = Directory::lock(&self.directory);
        let changed = directory.changed_since(self.revision).map(|device| Some(device.key.clone()));
        self.dirty.extend(changed);
        let is_forgotten = |owner: &&Owner| owner.as_ref().is_some_and(|key| directory.find(key).is_none());
        self.dirty.extend(self.records.keys().filter(is_forgotten).cloned());
        self.revision = directory.revision();
    }

    /// Whether the registry that a device may stand in was read.
    fn is_listed(&self, owner: &Owner) -> bool {
        owner.as_ref().is_none_or(|key| self.signals.listed.borrow().contains_key(&key.application))
    }

    fn look_later(&mut self, owner: Owner, at: Instant) {
        self.dirty.insert(owner);
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// What is to be announced; nothing if that is not clear yet.
    fn wanted(&self, owner: &Owner) -> Option<Vec<Announcement>> {
        let settings = self.settings.now();
        if settings.home_assistant.discovery == Discovery::Off {
            return Some(Vec::new());
        }
        let place = Place { settings: &settings, bridge: &self.bridge, version: env!("CARGO_PKG_VERSION") };
        let Some(key) = owner else {
            let applications: Vec<_> = self.applications.keys().cloned().collect();
            return Some(assistant::bridge(&applications, &place));
        };
        match self.standing(key, &settings) {
            Standing::Announced(portrait) => Some(assistant::device(&portrait, &place)),
            Standing::Unclear => None,
            Standing::Gone => Some(Vec::new()),
        }
    }

    fn standing(&self, key: &DeviceKey, settings: &Settings) -> Standing {
        let Some(residence) = self.applications.get(&key.application) else { return Standing::Gone };
        let listed = self.signals.listed.borrow().get(&key.application).copied();
        let directory = Directory::lock(&self.directory);
        match directory.find(key) {
            None if listed == Some(true) || self.is_said(key) => Standing::Gone,
            Some(device) if is_met(device) && (listed.is_some() || self.patient_until.is_none()) => {
                Standing::Announced(Box::new(portrait(device, &directory, residence, settings)))
            }
            _ => Standing::Unclear,
        }
    }

    /// Whether a device was announced since the start: if nobody knows it now, it was forgotten.
    fn is_said(&self, key: &DeviceKey) -> bool {
        self.records.get(&Some(key.clone())).is_some_and(Record::is_said)
    }

    /// Uplinks go first, but not for ever.
    async fn give_way(&self) {
        for _ in 0..GIVE_WAYS {
            if self.counters.snapshot().waiting_at_home <= BUSY {
                return;
            }
            tokio::time::sleep(GIVE_WAY).await;
        }
    }

    async fn say(&self, owner: &Owner, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Announce(Announcement { topic, payload }, components) => {
                    self.home.announce(owner.as_ref(), topic, payload, components).await;
                }
                Step::Retract(topic) => self.home.retract(owner.as_ref(), &topic).await,
            }
        }
    }
}

/// The topics on which something was announced before the start, with the components in it.
fn announced(home: &Home, owner: &Owner) -> Vec<(String, String)> {
    let retained = home.ledger().of(owner.as_ref()).into_iter();
    let announced = retained.filter_map(|(topic, what)| match what {
        Retained::Discovery(components) => Some((topic, components)),
        _ => None,
    });
    announced.collect()
}

/// Whether the network has told of it: one that only the configuration speaks of has no fields and no commands yet.
fn is_met(device: &Device) -> bool {
    device.codec.is_some() || device.last_seen.is_some() || device.ids.dev_eui.is_some()
}

fn portrait(device: &Device, directory: &Directory, residence: &Residence, settings: &Settings) -> Portrait {
    let (key, codec) = (&device.key, device.codec.as_ref());
    let own = settings.device(key);
    Portrait {
        key: key.clone(),
        name: device.name.clone(),
        network: residence.network.clone(),
        ids: device.ids.clone(),
        version_ids: device.version_ids.clone(),
        codec: codec.filter(|codec| codec.hint.is_none()).map(|codec| codec.name.clone()),
        console: residence.console.as_ref().map(|application| format!("{application}/devices/{}", key.device)),
        battery: directory.tells_battery(key),
        area: own.and_then(|own| own.area.clone()).or_else(|| device.area.clone()),
        fields: codec.map(|codec| codec.fields.to_vec()).unwrap_or_default(),
        commands: codec.map(|codec| codec.commands.to_vec()).unwrap_or_default(),
        measured: directory.measured(key).collect(),
        seen: directory.seen(key).cloned().unwrap_or_default(),
        overrides: own.map(|own| own.home_assistant.clone()).unwrap_or_default(),
    }
}

async fn at(time: Option<Instant>) {
    sleep_until(time.unwrap_or_else(Instant::now)).await;
}
