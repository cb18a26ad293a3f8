//! What must reach the broker. A message leaves only when the broker acknowledged it.
//!
//! ```text
//! push ──▶ kept ───┐
//!          latest ─┴─▶ take_next ──▶ sent ── acked ──▶ gone
//!            ▲ ▲                  │
//!            └─┴──── lost ◀───────┘   the connection ended: everything unacknowledged waits again, in its order
//! ```
//!
//! What the broker does not take for now may be put off, and waits aside until it is tried again.
//!
//! A message may itself be why a connection ends: one the broker does not want, or may not see. So after a loss the
//! first unacknowledged message goes alone. If the connection ends each time it is under way, the others go without it:
//! once the broker acknowledges one of them, it was the message's fault, and it is given up. If that connection ends
//! too, the broker may be to blame, and the message has its turn again: so a broker in trouble costs no message.
//!
//! Pure: no clock, no socket. The connection's task moves messages through it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use super::Allowed;
use crate::model::Receipt;

/// One message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: Bytes,
    pub retain: bool,
    pub qos: Qos,
    pub kind: Kind,
    /// Who waits for its delivery.
    pub receipt: Option<Receipt>,
    /// How long the broker keeps it for those who are away (MQTT 5); for ever without it.
    pub expiry: Option<Duration>,
    /// What tells whoever asked which question this answers (MQTT 5).
    pub correlation: Option<Bytes>,
}

/// How surely a message arrives. What is sent at most once counts as delivered when it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "u8")]
pub enum Qos {
    AtMostOnce,
    #[default]
    AtLeastOnce,
    ExactlyOnce,
}

/// A number that is no quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no QoS {0}: 0 (at most once), 1 (at least once) or 2 (exactly once)")]
pub struct InvalidQos(u8);

/// What may be done with a message that has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Each one counts. Beyond the limit the oldest goes, and is counted; but never one that settles an uplink, of which
    /// there are only as many as the uplink flow has under way.
    Each,
    /// Only the newest on its topic counts: it takes the place of one still waiting.
    Latest,
}

/// Connections that a message may take down while it is under way alone, before the others go without it.
const MOST_LOSSES: u16 = 5;
/// Connections that it may take down if nothing else gets through either: two messages that no broker takes, one after
/// the other, must not block the way for ever. With the waits in between that is half an hour or more.
const MOST_LOSSES_AT_ALL: u16 = 60;
/// Every so many messages a waiting `Latest` goes before a waiting `Each`, so that states move under load too.
const FAIR_SHARE: u32 = 5;

/// The messages not yet acknowledged, waiting or under way.
#[derive(Debug)]
pub struct Outbox {
    /// `Each` messages not handed over yet. How many of them may be shed, and the bytes of those ones' payloads.
    kept: VecDeque<Message>,
    loose: usize,
    loose_bytes: usize,
    /// `Latest` messages not handed over yet, by topic, and the order in which their topics came.
    latest: HashMap<String, Message>,
    order: VecDeque<String>,
    /// Handed over on this connection, oldest first. The packet id is learned when the library wrote the packet;
    /// the message is gone once acknowledged.
    sent: VecDeque<Sent>,
    /// How many of `sent` have their packet id.
    written: usize,
    /// How many of `sent` are not yet acknowledged.
    unacknowledged: usize,
    /// The message that may have ended the last connection.
    suspect: Option<Suspect>,
    /// One that has ended several of them. It waits for what becomes of the others.
    accused: Option<Suspect>,
    given_up: Option<Message>,
    /// Messages to try again, oldest first.
    put_off: VecDeque<Message>,
    limits: Limits,
    /// What the broker takes on this connection.
    allowed: Allowed,
    /// How many of `sent` are of QoS 2 and not yet acknowledged.
    exactly_once: usize,
    /// Turns of `take_next` since a `Latest` went first.
    turn: u32,
}

/// How much an outbox holds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most `Each` messages that wait and may be shed, and most bytes of their payloads together.
    pub messages: usize,
    pub bytes: usize,
    /// Most messages under way on one connection.
    pub window: u16,
}

#[derive(Debug)]
struct Sent {
    packet: Option<u16>,
    message: Option<Message>,
}

#[derive(Debug)]
struct Suspect {
    message: Message,
    /// Connections that ended while it was under way alone.
    losses: u16,
    under_way: bool,
}

impl Message {
    /// A message each of which counts, sent at least once and not retained.
    pub fn new(topic: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            retain: false,
            qos: Qos::default(),
            kind: Kind::Each,
            receipt: None,
            expiry: None,
            correlation: None,
        }
    }

    /// The broker keeps it for those who come later.
    pub fn retained(self) -> Self {
        Self { retain: true, ..self }
    }

    /// Only the newest on its topic counts.
    pub fn latest(self) -> Self {
        Self { kind: Kind::Latest, ..self }
    }

    pub fn receipt(self, receipt: Option<Receipt>) -> Self {
        Self { receipt, ..self }
    }
}

impl TryFrom<u8> for Qos {
    type Error = InvalidQos;

    fn try_from(level: u8) -> Result<Self, InvalidQos> {
        match level {
            0 => Ok(Self::AtMostOnce),
            1 => Ok(Self::AtLeastOnce),
            2 => Ok(Self::ExactlyOnce),
            other => Err(InvalidQos(other)),
        }
    }
}

impl serde::Serialize for Qos {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

impl Outbox {
    pub fn new(limits: Limits) -> Self {
        Self {
            kept: VecDeque::new(),
            loose: 0,
            loose_bytes: 0,
            latest: HashMap::new(),
            order: VecDeque::new(),
            sent: VecDeque::new(),
            written: 0,
            unacknowledged: 0,
            suspect: None,
            accused: None,
            given_up: None,
            put_off: VecDeque::new(),
            limits,
            allowed: Allowed::all(limits.window),
            exactly_once: 0,
            turn: 0,
        }
    }

    /// There is a new connection, on which the broker takes this much.
    pub fn connected(&mut self, allowed: Allowed) {
        self.allowed = Allowed { window: allowed.window.clamp(1, self.limits.window), ..allowed };
    }

    /// Takes a message in. Returns how many had to go for it, oldest first, because a limit was reached.
    pub fn push(&mut self, message: Message) -> usize {
        match message.kind {
            Kind::Latest => {
                self.renew(message);
                0
            }
            Kind::Each => {
                self.count_in(&message);
                self.kept.push_back(message);
                self.shed()
            }
        }
    }

    /// The next message to hand to the connection, or `None` while the window is full or nothing waits. The caller
    /// publishes it at once and in this order, or says [`Self::withdraw`].
    pub fn take_next(&mut self) -> Option<Message> {
        let full = self.is_full();
        let mut message = match &mut self.suspect {
            Some(suspect) if suspect.under_way => return None,
            Some(suspect) => {
                suspect.under_way = true;
                suspect.message.clone()
            }
            None if full => return None,
            None => self.choose()?,
        };
        message.qos = message.qos.min(self.allowed.most_qos);
        self.exactly_once += usize::from(message.qos == Qos::ExactlyOnce);
        self.sent.push_back(Sent { packet: None, message: Some(message.clone()) });
        self.unacknowledged += 1;
        Some(message)
    }

    /// The message last taken is not published after all, and never will be.
    pub fn withdraw(&mut self) {
        if let Some(message) = self.sent.pop_back().and_then(|sent| sent.message) {
            self.count_settled(&message);
            self.clear_suspect();
        }
    }

    /// The connection wrote the oldest message handed over and not yet written. Returns it if that is all that will be
    /// heard of it: sent at most once, it counts as delivered.
    pub fn written(&mut self, packet: u16) -> Option<Message> {
        let sent = self.sent.get_mut(self.written)?;
        sent.packet = Some(packet);
        self.written += 1;
        let last_word = sent.message.as_ref().is_some_and(|message| message.qos == Qos::AtMostOnce);
        if last_word { self.settle(self.written - 1) } else { None }
    }

    /// The broker acknowledged a packet, or refused it. Returns its message; `None` for a packet that is not ours.
    pub fn acked(&mut self, packet: u16) -> Option<Message> {
        let at = self.sent.iter().take(self.written).position(|sent| sent.packet == Some(packet))?;
        let message = self.settle(at);
        if let Some(accused) = self.accused.take() {
            self.given_up = Some(accused.message);
        }
        message
    }

    /// The broker does not take this message for now: it waits aside until [`Self::try_again`].
    pub fn put_off(&mut self, message: Message) {
        self.put_off.push_back(message);
    }

    /// What was put off waits for its turn again, before everything else.
    pub fn try_again(&mut self) {
        let put_off = std::mem::take(&mut self.put_off);
        put_off.into_iter().rev().for_each(|message| self.put_back(message));
    }

    /// Packet ids of QoS 2 messages under way: what the broker may hold half of if the connection ends now.
    pub fn unreleased(&self) -> Vec<u16> {
        let exactly_once = |message: &Message| message.qos == Qos::ExactlyOnce;
        let open = self.sent.iter().filter(|sent| sent.message.as_ref().is_some_and(exactly_once));
        open.filter_map(|sent| sent.packet).collect()
    }

    /// The message that was found to be why connections end, after [`Self::acked`] or [`Self::lost`]. It is given up.
    pub fn take_given_up(&mut self) -> Option<Message> {
        self.given_up.take()
    }

    /// The connection ended: what was under way waits again, before what waited already.
    pub fn lost(&mut self) {
        let mut lost: VecDeque<_> =
            std::mem::take(&mut self.sent).into_iter().filter_map(|sent| sent.message).collect();
        (self.written, self.unacknowledged, self.exactly_once) = (0, 0, 0);
        self.try_again();
        match (self.suspect.take(), self.accused.take()) {
            // It was alone.
            (Some(suspect), _) if suspect.under_way => return self.suspect_again(suspect),
            (Some(suspect), _) => self.suspect = Some(suspect),
            // This connection ended without it.
            (None, Some(accused)) => self.suspect(accused.message, accused.losses),
            (None, None) => {
                if let Some(first) = lost.pop_front() {
                    self.suspect(first, 0);
                }
            }
        }
        lost.into_iter().rev().for_each(|message| self.put_back(message));
    }

    /// Messages that wait or are under way; not the one that waits for what becomes of them.
    pub fn len(&self) -> usize {
        let waiting = self.kept.len() + self.order.len() + usize::from(self.waiting_suspect().is_some());
        waiting + self.unacknowledged + self.put_off.len()
    }

    /// Whether nothing is left to do but to try again.
    pub fn is_empty(&self) -> bool {
        self.len() == self.put_off.len()
    }

    /// Messages handed over and not yet acknowledged.
    pub fn under_way(&self) -> usize {
        self.unacknowledged
    }

    /// Messages that wait and each count: how many go again after the next start, and how many are lost if nobody ever
    /// comes for them.
    pub fn waiting_each(&self) -> (usize, usize) {
        let suspect = self.waiting_suspect().or(self.accused.as_ref()).map(|suspect| &suspect.message);
        let each = || self.kept.iter().chain(&self.put_off).chain(suspect).filter(|message| message.kind == Kind::Each);
        let safe = each().filter(|message| message.receipt.is_some()).count();
        (safe, each().count() - safe)
    }

    fn settle(&mut self, at: usize) -> Option<Message> {
        let sent = self.sent.get_mut(at)?;
        sent.packet = None;
        let message = sent.message.take();
        message.iter().for_each(|message| self.count_settled(message));
        while self.sent.front().is_some_and(|sent| sent.message.is_none()) {
            self.sent.pop_front();
            self.written -= 1;
        }
        self.clear_suspect();
        message
    }

    fn is_full(&self) -> bool {
        let Allowed { window, exactly_once, .. } = self.allowed;
        self.unacknowledged >= window.into() || self.exactly_once >= exactly_once.max(1).into()
    }

    fn count_settled(&mut self, message: &Message) {
        self.unacknowledged -= 1;
        self.exactly_once -= usize::from(message.qos == Qos::ExactlyOnce);
    }

    /// A suspect is under way alone: what was heard last was of it.
    fn clear_suspect(&mut self) {
        self.suspect.take_if(|suspect| suspect.under_way);
    }

    fn waiting_suspect(&self) -> Option<&Suspect> {
        self.suspect.as_ref().filter(|suspect| !suspect.under_way)
    }

    fn suspect_again(&mut self, Suspect { message, losses, .. }: Suspect) {
        let losses = losses + 1;
        if losses >= MOST_LOSSES_AT_ALL {
            self.given_up = Some(message);
        } else if losses.is_multiple_of(MOST_LOSSES) {
            self.accused = Some(Suspect { message, losses, under_way: false });
        } else {
            self.suspect(message, losses);
        }
    }

    /// A state gives way to a newer one here too, which inherits the suspicion.
    fn suspect(&mut self, message: Message, losses: u16) {
        let newer = match message.kind {
            Kind::Latest => self.latest.remove(&message.topic),
            Kind::Each => None,
        };
        if newer.is_some() {
            self.order.retain(|topic| *topic != message.topic);
        }
        self.suspect = Some(Suspect { message: newer.unwrap_or(message), losses, under_way: false });
    }

    fn put_back(&mut self, message: Message) {
        match message.kind {
            Kind::Each => {
                self.count_in(&message);
                self.kept.push_front(message);
            }
            Kind::Latest if self.latest.contains_key(&message.topic) => {}
            Kind::Latest => {
                self.order.push_front(message.topic.clone());
                self.latest.insert(message.topic.clone(), message);
            }
        }
    }

    fn renew(&mut self, message: Message) {
        if let Some(waiting) = self.latest.get_mut(&message.topic) {
            *waiting = message;
        } else {
            self.order.push_back(message.topic.clone());
            self.latest.insert(message.topic.clone(), message);
        }
    }

    fn shed(&mut self) -> usize {
        let mut gone = 0;
        while self.loose > self.limits.messages || self.loose_bytes > self.limits.bytes {
            let Some(oldest) = self.kept.iter().position(is_loose).and_then(|at| self.kept.remove(at)) else { break };
            self.count_out(&oldest);
            gone += 1;
        }
        gone
    }

    fn count_in(&mut self, message: &Message) {
        if is_loose(message) {
            self.loose += 1;
            self.loose_bytes += message.payload.len();
        }
    }

    fn count_out(&mut self, message: &Message) {
        if is_loose(message) {
            self.loose -= 1;
            self.loose_bytes -= message.payload.len();
        }
    }

    fn choose(&mut self) -> Option<Message> {
        self.turn += 1;
        if self.turn >= FAIR_SHARE || self.kept.is_empty() {
            self.turn = 0;
            if let Some(topic) = self.order.pop_front() {
                return self.latest.remove(&topic);
            }
        }
        let message = self.kept.pop_front()?;
        self.count_out(&message);
        Some(message)
    }
}

/// Whether a message may be shed.
fn is_loose(message: &Message) -> bool {
    !matches!(message.receipt, Some(Receipt::Uplink(_)))
}

#[cfg(test)]
mod tests;
