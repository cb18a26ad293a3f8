//! What the store keeps: plain rows, without a word about how.
//!
//! Every time is kept to the nanosecond: whether a frame is a duplicate hangs on comparing them exactly.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use jiff::Timestamp;

use crate::model::{ApplicationName, DeviceId, DeviceKey, DownlinkId, Gateway, UplinkRecord};

/// A message of the network that waits until the home broker has acknowledged what it became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the order of arrival: higher than that of every entry before it.
    pub seq: u64,
    pub application: ApplicationName,
    pub device: DeviceId,
    pub topic: Bytes,
    pub payload: Bytes,
    /// When it left the socket.
    pub at: Timestamp,
    /// Whether it was fetched from the network's storage instead of heard live.
    pub backfilled: bool,
}

/// Frame counters received without a hole: `first` to `last` of one epoch of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The network's id of the session's keys.
    pub session: String,
    /// How often the counter has started again within the session.
    pub epoch: u32,
    pub first: u32,
    pub last: u32,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    pub received_at: Timestamp,
}

/// A change to the runs of a device. A run is known by its session, epoch and first counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunChange {
    /// Adds the run, or replaces the one with its session, epoch and first counter.
    Put(DeviceKey, Run),
    /// Device, session, epoch and first counter of the run to forget.
    Remove(DeviceKey, String, u32, u32),
}

/// The merged state that the home has of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    pub last_seen: Timestamp,
    /// JSON that the store does not look into.
    pub body: String,
}

/// One downlink, under way or finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownlinkRow {
    pub id: DownlinkId,
    pub key: DeviceKey,
    /// Whether it has not reached its final state yet.
    pub open: bool,
    /// Whether the home has acknowledged its last step.
    pub told: bool,
    pub updated: Timestamp,
    /// JSON that the store does not look into.
    pub body: String,
}

/// What a device used of the fair-use allowance on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    pub key: DeviceKey,
    /// Days since 1970, UTC.
    pub day: i32,
    /// Airtime of its uplinks in milliseconds.
    pub airtime_ms: u32,
    /// Downlinks sent to it, repetitions included.
    pub downlinks: u32,
}

/// A span in which messages may have been missed, and which is not settled yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapRow {
    pub id: u64,
    pub application: ApplicationName,
    /// JSON that the store does not look into.
    pub body: String,
}

/// Something that happened, and was told under a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    pub n: u64,
    pub at: Timestamp,
    /// The device it is about, if it is.
    pub key: Option<DeviceKey>,
    /// What sort of thing it is: `join`, `device_offline` …
    pub kind: String,
    /// JSON that the store does not look into.
    pub body: String,
}

/// Which of what happened is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    /// Only what has a higher number.
    pub after: u64,
    /// Only what has a lower number.
    pub before: Option<u64>,
    /// About this device only.
    pub device: Option<DeviceKey>,
    pub types: Types,
    pub most: usize,
}

/// Sorts of things that happen, by what they are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Types {
    Any,
    Only(&'static [&'static str]),
    Others(&'static [&'static str]),
}

/// A topic on which the home broker keeps something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedRow {
    pub topic: String,
    /// The device it is about; none: the bridge itself.
    pub owner: Option<DeviceKey>,
    /// What it tells, in words that the store does not look into.
    pub kind: String,
}

/// What is in the spool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpoolStats {
    pub entries: u64,
    /// Bytes of topics and payloads. The file holds about a tenth more.
    pub bytes: u64,
    /// When the entry with the lowest seq left the socket.
    pub oldest: Option<Timestamp>,
    /// How many entries each application has; without those that have none.
    pub applications: BTreeMap<ApplicationName, u64>,
}

/// What was deleted from the spool before anyone had it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shed {
    pub entries: u64,
    pub bytes: u64,
    /// When the first and the last of them left the socket, in the order of their seq.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The seq of the last of them.
    pub last: Option<u64>,
    /// How many of each application, and when the first and the last of those left the socket.
    pub applications: BTreeMap<ApplicationName, (u64, Timestamp, Timestamp)>,
}

/// Which downlinks are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownlinkFilter {
    /// Of this device only.
    pub device: Option<DeviceKey>,
    /// Only those that have not reached their final state.
    pub open_only: bool,
    pub most: usize,
}

/// Which uplinks of a device are asked for. Places rise with time: each is a time in milliseconds since 1970, or a little
/// later if another uplink of the device had that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UplinkFilter {
    pub device: DeviceKey,
    /// The first place wanted.
    pub from: i64,
    /// The first place that is not wanted any more.
    pub before: i64,
    pub newest_first: bool,
    pub most: usize,
}

/// Some of the uplinks that were asked for.
#[derive(Debug, Default)]
pub struct UplinkPage {
    /// With the place of each.
    pub uplinks: Vec<(i64, UplinkRecord)>,
    /// Those asked for end before this place, or after it if the newest come first; none: that was all.
    pub next: Option<i64>,
}

/// How a gateway heard one device.
#[derive(Debug, Clone)]
pub struct GatewayRow {
    /// With the best of each figure.
    pub gateway: Gateway,
    pub uplinks: u64,
    pub last_heard: Timestamp,
}

/// Where to go on with looking for the gateways of several devices: with the uplinks of one before some place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayPlace {
    /// Its place among the devices asked for.
    pub device: usize,
    pub before: i64,
    /// Uplinks of it that were looked at already.
    pub looked: usize,
}

/// Gateways that heard devices, as far as some of their uplinks tell.
#[derive(Debug, Default)]
pub struct GatewayPage {
    /// By the device's place among those asked for.
    pub gateways: Vec<(usize, GatewayRow)>,
    /// None: all were looked at.
    pub next: Option<GatewayPlace>,
}

impl GatewayPlace {
    /// All uplinks of a device.
    pub fn of(device: usize) -> Self {
        Self { device, before: i64::MAX, looked: 0 }
    }
}

/// What was there when the store was opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    pub runs: Vec<(DeviceKey, Run)>,
    pub states: Vec<(DeviceKey, StateRow)>,
    /// Those still open, and finished ones whose end the home does not know yet; oldest first.
    pub downlinks: Vec<DownlinkRow>,
    pub usage: Vec<UsageRow>,
    pub gaps: Vec<GapRow>,
    /// What network servers noted of devices, in words that the store does not look into.
    pub notes: Vec<(DeviceKey, String)>,
    /// How often devices report and who is gone, in words that the store does not look into.
    pub availability: HashMap<DeviceKey, String>,
    pub retained: Vec<RetainedRow>,
    /// The number of the last thing that happened.
    pub last_event: u64,
    /// The seq for the next entry: one above the highest in the spool. Those of entries delivered before the restart
    /// are given again, which harms nobody: whoever could still name the old ones ended with the old process.
    pub next_seq: u64,
    pub spool: SpoolStats,
}

impl Entry {
    /// What it adds to [`SpoolStats::bytes`].
    pub fn bytes(&self) -> u64 {
        (self.topic.len() + self.payload.len()) as u64
    }
}

impl EventFilter {
    /// Whether it is asked for, were there no limit.
    pub fn takes(&self, row: &EventRow) -> bool {
        let is_type = match self.types {
            Types::Any => true,
            Types::Only(types) => types.contains(&row.kind.as_str()),
            Types::Others(types) => !types.contains(&row.kind.as_str()),
        };
        let is_between = row.n > self.after && self.before.is_none_or(|before| row.n < before);
        is_type && is_between && (self.device.is_none() || self.device == row.key)
    }
}
