//! The downlink queue of one device: a pure state machine, first in, first out.
//!
//! It holds no clock and no socket; what it returns is what the caller must tell the world. Its rules were observed on
//! The Things Stack 3.32 and follow LoRaWAN 1.0.3, 4.3.1 (frame counters) and 4.3.1.2 (acknowledgement).

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use super::config::Class;

/// Transmissions of a confirmed downlink that names no maximum.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 8;

/// Number of a session's first downlink frame: the Application Server counts application downlinks from 1.
const FIRST_F_CNT: u32 = 1;

/// One application downlink on its way to a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Downlink {
    pub f_port: u8,
    pub payload: Vec<u8>,
    pub decoded_payload: Option<Value>,
    pub confirmed: bool,
    pub priority: Priority,
    /// Class B/C settings as given. Such an item is never sent in class A, and holds up those behind it.
    pub class_b_c: Option<Value>,
    pub retry: Option<Retry>,
    /// The sender's own number, where it encrypts and numbers its downlinks itself.
    pub f_cnt: Option<u32>,
    /// The session that it was encrypted in, likewise; base64.
    pub session_key_id: Option<String>,
    /// The sender's ids, followed by the stack's own; they survive until the end.
    pub correlation_ids: Vec<String>,
}

/// How often a confirmed downlink was and may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// Counts up at every missed acknowledgement. It starts at 1 unless the sender gave a `Retry` of its own, which
    /// starts at 0: `max_attempts: 2` alone therefore makes three transmissions.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
}

/// How much a gateway should prefer this transmission. It does not reorder the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Priority {
    #[default]
    Lowest,
    Low,
    BelowNormal,
    Normal,
    AboveNormal,
    High,
    Highest,
}

/// A downlink with the frame counter it was, or would be, sent under.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered {
    pub f_cnt: u32,
    pub downlink: Downlink,
}

/// What an uplink said about the confirmed downlink before it.
#[derive(Debug, Clone, PartialEq)]
pub enum Receipt {
    Acknowledged(Numbered),
    /// Not acknowledged; it waits again at the end of the queue, unless it is encrypted end to end.
    Missed(Numbered),
    /// Not acknowledged, and this was the last attempt.
    GivenUp(Numbered),
}

/// What one receive window makes of the queue.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Window {
    /// Items dropped because no receive window of this uplink could carry them.
    pub too_long: Vec<Numbered>,
    /// The item to send now.
    pub send: Option<Numbered>,
    /// More items wait: the frame's FPending bit (LoRaWAN 1.0.3, 4.3.1.4).
    pub pending: bool,
}

/// Why the queue does not take items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the downlink queue is full")]
    Full,
    #[error("the frame counter {f_cnt} is lower than {min}")]
    FCntTooLow { f_cnt: u32, min: u32 },
}

/// The downlinks that wait for one device, and the confirmed one that waits for its acknowledgement.
#[derive(Debug, Clone)]
pub struct Queue {
    waiting: VecDeque<Downlink>,
    unacknowledged: Option<Numbered>,
    /// Frame counter of the next downlink frame of this session.
    next_f_cnt: u32,
    /// The highest number that a sender gave an item of this session.
    last_given: u32,
    /// Senders encrypt and number their downlinks themselves.
    end_to_end: bool,
    capacity: usize,
}

impl Queue {
    /// An empty queue for at most `capacity` items.
    pub fn new(capacity: usize, end_to_end: bool) -> Self {
        let next_f_cnt = FIRST_F_CNT;
        Self { waiting: VecDeque::new(), unacknowledged: None, next_f_cnt, last_given: 0, end_to_end, capacity }
    }

    /// Appends all items in order, or none of them.
    pub fn push(&mut self, items: Vec<Downlink>) -> Result<(), Refused> {
        if self.waiting.len() + items.len() > self.capacity {
            return Err(Refused::Full);
        }
        self.check_numbers(&items)?;
        self.waiting.extend(items);
        Ok(())
    }

    /// The lowest number that a sender may give the next item.
    pub fn min_f_cnt(&self) -> u32 {
        self.next_f_cnt.max(self.last_given + 1)
    }

    /// The highest number that a sender gave an item of this session; 0 if none did.
    pub fn last_given(&self) -> u32 {
        self.last_given
    }

    fn check_numbers(&mut self, items: &[Downlink]) -> Result<(), Refused> {
        if !self.end_to_end {
            return Ok(());
        }
        let mut min = self.min_f_cnt();
        for item in items {
            let f_cnt = item.f_cnt.unwrap_or(0);
            if f_cnt < min {
                return Err(Refused::FCntTooLow { f_cnt, min });
            }
            min = f_cnt + 1;
        }
        self.last_given = min - 1;
        Ok(())
    }

    /// Puts these items in place of those that wait. One already sent is not recalled.
    pub fn replace(&mut self, items: Vec<Downlink>) -> Result<(), Refused> {
        if items.len() > self.capacity {
            return Err(Refused::Full);
        }
        self.check_numbers(&items)?;
        self.waiting = items.into();
        Ok(())
    }

    /// What waits, numbered as it would be sent if nothing else went out in between.
    pub fn waiting(&self) -> impl Iterator<Item = Numbered> + '_ {
        (self.next_f_cnt..).zip(&self.waiting).map(|(next, downlink)| self.numbered(next, downlink.clone()))
    }

    fn numbered(&self, next: u32, downlink: Downlink) -> Numbered {
        Numbered { f_cnt: downlink.f_cnt.filter(|_| self.end_to_end).unwrap_or(next), downlink }
    }

    /// A new session: what waits is kept and counted anew. A downlink that was sent in the old session can no longer be
    /// acknowledged and is forgotten without a word (not observed on the real one; nothing there would remember it).
    /// What is encrypted end to end fits the old session only, and is given back.
    pub fn rejoin(&mut self) -> Vec<Numbered> {
        let given_back = self.give_back();
        (self.next_f_cnt, self.last_given) = (FIRST_F_CNT, 0);
        self.unacknowledged = None;
        given_back
    }

    /// Empties a queue whose items cannot be numbered anew.
    fn give_back(&mut self) -> Vec<Numbered> {
        let items = self.waiting().filter(|_| self.end_to_end).collect();
        if self.end_to_end {
            self.waiting.clear();
        }
        items
    }

    /// An uplink arrived: settles the confirmed downlink before it, if there is one.
    pub fn uplink_arrived(&mut self, acknowledges: bool) -> Option<Receipt> {
        let mut sent = self.unacknowledged.take()?;
        if acknowledges {
            return Some(Receipt::Acknowledged(sent));
        }
        if self.end_to_end {
            return Some(Receipt::Missed(sent));
        }
        let retry = sent.downlink.retry.get_or_insert(Retry { attempt: 1, max_attempts: None });
        retry.attempt += 1;
        if retry.attempt > retry.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS) {
            return Some(Receipt::GivenUp(sent));
        }
        self.waiting.push_back(sent.downlink.clone());
        Some(Receipt::Missed(sent))
    }

    /// The device listens, in this class and for at most `limit` bytes of application payload.
    ///
    /// Items with class B/C settings wait for class C, and confirmed ones until the one before them is settled.
    pub fn window(&mut self, limit: usize, class: Class) -> Window {
        let mut window = Window::default();
        while self.is_ready(class) {
            let Some(next) = self.waiting.pop_front() else { break };
            let item = self.numbered(self.next_f_cnt, next);
            if item.downlink.payload.len() > limit {
                window.too_long.push(item);
                continue;
            }
            self.next_f_cnt = item.f_cnt + 1;
            if item.downlink.confirmed {
                self.unacknowledged = Some(item.clone());
            }
            window.send = Some(item);
            break;
        }
        window.pending = !self.waiting.is_empty();
        window
    }

    /// True if the first item may go in this class now.
    pub fn is_ready(&self, class: Class) -> bool {
        self.waiting.front().is_some_and(|next| {
            let blocked = next.confirmed && self.unacknowledged.is_some();
            (class == Class::C || next.class_b_c.is_none()) && !blocked
        })
    }

    /// Counts a frame without application payload: in LoRaWAN 1.0.x it takes a number of the same counter. Where senders
    /// give the numbers, everything behind an item whose number is gone is given back with it.
    pub fn count_empty_frame(&mut self) -> (u32, Vec<Numbered>) {
        let f_cnt = self.next_f_cnt;
        self.next_f_cnt += 1;
        let overtaken = self.waiting().next().is_some_and(|next| next.f_cnt <= f_cnt);
        (f_cnt, if overtaken { self.give_back() } else { Vec::new() })
    }

    /// The gateway refused the frame just taken: it will not be acknowledged and is not sent again.
    pub fn refused(&mut self) {
        self.unacknowledged = None;
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(payload: &[u8], confirmed: bool) -> Downlink {
        Downlink {
            f_port: 1,
            payload: payload.to_vec(),
            decoded_payload: None,
            confirmed,
            priority: Priority::default(),
            class_b_c: None,
            retry: None,
            f_cnt: None,
            session_key_id: None,
            correlation_ids: Vec::new(),
        }
    }

    fn queue_of(items: Vec<Downlink>) -> Queue {
        let mut queue = Queue::new(10, false);
        queue.push(items).unwrap();
        queue
    }

    /// Sends until the queue has nothing left to say; no uplink ever acknowledges.
    fn transmissions(retry: Option<Retry>) -> u32 {
        let mut queue = queue_of(vec![Downlink { retry, ..item(&[1], true) }]);
        let mut count = 0;
        while queue.window(51, Class::A).send.is_some() {
            count += 1;
            queue.uplink_arrived(false).unwrap();
        }
        count
    }

    #[test]
    fn attempts_count_as_measured_on_a_device_that_never_acknowledges() {
        let retry = |attempt, max| Some(Retry { attempt, max_attempts: Some(max) });
        assert_eq!(transmissions(None), 8);
        assert_eq!(transmissions(retry(0, 1)), 2);
        assert_eq!(transmissions(retry(0, 2)), 3);
        assert_eq!(transmissions(retry(1, 1)), 1);
        assert_eq!(transmissions(retry(1, 2)), 2);
    }

    #[test]
    fn items_leave_one_a_window_in_order_with_rising_counters_and_fpending() {
        let mut queue = queue_of(vec![item(&[1], false), item(&[2], false)]);
        let first = queue.window(51, Class::A);
        assert!(first.pending);
        assert_eq!(first.send.map(|sent| (sent.f_cnt, sent.downlink.payload)), Some((1, vec![1])));
        let second = queue.window(51, Class::A);
        assert!(!second.pending);
        assert_eq!(second.send.map(|sent| (sent.f_cnt, sent.downlink.payload)), Some((2, vec![2])));
        assert_eq!(queue.window(51, Class::A), Window::default());
    }

    #[test]
    fn a_missed_acknowledgement_puts_the_item_behind_the_others() {
        let mut queue = queue_of(vec![item(&[1], true), item(&[2], false)]);
        queue.window(51, Class::A);
        assert!(matches!(queue.uplink_arrived(false), Some(Receipt::Missed(_))));
        let order: Vec<_> = queue.waiting().map(|waiting| waiting.downlink.payload[0]).collect();
        assert_eq!(order, [2, 1]);
    }

    #[test]
    fn an_acknowledgement_settles_the_item_once() {
        let mut queue = queue_of(vec![item(&[1], true)]);
        queue.window(51, Class::A);
        assert!(matches!(queue.uplink_arrived(true), Some(Receipt::Acknowledged(_))));
        assert_eq!(queue.uplink_arrived(true), None);
    }

    #[test]
    fn a_rejoin_keeps_the_queue_and_counts_anew() {
        let mut queue = queue_of(vec![item(&[1], false), item(&[2], false)]);
        queue.window(51, Class::A);
        queue.rejoin();
        assert_eq!(queue.waiting().map(|waiting| waiting.f_cnt).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn an_item_too_long_for_the_window_is_dropped_and_the_next_one_goes() {
        let mut queue = queue_of(vec![item(&[0; 60], false), item(&[2], false)]);
        let window = queue.window(51, Class::A);
        assert_eq!(window.too_long.len(), 1);
        assert_eq!(window.send.unwrap().downlink.payload, [2]);
    }

    #[test]
    fn a_class_c_item_holds_up_class_a_only() {
        let class_c = Downlink { class_b_c: Some(serde_json::json!({})), ..item(&[1], false) };
        let mut queue = queue_of(vec![class_c, item(&[2], false)]);
        assert_eq!(queue.window(51, Class::A), Window { pending: true, ..Window::default() });
        assert_eq!(queue.window(51, Class::C).send.unwrap().downlink.payload, [1]);
    }

    #[test]
    fn in_class_c_an_unconfirmed_item_overtakes_no_one_but_does_not_wait_for_an_acknowledgement() {
        let mut queue = queue_of(vec![item(&[1], true), item(&[2], false), item(&[3], true)]);
        let mut next = || queue.window(51, Class::C).send.map(|sent| sent.downlink.payload[0]);
        assert_eq!([next(), next(), next()], [Some(1), Some(2), None]);
        queue.uplink_arrived(true);
        assert_eq!(queue.window(51, Class::C).send.unwrap().downlink.payload, [3]);
    }

    #[test]
    fn a_push_beyond_the_capacity_adds_nothing() {
        let mut queue = Queue::new(2, false);
        queue.push(vec![item(&[1], false)]).unwrap();
        assert_eq!(queue.push(vec![item(&[2], false), item(&[3], false)]), Err(Refused::Full));
        assert_eq!(queue.waiting().count(), 1);
    }

    #[test]
    fn an_empty_frame_takes_a_number() {
        let mut queue = queue_of(vec![item(&[1], false)]);
        assert_eq!(queue.count_empty_frame(), (1, Vec::new()));
        assert_eq!(queue.window(51, Class::A).send.unwrap().f_cnt, 2);
    }

    fn own(f_cnt: u32) -> Downlink {
        Downlink { f_cnt: Some(f_cnt), ..item(&[1], false) }
    }

    #[test]
    fn own_numbers_must_rise_and_may_leave_gaps() {
        let mut queue = Queue::new(10, true);
        assert_eq!(queue.push(vec![item(&[1], false)]), Err(Refused::FCntTooLow { f_cnt: 0, min: 1 }));
        queue.push(vec![own(2), own(10)]).unwrap();
        assert_eq!(queue.push(vec![own(10)]), Err(Refused::FCntTooLow { f_cnt: 10, min: 11 }));
        assert_eq!(queue.window(51, Class::A).send.unwrap().f_cnt, 2);
        assert_eq!((queue.count_empty_frame(), queue.waiting().count()), ((3, Vec::new()), 1));
        assert_eq!(queue.window(51, Class::A).send.unwrap().f_cnt, 10);
    }

    #[test]
    fn what_was_numbered_by_its_sender_is_given_back_when_its_number_is_gone_and_not_repeated() {
        let mut queue = Queue::new(10, true);
        queue.push(vec![own(1), own(2)]).unwrap();
        let (f_cnt, given_back) = queue.count_empty_frame();
        assert_eq!((f_cnt, given_back.len(), queue.waiting().count()), (1, 2, 0));
        queue.push(vec![Downlink { confirmed: true, ..own(3) }, own(4)]).unwrap();
        queue.window(51, Class::A);
        assert!(matches!(queue.uplink_arrived(false), Some(Receipt::Missed(_))));
        assert_eq!(queue.rejoin().len(), 1);
        assert_eq!((queue.waiting().count(), queue.min_f_cnt()), (0, 1));
    }
}
