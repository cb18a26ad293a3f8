//! What a running bridge takes from another configuration without a restart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use crate::app::error::BuildError;
use crate::app::sides::settings;
use crate::codecs::Codecs;
use crate::config::{Config, DeviceConfig};
use crate::home::Settings;
use crate::model::{ApplicationName, DeviceKey, Directory, HomeName, InvalidName, Renamed, Taken};
use crate::telemetry::{LogLevel, Notice, Notices};
use crate::uplink;
use crate::web::{self, Certificate};

/// Everything that a reload can reach.
pub(super) struct Live {
    pub settings: watch::Sender<Arc<Settings>>,
    pub directory: Arc<Mutex<Directory>>,
    pub devices_changed: watch::Sender<()>,
    pub codecs: Codecs,
    pub log: LogLevel,
    pub health_interval: watch::Sender<Duration>,
    pub notices: Notices,
    pub certificate: watch::Sender<Certificate>,
}

/// What a good configuration comes to.
pub(super) struct Prepared {
    settings: Settings,
    codecs: HashMap<DeviceKey, String>,
    default_codecs: HashMap<ApplicationName, String>,
    names: HashMap<DeviceKey, HomeName>,
}

impl Live {
    /// Makes everything that can be wrong, and touches nothing.
    pub fn prepare(&self, started: &Config, new: &Config) -> Result<Prepared, BuildError> {
        let mut followed = new.clone();
        // The last will of the connection stands there.
        followed.home.base_topic.clone_from(&started.home.base_topic);
        // It is a name that the page answers to, too.
        followed.web.url.clone_from(&started.web.url);
        let devices = new.devices()?;
        let codec = |(key, device): &(DeviceKey, &DeviceConfig)| Some((key.clone(), device.codec.clone()?));
        let codecs: HashMap<_, _> = devices.iter().filter_map(codec).collect();
        let mut default_codecs = HashMap::new();
        for application in &new.application {
            let name = ApplicationName::parse(application.name())?;
            default_codecs.extend(application.codec.clone().map(|codec| (name, codec)));
        }
        self.codecs.check_names(codecs.values().chain(default_codecs.values()).map(String::as_str))?;
        Ok(Prepared { settings: settings(&followed)?, codecs, default_codecs, names: names(new)? })
    }

    /// Lets a configuration take its effect.
    pub fn apply(&self, old: &Config, new: &Config, prepared: Prepared) {
        self.rename(old, prepared.names);
        // After the names: states are published anew where they now belong.
        self.settings.send_replace(Arc::new(prepared.settings));
        self.codecs.reassign(prepared.codecs, prepared.default_codecs);
        self.devices_changed.send_replace(());
        if old.service.health_interval != new.service.health_interval {
            self.health_interval.send_replace(new.service.health_interval);
        }
        if old.web.identity != new.web.identity {
            self.certificate.send_replace(web::certificate(new.web.identity.as_deref()));
        }
        if old.log.level != new.log.level
            && let Err(error) = self.log.set(&new.log.level)
        {
            tracing::warn!(%error, hint = error.hint(), "The log level stays.");
        }
    }

    /// Forgets a device. The flows follow, and take away what is retained of it.
    pub fn forget(&self, key: &DeviceKey) {
        uplink::forget(key, &self.directory, &self.notices);
        self.devices_changed.send_replace(());
    }

    /// What is retained under old names is emptied by the uplink flow, as soon as the home broker is there.
    fn rename(&self, old: &Config, names: HashMap<DeviceKey, HomeName>) {
        let before = names_or_none(old);
        let gone = before.keys().filter(|key| !names.contains_key(*key)).map(|key| (key.clone(), None));
        let now = names.iter().filter(|(key, name)| before.get(*key) != Some(*name));
        let wanted = gone.chain(now.map(|(key, name)| (key.clone(), Some(name.clone())))).collect();
        let (renamed, taken) = Directory::lock(&self.directory).rename_all(wanted);
        for Renamed { key, from, to } in renamed {
            let (application, device_id) = (key.application.clone(), key.device.to_string());
            self.notices.tell(Notice::DeviceRenamed { from, to, application, device_id });
        }
        for Taken { name, device, holder } in taken {
            let got = Directory::lock(&self.directory).find(&device).map(|device| device.name.clone());
            let (wanted, key, holder) = (name, device.to_string(), holder.to_string());
            let device = got.unwrap_or_else(|| wanted.clone());
            self.notices.tell(Notice::NameTaken { wanted, device, key, holder });
        }
    }
}

/// The names that a configuration gives.
fn names(config: &Config) -> Result<HashMap<DeviceKey, HomeName>, InvalidName> {
    let named = config.devices()?.into_iter().filter_map(|(key, device)| Some((key, device.friendly_name.as_deref()?)));
    named.map(|(key, name)| Ok((key, HomeName::parse(name)?))).collect()
}

/// Those of a configuration that is in use, and so has none that are invalid.
fn names_or_none(config: &Config) -> HashMap<DeviceKey, HomeName> {
    names(config).unwrap_or_default()
}
