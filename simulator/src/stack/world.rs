//! What the look-alike knows: applications, their devices, sessions and queues.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::config::{ApiKey, Application, Device};
use super::formatters::{DeviceRepository, Formatters};
use super::messages::{ApplicationIds, EndDeviceIds, Failure, now};
use super::queue::Queue;
use super::session::Session;

/// Every application and its devices.
#[derive(Debug)]
pub struct World {
    pub repository: DeviceRepository,
    applications: BTreeMap<String, Registered>,
    queue_capacity: usize,
}

/// One application with its devices, by device id.
#[derive(Debug)]
pub struct Registered {
    pub application: Arc<Application>,
    /// For devices without formatters of their own; `None` until somebody sets them.
    pub default_formatters: Option<Formatters>,
    pub devices: BTreeMap<String, DeviceState>,
}

/// A device and everything that changes about it.
#[derive(Debug)]
pub struct DeviceState {
    pub device: Arc<Device>,
    pub session: Option<Session>,
    pub queue: Queue,
    /// Its own, which go before the application's even if they are none.
    pub formatters: Option<Formatters>,
    /// Whoever plays the device's radio in class C.
    pub listener: Option<mpsc::Sender<Vec<u8>>>,
    /// A join request with a nonce used before is a replay (LoRaWAN 1.0.3, 6.2.4).
    pub used_nonces: HashSet<[u8; 2]>,
    /// The real one loads locations in the background and so leaves them out of the first uplink.
    pub locations_loaded: bool,
    pub created_at: String,
    pub activated_at: Option<String>,
    pub last_seen_at: Option<String>,
}

impl World {
    pub fn new(applications: &[Application], queue_capacity: usize) -> Self {
        let register = |application: &Application| {
            let (application, devices) = (Arc::new(application.clone()), BTreeMap::new());
            (application.id.clone(), Registered { application, default_formatters: None, devices })
        };
        let applications = applications.iter().map(register).collect();
        Self { repository: DeviceRepository::default(), applications, queue_capacity }
    }

    /// Adds a device, or puts it in place of the one with the same id. False if there is no such application.
    pub fn register(&mut self, application_id: &str, device: Device) -> bool {
        let queue = Queue::new(self.queue_capacity, device.end_to_end.is_some());
        let Some(registered) = self.applications.get_mut(application_id) else { return false };
        registered.devices.insert(device.device_id.clone(), DeviceState::new(device, queue));
        true
    }

    /// Sets the formatters of an application. False if there is no such application.
    pub fn set_default_formatters(&mut self, application_id: &str, formatters: Option<Formatters>) -> bool {
        let registered = self.applications.get_mut(application_id);
        registered.map(|registered| registered.default_formatters = formatters).is_some()
    }

    pub fn application(&self, id: &str) -> Option<&Registered> {
        self.applications.get(id)
    }

    /// The application a user name or topic means: `id` or `id@tenant`.
    pub fn application_by_uid(&self, uid: &str) -> Option<&Arc<Application>> {
        self.applications.values().map(|registered| &registered.application).find(|known| known.uid() == uid)
    }

    /// The application and rights behind an API key.
    pub fn key(&self, key: &str) -> Option<(&Arc<Application>, &ApiKey)> {
        self.applications.values().find_map(|registered| {
            let found = registered.application.keys.iter().find(|known| known.key == key)?;
            Some((&registered.application, found))
        })
    }

    pub fn device(&mut self, application_id: &str, device_id: &str) -> Result<&mut DeviceState, Failure> {
        let registered = self.applications.get_mut(application_id);
        let found = registered.and_then(|registered| registered.devices.get_mut(device_id));
        found.ok_or_else(|| Failure::device_not_found(&format!("{application_id}.{device_id}")))
    }

    /// Loses a device's session with everything queued in it; returns how much was queued, `None` without a session.
    pub fn forget_session(&mut self, application_id: &str, device_id: &str) -> Option<usize> {
        let capacity = self.queue_capacity;
        let device = self.device(application_id, device_id).ok()?;
        device.session.take()?;
        let fresh = Queue::new(capacity, device.device.end_to_end.is_some());
        Some(std::mem::replace(&mut device.queue, fresh).waiting().count())
    }

    /// Every device of every application.
    pub fn devices_mut(&mut self) -> impl Iterator<Item = (&Arc<Application>, &mut DeviceState)> {
        self.applications.values_mut().flat_map(|registered| {
            let application = &registered.application;
            registered.devices.values_mut().map(move |device| (application, device))
        })
    }
}

impl DeviceState {
    fn new(device: Device, queue: Queue) -> Self {
        Self {
            device: Arc::new(device),
            session: None,
            queue,
            formatters: None,
            listener: None,
            used_nonces: HashSet::new(),
            locations_loaded: false,
            created_at: now(),
            activated_at: None,
            last_seen_at: None,
        }
    }

    /// Identifiers without the session's address.
    pub fn ids(&self, application_id: &str) -> EndDeviceIds {
        EndDeviceIds {
            device_id: self.device.device_id.clone(),
            application_ids: ApplicationIds { application_id: application_id.to_owned() },
            dev_eui: hex::encode_upper(self.device.dev_eui),
            join_eui: hex::encode_upper(self.device.join_eui),
            dev_addr: None,
        }
    }

    /// Identifiers with the address of the present session, if there is one.
    pub fn ids_in_session(&self, application_id: &str) -> EndDeviceIds {
        let dev_addr = self.session.as_ref().map(|session| hex::encode_upper(session.dev_addr));
        EndDeviceIds { dev_addr, ..self.ids(application_id) }
    }
}
