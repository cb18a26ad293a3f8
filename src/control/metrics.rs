//! What `/metrics` shows: read where it is counted, once for each scrape.
//!
//! Without metrics of each device nothing is read that grows with the number of devices, and the list of devices is not
//! locked.

use super::Answers;
use crate::home::live::Newest;
use crate::model::{DeviceKey, Directory, HomeName};
use crate::telemetry::{ApplicationReading, DeviceReading, Scrape};

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
            devices: if self.metrics_per_device { self.device_readings() } else { Vec::new() },
        }
    }

    /// The newest of every device. Both locks are held to copy what is there, not to read it.
    fn device_readings(&self) -> Vec<DeviceReading> {
        let (known, newest) = {
            let directory = Directory::lock(&self.directory);
            let devices = directory.all();
            let newest = self.live.newest_of(devices.iter().map(|device| &device.key));
            let known = devices.iter().map(|device| (device.name.clone(), device.key.clone(), device.last_seen));
            (known.collect::<Vec<_>>(), newest)
        };
        let reading = |((name, key, last_seen), newest): ((HomeName, DeviceKey, _), Newest)| DeviceReading {
            device: name.to_string(),
            application: key.application.to_string(),
            last_seen,
            state: newest.state.and_then(|state| serde_json::from_slice(&state).ok()).unwrap_or_default(),
        };
        known.into_iter().zip(newest).map(reading).collect()
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
