//! Requests that change what is said of one device: its options, its name, whether it is there at all.

use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Body;
use super::configuration::{Ask, Configuration};
use super::problem::{Kind, Problem};
use crate::downlink::find_device;
use crate::model::{ApplicationName, DeviceKey, Directory, HomeName};

/// Answers requests that change a device. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Devices {
    directory: Arc<Mutex<Directory>>,
    configuration: Configuration,
    /// The application, if there is only one.
    only: Option<ApplicationName>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedOptions {
    /// By its name at home or its id at the network.
    device: String,
    application: Option<String>,
    #[serde(default)]
    options: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedName {
    #[serde(alias = "from")]
    device: String,
    application: Option<String>,
    /// Without it the device is called as the configuration file or the network say.
    to: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedRemoval {
    device: String,
    application: Option<String>,
}

impl Devices {
    pub fn new(
        directory: Arc<Mutex<Directory>>,
        configuration: Configuration,
        applications: &[ApplicationName],
    ) -> Self {
        let only = if let [only] = applications { Some(only.clone()) } else { None };
        Self { directory, configuration, only }
    }

    /// Changes options of a `device`: the `options` are keys of `[[device]]`, which from now on count over the
    /// configuration file; `null` gives the word back to the file. Answers with all options given this way.
    ///
    /// # Errors
    /// The request is no such object, names no device, or an option cannot be used.
    pub async fn options(&self, request: Body) -> Result<Value, Problem> {
        let WantedOptions { device, application, options } = request.read()?;
        let device = self.find(&device, application.as_deref())?;
        self.configuration.ask(Ask::Options { device, options }).await
    }

    /// Gives a `device` (or `from`) the name `to`. What was retained under its old name goes away.
    ///
    /// # Errors
    /// The request is no such object, names no device, or another one has the name.
    pub async fn rename(&self, request: Body) -> Result<Value, Problem> {
        let WantedName { device, application, to } = request.read()?;
        let device = self.find(&device, application.as_deref())?;
        let to = to.as_deref().map(HomeName::parse).transpose();
        let to = to.map_err(|error| Problem::new(Kind::Malformed, error.to_string()))?;
        self.configuration.ask(Ask::Rename { device, to }).await
    }

    /// Forgets a `device`, what was said of it here and what is retained of it. If the network still has it, it comes
    /// back as a new one with its next message.
    ///
    /// # Errors
    /// The request is no such object, names no device, or the device stands in the configuration file.
    pub async fn remove(&self, request: Body) -> Result<Value, Problem> {
        let WantedRemoval { device, application } = request.read()?;
        let device = self.find(&device, application.as_deref())?;
        self.configuration.ask(Ask::Remove { device }).await
    }

    fn find(&self, device: &str, application: Option<&str>) -> Result<DeviceKey, Problem> {
        let directory = Directory::lock(&self.directory);
        find_device(device, application, &directory, self.only.as_ref())
            .map_err(|refusal| Problem::of(Kind::Unknown, refusal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::configuration::Asked;
    use crate::model::DeviceId;

    fn body(text: &[u8]) -> Body {
        Body::parse(text).unwrap()
    }

    #[tokio::test]
    async fn a_device_is_found_by_name_or_id_and_what_is_wanted_is_passed_on() {
        let application = ApplicationName::parse("app").unwrap();
        let key = DeviceKey::new(&application, DeviceId::parse("node").unwrap());
        let directory = Arc::new(Mutex::new(Directory::default()));
        let lamp = HomeName::parse("lamp").unwrap();
        Directory::lock(&directory).add(key.clone(), lamp.clone());
        let (configuration, mut asked) = Configuration::new();
        let devices = Devices::new(directory, configuration, &[application]);
        let mut passed_on = async || {
            let Asked { ask, reply } = asked.recv().await.unwrap();
            reply.send(Ok(Value::Null)).unwrap();
            ask
        };
        let request = br#"{"device": "lamp", "options": {"retain": false, "qos": null}}"#;
        let (answer, ask) = tokio::join!(devices.options(body(request)), passed_on());
        let options = Map::from_iter([("retain".into(), Value::Bool(false)), ("qos".into(), Value::Null)]);
        assert_eq!((answer, ask), (Ok(Value::Null), Ask::Options { device: key.clone(), options }));
        let (_, ask) = tokio::join!(devices.rename(body(br#"{"from": "node", "to": "lamp"}"#)), passed_on());
        assert_eq!(ask, Ask::Rename { device: key, to: Some(lamp) });
    }

    #[tokio::test]
    async fn what_is_misspelt_or_unknown_is_refused() {
        let (configuration, _asked) = Configuration::new();
        let devices = Devices::new(Arc::default(), configuration, &[]);
        for (request, kind) in [
            (r#"{"device": "lamp", "optoins": {}}"#, Kind::Malformed),
            (r#"{"options": {}}"#, Kind::Malformed),
            (r#"{"device": "lamp"}"#, Kind::Unknown),
        ] {
            assert_eq!(devices.options(body(request.as_bytes())).await.unwrap_err().kind, kind, "{request}");
        }
    }
}
