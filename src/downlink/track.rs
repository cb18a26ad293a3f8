//! Last step: what the network tells of downlinks goes into the queue, and every step comes out at home.

use std::sync::Mutex;

use super::queue::Event;
use crate::home::Home;
use crate::model::{DeviceKey, Directory, DownlinkEvent, DownlinkHappening, HomeName, Receipt, Step, Subject};
use crate::network::Tracked;

/// What the queue makes of it; nothing if it is a step of somebody else's downlink that means nothing to us.
pub fn event(tracked: Tracked) -> Option<Event> {
    match tracked {
        Tracked::Event(DownlinkEvent { key, id: Some(id), happening, at }) => {
            Some(Event::Heard { key, id, happening, at })
        }
        Tracked::Event(DownlinkEvent { key, id: None, happening: DownlinkHappening::Sent { .. }, at }) => {
            Some(Event::Transmitted { key, at })
        }
        Tracked::Event(DownlinkEvent { id: None, .. }) => None,
        Tracked::Alive { key, airtime } => Some(Event::Alive(key, airtime)),
        Tracked::Blind { application, since: _ } => Some(Event::Blind(application)),
    }
}

/// Publishes a step under the device's name at home. `number` counts the steps of an accepted downlink.
pub async fn publish(home: &Home, directory: &Mutex<Directory>, key: &DeviceKey, step: &Step, number: Option<u32>) {
    tracing::info!(device = %key, id = %step.id, state = ?step.state, reason = step.reason, "Downlink moved on.");
    let receipt = number.map(|number| Receipt::Step(step.id.clone(), number));
    match name(directory, key) {
        Some(name) => home.downlink_state(Subject { key, name: &name }, step, receipt).await,
        None => tracing::warn!(device = %key, id = %step.id, "Device has no name that can be published under."),
    }
}

/// A device that never sent is not in the directory yet: it goes by its id, as it will then.
pub fn name(directory: &Mutex<Directory>, key: &DeviceKey) -> Option<HomeName> {
    let directory = Directory::lock(directory);
    let known = directory.find(key).map(|device| device.name.clone());
    known.or_else(|| HomeName::parse(key.device.as_str()).ok()).or_else(|| HomeName::parse(&key.to_string()).ok())
}
