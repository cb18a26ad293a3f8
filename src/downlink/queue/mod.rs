//! The queue of downlinks: what may be asked of it, what it asks for, and how much it holds.
//!
//! - [`machine`]: the decisions, drawn there; pure.
//! - `lane`: what waits for one device, in its order; `item`: one downlink and the steps shown of it.
//!
//! It lives in memory and is bounded: what does not fit is refused with the reason.

mod answers;
#[cfg(test)]
mod cases;
mod item;
mod lane;
mod machine;
#[cfg(test)]
mod properties;
mod reports;
mod wait;

use jiff::Timestamp;
use serde::Serialize;

pub use machine::Machine;

use crate::model::{DeviceKey, DownlinkHappening, DownlinkId, QueuedDownlink, State, Step};
use crate::network::PushError;

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
    /// The device joined or sent an uplink: it has a session, and the network had an occasion to send.
    Alive(DeviceKey),
    /// The time of [`Machine::next_deadline`] came.
    Tick,
    /// The process ends: no more requests, and what was not handed over is given back to the home.
    Stop,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Show this step at home.
    Publish(DeviceKey, Step),
    /// Ask the network. One request at a time for each application.
    Ask(Request),
}

/// A question to the network about one device.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Push(QueuedDownlink),
    /// Which of our downlinks wait in its queue?
    Look(DeviceKey),
    /// Take these out of its queue, if that harms nothing else.
    Withdraw(DeviceKey, Vec<DownlinkId>),
}

/// How a [`Request`] ended.
#[derive(Debug)]
pub enum Answer {
    Pushed(DeviceKey, DownlinkId, Result<(), PushError>),
    Looked(DeviceKey, Result<Vec<DownlinkId>, PushError>),
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

impl Request {
    pub fn key(&self) -> &DeviceKey {
        match self {
            Self::Push(downlink) => &downlink.key,
            Self::Look(key) | Self::Withdraw(key, _) => key,
        }
    }
}

impl Answer {
    pub fn key(&self) -> &DeviceKey {
        match self {
            Self::Pushed(key, ..) | Self::Looked(key, _) | Self::Withdrawn(key, ..) => key,
        }
    }
}
