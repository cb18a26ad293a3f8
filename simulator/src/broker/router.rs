//! Decides who gets what: one task that owns every session, the retained messages and the list of who is connected.
//!
//! It waits for nothing but its next command.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot};

use super::{
    client::{Client, Link, Outgoing},
    config::BrokerConfig,
    message::{Message, lower},
    retained::RetainedStore,
    topics,
};
use crate::wire::{
    Packet, PubAck, PubComp, PubRec, Publish, QoS, SubAck, Subscribe, SubscribeReasonCode, UnsubAck, Unsubscribe,
};

/// One TCP connection; never used twice.
pub(super) type ConnectionId = u64;

/// What connections and handles ask of the router.
#[derive(Debug)]
pub(super) enum Command {
    /// A client was let in. Answered with whether a session was there for it.
    Attach {
        arrival: Arrival,
        session_present: oneshot::Sender<bool>,
    },
    /// A client sent a packet; the permit is the room in its outbox for the answer.
    Packet {
        connection: ConnectionId,
        packet: Packet,
        room: OwnedSemaphorePermit,
    },
    /// A connection ended: orderly after DISCONNECT, else the will is due.
    Detach {
        connection: ConnectionId,
        orderly: bool,
    },
    Publish {
        message: Message,
        done: oneshot::Sender<()>,
    },
    Retained {
        topic: String,
        reply: oneshot::Sender<Option<Bytes>>,
    },
    RetainedAll {
        reply: oneshot::Sender<BTreeMap<Arc<str>, Bytes>>,
    },
    Connections {
        reply: oneshot::Sender<Vec<String>>,
    },
    DropConnections {
        done: oneshot::Sender<()>,
    },
    WithholdAcks {
        withhold: bool,
        done: oneshot::Sender<()>,
    },
}

/// A client whose CONNECT was accepted.
#[derive(Debug)]
pub(super) struct Arrival {
    pub connection: ConnectionId,
    pub client_id: String,
    pub clean_session: bool,
    pub will: Option<Message>,
    pub link: Link,
}

/// Owns what the broker knows.
#[derive(Debug)]
pub(super) struct Router {
    config: Arc<BrokerConfig>,
    clients: HashMap<String, Client>,
    /// Client ids of the connections that count; one that was taken over is no longer among them.
    connected: HashMap<ConnectionId, String>,
    retained: RetainedStore,
    watchers: broadcast::Sender<Message>,
    withholding: bool,
}

/// A client did what MQTT forbids: its connection is closed (MQTT 3.1.1, 4.8).
#[derive(Debug, thiserror::Error)]
enum Violation {
    #[error("subscription to an invalid topic filter {0:?}")]
    Filter(String),
    #[error("UNSUBSCRIBE without a topic filter")]
    NothingToUnsubscribe,
    #[error("topic that is not text")]
    Topic(#[from] std::str::Utf8Error),
    #[error("packet that only a server may send, or that nothing called for")]
    OutOfPlace,
}

impl Router {
    pub fn new(config: Arc<BrokerConfig>, watchers: broadcast::Sender<Message>) -> Self {
        Self {
            config,
            clients: HashMap::new(),
            connected: HashMap::new(),
            retained: RetainedStore::default(),
            watchers,
            withholding: false,
        }
    }

    /// Works until every connection and handle is gone, or the task is aborted.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        while let Some(command) = inbox.recv().await {
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Attach { arrival, session_present } => tell(session_present, self.attach(arrival)),
            Command::Packet { connection, packet, room } => self.packet(connection, packet, room),
            Command::Detach { connection, orderly } => self.detach(connection, orderly),
            Command::Publish { message, done } => {
                self.route(message);
                tell(done, ());
            }
            Command::Retained { topic, reply } => tell(reply, self.retained(&topic)),
            Command::RetainedAll { reply } => tell(reply, self.retained_all()),
            Command::Connections { reply } => tell(reply, self.connections()),
            Command::DropConnections { done } => {
                self.drop_connections();
                tell(done, ());
            }
            Command::WithholdAcks { withhold, done } => {
                self.withhold_acks(withhold);
                tell(done, ());
            }
        }
    }

    /// Makes this connection the client's one, in place of any older one (MQTT 3.1.1, 3.1.4-2).
    fn attach(&mut self, arrival: Arrival) -> bool {
        let Arrival { connection, client_id, clean_session, will, link } = arrival;
        if let Some(older) = self.clients.get(&client_id).and_then(Client::connection) {
            self.detach(older, false);
        }
        if clean_session {
            self.clients.remove(&client_id);
        }
        let session_present = self.clients.contains_key(&client_id);
        self.connected.insert(connection, client_id.clone());
        let limits = self.config.limits();
        let client = self.clients.entry(client_id).or_insert_with(|| Client::new(limits));
        client.come_online(connection, clean_session, will, link);
        session_present
    }

    fn detach(&mut self, connection: ConnectionId, orderly: bool) {
        let Some(client_id) = self.connected.remove(&connection) else { return };
        let Some(client) = self.clients.get_mut(&client_id) else { return };
        let will = client.go_offline();
        if client.is_clean() {
            self.clients.remove(&client_id);
        }
        if let Some(will) = will.filter(|_| !orderly) {
            self.route_from_client(will);
        }
    }

    fn packet(&mut self, connection: ConnectionId, packet: Packet, room: OwnedSemaphorePermit) {
        // Packets of a connection that was taken over may still be on their way: they no longer count.
        let Some(client_id) = self.connected.get(&connection).cloned() else { return };
        if let Err(violation) = self.handle(&client_id, packet, room) {
            tracing::debug!(client_id, %violation, "Closed a connection of the loopback broker.");
            self.detach(connection, false);
        }
    }

    fn handle(&mut self, client_id: &str, packet: Packet, room: OwnedSemaphorePermit) -> Result<(), Violation> {
        match packet {
            Packet::Publish(publish) => self.publish(client_id, publish, room)?,
            Packet::Subscribe(subscribe) => self.subscribe(client_id, subscribe, room)?,
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(client_id, unsubscribe, room)?,
            Packet::PingReq => self.answer(client_id, Packet::PingResp, room),
            Packet::PubAck(PubAck { pkid }) => self.with(client_id, |client| client.acknowledged(pkid)),
            Packet::PubRel(release) => {
                self.with(client_id, |client| client.session().end_exactly_once(release.pkid));
                self.answer(client_id, Packet::PubComp(PubComp { pkid: release.pkid }), room);
            }
            _ => return Err(Violation::OutOfPlace),
        }
        Ok(())
    }

    fn publish(&mut self, client_id: &str, publish: Publish, room: OwnedSemaphorePermit) -> Result<(), Violation> {
        let Publish { qos, retain, topic, pkid, payload, .. } = publish;
        let message = Message { topic: std::str::from_utf8(&topic)?.into(), payload, qos, retain };
        let answer = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Packet::PubAck(PubAck { pkid })),
            QoS::ExactlyOnce => Some(Packet::PubRec(PubRec { pkid })),
        };
        let client = self.clients.get_mut(client_id);
        if qos != QoS::ExactlyOnce || client.is_some_and(|client| client.session().begin_exactly_once(pkid)) {
            self.route_from_client(message);
        }
        let withholding = self.withholding;
        if let Some(packet) = answer {
            self.with(client_id, |client| client.acknowledge(Outgoing::answer(packet, room), withholding));
        }
        Ok(())
    }

    /// SUBACK first, then what is retained: not demanded, but what clients are used to.
    fn subscribe(&mut self, client_id: &str, packet: Subscribe, room: OwnedSemaphorePermit) -> Result<(), Violation> {
        if let Some(invalid) = packet.filters.iter().find(|filter| !topics::is_valid_filter(&filter.path)) {
            return Err(Violation::Filter(invalid.path.clone()));
        }
        let Some(client) = self.clients.get_mut(client_id) else { return Ok(()) };
        let granted: Vec<_> =
            packet.filters.into_iter().map(|filter| (filter.path, lower(filter.qos, QoS::AtLeastOnce))).collect();
        let return_codes = granted.iter().map(|(_, qos)| SubscribeReasonCode::Success(*qos)).collect();
        client.send(Outgoing::answer(Packet::SubAck(SubAck { pkid: packet.pkid, return_codes }), room));
        for (filter, qos) in granted {
            for message in self.retained.matching(&filter) {
                client.deliver(message.delivered(qos, true));
            }
            client.session().subscribe(filter, qos);
        }
        Ok(())
    }

    fn unsubscribe(
        &mut self,
        client_id: &str,
        packet: Unsubscribe,
        room: OwnedSemaphorePermit,
    ) -> Result<(), Violation> {
        if packet.topics.is_empty() {
            return Err(Violation::NothingToUnsubscribe);
        }
        self.with(client_id, |client| packet.topics.iter().for_each(|filter| client.session().unsubscribe(filter)));
        self.answer(client_id, Packet::UnsubAck(UnsubAck { pkid: packet.pkid }), room);
        Ok(())
    }

    fn answer(&mut self, client_id: &str, packet: Packet, room: OwnedSemaphorePermit) {
        self.with(client_id, |client| client.send(Outgoing::answer(packet, room)));
    }

    fn with(&mut self, client_id: &str, act: impl FnOnce(&mut Client)) {
        if let Some(client) = self.clients.get_mut(client_id) {
            act(client);
        }
    }

    fn route_from_client(&mut self, message: Message) {
        if !self.config.denied_publish.iter().any(|filter| topics::matches(filter, &message.topic)) {
            self.route(message);
        }
    }

    fn route(&mut self, message: Message) {
        self.retained.keep(&message);
        for client in self.clients.values_mut() {
            if let Some(granted) = client.session().granted(&message.topic) {
                // Sent because it was published, not because it was kept (MQTT 3.1.1, 3.3.1-9).
                client.deliver(message.delivered(granted, false));
            }
        }
        // Fails when nobody watches.
        let _ = self.watchers.send(message);
    }

    fn retained(&self, topic: &str) -> Option<Bytes> {
        self.retained.get(topic).map(|message| message.payload.clone())
    }

    fn retained_all(&self) -> BTreeMap<Arc<str>, Bytes> {
        self.retained.all().map(|message| (message.topic.clone(), message.payload.clone())).collect()
    }

    fn connections(&self) -> Vec<String> {
        let mut client_ids: Vec<_> = self.connected.values().cloned().collect();
        client_ids.sort();
        client_ids
    }

    fn drop_connections(&mut self) {
        let mut connections: Vec<_> = self.connected.keys().copied().collect();
        // In the order they came, so that wills are sent in an order that can be told.
        connections.sort_unstable();
        connections.into_iter().for_each(|connection| self.detach(connection, false));
    }

    fn withhold_acks(&mut self, withhold: bool) {
        self.withholding = withhold;
        if !withhold {
            self.clients.values_mut().for_each(Client::release_acknowledgements);
        }
    }
}

/// An answer nobody waits for any more is dropped: whoever asked has gone.
fn tell<T>(reply: oneshot::Sender<T>, answer: T) {
    let _ = reply.send(answer);
}
