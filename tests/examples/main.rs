//! Runs what `examples/` shows: the commands as their READMEs have them, between simulated nodes and a home broker.
//!
//! What needs Python or Node is skipped, and says so, where `scripts/example-tools` could not provide it.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../ferry/harness/process.rs"]
#[allow(dead_code, reason = "the whole-bridge tests use more of it")]
mod process;

mod arrival;
mod demo;
mod folder;
mod home_assistant;
mod living_room;
mod mosquitto;
mod mqttjs;
mod node_red;
mod paho;
mod runtime;
mod scene;
mod thermostat;
mod two_applications;

use std::future::Future;
use std::time::Duration;

/// Far more than anything here takes, on the slowest machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something, but not for ever.
async fn in_time<T>(what: &str, wanted: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wanted).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
