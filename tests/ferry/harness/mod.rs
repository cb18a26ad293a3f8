//! A bridge on a stage: a look-alike of The Things Stack before it, a home broker behind it, and the real `App`, or the
//! real binary, between them.
//!
//! Tests wait for what they expect, never for time to pass; what does not come within [`PATIENCE`] fails the test with
//! everything seen until then.

mod client;
mod doors;
mod ferry;
mod home;
mod mosquitto;
mod network;
mod process;
mod stage;

use std::future::Future;
use std::time::Duration;

pub use client::ask;
pub use doors::{Doors, password};
pub use ferry::Ferry;
pub use home::{Heard, Home};
pub use mosquitto::Mosquitto;
pub use network::{Network, fixtures, uplink};
pub use process::Process;
pub use stage::{Setup, Stage};

/// Far more than anything here takes, on the slowest machine; only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The application of the captured messages.
pub const APP: &str = "app1";

/// Waits for something, but not for ever.
pub async fn in_time<T>(what: &str, wanted: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wanted).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
