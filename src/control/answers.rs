//! What the bridge knows about itself, one function per question.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use payload_codecs::metadata::Field;
use payload_codecs::normalized;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;

use super::{InUse, Told};
use crate::home::live::Live;
use crate::model::{ApplicationName, CodecChoice, Device, DeviceId, Directory, EndDeviceIds, HomeName, VersionIds};
use crate::network::{NetworkHealth, NetworkServer};
use crate::store::Store;
use crate::telemetry::{Counters, Snapshot, memory_bytes};

/// Everything an answer is made from.
pub struct Answers {
    pub servers: Vec<Arc<dyn NetworkServer>>,
    pub directory: Arc<Mutex<Directory>>,
    pub counters: Counters,
    pub live: Live,
    pub open_downlinks: crate::downlink::OpenDownlinks,
    pub downlinks: super::Downlinks,
    pub backfill: super::Backfill,
    pub gaps: super::Gaps,
    pub events: super::Events,
    pub history: super::History,
    pub codecs: super::Codecs,
    pub log: super::Log,
    pub backups: super::Backups,
    pub device_changes: super::Devices,
    pub configuring: super::Configuration,
    pub in_use: watch::Receiver<InUse>,
    pub home_connected: watch::Receiver<bool>,
    pub store: Store,
    /// Whether `/metrics` tells of each device.
    pub metrics_per_device: bool,
    pub started: Instant,
}

/// `bridge/info`.
#[derive(Serialize, JsonSchema)]
pub struct Info {
    version: &'static str,
    #[serde(flatten)]
    in_use: InUse,
    applications: Vec<ApplicationHealth>,
    counters: Snapshot,
}

/// `bridge/health`.
#[derive(Serialize, JsonSchema)]
pub struct Health {
    applications: Vec<ApplicationHealth>,
    /// Uplinks on disk until the home broker acknowledged them.
    spool: u64,
    spool_bytes: u64,
    /// Open downlinks.
    queue: usize,
    counters: Snapshot,
    /// Of this process; `null` if the system does not tell.
    memory_bytes: Option<u64>,
    uptime_s: u64,
    home_connected: bool,
    /// Why nothing can be stored at the moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    store_failing: Option<String>,
}

/// One application's connection to its network.
#[derive(Serialize, JsonSchema)]
struct ApplicationHealth {
    name: ApplicationName,
    #[serde(flatten)]
    health: NetworkHealth,
}

/// One entry of `bridge/devices`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Device")]
pub struct DeviceAnswer<'a> {
    pub name: &'a HomeName,
    application: &'a ApplicationName,
    device_id: &'a DeviceId,
    #[serde(flatten)]
    ids: &'a EndDeviceIds,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_ids: &'a Option<VersionIds>,
    /// `null` until it was heard of since the start.
    codec: &'a Option<CodecChoice>,
    /// What its decoded data has.
    fields: Vec<Cow<'a, Field>>,
    /// What it can be told.
    commands: &'a [payload_codecs::metadata::Command],
    last_seen: Option<jiff::Timestamp>,
    /// `online` or `offline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    availability: Option<&'static str>,
    /// How often it usually reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_s: Option<u64>,
}

impl Answers {
    /// `bridge/info`.
    pub fn info(&self) -> Info {
        Info {
            version: env!("CARGO_PKG_VERSION"),
            in_use: self.in_use.borrow().clone(),
            applications: self.connections(),
            counters: self.counters.snapshot(),
        }
    }

    /// `bridge/devices`.
    pub fn devices(&self) -> Told<[DeviceAnswer<'static>]> {
        let directory = Directory::lock(&self.directory);
        let all = directory.all().into_iter();
        Told::new(&all.map(|device| describe(device, directory.measured(&device.key))).collect::<Vec<_>>())
    }

    /// `bridge/health`.
    pub fn health(&self) -> Health {
        let counters = self.counters.snapshot();
        Health {
            applications: self.connections(),
            spool: counters.spooled,
            spool_bytes: counters.spooled_bytes,
            queue: self.open_downlinks.count(),
            counters,
            memory_bytes: memory_bytes(),
            uptime_s: self.started.elapsed().as_secs(),
            home_connected: *self.home_connected.borrow(),
            store_failing: self.store.is_failing(),
        }
    }

    /// One line for the service manager.
    pub fn status_line(&self) -> String {
        let connected = self.servers.iter().filter(|server| server.health().connected).count();
        let counters = self.counters.snapshot();
        format!(
            "{connected} of {} applications connected, {} uplinks, {} waiting for the home broker",
            self.servers.len(),
            counters.uplinks,
            counters.spooled.max(counters.waiting_at_home)
        )
    }

    fn connections(&self) -> Vec<ApplicationHealth> {
        let health = |server: &Arc<dyn NetworkServer>| ApplicationHealth {
            name: server.name().clone(),
            health: server.health(),
        };
        self.servers.iter().map(health).collect()
    }
}

/// What is told of one device.
pub fn describe<'a>(device: &'a Device, measured: impl Iterator<Item = &'static str>) -> DeviceAnswer<'a> {
    let codec = device.codec.as_ref();
    DeviceAnswer {
        name: &device.name,
        application: &device.key.application,
        device_id: &device.key.device,
        ids: &device.ids,
        version_ids: &device.version_ids,
        codec: &device.codec,
        fields: fields(codec.map_or(&[], |codec| &codec.fields), measured),
        commands: codec.map_or(&[], |codec| &codec.commands),
        last_seen: device.last_seen,
        availability: device.online.map(|online| if online { "online" } else { "offline" }),
        interval_s: device.interval.map(|interval| interval.as_secs()),
    }
}

/// The codec's own fields, and normalised ones for what was measured and none of them shows.
fn fields<'a>(own: &'a [Field], measured: impl Iterator<Item = &'static str>) -> Vec<Cow<'a, Field>> {
    let unshown = measured.filter_map(normalized::find).filter(|quantity| !own.iter().any(|f| quantity.is_shown_by(f)));
    let mut fields: Vec<_> = own.iter().map(Cow::Borrowed).collect();
    fields.extend(unshown.filter_map(normalized::Quantity::field).map(Cow::Owned));
    // Latitude and longitude are one.
    fields.dedup_by(|a, b| a.name == b.name);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_and_not_shown_by_a_codecs_field_is_a_field_of_its_own() {
        let own = &payload_codecs::devices::find("mbed/led-and-sensors").expect("it is shipped").fields;
        let measured = ["air.temperature", "position.latitude", "position.longitude", "soil.n", "time"];
        let fields = fields(own, measured.into_iter());
        let added: Vec<_> = fields[own.len()..].iter().map(|field| field.name.as_str()).collect();
        assert_eq!(added, ["normalized.position", "normalized.soil.n"], "the air's temperature is its own");
    }
}
