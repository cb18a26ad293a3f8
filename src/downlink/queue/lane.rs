//! What is open for one device, in its order, and what may be asked of the network for it next.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::fair_use::urgent;
use super::item::{Item, Place, Why};
use super::wait::Wait;
use super::{Action, Lookup, Request};
use crate::model::{DeviceKey, DownlinkId, Priority, QueuedDownlink, State};

/// How far apart our clock and the network's may be.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(60);

/// So many look-ups without an answer, and the next one does not insist on the history.
const HISTORY_TRIES: u32 = 3;

/// The open downlinks of one device.
#[derive(Debug, Clone)]
pub struct Lane {
    pub(super) key: DeviceKey,
    pub(super) items: Vec<Item>,
    /// Nothing is pushed while this lasts.
    pub(super) hold: Option<Hold>,
    /// When to look for downlinks whose report should have come by now: their device was heard.
    pub(super) check: Option<Wait>,
    /// When to look for them without that: reports were missed.
    pub(super) soon: Option<Wait>,
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

/// What holds downlinks back that are otherwise ready.
#[derive(Debug, Clone, Copy, Default)]
pub struct Held<'a> {
    /// All of them.
    pub all: Option<&'a Why>,
    /// Those that are not urgent.
    pub unhurried: Option<&'a Why>,
    /// Those that are to go out by some time, because nobody knows what time it is.
    pub expiring: Option<&'a Why>,
}

impl<'a> Held<'a> {
    /// Why this one is held, if it is.
    fn of(&self, downlink: &QueuedDownlink) -> Option<&'a Why> {
        let unhurried = self.unhurried.filter(|_| !urgent(downlink.priority));
        let expiring = self.expiring.filter(|_| downlink.expires_at.is_some());
        self.all.or(unhurried).or(expiring)
    }
}

/// What goes first among the devices of one application, pushes and questions each: what blocks a device before
/// reconciling, the urgent before the old.
pub type Rank = (u8, Reverse<Priority>, u64);

impl Lane {
    pub fn new(key: DeviceKey) -> Self {
        Self {
            key,
            items: Vec::new(),
            hold: None,
            check: None,
            soon: None,
            looking_when_due: false,
            setbacks: 0,
            alive_meanwhile: false,
        }
    }

    /// Takes back what the store kept of a device.
    pub fn restore(&mut self, item: Item, now: Timestamp) {
        let item = item.restored(now);
        if matches!(item.place(), Place::Network { .. }) {
            self.soon = Some(Wait::new(now, Duration::ZERO));
        }
        let place = self.items.partition_point(|other| other.arrival < item.arrival);
        self.items.insert(place, item);
    }

    pub fn accept(&mut self, downlink: QueuedDownlink, arrival: u64, now: Timestamp, out: &mut Vec<Action>) {
        self.items.push(Item::accept(downlink, arrival, now, out));
    }

    /// Marks one downlink as unwanted; what can be done about it depends on where it is. `false`: it is not open.
    pub fn cancel(&mut self, id: &DownlinkId) -> bool {
        let item = self.find(id);
        item.map(|item| item.change().unwanted = true).is_some()
    }

    pub fn clear(&mut self) {
        self.items.iter_mut().for_each(|item| item.change().unwanted = true);
    }

    pub(super) fn find(&mut self, id: &DownlinkId) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.id() == id && !item.ended())
    }

    /// What has not reached its end, in the order of arrival.
    pub fn open(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| !item.ended())
    }

    /// How many are open, and the fields they shall set: of each the newest that is still wanted.
    pub fn pending(&self) -> (usize, Map<String, Value>) {
        let wanted = self.open().filter(|item| !item.unwanted).filter_map(|item| item.downlink.fields.as_ref());
        let fields = wanted.flatten().map(|(name, value)| (name.clone(), value.clone()));
        (self.open().count(), fields.collect())
    }

    /// The clock may have been set back.
    pub fn forgive_clock(&mut self, now: Timestamp) {
        self.items.iter_mut().filter(|item| item.waiting()).for_each(|item| item.forgive_clock(now));
    }

    /// Lets time, newer downlinks and the home's wishes take effect, and shows why the rest waits.
    pub fn settle(&mut self, now: Timestamp, held: Held, out: &mut Vec<Action>) {
        self.hold = self.hold.take().filter(|hold| !hold.over(now));
        let held = Held { all: held.all.or(self.hold.as_ref().map(|hold| &hold.why)), ..held };
        for index in 0..self.items.len() {
            let superseded = self.items.iter().any(|other| self.items[index].superseded_by(other));
            let item = &mut self.items[index];
            match item.place() {
                Place::Waiting => settle_waiting(item, superseded, held, now, out),
                Place::Withdrawn(wait) if wait.over(now) => item.end(State::Cancelled, Why::default(), now, out),
                Place::Network { sent: true, .. } if item.unwanted => item.keep(now, out),
                _ => item.worry(now, out),
            }
        }
    }

    /// Nobody waits any longer for the report that what was taken back was sent before.
    pub fn stop(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        let withdrawn = self.items.iter_mut().filter(|item| matches!(item.place(), Place::Withdrawn(_)));
        withdrawn.for_each(|item| item.end(State::Cancelled, Why::default(), now, out));
    }

    /// What the store has to keep, and then forgets what ended. `last`: also what is only worth keeping at a stop.
    pub fn take_changes(&mut self, now: Timestamp, last: bool, into: &mut Vec<Item>) {
        let change = |item: &mut Item| item.take_change(now).or_else(|| if last { item.take_told() } else { None });
        into.extend(self.items.iter_mut().filter_map(change));
        self.items.retain(|item| !item.ended());
    }

    /// The request that this device needs next, with its rank among those of the other devices.
    pub fn next(&self, now: Timestamp, in_network: usize, held: Held) -> Option<(Rank, Request)> {
        if let Some(wait) = self.items.iter().find_map(unsure) {
            return wait.over(now).then(|| self.question(0, self.look()));
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
        if [self.check, self.soon].into_iter().flatten().any(|wait| wait.over(now)) {
            return Some(self.question(2, self.look()));
        }
        let taken = self.items.iter().filter(|item| item.in_network()).count();
        if self.hold.is_some() || held.all.is_some() || taken >= in_network {
            return None;
        }
        let free = |item: &&Item| held.of(&item.downlink).is_none();
        let ready = self.items.iter().filter(|item| item.waiting() && !item.too_early(now)).filter(free);
        let item = ready.min_by_key(|item| item.rank())?;
        let (priority, arrival) = item.rank();
        Some(((2, priority, arrival), Request::Push(item.downlink.clone())))
    }

    /// The network is asked for everything it may have of this device.
    fn look(&self) -> Request {
        let there =
            || self.items.iter().filter(|item| item.in_network() || matches!(item.place(), Place::Withdrawn(_)));
        let since = there().filter_map(|item| item.pushed).map(|pushed| pushed.at).min();
        Request::Look(Lookup {
            key: self.key.clone(),
            ids: there().map(|item| item.id().clone()).collect(),
            since: since.map(|since| since.checked_sub(CLOCKS_APART).unwrap_or(Timestamp::MIN)),
            without_history: self.setbacks >= HISTORY_TRIES,
        })
    }

    /// This request is under way from now on.
    pub fn asking(&mut self, request: &Request, now: Timestamp) {
        match request {
            Request::Push(downlink) => {
                self.alive_meanwhile = false;
                self.find(&downlink.id).expect("the request was made from it").pushing(now);
            }
            Request::Look(_) => {
                self.looking_when_due = self.check.take_if(|wait| wait.over(now)).is_some();
                self.soon.take_if(|wait| wait.over(now));
                self.items.iter_mut().for_each(|item| item.looking(now));
            }
            Request::Withdraw(_, ids) => {
                let items = self.items.iter_mut().filter(|item| ids.contains(item.id()));
                items.for_each(|item| item.change().withdrawing = true);
            }
        }
    }

    /// Everything at which time alone changes something here.
    pub fn deadlines(&self) -> impl Iterator<Item = Timestamp> {
        let hold = self.hold.as_ref().and_then(|hold| hold.until);
        let waits = hold.into_iter().chain(self.check).chain(self.soon).map(|wait| wait.until);
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

fn settle_waiting(item: &mut Item, superseded: bool, held: Held, now: Timestamp, out: &mut Vec<Action>) {
    if item.unwanted {
        item.end(State::Cancelled, Why::default(), now, out);
    } else if superseded {
        item.end(State::Superseded, Why::default(), now, out);
    } else if held.expiring.is_none() && item.expired(now) {
        item.end(State::Expired, Why::default(), now, out);
    } else if let Some(at) = item.downlink.not_before.filter(|at| *at > now) {
        item.show(State::Held, Why::reason(format!("not before {at}")), now, out);
    } else if let Some(why) = held.of(&item.downlink) {
        item.show(State::Held, why.clone(), now, out);
    }
}

fn unsure(item: &Item) -> Option<Wait> {
    match item.place() {
        Place::Unsure(doubt) => Some(doubt.look),
        _ => None,
    }
}
