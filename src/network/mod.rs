//! The network side: one trait that the flows see, one folder per kind of network server.
//!
//! ```text
//! socket ──▶ stream (stamps, hands on, waits for nothing) ──▶ sorting (parses) ──▶ uplink flow
//!                                                                              └─▶ downlink flow
//! ```
mod formatter;
mod history;
mod late;
mod outages;
mod sorting;
pub mod ttn;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::model::{ApplicationName, DeviceId, DownlinkId, Failure, NetworkMessage, QueuedDownlink, VersionIds};
use crate::telemetry::{Notice, with_causes};

pub use formatter::{Formatter, FormatterError, Script};
pub use history::{Budget, DownlinkHistory, HistoryError, Source, Span};
pub use late::Late;
pub use outages::{Outage, Outages};
pub use sorting::{Arrival, Content, MissingFrames, Sorting, Tally, Tracked};

/// One application at a network server: what the two flows may ask of it.
///
/// Messages do not come through this trait: the server's own task puts them, raw, into the channel it was built with.
pub trait NetworkServer: Send + Sync {
    /// The name this application goes by.
    fn name(&self) -> &ApplicationName;

    /// Parses what the read loop handed on, now or long ago.
    fn parse(&self, raw: &RawMessage) -> Result<NetworkMessage, Unreadable>;

    /// Takes a message that has just come: learns from it what later pushes need, and returns what it says. That may be
    /// several things; the first is what [`Self::parse`] makes of it, the others are about downlinks.
    fn hear<'a>(&'a self, raw: &'a RawMessage) -> BoxFuture<'a, Result<Vec<NetworkMessage>, Unreadable>> {
        Box::pin(std::future::ready(self.parse(raw).map(|message| vec![message])))
    }

    /// Appends downlinks to the network's queue for `device`, in order, all or none. Tells what it will take next.
    fn push<'a>(
        &'a self,
        device: &'a DeviceId,
        downlinks: &'a [QueuedDownlink],
    ) -> BoxFuture<'a, Result<Budget, PushError>>;

    /// The ids of our downlinks that wait in the network's queue for `device`.
    fn waiting<'a>(&'a self, device: &'a DeviceId) -> BoxFuture<'a, Result<Vec<DownlinkId>, PushError>>;

    /// Takes downlinks of ours back out of the network's queue for `device`, if that touches no one else's and sends no
    /// other one twice. Returns those taken out; a network that cannot do this returns none.
    fn withdraw<'a>(
        &'a self,
        device: &'a DeviceId,
        ids: &'a [DownlinkId],
    ) -> BoxFuture<'a, Result<Vec<DownlinkId>, PushError>> {
        let _ = (device, ids);
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// What the network's history has of downlinks to `device` since then, and whether that is all there was. A network
    /// that keeps no history has nothing, and it is not all.
    fn downlink_history<'a>(
        &'a self,
        device: &'a DeviceId,
        since: Timestamp,
    ) -> BoxFuture<'a, Result<DownlinkHistory, PushError>> {
        let _ = (device, since);
        Box::pin(std::future::ready(Ok(DownlinkHistory::default())))
    }

    /// Puts every message of `span` that the network still has into `out`, oldest first, marked as backfilled; of one
    /// device if one is named. Waits for room in `out`.
    fn missed<'a>(
        &'a self,
        span: Span,
        device: Option<&'a DeviceId>,
        out: mpsc::Sender<RawMessage>,
    ) -> BoxFuture<'a, Result<Source, HistoryError>> {
        let _ = (span, device, out);
        Box::pin(std::future::ready(Err(HistoryError::NotActivated)))
    }

    /// The payload formatters that the network itself runs for `device`; `None` if it runs none. `version_ids` is what
    /// the device is said to be, if anybody said so.
    fn formatter<'a>(
        &'a self,
        device: &'a DeviceId,
        version_ids: Option<&'a VersionIds>,
    ) -> BoxFuture<'a, Result<Option<Formatter>, FormatterError>> {
        let _ = (device, version_ids);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// How the connection and the API stand at this moment.
    fn health(&self) -> NetworkHealth;
}

/// A message as it left the socket: the read loop's whole work on it.
#[derive(Debug, Clone)]
pub struct RawMessage {
    pub topic: Bytes,
    pub payload: Bytes,
    pub at: Timestamp,
    /// It comes from the network's history.
    pub backfilled: bool,
}

/// A message that cannot be understood; the bridge says so and goes on.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("topic `{0}` is not one of this application's")]
    Topic(String),
    #[error("the message is no valid JSON of its kind")]
    Json(#[source] serde_json::Error),
    #[error("the message has no {0}")]
    Missing(&'static str),
    #[error("`{field}` is malformed: {why}")]
    Field { field: &'static str, why: String },
    #[error("the message is {0} bytes: more than any uplink can be")]
    TooLarge(usize),
}

impl Unreadable {
    /// What is told of such a message.
    pub fn notice(&self, application: &ApplicationName, raw: &RawMessage) -> Notice {
        let topic = String::from_utf8_lossy(&raw.topic).chars().take(200).collect();
        Notice::Unreadable { application: application.clone(), topic, reason: with_causes(self) }
    }
}

/// How a push ended other than well: what to do next is the caller's decision, made from these classes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// It will never be taken: tell the sender.
    #[error("refused: {}", .0.message)]
    Refused(Failure),
    /// The device has no session: wait for its next join or uplink.
    #[error("the device has no session: it has never joined, or must join again")]
    NoSession,
    /// The network wants us to wait.
    #[error("rate limit reached")]
    RateLimited { retry_after: std::time::Duration },
    /// The network's queue for this device is full.
    #[error("the network's queue for this device is full")]
    QueueFull,
    /// The key may not do this.
    #[error("not allowed: {}", .0.message)]
    Forbidden(Failure),
    /// Nothing was sent to the network, which would not have taken it; it may a while later.
    #[error("{why}")]
    NotNow { why: String, retry_after: std::time::Duration },
    /// Nobody knows whether the network took it: look before pushing again.
    #[error("no clear answer: {0}")]
    Unknown(String),
}

/// What `bridge/info` and `bridge/health` tell of one application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct NetworkHealth {
    pub connected: bool,
    /// Whether it was, at any time since the start.
    #[serde(skip)]
    pub was_connected: bool,
    /// When the last message came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message: Option<Timestamp>,
    /// Messages the read loop had to drop because the bridge was too far behind.
    pub dropped: u64,
    /// What does not work at the moment, in words, with what to do about it.
    pub degraded: Vec<String>,
}
