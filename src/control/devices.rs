//! Requests that change what is said of one device: its options, its name, whether it is there at all.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::configuration::{Ask, Configuration, OptionsSet, Removed, Renamed};
use super::problem::{Kind, Problem};
use super::{Told, Whose};
use crate::downlink::Desk;
use crate::model::{DeviceKey, HomeName};

/// Answers requests that change a device. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Devices {
    desk: Desk,
    configuration: Configuration,
}

/// What shall be said of a device.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// By its name at home or its id at the network.
    device: String,
    application: Option<String>,
    /// Keys of `[[device]]` in the configuration; `null` gives a key back to the file.
    #[serde(default)]
    options: Map<String, Value>,
}

/// What a device shall be called.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewName {
    /// By its name at home or its id at the network; `from` is as good.
    #[serde(alias = "from")]
    device: String,
    application: Option<String>,
    /// Without it the device is called as the configuration file or the network say.
    to: Option<String>,
}

impl Devices {
    /// `desk` knows the devices by their names.
    pub fn new(desk: Desk, configuration: Configuration) -> Self {
        Self { desk, configuration }
    }

    /// Changes options of a `device`: the `options` are keys of `[[device]]`, which from now on count over the
    /// configuration file; `null` gives the word back to the file. Answers with all options given this way.
    ///
    /// # Errors
    /// There is no such device, or an option cannot be used.
    pub async fn options(&self, wanted: Options) -> Result<Told<OptionsSet>, Problem> {
        let Options { device, application, options } = wanted;
        let device = self.find(&device, application.as_deref())?;
        self.configuration.ask(Ask::Options { device, options }).await
    }

    /// Gives a `device` (or `from`) the name `to`. What was retained under its old name goes away.
    ///
    /// # Errors
    /// There is no such device, or another one has the name.
    pub async fn rename(&self, wanted: NewName) -> Result<Told<Renamed>, Problem> {
        let NewName { device, application, to } = wanted;
        let device = self.find(&device, application.as_deref())?;
        let to = to.as_deref().map(HomeName::parse).transpose();
        let to = to.map_err(|error| Problem::new(Kind::Malformed, error.to_string()))?;
        self.configuration.ask(Ask::Rename { device, to }).await
    }

    /// Forgets a `device`, what was said of it here and what is retained of it. If the network still has it, it comes
    /// back as a new one with its next message.
    ///
    /// # Errors
    /// There is no such device, or it stands in the configuration file.
    pub async fn remove(&self, Whose { device, application }: Whose) -> Result<Told<Removed>, Problem> {
        let device = self.find(&device, application.as_deref())?;
        self.configuration.ask(Ask::Remove { device }).await
    }

    /// What requests set of a device; nothing if that cannot be read now.
    pub(super) async fn options_of(&self, device: &DeviceKey) -> Option<Map<String, Value>> {
        let ask = Ask::Options { device: device.clone(), options: Map::new() };
        let told = self.configuration.ask::<OptionsSet>(ask).await.ok()?;
        let mut set: Map<String, Value> = serde_json::from_str(told.get()).ok()?;
        set.remove("options").and_then(|options| options.as_object().cloned())
    }

    /// # Errors
    /// There is no such device, or there are several.
    pub(super) fn find(&self, device: &str, application: Option<&str>) -> Result<DeviceKey, Problem> {
        self.desk.find(device, application).map_err(|refusal| Problem::of(Kind::Unknown, refusal))
    }
}
