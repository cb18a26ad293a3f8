//! Which devices there are, and what each is called at home.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use payload_codecs::metadata::{Command, Field};
use schemars::JsonSchema;
use serde::Serialize;

use super::{DeviceKey, EndDeviceIds, HomeName, Shape, VersionIds};

/// What is known of one device.
#[derive(Debug, Clone)]
pub struct Device {
    pub key: DeviceKey,
    pub name: HomeName,
    /// The name was taken from the id before anybody could say another one.
    pub name_is_guess: bool,
    pub ids: EndDeviceIds,
    pub version_ids: Option<VersionIds>,
    /// The codec in use and how it was chosen, for people.
    pub codec: Option<CodecChoice>,
    pub last_seen: Option<Timestamp>,
    /// The room it is in, as the network knows it.
    pub area: Option<String>,
    /// Rises each time something of it changes that others show: see [`Directory::touch`].
    revision: u64,
    /// Whether it is heard from; `None` while nobody has looked.
    pub online: Option<bool>,
    /// How often it usually reports, as far as that is known.
    pub interval: Option<Duration>,
}

/// Which codec decodes a device, and why that one.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CodecChoice {
    /// `network` if its own formatter decodes, `none` if nothing does.
    pub name: String,
    pub chosen_by: &'static str,
    /// What to do about it, if nothing decodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'static str>,
    /// What the codec says of the decoded fields.
    #[serde(skip)]
    pub fields: Arc<[Field]>,
    /// What the codec says the device can be told.
    #[serde(skip)]
    pub commands: Arc<[Command]>,
}

/// A home name that another device already has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the home name `{name}` of {device} already belongs to {holder}")]
pub struct Taken {
    pub name: HomeName,
    pub device: DeviceKey,
    pub holder: DeviceKey,
}

/// A device that got another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    pub key: DeviceKey,
    pub from: HomeName,
    pub to: HomeName,
}

/// The devices by TTN's ids and by their names at home. A name belongs to one device for as long as the process lives.
#[derive(Debug, Default)]
pub struct Directory {
    devices: HashMap<DeviceKey, Device>,
    names: HashMap<HomeName, DeviceKey>,
    /// Paths of normalised measurements, also of devices that were not met again since the last start.
    measured: HashMap<DeviceKey, BTreeSet<&'static str>>,
    /// The decoded fields seen, of the same devices.
    seen: HashMap<DeviceKey, Arc<Shape>>,
    /// Those whose battery the network has told.
    batteries: HashSet<DeviceKey>,
    /// The highest revision of any device.
    revision: u64,
    /// Those removed since somebody asked.
    removed: Vec<DeviceKey>,
}

impl Directory {
    /// The directory that the flows share. A task that panicked while it held the lock left nothing half-done that
    /// matters more than going on.
    pub fn lock(shared: &Mutex<Self>) -> MutexGuard<'_, Self> {
        shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn find(&self, key: &DeviceKey) -> Option<&Device> {
        self.devices.get(key)
    }

    pub fn find_mut(&mut self, key: &DeviceKey) -> Option<&mut Device> {
        self.devices.get_mut(key)
    }

    pub fn by_name(&self, name: &str) -> Option<&Device> {
        let name = HomeName::parse(name).ok()?;
        self.names.get(&name).and_then(|key| self.devices.get(key))
    }

    /// Remembers what a device measures, by the paths of normalised measurements. Returns whether that is news.
    pub fn note_measured(&mut self, key: &DeviceKey, paths: BTreeSet<&'static str>) -> bool {
        let known = self.measured.entry(key.clone()).or_default();
        let before = known.len();
        known.extend(paths);
        let is_news = known.len() > before;
        if is_news {
            self.touch(key);
        }
        is_news
    }

    /// Remembers which fields a device's decoded data has.
    pub fn note_seen(&mut self, key: &DeviceKey, shape: Arc<Shape>) {
        self.seen.insert(key.clone(), shape);
        self.touch(key);
    }

    /// The fields seen in a device's decoded data so far.
    pub fn seen(&self, key: &DeviceKey) -> Option<&Shape> {
        self.seen.get(key).map(Arc::as_ref)
    }

    /// Remembers that the network tells of a device's battery. Returns whether that is news.
    pub fn note_battery(&mut self, key: &DeviceKey) -> bool {
        let is_news = !self.batteries.contains(key) && self.batteries.insert(key.clone());
        if is_news {
            self.touch(key);
        }
        is_news
    }

    /// Whether the network has told of a device's battery.
    pub fn tells_battery(&self, key: &DeviceKey) -> bool {
        self.batteries.contains(key)
    }

    /// Something of this device reads differently from now on.
    pub fn touch(&mut self, key: &DeviceKey) {
        if let Some(device) = self.devices.get_mut(key) {
            self.revision += 1;
            device.revision = self.revision;
        }
    }

    /// What [`Self::changed_since`] is asked with the next time.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The devices of which something changed since that revision; all of them since 0.
    pub fn changed_since(&self, revision: u64) -> impl Iterator<Item = &Device> {
        self.devices.values().filter(move |device| device.revision > revision)
    }

    /// What a device has measured so far.
    pub fn measured(&self, key: &DeviceKey) -> impl Iterator<Item = &'static str> {
        self.measured.get(key).into_iter().flatten().copied()
    }

    /// All devices in the order of their names.
    pub fn all(&self) -> Vec<&Device> {
        let mut all: Vec<_> = self.devices.values().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Gives a known device another name. Returns the old one if it changed.
    pub fn rename(&mut self, key: &DeviceKey, wanted: HomeName) -> (Option<HomeName>, Option<Taken>) {
        let Some(old) = self.devices.get(key).map(|device| device.name.clone()).filter(|old| *old != wanted) else {
            return (None, None);
        };
        self.names.remove(&old);
        let (name, taken) = self.claim(key, wanted);
        if let Some(device) = self.devices.get_mut(key) {
            device.name.clone_from(&name);
        }
        self.touch(key);
        (Some(old).filter(|old| *old != name), taken)
    }

    /// Gives devices the names that somebody now says, or nobody any more (`None`): then it is the id until the network
    /// says another. All old names are free first, so that two devices can swap theirs. One that is not known yet is, if
    /// it has a name.
    pub fn rename_all(&mut self, wanted: Vec<(DeviceKey, Option<HomeName>)>) -> (Vec<Renamed>, Vec<Taken>) {
        let old_name = |(key, _): &(DeviceKey, _)| self.devices.get(key).map(|device| device.name.clone());
        let old: Vec<_> = wanted.iter().map(old_name).collect();
        old.iter().flatten().for_each(|name| drop(self.names.remove(name)));
        let (mut renamed, mut all_taken) = (Vec::new(), Vec::new());
        for ((key, said), old) in wanted.into_iter().zip(old) {
            let is_guess = said.is_none();
            if is_guess && old.is_none() {
                continue;
            }
            let (device, taken) = self.add(key.clone(), said.unwrap_or_else(|| HomeName::of_id(&key.device)));
            device.name_is_guess = is_guess;
            let to = device.name.clone();
            renamed.extend(old.filter(|old| *old != to).map(|from| Renamed { key, from, to }));
            all_taken.extend(taken);
        }
        (renamed, all_taken)
    }

    /// Forgets a device. Its name is free.
    pub fn remove(&mut self, key: &DeviceKey) -> Option<Device> {
        let device = self.devices.remove(key)?;
        self.names.remove(&device.name);
        self.measured.remove(key);
        self.seen.remove(key);
        self.batteries.remove(key);
        self.removed.push(key.clone());
        Some(device)
    }

    /// The devices that were removed since this was last asked; they may be back by now.
    pub fn take_removed(&mut self) -> Vec<DeviceKey> {
        std::mem::take(&mut self.removed)
    }

    /// Takes the name wanted for a device, or a free one if another device has it.
    fn claim(&mut self, key: &DeviceKey, wanted: HomeName) -> (HomeName, Option<Taken>) {
        let holder = self.names.get(&wanted).filter(|holder| *holder != key).cloned();
        let taken = holder.map(|holder| Taken { name: wanted.clone(), device: key.clone(), holder });
        let name = if taken.is_some() { self.free_name(key) } else { wanted };
        self.names.insert(name.clone(), key.clone());
        (name, taken)
    }

    /// `<application>/<device>`, or the first variation of it that is a name and nobody's yet.
    fn free_name(&self, key: &DeviceKey) -> HomeName {
        let DeviceKey { application, device } = key;
        let plain = std::iter::once(format!("{application}/{device}"));
        plain
            .chain((2..).map(|number| format!("application-{application}/device-{device}-{number}")))
            .filter_map(|name| HomeName::parse(&name).ok())
            .find(|name| self.names.get(name).is_none_or(|holder| holder == key))
            .expect("an application's name and a device's id are clean levels, and numbers do not end")
    }

    /// Adds a device under the name wanted for it. If another one has that name, this one gets its application's name
    /// before its own id, so that both stay reachable, and the collision is told.
    pub fn add(&mut self, key: DeviceKey, wanted: HomeName) -> (&mut Device, Option<Taken>) {
        let (name, taken) = self.claim(&key, wanted);
        self.revision += 1;
        let revision = self.revision;
        let device = self.devices.entry(key.clone()).or_insert_with(|| Device {
            key,
            name: name.clone(),
            name_is_guess: false,
            ids: EndDeviceIds::default(),
            version_ids: None,
            codec: None,
            last_seen: None,
            area: None,
            revision,
            online: None,
            interval: None,
        });
        (device.name, device.revision) = (name, revision);
        (device, taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApplicationName, DeviceId};

    fn key(application: &str, device: &str) -> DeviceKey {
        DeviceKey::new(&ApplicationName::parse(application).unwrap(), DeviceId::parse(device).unwrap())
    }

    #[test]
    fn two_devices_never_share_a_name() {
        let mut directory = Directory::default();
        let kitchen = HomeName::parse("kitchen").unwrap();
        assert!(directory.add(key("a", "node"), kitchen.clone()).1.is_none());
        let (device, taken) = directory.add(key("b", "node"), kitchen);
        assert_eq!(device.name.as_str(), "b/node");
        assert_eq!(taken.unwrap().holder, key("a", "node"));
        assert_eq!(directory.by_name("kitchen").unwrap().key, key("a", "node"));
        assert_eq!(directory.by_name("b/node").unwrap().key, key("b", "node"));
    }

    #[test]
    fn a_renamed_device_is_found_by_its_new_name_only() {
        let mut directory = Directory::default();
        let name = |text| HomeName::parse(text).unwrap();
        directory.add(key("a", "node"), name("node"));
        assert_eq!(directory.rename(&key("a", "node"), name("kitchen")).0, Some(name("node")));
        assert_eq!(directory.rename(&key("a", "node"), name("kitchen")), (None, None));
        assert!(directory.by_name("node").is_none());
        assert_eq!(directory.by_name("kitchen").unwrap().key, key("a", "node"));
    }

    #[test]
    fn what_changed_is_told_from_what_did_not() {
        let mut directory = Directory::default();
        let (one, two) = (key("a", "one"), key("a", "two"));
        directory.add(one.clone(), HomeName::parse("one").unwrap());
        directory.add(two.clone(), HomeName::parse("two").unwrap());
        let changed = |directory: &Directory, since| {
            let mut names: Vec<_> = directory.changed_since(since).map(|device| device.name.to_string()).collect();
            names.sort();
            names
        };
        assert_eq!(changed(&directory, 0), ["one", "two"]);
        let before = directory.revision();
        assert_eq!(changed(&directory, before), [""; 0]);
        directory.note_seen(&two, Arc::default());
        assert_eq!(changed(&directory, before), ["two"]);
        directory.rename(&one, HomeName::parse("three").unwrap());
        assert_eq!(changed(&directory, before), ["three", "two"]);
        assert!(directory.note_measured(&two, BTreeSet::from(["air.co2"])));
        let before = directory.revision();
        assert!(!directory.note_measured(&two, BTreeSet::from(["air.co2"])));
        assert_eq!(changed(&directory, before), [""; 0], "it was known");
    }

    #[test]
    fn two_devices_can_swap_names_and_who_loses_one_is_called_by_its_id() {
        let mut directory = Directory::default();
        let name = |text| HomeName::parse(text).unwrap();
        directory.add(key("a", "one"), name("x"));
        directory.add(key("a", "two"), name("y"));
        let swap = vec![(key("a", "one"), Some(name("y"))), (key("a", "two"), Some(name("x")))];
        let (renamed, taken) = directory.rename_all(swap);
        assert_eq!((renamed.len(), taken), (2, vec![]));
        assert_eq!(directory.by_name("x").unwrap().key, key("a", "two"));
        let (renamed, _) = directory.rename_all(vec![(key("a", "one"), None), (key("a", "new"), None)]);
        assert_eq!(renamed, [Renamed { key: key("a", "one"), from: name("y"), to: name("one") }]);
        assert!(directory.find(&key("a", "one")).unwrap().name_is_guess && directory.by_name("y").is_none());
        assert!(directory.find(&key("a", "new")).is_none());
        assert_eq!(directory.remove(&key("a", "one")).unwrap().name, name("one"));
        assert!(directory.by_name("one").is_none() && directory.find(&key("a", "one")).is_none());
    }

    #[test]
    fn the_second_choice_is_a_clean_name_and_nobodys_yet() {
        let mut directory = Directory::default();
        let kitchen = HomeName::parse("kitchen").unwrap();
        directory.add(key("a", "node"), kitchen.clone());
        directory.add(key("c", "other"), HomeName::parse("b/node").unwrap());
        let mut second = |application| directory.add(key(application, "node"), kitchen.clone()).0.name.to_string();
        assert_eq!(second("b"), "application-b/device-node-2");
        assert_eq!(second("bridge"), "application-bridge/device-node-2");
    }
}
