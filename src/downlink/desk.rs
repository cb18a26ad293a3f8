//! The flow's handle for those who ask inside the process: the control API, on the same path as commands over MQTT.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};

use super::queue::Item;
use super::{OpenDownlinks, Refusal, accept, ledger, track};
use crate::home::Verb;
use crate::model::{ApplicationName, DeviceId, DeviceKey, Directory, DownlinkId, Priority, State, Step};
use crate::store::{Store, StoreError};

/// Commands of the control API that wait to be looked at.
pub const DESK_CAPACITY: usize = 64;
/// Downlinks that are listed at once, at most.
const MOST_LISTED: usize = 10_000;

/// Takes commands, and tells of downlinks, open and finished. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk {
    pub(super) asking: mpsc::Sender<Asked>,
    pub(super) open: OpenDownlinks,
    pub(super) store: Store,
    pub(super) directory: Arc<Mutex<Directory>>,
    pub(super) changes: watch::Receiver<u64>,
    /// The one application, if there is only one.
    pub(super) only: Option<ApplicationName>,
}

/// A command on its way from the desk to the flow.
#[derive(Debug)]
pub struct Asked {
    /// A name at home or an id at the network.
    pub device: String,
    pub application: Option<String>,
    pub verb: Verb,
    pub payload: Bytes,
    pub reply: Reply,
}

/// Where the answer to a command goes: the downlinks it accepted or touched, as they were stored.
pub type Reply = oneshot::Sender<Result<Vec<Item>, Refusal>>;

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
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Downlink")]
pub struct DownlinkView {
    pub id: DownlinkId,
    /// Its name at home.
    pub device: String,
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
    /// Steps it ever made.
    pub step_count: u32,
    /// The first, and the latest of the others.
    pub steps: Vec<Step>,
}

impl Desk {
    /// Carries out a command as if it had come over MQTT, and answers once it is stored: with the downlinks it accepted,
    /// or those it touched. `device` is a name at home or an id at the network. A refusal is told here only.
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
        let (reply, answer) = oneshot::channel();
        let (device, application) = (device.to_owned(), application.map(str::to_owned));
        let stopping = || Refusal::new("the bridge is stopping").hint("send it again once it runs").passes();
        let asked = Asked { device, application, verb, payload, reply };
        self.asking.send(asked).await.map_err(|_| stopping())?;
        let items = answer.await.unwrap_or_else(|_| Err(stopping()))?;
        Ok(items.iter().map(|item| self.view(item)).collect())
    }

    /// The device that goes by this name at home, or has this id at the network.
    ///
    /// # Errors
    /// There is none, or there are several; what to do about it.
    pub fn find(&self, device: &str, application: Option<&str>) -> Result<DeviceKey, Refusal> {
        accept::find(device, application, &Directory::lock(&self.directory), self.only.as_ref())
    }

    /// Which devices there are.
    pub fn directory(&self) -> &Mutex<Directory> {
        &self.directory
    }

    /// Downlinks, the newest first.
    ///
    /// # Errors
    /// The device is not known, or the store cannot be read.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<DownlinkView>, Refusal> {
        let Filter { device, application, open_only, most } = filter;
        let key = device.as_deref().map(|device| self.find(device, application.as_deref()));
        let (key, most) = (key.transpose()?, (*most).min(MOST_LISTED));
        let mut items = match open_only {
            true => self.open.items(),
            false => ledger::newest(&self.store, key.clone(), most).await.map_err(unreadable)?,
        };
        items.retain(|item| key.as_ref().is_none_or(|key| item.downlink.key == *key));
        let named =
            |item: &Item| application.as_deref().is_none_or(|name| item.downlink.key.application.as_str() == name);
        items.retain(named);
        items.sort_by_key(|item| Reverse(item.created_at));
        Ok(items.iter().take(most).map(|item| self.view(item)).collect())
    }

    /// One downlink, as long as it is remembered.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn show(&self, id: &DownlinkId) -> Result<Option<DownlinkView>, Refusal> {
        let item = match self.open.find(id) {
            Some(item) => Some(item),
            None => ledger::find(&self.store, id).await.map_err(unreadable)?,
        };
        Ok(item.map(|item| self.view(&item)))
    }

    /// Stops one downlink if that is still possible. What came of it shows in its steps.
    ///
    /// # Errors
    /// No open downlink has this id.
    pub async fn cancel(&self, id: &DownlinkId) -> Result<DownlinkView, Refusal> {
        let unknown = || Refusal::new(format!("no downlink has the id `{id}`"));
        let view = self.show(id).await?.ok_or_else(unknown)?;
        let body = Bytes::from(json!({ "id": id }).to_string());
        let (device, application) = (view.device_id.as_str(), Some(view.application.as_str()));
        let touched = self.ask(device, application, Verb::Cancel, body).await?;
        Ok(touched.into_iter().next().unwrap_or(view))
    }

    /// Rises with every step of any downlink: whoever waits for an end looks again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// How the queue stands.
    pub fn open(&self) -> OpenDownlinks {
        self.open.clone()
    }

    fn view(&self, item: &Item) -> DownlinkView {
        let downlink = &item.downlink;
        let name = track::name(&self.directory, &downlink.key);
        let (state, reason, hint) = match item.steps().last() {
            Some(step) => (step.state, step.reason.clone(), step.hint.clone()),
            None => (State::Accepted, None, None),
        };
        DownlinkView {
            id: downlink.id.clone(),
            device: name.map_or_else(|| downlink.key.device.to_string(), |name| name.to_string()),
            application: downlink.key.application.clone(),
            device_id: downlink.key.device.clone(),
            state,
            reason,
            hint,
            open: !item.ended(),
            f_port: downlink.f_port.value(),
            payload_hex: hex::encode_upper(&downlink.payload),
            confirmed: downlink.confirmed,
            attempts: downlink.attempts,
            priority: downlink.priority,
            created_at: item.created_at,
            updated_at: item.updated_at,
            expires_at: downlink.expires_at,
            not_before: downlink.not_before,
            supersedes: downlink.supersedes.clone(),
            step_count: item.step_count(),
            steps: item.steps().to_vec(),
        }
    }
}

fn unreadable(error: StoreError) -> Refusal {
    Refusal::new(error.to_string()).hint("the log tells what is wrong with the disk").passes()
}
