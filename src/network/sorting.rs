//! Parses what the read loops hand on and sends each message to the flow it belongs to.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{NetworkServer, RawMessage};
use crate::model::{DeviceKey, DownlinkEvent, Join, Location, NetworkMessage, RegisteredDevice, ServiceData, Uplink};
use crate::telemetry::{Count, Counters, Notice, Notices, with_causes};

/// What the uplink flow gets, in the order in which the network told it.
#[derive(Debug)]
pub enum Arrival {
    Uplink(Box<Uplink>),
    Join(Join),
    Location(Location),
    Service(ServiceData),
    /// A device that the network's registry lists; it may never have sent.
    Registered(Box<RegisteredDevice>),
}

/// What the downlink flow gets.
#[derive(Debug)]
pub enum Tracked {
    /// A step of a downlink.
    Event(DownlinkEvent),
    /// The device joined or sent an uplink: it has a session, downlinks can reach it.
    Alive { key: DeviceKey },
}

/// Sorts the messages of one application.
pub struct Sorting {
    pub server: Arc<dyn NetworkServer>,
    pub raw: mpsc::Receiver<RawMessage>,
    pub arrivals: mpsc::Sender<Arrival>,
    pub tracked: mpsc::Sender<Tracked>,
    pub counters: Counters,
    pub notices: Notices,
}

impl Sorting {
    /// Runs until the read loop is gone and everything it left is sorted.
    pub async fn run(mut self) {
        while let Some(raw) = self.raw.recv().await {
            match self.server.parse(&raw) {
                Ok(message) => self.sort(message).await,
                Err(error) => {
                    self.counters.count(Count::Unreadable);
                    self.notices.tell(Notice::Unreadable {
                        application: self.server.name().clone(),
                        topic: String::from_utf8_lossy(&raw.topic).chars().take(200).collect(),
                        reason: with_causes(&error),
                    });
                }
            }
        }
    }

    async fn sort(&self, message: NetworkMessage) {
        match message {
            NetworkMessage::Uplink(uplink) => {
                self.alive(&uplink.key).await;
                self.arrive(Arrival::Uplink(uplink)).await;
            }
            NetworkMessage::Join(join) => {
                self.alive(&join.key).await;
                self.arrive(Arrival::Join(join)).await;
            }
            NetworkMessage::Location(location) => self.arrive(Arrival::Location(location)).await,
            NetworkMessage::Service(data) => self.arrive(Arrival::Service(data)).await,
            NetworkMessage::Downlink(event) => self.track(event).await,
            NetworkMessage::Ignored(_) => {}
        }
    }

    // The three below fail only when a flow is gone: the process is past its drain.

    async fn arrive(&self, arrival: Arrival) {
        self.arrivals.send(arrival).await.ok();
    }

    async fn track(&self, event: DownlinkEvent) {
        self.tracked.send(Tracked::Event(event)).await.ok();
    }

    async fn alive(&self, key: &DeviceKey) {
        self.tracked.send(Tracked::Alive { key: key.clone() }).await.ok();
    }
}
