//! `[home]`: the home broker, and what is published there how.
//!
//! | to learn about | open |
//! |---|---|
//! | `[[device]]` | `device.rs` |
//! | `[home_assistant]` | `home_assistant.rs` |
//! | `[availability]` | `availability.rs` |

mod availability;
mod device;
mod home_assistant;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use availability::AvailabilityConfig;
pub use device::{DeviceConfig, Override};
pub use home_assistant::{Discovery, HomeAssistantConfig};

use crate::mqtt::{MqttVersion, Qos};

/// The home broker.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HomeConfig {
    /// `mqtt://host[:1883]`, `mqtts://host[:8883]`, `ws://host[:80]/path`, `wss://host[:443]/path` or
    /// `unix:///path/of/socket`.
    pub url: String,
    /// `"3.1.1"` or `"5"`. Only MQTT 5 has messages that expire, and tells which messages the broker's access rules refuse.
    #[schemars(with = "String", extend("enum" = ["3.1.1", "5"]))]
    pub mqtt_version: MqttVersion,
    /// The user at the broker.
    #[schemars(example = &"ferry")]
    pub username: Option<String>,
    /// The password or token, best left out: see `password_file`.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>", example = &"a secret")]
    pub password: Option<SecretString>,
    /// File that holds the password and nothing else. Without it: `TTN_FERRY_HOME_PASSWORD`, or the systemd credential
    /// `home-password`.
    #[schemars(example = &"home.password")]
    pub password_file: Option<PathBuf>,
    /// PEM file with the CA to trust instead of the public ones.
    #[schemars(example = &"home-ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// PEM file with the certificate (and its chain) that the bridge shows to the broker.
    #[schemars(example = &"ferry.pem")]
    pub client_cert_file: Option<PathBuf>,
    /// PEM file with the key of that certificate.
    #[schemars(example = &"ferry.key")]
    pub client_key_file: Option<PathBuf>,
    /// The first level of every topic.
    pub base_topic: String,
    /// Must differ between two bridges on one broker.
    pub client_id: String,
    /// Whether the broker keeps commands (QoS 1) while the bridge is away. Then none is lost over a restart.
    pub keep_session: bool,
    /// QoS 1 and 2 messages sent and not yet acknowledged; of QoS 2 with MQTT 3.1.1 never more than 20. 1 to 1000.
    /// If a Mosquitto's max_inflight_messages is below 20, no more than that with QoS 2.
    #[schemars(range(min = 1, max = 1000))]
    pub in_flight: u16,

    /// `"json"`: the state as one object; `"attribute"`: a topic for each field; `"both"`.
    pub output: Output,
    /// Whether the broker keeps states and fields for those who come later.
    pub retain: bool,
    /// How states, fields, uplinks and events are published: 0, 1 or 2. A lost connection may double some.
    #[schemars(with = "u8", range(min = 0, max = 2))]
    pub qos: Qos,
    /// The least time between two states of one device. 0s to 1h.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub throttle: Duration,
    /// How long the broker keeps what is published about a device. Needs MQTT 5. 1s to 1 year; for ever without it.
    #[serde(with = "crate::model::duration::optional")]
    #[schemars(with = "Option<String>", example = &"2h")]
    pub expiry: Option<Duration>,

    /// Templates (minijinja) of the topics. `base`, `name`, `device_id` and `application` can stand in each. Here: the
    /// state of a device.
    pub state_topic: String,
    /// `field` is the field's name; levels of nested ones are joined by `/`.
    pub field_topic: String,
    /// One message for each uplink.
    pub uplink_topic: String,
    /// `kind` is what happened: `join`, `codec_error` …
    pub event_topic: String,
    /// Whether a device is heard.
    pub availability_topic: String,
    /// Commands: an object of fields. One field's value below it: `<set_topic>/<field>`.
    pub set_topic: String,
    /// Commands: one field's value.
    pub set_field_topic: String,
    /// `verb` is `push`, `replace`, `cancel`, `clear` (commands), `state` or `pending` (told).
    pub downlink_topic: String,
}

/// In which form states are published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    #[default]
    Json,
    Attribute,
    Both,
}

impl Default for HomeConfig {
    fn default() -> Self {
        Self {
            url: "mqtt://localhost:1883".into(),
            mqtt_version: MqttVersion::default(),
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            base_topic: "ttn".into(),
            client_id: "ttn-ferry".into(),
            keep_session: true,
            in_flight: 200,
            output: Output::default(),
            retain: true,
            qos: Qos::AtLeastOnce,
            throttle: Duration::from_millis(250),
            expiry: None,
            state_topic: "{{ base }}/{{ name }}".into(),
            field_topic: "{{ base }}/{{ name }}/{{ field }}".into(),
            uplink_topic: "{{ base }}/{{ name }}/uplink".into(),
            event_topic: "{{ base }}/{{ name }}/event/{{ kind }}".into(),
            availability_topic: "{{ base }}/{{ name }}/availability".into(),
            set_topic: "{{ base }}/{{ name }}/set".into(),
            set_field_topic: "{{ base }}/{{ name }}/{{ field }}/set".into(),
            downlink_topic: "{{ base }}/{{ name }}/downlink/{{ verb }}".into(),
        }
    }
}
