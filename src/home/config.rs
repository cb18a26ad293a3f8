//! `[home]`: the home broker, and `[[device]]`: what a device is called there.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

/// The home broker.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HomeConfig {
    /// `mqtt://host[:1883]` or `mqtts://host[:8883]`.
    pub url: String,
    pub username: Option<String>,
    /// The password, best left out: see `password_file`.
    pub password: Option<SecretString>,
    /// File that holds the password and nothing else. Without it: `TTN_FERRY_HOME_PASSWORD`, or the systemd credential
    /// `home-password`.
    pub password_file: Option<PathBuf>,
    /// PEM file with the CA to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// The first level of every topic.
    pub base_topic: String,
    /// Must differ between two bridges on one broker.
    pub client_id: String,
    /// Whether the broker keeps commands (QoS 1) while the bridge is away. Then none is lost over a restart.
    pub keep_session: bool,
    /// QoS 1 messages sent and not yet acknowledged. 1 to 1000.
    pub in_flight: u16,
}

/// What the user says about one device.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// The device id in the console.
    pub id: String,
    /// The application's name; needed only with more than one.
    pub application: Option<String>,
    /// Its name at home; may hold `/`.
    pub friendly_name: Option<String>,
    /// A shipped codec (`mbed/led-and-sensors`), a folder or file in the codec folder, or a path.
    pub codec: Option<String>,
    /// File that holds the AppSKey of a device that never joins and whose payloads the network cannot read, and nothing
    /// else: 32 hexadecimal digits. Without it: `TTN_FERRY_APP_S_KEY_<ID>`, or the systemd credential `app-s-key-<id>`.
    pub app_s_key_file: Option<PathBuf>,
    #[serde(skip)]
    pub app_s_key: Option<SecretString>,
}

impl Default for HomeConfig {
    fn default() -> Self {
        Self {
            url: "mqtt://localhost:1883".into(),
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            base_topic: "ttn".into(),
            client_id: "ttn-ferry".into(),
            keep_session: true,
            in_flight: 200,
        }
    }
}
