//! The nouns everyone shares. No I/O, no clock, no task: time comes in as an argument.

mod delivery;
mod device;
mod downlink;
pub(crate) mod duration;
mod event;
mod ids;
mod nearest;
mod notes;
mod record;
mod shape;
mod subject;
mod uplink;

pub use delivery::Receipt;
pub use device::{CodecChoice, Device, Directory, Renamed, Taken};
pub use downlink::{
    Command, DownlinkId, DownlinkRequest, FPort, InvalidDownlink, MAX_PAYLOAD, Payload, Priority, QueuedDownlink,
    State, Step,
};
pub use event::{
    DownlinkEvent, DownlinkHappening, Failure, Join, Location, NetworkMessage, RegisteredDevice, ServiceData,
};
pub use ids::{ApplicationName, DeviceId, DeviceKey, HomeName, InvalidName, ttn_id};
pub use nearest::{did_you_mean, nearest, unknown_key};
pub use notes::{DeviceNotes, Kept};
pub use record::{UplinkBody, UplinkRecord};
pub use shape::{Shape, ValueKind, extend_shape, extend_shape_by};
pub use subject::Subject;
pub use uplink::{DataRate, EndDeviceIds, Gateway, Radio, Uplink, VersionIds};
