//! Keeps the broker free of what was retained under topics that are not in use any more.
//!
//! It looks when names, devices or settings changed, and only while the home broker is there: what is emptied is forgotten, so it
//! must arrive.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::home::{Changes, Home, LiveSettings, Noted};
use crate::model::{ApplicationName, Device, DeviceKey, Directory, HomeName, Subject};
use crate::store::{RetainedRow, Store};

/// Looks after the retained topics.
pub struct Tidy {
    home: Home,
    directory: Arc<Mutex<Directory>>,
    devices_changed: watch::Receiver<()>,
    settings: LiveSettings,
    applications: BTreeSet<ApplicationName>,
    /// The names under which devices were last looked at.
    names: HashMap<DeviceKey, HomeName>,
    /// Devices that were removed, and may be back by now.
    removed: Vec<DeviceKey>,
    is_due: bool,
    /// The settings changed: every device is to be looked at.
    is_anew: bool,
}

impl Tidy {
    /// `applications`: those that are configured. What is retained of others is of no use any more.
    pub fn new(
        home: Home,
        directory: Arc<Mutex<Directory>>,
        devices_changed: watch::Receiver<()>,
        applications: BTreeSet<ApplicationName>,
    ) -> Self {
        let settings = home.settings().clone();
        Self {
            home,
            directory,
            devices_changed,
            settings,
            applications,
            names: HashMap::new(),
            removed: Vec::new(),
            is_due: true,
            is_anew: true,
        }
    }

    /// Whether the settings were replaced since this was last asked.
    pub fn settings_changed(&mut self) -> bool {
        let changed = self.settings.take_changed();
        if changed {
            (self.is_due, self.is_anew) = (true, true);
        }
        changed
    }

    /// There is news of which devices there are.
    pub fn look_again(&mut self) {
        self.is_due = true;
    }

    /// The devices that were removed since this was last asked: nothing is to be remembered of them.
    pub fn take_removed(&mut self) -> Vec<DeviceKey> {
        let removed = Directory::lock(&self.directory).take_removed();
        self.is_due |= !removed.is_empty();
        self.removed.extend(removed.iter().cloned());
        removed
    }

    /// Empties what is not wanted any more. Returns the devices whose states are to be told again: they have another name
    /// than before, or a new one has one below theirs, where their fields may have been.
    /// `listed`: the applications whose registries were read, and whether they told every device.
    pub async fn look(&mut self, listed: &BTreeMap<ApplicationName, bool>) -> Vec<DeviceKey> {
        // An end of the bridge is no change.
        if self.devices_changed.has_changed().unwrap_or(false) {
            self.devices_changed.mark_unchanged();
            self.is_due = true;
        }
        if !std::mem::take(&mut self.is_due) {
            return Vec::new();
        }
        self.home.tidy_bridge().await;
        for key in self.gone(listed) {
            self.names.remove(&key);
            self.home.abandon(&key).await;
        }
        let mut again = Vec::new();
        for (key, name) in self.newly_named() {
            self.home.tidy(Subject { key: &key, name: &name }).await;
            let old = self.names.insert(key.clone(), name.clone());
            if old.as_ref() != Some(&name) {
                again.extend(old.map(|_| key));
                again.extend(self.above(&name));
            }
        }
        again
    }

    /// Keeps on disk what changed in the ledger.
    pub async fn save(&self, store: &Store) {
        let Changes { noted, cleared } = self.home.ledger().take_changes();
        if !(noted.is_empty() && cleared.is_empty()) {
            let row = |Noted { topic, owner, kind }| RetainedRow { topic, owner, kind };
            store.save_retained(noted.into_iter().map(row).collect(), cleared).await;
        }
    }

    /// Devices of which something is retained, and that are of no concern any more: they were removed, or their
    /// application is not bridged any more or does not list them.
    fn gone(&mut self, listed: &BTreeMap<ApplicationName, bool>) -> Vec<DeviceKey> {
        let removed = std::mem::take(&mut self.removed);
        let directory = Directory::lock(&self.directory);
        let strangers = self.home.ledger().devices().into_iter();
        let is_strange = |key: &DeviceKey| {
            let is_unlisted = listed.get(&key.application) == Some(&true) && directory.find(key).is_none();
            is_unlisted || !self.applications.contains(&key.application)
        };
        let removed = removed.into_iter().filter(|key| directory.find(key).is_none());
        removed.chain(strangers.filter(is_strange)).collect()
    }

    fn newly_named(&mut self) -> Vec<(DeviceKey, HomeName)> {
        let is_anew = std::mem::take(&mut self.is_anew);
        let directory = Directory::lock(&self.directory);
        let all = directory.all().into_iter().filter(|device| self.is_settled(device));
        all.filter(|device| is_anew || self.names.get(&device.key) != Some(&device.name))
            .map(|device| (device.key.clone(), device.name.clone()))
            .collect()
    }

    /// A name that is only a guess is not the last word, unless the device was heard and did not say another one, or lost
    /// the one it had.
    fn is_settled(&self, device: &Device) -> bool {
        !device.name_is_guess || device.last_seen.is_some() || self.names.contains_key(&device.key)
    }

    /// The devices whose names are the first levels of this one.
    fn above(&self, name: &HomeName) -> Vec<DeviceKey> {
        let directory = Directory::lock(&self.directory);
        let ends = name.as_str().match_indices('/').map(|(at, _)| &name.as_str()[..at]);
        ends.filter_map(|above| directory.by_name(above)).map(|device| device.key.clone()).collect()
    }
}
