//! Takes commands one after the other through the first two steps, so that those of one device keep their order.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::DownlinkConfig;
use super::accept;
use super::encode::{Encoder, encode};
use super::queue::Event;
use super::refusal::Refusal;
use crate::home::{HomeCommand, Verb};
use crate::model::{
    ApplicationName, Command, DeviceKey, Directory, DownlinkId, DownlinkRequest, HomeName, Payload, Priority,
    QueuedDownlink,
};

/// The commands of the home, each parsed, resolved and encoded.
pub struct Intake {
    commands: mpsc::Receiver<HomeCommand>,
    steps: Arc<Preparing>,
    /// The command being worked on: kept here, so that [`Intake::next`] may be dropped at any time.
    preparing: Option<BoxFuture<'static, Prepared>>,
}

/// What the first two steps need.
pub struct Preparing {
    pub directory: Arc<Mutex<Directory>>,
    pub encoder: Arc<dyn Encoder>,
    /// The one application, if there is only one.
    pub only: Option<ApplicationName>,
    pub now: Clock,
    pub config: DownlinkConfig,
}

/// The time, as this flow sees it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What became of one command.
pub enum Prepared {
    Push(Vec<QueuedDownlink>),
    Replace(DeviceKey, Vec<QueuedDownlink>),
    Cancel(DeviceKey, DownlinkId),
    Clear(DeviceKey),
    Refused(Refused),
}

/// A command that cannot be carried out, and where to say so.
pub struct Refused {
    pub addressee: Addressee,
    /// The id the command gave, if it came so far.
    pub id: Option<DownlinkId>,
    pub refusal: Refusal,
}

/// Whose `downlink/state` tells of a refusal.
pub enum Addressee {
    Device(DeviceKey),
    /// A name that no device has; nothing if it cannot even be published under.
    Unknown(Option<HomeName>),
}

impl Intake {
    pub fn new(commands: mpsc::Receiver<HomeCommand>, steps: Preparing) -> Self {
        Self { commands, steps: Arc::new(steps), preparing: None }
    }

    /// The next command, ready; `None` once there will be no more. Loses nothing when dropped half-way.
    pub async fn next(&mut self) -> Option<Prepared> {
        if self.preparing.is_none() {
            let command = self.commands.recv().await?;
            self.preparing = Some(self.steps.clone().prepare(command).boxed());
        }
        let prepared = self.preparing.as_mut()?.await;
        self.preparing = None;
        Some(prepared)
    }

    /// Takes no further commands; those that are here already still come out of [`Intake::next`].
    pub fn close(&mut self) {
        self.commands.close();
    }
}

impl Preparing {
    async fn prepare(self: Arc<Self>, command: HomeCommand) -> Prepared {
        self.try_prepare(&command).await.unwrap_or_else(Prepared::Refused)
    }

    async fn try_prepare(&self, command: &HomeCommand) -> Result<Prepared, Refused> {
        let (key, verb) = self.resolve(command)?;
        let refuse = |refusal| Refused { addressee: Addressee::Device(key.clone()), id: None, refusal };
        Ok(match accept::parse(verb, &command.payload).map_err(refuse)? {
            Command::Set(fields) => Prepared::Push(self.encode(&key, vec![self.plain(fields)]).await?),
            Command::Push(requests) => Prepared::Push(self.encode(&key, requests).await?),
            Command::Replace(requests) => Prepared::Replace(key.clone(), self.encode(&key, requests).await?),
            Command::Cancel(id) => Prepared::Cancel(key, id),
            Command::Clear => Prepared::Clear(key),
        })
    }

    /// `…/set` says no more than the fields: everything else is as the codec and the configuration have it.
    fn plain(&self, fields: Box<RawValue>) -> DownlinkRequest {
        DownlinkRequest {
            id: None,
            f_port: None,
            payload: Payload::Fields(fields),
            confirmed: self.config.confirm_set,
            priority: Priority::default(),
            attempts: self.config.confirm_set.then_some(self.config.set_attempts),
            expires_in: None,
            not_before: None,
            supersedes: None,
        }
    }

    fn resolve<'a>(&self, command: &'a HomeCommand) -> Result<(DeviceKey, &'a Verb), Refused> {
        let directory = Directory::lock(&self.directory);
        accept::resolve(command, &directory, self.only.as_ref()).map_err(|(name, refusal)| Refused {
            addressee: Addressee::Unknown(name),
            id: None,
            refusal,
        })
    }

    /// All of them, or none and the reason of the first that fails.
    async fn encode(&self, key: &DeviceKey, requests: Vec<DownlinkRequest>) -> Result<Vec<QueuedDownlink>, Refused> {
        let several = requests.len() > 1;
        let mut ids = HashSet::new();
        let mut downlinks = Vec::new();
        for (index, request) in requests.into_iter().enumerate() {
            let given = request.id.clone();
            let id = given.clone().unwrap_or_else(new_id);
            let encoded = if ids.insert(id.clone()) {
                encode(self.encoder.as_ref(), key, id, request, (self.now)()).await
            } else {
                Err(Refusal::new(format!("id `{id}` is used twice")))
            };
            downlinks.push(encoded.map_err(|refusal| {
                let refusal = if several { refusal.of_item(index + 1) } else { refusal };
                Refused { addressee: Addressee::Device(key.clone()), id: given.filter(|_| !several), refusal }
            })?);
        }
        Ok(downlinks)
    }
}

impl Prepared {
    /// The device and the downlinks that it would add to the queue.
    pub fn adds(&self) -> &[QueuedDownlink] {
        match self {
            Self::Push(downlinks) | Self::Replace(_, downlinks) => downlinks,
            Self::Cancel(..) | Self::Clear(_) | Self::Refused(_) => &[],
        }
    }
}

/// An id nobody else has: 64 random bits.
pub fn new_id() -> DownlinkId {
    DownlinkId::random(fastrand::u64(..))
}

/// The events of one command for the queue.
pub fn events(prepared: Prepared) -> Result<Vec<Event>, Refused> {
    Ok(match prepared {
        Prepared::Push(downlinks) => downlinks.into_iter().map(Event::Accept).collect(),
        Prepared::Replace(key, downlinks) => vec![Event::Replace(key, downlinks)],
        Prepared::Cancel(key, id) => vec![Event::Cancel(key, id)],
        Prepared::Clear(key) => vec![Event::Clear(key)],
        Prepared::Refused(refused) => return Err(refused),
    })
}
