//! The configuration: the sum of the components' own, read from a file, the environment and systemd credentials.
//!
//! Only this module reads files or the environment; what it hands out is complete and checked.
//!
//! ```text
//! file ──▶ parse ──▶ overlay ──▶ secrets ──▶ rules ──▶ Config
//!            ▲          ▲           ▲          ▲
//!            └──────────┴ Environment ─────────┘        every problem: file, line, key, hint
//! ```
//!
//! | to learn about | open |
//! |---|---|
//! | what is said of devices while the bridge runs | `overlay.rs` |
//! | the reference and the schema, made from the types | `reference.rs` |
//! | what is shown, and by what two configurations differ | `values.rs` |

mod endpoint;
mod environment;
mod error;
mod overlay;
mod parse;
mod paths;
mod reference;
mod rules;
mod secrets;
mod service;
mod socket;
mod sources;
mod state_folder;
mod trust;
mod values;
mod web;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::codecs::CodecsConfig;
pub use crate::downlink::DownlinkConfig;
pub use crate::home::{AvailabilityConfig, DeviceConfig, HomeAssistantConfig, HomeConfig};
pub use crate::network::ttn::{ApplicationConfig, KekConfig};
pub use crate::store::StoreConfig;
pub use crate::uplink::RepairConfig;
pub use endpoint::{BadFile, InvalidHome, home_endpoint, home_tls};
pub use environment::{Environment, Process};
pub use error::{ConfigError, Problem};
pub use overlay::{changed_overlay, overlaid_options, overlay_path, write_overlay};
pub use reference::{reference, schema};
pub use rules::InvalidKey;
pub use service::{LogConfig, ServiceConfig};
pub use socket::{control_socket, find_control_socket};
pub use sources::{Print, Sources};
pub use state_folder::{NoStateFolder, store_folder};
pub use trust::{TrustError, trust};
pub use values::{Changes, Shown};
pub use web::WebConfig;

use crate::model::{ApplicationName, DeviceId, DeviceKey, InvalidName};
use error::Report;
use overlay::Overlay;
use sources::{NONE, held};
use state_folder::folder_of_the_service;

/// Where the service's configuration lies.
pub const SYSTEM_PATH: &str = "/etc/ttn-ferry/ttn-ferry.toml";
/// Where someone who only tries it out has it: the folder they stand in.
const LOCAL_PATH: &str = "ttn-ferry.toml";

/// The user's codecs, beside the configuration, if it does not say where they are.
const CODECS: &str = "codecs";

/// Everything a bridge needs to know.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The applications to bridge: at least one.
    #[serde(default)]
    pub application: Vec<ApplicationConfig>,
    /// The home broker, and what is published there how.
    #[serde(default)]
    pub home: HomeConfig,
    /// How devices are announced to Home Assistant, and to whatever else reads its MQTT discovery.
    #[serde(default)]
    pub home_assistant: HomeAssistantConfig,
    /// When a silent device is offline.
    #[serde(default)]
    pub availability: AvailabilityConfig,
    /// What the user says about single devices.
    #[serde(default)]
    pub device: Vec<DeviceConfig>,
    /// How many downlinks may be open, and what a device may use in a day.
    #[serde(default)]
    pub downlink: DownlinkConfig,
    /// How missed messages are fetched.
    #[serde(default)]
    pub repair: RepairConfig,
    /// Where codecs are looked for and how they are held in check.
    #[serde(default)]
    pub codecs: CodecsConfig,
    /// Where the store lies, how careful it is with the disk, and how much it keeps.
    #[serde(default)]
    pub store: StoreConfig,
    /// Where the page and the HTTP API are served, and to whom.
    #[serde(default)]
    pub web: WebConfig,
    /// What the bridge writes to standard error, or to the journal under systemd.
    #[serde(default)]
    pub log: LogConfig,
    /// The process itself.
    #[serde(default)]
    pub service: ServiceConfig,
    /// What is allowed and yet probably not meant; to be told once at the start.
    #[serde(skip)]
    pub warnings: Vec<Problem>,
    /// Where all this came from.
    #[serde(skip)]
    pub sources: Sources,
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
        Self::with_overlay(text, path, None, environment)
    }

    /// [`Config::from_text`] with this text in the place of what was said of devices while the bridge ran.
    pub fn with_overlay(
        text: &str,
        path: &Path,
        overlay: Option<&str>,
        environment: &dyn Environment,
    ) -> Result<Self, ConfigError> {
        let config = Self::as_written(text, path, environment)?;
        let (mut config, overlay) = config.overlaid(text, path, overlay, environment)?;
        let mut report = Report::new(text, overlay.as_ref(), std::mem::take(&mut config.sources));
        secrets::resolve(&mut config, path, environment, &mut report);
        rules::check(&config, environment, &mut report);
        if let Some(overlay) = &overlay {
            overlay.warn_of_strangers(&mut report);
        }
        let invalid = |problems| ConfigError::Invalid { path: path.to_owned(), problems };
        (config.warnings, config.sources) = report.finish().map_err(invalid)?;
        Ok(config)
    }

    /// [`Config::with_overlay`] for somebody who is not the bridge and yet puts its files in order: without its secrets,
    /// which may be for systemd alone to hand over, hence without the rules about them; and with the store where the
    /// service has it, if this is the service's configuration.
    ///
    /// # Errors
    /// The text is no configuration, or the overlay none.
    pub fn from_outside(
        text: &str,
        path: &Path,
        overlay: Option<&str>,
        environment: &dyn Environment,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::as_written(text, path, environment)?;
        config.store.path = config.store.path.or_else(|| folder_of_the_service(path, environment));
        Ok(config.overlaid(text, path, overlay, environment)?.0)
    }

    /// What the text says, and nothing else.
    fn as_written(text: &str, path: &Path, environment: &dyn Environment) -> Result<Self, ConfigError> {
        let invalid = |problem| ConfigError::Invalid { path: path.to_owned(), problems: vec![problem] };
        let mut config: Self = parse::parse(text).map_err(invalid)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        config.make_paths_absolute(folder);
        config.codecs.folder = config.codecs.folder.or(Some(folder.join(CODECS)).filter(|own| environment.exists(own)));
        Ok(config)
    }

    fn overlaid(
        mut self,
        text: &str,
        path: &Path,
        overlay: Option<&str>,
        environment: &dyn Environment,
    ) -> Result<(Self, Option<Overlay>), ConfigError> {
        let invalid = |problem| ConfigError::Invalid { path: path.to_owned(), problems: vec![problem] };
        let mut overlay = Overlay::find(&self, overlay, environment).map_err(invalid)?;
        if let Some(overlay) = &mut overlay {
            overlay.lay_over(&mut self);
        }
        self.sources = self.sources_of(text, path, overlay.as_ref(), environment);
        Ok((self, overlay))
    }

    fn sources_of(&self, text: &str, path: &Path, overlay: Option<&Overlay>, environment: &dyn Environment) -> Sources {
        let mut sources = Sources::new(text, path, environment);
        sources.overlay = overlay_path(self, environment);
        sources.has_overlay = overlay.is_some();
        sources.followed = self.followed();
        sources.print = sources.print_of(Ok(text), overlay.map_or(NONE, |overlay| Ok(&overlay.text)), environment);
        let print = |path: &Path| Print::of([held(&environment.read(path))]);
        sources.files = self.files().map(|(key, path)| (key, print(path))).collect();
        for (key, line) in overlay.map(Overlay::keys).unwrap_or_default() {
            sources.note(key, format!("devices.toml line {line}"));
        }
        sources
    }

    fn followed(&self) -> Vec<PathBuf> {
        [&self.web.tls_cert_file, &self.web.tls_key_file].into_iter().flatten().cloned().collect()
    }

    /// The files that connections are made with and that hold no secret of their own kind: those are looked at by what they
    /// hold.
    fn files(&self) -> impl Iterator<Item = (String, &Path)> {
        let Self { home, web, .. } = self;
        let own = [
            ("home.ca_file", &home.ca_file),
            ("home.client_cert_file", &home.client_cert_file),
            ("home.client_key_file", &home.client_key_file),
            ("web.tls_cert_file", &web.tls_cert_file),
            ("web.tls_key_file", &web.tls_key_file),
        ];
        let own = own.into_iter().map(|(key, path)| (key.to_owned(), path));
        let applications = self.application.iter().enumerate();
        let applications = applications.map(|(index, it)| (format!("application[{index}].ca_file"), &it.ca_file));
        own.chain(applications).filter_map(|(key, path)| Some((key, path.as_deref()?)))
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
