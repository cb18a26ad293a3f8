//! Parses what the read loops hand on and sends each message to the flow it belongs to.

use std::sync::Arc;

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::{Late, NetworkServer, RawMessage, Span};
use crate::model::{
    ApplicationName, DeviceKey, DownlinkEvent, Join, Location, NetworkMessage, RegisteredDevice, ServiceData, Uplink,
};
use crate::telemetry::{Count, Counters, NetworkClock, Notices};

/// What the uplink flow gets, in the order in which the network told it.
#[derive(Debug)]
pub enum Arrival {
    /// A message about a device, as it came and as it was understood.
    Message(RawMessage, Content),
    /// A device that the network's registry lists; it may never have sent.
    Registered(Box<RegisteredDevice>),
    /// What can be told of this application's registry has been told: whether that is every device of it.
    Listed { application: ApplicationName, wholly: bool },
    /// Everything fetched of this application's history has arrived: how much of it was new?
    Fetched { application: ApplicationName, span: Span, reply: oneshot::Sender<Tally> },
}

/// What a message about a device says.
#[derive(Debug)]
pub enum Content {
    Uplink(Box<Uplink>),
    Join(Join),
    Location(Box<Location>),
    Service(Box<ServiceData>),
}

impl Content {
    /// Which device it is about.
    pub fn key(&self) -> &DeviceKey {
        match self {
            Self::Uplink(uplink) => &uplink.key,
            Self::Join(join) => &join.key,
            Self::Location(location) => &location.key,
            Self::Service(data) => &data.key,
        }
    }
}

/// What came of fetching an application's history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Uplinks that had not been received before.
    pub new: u64,
    /// Frames that are still missing in that span.
    pub missing: Vec<MissingFrames>,
}

/// Frames of one session that never came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingFrames {
    pub key: DeviceKey,
    pub session_key_id: String,
    /// Frame counters, both included.
    pub first: u32,
    pub last: u32,
    /// The frames before and after them: they were sent in between.
    pub after: Timestamp,
    pub before: Timestamp,
}

/// What the downlink flow gets.
#[derive(Debug)]
pub enum Tracked {
    /// A step of a downlink.
    Event(DownlinkEvent),
    /// The device joined or sent an uplink: it has a session, downlinks can reach it.
    Alive {
        key: DeviceKey,
        /// How long the uplink was on air; nothing for a join.
        airtime: Duration,
    },
    /// Reports of this application may have gone by unheard since then.
    Blind { application: ApplicationName, since: Timestamp },
}

/// Sorts the messages of one application.
pub struct Sorting {
    pub server: Arc<dyn NetworkServer>,
    pub raw: mpsc::Receiver<RawMessage>,
    pub arrivals: mpsc::Sender<Arrival>,
    pub tracked: mpsc::Sender<Tracked>,
    pub counters: Counters,
    pub notices: Notices,
    pub late: Late,
    pub clock: NetworkClock,
}

impl Sorting {
    /// Runs until the read loop is gone and everything it left is sorted.
    pub async fn run(mut self) {
        while let Some(raw) = self.raw.recv().await {
            match self.server.hear(&raw).await {
                Ok(messages) => {
                    for message in messages {
                        self.sort(&raw, message).await;
                    }
                }
                Err(error) => {
                    self.counters.count_for(self.server.name(), Count::Unreadable);
                    self.notices.tell(error.notice(self.server.name(), &raw));
                }
            }
        }
    }

    async fn sort(&mut self, raw: &RawMessage, message: NetworkMessage) {
        match message {
            NetworkMessage::Uplink(uplink) => {
                if !uplink.backfilled {
                    self.late.look(raw.at, uplink.received_at);
                }
                uplink.came_at().into_iter().for_each(|at| self.clock.passed(at));
                let airtime = uplink.radio.airtime.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                self.alive(&uplink.key, airtime.unwrap_or_default()).await;
                self.arrive(raw, Content::Uplink(uplink)).await;
            }
            NetworkMessage::Join(join) => {
                self.alive(&join.key, Duration::ZERO).await;
                self.arrive(raw, Content::Join(join)).await;
            }
            NetworkMessage::Location(location) => self.arrive(raw, Content::Location(Box::new(location))).await,
            NetworkMessage::Service(data) => self.arrive(raw, Content::Service(Box::new(data))).await,
            NetworkMessage::Downlink(event) => self.track(event).await,
            NetworkMessage::Ignored(_) => {}
        }
    }

    // The three below fail only when a flow is gone: the process is past its drain.

    async fn arrive(&self, raw: &RawMessage, content: Content) {
        self.arrivals.send(Arrival::Message(raw.clone(), content)).await.ok();
    }

    async fn track(&self, event: DownlinkEvent) {
        self.tracked.send(Tracked::Event(event)).await.ok();
    }

    async fn alive(&self, key: &DeviceKey, airtime: Duration) {
        self.tracked.send(Tracked::Alive { key: key.clone(), airtime }).await.ok();
    }
}
