//! The queue's decisions: state, event and time in, actions out. No clock, I/O or task in here.
//!
//! ```text
//!                        cancel, clear, replace ─▶ cancelled      newer with its key ─▶ superseded
//!                        its time is over ───────▶ expired
//!                          ▲
//!             accept   ┌───┴─────┐  first of its device, no hold,  ┌─────────┐  refused ─▶ failed
//!  home ─────────────▶ │ Waiting │ ──── fewer than N there ──────▶ │ Pushing │
//!                      └─────────┘ ◀─── no session, rate limit, ── └─────────┘
//!                        ▲     ▲        queue full, forbidden          │   │ no clear answer, restart
//!                        │     └ surely absent ───────┐             ok │   ▼
//!                        │                        ┌────────┐  present  │ ┌────────┐
//!                        │                        │ looked │ ◀─────────┼─│ Unsure │ waits, then is looked up;
//!                        │                        │   up   │           │ └────────┘ never pushed before
//!                        │                        └────────┘           ▼   ▲
//!                        │                            │        ┌─────────┐ │ dropped
//!                        │                            └──────▶ │ Network │ ┘
//!                        │                             present └─────────┘ ─▶ sent (final if unconfirmed)
//!                        │      ┌───────────┐  withdrawn         │  ▲  │ ───▶ acked, failed
//!                        │      │ Withdrawn │ ◀──────────────────┘  └──┘ nacked: the network itself tries again
//!                        │      └───────────┘ ─▶ cancelled, unless a late report says it was sent
//! ```
//!
//! - **Order**: per device the higher priority first, then the earlier. A downlink whose time has not come is passed by.
//!   While one is `Pushing` or `Unsure`, nothing else of its device is pushed.
//! - **Holds**: no session holds a device until it is heard; a full queue until it is heard, or a while; rate limits
//!   and a key without rights hold the whole application. A budget that is spent, and a store that cannot be written,
//!   hold its pushes; a device's day that is used up holds what is not urgent. What waits is shown `held` with the reason.
//! - **Store**: a push goes out only after it is stored that it will: whatever the process dies of, what may have been
//!   pushed is `Unsure` when it comes back. What happens then, and when reports were missed, is told in `doubt`.
//! - **A device that joins again** keeps its queue at the network, which encrypts it anew: nothing is done. If the network
//!   says that it dropped something with the session, it is looked up, and pushed again if it is surely gone.
//! - **Confirmed** downlinks are tried again by the network alone; none that was sent once is ever pushed again. Unless the
//!   network leaves repeating to us, and says so of this one: then it is `Waiting` again, while attempts are left.
//! - **Given back** unsent by the network, a downlink is `Waiting` again, without a look-up.
//! - **Reports** of the network count wherever the downlink is: `sent` while `Pushing` is `sent`, and the answer to the
//!   push no longer matters. Reports for what has ended are ignored.
//! - **Silence**: a device that was heard gives the network its occasion to send. If no report follows within a minute,
//!   the network's queue is looked at; what left it without a report is `sent` (unconfirmed), or waits for its
//!   acknowledgement and is given up after three such looks (confirmed).
//! - **Failed transmissions** (`transmission`: the gateway refused) are final: the reason is shown, and whoever still
//!   wants it sends it again.
//! - **Taking back** what the network has is possible only if nothing else is in its queue (see `Request::Withdraw`);
//!   otherwise the home is told that it cannot be.

use std::collections::BTreeMap;
use std::ops::Bound::{Included, Unbounded};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::fair_use::{Allowance, FairUse, Usage};
use super::item::{Item, Why};
use super::lane::{Held, Hold, Lane};
use super::wait::Wait;
use super::{Action, Answer, Event, Limits, OpenDownlink, Request};
use crate::model::{ApplicationName, DeviceId, DeviceKey, DownlinkHappening, DownlinkId, QueuedDownlink, State};
use crate::network::Budget;

/// A spent budget that comes back sooner is not worth telling.
const UNTOLD: Duration = Duration::from_secs(5);
/// How long pushes wait before the store is tried again.
const UNSTORED_FOR: Duration = Duration::from_secs(10);
/// Look-ups of one application at once. Each may read an event stream for some seconds, and after an outage every device
/// with something at the network needs one.
const LOOKS_AT_ONCE: usize = 4;

/// The queue of all devices.
#[derive(Debug)]
pub struct Machine {
    limits: Limits,
    applications: BTreeMap<ApplicationName, Application>,
    fair_use: FairUse,
    arrivals: u64,
    stopping: bool,
    /// Why nothing expires yet, and nothing goes out that would: a machine that was off for days may start with the time at
    /// which it was switched off.
    time_unknown: Option<Why>,
    /// From the first moment to before the second, time alone changes nothing: what happens to one device meanwhile needs
    /// no look at all the others.
    calm: Option<(Timestamp, Timestamp)>,
}

/// What the devices of one application share: the network's patience, and how much is asked of it at once.
#[derive(Debug, Default)]
struct Application {
    lanes: BTreeMap<DeviceId, Lane>,
    hold: Option<Hold>,
    /// No pushes meanwhile; told if it lasts.
    pace: Option<(Wait, Option<Why>)>,
    /// By device: of each one request at a time.
    under_way: BTreeMap<DeviceId, Asked>,
}

/// What holds downlinks back in every application: what devices have used of their day, and why what expires has to wait.
type Holds<'a> = (&'a FairUse, Option<&'a Why>);

/// A request under way.
#[derive(Debug)]
struct Asked {
    at: Timestamp,
    /// It changes nothing at the network.
    is_look: bool,
}

impl Machine {
    pub fn new(limits: Limits, allowance: Allowance) -> Self {
        let fair_use = FairUse::new(allowance);
        let (applications, time_unknown) = (BTreeMap::new(), Some(Why::reason(TIME_UNKNOWN)));
        Self { limits, applications, fair_use, arrivals: 0, stopping: false, time_unknown, calm: None }
    }

    /// Goes on from what the store kept. What had ended is not taken back.
    pub fn restore(
        &mut self,
        items: impl IntoIterator<Item = Item>,
        used: impl IntoIterator<Item = (DeviceKey, Usage)>,
        now: Timestamp,
    ) {
        self.fair_use.restore(used);
        for item in items.into_iter().filter(|item| !item.ended()) {
            self.arrivals = self.arrivals.max(item.arrival);
            let key = item.downlink.key.clone();
            self.lane_or_new(key).restore(item, now);
        }
    }

    /// From now on the clock is right, as far as anybody knows. If it shows less than before, it was ahead then.
    pub fn time_is_known(&mut self) {
        if self.time_unknown.take().is_some() {
            self.calm = None;
        }
    }

    /// Whether anything waits for that.
    pub fn waits_for_time(&self) -> bool {
        self.time_unknown.is_some() && self.items().any(|item| item.waiting() && item.downlink.expires_at.is_some())
    }

    /// Takes one event. The actions are to be carried out in their order, after [`Machine::take_changes`] is stored.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        let mut out = Vec::new();
        let told = matches!(event, Event::Told(..));
        let only = event.device().cloned();
        self.take(event, now, &mut out);
        match (only, self.calm) {
            _ if told => {}
            (Some(key), Some((from, to))) if from <= now && now < to => self.settle_one(&key, now, &mut out),
            _ => self.settle_all(now, &mut out),
        }
        out
    }

    /// What the network is asked next, now that everything is settled: of each application one push or withdrawal at a
    /// time, because the answer tells how soon the next may come, and beside it some look-ups; of each device one of all.
    /// Each is answered by one [`Event::Answered`].
    pub fn ask(&mut self, now: Timestamp) -> Vec<Action> {
        if self.stopping {
            return Vec::new();
        }
        let (holds, in_network) = ((&self.fair_use, self.time_unknown.as_ref()), self.limits.in_network);
        let applications = self.applications.values_mut();
        let requests: Vec<_> = applications.flat_map(|application| application.ask(now, in_network, holds)).collect();
        requests.iter().for_each(|request| self.mind(request.key(), now));
        requests.into_iter().map(Action::Ask).collect()
    }

    /// The downlinks that are different from what was taken before, and forgets those that ended.
    pub fn take_changes(&mut self, now: Timestamp) -> Vec<Item> {
        let (mut changes, last) = (Vec::new(), self.stopping);
        for application in self.applications.values_mut() {
            application.lanes.values_mut().for_each(|lane| lane.take_changes(now, last, &mut changes));
            application.lanes.retain(|_, lane| !lane.items.is_empty());
        }
        changes
    }

    /// What a device has used of its day, and of how much; nothing if that is not counted.
    pub fn usage(&self, key: &DeviceKey, now: Timestamp) -> Option<(Usage, Allowance)> {
        self.fair_use.of(key, now)
    }

    /// What the store has to keep of what devices used of their day.
    pub fn take_usage(&mut self) -> Vec<(DeviceKey, Usage)> {
        self.fair_use.take_changes()
    }

    /// What is open for one device, to be put back with [`Machine::put_back`] if what is done next cannot be kept.
    pub fn snapshot(&self, key: &DeviceKey) -> Option<Lane> {
        self.applications.get(&key.application)?.lanes.get(&key.device).cloned()
    }

    /// Undoes whatever was done for one device since the snapshot. Nothing may have been asked of the network since.
    pub fn put_back(&mut self, key: &DeviceKey, snapshot: Option<Lane>) {
        self.calm = None;
        let Some(application) = self.applications.get_mut(&key.application) else { return };
        match snapshot {
            Some(lane) => application.lanes.insert(key.device.clone(), lane),
            None => application.lanes.remove(&key.device),
        };
    }

    /// When [`Event::Tick`] is due, if time alone would change anything.
    pub fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        match self.calm {
            Some((from, to)) if from <= now && now < to => Some(to).filter(|to| *to < Timestamp::MAX),
            _ => self.first_deadline(now),
        }
    }

    fn first_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let all = self.applications.values().flat_map(Application::deadlines);
        let next_day = (!self.applications.is_empty()).then(|| self.fair_use.next_day(now)).flatten();
        // What is due already waits for something else: an answer, or a report.
        all.chain(next_day).filter(|at| *at > now).min()
    }

    /// How many downlinks are open.
    pub fn depth(&self) -> usize {
        self.items().count()
    }

    /// The open downlinks of one device, in the order of their arrival.
    pub fn open(&self, key: &DeviceKey) -> Vec<OpenDownlink> {
        let lane = self.applications.get(&key.application).and_then(|application| application.lanes.get(&key.device));
        lane.map(|lane| lane.open().map(Item::open).collect()).unwrap_or_default()
    }

    /// How many downlinks of one device are open, and the fields they shall set.
    pub fn pending(&self, key: &DeviceKey) -> (usize, Map<String, Value>) {
        let lane = self.applications.get(&key.application).and_then(|application| application.lanes.get(&key.device));
        lane.map(Lane::pending).unwrap_or_default()
    }

    /// The devices that have open downlinks.
    pub fn busy(&self) -> impl Iterator<Item = &DeviceKey> {
        self.applications.values().flat_map(|application| application.lanes.values()).map(|lane| &lane.key)
    }

    /// Whether an open downlink has this id.
    pub fn holds(&self, id: &DownlinkId) -> bool {
        self.find(id).is_some()
    }

    /// The open downlink with this id.
    pub fn find(&self, id: &DownlinkId) -> Option<&Item> {
        self.items().find(|item| item.id() == id)
    }

    /// Every open downlink.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.applications.values().flat_map(|application| application.lanes.values()).flat_map(Lane::open)
    }

    fn settle_all(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        let holds = (&self.fair_use, self.time_unknown.as_ref());
        for application in self.applications.values_mut() {
            if self.time_unknown.is_none() {
                application.lanes.values_mut().for_each(|lane| lane.forgive_clock(now));
            }
            application.settle(None, now, holds, out);
        }
        self.calm = Some((now, self.first_deadline(now).unwrap_or(Timestamp::MAX)));
    }

    fn settle_one(&mut self, key: &DeviceKey, now: Timestamp, out: &mut Vec<Action>) {
        if let Some(application) = self.applications.get_mut(&key.application) {
            application.settle(Some(&key.device), now, (&self.fair_use, self.time_unknown.as_ref()), out);
            self.mind(key, now);
        }
    }

    /// What happened to this device may bring the next deadline nearer.
    fn mind(&mut self, key: &DeviceKey, now: Timestamp) {
        let first = self.lane(key).and_then(|lane| lane.deadlines().filter(|at| *at > now).min());
        if let (Some((_, to)), Some(first)) = (&mut self.calm, first) {
            *to = first.min(*to);
        }
    }

    fn take(&mut self, event: Event, now: Timestamp, out: &mut Vec<Action>) {
        match event {
            Event::Accept(downlink) => self.accept(downlink, now, out),
            Event::Replace(key, downlinks) => {
                self.clear(&key, now, out);
                downlinks.into_iter().for_each(|downlink| self.accept(downlink, now, out));
            }
            Event::Cancel(key, id) => self.cancel(key, id, now, out),
            Event::Clear(key) => self.clear(&key, now, out),
            Event::Answered(answer) => self.answered(answer, now, out),
            Event::Heard { key, id, happening, at } => {
                if matches!(happening, DownlinkHappening::Sent { .. }) {
                    self.transmitted(&key, at, now, out);
                }
                if let Some(lane) = self.lane(&key) {
                    lane.heard(&id, &happening, at, now, out);
                }
            }
            Event::Transmitted { key, at } => self.transmitted(&key, at, now, out),
            Event::Alive(key, airtime) => self.alive(key, airtime, now, out),
            Event::Blind(application) => {
                let lanes = self.applications.get_mut(&application).into_iter().flat_map(|all| all.lanes.values_mut());
                lanes.for_each(|lane| lane.blind(now));
            }
            Event::Told(id, number) => {
                let mut lanes = self.applications.values_mut().flat_map(|application| application.lanes.values_mut());
                if let Some(item) = lanes.find_map(|lane| lane.find(&id)) {
                    item.told(number);
                }
            }
            Event::Tick => {}
            Event::Stop => {
                self.stopping = true;
                let lanes = self.applications.values_mut().flat_map(|application| application.lanes.values_mut());
                lanes.for_each(|lane| lane.stop(now, out));
            }
        }
    }

    fn transmitted(&mut self, key: &DeviceKey, at: Timestamp, now: Timestamp, out: &mut Vec<Action>) {
        let exceeded = self.fair_use.sent(key, at, now);
        out.extend(exceeded.map(|(exceeded, usage)| Action::Warn(key.clone(), exceeded, usage)));
    }

    fn alive(&mut self, key: DeviceKey, airtime: Duration, now: Timestamp, out: &mut Vec<Action>) {
        if let Some(lane) = self.lane(&key) {
            lane.alive(now);
        }
        let exceeded = self.fair_use.heard(&key, airtime, now);
        out.extend(exceeded.map(|(exceeded, usage)| Action::Warn(key, exceeded, usage)));
    }

    fn accept(&mut self, downlink: QueuedDownlink, now: Timestamp, out: &mut Vec<Action>) {
        if self.holds(&downlink.id) {
            debug_assert!(false, "the caller asks `holds` first");
            return;
        }
        if let Some(why) = self.no_room(&downlink.key, 1, false) {
            out.push(Action::Publish(downlink.key, why.step(downlink.id, State::Failed, now), None));
            return;
        }
        self.arrivals += 1;
        let arrival = self.arrivals;
        self.lane_or_new(downlink.key.clone()).accept(downlink, arrival, now, out);
    }

    /// Why so many more do not fit; if they replace, what waits here for the device makes room.
    pub fn no_room(&self, key: &DeviceKey, more: usize, replacing: bool) -> Option<Why> {
        let Limits { per_device, total, .. } = self.limits;
        let lane = self.applications.get(&key.application).and_then(|application| application.lanes.get(&key.device));
        let items = || lane.into_iter().flat_map(Lane::open);
        let goes = if replacing { items().filter(|item| item.waiting()).count() } else { 0 };
        let (here, all) = (items().count() - goes + more, self.depth() - goes + more);
        let full = match (here > per_device, all > total) {
            (true, _) => format!("more than the limit of {per_device} open downlinks for one device"),
            (_, true) => format!("more than the limit of {total} open downlinks"),
            _ => return None,
        };
        Some(Why::reason(full).hint("wait until some reached their end, or cancel what is no longer wanted"))
    }

    fn cancel(&mut self, key: DeviceKey, id: DownlinkId, now: Timestamp, out: &mut Vec<Action>) {
        if !self.lane(&key).is_some_and(|lane| lane.cancel(&id)) {
            let why = Why::reason("cannot cancel: no open downlink of this device has this id");
            out.push(Action::Publish(key, why.step(id, State::Failed, now), None));
        }
    }

    /// Takes effect at once on what waits here, so that it makes room for what replaces it.
    fn clear(&mut self, key: &DeviceKey, now: Timestamp, out: &mut Vec<Action>) {
        if let Some(lane) = self.lane(key) {
            lane.clear();
            lane.settle(now, Held::default(), out);
        }
    }

    fn answered(&mut self, answer: Answer, now: Timestamp, out: &mut Vec<Action>) {
        let Some(application) = self.applications.get_mut(&answer.key().application) else { return };
        let asked = application.under_way.remove(&answer.key().device).map_or(now, |asked| asked.at);
        let Some(lane) = application.lanes.get_mut(&answer.key().device) else { return };
        let hold = match answer {
            Answer::Pushed(_, id, result) => {
                let pace = result.as_ref().ok().and_then(|budget| spent(*budget, now));
                application.pace = pace.or(application.pace.take());
                lane.pushed(&id, result.map(drop), now, out)
            }
            Answer::Unstored(_, id, why) => {
                let why = Why::reason(format!("it cannot be stored: {why}")).hint(UNSTORED_HINT);
                application.pace = Some((Wait::new(now, UNSTORED_FOR), Some(why)));
                lane.unstored(&id);
                None
            }
            Answer::Looked(_, result) => lane.looked(asked, result, now, out),
            Answer::Withdrawn(_, ids, result) => lane.withdrawn(&ids, result, now, out),
        };
        application.hold = hold.or(application.hold.take());
    }

    fn lane(&mut self, key: &DeviceKey) -> Option<&mut Lane> {
        self.applications.get_mut(&key.application)?.lanes.get_mut(&key.device)
    }

    fn lane_or_new(&mut self, key: DeviceKey) -> &mut Lane {
        let application = self.applications.entry(key.application.clone()).or_default();
        application.lanes.entry(key.device.clone()).or_insert_with(|| Lane::new(key))
    }
}

impl Application {
    /// All devices, or only one.
    fn settle(&mut self, only: Option<&DeviceId>, now: Timestamp, holds: Holds, out: &mut Vec<Action>) {
        let (fair_use, expiring) = holds;
        self.hold = self.hold.take().filter(|hold| !hold.over(now));
        self.pace = self.pace.take().filter(|(wait, _)| !wait.over(now));
        let told = self.pace.as_ref().and_then(|(_, why)| why.as_ref());
        let all = self.hold.as_ref().map(|hold| &hold.why).or(told);
        let these = only.map_or((Unbounded, Unbounded), |device| (Included(device), Included(device)));
        for (_, lane) in self.lanes.range_mut::<DeviceId, _>(these) {
            let used_up = fair_use.holds(&lane.key, now);
            lane.settle(now, Held { all, unhurried: used_up.as_ref(), expiring }, out);
        }
    }

    /// Every device is asked once what it wishes; the first of them get the places that are free.
    fn ask(&mut self, now: Timestamp, in_network: usize, (fair_use, expiring): Holds) -> Vec<Request> {
        let looking = self.under_way.values().filter(|asked| asked.is_look).count();
        let (mut looks, mut may_change) = (LOOKS_AT_ONCE.saturating_sub(looking), looking == self.under_way.len());
        if self.hold.is_some() || !(looks > 0 || may_change) {
            return Vec::new();
        }
        let paced = self.pace.as_ref().map(|_| Why::default());
        let free = self.lanes.iter().filter(|(device, _)| !self.under_way.contains_key(*device));
        let wishes = free.filter_map(|(_, lane)| {
            let used_up = fair_use.holds(&lane.key, now);
            lane.next(now, in_network, Held { all: paced.as_ref(), unhurried: used_up.as_ref(), expiring })
        });
        let mut wishes: Vec<_> = wishes.collect();
        wishes.sort_by_key(|(rank, _)| *rank);
        let mut gets_a_place = |request: &Request| match request {
            Request::Look(_) => looks.checked_sub(1).map(|left| looks = left).is_some(),
            Request::Push(_) | Request::Withdraw(..) => std::mem::take(&mut may_change),
        };
        let asked: Vec<_> = wishes.into_iter().map(|(_, wish)| wish).filter(|wish| gets_a_place(wish)).collect();
        asked.iter().for_each(|request| self.begin(request, now));
        asked
    }

    fn begin(&mut self, request: &Request, now: Timestamp) {
        let device = request.key().device.clone();
        self.lanes.get_mut(&device).expect("the lane that wished for it is there").asking(request, now);
        self.under_way.insert(device, Asked { at: now, is_look: matches!(request, Request::Look(_)) });
    }

    fn deadlines(&self) -> impl Iterator<Item = Timestamp> {
        let hold = self.hold.as_ref().and_then(|hold| hold.until);
        let pace = self.pace.as_ref().map(|(wait, _)| *wait);
        let waits = hold.into_iter().chain(pace).map(|wait| wait.until);
        waits.chain(self.lanes.values().flat_map(Lane::deadlines))
    }
}

const TIME_UNKNOWN: &str = "it may have expired: the network has not told yet what time it is";
const UNSTORED_HINT: &str = "make room on the disk, or see why it cannot be written; it is tried again every 10 s";

/// The wait after a push that took the last of the network's patience.
fn spent(Budget { available, wait }: Budget, now: Timestamp) -> Option<(Wait, Option<Why>)> {
    let why =
        (wait > UNTOLD).then(|| Why::reason("the network takes no more pushes for now: its rate limit is reached"));
    (available == Some(0) && !wait.is_zero()).then(|| (Wait::new(now, wait), why))
}
