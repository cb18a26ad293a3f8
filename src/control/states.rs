//! The newest of each device: what a page shows first.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Answers;
use crate::home::live::Newest;
use crate::model::{ApplicationName, Device, DeviceId, Directory, HomeName};

/// The last word on one device. What nothing was told of yet is `null`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeviceState {
    device: HomeName,
    application: ApplicationName,
    device_id: DeviceId,
    /// The merged state: the same as on `<device>`.
    state: Option<Box<RawValue>>,
    /// The same as on `<device>/availability`.
    availability: Option<Box<RawValue>>,
    /// The same as on `<device>/downlink/pending`.
    pending: Option<Box<RawValue>>,
}

impl Answers {
    /// The newest state, availability and pending downlinks of every device, in the order of their names.
    pub fn states(&self) -> Vec<DeviceState> {
        let directory = Directory::lock(&self.directory);
        let devices = directory.all();
        let newest = self.live.newest_of(devices.iter().map(|device| &device.key));
        let all = devices.into_iter().zip(newest);
        let shown = |(device, Newest { state, availability, pending, .. }): (&Device, _)| DeviceState {
            device: device.name.clone(),
            application: device.key.application.clone(),
            device_id: device.key.device.clone(),
            state: raw(state),
            availability: raw(availability),
            pending: raw(pending),
        };
        all.map(shown).collect()
    }
}

fn raw(told: Option<Bytes>) -> Option<Box<RawValue>> {
    told.map(|told| serde_json::from_slice(&told).expect("it was made by our own types"))
}
