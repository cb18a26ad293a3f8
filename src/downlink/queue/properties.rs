//! The queue as a model: generated histories of commands, answers, reports and time, against a network that keeps count.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Action, Answer, Event, Limits, Machine, Request};
use crate::model::{
    ApplicationName, DeviceId, DeviceKey, DownlinkHappening, DownlinkId, FPort, Failure, Priority, QueuedDownlink,
    State, Step,
};
use crate::network::PushError;

const IN_NETWORK: usize = 2;

/// One turn of a history. Numbers pick among what there is.
#[derive(Debug, Clone)]
enum Turn {
    Accept {
        device: usize,
        urgent: bool,
        confirmed: bool,
        expires: Option<u16>,
        not_before: Option<u16>,
        key: Option<u8>,
    },
    Replace {
        device: usize,
    },
    Cancel {
        which: usize,
    },
    Clear {
        device: usize,
    },
    /// The oldest request under way of an application ends.
    Answer {
        application: usize,
        how: How,
    },
    /// The device sends an uplink: what it was sent is acknowledged or not, and the next downlink goes out.
    Uplink {
        device: usize,
        acknowledges: bool,
        transmits: bool,
        refused_by_gateway: bool,
    },
    /// The network loses the session and drops what it had.
    LoseSession {
        device: usize,
    },
    Report {
        which: usize,
        again: bool,
    },
    LoseReport {
        which: usize,
    },
    /// Seconds, also backwards.
    Pass(i16),
}

#[derive(Debug, Clone, Copy)]
enum How {
    Well,
    Refused,
    NoSession,
    RateLimited,
    QueueFull,
    Forbidden,
    UnclearButDone,
    UnclearNotDone,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    prop::collection::vec(turn(), 1..120)
}

fn turn() -> impl Strategy<Value = Turn> {
    let how = prop_oneof![
        4 => Just(How::Well), 1 => Just(How::Refused), 1 => Just(How::NoSession), 1 => Just(How::RateLimited),
        1 => Just(How::QueueFull), 1 => Just(How::Forbidden), 2 => Just(How::UnclearButDone), 2 => Just(How::UnclearNotDone),
    ];
    let time = || prop::option::weighted(0.2, 0u16..600);
    let accept =
        (0..3usize, prop::bool::weighted(0.2), any::<bool>(), time(), time(), prop::option::weighted(0.3, 0u8..2));
    prop_oneof![
        6 => accept.prop_map(|(device, urgent, confirmed, expires, not_before, key)| Turn::Accept { device, urgent, confirmed, expires, not_before, key }),
        1 => (0..3usize).prop_map(|device| Turn::Replace { device }),
        2 => any::<usize>().prop_map(|which| Turn::Cancel { which }),
        1 => (0..3usize).prop_map(|device| Turn::Clear { device }),
        8 => (0..2usize, how).prop_map(|(application, how)| Turn::Answer { application, how }),
        4 => (0..3usize, any::<bool>(), any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(device, acknowledges, transmits, refused_by_gateway)| Turn::Uplink { device, acknowledges, transmits, refused_by_gateway }),
        1 => (0..3usize).prop_map(|device| Turn::LoseSession { device }),
        5 => (any::<usize>(), any::<bool>()).prop_map(|(which, again)| Turn::Report { which, again }),
        1 => any::<usize>().prop_map(|which| Turn::LoseReport { which }),
        4 => prop_oneof![9 => 0i16..400, 1 => -3600i16..0].prop_map(Turn::Pass),
    ]
}

/// What is known of one downlink from outside the machine.
struct Known {
    downlink: QueuedDownlink,
    arrival: usize,
    end: Option<State>,
    /// The last report of it, late perhaps, was that the network has it.
    told_queued: bool,
    /// A push is allowed: it was never pushed, or surely is not there.
    pushable: bool,
    /// Its last push ended without a clear answer, and nothing was learned since.
    unclear: bool,
    /// The network gave it to a gateway.
    transmitted: bool,
}

/// The network, the clock, and the book of what the machine did.
struct World {
    machine: Machine,
    now: Timestamp,
    queues: BTreeMap<DeviceKey, Vec<DownlinkId>>,
    /// Transmitted and not yet acknowledged or not, with their attempts.
    awaiting: HashMap<DownlinkId, u32>,
    attempts: HashMap<DownlinkId, u32>,
    under_way: BTreeMap<ApplicationName, Request>,
    reports: Vec<(DeviceKey, DownlinkId, DownlinkHappening)>,
    book: BTreeMap<DownlinkId, Known>,
}

fn device(index: usize) -> DeviceKey {
    let application = ApplicationName::parse(["one", "one", "two"][index]).unwrap();
    DeviceKey::new(&application, DeviceId::parse(&format!("node-{index}")).unwrap())
}

impl World {
    fn new() -> Self {
        Self {
            machine: Machine::new(Limits { in_network: IN_NETWORK, per_device: 8, total: 16 }),
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
            queues: BTreeMap::new(),
            awaiting: HashMap::new(),
            attempts: HashMap::new(),
            under_way: BTreeMap::new(),
            reports: Vec::new(),
            book: BTreeMap::new(),
        }
    }

    fn turn(&mut self, turn: &Turn) {
        match *turn {
            Turn::Accept { device: index, urgent, confirmed, expires, not_before, key } => {
                let mut downlink = self.downlink(device(index), confirmed);
                downlink.priority = if urgent { Priority::High } else { Priority::Normal };
                downlink.expires_at = expires.map(|s| self.now + SignedDuration::from_secs(s.into()));
                downlink.not_before = not_before.map(|s| self.now + SignedDuration::from_secs(s.into()));
                downlink.supersedes = key.map(|key| key.to_string());
                self.event(Event::Accept(downlink));
            }
            Turn::Replace { device: index } => {
                let downlink = self.downlink(device(index), false);
                self.event(Event::Replace(device(index), vec![downlink]));
            }
            Turn::Cancel { which } => {
                let open: Vec<_> = self
                    .book
                    .values()
                    .filter(|known| known.end.is_none())
                    .map(|known| known.downlink.clone())
                    .collect();
                if let Some(downlink) = pick(&open, which) {
                    self.event(Event::Cancel(downlink.key.clone(), downlink.id.clone()));
                }
            }
            Turn::Clear { device: index } => self.event(Event::Clear(device(index))),
            Turn::Answer { application, how } => {
                self.answer(&ApplicationName::parse(["one", "two"][application]).unwrap(), how)
            }
            Turn::Uplink { device: index, acknowledges, transmits, refused_by_gateway } => {
                self.uplink(&device(index), acknowledges);
                if transmits {
                    self.transmit(&device(index), refused_by_gateway);
                }
            }
            Turn::LoseSession { device: index } => self.lose_session(&device(index)),
            Turn::Report { which, again } => self.report(which, again),
            Turn::LoseReport { which } => self.lose_report(which),
            Turn::Pass(seconds) => {
                self.now += SignedDuration::from_secs(seconds.into());
                self.event(Event::Tick);
            }
        }
    }

    fn downlink(&mut self, key: DeviceKey, confirmed: bool) -> QueuedDownlink {
        let arrival = self.book.len();
        let downlink = QueuedDownlink {
            id: DownlinkId::parse(&format!("d{arrival}")).unwrap(),
            key,
            f_port: FPort::new(1).unwrap(),
            payload: vec![1],
            confirmed,
            priority: Priority::Normal,
            attempts: None,
            expires_at: None,
            not_before: None,
            supersedes: None,
        };
        self.book.insert(
            downlink.id.clone(),
            Known {
                downlink: downlink.clone(),
                arrival,
                end: None,
                told_queued: false,
                pushable: true,
                unclear: false,
                transmitted: false,
            },
        );
        downlink
    }

    fn event(&mut self, event: Event) {
        if let Event::Accept(downlink) = &event {
            self.book.get_mut(&downlink.id).unwrap().downlink = downlink.clone();
        }
        for action in self.machine.handle(event, self.now) {
            match action {
                Action::Publish(_, step) => self.published(&step),
                Action::Ask(request) => self.asked(request),
            }
        }
        assert!(self.machine.next_deadline(self.now).is_none_or(|at| at > self.now));
    }

    fn published(&mut self, step: &Step) {
        let known = self.book.get_mut(&step.id).expect("only what was accepted is told of");
        assert_eq!(known.end, None, "{step:?} after its end");
        known.told_queued = matches!(step.state, State::Queued | State::Sent | State::Nacked);
        match step.state {
            State::Expired => assert!(known.downlink.expires_at.is_some_and(|at| at <= self.now), "{step:?} too early"),
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
        let key = match &request {
            Request::Push(downlink) => {
                self.check_push(downlink);
                self.book.get_mut(&downlink.id).unwrap().pushable = false;
                downlink.key.clone()
            }
            Request::Look(key) | Request::Withdraw(key, _) => key.clone(),
        };
        let before = self.under_way.insert(key.application, request);
        assert_eq!(before, None, "one request at a time for each application");
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
            .filter(|o| o.downlink.key == downlink.key && o.downlink.id != downlink.id && o.end.is_none())
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

    fn answer(&mut self, application: &ApplicationName, how: How) {
        let Some(request) = self.under_way.remove(application) else { return };
        let answer = match request {
            Request::Push(downlink) => self.answer_push(downlink, how),
            Request::Look(key) => self.answer_look(key, how),
            Request::Withdraw(key, ids) => self.answer_withdrawal(key, ids, how),
        };
        self.event(Event::Answered(answer));
    }

    fn answer_push(&mut self, downlink: QueuedDownlink, how: How) -> Answer {
        let known = self.book.get_mut(&downlink.id).unwrap();
        known.unclear = matches!(how, How::UnclearButDone | How::UnclearNotDone) && known.end.is_none();
        known.pushable = !matches!(how, How::Well | How::UnclearButDone | How::UnclearNotDone);
        if matches!(how, How::Well | How::UnclearButDone) {
            assert!(!known.transmitted, "{} is sent twice", downlink.id);
            let queue = self.queues.entry(downlink.key.clone()).or_default();
            assert!(!queue.contains(&downlink.id), "{} is queued twice", downlink.id);
            queue.push(downlink.id.clone());
            assert!(queue.len() <= IN_NETWORK, "{queue:?}");
            self.reports.push((downlink.key.clone(), downlink.id.clone(), DownlinkHappening::Queued));
        }
        Answer::Pushed(downlink.key, downlink.id, outcome(how).map_or(Ok(()), Err))
    }

    /// The reports so far arrive before the answer does: what a look-up may rely on.
    fn answer_look(&mut self, key: DeviceKey, how: How) -> Answer {
        while let Some(index) = self.reports.iter().position(|(of, ..)| *of == key) {
            self.report(index, false);
        }
        // That the look-up itself is refused for good has its own test: what it ends with is not known to the network.
        let error = outcome(how).filter(|error| !matches!(error, PushError::Refused(_) | PushError::NoSession));
        let queue = self.queues.entry(key.clone()).or_default().clone();
        if error.is_none() {
            for known in self.book.values_mut().filter(|known| known.downlink.key == key) {
                known.unclear = false;
                known.pushable |= !queue.contains(&known.downlink.id) && !known.transmitted;
            }
        }
        Answer::Looked(key, error.map_or(Ok(queue), Err))
    }

    fn answer_withdrawal(&mut self, key: DeviceKey, ids: Vec<DownlinkId>, how: How) -> Answer {
        let queue = self.queues.entry(key.clone()).or_default();
        let error = outcome(how);
        let safe = queue.iter().all(|id| ids.contains(id));
        let gone =
            if safe && matches!(how, How::Well | How::UnclearButDone) { std::mem::take(queue) } else { Vec::new() };
        Answer::Withdrawn(key, ids, error.map_or(Ok(gone), Err))
    }

    fn uplink(&mut self, key: &DeviceKey, acknowledges: bool) {
        let sent: Vec<_> = self.awaiting.keys().filter(|id| self.book[*id].downlink.key == *key).cloned().collect();
        for id in sent {
            let attempt = self.awaiting.remove(&id).unwrap();
            let happening = match (acknowledges, attempt) {
                (true, _) => DownlinkHappening::Acked,
                (false, 3..) => failed("max_retries_reached"),
                (false, _) => {
                    self.queues.entry(key.clone()).or_default().push(id.clone());
                    self.attempts.insert(id.clone(), attempt);
                    DownlinkHappening::Nacked { attempt: Some(attempt + 1) }
                }
            };
            self.reports.push((key.clone(), id, happening));
        }
        self.event(Event::Alive(key.clone()));
    }

    fn transmit(&mut self, key: &DeviceKey, refused_by_gateway: bool) {
        let queue = self.queues.entry(key.clone()).or_default();
        if queue.is_empty() {
            return;
        }
        let id = queue.remove(0);
        let known = self.book.get_mut(&id).unwrap();
        known.transmitted = true;
        let happening = if refused_by_gateway {
            failed("transmission")
        } else {
            if known.downlink.confirmed {
                let attempt = self.attempts.get(&id).copied().unwrap_or(0) + 1;
                self.awaiting.insert(id.clone(), attempt);
            }
            DownlinkHappening::Sent { f_cnt: None }
        };
        self.reports.push((key.clone(), id, happening));
    }

    fn lose_session(&mut self, key: &DeviceKey) {
        for id in std::mem::take(self.queues.entry(key.clone()).or_default()) {
            if self.book[&id].transmitted {
                // A retry of a confirmed one: the network gives it up.
                self.reports.push((key.clone(), id, failed("max_retries_reached")));
            } else {
                self.reports.push((key.clone(), id, DownlinkHappening::Dropped(failure("no_device_session"))));
            }
        }
    }

    fn report(&mut self, which: usize, again: bool) {
        if self.reports.is_empty() {
            return;
        }
        let index = which % self.reports.len();
        let (key, id, happening) = if again { self.reports[index].clone() } else { self.reports.remove(index) };
        if let Some(known) = self.book.get_mut(&id) {
            known.unclear = false;
        }
        self.event(Event::Heard { key, id, happening, at: self.now });
    }

    /// Only where the push was answered well: an unclear answer and a lost report together cannot be told from nothing.
    fn lose_report(&mut self, which: usize) {
        if self.reports.is_empty() {
            return;
        }
        let index = which % self.reports.len();
        let (_, id, happening) = &self.reports[index];
        let fell_out = matches!(happening, DownlinkHappening::Dropped(_));
        if !self.book[id].unclear && !fell_out {
            self.reports.remove(index);
        }
    }

    /// The network answers everything from now on, and the devices are heard.
    fn settle(&mut self) {
        for _ in 0..200 {
            for application in ["one", "two"] {
                self.answer(&ApplicationName::parse(application).unwrap(), How::Well);
            }
            for index in 0..3 {
                self.uplink(&device(index), true);
                self.transmit(&device(index), false);
            }
            while !self.reports.is_empty() {
                self.report(0, false);
            }
            self.now += SignedDuration::from_secs(67);
            self.event(Event::Tick);
        }
    }
}

fn pick<T>(all: &[T], which: usize) -> Option<&T> {
    (!all.is_empty()).then(|| &all[which % all.len()])
}

fn failed(name: &str) -> DownlinkHappening {
    DownlinkHappening::Failed(failure(name))
}

fn failure(name: &str) -> Failure {
    Failure { name: name.into(), message: String::new() }
}

fn outcome(how: How) -> Option<PushError> {
    let failure = Failure { name: "some_name".into(), message: "some text".into() };
    match how {
        How::Well => None,
        How::Refused => Some(PushError::Refused(failure)),
        How::NoSession => Some(PushError::NoSession),
        How::RateLimited => Some(PushError::RateLimited { retry_after: Duration::from_secs(30) }),
        How::QueueFull => Some(PushError::QueueFull),
        How::Forbidden => Some(PushError::Forbidden(failure)),
        How::UnclearButDone | How::UnclearNotDone => Some(PushError::Unknown("timeout".into())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_sent_twice_and_everything_accepted_reaches_one_end(turns in turns()) {
        let mut world = World::new();
        for turn in &turns {
            world.turn(turn);
        }
        world.settle();
        for (id, known) in &world.book {
            prop_assert!(known.end.is_some(), "{} is still open: {:?}", id, world.machine.open(&known.downlink.key));
        }
        prop_assert_eq!(world.machine.depth(), 0);
    }

    #[test]
    fn a_stop_leaves_only_what_the_network_has(turns in turns()) {
        let mut world = World::new();
        for turn in &turns {
            world.turn(turn);
        }
        world.event(Event::Stop);
        for application in ["one", "two"] {
            world.answer(&ApplicationName::parse(application).unwrap(), How::Well);
        }
        prop_assert!(world.under_way.is_empty());
        for index in 0..3 {
            for open in world.machine.open(&device(index)) {
                prop_assert!(matches!(open.state, State::Queued | State::Sent | State::Nacked), "{:?}", open);
            }
        }
    }
}
