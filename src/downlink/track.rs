//! Last step: what the network tells of downlinks goes into the queue, and every step comes out at home.

use std::sync::Mutex;

use super::queue::Event;
use crate::home::Home;
use crate::model::{DeviceKey, Directory, DownlinkEvent, HomeName, Step};
use crate::network::Tracked;

/// What the queue makes of it; nothing if the downlink is somebody else's.
pub fn event(tracked: Tracked) -> Option<Event> {
    match tracked {
        Tracked::Event(DownlinkEvent { key, id: Some(id), happening, at }) => {
            Some(Event::Heard { key, id, happening, at })
        }
        Tracked::Event(DownlinkEvent { id: None, .. }) => None,
        Tracked::Alive { key, airtime: _ } => Some(Event::Alive(key)),
        Tracked::Blind { .. } => None,
    }
}

/// Publishes a step under the device's name at home.
pub async fn publish(home: &Home, directory: &Mutex<Directory>, key: &DeviceKey, step: &Step) {
    tracing::info!(device = %key, id = %step.id, state = ?step.state, reason = step.reason, "Downlink moved on.");
    match name(directory, key) {
        Some(name) => home.downlink_state(&name, step).await,
        None => tracing::warn!(device = %key, id = %step.id, "Device has no name that can be published under."),
    }
}

/// A device that never sent is not in the directory yet: it goes by its id, as it will then.
fn name(directory: &Mutex<Directory>, key: &DeviceKey) -> Option<HomeName> {
    let directory = Directory::lock(directory);
    let known = directory.find(key).map(|device| device.name.clone());
    known.or_else(|| HomeName::parse(key.device.as_str()).ok()).or_else(|| HomeName::parse(&key.to_string()).ok())
}
