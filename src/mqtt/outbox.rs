//! What must reach the broker. A message leaves only when the broker acknowledged it.
//!
//! ```text
//! push ──▶ kept ───┐
//!          latest ─┴─▶ take_next ──▶ sent ── acked ──▶ gone
//!            ▲ ▲                  │
//!            └─┴──── lost ◀───────┘   the connection ended: everything unacknowledged waits again, in its order
//! ```
//!
//! Pure: no clock, no socket. The connection's task moves messages through it.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

/// One message to publish with QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: Bytes,
    pub retain: bool,
    pub kind: Kind,
}

/// What may be done with a message that has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Each one counts. Beyond the limit the oldest goes, and is counted.
    Each,
    /// Only the newest on its topic counts: it takes the place of one still waiting.
    Latest,
}

/// Every so many messages a waiting `Latest` goes before a waiting `Each`, so that states move under load too.
const FAIR_SHARE: u32 = 5;

/// The messages not yet acknowledged, waiting or under way.
#[derive(Debug)]
pub struct Outbox {
    /// `Each` messages not handed over yet.
    kept: VecDeque<Message>,
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
    /// Most messages in `kept`.
    limit: usize,
    /// Most messages under way.
    window: usize,
    /// Turns of `take_next` since a `Latest` went first.
    turn: u32,
}

#[derive(Debug)]
struct Sent {
    packet: Option<u16>,
    message: Option<Message>,
}

impl Outbox {
    /// `limit`: most `Each` messages that wait. `window`: most messages under way on one connection.
    pub fn new(limit: usize, window: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            latest: HashMap::new(),
            order: VecDeque::new(),
            sent: VecDeque::new(),
            written: 0,
            unacknowledged: 0,
            limit,
            window,
            turn: 0,
        }
    }

    /// Takes a message in. Returns the one that had to go for it, if the limit was reached.
    pub fn push(&mut self, message: Message) -> Option<Message> {
        match message.kind {
            Kind::Latest => {
                if let Some(waiting) = self.latest.get_mut(&message.topic) {
                    *waiting = message;
                } else {
                    self.order.push_back(message.topic.clone());
                    self.latest.insert(message.topic.clone(), message);
                }
                None
            }
            Kind::Each => {
                self.kept.push_back(message);
                (self.kept.len() > self.limit).then(|| self.kept.pop_front()).flatten()
            }
        }
    }

    /// The next message to hand to the connection, or `None` while the window is full or nothing waits. The caller
    /// publishes it at once and in this order.
    pub fn take_next(&mut self) -> Option<Message> {
        if self.unacknowledged >= self.window {
            return None;
        }
        let message = self.choose()?;
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
        message
    }

    /// The connection ended: what was under way waits again, before what waited already.
    pub fn lost(&mut self) {
        for message in std::mem::take(&mut self.sent).into_iter().rev().filter_map(|sent| sent.message) {
            match message.kind {
                Kind::Each => self.kept.push_front(message),
                Kind::Latest if self.latest.contains_key(&message.topic) => {}
                Kind::Latest => {
                    self.order.push_front(message.topic.clone());
                    self.latest.insert(message.topic.clone(), message);
                }
            }
        }
        (self.written, self.unacknowledged) = (0, 0);
    }

    /// Messages that wait or are under way.
    pub fn len(&self) -> usize {
        self.kept.len() + self.order.len() + self.unacknowledged
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn choose(&mut self) -> Option<Message> {
        self.turn += 1;
        if self.turn >= FAIR_SHARE || self.kept.is_empty() {
            self.turn = 0;
            if let Some(topic) = self.order.pop_front() {
                return self.latest.remove(&topic);
            }
        }
        self.kept.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(topic: &str, payload: &str, kind: Kind) -> Message {
        Message { topic: topic.into(), payload: Bytes::from(payload.to_owned()), retain: kind == Kind::Latest, kind }
    }

    #[test]
    fn a_newer_state_takes_the_place_of_one_still_waiting() {
        let mut outbox = Outbox::new(10, 10);
        outbox.push(message("state", "1", Kind::Latest));
        outbox.push(message("state", "2", Kind::Latest));
        assert_eq!(outbox.take_next().unwrap().payload, "2");
        assert_eq!(outbox.take_next(), None);
    }

    #[test]
    fn beyond_the_limit_the_oldest_message_is_handed_back() {
        let mut outbox = Outbox::new(2, 10);
        assert_eq!(outbox.push(message("t", "1", Kind::Each)), None);
        assert_eq!(outbox.push(message("t", "2", Kind::Each)), None);
        assert_eq!(outbox.push(message("t", "3", Kind::Each)).unwrap().payload, "1");
        assert_eq!(outbox.len(), 2);
    }

    #[test]
    fn an_old_state_under_way_gives_way_to_a_newer_one_after_a_lost_connection() {
        let mut outbox = Outbox::new(10, 10);
        outbox.push(message("state", "old", Kind::Latest));
        outbox.take_next().unwrap();
        outbox.push(message("state", "new", Kind::Latest));
        outbox.lost();
        assert_eq!(outbox.take_next().unwrap().payload, "new");
        assert!(outbox.take_next().is_none());
    }

    #[test]
    fn states_get_their_share_while_messages_wait() {
        let mut outbox = Outbox::new(100, 100);
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
            let mut outbox = Outbox::new(1000, 8);
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
                        outbox.lost();
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
