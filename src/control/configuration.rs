//! Requests about the configuration, and the way to the task that keeps it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use super::Body;
use super::problem::{Kind, Problem};
use crate::model::{DeviceKey, HomeName};
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
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct InUse {
    /// Without secrets.
    pub configuration: Value,
    /// Keys that were changed and count after a restart only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs_restart: Vec<String>,
    /// Why what is in the file now is not used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configuration_problems: Vec<ConfigurationProblem>,
}

/// What a check is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    text: Option<String>,
}

impl InUse {
    /// A configuration that has just been taken into use.
    pub fn of(configuration: Value) -> Self {
        Self { configuration, ..Self::default() }
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
    /// The request is no such object.
    pub async fn check(&self, request: Body) -> Result<Value, Problem> {
        let Wanted { text } = request.read()?;
        self.ask(Ask::Check { text }).await
    }

    /// Reads the configuration again and applies it as far as that goes without a restart: the keys that `changed`, and
    /// those that `needs_restart`.
    ///
    /// # Errors
    /// It cannot be used; then nothing changes.
    pub async fn reload(&self) -> Result<Value, Problem> {
        self.ask(Ask::Reload).await
    }

    pub(super) async fn ask(&self, ask: Ask) -> Result<Value, Problem> {
        let stopping = || Problem::new(Kind::Unavailable, "the bridge is stopping").hint("ask again once it runs");
        let (reply, answer) = oneshot::channel();
        self.asking.send(Asked { ask, reply }).await.map_err(|_| stopping())?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_check_needs_no_words_and_takes_a_text() {
        let (configuration, mut asked) = Configuration::new();
        for (request, text) in [("", None), (" null", None), ("{}", None), (r#"{"text": "a"}"#, Some("a".to_owned()))] {
            let served = async {
                let Asked { ask, reply } = asked.recv().await.unwrap();
                reply.send(Ok(Value::Null)).unwrap();
                ask
            };
            let (answer, ask) = tokio::join!(configuration.check(Body::parse(request.as_bytes()).unwrap()), served);
            assert_eq!((answer, ask), (Ok(Value::Null), Ask::Check { text }));
        }
        let refused = configuration.check(Body::parse(br#"{"txt": "a"}"#).unwrap()).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Malformed);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_bridge_that_stops() {
        let (configuration, asked) = Configuration::new();
        drop(asked);
        assert_eq!(configuration.reload().await.unwrap_err().kind, Kind::Unavailable);
    }
}
