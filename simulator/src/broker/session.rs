//! What the broker remembers for one client: subscriptions, deliveries not yet acknowledged, QoS 2 ids half done.
//!
//! No I/O and no clock. A delivery waits, goes out under a packet id when the window has room, and is forgotten when
//! the client acknowledges it.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::{config::Limits, message::Message, topics};
use crate::wire::{Publish, QoS};

/// The session state of MQTT 3.1.1, 4.1, of a client that gets QoS 1 at most.
#[derive(Debug)]
pub(super) struct Session {
    subscriptions: BTreeMap<String, QoS>,
    deliveries: DeliveryQueue,
    /// QoS 2 messages routed, whose PUBREL is still to come.
    half_received: HashSet<u16>,
}

impl Session {
    pub fn new(limits: Limits) -> Self {
        Self { subscriptions: BTreeMap::new(), deliveries: DeliveryQueue::new(limits), half_received: HashSet::new() }
    }

    /// Adds or replaces a subscription; the filter is valid.
    pub fn subscribe(&mut self, filter: String, granted: QoS) {
        self.subscriptions.insert(filter, granted);
    }

    pub fn unsubscribe(&mut self, filter: &str) {
        self.subscriptions.remove(filter);
    }

    /// The highest QoS granted by a filter that matches: overlapping filters make one delivery (MQTT 3.1.1, 3.3.5-1).
    pub fn granted(&self, topic: &str) -> Option<QoS> {
        let matching = self.subscriptions.iter().filter(|(filter, _)| topics::matches(filter, topic));
        matching.map(|(_, &granted)| granted).max_by_key(|&granted| granted as u8)
    }

    /// Queues a QoS 1 delivery.
    pub fn queue(&mut self, message: Message) {
        self.deliveries.push(message);
    }

    /// The next delivery the window lets out.
    pub fn next_delivery(&mut self) -> Option<Publish> {
        self.deliveries.next()
    }

    /// Deliveries that went out before and were not acknowledged, marked as duplicates, in their order.
    pub fn redeliveries(&self) -> impl Iterator<Item = Publish> {
        self.deliveries.inflight.iter().map(|(id, message)| message.packet(*id, true))
    }

    /// Forgets a delivery; an id that is not in flight is ignored.
    pub fn acknowledge(&mut self, packet_id: u16) {
        self.deliveries.acknowledge(packet_id);
    }

    /// Whether this QoS 2 message is new, and not one sent again because its PUBREC was lost.
    pub fn begin_exactly_once(&mut self, packet_id: u16) -> bool {
        self.half_received.insert(packet_id)
    }

    /// The sender released the id: it may use it for a new message.
    pub fn end_exactly_once(&mut self, packet_id: u16) {
        self.half_received.remove(&packet_id);
    }
}

/// QoS 1 deliveries of one subscriber: those in flight, and a bounded line behind them.
#[derive(Debug)]
struct DeliveryQueue {
    limits: Limits,
    waiting: VecDeque<Message>,
    inflight: VecDeque<(u16, Message)>,
    last_id: u16,
}

impl DeliveryQueue {
    fn new(limits: Limits) -> Self {
        Self { limits, waiting: VecDeque::new(), inflight: VecDeque::new(), last_id: 0 }
    }

    /// Drops the oldest waiting message when the line is full: a home wants the newest.
    fn push(&mut self, message: Message) {
        self.waiting.push_back(message);
        // One that the window will take at once is not waiting.
        let room = self.limits.queued + (self.limits.inflight - self.inflight.len());
        if self.waiting.len() > room {
            self.waiting.pop_front();
        }
    }

    fn next(&mut self) -> Option<Publish> {
        if self.inflight.len() >= self.limits.inflight {
            return None;
        }
        let message = self.waiting.pop_front()?;
        let id = self.free_id();
        let packet = message.packet(id, false);
        self.inflight.push_back((id, message));
        Some(packet)
    }

    fn acknowledge(&mut self, packet_id: u16) {
        if let Some(at) = self.inflight.iter().position(|(id, _)| *id == packet_id) {
            self.inflight.remove(at);
        }
    }

    /// The next id of 1..=65535 that is not in flight. The window is smaller than that range while this is called, so
    /// the search ends.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.inflight.iter().any(|(id, _)| *id == self.last_id) {
                return self.last_id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::{prelude::*, test_runner::RngSeed};

    use super::*;

    fn numbered(number: u32) -> Message {
        Message {
            topic: "t".into(),
            payload: Bytes::copy_from_slice(&number.to_be_bytes()),
            qos: QoS::AtLeastOnce,
            retain: false,
        }
    }

    fn number(packet: &Publish) -> u32 {
        u32::from_be_bytes(packet.payload.as_ref().try_into().unwrap())
    }

    fn session(inflight: usize, queued: usize) -> Session {
        Session::new(Limits { inflight, queued })
    }

    #[test]
    fn the_window_holds_back_what_is_not_acknowledged() {
        let mut session = session(2, 10);
        (0..3).for_each(|n| session.queue(numbered(n)));
        let (first, second) = (session.next_delivery().unwrap(), session.next_delivery().unwrap());
        assert_eq!((number(&first), number(&second)), (0, 1));
        assert_eq!(session.next_delivery(), None);
        session.acknowledge(first.pkid);
        assert_eq!(number(&session.next_delivery().unwrap()), 2);
    }

    #[test]
    fn redeliveries_keep_their_id_and_order_and_say_so() {
        let mut session = session(3, 10);
        (0..3).for_each(|n| session.queue(numbered(n)));
        let ids: Vec<_> = std::iter::from_fn(|| session.next_delivery()).map(|packet| packet.pkid).collect();
        session.acknowledge(ids[1]);
        let again: Vec<_> = session.redeliveries().map(|packet| (packet.pkid, packet.dup, number(&packet))).collect();
        assert_eq!(again, [(ids[0], true, 0), (ids[2], true, 2)]);
    }

    #[test]
    fn a_full_line_loses_its_oldest() {
        let mut session = session(1, 2);
        session.queue(numbered(0));
        let first = session.next_delivery().unwrap();
        (1..=4).for_each(|n| session.queue(numbered(n)));
        session.acknowledge(first.pkid);
        assert_eq!(number(&session.next_delivery().unwrap()), 3);
    }

    #[test]
    fn overlapping_filters_grant_the_highest_qos() {
        let mut session = session(1, 1);
        session.subscribe("a/#".into(), QoS::AtMostOnce);
        session.subscribe("a/+".into(), QoS::AtLeastOnce);
        assert_eq!(session.granted("a/b"), Some(QoS::AtLeastOnce));
        assert_eq!(session.granted("a/b/c"), Some(QoS::AtMostOnce));
        session.unsubscribe("a/#");
        assert_eq!(session.granted("a/b/c"), None);
    }

    #[test]
    fn a_repeated_exactly_once_message_is_not_new() {
        let mut session = session(1, 1);
        assert!(session.begin_exactly_once(7));
        assert!(!session.begin_exactly_once(7));
        session.end_exactly_once(7);
        assert!(session.begin_exactly_once(7));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Queue,
        Send,
        Acknowledge(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![3 => Just(Step::Queue), 3 => Just(Step::Send), 2 => (0usize..8).prop_map(Step::Acknowledge)]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: RngSeed::Fixed(311),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn deliveries_go_out_once_in_order_within_the_window_under_distinct_ids(
            steps in prop::collection::vec(step(), 1..200),
            inflight in 1usize..5,
            queued in 0usize..5,
        ) {
            let mut session = session(inflight, queued);
            session.deliveries.last_id = u16::MAX - 3;
            let (mut next, mut last, mut owed) = (0, None, Vec::new());
            for step in steps {
                match step {
                    Step::Queue => { session.queue(numbered(next)); next += 1; }
                    Step::Send => if let Some(packet) = session.next_delivery() {
                        prop_assert!(Some(number(&packet)) > last && packet.pkid != 0 && !owed.contains(&packet.pkid));
                        last = Some(number(&packet));
                        owed.push(packet.pkid);
                    }
                    Step::Acknowledge(at) => if at < owed.len() { session.acknowledge(owed.remove(at)); }
                }
                prop_assert!(owed.len() <= inflight);
                prop_assert!(session.deliveries.waiting.len() <= queued + inflight);
                prop_assert_eq!(session.redeliveries().map(|packet| packet.pkid).collect::<Vec<_>>(), owed.clone());
            }
        }
    }
}
