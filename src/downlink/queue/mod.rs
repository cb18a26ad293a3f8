//! The queue of downlinks: what may be asked of it, what it asks for, and how much it holds.
//!
//! - [`machine`]: the decisions, drawn there; pure.
//! - `lane`: what waits for one device, in its order; `item`: one downlink and the steps shown of it.
//! - `doubt`: what is done about one of which nobody knows where it is; `fair_use`: what a device used of its day.
//!
//! It is bounded: what does not fit is refused with the reason. What changed is taken out of it with
//! [`Machine::take_changes`] and stored before anything is done about it; [`Machine::restore`] goes on from there.

mod answers;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod cases_at_once;
#[cfg(test)]
mod cases_given_back;
#[cfg(test)]
mod cases_kept;
mod doubt;
mod fair_use;
mod item;
mod lane;
mod machine;
#[cfg(test)]
mod properties;
mod reports;
mod wait;
#[cfg(test)]
mod world;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

pub use fair_use::{Allowance, Exceeded, Policy, Usage};
pub use item::Item;
pub use machine::Machine;

use crate::model::{ApplicationName, DeviceKey, DownlinkHappening, DownlinkId, QueuedDownlink, State, Step};
use crate::network::{Budget, DownlinkHistory, PushError};

/// How much the queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most downlinks of one device in the network's own queue, at least 1. Few, so that expiry, order and cancelling
    /// stay here.
    pub in_network: usize,
    /// Most open downlinks of one device.
    pub per_device: usize,
    /// Most open downlinks of all devices together.
    pub total: usize,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The home wants this sent.
    Accept(QueuedDownlink),
    /// The home wants these sent instead of what waits for the device.
    Replace(DeviceKey, Vec<QueuedDownlink>),
    /// The home wants one downlink stopped.
    Cancel(DeviceKey, DownlinkId),
    /// The home wants everything stopped that waits for the device.
    Clear(DeviceKey),
    /// A [`Request`] ended.
    Answered(Answer),
    /// The network told of one of our downlinks; `at` by the network's clock.
    Heard { key: DeviceKey, id: DownlinkId, happening: DownlinkHappening, at: Timestamp },
    /// Somebody else's downlink was transmitted.
    Transmitted { key: DeviceKey, at: Timestamp },
    /// The device joined, or sent an uplink that was so long on air: it has a session, and the network had an occasion to
    /// send.
    Alive(DeviceKey, Duration),
    /// Reports of this application may have gone by unheard, and are heard again now.
    Blind(ApplicationName),
    /// The home has this step.
    Told(DownlinkId, u32),
    /// The time of [`Machine::next_deadline`] came.
    Tick,
    /// The process ends: no more requests. What is open stays in the store.
    Stop,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Show this step at home. Its number is there if it is a step of an accepted downlink.
    Publish(DeviceKey, Step, Option<u32>),
    /// Tell that a device used up its day.
    Warn(DeviceKey, Exceeded, Usage),
    /// Ask the network. One request at a time for each device, and of each application one that changes something.
    Ask(Request),
}

/// A question to the network about one device.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Push(QueuedDownlink),
    Look(Lookup),
    /// Take these out of its queue, if that harms nothing else.
    Withdraw(DeviceKey, Vec<DownlinkId>),
}

/// Which of our downlinks wait in the device's queue, and what became of the others?
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    pub key: DeviceKey,
    pub ids: Vec<DownlinkId>,
    /// How far back the history is asked for those that do not wait there.
    pub since: Option<Timestamp>,
    /// It was tried often enough: what the queue tells counts, even if the history does not answer.
    pub without_history: bool,
}

/// What a look-up brought.
#[derive(Debug, Default)]
pub struct Sighting {
    pub waiting: Vec<DownlinkId>,
    /// Read after the queue: what left it in between is in here.
    pub history: DownlinkHistory,
    /// The history did not answer, and was not insisted on.
    pub history_silent: bool,
    /// The stream of reports was up, so far as is known.
    pub connected: bool,
}

/// How a [`Request`] ended.
#[derive(Debug)]
pub enum Answer {
    Pushed(DeviceKey, DownlinkId, Result<Budget, PushError>),
    /// Nothing was sent, because the store could not write down that it would be: why.
    Unstored(DeviceKey, DownlinkId, String),
    Looked(DeviceKey, Result<Sighting, PushError>),
    /// With the ids that were really taken out.
    Withdrawn(DeviceKey, Vec<DownlinkId>, Result<Vec<DownlinkId>, PushError>),
}

/// One downlink that has not reached its end, for people and programs that ask.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpenDownlink {
    pub id: DownlinkId,
    pub state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub confirmed: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_network: 2, per_device: 100, total: 10_000 }
    }
}

impl Event {
    /// The one device it is about, if time and the other devices' requests have no part in it.
    fn device(&self) -> Option<&DeviceKey> {
        match self {
            Self::Accept(downlink) => Some(&downlink.key),
            Self::Replace(key, _) | Self::Cancel(key, _) | Self::Clear(key) => Some(key),
            Self::Heard { key, .. } | Self::Transmitted { key, .. } | Self::Alive(key, _) => Some(key),
            Self::Answered(_) | Self::Blind(_) | Self::Told(..) | Self::Tick | Self::Stop => None,
        }
    }
}

impl Request {
    pub fn key(&self) -> &DeviceKey {
        match self {
            Self::Push(downlink) => &downlink.key,
            Self::Look(lookup) => &lookup.key,
            Self::Withdraw(key, _) => key,
        }
    }
}

impl Answer {
    pub fn key(&self) -> &DeviceKey {
        match self {
            Self::Pushed(key, ..) | Self::Unstored(key, ..) | Self::Looked(key, _) | Self::Withdrawn(key, ..) => key,
        }
    }
}
