//! The third step: which device is it, and what is it called at home?

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;

use super::Roll;
use crate::home::Home;
use crate::model::{
    ApplicationName, DeviceKey, Directory, HomeName, Join, Location, Receipt, RegisteredDevice, ServiceData, Subject,
    Uplink,
};
use crate::telemetry::{Notice, Notices};

/// The attribute of a device, set in the network's console, that names it at home.
const NAME_ATTRIBUTE: &str = "ferry-name";
/// The one that names the room it is in.
const AREA_ATTRIBUTE: &str = "ferry-area";

/// Knows the devices; introduces those seen first.
pub struct Receive {
    pub directory: Arc<Mutex<Directory>>,
    pub home: Home,
    pub notices: Notices,
    /// Marked when the list of devices reads differently.
    pub devices_changed: watch::Sender<()>,
}

type Attributes = BTreeMap<String, String>;

impl Receive {
    /// Notes whom an uplink is from. Returns the device's name at home.
    pub async fn meet(&self, uplink: &Uplink) -> HomeName {
        let name = self.introduce(&uplink.key, said(&uplink.attributes)).await;
        self.note(uplink, &name);
        name
    }

    /// Notes a device that the network's registry lists.
    pub async fn register(&self, device: &RegisteredDevice) {
        self.introduce(&device.key, Some(&device.attributes)).await;
        self.complete(device);
    }

    /// Tells of a join.
    pub async fn join(&self, join: Join, receipt: Receipt) {
        let name = self.introduce(&join.key, None).await;
        let body = json!({ "at": join.at, "dev_addr": join.ids.dev_addr, "session_key_id": join.session_key_id });
        self.home.event(Subject { key: &join.key, name: &name }, "join", &body, Some(receipt)).await;
        self.notices.tell(Notice::DeviceJoined {
            device: name,
            application: join.key.application.clone(),
            device_id: join.key.device.to_string(),
        });
    }

    /// Tells of a position that a service found.
    pub async fn location(&self, location: Location, receipt: Receipt) {
        let name = self.introduce(&location.key, None).await;
        let body = json!({ "at": location.at, "service": location.service, "location": location.location });
        self.home.event(Subject { key: &location.key, name: &name }, "location", &body, Some(receipt)).await;
    }

    /// Tells what a service has to say.
    pub async fn service(&self, data: ServiceData, receipt: Receipt) {
        let name = self.introduce(&data.key, None).await;
        let body = json!({ "at": data.at, "service": data.service, "data": data.data });
        self.home.event(Subject { key: &data.key, name: &name }, "service", &body, Some(receipt)).await;
    }

    /// The home name of a device that has been met.
    pub fn name_of(&self, key: &DeviceKey) -> HomeName {
        self.met(key).unwrap_or_else(|| HomeName::of_id(&key.device))
    }

    /// The home name of a device, if it has been met.
    pub fn met(&self, key: &DeviceKey) -> Option<HomeName> {
        self.directory().find(key).map(|device| device.name.clone())
    }

    /// The devices that the network has no more, now that its registry was read.
    pub fn gone(&self, roll: &mut Roll, application: &ApplicationName, wholly: bool) -> Vec<DeviceKey> {
        let settings = self.home.settings().now();
        roll.end(application, wholly, Timestamp::now(), (&self.directory(), &settings))
    }

    /// Forgets a device.
    pub fn forget(&self, key: &DeviceKey) {
        forget(key, &self.directory, &self.notices);
        self.devices_changed.send_replace(());
    }

    /// What an uplink tells of its device.
    fn note(&self, uplink: &Uplink, name: &HomeName) {
        let mut directory = self.directory();
        let Some(device) = directory.find_mut(&uplink.key) else { return };
        let first = device.last_seen.is_none();
        device.last_seen = device.last_seen.max(Some(uplink.at));
        let ids_changed = device.ids.update(&uplink.ids);
        let version_changed = uplink.version_ids.is_some() && device.version_ids != uplink.version_ids;
        if version_changed {
            device.version_ids.clone_from(&uplink.version_ids);
        }
        let area = said(&uplink.attributes).map(|attributes| attributes.get(AREA_ATTRIBUTE));
        let area_changed = area.is_some_and(|area| device.area.as_ref() != area);
        if area_changed {
            device.area = area.flatten().cloned();
        }
        if first || ids_changed || version_changed || area_changed {
            directory.touch(&uplink.key);
            self.devices_changed.send_replace(());
        }
        if first {
            self.notices.tell(Notice::DeviceSeenFirst {
                device: name.clone(),
                application: uplink.key.application.clone(),
                device_id: uplink.key.device.to_string(),
            });
        }
    }

    fn complete(&self, registered: &RegisteredDevice) {
        let mut directory = self.directory();
        let Some(device) = directory.find_mut(&registered.key) else { return };
        let area = registered.attributes.get(AREA_ATTRIBUTE);
        let is_complete = device.last_seen.is_some();
        if is_complete && device.area.as_ref() == area {
            return;
        }
        device.area = area.cloned();
        if !is_complete {
            device.ids.clone_from(&registered.ids);
            device.version_ids.clone_from(&registered.version_ids);
        }
        directory.touch(&registered.key);
        self.devices_changed.send_replace(());
    }

    /// The device's name. `attributes` is what the network says of the device, if it says anything: a name that was only
    /// guessed before gives way to the one it asks for.
    async fn introduce(&self, key: &DeviceKey, attributes: Option<&Attributes>) -> HomeName {
        let (name, old) = self.settle_name(key, attributes);
        if let Some(old) = old {
            // What is retained under the old name is emptied by `tidy.rs`.
            self.notices.tell(Notice::DeviceRenamed {
                from: old,
                to: name.clone(),
                application: key.application.clone(),
                device_id: key.device.to_string(),
            });
        }
        name
    }

    /// The device's name, and the one it had until now if that changed.
    fn settle_name(&self, key: &DeviceKey, attributes: Option<&Attributes>) -> (HomeName, Option<HomeName>) {
        let mut directory = self.directory();
        let known = directory.find(key).map(|device| (device.name.clone(), device.name_is_guess));
        let wanted = || attributes.map_or_else(|| HomeName::of_id(&key.device), |all| self.wanted_name(key, all));
        let (old, taken) = match known {
            Some((name, is_guess)) if !is_guess || attributes.is_none() => return (name, None),
            Some(_) => directory.rename(key, wanted()),
            None => (None, directory.add(key.clone(), wanted()).1),
        };
        let device = directory.find_mut(key).expect("it was found or added just now");
        device.name_is_guess = attributes.is_none();
        self.devices_changed.send_replace(());
        let name = device.name.clone();
        if let Some(taken) = taken {
            self.notices.tell(Notice::NameTaken {
                wanted: taken.name,
                device: name.clone(),
                key: key.to_string(),
                holder: taken.holder.to_string(),
            });
        }
        (name, old)
    }

    /// The attribute's name if that is one, else the id. One with more levels than commands are subscribed to would
    /// leave the device deaf.
    fn wanted_name(&self, key: &DeviceKey, attributes: &Attributes) -> HomeName {
        let Some(text) = attributes.get(NAME_ATTRIBUTE) else { return HomeName::of_id(&key.device) };
        let most_levels = self.home.settings().now().topics.name_levels();
        match HomeName::parse(text) {
            Ok(name) if name.as_str().split('/').count() <= most_levels => name,
            Ok(name) => {
                tracing::warn!(device = %key, %name, most_levels, "Attribute ferry-name has too many levels.");
                HomeName::of_id(&key.device)
            }
            Err(error) => {
                tracing::warn!(device = %key, error = %error, "Attribute ferry-name is no name.");
                HomeName::of_id(&key.device)
            }
        }
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        Directory::lock(&self.directory)
    }
}

/// Forgets a device. Whoever watches the list of devices is to be told; they take away what is retained of it.
pub fn forget(key: &DeviceKey, directory: &Mutex<Directory>, notices: &Notices) {
    let Some(device) = Directory::lock(directory).remove(key) else { return };
    let (application, device_id) = (key.application.clone(), key.device.to_string());
    notices.tell(Notice::DeviceRemoved { device: device.name, application, device_id });
}

/// What the attributes of an uplink say: stacks before 3.34 send none, which says nothing.
fn said(attributes: &Attributes) -> Option<&Attributes> {
    Some(attributes).filter(|attributes| !attributes.is_empty())
}
