//! The world of the queue's model: a network, a store, a home and a clock, and the book of what the machine did.

mod network;

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::properties::Turn;
use super::{Action, Allowance, Answer, Event, Item, Limits, Machine, Request};
use crate::model::{
    ApplicationName, DeviceId, DeviceKey, DownlinkEvent, DownlinkHappening, DownlinkId, FPort, Priority,
    QueuedDownlink, State, Step,
};

const IN_NETWORK: usize = 2;
/// A report on a stream that holds comes within this time, in seconds.
const REPORTED_WITHIN: i64 = 60;
/// From when the network hands a downlink to a gateway until that says it was sent, in seconds.
const ON_AIR_FOR: i64 = 16;
/// A stream that died is known to be dead within this time, in seconds.
const NOTICED_WITHIN: i64 = 60;

/// How a request ends.
#[derive(Debug, Clone, Copy)]
pub enum How {
    Well,
    /// Well, and the budget is spent with it.
    Spent,
    Refused,
    NoSession,
    RateLimited,
    QueueFull,
    Forbidden,
    Unclear(Acts),
}

/// What the network did about a request of which it told nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Acts {
    Never,
    Now,
    /// Within the time after which it is looked up.
    Later,
}

/// Where in the handling of an event the process dies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Crash {
    BeforeCommit,
    BeforeActing,
    AfterActing,
}

/// What is known of one downlink from outside the machine.
pub struct Known {
    downlink: QueuedDownlink,
    arrival: usize,
    /// What the clock had been set back by when it was accepted.
    set_back: i64,
    /// It is in the store: the home may rely on it.
    accepted: bool,
    pub end: Option<State>,
    /// The last report of it, late perhaps, was that the network has it.
    told_queued: bool,
    /// A push is allowed: it was never pushed, or surely is not there.
    pushable: bool,
    /// Its last push ended without a clear answer, and nothing was learned since.
    unclear: bool,
    /// The network gave it to a gateway, and has not said since that it leaves it at that.
    transmitted: bool,
    /// How often it was pushed. The network's side tells what is of an earlier push, and passes it over.
    pushes: u32,
    /// Transmissions of which the network said that it leaves it at that.
    unrepeated: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stream {
    Up,
    /// Dead since then, and not known to be.
    Deaf(i64),
    Down,
}

struct Report {
    event: DownlinkEvent,
    id: DownlinkId,
    push: u32,
    since: i64,
}

pub struct World {
    pub machine: Machine,
    pub now: Timestamp,
    /// Seconds that really passed, whatever the clock shows.
    elapsed: i64,
    /// Seconds by which the clock was set back, all in all.
    set_back: i64,
    /// With when they were made.
    pub under_way: BTreeMap<DeviceKey, (Request, i64)>,
    book: BTreeMap<DownlinkId, Known>,
    queues: BTreeMap<DeviceKey, Vec<DownlinkId>>,
    /// Pushes the network has not acted on yet, and when it will.
    late: Vec<(i64, QueuedDownlink)>,
    /// Handed to a gateway, and not reported before then.
    on_air: Vec<(i64, DeviceKey, DownlinkId, DownlinkHappening)>,
    /// Transmitted and not yet acknowledged or not, with their attempts.
    awaiting: HashMap<DownlinkId, u32>,
    attempts: HashMap<DownlinkId, u32>,
    streams: BTreeMap<ApplicationName, Stream>,
    reports: Vec<Report>,
    /// With the push that each is of.
    history: Vec<(DownlinkEvent, u32)>,
    stored: BTreeMap<DownlinkId, String>,
    disk_works: bool,
    unsaved: BTreeMap<DownlinkId, Item>,
    crash: Option<(Crash, Acts)>,
}

pub fn device(index: usize) -> DeviceKey {
    DeviceKey::new(&application([0, 0, 1][index]), DeviceId::parse(&format!("node-{index}")).unwrap())
}

fn application(index: usize) -> ApplicationName {
    ApplicationName::parse(["one", "two"][index]).unwrap()
}

/// Whether the network leaves it to us to repeat what is for this device, and gives back what its queue cannot keep: as it
/// does where it cannot encrypt.
fn leaves_it_to_us(key: &DeviceKey) -> bool {
    *key == device(1)
}

fn machine() -> Machine {
    let mut machine = Machine::new(Limits { in_network: IN_NETWORK, per_device: 8, total: 16 }, Allowance::default());
    machine.time_is_known();
    machine
}

impl World {
    pub fn new() -> Self {
        Self {
            machine: machine(),
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
            elapsed: 0,
            set_back: 0,
            under_way: BTreeMap::new(),
            book: BTreeMap::new(),
            queues: BTreeMap::new(),
            late: Vec::new(),
            on_air: Vec::new(),
            awaiting: HashMap::new(),
            attempts: HashMap::new(),
            streams: [0, 1].map(|index| (application(index), Stream::Up)).into(),
            reports: Vec::new(),
            history: Vec::new(),
            stored: BTreeMap::new(),
            disk_works: true,
            unsaved: BTreeMap::new(),
            crash: None,
        }
    }

    pub fn accepted(&self) -> impl Iterator<Item = (&DownlinkId, &Known)> {
        self.book.iter().filter(|(_, known)| known.accepted)
    }

    /// Downlinks of this device that were transmitted.
    pub fn on_air(&self, key: &DeviceKey) -> usize {
        self.book.values().filter(|known| known.downlink.key == *key && known.transmitted).count()
    }

    /// Pushes of downlinks to this device.
    pub fn pushes(&self, key: &DeviceKey) -> u32 {
        self.book.values().filter(|known| known.downlink.key == *key).map(|known| known.pushes).sum()
    }

    pub fn turn(&mut self, turn: &Turn) {
        match *turn {
            Turn::Accept { device: index, urgent, confirmed, expires, not_before, key } => {
                let mut downlink = self.downlink(device(index), confirmed);
                downlink.priority = if urgent { Priority::High } else { Priority::Normal };
                downlink.expires_at = expires.map(|s| self.now + SignedDuration::from_secs(s.into()));
                downlink.not_before = not_before.map(|s| self.now + SignedDuration::from_secs(s.into()));
                downlink.supersedes = key.map(|key| key.to_string());
                self.book.get_mut(&downlink.id).unwrap().downlink = downlink.clone();
                self.command(device(index), Event::Accept(downlink));
            }
            Turn::Replace { device: index } => {
                let downlink = self.downlink(device(index), false);
                self.command(device(index), Event::Replace(device(index), vec![downlink]));
            }
            Turn::Cancel { which } => {
                let open: Vec<_> = self.machine.items().map(|item| item.downlink.clone()).collect();
                if let Some(downlink) = pick(&open, which) {
                    self.command(downlink.key.clone(), Event::Cancel(downlink.key.clone(), downlink.id.clone()));
                }
            }
            Turn::Clear { device: index } => self.command(device(index), Event::Clear(device(index))),
            Turn::Answer { device, how, history } => self.answer(device, how, history),
            Turn::Uplink { device: index, acknowledges, transmits, refused_by_gateway } => {
                self.uplink(&device(index), acknowledges);
                if transmits {
                    self.transmit(&device(index), refused_by_gateway);
                }
            }
            Turn::LoseSession { device: index } => self.lose_session(&device(index)),
            Turn::GiveBack => self.give_back(&device(1)),
            Turn::Report { which, again } => self.report(which, again),
            Turn::LoseReport { which } => self.lose_report(which),
            Turn::GoDeaf { application: index } => self.go_deaf(&application(index)),
            Turn::Reconnect { application: index } => self.reconnect(&application(index)),
            Turn::Crash { crash, acts } => self.crash = Some((crash, acts)),
            Turn::Disk { works: true } => self.disk_works(),
            Turn::Disk { works: false } => self.disk_works = false,
            Turn::Pass(seconds) => self.pass(seconds.into()),
        }
    }

    fn downlink(&mut self, key: DeviceKey, confirmed: bool) -> QueuedDownlink {
        let arrival = self.book.len();
        let downlink = QueuedDownlink {
            id: DownlinkId::parse(&format!("d{arrival}")).unwrap(),
            key,
            f_port: FPort::new(1).unwrap(),
            payload: vec![1],
            fields: None,
            confirmed,
            priority: Priority::Normal,
            attempts: None,
            expires_at: None,
            not_before: None,
            supersedes: None,
        };
        let known = Known {
            downlink: downlink.clone(),
            arrival,
            set_back: self.set_back,
            accepted: false,
            end: None,
            told_queued: false,
            pushable: true,
            unclear: false,
            transmitted: false,
            pushes: 0,
            unrepeated: 0,
        };
        self.book.insert(downlink.id.clone(), known);
        downlink
    }

    /// A command is stored, or nothing of it is done.
    fn command(&mut self, key: DeviceKey, event: Event) {
        let before = self.machine.snapshot(&key);
        let actions = self.machine.handle(event, self.now);
        let changes = self.machine.take_changes(self.now);
        if self.disk_works {
            self.conclude(actions, changes);
        } else {
            self.machine.put_back(&key, before);
            let others = changes.into_iter().filter(|item| item.downlink.key != key).collect();
            let theirs = |action: &Action| !matches!(action, Action::Publish(of, ..) if *of == key);
            self.conclude(actions.into_iter().filter(theirs).collect(), others);
        }
        self.event(Event::Tick);
    }

    pub fn event(&mut self, event: Event) {
        let mut actions = self.machine.handle(event, self.now);
        actions.extend(self.machine.ask(self.now));
        let changes = self.machine.take_changes(self.now);
        assert!(self.machine.next_deadline(self.now).is_none_or(|at| at > self.now));
        self.conclude(actions, changes);
    }

    /// Stores what changed and then acts, unless the process dies over it.
    fn conclude(&mut self, actions: Vec<Action>, changes: Vec<Item>) {
        match self.crash.take() {
            Some((Crash::BeforeCommit, acts)) => self.restart(acts),
            crash => {
                self.store(changes);
                if let Some((Crash::BeforeActing, acts)) = crash {
                    return self.restart(acts);
                }
                self.act(actions);
                if let Some((_, acts)) = crash {
                    self.restart(acts);
                }
            }
        }
    }

    fn store(&mut self, changes: Vec<Item>) {
        self.unsaved.extend(changes.into_iter().map(|item| (item.id().clone(), item)));
        if self.disk_works {
            for (id, item) in std::mem::take(&mut self.unsaved) {
                self.stored.insert(id.clone(), serde_json::to_string(&item).unwrap());
                self.book.get_mut(&id).unwrap().accepted = true;
            }
        }
    }

    pub fn disk_works(&mut self) {
        self.disk_works = true;
        self.store(Vec::new());
    }

    fn act(&mut self, actions: Vec<Action>) {
        let mut unstored = Vec::new();
        for action in actions {
            match action {
                Action::Publish(_, step, Some(_)) => self.published(&step),
                Action::Publish(_, _, None) | Action::Warn(..) => {}
                Action::Ask(Request::Push(downlink)) if !self.disk_works => {
                    unstored.push(Answer::Unstored(downlink.key, downlink.id, "disk full".into()));
                }
                Action::Ask(request) => self.asked(request),
            }
        }
        unstored.into_iter().for_each(|answer| self.event(Event::Answered(answer)));
    }

    /// The process is gone, and comes back with what the store has. Every connection is new.
    pub fn restart(&mut self, acts: Acts) {
        for (request, since) in std::mem::take(&mut self.under_way).into_values() {
            match request {
                Request::Push(downlink) if acts == Acts::Later => self.acts_at(since + 24, downlink),
                Request::Push(downlink) => self.network_acts(downlink, acts),
                Request::Withdraw(key, ids) if acts == Acts::Now => drop(self.withdraw(&key, &ids)),
                _ => {}
            }
        }
        self.reports.clear();
        // What was told and could not be stored is forgotten, as the process was told not to rely on it.
        for item in std::mem::take(&mut self.unsaved).into_values() {
            self.book.get_mut(item.id()).unwrap().end = None;
        }
        self.streams.values_mut().for_each(|stream| *stream = Stream::Down);
        let items: Vec<Item> = self.stored.values().map(|row| serde_json::from_str(row).unwrap()).collect();
        for item in &items {
            if let Some((step, _)) = item.untold() {
                self.published(&step.clone());
            }
        }
        self.machine = machine();
        self.machine.restore(items, [], self.now);
        self.event(Event::Tick);
    }

    fn published(&mut self, step: &Step) {
        let known = self.book.get_mut(&step.id).expect("only what was accepted is told of");
        assert!(known.end.is_none_or(|end| end == step.state), "{step:?} after its end as {:?}", known.end);
        known.told_queued = matches!(step.state, State::Queued | State::Sent | State::Nacked);
        match step.state {
            State::Expired => {
                let set_back = SignedDuration::from_secs(self.set_back - known.set_back);
                let expires = known.downlink.expires_at.map(|at| at - set_back);
                assert!(expires.is_some_and(|at| at <= step.at), "{step:?} too early");
            }
            State::Superseded => {
                let (old, arrival) = (known.downlink.clone(), known.arrival);
                let newer = |other: &Known| {
                    other.downlink.key == old.key
                        && other.downlink.supersedes == old.supersedes
                        && other.arrival > arrival
                };
                assert!(self.book.values().any(newer), "{step:?} by nothing newer");
            }
            _ => {}
        }
        let known = self.book.get_mut(&step.id).expect("it was there above");
        if step.state.is_final(known.downlink.confirmed) {
            known.end = Some(step.state);
        }
    }

    fn asked(&mut self, request: Request) {
        if let Request::Push(downlink) = &request {
            assert!(self.stored[&downlink.id].contains(r#""place":"pushing""#), "{} is pushed unwritten", downlink.id);
            self.check_push(downlink);
            let known = self.book.get_mut(&downlink.id).unwrap();
            known.pushable = false;
            known.pushes += 1;
        }
        let key = request.key().clone();
        let before = self.under_way.insert(key.clone(), (request, self.elapsed));
        assert_eq!(before, None, "one request at a time for each device");
        let of_it = self.under_way.iter().filter(|(other, _)| other.application == key.application);
        let changes = of_it.filter(|(_, (request, _))| !matches!(request, Request::Look(_)));
        assert!(changes.count() <= 1, "one change at a time for each application");
    }

    fn check_push(&self, downlink: &QueuedDownlink) {
        let known = &self.book[&downlink.id];
        assert!(known.pushable, "{} is pushed again without a look", downlink.id);
        assert_eq!(known.end, None, "{} is pushed after its end", downlink.id);
        assert!(downlink.expires_at.is_none_or(|at| at > self.now), "{} is expired", downlink.id);
        assert!(downlink.not_before.is_none_or(|at| at <= self.now), "{} is early", downlink.id);
        for other in self
            .book
            .values()
            .filter(|o| o.accepted && o.downlink.key == downlink.key && o.downlink.id != downlink.id && o.end.is_none())
        {
            let newer = other.arrival > known.arrival && downlink.supersedes.is_some();
            assert!(!(newer && other.downlink.supersedes == downlink.supersedes), "{} is superseded", downlink.id);
            assert!(!other.unclear, "{} overtakes {}, of which nobody knows", downlink.id, other.downlink.id);
            let ready =
                other.pushable && !other.told_queued && other.downlink.not_before.is_none_or(|at| at <= self.now);
            let first = (other.downlink.priority, known.arrival) > (downlink.priority, other.arrival);
            assert!(!(ready && first), "{} overtakes {}", downlink.id, other.downlink.id);
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.elapsed += seconds.max(0);
        self.set_back -= seconds.min(0);
        for (due, downlink) in std::mem::take(&mut self.late) {
            self.acts_at(due, downlink);
        }
        self.transmitted();
        for stream in self.streams.values_mut() {
            if matches!(*stream, Stream::Deaf(since) if self.elapsed - since >= NOTICED_WITHIN) {
                *stream = Stream::Down;
            }
        }
        while let Some(index) = self.reports.iter().position(|r| self.elapsed - r.since >= REPORTED_WITHIN) {
            self.report(index, false);
        }
        self.event(Event::Tick);
    }

    /// The network answers everything from now on, the disk works, and the devices are heard.
    pub fn settle(&mut self) {
        self.crash = None;
        self.disk_works();
        // Long enough for the longest wait after a clock was set back again and again; and a while after the last end.
        let mut rounds_after = 5;
        for _ in 0..5000 {
            rounds_after -= i32::from(self.machine.depth() == 0);
            if rounds_after < 0 {
                break;
            }
            for index in 0..2 {
                self.reconnect(&application(index));
            }
            for index in 0..3 {
                self.answer(index, How::Well, None);
                self.uplink(&device(index), true);
                self.transmit(&device(index), false);
            }
            while !self.reports.is_empty() {
                self.report(0, false);
            }
            self.pass(67);
        }
    }
}

fn pick<T: Clone>(all: &[T], which: usize) -> Option<T> {
    (!all.is_empty()).then(|| all[which % all.len()].clone())
}
