//! The flow's handle for those who ask inside the process: the control API, on the same path as commands over MQTT.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use super::Refusal;
use crate::home::Verb;
use crate::model::{ApplicationName, DeviceId, DownlinkId, HomeName, Priority, State, Step};

/// Takes commands, and tells of downlinks, open and finished. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk {}

/// Which downlinks are asked for.
#[derive(Debug, Clone)]
pub struct Filter {
    /// By its name at home or its id at the network.
    pub device: Option<String>,
    pub application: Option<String>,
    pub open_only: bool,
    /// At most so many, the newest.
    pub most: usize,
}

/// A downlink from its acceptance to where it is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DownlinkView {
    pub id: DownlinkId,
    pub device: HomeName,
    pub application: ApplicationName,
    pub device_id: DeviceId,
    pub state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// It has not reached its end.
    pub open: bool,
    pub f_port: u8,
    pub payload_hex: String,
    pub confirmed: bool,
    /// Transmissions at most of a confirmed one, if the command said how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u8>,
    pub priority: Priority,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
    pub steps: Vec<Step>,
}

impl Desk {
    /// Carries out a command as if it had come over MQTT, and answers once it is stored: with the downlinks it accepted,
    /// or those it touched. `device` is a name at home or an id at the network.
    ///
    /// # Errors
    /// What is wrong with the command, or why it cannot be kept.
    pub async fn ask(
        &self,
        device: &str,
        application: Option<&str>,
        verb: Verb,
        payload: Bytes,
    ) -> Result<Vec<DownlinkView>, Refusal> {
        let _ = (device, application, verb, payload);
        todo!()
    }

    /// Downlinks, the newest first.
    ///
    /// # Errors
    /// The device is not known, or the store cannot be read.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<DownlinkView>, Refusal> {
        let _ = filter;
        todo!()
    }

    /// One downlink, as long as it is remembered.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn show(&self, id: &DownlinkId) -> Result<Option<DownlinkView>, Refusal> {
        let _ = id;
        todo!()
    }

    /// Stops one downlink if that is still possible. What came of it shows in its steps.
    ///
    /// # Errors
    /// No open downlink has this id.
    pub async fn cancel(&self, id: &DownlinkId) -> Result<DownlinkView, Refusal> {
        let _ = id;
        todo!()
    }

    /// Rises with every step of any downlink: whoever waits for an end looks again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        todo!()
    }
}
