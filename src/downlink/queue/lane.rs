//! What is open for one device, in its order, and what may be asked of the network for it next.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::item::{Item, Place, Why};
use super::wait::Wait;
use super::{Action, Request};
use crate::model::{DeviceKey, DownlinkId, Priority, QueuedDownlink, State};

/// The open downlinks of one device.
#[derive(Debug)]
pub struct Lane {
    pub(super) key: DeviceKey,
    pub(super) items: Vec<Item>,
    /// Nothing is pushed while this lasts.
    pub(super) hold: Option<Hold>,
    /// When to look for downlinks whose report should have come by now.
    pub(super) check: Option<Wait>,
    /// The look-up under way was made because of `check`.
    pub(super) looking_when_due: bool,
    /// Requests without a clear answer since the last clear one.
    pub(super) setbacks: u32,
    /// The device was heard while a push was under way.
    pub(super) alive_meanwhile: bool,
}

/// Why nothing is pushed at the moment.
#[derive(Debug, Clone)]
pub struct Hold {
    /// `None`: until the device is heard.
    pub until: Option<Wait>,
    pub ends_when_heard: bool,
    pub why: Why,
}

/// What goes first among the devices of one application: questions before pushes, urgent before old.
pub type Rank = (u8, Reverse<Priority>, u64);

impl Lane {
    pub fn new(key: DeviceKey) -> Self {
        Self {
            key,
            items: Vec::new(),
            hold: None,
            check: None,
            looking_when_due: false,
            setbacks: 0,
            alive_meanwhile: false,
        }
    }

    pub fn accept(&mut self, downlink: QueuedDownlink, arrival: u64, now: Timestamp, out: &mut Vec<Action>) {
        self.items.push(Item::accept(downlink, arrival, now, out));
    }

    /// Marks one downlink as unwanted; what can be done about it depends on where it is. `false`: it is not open.
    pub fn cancel(&mut self, id: &DownlinkId) -> bool {
        let item = self.find(id);
        item.map(|item| item.unwanted = true).is_some()
    }

    pub fn clear(&mut self) {
        self.items.iter_mut().for_each(|item| item.unwanted = true);
    }

    pub(super) fn find(&mut self, id: &DownlinkId) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.id() == id && !item.ended())
    }

    /// Lets time, newer downlinks and the home's wishes take effect, shows why the rest waits, and forgets what ended.
    pub fn settle(&mut self, now: Timestamp, above: Option<&Hold>, stopping: bool, out: &mut Vec<Action>) {
        self.hold = self.hold.take().filter(|hold| !hold.over(now));
        let why = above.or(self.hold.as_ref()).map(|hold| hold.why.clone());
        for index in 0..self.items.len() {
            let superseded = self.items.iter().any(|other| self.items[index].superseded_by(other));
            let item = &mut self.items[index];
            match &item.place {
                Place::Waiting => settle_waiting(item, superseded, why.as_ref(), stopping, now, out),
                Place::Withdrawn(wait) if stopping || wait.over(now) => {
                    item.end(State::Cancelled, Why::default(), now, out);
                }
                Place::Unsure(_) if stopping => item.end(State::Failed, lost_sight(), now, out),
                Place::Network { sent: true, .. } if item.unwanted => item.keep(now, out),
                _ => {}
            }
        }
        self.items.retain(|item| !item.ended());
    }

    /// The request that this device needs next, with its rank among those of the other devices.
    pub fn next(&self, now: Timestamp, in_network: usize) -> Option<(Rank, Request)> {
        if let Some(wait) = self.items.iter().find_map(|item| unsure(&item.place)) {
            return wait.over(now).then(|| self.question(0, Request::Look(self.key.clone())));
        }
        let unwanted: Vec<_> = self
            .items
            .iter()
            .filter(|item| item.unwanted && item.queued_at_network())
            .map(|item| item.id().clone())
            .collect();
        if !unwanted.is_empty() {
            return Some(self.question(0, Request::Withdraw(self.key.clone(), unwanted)));
        }
        if self.check.is_some_and(|wait| wait.over(now)) {
            return Some(self.question(1, Request::Look(self.key.clone())));
        }
        let taken = self.items.iter().filter(|item| item.in_network()).count();
        if self.hold.is_some() || taken >= in_network {
            return None;
        }
        let ready = self.items.iter().filter(|item| item.waiting() && !item.too_early(now));
        let item = ready.min_by_key(|item| item.rank())?;
        let (priority, arrival) = item.rank();
        Some(((2, priority, arrival), Request::Push(item.downlink.clone())))
    }

    /// This request is under way from now on.
    pub fn asking(&mut self, request: &Request, now: Timestamp) {
        match request {
            Request::Push(downlink) => self.pushing(&downlink.id),
            Request::Look(_) => self.looking_when_due = self.check.take_if(|wait| wait.over(now)).is_some(),
            Request::Withdraw(..) => {}
        }
    }

    fn pushing(&mut self, id: &DownlinkId) {
        self.alive_meanwhile = false;
        if let Some(item) = self.find(id) {
            item.place = Place::Pushing;
        }
    }

    /// Everything at which time alone changes something here.
    pub fn deadlines(&self) -> impl Iterator<Item = Timestamp> {
        let hold = self.hold.as_ref().and_then(|hold| hold.until);
        let waits = hold.into_iter().chain(self.check).map(|wait| wait.until);
        waits.chain(self.items.iter().flat_map(Item::deadlines))
    }

    fn question(&self, urgency: u8, request: Request) -> (Rank, Request) {
        let oldest = self.items.first().map_or(0, |item| item.arrival);
        ((urgency, Reverse(Priority::default()), oldest), request)
    }
}

impl Hold {
    pub fn over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|wait| wait.over(now))
    }
}

fn settle_waiting(
    item: &mut Item,
    superseded: bool,
    held: Option<&Why>,
    stopping: bool,
    now: Timestamp,
    out: &mut Vec<Action>,
) {
    if item.unwanted {
        item.end(State::Cancelled, Why::default(), now, out);
    } else if superseded {
        item.end(State::Superseded, Why::default(), now, out);
    } else if item.expired(now) {
        item.end(State::Expired, Why::default(), now, out);
    } else if stopping {
        item.end(State::Failed, stopped(), now, out);
    } else if let Some(at) = item.downlink.not_before.filter(|at| *at > now) {
        item.show(State::Held, Why::reason(format!("not before {at}")), now, out);
    } else if let Some(why) = held {
        item.show(State::Held, why.clone(), now, out);
    }
}

fn unsure(place: &Place) -> Option<&Wait> {
    match place {
        Place::Unsure(wait) => Some(wait),
        _ => None,
    }
}

fn stopped() -> Why {
    Why::reason("the bridge stopped before it was handed to the network").hint("send it again")
}

fn lost_sight() -> Why {
    Why::reason("the bridge stopped before the network's answer was clear: it may or may not be sent")
}
