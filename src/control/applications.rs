//! The applications, and how each fares.

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::Answers;
use crate::model::{ApplicationName, Directory};
use crate::network::{NetworkHealth, NetworkServer};
use crate::telemetry::Count;

/// All applications, in the order of the configuration.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Applications {
    applications: Vec<Application>,
    /// The network's messages, of all applications, on disk until the home broker acknowledged what became of them.
    backlog: u64,
}

/// One application.
#[derive(Debug, Serialize, JsonSchema)]
struct Application {
    name: ApplicationName,
    #[serde(flatten)]
    health: NetworkHealth,
    /// Since the start; duplicates are not counted.
    uplinks: u64,
    /// Its messages on disk until the home broker acknowledges what became of them.
    backlog: u64,
    /// Spans in which messages may have gone by unheard, and that are being repaired.
    gaps_open: usize,
    /// Devices that are known.
    devices: usize,
}

impl Answers {
    /// The applications: connection, what waits, gaps.
    pub fn applications(&self) -> Applications {
        let uplinks: HashMap<_, _> = self.counters.of_each(Count::Uplink).collect();
        let mut devices = HashMap::new();
        for device in Directory::lock(&self.directory).all() {
            *devices.entry(device.key.application.clone()).or_default() += 1;
        }
        let show = |server: &Arc<dyn NetworkServer>| Application {
            name: server.name().clone(),
            health: server.health(),
            uplinks: uplinks.get(server.name().as_str()).copied().unwrap_or_default(),
            backlog: self.counters.spooled_of(server.name()),
            gaps_open: self.gaps.open(server.name()),
            devices: devices.remove(server.name()).unwrap_or_default(),
        };
        Applications {
            applications: self.servers.iter().map(show).collect(),
            backlog: self.counters.snapshot().spooled,
        }
    }
}
