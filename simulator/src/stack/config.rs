//! What a look-alike of The Things Stack is started with: addresses, applications, keys, limits, devices.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use super::end_to_end::Kek;

/// Every right a key of an application needs for both directions, as The Things Stack spells them.
pub const ALL_RIGHTS: [&str; 7] = [
    "RIGHT_APPLICATION_DEVICES_READ",
    "RIGHT_APPLICATION_INFO",
    "RIGHT_APPLICATION_SETTINGS_BASIC",
    "RIGHT_APPLICATION_SETTINGS_PACKAGES",
    "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE",
    "RIGHT_APPLICATION_TRAFFIC_READ",
    "RIGHT_APPLICATION_TRAFFIC_UP_WRITE",
];

/// How a [`Stack`](super::Stack) is set up.
#[derive(Debug, Clone)]
pub struct StackConfig {
    /// Where the MQTT face listens; port 0 takes any free one.
    pub mqtt: SocketAddr,
    /// Where the HTTP face listens; port 0 takes any free one.
    pub http: SocketAddr,
    pub applications: Vec<Application>,
    pub rate: RateLimits,
    /// Messages held for one MQTT connection before single ones are dropped in silence.
    pub mqtt_buffer: usize,
    /// MQTT connections allowed at the same time; above it a CONNECT is refused with code 3.
    pub connection_limit: Option<usize>,
    /// How long a fresh MQTT connection may take to send its CONNECT.
    pub first_packet: Duration,
    /// How long the network server collects copies of one uplink from several gateways (200 ms on the real one).
    pub deduplication: Duration,
    /// From the end of an uplink to its first receive window (RX1); real networks use 1 to 5 s.
    pub receive_delay: Duration,
    /// Downlinks that wait for one device at most; the real one holds 10,000 a session.
    pub queue_capacity: usize,
    pub storage: StorageConfig,
    /// `None`: the stack remembers no events and only tells the present ones.
    pub events: Option<EventHistory>,
}

/// Loopback, any free port, no limits, and radio times short enough for tests.
impl Default for StackConfig {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            mqtt: loopback,
            http: loopback,
            applications: Vec::new(),
            rate: RateLimits::default(),
            mqtt_buffer: 128 + 64,
            connection_limit: None,
            first_packet: Duration::from_secs(10),
            deduplication: Duration::from_millis(20),
            receive_delay: Duration::from_millis(100),
            queue_capacity: 10_000,
            storage: StorageConfig::default(),
            events: Some(EventHistory::default()),
        }
    }
}

/// The Storage Integration.
#[derive(Debug, Clone, Copy)]
pub struct StorageConfig {
    /// Activated for every application from the start. Over HTTP it can be switched on and off at any time.
    pub active: bool,
    /// Messages received longer ago are gone; 24 hours on The Things Network.
    pub retention: Duration,
    pub batching: Batching,
    /// Messages on one page at most.
    pub page: usize,
    /// Messages of all applications together; beyond it those stored first are forgotten.
    pub capacity: usize,
}

/// When a stored message can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batching {
    /// So long after it was published; zero for at once.
    Delay(Duration),
    /// With the next [`StackHandle::flush_storage`](super::StackHandle::flush_storage).
    UntilFlushed,
}

/// Active, 24 hours, no delay, pages of 1,000, at most 100,000 messages.
impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            active: true,
            retention: Duration::from_secs(24 * 3600),
            batching: Batching::Delay(Duration::ZERO),
            page: 1_000,
            capacity: 100_000,
        }
    }
}

/// How much the stack remembers of what happened.
#[derive(Debug, Clone, Copy)]
pub struct EventHistory {
    /// Events of one device, and of one application with all its devices.
    pub per_entity: usize,
    /// Older events are forgotten.
    pub age: Duration,
}

/// 100 events for 10 minutes, the defaults of The Things Stack 3.32.
impl Default for EventHistory {
    fn default() -> Self {
        Self { per_entity: 100, age: Duration::from_secs(600) }
    }
}

/// An application and the keys that open it.
#[derive(Debug, Clone)]
pub struct Application {
    /// Bare id, as in HTTP paths and message bodies.
    pub id: String,
    /// Adds `@tenant` in user names and topics, as on the multi-tenant build.
    pub tenant: Option<String>,
    pub keys: Vec<ApiKey>,
}

impl Application {
    /// `id` or `id@tenant`: the MQTT user name and the second level of every topic.
    pub fn uid(&self) -> String {
        match &self.tenant {
            Some(tenant) => format!("{}@{tenant}", self.id),
            None => self.id.clone(),
        }
    }
}

/// An API key and what it may do.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// The complete key: `NNSXS.` id `.` secret.
    pub key: String,
    pub rights: Vec<String>,
}

impl ApiKey {
    /// A fresh well-formed key with these rights.
    pub fn with_rights<'a>(rights: impl IntoIterator<Item = &'a str>) -> Self {
        let letters = |count: usize| (0..count).map(|_| fastrand::char('A'..='Z')).collect::<String>();
        let key = format!("NNSXS.{}.{}", letters(39), letters(52));
        Self { key, rights: rights.into_iter().map(str::to_owned).collect() }
    }

    /// A fresh well-formed key that may do everything.
    pub fn with_all_rights() -> Self {
        Self::with_rights(ALL_RIGHTS)
    }

    /// True if this key carries `right`.
    pub fn may(&self, right: &str) -> bool {
        self.rights.iter().any(|held| held == right)
    }

    /// The part of the key that names it without opening anything.
    pub fn id(&self) -> &str {
        self.key.split('.').nth(1).unwrap_or_default()
    }
}

/// How many downlinks may be asked for. `None` means no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct RateLimits {
    /// Downlink publishes over MQTT, per application and key; above it the connection is closed.
    pub mqtt_downlinks: Option<Rate>,
    /// Push and replace over HTTP, per application; above it the answer is 429.
    pub http_downlinks: Option<Rate>,
}

/// A leaky bucket: so many a minute, so many at once.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    pub per_minute: u32,
    pub burst: u32,
}

/// When a device listens (LoRaWAN 1.0.3, 2.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Class {
    /// Shortly after each of its own uplinks.
    #[default]
    A,
    /// Always, once it has sent the first uplink of a session.
    C,
}

/// An end device as it is registered with an application.
#[derive(Debug, Clone)]
pub struct Device {
    pub device_id: String,
    /// Most significant byte first, as printed.
    pub dev_eui: [u8; 8],
    /// Most significant byte first, as printed. LoRaWAN 1.0.x calls it AppEUI.
    pub join_eui: [u8; 8],
    pub app_key: [u8; 16],
    pub class: Class,
    pub name: Option<String>,
    pub description: Option<String>,
    pub attributes: BTreeMap<String, String>,
    pub version_ids: Option<VersionIds>,
    /// Where the owner said the device stands.
    pub location: Option<Location>,
    /// Payloads are encrypted end to end; the session key is wrapped with this.
    pub end_to_end: Option<Kek>,
}

impl Device {
    /// A device with its identifiers and root key, and nothing else known about it.
    pub fn new(device_id: impl Into<String>, dev_eui: [u8; 8], join_eui: [u8; 8], app_key: [u8; 16]) -> Self {
        Self {
            device_id: device_id.into(),
            dev_eui,
            join_eui,
            app_key,
            class: Class::default(),
            name: None,
            description: None,
            attributes: BTreeMap::new(),
            version_ids: None,
            location: None,
            end_to_end: None,
        }
    }
}

/// Which product a device is, in the words of the device repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VersionIds {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub brand_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hardware_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub firmware_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub band_id: String,
}

/// A position on Earth. Zeros vanish from JSON, as on the real one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Location {
    /// Degrees, north positive.
    #[serde(skip_serializing_if = "is_zero")]
    pub latitude: f64,
    /// Degrees, east positive.
    #[serde(skip_serializing_if = "is_zero")]
    pub longitude: f64,
    /// Metres above sea level.
    #[serde(skip_serializing_if = "is_level")]
    pub altitude: i32,
}

fn is_zero(degrees: &f64) -> bool {
    *degrees == 0.0
}

fn is_level(metres: &i32) -> bool {
    *metres == 0
}
