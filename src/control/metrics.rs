//! What `/metrics` shows: read where it is counted, once for each scrape.
//!
//! Without metrics of each device nothing is read that grows with the number of devices, and the list of devices is not
//! locked.

use crate::telemetry::{ApplicationReading, Scrape};

use super::Answers;

impl Answers {
    /// How everything stands now, for Prometheus.
    pub fn scrape(&self) -> Scrape {
        Scrape {
            version: env!("CARGO_PKG_VERSION"),
            counters: self.counters.clone(),
            applications: self.servers.iter().map(|server| reading(server.as_ref())).collect(),
            home_connected: *self.home_connected.borrow(),
            open_downlinks: self.open_downlinks.count(),
            store_failing: self.store.is_failing().is_some(),
            uptime: self.started.elapsed(),
            devices: Vec::new(),
        }
    }
}

fn reading(server: &dyn crate::network::NetworkServer) -> ApplicationReading {
    let health = server.health();
    ApplicationReading {
        name: server.name().to_string(),
        connected: health.connected,
        last_message: health.last_message,
        dropped: health.dropped,
        degraded: health.degraded.len(),
    }
}
