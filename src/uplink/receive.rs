//! The first step: which device is it, and what is it called at home?

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use crate::home::Home;
use crate::model::{Device, DeviceKey, Directory, HomeName, Join, Location, RegisteredDevice, ServiceData, Uplink};
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
            Arrival::Registered(device) => self.register(&device),
        }
        None
    }

    /// The home name of a device that has been met.
    pub fn name_of(&self, key: &DeviceKey) -> HomeName {
        self.introduce(key, &BTreeMap::new())
    }

    fn meet(&self, uplink: &Uplink) -> HomeName {
        let name = self.introduce(&uplink.key, &uplink.attributes);
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

    /// Makes a device known by its name, so that it can be commanded before it ever sent.
    fn register(&self, registered: &RegisteredDevice) {
        let mut directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        if directory.find(&registered.key).is_none() {
            let device = self.add(&mut directory, &registered.key, &registered.attributes);
            device.ids.clone_from(&registered.ids);
            device.version_ids.clone_from(&registered.version_ids);
        }
    }

    /// The device's name. A device nobody has met gets one, and is told of.
    fn introduce(&self, key: &DeviceKey, attributes: &BTreeMap<String, String>) -> HomeName {
        let mut directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = directory.find(key) {
            return device.name.clone();
        }
        let name = self.add(&mut directory, key, attributes).name.clone();
        self.notices.tell(Notice::DeviceSeenFirst {
            device: name.clone(),
            application: key.application.clone(),
            device_id: key.device.to_string(),
        });
        name
    }

    fn add<'a>(
        &self,
        directory: &'a mut Directory,
        key: &DeviceKey,
        attributes: &BTreeMap<String, String>,
    ) -> &'a mut Device {
        let (device, taken) = directory.add(key.clone(), wanted_name(key, attributes));
        if let Some(taken) = taken {
            self.notices.tell(Notice::NameTaken {
                wanted: taken.name,
                device: device.name.clone(),
                key: key.to_string(),
                holder: taken.holder.to_string(),
            });
        }
        self.devices_changed.notify_one();
        device
    }

    async fn join(&self, join: Join) {
        let name = self.introduce(&join.key, &BTreeMap::new());
        let body = json!({ "at": join.at, "dev_addr": join.ids.dev_addr, "session_key_id": join.session_key_id });
        self.home.event(&name, "join", &body).await;
    }

    async fn location(&self, location: Location) {
        let name = self.introduce(&location.key, &BTreeMap::new());
        let body = json!({ "at": location.at, "service": location.service, "location": location.location });
        self.home.event(&name, "location", &body).await;
    }

    async fn service(&self, data: ServiceData) {
        let name = self.introduce(&data.key, &BTreeMap::new());
        let body = json!({ "at": data.at, "service": data.service, "data": data.data });
        self.home.event(&name, "service", &body).await;
    }
}

/// Its attribute's if that is a name, else its id.
fn wanted_name(key: &DeviceKey, attributes: &BTreeMap<String, String>) -> HomeName {
    let attribute = attributes.get(NAME_ATTRIBUTE).and_then(|name| HomeName::parse(name).ok());
    attribute.unwrap_or_else(|| name_from_id(key))
}

/// A device id is always a clean topic level; only one called `bridge` collides with the bridge's own topics.
fn name_from_id(key: &DeviceKey) -> HomeName {
    HomeName::parse(key.device.as_str())
        .or_else(|_| HomeName::parse(&format!("device-{}", key.device)))
        .expect("a device id is one clean level")
}
