//! What the configuration says about the home side, as it stands now: a reload replaces it while everything runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use url::Url;

use super::config::{AvailabilityConfig, DeviceConfig, HomeAssistantConfig, HomeConfig, Output};
use super::ledger::Retained;
use super::topics::{InvalidTopics, Topics};
use crate::model::{DeviceKey, HomeName};
use crate::mqtt::Qos;

/// Everything about topics, devices and Home Assistant that can change without a reconnect.
#[derive(Debug, Clone)]
pub struct Settings {
    pub topics: Topics,
    pub home_assistant: HomeAssistantConfig,
    pub availability: AvailabilityConfig,
    /// Where people see the bridge's own page.
    page: Option<Url>,
    defaults: Options,
    devices: HashMap<DeviceKey, DeviceConfig>,
}

/// How what is told about one device is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub output: Output,
    pub retain: bool,
    pub qos: Qos,
    /// The least time between two states.
    pub throttle: Duration,
    pub expiry: Option<Duration>,
}

impl Settings {
    /// `name_levels`: levels of the longest name that commands are subscribed to.
    ///
    /// # Errors
    /// A template that is none, or under which two devices would share a topic.
    pub fn new<'a>(
        home: &HomeConfig,
        home_assistant: &HomeAssistantConfig,
        availability: AvailabilityConfig,
        devices: impl IntoIterator<Item = (DeviceKey, &'a DeviceConfig)>,
        name_levels: usize,
    ) -> Result<Self, InvalidTopics> {
        let HomeConfig { output, retain, qos, throttle, expiry, .. } = *home;
        Ok(Self {
            topics: Topics::new(home, name_levels)?,
            home_assistant: home_assistant.clone(),
            availability,
            page: None,
            defaults: Options { output, retain, qos, throttle, expiry },
            devices: devices.into_iter().map(|(key, device)| (key, device.clone())).collect(),
        })
    }

    /// With the address of the bridge's own page, if it is one.
    pub fn with_page(self, url: Option<&str>) -> Self {
        Self { page: url.and_then(|url| Url::parse(url).ok()), ..self }
    }

    /// The address of the bridge's own page, if people can see one.
    pub fn page(&self) -> Option<&Url> {
        self.page.as_ref()
    }

    /// The address of what that page shows of this device.
    pub fn page_of(&self, device: &HomeName) -> Option<String> {
        let mut url = self.page.clone()?;
        // The rest of what needs it is encoded by the address itself.
        url.set_fragment(Some(&format!("/device/{}", device.as_str().replace('%', "%25"))));
        Some(url.into())
    }

    /// How what is told about this device is published.
    pub fn options(&self, key: &DeviceKey) -> Options {
        let (Some(own), all) = (self.device(key), self.defaults) else { return self.defaults };
        Options {
            output: own.output.unwrap_or(all.output),
            retain: own.retain.unwrap_or(all.retain),
            qos: own.qos.unwrap_or(all.qos),
            throttle: own.throttle.unwrap_or(all.throttle),
            expiry: own.expiry.or(all.expiry),
        }
    }

    /// Whether the broker shall keep this of a device. What discovery announces is for discovery to say.
    pub fn wants(&self, key: &DeviceKey, what: &Retained) -> bool {
        let Options { output, retain, .. } = self.options(key);
        match what {
            Retained::State => retain && output != Output::Attribute,
            Retained::Field(_) => retain && output != Output::Json,
            _ => true,
        }
    }

    /// What the user says about this device, if anything.
    pub fn device(&self, key: &DeviceKey) -> Option<&DeviceConfig> {
        self.devices.get(key)
    }
}

/// The settings as they stand at each moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LiveSettings(watch::Receiver<Arc<Settings>>);

impl LiveSettings {
    /// The settings, and who may replace them.
    pub fn new(settings: Settings) -> (watch::Sender<Arc<Settings>>, Self) {
        let (replace, settings) = watch::channel(Arc::new(settings));
        (replace, Self(settings))
    }

    pub fn now(&self) -> Arc<Settings> {
        self.0.borrow().clone()
    }

    /// Whether they were replaced since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        let changed = self.0.has_changed().unwrap_or(false);
        self.0.mark_unchanged();
        changed
    }

    /// Resolves when they were replaced since this was last asked; never once nobody can any more.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
impl LiveSettings {
    /// Settings as they are when nothing is configured, for names of so many levels.
    pub fn usual(name_levels: usize) -> Self {
        let (home, assistant) = (HomeConfig::default(), HomeAssistantConfig::default());
        let settings = Settings::new(&home, &assistant, AvailabilityConfig::default(), [], name_levels);
        Self::new(settings.expect("the defaults are valid")).1
    }
}
