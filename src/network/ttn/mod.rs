//! The Things Network, and any other Things Stack or MQTT broker that carries its topics.
//!
//! - [`config`]: what the user writes; [`endpoints`]: the addresses that follow from it.
//! - [`topics`]: which subscription, and what a topic says.
//! - [`messages`]: the JSON of every message kind.
//! - [`stream`]: the connection that is read without waiting for anything.
//! - [`end_to_end`]: payloads that only the device and we can read.
//! - [`api`]: the HTTP API; [`downlinks`]: pushes through it; [`history`]: what was missed;
//!   [`formatters`]: what the network itself makes of payloads.

mod api;
mod config;
mod downlinks;
mod end_to_end;
mod endpoints;
mod formatters;
mod health;
mod history;
mod json;
mod messages;
mod parts;
mod pulse;
mod refusal;
mod registry;
pub mod rights;
mod server;
mod stream;
mod topics;

pub use api::{Api, ApiError, KeyInfo, ListedDevice};
pub use config::{ApplicationConfig, KekConfig};
pub use downlinks::Downlinks;
pub use end_to_end::{InvalidKey, check_app_s_key, check_kek, resumed as resumed_note};
pub use endpoints::{Endpoints, InvalidEndpoint};
pub use messages::parse as parse_message;
pub use parts::{EncryptedDevices, Parts, PartsError, parts};
pub use refusal::{RateLimit, Refusal};

#[cfg(test)]
mod formatters_tests;
#[cfg(test)]
mod lookalike_tests;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod wire_tests;
