//! What a test or the demo can do with a running look-alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc, watch};

use super::archive::PublishedUplink;
use super::config::Device;
use super::faults::{Fault, FaultPlan, HttpFault};
use super::formatters::{Formatters, RepositoryCodec};
use super::messages::ApplicationDownlink;
use super::radio::RadioFrame;
use super::shared::Shared;

/// Class C frames a node may leave unheard before further ones are lost.
const FRAMES_IN_THE_AIR: usize = 16;

/// A cheap handle on a [`Stack`](super::Stack).
#[derive(Debug, Clone)]
pub struct StackHandle {
    shared: Arc<Shared>,
}

/// No application of this id was configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no application `{0}`")]
pub struct UnknownApplication(pub String);

/// No device of this id was registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("application `{application}` has no device `{device}`")]
pub struct UnknownDevice {
    pub application: String,
    pub device: String,
}

/// One request of the HTTP face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: String,
    /// Path and query.
    pub path: String,
    pub body: Bytes,
    /// The answer's status; `None` if there was no answer.
    pub status: Option<u16>,
}

/// What happened, for those who wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StackEvent {
    /// An MQTT client was let in.
    Connected { client_id: String },
    /// An MQTT client subscribed; these are the filters it was granted, as rewritten.
    Subscribed { client_id: String, filters: Vec<String> },
    /// An MQTT connection that had been let in ended.
    Disconnected { client_id: String },
    /// An MQTT client published something.
    Received { topic: String, payload: Bytes },
    /// A message went out to whoever subscribed, or was lost by [`Fault::DropSilently`].
    Published { topic: String, payload: Bytes },
    /// An HTTP request was answered, or deliberately not.
    Http(HttpRequest),
}

impl StackHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Registers a device with an application.
    pub fn register(&self, application_id: &str, device: Device) -> Result<(), UnknownApplication> {
        match self.shared.world().register(application_id, device) {
            true => Ok(()),
            false => Err(UnknownApplication(application_id.to_owned())),
        }
    }

    /// Types payload formatters into the console of a device; `None` leaves them to the application. They are only told,
    /// not run: what they would make of a payload is put into the uplink by whoever publishes it.
    pub fn set_formatters(
        &self,
        application_id: &str,
        device_id: &str,
        formatters: Option<Formatters>,
    ) -> Result<(), UnknownDevice> {
        let mut world = self.shared.world();
        let device = world.device(application_id, device_id);
        let unknown = |_| UnknownDevice { application: application_id.into(), device: device_id.into() };
        device.map_err(unknown)?.formatters = formatters;
        Ok(())
    }

    /// Sets the payload formatters of an application; `None` as if nobody ever had.
    pub fn set_default_formatters(
        &self,
        application_id: &str,
        formatters: Option<Formatters>,
    ) -> Result<(), UnknownApplication> {
        match self.shared.world().set_default_formatters(application_id, formatters) {
            true => Ok(()),
            false => Err(UnknownApplication(application_id.to_owned())),
        }
    }

    /// Publishes a codec in the device repository.
    pub fn publish_codec(&self, codec: RepositoryCodec) {
        self.shared.world().repository.publish(codec);
    }

    /// What a node sends, as a gateway hears it; returns the frame the gateway sends in the node's receive window.
    ///
    /// Takes as long as the window is away ([`StackConfig::receive_delay`](super::StackConfig)). Frames of strangers,
    /// with a wrong MIC or an old counter are ignored.
    pub async fn transmit(&self, frame: RadioFrame) -> Option<Vec<u8>> {
        self.shared.transmit(frame).await
    }

    /// The frames sent to a class C device outside its receive windows, from now on; `None` if nobody registered it. A
    /// later listener takes the place of this one.
    pub fn listen(&self, dev_eui: [u8; 8]) -> Option<mpsc::Receiver<Vec<u8>>> {
        let (sender, frames) = mpsc::channel(FRAMES_IN_THE_AIR);
        let mut world = self.shared.world();
        let (_, state) = world.devices_mut().find(|(_, state)| state.device.dev_eui == dev_eui)?;
        state.listener = Some(sender);
        Some(frames)
    }

    /// Delivers any bytes to the subscribers of `topic` (`v3/{uid}/devices/…`).
    pub fn publish_raw(&self, topic: &str, payload: impl Into<Bytes>) {
        self.shared.publish_raw(topic, payload.into());
    }

    /// Delivers a ready uplink of `device_id` in `uid` (`app` or `app@tenant`).
    pub fn publish_up(&self, uid: &str, device_id: &str, message: &Value) {
        self.publish_raw(&format!("v3/{uid}/devices/{device_id}/up"), message.to_string());
    }

    /// Cuts every MQTT connection; clients may come back at once.
    pub fn drop_connections(&self) {
        self.shared.drop_connections();
    }

    pub fn set_fault(&self, fault: Fault) {
        self.shared.faults.set(fault);
    }

    /// Lets random trouble strike downlink requests from now on, in place of the plan before.
    pub fn set_fault_plan(&self, plan: FaultPlan) {
        self.shared.faults.plan(plan);
    }

    /// How often each trouble of the latest plan struck, also after it was cleared.
    pub fn faults_struck(&self) -> BTreeMap<HttpFault, u64> {
        self.shared.faults.struck()
    }

    /// Loses a device's session, as when its owner resets it: until it joins again its uplinks are not heard and pushes
    /// and lists are refused with `no_device_session`. What waited in its queue, or for an acknowledgement, is lost
    /// without any message. Returns how many downlinks waited; `None` if there was no session.
    pub fn forget_session(&self, application_id: &str, device_id: &str) -> Option<usize> {
        self.shared.world().forget_session(application_id, device_id)
    }

    /// Ends every fault and the plan.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// The device's queue as the HTTP face lists it.
    pub fn queue(&self, application_id: &str, device_id: &str) -> Vec<Value> {
        let items = self.shared.list_queue(application_id, device_id).unwrap_or_default();
        let value = |item: &ApplicationDownlink| serde_json::to_value(item).expect("a downlink is plain JSON");
        items.iter().map(value).collect()
    }

    /// Makes everything stored so far visible, whatever [`StorageConfig::batching`](super::StorageConfig) says.
    pub fn flush_storage(&self) {
        self.shared.archive.flush();
    }

    /// The distinct uplinks of an application that went out so far, sorted, whether or not anybody heard them. At most
    /// a million are counted.
    pub fn published_uplinks(&self, application_id: &str) -> Vec<PublishedUplink> {
        self.shared.archive.published_uplinks(application_id)
    }

    /// The latest HTTP requests, oldest first.
    pub fn http_requests(&self) -> Vec<HttpRequest> {
        self.shared.logged()
    }

    /// MQTT connections let in and not yet ended. The watch lets one wait for a number.
    pub fn connections(&self) -> watch::Receiver<usize> {
        self.shared.connections.subscribe()
    }

    /// What happens from now on.
    pub fn events(&self) -> broadcast::Receiver<StackEvent> {
        self.shared.events()
    }
}
