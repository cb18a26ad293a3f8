//! The home side: what the home broker sees, and what it asks for.
//!
//! - [`topics`]: the names of everything; [`state`]: the merged state of each device.
//! - [`settings`]: what the configuration says of them, which a reload may change.
//! - [`assistant`]: what Home Assistant is told of the devices.
//! - [`discovery`]: the task that tells it, and when.
//! - [`availability`]: which devices are heard from as often as they usually are.
//! - [`ledger`]: on which topics the broker keeps something, so that none outlives its reason.
//! - [`live`]: who listens here and now gets the same words.
//! - [`broker`]: the task that owns the connection and the outbox, and says `online` and `offline`.
//!
//! [`Home`] is the handle the flows publish through.

pub mod assistant;
mod attributes;
mod availability;
mod broker;
mod config;
pub mod discovery;
mod ledger;
mod link;
pub mod live;
mod measured;
mod publish;
mod settings;
mod state;
#[cfg(test)]
mod state_tests;
mod topics;

use bytes::Bytes;

use crate::mqtt::{Ack, Answering};

pub use attributes::{Attributes, News};
pub use availability::{Availability, Heard};
pub use broker::{Broker, OFFLINE, Wiring};
pub use config::{AvailabilityConfig, DeviceConfig, Discovery, HomeAssistantConfig, HomeConfig, Output, Override};
pub use discovery::AssistantStarts;
pub use ledger::{Changes, Ledger, Noted, Retained};
pub use publish::Home;
pub use settings::{LiveSettings, Options, Settings};
pub use state::{Kept, LONGEST_THROTTLE, States, Told};
pub use topics::{Called, Candidate, InvalidTopics, Route, Topics, Verb};

/// A command as it arrived at home: never a retained one, those are ignored at the door.
#[derive(Debug)]
pub struct HomeCommand {
    /// How its topic can be read, in order of preference.
    pub candidates: Vec<Candidate>,
    pub payload: Bytes,
    /// Told to the broker once the command is stored or answered: until then it sends it again.
    pub ack: Ack,
}

/// A request to the bridge itself.
#[derive(Debug)]
pub struct HomeRequest {
    pub command: String,
    pub payload: Bytes,
    /// Where the answer goes besides `bridge/response/<command>`.
    pub answering: Option<Answering>,
}
