//! What must reach the broker. A message leaves only when the broker acknowledged it.
//!
//! ```text
//! push ──▶ kept ───┐
//!          latest ─┴─▶ take_next ──▶ sent ── acked ──▶ gone
//!            ▲ ▲                  │
//!            └─┴──── lost ◀───────┘   the connection ended: everything unacknowledged waits again, in its order
//! ```
//!
//! A message may itself be why a connection ends: one the broker does not want, or may not see. So after a loss the
//! first unacknowledged message goes alone; if the connection ends each time it is under way, it is given up.
//!
//! Pure: no clock, no socket. The connection's task moves messages through it.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::model::Receipt;

/// One message to publish with QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: Bytes,
    pub retain: bool,
    pub kind: Kind,
    /// Who waits for its delivery.
    pub receipt: Option<Receipt>,
}

/// What may be done with a message that has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Each one counts. Beyond the limit the oldest goes, and is counted; but never one that settles an uplink, of which
    /// there are only as many as the uplink flow has under way.
    Each,
    /// Only the newest on its topic counts: it takes the place of one still waiting.
    Latest,
}

/// Connections that a message may take down while it is under way alone, before it is given up.
const MOST_LOSSES: u8 = 5;
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
    limits: Limits,
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
    pub window: usize,
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
    losses: u8,
    under_way: bool,
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
            limits,
            turn: 0,
        }
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
    /// publishes it at once and in this order.
    pub fn take_next(&mut self) -> Option<Message> {
        let message = match &mut self.suspect {
            Some(suspect) if suspect.under_way => return None,
            Some(suspect) => {
                suspect.under_way = true;
                suspect.message.clone()
            }
            None if self.unacknowledged >= self.limits.window => return None,
            None => self.choose()?,
        };
        self.sent.push_back(Sent { packet: None, message: Some(message.clone()) });
        self.unacknowledged += 1;
        Some(message)
    }

    /// The connection wrote the oldest message handed over and not yet written.
    pub fn written(&mut self, packet: u16) {
        if let Some(sent) = self.sent.get_mut(self.written) {
            sent.packet = Some(packet);
            self.written += 1;
        }
    }

    /// The broker acknowledged a packet. Returns its message; `None` for a packet that is not ours.
    pub fn acked(&mut self, packet: u16) -> Option<Message> {
        let sent = self.sent.iter_mut().take(self.written).find(|sent| sent.packet == Some(packet))?;
        sent.packet = None;
        let message = sent.message.take();
        self.unacknowledged -= 1;
        while self.sent.front().is_some_and(|sent| sent.message.is_none()) {
            self.sent.pop_front();
            self.written -= 1;
        }
        if self.suspect.as_ref().is_some_and(|suspect| suspect.under_way) {
            self.suspect = None;
        }
        message
    }

    /// The connection ended: what was under way waits again, before what waited already. Returns a message that took
    /// down one connection too many, and is given up.
    pub fn lost(&mut self) -> Option<Message> {
        let mut lost: VecDeque<_> =
            std::mem::take(&mut self.sent).into_iter().filter_map(|sent| sent.message).collect();
        (self.written, self.unacknowledged) = (0, 0);
        match self.suspect.take() {
            // It was alone.
            Some(suspect) if suspect.under_way => return self.suspect_again(suspect),
            Some(suspect) => self.suspect = Some(suspect),
            None => {
                if let Some(first) = lost.pop_front() {
                    self.suspect(first, 0);
                }
            }
        }
        lost.into_iter().rev().for_each(|message| self.put_back(message));
        None
    }

    /// Messages that wait or are under way.
    pub fn len(&self) -> usize {
        self.kept.len() + self.order.len() + self.unacknowledged + usize::from(self.waiting_suspect().is_some())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages handed over and not yet acknowledged.
    pub fn under_way(&self) -> usize {
        self.unacknowledged
    }

    /// Messages that wait and each count: how many go again after the next start, and how many are lost if nobody ever
    /// comes for them.
    pub fn waiting_each(&self) -> (usize, usize) {
        let suspect = self.waiting_suspect().map(|suspect| &suspect.message);
        let each = || self.kept.iter().chain(suspect).filter(|message| message.kind == Kind::Each);
        let safe = each().filter(|message| message.receipt.is_some()).count();
        (safe, each().count() - safe)
    }

    fn waiting_suspect(&self) -> Option<&Suspect> {
        self.suspect.as_ref().filter(|suspect| !suspect.under_way)
    }

    fn suspect_again(&mut self, suspect: Suspect) -> Option<Message> {
        let losses = suspect.losses + 1;
        if losses >= MOST_LOSSES {
            return Some(suspect.message);
        }
        self.suspect(suspect.message, losses);
        None
    }

    /// A state gives way to a newer one here too, which inherits the suspicion.
    fn suspect(&mut self, message: Message, losses: u8) {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(topic: &str, payload: &str, kind: Kind) -> Message {
        Message {
            topic: topic.into(),
            payload: Bytes::from(payload.to_owned()),
            retain: kind == Kind::Latest,
            kind,
            receipt: None,
        }
    }

    fn outbox(messages: usize, window: usize) -> Outbox {
        Outbox::new(Limits { messages, bytes: 1 << 20, window })
    }

    #[test]
    fn a_newer_state_takes_the_place_of_one_still_waiting() {
        let mut outbox = outbox(10, 10);
        outbox.push(message("state", "1", Kind::Latest));
        outbox.push(message("state", "2", Kind::Latest));
        assert_eq!(outbox.take_next().unwrap().payload, "2");
        assert_eq!(outbox.take_next(), None);
    }

    #[test]
    fn beyond_either_limit_the_oldest_messages_go() {
        let mut outbox = outbox(2, 10);
        let gone: Vec<_> = ["1", "2", "3"].map(|text| outbox.push(message("t", text, Kind::Each))).into();
        assert_eq!(gone, [0, 0, 1]);
        assert_eq!(outbox.push(message("t", &"x".repeat(1 << 20), Kind::Each)), 2);
        assert_eq!(outbox.take_next().unwrap().payload.len(), 1 << 20);
        assert!(outbox.push(message("t", "small", Kind::Each)) == 0 && outbox.waiting_each() == (0, 1));
    }

    #[test]
    fn what_settles_an_uplink_is_never_shed() {
        let mut outbox = outbox(1, 10);
        for seq in 0..5 {
            outbox.push(message("t", "loose", Kind::Each));
            outbox.push(Message { receipt: Some(Receipt::Uplink(seq)), ..message("t", "uplink", Kind::Each) });
        }
        assert_eq!(outbox.waiting_each(), (5, 1));
        outbox.take_next().unwrap();
        assert_eq!(outbox.push(message("t", "loose", Kind::Each)), 1);
        outbox.lost();
        let taken: Vec<_> = std::iter::from_fn(|| {
            let message = outbox.take_next()?;
            outbox.written(1);
            outbox.acked(1);
            Some(message.payload)
        })
        .collect();
        assert_eq!(taken, ["uplink", "uplink", "uplink", "uplink", "uplink", "loose"]);
        assert_eq!((outbox.loose, outbox.loose_bytes), (0, 0));
    }

    #[test]
    fn a_message_that_takes_down_every_connection_is_given_up_and_the_others_go_on() {
        let mut outbox = outbox(10, 10);
        for text in ["good", "poison", "better"] {
            outbox.push(message("t", text, Kind::Each));
        }
        let (mut delivered, mut given_up) = (Vec::new(), Vec::new());
        for packet in 0..100 {
            match outbox.take_next() {
                Some(message) if message.payload == "poison" => given_up.extend(outbox.lost()),
                Some(_) => {
                    outbox.written(packet);
                    delivered.extend(outbox.acked(packet));
                }
                None => break,
            }
        }
        assert_eq!(delivered.iter().map(|message| message.payload.clone()).collect::<Vec<_>>(), ["good", "better"]);
        assert_eq!(given_up.len(), 1);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_newer_state_inherits_the_suspicion_of_the_older() {
        let mut outbox = outbox(10, 10);
        for n in 0..20 {
            outbox.push(message("state", &n.to_string(), Kind::Latest));
            outbox.take_next().unwrap();
            if outbox.lost().is_some() {
                return;
            }
        }
        panic!("never given up");
    }

    #[test]
    fn an_old_state_under_way_gives_way_to_a_newer_one_after_a_lost_connection() {
        let mut outbox = outbox(10, 10);
        outbox.push(message("state", "old", Kind::Latest));
        outbox.take_next().unwrap();
        outbox.push(message("state", "new", Kind::Latest));
        outbox.lost();
        assert_eq!(outbox.take_next().unwrap().payload, "new");
        assert!(outbox.take_next().is_none());
    }

    #[test]
    fn states_get_their_share_while_messages_wait() {
        let mut outbox = outbox(100, 100);
        for n in 0..50 {
            outbox.push(message("t", &n.to_string(), Kind::Each));
        }
        outbox.push(message("state", "s", Kind::Latest));
        let place = (0..50).position(|_| outbox.take_next().unwrap().kind == Kind::Latest).unwrap();
        assert!(place < FAIR_SHARE as usize, "{place}");
    }

    #[derive(Debug, Clone)]
    enum Move {
        Push(Kind),
        Hand,
        Write,
        Ack(usize),
        Lose,
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            4 => prop_oneof![3 => Just(Kind::Each), 1 => Just(Kind::Latest)].prop_map(Move::Push),
            4 => Just(Move::Hand),
            3 => Just(Move::Write),
            3 => (0usize..4).prop_map(Move::Ack),
            1 => Just(Move::Lose),
        ];
        proptest::collection::vec(one, 0..200)
    }

    proptest! {
        /// Whatever happens on the connection, each message is acknowledged at least once and, while the connection
        /// holds, first handed over in the order it came.
        #[test]
        fn nothing_is_lost_and_order_holds(moves in moves()) {
            let mut outbox = outbox(1000, 8);
            let (mut pushed, mut acked, mut open, mut written) = (0u32, Vec::new(), VecDeque::new(), Vec::new());
            let mut packet = 0u16;
            let mut last_handed: Option<u32> = None;
            let mut step = |outbox: &mut Outbox, one: Move| {
                match one {
                    Move::Push(kind) => {
                        outbox.push(message("t", &pushed.to_string(), kind));
                        pushed += 1;
                    }
                    Move::Hand => if let Some(message) = outbox.take_next() {
                        if message.kind == Kind::Each {
                            let n: u32 = std::str::from_utf8(&message.payload).unwrap().parse().unwrap();
                            assert!(last_handed.is_none_or(|last| last < n), "{n} after {last_handed:?}");
                            last_handed = Some(n);
                        }
                        open.push_back(message);
                    },
                    Move::Write => if let Some(message) = open.pop_front() {
                        packet += 1;
                        outbox.written(packet);
                        written.push((packet, message));
                    },
                    Move::Ack(at) => if !written.is_empty() {
                        let (packet, message) = written.remove(at % written.len());
                        assert_eq!(outbox.acked(packet).as_ref(), Some(&message));
                        acked.push(message);
                    },
                    Move::Lose => {
                        acked.extend(outbox.lost());
                        open.clear();
                        written.clear();
                        last_handed = None;
                    }
                }
            };
            let each = moves.iter().filter(|one| matches!(one, Move::Push(Kind::Each))).count();
            for one in moves {
                step(&mut outbox, one);
            }
            for _ in 0..3 * 200 {
                step(&mut outbox, Move::Hand);
                step(&mut outbox, Move::Write);
                step(&mut outbox, Move::Ack(0));
            }
            prop_assert!(outbox.is_empty());
            let mut delivered: Vec<_> = acked.iter().filter(|m| m.kind == Kind::Each).map(|m| m.payload.clone()).collect();
            delivered.sort();
            delivered.dedup();
            prop_assert_eq!(delivered.len(), each);
        }
    }
}
