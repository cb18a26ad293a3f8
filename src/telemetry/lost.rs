//! Which frames never came, as it is told: by device, and never more than anybody reads.

use serde::Serialize;

use crate::model::DeviceId;

/// Devices named; the others are counted.
const MOST_DEVICES: usize = 50;
/// Spans of frame counters named for a device; all of them count.
const MOST_SPANS: usize = 20;

/// Frames that never came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct LostFrames {
    pub devices: Vec<DeviceLoss>,
    /// Further devices that miss frames.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_devices: usize,
    /// Frames of all devices, also of those not named.
    #[serde(skip)]
    frames: u64,
    /// The last of those.
    #[serde(skip)]
    beyond: Option<DeviceId>,
}

/// Frames of one device that never came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct DeviceLoss {
    /// Its name at home, or its id if it has none yet.
    pub device: String,
    pub device_id: String,
    /// Frame counters, first and last of each span.
    pub frames: Vec<[u32; 2]>,
    /// Frames in all spans, also in those not named.
    pub count: u64,
}

impl LostFrames {
    /// Notes frames `first` to `last` of a device. Those of one device come one after the other.
    pub fn add(&mut self, device: &str, id: &DeviceId, first: u32, last: u32) {
        let count = u64::from(last.saturating_sub(first)) + 1;
        self.frames += count;
        if self.devices.last().is_none_or(|noted| noted.device_id != id.as_str()) {
            if self.devices.len() == MOST_DEVICES {
                self.more_devices += usize::from(self.beyond.as_ref() != Some(id));
                self.beyond = Some(id.clone());
                return;
            }
            let (device, device_id) = (device.to_owned(), id.to_string());
            self.devices.push(DeviceLoss { device, device_id, frames: Vec::new(), count: 0 });
        }
        if let Some(noted) = self.devices.last_mut() {
            noted.count += count;
            if noted.frames.len() < MOST_SPANS {
                noted.frames.push([first, last]);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Frames of all devices, also of those that are not named.
    pub fn frames(&self) -> u64 {
        self.frames
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_bounded_and_what_is_left_out_is_counted() {
        let mut lost = LostFrames::default();
        for device in 0..MOST_DEVICES + 3 {
            let id = DeviceId::parse(&format!("node-{device}")).unwrap();
            lost.add("a node", &id, 1, 2);
        }
        assert_eq!((lost.devices.len(), lost.more_devices, lost.frames()), (MOST_DEVICES, 3, 106));
        let (mut lost, id) = (LostFrames::default(), DeviceId::parse("node").unwrap());
        for span in 0..MOST_SPANS as u32 + 1 {
            lost.add("kitchen", &id, span * 10, span * 10 + 1);
        }
        assert_eq!((lost.devices[0].frames.len(), lost.frames()), (MOST_SPANS, 42));
    }
}
