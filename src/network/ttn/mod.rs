//! The Things Network, and any other Things Stack or MQTT broker that carries its topics.
//!
//! - [`config`]: what the user writes; [`endpoints`]: the addresses that follow from it.
//! - [`topics`]: which subscription, and what a topic says.
//! - [`messages`]: the JSON of every message kind.
//! - [`stream`]: the connection that is read without waiting for anything.
//! - [`rights`]: what a key may do.
//! - [`api`]: the HTTP API; [`downlinks`]: pushes through it.

mod config;
mod endpoints;
pub mod rights;

pub use config::ApplicationConfig;
pub use endpoints::{Endpoints, InvalidEndpoint};
