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
    /// The names under which devices were last looked at, since the settings last changed.
    names: HashMap<DeviceKey, HomeName>,
    is_due: bool,
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
        Self { home, directory, devices_changed, settings, applications, names: HashMap::new(), is_due: true }
    }

    /// Whether the settings were replaced since this was last asked.
    pub fn settings_changed(&mut self) -> bool {
        let changed = self.settings.take_changed();
        if changed {
            self.names.clear();
            self.is_due = true;
        }
        changed
    }

    /// There is news of which devices there are.
    pub fn look_again(&mut self) {
        self.is_due = true;
    }

    /// Empties what is not wanted any more. Returns the devices that have another name than before.
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
        for key in self.home.ledger().devices() {
            let is_listed = listed.get(&key.application) == Some(&true);
            if !self.applications.contains(&key.application) || (is_listed && !self.is_known(&key)) {
                self.home.abandon(&key).await;
            }
        }
        let mut renamed = Vec::new();
        for (key, name) in self.newly_named() {
            self.home.tidy(Subject { key: &key, name: &name }).await;
            if self.names.insert(key.clone(), name).is_some() {
                renamed.push(key);
            }
        }
        renamed
    }

    /// Keeps on disk what changed in the ledger.
    pub async fn save(&self, store: &Store) {
        let Changes { noted, cleared } = self.home.ledger().take_changes();
        if !(noted.is_empty() && cleared.is_empty()) {
            let row = |Noted { topic, owner, kind }| RetainedRow { topic, owner, kind };
            store.save_retained(noted.into_iter().map(row).collect(), cleared).await;
        }
    }

    fn is_known(&self, key: &DeviceKey) -> bool {
        Directory::lock(&self.directory).find(key).is_some()
    }

    fn newly_named(&self) -> Vec<(DeviceKey, HomeName)> {
        let directory = Directory::lock(&self.directory);
        let all = directory.all().into_iter().filter(|device| is_settled(device));
        all.filter(|device| self.names.get(&device.key) != Some(&device.name))
            .map(|device| (device.key.clone(), device.name.clone()))
            .collect()
    }
}

/// A name that is only a guess is not the last word, unless the device was heard and did not say another one.
fn is_settled(device: &Device) -> bool {
    !device.name_is_guess || device.last_seen.is_some()
}
