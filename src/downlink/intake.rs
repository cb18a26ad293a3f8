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
use super::desk::{Asked, Reply};
use super::encode::{Encoder, encode};
use super::queue::Event;
use super::refusal::Refusal;
use crate::home::{Called, HomeCommand, Verb};
use crate::model::{
    ApplicationName, Command, DeviceKey, Directory, DownlinkId, DownlinkRequest, Payload, Priority, QueuedDownlink,
};
use crate::mqtt::Ack;

/// The commands of the home and of the desk, each parsed, resolved and encoded.
pub struct Intake {
    commands: mpsc::Receiver<HomeCommand>,
    asked: mpsc::Receiver<Asked>,
    steps: Arc<Preparing>,
    /// Over once the devices are known: a command that waited at the broker comes before them.
    opening: Option<BoxFuture<'static, ()>>,
    /// The command being worked on: kept here, so that [`Intake::next`] may be dropped at any time.
    preparing: Option<BoxFuture<'static, Order>>,
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

/// A command after the first two steps, and who waits for an answer beside the home.
pub struct Order {
    pub prepared: Prepared,
    pub reply: Option<Reply>,
    /// Done once the command is stored or refused: until then the home broker sends it again.
    pub ack: Ack,
    /// What the ids begin with that are made for it, each time the home broker sends it.
    pub stem: Option<String>,
}

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
    /// What a topic calls a device that there is not; nothing if there was no topic.
    Unknown(Option<Box<Called>>),
}

impl Intake {
    pub fn new(commands: mpsc::Receiver<HomeCommand>, asked: mpsc::Receiver<Asked>, steps: Preparing) -> Self {
        Self { commands, asked, steps: Arc::new(steps), opening: None, preparing: None }
    }

    /// Looks at nothing until `opening` is over.
    pub fn opening_after(self, opening: BoxFuture<'static, ()>) -> Self {
        Self { opening: Some(opening), ..self }
    }

    /// The next command, ready; `None` once there will be no more. Loses nothing when dropped half-way.
    pub async fn next(&mut self) -> Option<Order> {
        if let Some(opening) = &mut self.opening {
            opening.await;
            self.opening = None;
        }
        if self.preparing.is_none() {
            let steps = self.steps.clone();
            self.preparing = tokio::select! {
                Some(command) = self.commands.recv() => Some(steps.prepare(command).boxed()),
                Some(asked) = self.asked.recv() => Some(steps.answer(asked).boxed()),
                else => return None,
            };
        }
        let order = self.preparing.as_mut()?.await;
        self.preparing = None;
        Some(order)
    }

    /// Takes no further commands; those that are here already still come out of [`Intake::next`].
    pub fn close(&mut self) {
        self.commands.close();
        self.asked.close();
        self.opening = None;
    }
}

impl Preparing {
    async fn prepare(self: Arc<Self>, mut command: HomeCommand) -> Order {
        let ack = std::mem::take(&mut command.ack);
        let stem = ack.packet().map(|packet| stem(packet, &command));
        let prepared = match self.resolve(&command) {
            Ok((key, verb)) => self.try_prepare(key, verb, &command.payload, stem.as_deref()).await,
            Err(refused) => Err(refused),
        };
        Order { prepared: prepared.unwrap_or_else(Prepared::Refused), reply: None, ack, stem }
    }

    async fn answer(self: Arc<Self>, asked: Asked) -> Order {
        let found = {
            let directory = Directory::lock(&self.directory);
            accept::find(&asked.device, asked.application.as_deref(), &directory, self.only.as_ref())
        };
        let prepared = match found {
            Ok(key) => self.try_prepare(key, &asked.verb, &asked.payload, None).await,
            Err(refusal) => Err(Refused { addressee: Addressee::Unknown(None), id: None, refusal }),
        };
        let prepared = prepared.unwrap_or_else(Prepared::Refused);
        Order { prepared, reply: Some(asked.reply), ack: Ack::default(), stem: None }
    }

    async fn try_prepare(
        &self,
        key: DeviceKey,
        verb: &Verb,
        payload: &[u8],
        stem: Option<&str>,
    ) -> Result<Prepared, Refused> {
        let refuse = |refusal| Refused { addressee: Addressee::Device(key.clone()), id: None, refusal };
        Ok(match accept::parse(verb, payload).map_err(refuse)? {
            Command::Set(fields) => Prepared::Push(self.encode(&key, vec![self.plain(fields)], stem).await?),
            Command::Push(requests) => Prepared::Push(self.encode(&key, requests, stem).await?),
            Command::Replace(requests) => Prepared::Replace(key.clone(), self.encode(&key, requests, stem).await?),
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
        accept::resolve(command, &directory, self.only.as_ref()).map_err(|(called, refusal)| Refused {
            addressee: Addressee::Unknown(called.map(Box::new)),
            id: None,
            refusal,
        })
    }

    /// All of them, or none and the reason of the first that fails.
    async fn encode(
        &self,
        key: &DeviceKey,
        requests: Vec<DownlinkRequest>,
        stem: Option<&str>,
    ) -> Result<Vec<QueuedDownlink>, Refused> {
        let several = requests.len() > 1;
        let mut ids = HashSet::new();
        let mut downlinks = Vec::new();
        for (index, request) in requests.into_iter().enumerate() {
            let given = request.id.clone();
            let id = given.clone().unwrap_or_else(|| stem.map_or_else(new_id, with_stem));
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

    /// The device it is about, unless it is refused.
    pub fn key(&self) -> Option<&DeviceKey> {
        match self {
            Self::Push(downlinks) => downlinks.first().map(|downlink| &downlink.key),
            Self::Replace(key, _) | Self::Cancel(key, _) | Self::Clear(key) => Some(key),
            Self::Refused(_) => None,
        }
    }
}

/// An id nobody else has: 64 random bits.
pub fn new_id() -> DownlinkId {
    DownlinkId::random(fastrand::u64(..))
}

/// An id nobody else has, that tells which command it was made for.
fn with_stem(stem: &str) -> DownlinkId {
    let random = fastrand::u32(..);
    DownlinkId::parse(&format!("{stem}{random:08x}")).expect("sixteen hexadecimal digits are an id")
}

/// The same each time the home broker sends a command, and hardly ever the same for two.
fn stem(packet: u16, command: &HomeCommand) -> String {
    let meant = format!("{packet} {:?} ", command.candidates);
    let bytes = meant.bytes().chain(command.payload.iter().copied());
    format!("{:08x}", bytes.fold(FNV_OFFSET, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(FNV_PRIME)))
}

/// FNV-1a of 32 bits: the same in every release, for the broker may send a command again to a newer one.
const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

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
