//! Beside the steps: which devices are there, told at home.
//!
//! A device counts as heard when its message comes, not when that leaves for a home broker which may be away. It is told
//! once its name is known.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::home::{Availability, Heard, Home, Settings};
use crate::model::{DeviceKey, Directory, HomeName, Subject};
use crate::network::{Content, NetworkServer};
use crate::store::Store;
use crate::telemetry::{Notice, Notices};

/// How often what was learned is saved; a crash forgets what was learned since. Who came or went is saved at once.
const SAVE: Duration = Duration::from_secs(5 * 60);

/// Listens for devices and tells who is there.
pub struct Hearing {
    availability: Availability,
    /// Whose devices are heard only while they are connected.
    servers: Vec<Arc<dyn NetworkServer>>,
    home: Home,
    directory: Arc<Mutex<Directory>>,
    devices_changed: watch::Sender<()>,
    /// The same as it is heard here: a device is new, or has another name.
    changes: watch::Receiver<()>,
    notices: Notices,
    settings: Arc<Settings>,
    /// Under which name each device was told last.
    names: HashMap<DeviceKey, HomeName>,
    start: Instant,
    saved: Instant,
}

/// What [`Hearing`] is built with.
#[derive(Clone)]
pub struct HearingParts {
    pub servers: Vec<Arc<dyn NetworkServer>>,
    pub home: Home,
    pub directory: Arc<Mutex<Directory>>,
    /// Marked when the list of devices reads differently.
    pub devices_changed: watch::Sender<()>,
    pub notices: Notices,
}

impl Hearing {
    pub fn new(HearingParts { servers, home, directory, devices_changed, notices }: HearingParts) -> Self {
        let (settings, mut changes, now) = (home.settings().now(), devices_changed.subscribe(), Instant::now());
        // The devices that are there already have to be met.
        changes.mark_changed();
        Self {
            availability: Availability::default(),
            servers,
            home,
            directory,
            devices_changed,
            changes,
            notices,
            settings,
            names: HashMap::new(),
            start: now,
            saved: now,
        }
    }

    /// Takes back the devices that were `heard` before the last start, and what was saved of their habits.
    pub fn restore(&mut self, heard: impl IntoIterator<Item = DeviceKey>, mut saved: HashMap<DeviceKey, String>) {
        for key in heard {
            let saved = saved.remove(&key);
            self.availability.restore(key, saved.as_deref(), &self.settings);
        }
        for (key, saved) in saved {
            self.availability.restore(key, Some(&saved), &self.settings);
        }
    }

    /// Something came of a device, or of the past.
    pub fn hear(&mut self, content: &Content) {
        let now = self.start.elapsed();
        match content {
            Content::Uplink(uplink) => self.availability.hear(uplink, now, &self.settings),
            Content::Join(join) => self.availability.sign_of_life(&join.key, join.at, now),
            // These may come long after the device was heard.
            Content::Location(_) | Content::Service(_) => {}
        }
    }

    /// Notes what the network says of a device.
    pub fn attributes(&mut self, key: &DeviceKey, attributes: &BTreeMap<String, String>) {
        self.availability.attributes(key, attributes, &self.settings);
    }

    /// Nothing is remembered of a device any more.
    pub fn forget(&mut self, key: &DeviceKey) {
        self.availability.forget(key);
        self.names.remove(key);
    }

    /// Tells whether a device is there, if that is news at home.
    pub async fn tell(&mut self, device: Subject<'_>) {
        if self.names.get(device.key) != Some(device.name) {
            self.names.insert(device.key.clone(), device.name.clone());
            self.availability.renew_one(device.key);
        }
        let untold = self.availability.take_untold(device.key);
        self.show(device.key, untold.map(|heard| heard.online));
        if let Some(heard) = untold {
            let state = if heard.online { "online" } else { "offline" };
            self.home.availability(device, &json!({ "state": state })).await;
            self.notify(device, heard);
        }
    }

    /// Everything is told again, for a broker that has just come.
    pub fn renew(&mut self) {
        self.availability.renew();
    }

    /// Looks at who was silent for too long, and tells what there is to tell.
    pub async fn tick(&mut self, store: &Store) {
        self.look();
        for (key, name) in self.named() {
            self.tell(Subject { key: &key, name: &name }).await;
        }
        if self.availability.has_turned() || self.saved.elapsed() >= SAVE {
            self.save(store).await;
        }
    }

    /// Saves what was learned.
    pub async fn save(&mut self, store: &Store) {
        self.saved = Instant::now();
        let unsaved = self.availability.take_unsaved();
        if !unsaved.is_empty() {
            store.save_availability(unsaved).await;
        }
    }

    fn look(&mut self) {
        let (now, settings) = (self.start.elapsed(), self.home.settings().now());
        if !Arc::ptr_eq(&settings, &self.settings) {
            self.settings = settings;
            self.availability.reconsider(now, &self.settings);
            // The topics may be others.
            self.availability.renew();
        }
        for server in &self.servers {
            self.availability.listens(server.name(), server.health().connected, now, &self.settings);
        }
        self.availability.pass(now);
        if self.changes.has_changed().unwrap_or_default() {
            self.changes.mark_unchanged();
            self.meet_all();
        }
    }

    /// Devices that are new are met, those with new names told under them, and those that are gone told when they come back.
    fn meet_all(&mut self) {
        let directory = Directory::lock(&self.directory);
        self.names.retain(|key, _| directory.find(key).is_some());
        for device in directory.all() {
            self.availability.meet(&device.key);
            if self.names.get(&device.key) != Some(&device.name) {
                self.availability.renew_one(&device.key);
            }
        }
    }

    /// Of whom there is something to tell, under a name that is known.
    fn named(&self) -> Vec<(DeviceKey, HomeName)> {
        let untold = self.availability.untold();
        let directory = Directory::lock(&self.directory);
        let name = |key: DeviceKey| directory.find(&key).map(|device| (key, device.name.clone()));
        untold.into_iter().filter_map(name).collect()
    }

    /// Shows in the list of devices what is known.
    fn show(&self, key: &DeviceKey, online: Option<bool>) {
        let interval = self.availability.interval(key, &self.settings);
        let mut directory = Directory::lock(&self.directory);
        let Some(device) = directory.find_mut(key) else { return };
        let before = (device.online, device.interval.is_some());
        (device.online, device.interval) = (online.or(device.online), interval);
        if before != (device.online, device.interval.is_some()) {
            self.devices_changed.send_replace(());
        }
    }

    fn notify(&self, Subject { key, name }: Subject<'_>, Heard { online, silent }: Heard) {
        let Some(silent) = silent else { return };
        let (device, application, device_id) = (name.clone(), key.application.clone(), key.device.to_string());
        let silent_s = silent.as_secs();
        self.notices.tell(match online {
            true => Notice::DeviceOnline { device, application, device_id, silent_s },
            false => Notice::DeviceOffline { device, application, device_id, silent_s },
        });
    }
}

#[cfg(test)]
mod flow_tests;
