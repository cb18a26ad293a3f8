//! Which devices are there: heard from within the time that each of them usually takes.
//!
//! Silence is measured on a clock of its own for each application, which runs while the network is listened to and stands
//! still otherwise. So no device is gone because the bridge was off or its connection lost, and no clock that is set
//! forward or back changes anything. When the connection is back each device has at least the time for its next uplink.
//!
//! How long a silence may be: as the user says ([`DeviceConfig::offline_after`]), else by the interval that the user, the
//! attribute `ferry-interval` or the device's own habit ([`Rhythm`]) says.

mod rhythm;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::rhythm::Rhythm;
use super::{DeviceConfig, Settings};
use crate::model::{ApplicationName, DeviceKey, Uplink, duration};

/// The attribute of a device, set in the network's console, that says how often it reports.
const INTERVAL_ATTRIBUTE: &str = "ferry-interval";
/// What it may say, as the configuration may.
const INTERVALS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(366 * 24 * 3600));

type Attributes = BTreeMap<String, String>;

/// The devices, and who has to be told of which. `now` is a clock that is never set: the time since the start.
#[derive(Debug, Default)]
pub struct Availability {
    devices: HashMap<DeviceKey, Device>,
    networks: HashMap<ApplicationName, Listening>,
    /// What is to be told, and after what silence it came if it is news.
    untold: BTreeMap<DeviceKey, Option<Duration>>,
    unsaved: BTreeSet<DeviceKey>,
    turned: bool,
}

/// What is told of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    pub online: bool,
    /// How long nothing was heard, if the device has just gone or come back.
    pub silent: Option<Duration>,
}

#[derive(Debug, Default)]
struct Device {
    rhythm: Rhythm,
    /// What its attribute says, as it stands there and as it is understood.
    attribute: Option<(String, Option<Duration>)>,
    /// It was heard at least once.
    is_known: bool,
    online: bool,
    /// When it was last heard on its application's clock; `None` if that was before the start and it is gone since.
    heard: Option<Duration>,
    /// It is not gone before that, on the same clock.
    spared: Duration,
    /// The silence after which it is gone; `None`: never.
    patience: Option<Duration>,
}

/// How long an application was listened to until now.
#[derive(Debug, Default)]
struct Listening {
    before: Duration,
    since: Option<Duration>,
}

/// What of a device outlives the process.
#[derive(Serialize, Deserialize)]
struct Saved {
    online: bool,
    rhythm: Rhythm,
}

impl Availability {
    /// Takes back a device that was heard before the last start, with what [`Self::take_unsaved`] gave if it was saved.
    pub fn restore(&mut self, key: DeviceKey, saved: Option<&str>, settings: &Settings) {
        let read = saved.map(serde_json::from_str).transpose().unwrap_or_else(|error| {
            tracing::warn!(device = %key, %error, "What was saved of a device's habit cannot be read.");
            None
        });
        let Saved { online, rhythm } = read.unwrap_or(Saved { online: true, rhythm: Rhythm::default() });
        let heard = online.then_some(Duration::ZERO);
        let mut device = Device { rhythm, is_known: true, online, heard, ..Device::default() };
        device.patience = device.patience(&key, settings);
        self.untold.insert(key.clone(), None);
        self.devices.insert(key, device);
    }

    /// Notes a device that was perhaps never heard; then it is offline.
    pub fn meet(&mut self, key: &DeviceKey) {
        if !self.devices.contains_key(key) {
            self.devices.insert(key.clone(), Device::default());
            self.untold.insert(key.clone(), None);
        }
    }

    /// Nothing is remembered of a device any more.
    pub fn forget(&mut self, key: &DeviceKey) {
        self.devices.remove(key);
        self.untold.remove(key);
        self.unsaved.remove(key);
    }

    /// Notes what the network says of a device.
    pub fn attributes(&mut self, key: &DeviceKey, attributes: &Attributes, settings: &Settings) {
        let text = attributes.get(INTERVAL_ATTRIBUTE);
        self.meet(key);
        let Some(device) = self.devices.get_mut(key) else { return };
        if device.attribute.as_ref().map(|(known, _)| known) != text {
            device.attribute = text.map(|text| (text.clone(), parse(key, text)));
            device.patience = device.patience(key, settings);
        }
    }

    /// An uplink came. One that was fetched is history: it says nothing about now.
    pub fn hear(&mut self, uplink: &Uplink, now: Duration, settings: &Settings) {
        // Stacks before 3.34 send no attributes at all: then none says nothing.
        if !uplink.attributes.is_empty() {
            self.attributes(&uplink.key, &uplink.attributes, settings);
        }
        if !uplink.backfilled {
            self.sign_of_life(&uplink.key, uplink.at, now);
        }
        self.meet(&uplink.key);
        let Some(device) = self.devices.get_mut(&uplink.key) else { return };
        device.rhythm.note(uplink);
        device.patience = device.patience(&uplink.key, settings);
        self.unsaved.insert(uplink.key.clone());
    }

    /// The device is there: it sent something, at this time by the network's clock.
    pub fn sign_of_life(&mut self, key: &DeviceKey, at: Timestamp, now: Duration) {
        let clock = self.clock(&key.application, now);
        let device = self.devices.entry(key.clone()).or_default();
        let known = std::mem::replace(&mut device.is_known, true);
        device.heard = Some(clock);
        if !std::mem::replace(&mut device.online, true) {
            let silent = device.rhythm.newest().map(|newest| at.duration_since(newest));
            let silent = silent.map(|silent| Duration::try_from(silent).unwrap_or_default());
            self.turn(key, silent.filter(|_| known));
        }
    }

    /// Notes whether an application is listened to.
    pub fn listens(&mut self, application: &ApplicationName, connected: bool, now: Duration, settings: &Settings) {
        let network = self.networks.entry(application.clone()).or_default();
        match (network.since, connected) {
            (None, true) => {
                network.since = Some(now);
                self.spare(application, now, settings.availability.factor);
            }
            (Some(since), false) => {
                network.before += now.saturating_sub(since);
                network.since = None;
            }
            _ => {}
        }
    }

    /// Notes which devices were silent for too long.
    pub fn pass(&mut self, now: Duration) {
        let late = |(key, device): (&DeviceKey, &Device)| {
            let clock = self.clock(&key.application, now);
            (device.online && device.is_late(clock)).then(|| (key.clone(), device.silent(clock)))
        };
        let late: Vec<_> = self.devices.iter().filter_map(late).collect();
        for (key, silent) in late {
            if let Some(device) = self.devices.get_mut(&key) {
                device.online = false;
            }
            self.turn(&key, silent);
        }
    }

    /// The settings were replaced: who was gone by the old ones may be there by the new ones.
    pub fn reconsider(&mut self, now: Duration, settings: &Settings) {
        let mut back = Vec::new();
        let Self { devices, networks, .. } = self;
        for (key, device) in devices {
            device.patience = device.patience(key, settings);
            let clock = networks.get(&key.application).map_or(Duration::ZERO, |network| network.clock(now));
            if device.is_known && !device.online && !device.is_late(clock) {
                device.online = true;
                back.push((key.clone(), device.silent(clock)));
            }
        }
        back.into_iter().for_each(|(key, silent)| self.turn(&key, silent));
    }

    /// The broker may have lost its memory: everything is told again.
    pub fn renew(&mut self) {
        for key in self.devices.keys() {
            self.untold.entry(key.clone()).or_insert(None);
        }
    }

    /// Of whom something is to be told.
    pub fn untold(&self) -> Vec<DeviceKey> {
        self.untold.keys().cloned().collect()
    }

    /// Something is to be told of this device, perhaps once more.
    pub fn renew_one(&mut self, key: &DeviceKey) {
        self.untold.entry(key.clone()).or_insert(None);
    }

    /// What is to be told of a device, if anything.
    pub fn take_untold(&mut self, key: &DeviceKey) -> Option<Heard> {
        let silent = self.untold.remove(key)?;
        Some(Heard { online: self.devices.get(key)?.online, silent })
    }

    /// How often a device usually reports, as far as that is known.
    pub fn interval(&self, key: &DeviceKey, settings: &Settings) -> Option<Duration> {
        let device = self.devices.get(key)?;
        device.said(settings.device(key)).or_else(|| device.rhythm.interval())
    }

    /// Whether a device came or went since the last [`Self::take_unsaved`]: that must not be forgotten.
    pub fn has_turned(&self) -> bool {
        self.turned
    }

    /// What changed of each device, as text for nobody but [`Self::restore`].
    pub fn take_unsaved(&mut self) -> Vec<(DeviceKey, String)> {
        self.turned = false;
        let save = |key: DeviceKey| {
            let device = self.devices.get(&key)?;
            let saved = Saved { online: device.online, rhythm: device.rhythm.clone() };
            Some((key, serde_json::to_string(&saved).expect("our own types have string keys and always serialise")))
        };
        std::mem::take(&mut self.unsaved).into_iter().filter_map(save).collect()
    }

    fn clock(&self, application: &ApplicationName, now: Duration) -> Duration {
        self.networks.get(application).map_or(Duration::ZERO, |network| network.clock(now))
    }

    fn turn(&mut self, key: &DeviceKey, silent: Option<Duration>) {
        self.untold.insert(key.clone(), silent);
        self.unsaved.insert(key.clone());
        self.turned = true;
    }

    /// An uplink may have gone by while nobody listened. The next one comes within an interval, which is a `factor` part
    /// of the patience; the half of what is beyond that is for frames that get lost.
    fn spare(&mut self, application: &ApplicationName, now: Duration, factor: f64) {
        let clock = self.clock(application, now);
        let share = (1.0 + factor) / (2.0 * factor);
        for (_, device) in self.devices.iter_mut().filter(|(key, _)| key.application == *application) {
            device.spared = clock + device.patience.unwrap_or_default().mul_f64(share);
        }
    }
}

impl Device {
    fn patience(&self, key: &DeviceKey, settings: &Settings) -> Option<Duration> {
        let (own, config) = (settings.device(key), settings.availability);
        let fixed = own.and_then(|own| own.offline_after);
        if fixed.is_some() {
            return fixed.filter(|fixed| !fixed.is_zero());
        }
        let said = self.said(own).map(|interval| interval.mul_f64(config.factor).max(config.floor));
        Some(said.unwrap_or_else(|| self.rhythm.patience(&config)))
    }

    /// The interval that somebody says it has.
    fn said(&self, own: Option<&DeviceConfig>) -> Option<Duration> {
        let attribute = || self.attribute.as_ref().and_then(|(_, interval)| *interval);
        own.and_then(|own| own.interval).or_else(attribute)
    }

    fn is_late(&self, clock: Duration) -> bool {
        match (self.patience, self.heard) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(patience), Some(heard)) => clock >= (heard + patience).max(self.spared),
        }
    }

    fn silent(&self, clock: Duration) -> Option<Duration> {
        self.heard.map(|heard| clock.saturating_sub(heard))
    }
}

impl Listening {
    fn clock(&self, now: Duration) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }
}

/// The interval an attribute names, if it does; else that is told.
fn parse(key: &DeviceKey, text: &str) -> Option<Duration> {
    let interval = duration::parse(text).filter(|interval| (INTERVALS.0..=INTERVALS.1).contains(interval));
    if interval.is_none() {
        tracing::warn!(device = %key, text, "Attribute ferry-interval is no interval; write \"10m\" or \"1h 30m\".");
    }
    interval
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
