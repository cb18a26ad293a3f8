//! The configuration: the sum of the components' own, read from a file, the environment and systemd credentials.
//!
//! Only this module reads files or the environment; what it hands out is complete and checked.
//!
//! ```text
//! file ──▶ parse ──▶ secrets ──▶ rules ──▶ Config
//!            ▲          ▲          ▲
//!            └──── Environment ────┘        every problem: file, line, key, hint
//! ```

mod endpoint;
mod environment;
mod error;
mod parse;
mod rules;
mod secrets;
mod socket;
mod state_folder;
mod trust;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

pub use crate::codecs::CodecsConfig;
pub use crate::downlink::DownlinkConfig;
pub use crate::home::{AvailabilityConfig, DeviceConfig, HomeAssistantConfig, HomeConfig};
pub use crate::network::ttn::{ApplicationConfig, KekConfig};
pub use crate::store::StoreConfig;
pub use crate::uplink::RepairConfig;
pub use endpoint::{BadFile, InvalidHome, home_endpoint, home_tls};
pub use environment::{Environment, Process};
pub use error::{ConfigError, Problem};
pub use rules::InvalidKey;
pub use socket::{control_socket, find_control_socket};
pub use state_folder::{NoStateFolder, store_folder};
pub use trust::{TrustError, trust};

use crate::model::{ApplicationName, DeviceId, DeviceKey, InvalidName};
use error::Report;

/// Where the service's configuration lies.
const SYSTEM_PATH: &str = "/etc/ttn-ferry/ttn-ferry.toml";
/// Where someone who only tries it out has it: the folder they stand in.
const LOCAL_PATH: &str = "ttn-ferry.toml";

/// The user's codecs, beside the configuration, if it does not say where they are.
const CODECS: &str = "codecs";

/// Everything a bridge needs to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The applications to bridge: at least one.
    #[serde(default)]
    pub application: Vec<ApplicationConfig>,
    #[serde(default)]
    pub home: HomeConfig,
    #[serde(default)]
    pub home_assistant: HomeAssistantConfig,
    #[serde(default)]
    pub availability: AvailabilityConfig,
    /// What the user says about single devices.
    #[serde(default)]
    pub device: Vec<DeviceConfig>,
    #[serde(default)]
    pub downlink: DownlinkConfig,
    #[serde(default)]
    pub repair: RepairConfig,
    #[serde(default)]
    pub codecs: CodecsConfig,
    #[serde(default)]
    pub store: StoreConfig,
    #[serde(default)]
    pub log: LogConfig,
    #[serde(default)]
    pub service: ServiceConfig,
    /// What is allowed and yet probably not meant; to be told once at the start.
    #[serde(skip)]
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads the file at `path`, finds the secrets, checks everything.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or breaks rules: then all broken rules at once.
    pub fn load(path: &Path, environment: &dyn Environment) -> Result<Self, ConfigError> {
        let text =
            environment.read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::from_text(&text, path, environment)
    }

    /// [`Config::load`] for a text that is at hand; `path` is what relative paths are relative to, and what errors name.
    pub fn from_text(text: &str, path: &Path, environment: &dyn Environment) -> Result<Self, ConfigError> {
        let invalid = |problems| ConfigError::Invalid { path: path.to_owned(), problems };
        let mut config = parse::parse(text).map_err(|problem| invalid(vec![problem]))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        config.make_paths_absolute(folder);
        config.codecs.folder = config.codecs.folder.or(Some(folder.join(CODECS)).filter(|own| environment.exists(own)));
        let mut report = Report::new(text);
        secrets::resolve(&mut config, path, environment, &mut report);
        rules::check(&config, environment, &mut report);
        config.warnings = report.finish().map_err(invalid)?;
        Ok(config)
    }

    /// What may be shown to anyone at home: no secret, and no path to one.
    pub fn public(&self) -> serde_json::Value {
        let applications: Vec<_> = self
            .application
            .iter()
            .map(|application| {
                json!({
                    "name": application.name(),
                    "id": application.id,
                    "tenant": application.tenant,
                    "cluster": application.cluster,
                    "mqtt_url": application.mqtt_url,
                    "api_url": application.api_url,
                })
            })
            .collect();
        json!({
            "application": applications,
            "home": { "url": self.home.url, "base_topic": self.home.base_topic, "client_id": self.home.client_id },
            "codecs": { "folder": self.codecs.folder, "device_repository": self.codecs.device_repository },
        })
    }

    /// Each `[[device]]` with the application it belongs to: the one it names, else the only one.
    ///
    /// # Errors
    /// A name that [`Config::load`] would have refused.
    pub fn devices(&self) -> Result<Vec<(DeviceKey, &DeviceConfig)>, InvalidName> {
        let only = self.application.first().map(|application| application.name());
        let named = self.device.iter().filter_map(|device| Some((device.application.as_deref().or(only)?, device)));
        named
            .map(|(application, device)| {
                let key = DeviceKey::new(&ApplicationName::parse(application)?, DeviceId::parse(&device.id)?);
                Ok((key, device))
            })
            .collect()
    }

    fn make_paths_absolute(&mut self, folder: &Path) {
        let Self { application, home, device, codecs, store, service, .. } = self;
        let applications = application.iter_mut().flat_map(|a| {
            [&mut a.ca_file, &mut a.api_key_file].into_iter().chain(a.kek.iter_mut().map(|kek| &mut kek.key_file))
        });
        let devices = device.iter_mut().map(|device| &mut device.app_s_key_file);
        let socket = Some(&mut service.socket).filter(|socket| **socket != Some(PathBuf::new()));
        let codec_paths = [&mut codecs.folder, &mut codecs.device_repository];
        let client = [&mut home.client_cert_file, &mut home.client_key_file];
        let others =
            [&mut home.ca_file, &mut home.password_file, &mut store.path].into_iter().chain(codec_paths).chain(client);
        for path in applications.chain(devices).chain(others).chain(socket).flatten() {
            *path = folder.join(&*path);
        }
        let codecs =
            self.application.iter_mut().map(|a| &mut a.codec).chain(self.device.iter_mut().map(|d| &mut d.codec));
        for codec in codecs.flatten().filter(|codec| codec.starts_with('.')) {
            *codec = folder.join(&*codec).to_string_lossy().into_owned();
        }
    }
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
    /// The Unix socket of the control API. Without it: in systemd's `RuntimeDirectory`, else in `$XDG_RUNTIME_DIR`, else
    /// in the folder of the store. `""`: none.
    pub socket: Option<PathBuf>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".into() }
    }
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), health_interval: Duration::from_secs(60), intake: 10_000, socket: None }
    }
}

/// Where the configuration is looked for when nobody says: `ttn-ferry.toml` in the current folder, if there is one, wins
/// over the system's.
pub fn default_path(environment: &dyn Environment) -> PathBuf {
    let local = Path::new(LOCAL_PATH);
    if environment.exists(local) { local.into() } else { SYSTEM_PATH.into() }
}

/// Whether this is the key of an API of The Things Stack: `NNSXS.<39>.<52>`.
pub fn check_api_key(key: &str) -> Result<(), InvalidKey> {
    rules::api_key_shape(key)
}

#[cfg(test)]
mod tests;
