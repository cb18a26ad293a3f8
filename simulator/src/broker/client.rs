//! One client as the router sees it: its session, and while it is connected the way to its connection.

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::DropGuard;

use super::{config::Limits, message::Message, router::ConnectionId, session::Session};
use crate::wire::{Packet, Publish, QoS};

/// Answers a client may have on their way to it before it is read from again.
pub(super) const ANSWERS: usize = 4096;

/// Places in an outbox: every answer and every QoS 1 message in flight has one of its own, the rest is for QoS 0.
pub(super) fn outbox_places(limits: Limits) -> usize {
    ANSWERS + limits.inflight + limits.queued
}

/// The router's end of a connection; dropping it closes the connection at once.
#[derive(Debug)]
pub(super) struct Link {
    pub outbox: mpsc::Sender<Outgoing>,
    pub _closes: DropGuard,
}

/// A packet on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub packet: Packet,
    /// The place an answer takes until it is written; deliveries have none.
    _room: Option<OwnedSemaphorePermit>,
}

impl Outgoing {
    pub fn answer(packet: Packet, room: OwnedSemaphorePermit) -> Self {
        Self { packet, _room: Some(room) }
    }

    fn delivery(publish: Publish) -> Self {
        Self { packet: Packet::Publish(publish), _room: None }
    }
}

/// A client that is connected, or whose session outlives its connections.
#[derive(Debug)]
pub(super) struct Client {
    limits: Limits,
    session: Session,
    clean_session: bool,
    online: Option<Online>,
}

#[derive(Debug)]
struct Online {
    connection: ConnectionId,
    link: Link,
    will: Option<Message>,
    withheld: Vec<Outgoing>,
}

impl Client {
    pub fn new(limits: Limits) -> Self {
        Self { limits, session: Session::new(limits), clean_session: true, online: None }
    }

    /// Starts to send: first what the last connection left unacknowledged, then what waited.
    pub fn come_online(&mut self, connection: ConnectionId, clean_session: bool, will: Option<Message>, link: Link) {
        self.clean_session = clean_session;
        self.online = Some(Online { connection, link, will, withheld: Vec::new() });
        let redeliveries: Vec<_> = self.session.redeliveries().collect();
        redeliveries.into_iter().for_each(|publish| self.send(Outgoing::delivery(publish)));
        self.send_waiting();
    }

    /// Closes the connection and hands out the will it left.
    pub fn go_offline(&mut self) -> Option<Message> {
        self.online.take()?.will
    }

    pub fn connection(&self) -> Option<ConnectionId> {
        self.online.as_ref().map(|online| online.connection)
    }

    /// Whether the session ends with the connection (MQTT 3.1.1, 3.1.2.4).
    pub fn is_clean(&self) -> bool {
        self.clean_session
    }

    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// QoS 0 is for those who are there and have room; QoS 1 waits.
    pub fn deliver(&mut self, message: Message) {
        if message.qos != QoS::AtMostOnce {
            self.session.queue(message);
            self.send_waiting();
        } else if self.has_room_for_qos_0() {
            self.send(Outgoing::delivery(message.packet(0, false)));
        }
    }

    /// The client has this delivery.
    pub fn acknowledged(&mut self, packet_id: u16) {
        self.session.acknowledge(packet_id);
        self.send_waiting();
    }

    /// Acknowledges what the client published, now or when acknowledgements are released.
    pub fn acknowledge(&mut self, acknowledgement: Outgoing, withhold: bool) {
        match &mut self.online {
            Some(online) if withhold => online.withheld.push(acknowledgement),
            _ => self.send(acknowledgement),
        }
    }

    pub fn release_acknowledgements(&mut self) {
        let withheld = self.online.as_mut().map(|online| std::mem::take(&mut online.withheld));
        withheld.into_iter().flatten().for_each(|acknowledgement| self.send(acknowledgement));
    }

    /// Never waits. There is a place for everything but QoS 0 unless the client acknowledged deliveries it had not yet
    /// been sent, or is closing: then nothing is owed to this connection, and the session still holds the QoS 1 ones.
    pub fn send(&mut self, outgoing: Outgoing) {
        if let Some(online) = &self.online
            && let Err(error) = online.link.outbox.try_send(outgoing)
        {
            tracing::debug!(%error, "Did not send a packet of the loopback broker.");
        }
    }

    fn send_waiting(&mut self) {
        while self.online.is_some()
            && let Some(publish) = self.session.next_delivery()
        {
            self.send(Outgoing::delivery(publish));
        }
    }

    fn has_room_for_qos_0(&self) -> bool {
        let reserved = ANSWERS + self.limits.inflight;
        self.online.as_ref().is_some_and(|online| online.link.outbox.capacity() > reserved)
    }
}
