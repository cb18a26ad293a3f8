//! The first step: which device is it, and what is it called at home?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use crate::home::Home;
use crate::model::{ApplicationName, DeviceKey, Directory, HomeName, Join, Location, ServiceData, Uplink};
use crate::network::Arrival;
use crate::telemetry::{Notice, Notices};

/// The attribute of a device, set in the network's console, that names it at home.
const NAME_ATTRIBUTE: &str = "ferry-name";

/// Knows the devices; introduces those seen first.
pub struct Receive {
    pub directory: Arc<Mutex<Directory>>,
    pub home: Home,
    pub notices: Notices,
    /// Rung when the list of devices changed.
    pub devices_changed: Arc<tokio::sync::Notify>,
}

impl Receive {
    /// Notes whom an arrival is from. Uplinks go on; everything else is told at home right here.
    pub async fn take(&self, arrival: Arrival) -> Option<(Box<Uplink>, HomeName)> {
        match arrival {
            Arrival::Uplink(uplink) => {
                let name = self.meet(&uplink);
                return Some((uplink, name));
            }
            Arrival::Join(join) => self.join(join).await,
            Arrival::Location(location) => self.location(location).await,
            Arrival::Service(data) => self.service(data).await,
        }
        None
    }

    /// The home name of a device that has been met.
    pub fn name_of(&self, key: &DeviceKey) -> HomeName {
        self.introduce(key, None)
    }

    fn meet(&self, uplink: &Uplink) -> HomeName {
        let name = self.introduce(&uplink.key, uplink.attributes.get(NAME_ATTRIBUTE).map(String::as_str));
        let mut directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = directory.find_mut(&uplink.key) {
            device.last_seen = device.last_seen.max(Some(uplink.at));
            if device.ids != uplink.ids {
                device.ids.clone_from(&uplink.ids);
            }
            if uplink.version_ids.is_some() && device.version_ids != uplink.version_ids {
                device.version_ids.clone_from(&uplink.version_ids);
            }
        }
        name
    }

    /// The device's name; a device nobody has met gets one: its attribute's if that is a name, else its id.
    fn introduce(&self, key: &DeviceKey, attribute: Option<&str>) -> HomeName {
        let mut directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = directory.find(key) {
            return device.name.clone();
        }
        let wanted = attribute.and_then(|name| HomeName::parse(name).ok()).unwrap_or_else(|| name_from_id(key));
        let (device, taken) = directory.add(key.clone(), wanted);
        let name = device.name.clone();
        if let Some(taken) = taken {
            self.notices.tell(Notice::NameTaken {
                wanted: taken.name,
                device: name.clone(),
                key: key.to_string(),
                holder: taken.holder.to_string(),
            });
        }
        self.notices.tell(Notice::DeviceSeenFirst {
            device: name.clone(),
            application: key.application.clone(),
            device_id: key.device.to_string(),
        });
        self.devices_changed.notify_one();
        name
    }

    async fn join(&self, join: Join) {
        let name = self.introduce(&join.key, None);
        let body = json!({ "at": join.at, "dev_addr": join.ids.dev_addr, "session_key_id": join.session_key_id });
        self.home.event(&name, "join", &body).await;
    }

    async fn location(&self, location: Location) {
        let name = self.introduce(&location.key, None);
        let body = json!({ "at": location.at, "service": location.service, "location": location.location });
        self.home.event(&name, "location", &body).await;
    }

    async fn service(&self, data: ServiceData) {
        let name = self.introduce(&data.key, None);
        let body = json!({ "at": data.at, "service": data.service, "data": data.data });
        self.home.event(&name, "service", &body).await;
    }
}

/// A device id is always a clean topic level; only one called `bridge` collides with the bridge's own topics.
pub fn name_from_id(key: &DeviceKey) -> HomeName {
    HomeName::parse(key.device.as_str())
        .or_else(|_| HomeName::parse(&format!("device-{}", key.device)))
        .expect("a device id is one clean level")
}
