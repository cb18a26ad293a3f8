//! Requests about the configuration, and the way to the task that keeps it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use super::Told;
use super::problem::{Kind, Problem};
use crate::model::{ApplicationName, DeviceId, DeviceKey, HomeName};
use crate::telemetry::ConfigurationProblem;

/// Requests about the configuration that wait to be looked at.
const CAPACITY: usize = 16;

/// Answers requests about the configuration. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Configuration {
    asking: mpsc::Sender<Asked>,
}

/// A request, and who waits for its answer: the data, or why it was not done.
#[derive(Debug)]
pub struct Asked {
    pub ask: Ask,
    pub reply: oneshot::Sender<Result<Value, Problem>>,
}

/// What may be asked of whoever keeps the configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Options of a device to change, by their keys in `[[device]]`; `null` gives up what was said here before.
    Options { device: DeviceKey, options: Map<String, Value> },
    /// A device's new name at home; without one, what the configuration or the network say.
    Rename { device: DeviceKey, to: Option<HomeName> },
    /// Forget a device and everything that was said of it here.
    Remove { device: DeviceKey },
    /// Whether a text, or the file as it is now, could be used.
    Check { text: Option<String> },
    /// Read the file again.
    Reload,
}

/// How the configuration stands, for `bridge/info`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct InUse {
    /// Without secrets.
    pub configuration: Value,
    /// Keys that were changed and count after a restart only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs_restart: Vec<String>,
    /// Why what is in the file now is not used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configuration_problems: Vec<ConfigurationProblem>,
    /// What is odd about it and does no harm: for those who ask for the configuration.
    #[serde(skip)]
    pub warnings: Vec<ConfigurationProblem>,
}

/// The configuration in use, and what there is to say of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Configuration")]
pub struct Shown {
    /// Without secrets.
    configuration: Value,
    warnings: Vec<ConfigurationProblem>,
    /// Keys that were changed and count after a restart only.
    needs_restart: Vec<String>,
    /// Why what is in the file now is not used.
    problems: Vec<ConfigurationProblem>,
}

/// What a check is about.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// TOML; without it, the file as it is now.
    text: Option<String>,
}

/// A device, and all options that requests gave it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OptionsSet {
    pub device: HomeName,
    pub application: ApplicationName,
    pub device_id: DeviceId,
    /// By their keys in `[[device]]`.
    pub options: Map<String, Value>,
}

/// A device's names, before and now.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeviceRenamed")]
pub struct Renamed {
    pub from: HomeName,
    pub to: HomeName,
}

/// A device that was forgotten.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeviceRemoved")]
pub struct Removed {
    pub device: HomeName,
    pub application: ApplicationName,
    pub device_id: DeviceId,
}

/// What a configuration would do.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "ConfigurationChecked")]
pub struct Checked {
    pub valid: bool,
    /// Of one that is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<ConfigurationProblem>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<ConfigurationProblem>>,
    /// Keys by which it differs from what is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<String>>,
    /// Those of them that count after a restart only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs_restart: Option<Vec<String>>,
}

/// What a reload brought.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConfigurationReloaded")]
pub struct Reloaded {
    pub changed: Vec<String>,
    /// What differs from the start and counts after the next one only.
    pub needs_restart: Vec<String>,
}

impl InUse {
    /// A configuration that has just been taken into use.
    pub fn of(configuration: Value, warnings: Vec<ConfigurationProblem>) -> Self {
        Self { configuration, warnings, ..Self::default() }
    }

    pub fn shown(&self) -> Shown {
        let Self { configuration, needs_restart, configuration_problems, warnings } = self.clone();
        Shown { configuration, warnings, needs_restart, problems: configuration_problems }
    }
}

impl Configuration {
    /// The handle, and where its requests arrive.
    pub fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (asking, asked) = mpsc::channel(CAPACITY);
        (Self { asking }, asked)
    }

    /// Checks the `text` of a configuration or, without one, the file as it is now: `valid`, its `problems` or
    /// `warnings`, and the keys by which it differs from what is in use.
    ///
    /// # Errors
    /// The bridge is stopping.
    pub async fn check(&self, Wanted { text }: Wanted) -> Result<Told<Checked>, Problem> {
        self.ask(Ask::Check { text }).await
    }

    /// Reads the configuration again and applies it as far as that goes without a restart: the keys that `changed`, and
    /// those that `needs_restart`.
    ///
    /// # Errors
    /// It cannot be used; then nothing changes.
    pub async fn reload(&self) -> Result<Told<Reloaded>, Problem> {
        self.ask(Ask::Reload).await
    }

    /// `T` is what this is answered with.
    pub(super) async fn ask<T>(&self, ask: Ask) -> Result<Told<T>, Problem> {
        let stopping = || Problem::new(Kind::Unavailable, "the bridge is stopping").hint("ask again once it runs");
        let (reply, answer) = oneshot::channel();
        self.asking.send(Asked { ask, reply }).await.map_err(|_| stopping())?;
        answer.await.unwrap_or_else(|_| Err(stopping())).map(|answer| Told::new(&answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Body;

    #[tokio::test]
    async fn a_check_needs_no_words_and_takes_a_text() {
        let (configuration, mut asked) = Configuration::new();
        let wanted = |text: &str| Body::parse(text.as_bytes()).and_then(Body::read::<Wanted>);
        for (request, text) in [("", None), (" null", None), ("{}", None), (r#"{"text": "a"}"#, Some("a".to_owned()))] {
            let served = async {
                let Asked { ask, reply } = asked.recv().await.unwrap();
                reply.send(Ok(Value::Null)).unwrap();
                ask
            };
            let (answer, ask) = tokio::join!(configuration.check(wanted(request).unwrap()), served);
            assert_eq!((answer.unwrap().get(), ask), ("null", Ask::Check { text }));
        }
        assert_eq!(wanted(r#"{"txt": "a"}"#).unwrap_err().kind, Kind::Malformed);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_bridge_that_stops() {
        let (configuration, asked) = Configuration::new();
        drop(asked);
        assert_eq!(configuration.reload().await.unwrap_err().kind, Kind::Unavailable);
    }
}
