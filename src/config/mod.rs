//! The configuration: the sum of the components' own, read from a file, the environment and systemd credentials.
//!
//! Only this module reads files or the environment; what it hands out is complete and checked.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

pub use crate::codecs::CodecsConfig;
pub use crate::home::{DeviceConfig, HomeConfig};
pub use crate::network::ttn::ApplicationConfig;

/// Everything a bridge needs to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The applications to bridge: at least one.
    #[serde(default)]
    pub application: Vec<ApplicationConfig>,
    #[serde(default)]
    pub home: HomeConfig,
    /// What the user says about single devices.
    #[serde(default)]
    pub device: Vec<DeviceConfig>,
    #[serde(default)]
    pub codecs: CodecsConfig,
    #[serde(default)]
    pub log: LogConfig,
    #[serde(default)]
    pub service: ServiceConfig,
}

/// `[log]`: what the bridge writes to standard error, or to the journal under systemd.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,ttn_ferry::network=debug`.
    pub level: String,
}

/// `[service]`: the process itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceConfig {
    /// How long a stop may take before what is left is given up. 1s to 5min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub grace: Duration,
    /// How often `bridge/health` is published. 1s to 1h.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub health_interval: Duration,
    /// Uplinks the bridge holds between the TTN socket and its decoders before it must drop. 100 to 1,000,000.
    pub intake: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".into() }
    }
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), health_interval: Duration::from_secs(60), intake: 10_000 }
    }
}

/// Where the configuration is looked for when nobody says: the user's file wins over the system's.
pub fn default_path() -> PathBuf {
    PathBuf::from("/etc/ttn-ferry/ttn-ferry.toml")
}
