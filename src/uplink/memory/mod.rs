//! Which uplinks were received: runs of frame counters, so that a copy is known as one and a hole as one.
//!
//! A frame counter belongs to a session. Within a session it rises; a device that lost its memory and keeps its session
//! (ABP) begins again, which opens a new *epoch* of that session. What was received of an epoch is kept as runs: counters
//! without a hole, and the times of their first and last frame.
//!
//! ```text
//! session s, epoch 0   [0 … 41]   [44 … 60]      42 and 43 are missing
//! session s, epoch 1   [0 … 7]                   the device began again
//! session t, epoch 0   [1 … 3]                   it joined
//! ```
//!
//! A frame lies inside a run if its counter and its time do: then it is a copy. Otherwise it goes to the epoch in which its
//! counter and its time fit between their neighbours, the nearest in time if there are several, or opens a new one. Only
//! the network's own times count, so that nothing here depends on this machine's clock.
//!
//! Pure: changes come out as [`RunChange`]s, in the order in which they are to be stored.

mod device;
#[cfg(test)]
mod properties;

use std::collections::HashMap;

use jiff::Timestamp;

use crate::model::{ApplicationName, DeviceKey, Uplink};
use crate::network::{MissingFrames, Span};
use crate::store::{Run, RunChange};

use device::{Device, Frame};

/// Remembers what was received of every device.
#[derive(Debug, Default)]
pub struct Memory {
    devices: HashMap<DeviceKey, Device>,
    heard: HashMap<ApplicationName, Timestamp>,
}

/// What the memory says of an uplink, and how it changed.
#[derive(Debug)]
pub struct Noted {
    pub what: What,
    pub changes: Vec<RunChange>,
}

/// Whether an uplink was received before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was not. So many frames right before it are missing, if it is the newest of its epoch.
    New { missing_before: u32 },
    /// It was.
    Duplicate,
}

/// What is known of an uplink that was received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// Its session's counter had begun again: its counter alone does not tell it from all others.
    pub began_again: bool,
    /// Frames right before it that are still missing.
    pub missing_before: u32,
}

impl Memory {
    /// What was stored before the bridge started.
    pub fn restore(runs: Vec<(DeviceKey, Run)>) -> Self {
        let mut memory = Self::default();
        for (key, run) in runs {
            memory.hear(&key.application, run.received_at);
            memory.devices.entry(key).or_default().restore(run);
        }
        memory.devices.values_mut().for_each(Device::restored);
        memory
    }

    /// Compares an uplink with what was received, and remembers it.
    pub fn note(&mut self, uplink: &Uplink) -> Noted {
        self.hear(&uplink.key.application, uplink.received_at);
        let device = match self.devices.get_mut(&uplink.key) {
            Some(device) => device,
            None => self.devices.entry(uplink.key.clone()).or_default(),
        };
        let mut changes = Vec::new();
        let what = device.note(&uplink.key, &Frame::of(uplink), &mut changes);
        Noted { what, changes }
    }

    /// What is known of an uplink that was noted before.
    pub fn look(&self, uplink: &Uplink) -> Known {
        self.devices.get(&uplink.key).map(|device| device.look(&Frame::of(uplink))).unwrap_or_default()
    }

    /// When the network had the last frame before the hole that lies before this uplink, which was noted before.
    pub fn hole_begins(&self, uplink: &Uplink) -> Option<Timestamp> {
        self.devices.get(&uplink.key)?.hole_begins(&Frame::of(uplink))
    }

    /// The holes between neighbouring runs of an application's devices that may fall into that span.
    pub fn missing(&self, application: &ApplicationName, span: Span) -> Vec<MissingFrames> {
        let of_it = self.devices.iter().filter(|(key, _)| key.application == *application);
        let mut missing: Vec<_> = of_it.flat_map(|(key, device)| device.missing(key, span)).collect();
        missing.sort_by(|a, b| (&a.key, a.after, a.first).cmp(&(&b.key, b.after, b.first)));
        missing
    }

    /// When the network had the newest uplink that was received of this application.
    pub fn heard_until(&self, application: &ApplicationName) -> Option<Timestamp> {
        self.heard.get(application).copied()
    }

    /// When the network had the newest uplink that was received of this device.
    pub fn device_heard_until(&self, key: &DeviceKey) -> Option<Timestamp> {
        self.devices.get(key)?.heard_until()
    }

    /// Frames of this device that never came, so far as is remembered: one that is fetched later is missing no more.
    pub fn lost(&self, key: &DeviceKey) -> u64 {
        self.devices.get(key).map_or(0, Device::lost)
    }

    fn hear(&mut self, application: &ApplicationName, at: Timestamp) {
        match self.heard.get_mut(application) {
            Some(heard) => *heard = at.max(*heard),
            None => drop(self.heard.insert(application.clone(), at)),
        }
    }
}
