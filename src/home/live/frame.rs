//! One thing that happened, as everybody who listens gets it: the same bytes for all.

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::home::Called;
use crate::model::{DeviceKey, HomeName, Subject};

/// What a frame takes beside its data, in bytes: more than its text has around it.
const AROUND: usize = 512;

/// What sort of thing it is. The order is that of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A device's merged state.
    State,
    Uplink,
    /// Something that happened to a device: its data has the `name` of it.
    Event,
    Availability,
    /// What waits to be sent to a device.
    Pending,
    /// A step of a downlink.
    Downlink,
    /// A notice of the bridge; about a device, some of them.
    Bridge,
    Info,
    Health,
    /// The list of devices reads differently. Without data.
    Devices,
}

/// Whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    Device(DeviceKey, HomeName),
    /// A device that nobody knows, as somebody called it.
    Stranger(Called),
    Bridge,
}

/// One thing that happened.
#[derive(Debug)]
pub struct Frame {
    pub number: u64,
    pub kind: Kind,
    pub whom: Whom,
    pub at: Timestamp,
    /// JSON.
    pub data: Option<Bytes>,
    text: OnceLock<Bytes>,
}

/// A frame as it is sent.
#[derive(Serialize)]
struct Text<'a> {
    event: u64,
    kind: Kind,
    #[serde(flatten)]
    whom: Names<'a>,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// What a device is called: nothing, for the bridge's own.
#[derive(Default, Serialize)]
struct Names<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
}

impl Kind {
    /// Every kind, by its name.
    pub const ALL: [(&'static str, Self); 10] = [
        ("state", Self::State),
        ("uplink", Self::Uplink),
        ("event", Self::Event),
        ("availability", Self::Availability),
        ("pending", Self::Pending),
        ("downlink", Self::Downlink),
        ("bridge", Self::Bridge),
        ("info", Self::Info),
        ("health", Self::Health),
        ("devices", Self::Devices),
    ];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(_, kind)| kind == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl From<Subject<'_>> for Whom {
    fn from(Subject { key, name }: Subject<'_>) -> Self {
        Self::Device(key.clone(), name.clone())
    }
}

impl Frame {
    pub fn new(number: u64, (kind, whom): (Kind, Whom), at: Timestamp, data: Option<Bytes>) -> Self {
        Self { number, kind, whom, at, data, text: OnceLock::new() }
    }

    /// The device it is about, if that is one we know.
    pub fn key(&self) -> Option<&DeviceKey> {
        if let Whom::Device(key, _) = &self.whom { Some(key) } else { None }
    }

    /// Whether it is about the device of this name at home, id at the network, or `<application>/<id>`.
    pub fn is_about(&self, device: &str) -> bool {
        match &self.whom {
            Whom::Device(key, name) => {
                let both = || device.split_once('/') == Some((key.application.as_str(), key.device.as_str()));
                name.as_str() == device || key.device.as_str() == device || both()
            }
            Whom::Stranger(called) => {
                [&called.name, &called.device_id].into_iter().any(|it| it.as_deref() == Some(device))
            }
            Whom::Bridge => false,
        }
    }

    /// What it takes in memory at most, in bytes: its data, and its text once somebody wanted that.
    pub fn weight(&self) -> usize {
        2 * self.data.as_ref().map_or(0, Bytes::len) + AROUND
    }

    /// The frame as JSON text: made when the first one wants it, and the same bytes for all.
    pub fn text(&self) -> Bytes {
        self.text.get_or_init(|| self.render()).clone()
    }

    fn render(&self) -> Bytes {
        let data = self.data.as_deref().map(|data| serde_json::from_slice(data).expect("it was made by our own types"));
        let Self { number: event, kind, at, .. } = *self;
        let text = Text { event, kind, whom: self.whom.names(), at, data };
        serde_json::to_vec(&text).expect("our own types have string keys and always serialise").into()
    }
}

impl Whom {
    fn names(&self) -> Names<'_> {
        match self {
            Self::Device(key, name) => Names {
                device: Some(name.as_str()),
                application: Some(key.application.as_str()),
                device_id: Some(key.device.as_str()),
            },
            Self::Stranger(Called { name, device_id, application }) => {
                Names { device: name.as_deref(), application: application.as_deref(), device_id: device_id.as_deref() }
            }
            Self::Bridge => Names::default(),
        }
    }
}
