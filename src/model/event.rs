//! What a network server tells besides uplinks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{DeviceKey, DownlinkId, EndDeviceIds, Uplink, VersionIds};

/// One message of a network server, parsed.
#[derive(Debug)]
pub enum NetworkMessage {
    Uplink(Box<Uplink>),
    Join(Join),
    Downlink(DownlinkEvent),
    Location(Location),
    Service(ServiceData),
    /// A kind that is understood and deliberately not used; says which.
    Ignored(&'static str),
}

/// A device joined: it has a new session, and downlinks can reach it.
#[derive(Debug)]
pub struct Join {
    pub key: DeviceKey,
    pub ids: EndDeviceIds,
    pub session_key_id: Option<String>,
    pub at: Timestamp,
}

/// A step in the life of a downlink, as the network saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct DownlinkEvent {
    pub key: DeviceKey,
    /// Ours if the downlink was ours, found among its correlation ids. Others may push downlinks too.
    pub id: Option<DownlinkId>,
    pub happening: DownlinkHappening,
    pub at: Timestamp,
}

/// What happened to a downlink at the network.
#[derive(Debug, Clone, PartialEq)]
pub enum DownlinkHappening {
    /// In the network's queue.
    Queued,
    /// A gateway took it for transmission; nothing is known of its reception.
    Sent { f_cnt: Option<u32> },
    /// The device acknowledged it.
    Acked,
    /// The device's next uplink came without an acknowledgement. The network itself tries again.
    Nacked { attempt: Option<u32> },
    /// The device's next uplink came without an acknowledgement, and the network leaves it at that.
    NotRepeated,
    /// Not in the network's queue, or no more, for a reason that passes: it may be pushed again.
    Dropped(Failure),
    /// Out of the network's queue, for this reason.
    Failed(Failure),
    /// The network gave it back unsent: it surely does not have it any more.
    GivenBack,
}

/// Why a network refused or dropped a downlink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The network's name for it: `application_downlink_too_long`, `max_retries_reached` …
    pub name: String,
    /// A sentence for people.
    pub message: String,
}

/// A device as the network's registry lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredDevice {
    pub key: DeviceKey,
    pub ids: EndDeviceIds,
    pub attributes: BTreeMap<String, String>,
    pub version_ids: Option<VersionIds>,
}

/// A position that the network or one of its services solved.
#[derive(Debug)]
pub struct Location {
    pub key: DeviceKey,
    pub service: String,
    pub location: Box<RawValue>,
    pub at: Timestamp,
}

/// What an application package of the network says about a device.
#[derive(Debug)]
pub struct ServiceData {
    pub key: DeviceKey,
    pub service: String,
    pub data: Box<RawValue>,
    pub at: Timestamp,
}
