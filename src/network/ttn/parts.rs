//! The parts of one application: its server, its read loop, its look at the registry.

use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::mpsc;

use super::api::{Api, ApiError};
use super::downlinks::Downlinks;
use super::end_to_end::{EndToEnd, InvalidKey, Keys};
use super::formatters::Formatters;
use super::health::Health;
use super::history::History;
use super::registry::Registry;
use super::server::Ttn;
use super::stream::Stream;
use super::topics::TtnTopics;
use super::{ApplicationConfig, Endpoints, InvalidEndpoint};
use crate::config::{Environment, TrustError, trust};
use crate::model::{ApplicationName, DeviceId, DeviceNotes, InvalidName};
use crate::mqtt::Endpoint;
use crate::network::{Arrival, NetworkServer, Outages, RawMessage};
use crate::telemetry::{NetworkClock, Notices};

/// Seconds between signs of life. The server closes after one and a half times this.
const KEEP_ALIVE: u16 = 30;
/// Nothing is published on this connection; the client library wants a window all the same.
const WINDOW: u16 = 1;

/// What `app` wires.
pub struct Parts {
    pub server: Arc<dyn NetworkServer>,
    pub stream: Stream,
    pub registry: Registry,
}

/// Why no parts can be made of an application's configuration.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    #[error("ca_file: {0}")]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Key(#[from] InvalidKey),
}

/// What is known of devices whose payloads the network cannot read.
pub struct EncryptedDevices {
    /// AppSKeys of single devices, as hexadecimal digits.
    pub app_s_keys: Vec<(DeviceId, SecretString)>,
    /// What was noted of the application's devices.
    pub noted: Vec<(DeviceId, String)>,
    /// Where it is noted.
    pub notes: Arc<dyn DeviceNotes>,
}

/// Makes the parts of one application. `raw` is where its read loop puts what it hears, `outages` where it notes what it
/// may not have heard.
pub fn parts(
    config: &ApplicationConfig,
    environment: &dyn Environment,
    encrypted: EncryptedDevices,
    raw: mpsc::Sender<RawMessage>,
    arrivals: mpsc::Sender<Arrival>,
    outages: Outages,
    (notices, clock): (Notices, NetworkClock),
) -> Result<Parts, PartsError> {
    let name = ApplicationName::parse(config.name())?;
    let endpoints = Endpoints::of(config)?;
    let topics = TtnTopics::new(&endpoints.uid);
    let health = Arc::new(Health::default());
    let trusted = trust(config.ca_file.as_deref(), environment)?;
    let tls = endpoints.mqtt.has_tls().then(|| trusted.clone());
    let api = match (&endpoints.api, &config.api_key) {
        (Some(_), Some(key)) => Some(Api::new(&endpoints, &config.id, key.clone(), &trusted)?.setting(clock)),
        _ => None,
    };
    let endpoint = Endpoint {
        tls,
        username: Some(endpoints.uid.clone()),
        password: config.api_key.clone(),
        keep_alive: KEEP_ALIVE,
        window: WINDOW,
        ..Endpoint::new(endpoints.mqtt.clone(), format!("ttn-ferry-{:08x}", fastrand::u32(..)))
    };
    let end_to_end = end_to_end(config, name.clone(), encrypted, &notices)?;
    let registry = Registry {
        application: name.clone(),
        api: api.clone(),
        health: health.clone(),
        arrivals,
        notices: notices.clone(),
    };
    let formatters = api.clone().map(|api| Formatters::new(name.clone(), api, health.clone(), notices.downgrade()));
    let stream = Stream {
        application: name.clone(),
        endpoint,
        filters: topics.filters(),
        raw,
        outages,
        health: health.clone(),
        notices,
    };
    let history = api.clone().map(|api| History::new(api, topics.clone()));
    let downlinks = api.map(Downlinks::new);
    let server = Ttn { name, topics, health, downlinks, history, formatters, end_to_end };
    Ok(Parts { server: Arc::new(server), stream, registry })
}

fn end_to_end(
    config: &ApplicationConfig,
    name: ApplicationName,
    EncryptedDevices { app_s_keys, noted, notes }: EncryptedDevices,
    notices: &Notices,
) -> Result<EndToEnd, InvalidKey> {
    let keks = config.kek.iter().filter_map(|kek| Some((kek.label.trim(), kek.key.as_ref()?)));
    let own = app_s_keys.iter().map(|(device, key)| (device.clone(), key));
    Ok(EndToEnd::new(name, Keys::read(keks, own)?, noted, notes, notices))
}
