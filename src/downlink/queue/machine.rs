//! The queue's decisions: state, event and time in, actions out. No clock, I/O or task in here.
//!
//! ```text
//!                        cancel, clear, replace ─▶ cancelled      newer with its key ─▶ superseded
//!                        its time is over ───────▶ expired
//!                          ▲
//!             accept   ┌───┴─────┐  first of its device, no hold,  ┌─────────┐  refused ─▶ failed
//!  home ─────────────▶ │ Waiting │ ──── fewer than N there ──────▶ │ Pushing │
//!                      └─────────┘ ◀─── no session, rate limit, ── └─────────┘
//!                        ▲     ▲        queue full, forbidden          │   │ no clear answer
//!                        │     └ absent ──────────────┐             ok │   ▼
//!                        │                        ┌────────┐  present  │ ┌────────┐
//!                        │                        │ looked │ ◀─────────┼─│ Unsure │ waits, then is looked up;
//!                        │                        │   up   │           │ └────────┘ never pushed before
//!                        │                        └────────┘           ▼   ▲
//!                        │                            │        ┌─────────┐ │ no session, invalidated
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
//!   and a key without rights hold the whole application. What waits is shown `held` with the reason.
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

use jiff::Timestamp;

use super::item::{Item, Why};
use super::lane::{Hold, Lane};
use super::{Action, Answer, Event, Limits, OpenDownlink, Request};
use crate::model::{ApplicationName, DeviceId, DeviceKey, DownlinkId, QueuedDownlink, State};

/// The queue of all devices.
#[derive(Debug)]
pub struct Machine {
    limits: Limits,
    applications: BTreeMap<ApplicationName, Application>,
    arrivals: u64,
    stopping: bool,
}

/// What the devices of one application share: the network's patience, and one request at a time.
#[derive(Debug, Default)]
struct Application {
    lanes: BTreeMap<DeviceId, Lane>,
    hold: Option<Hold>,
    /// When the request under way was made.
    asked: Option<Timestamp>,
}

impl Machine {
    pub fn new(limits: Limits) -> Self {
        Self { limits, applications: BTreeMap::new(), arrivals: 0, stopping: false }
    }

    /// Takes one event. The actions are to be carried out in their order; each [`Action::Ask`] is answered by one
    /// [`Event::Answered`].
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        let mut out = Vec::new();
        self.take(event, now, &mut out);
        for application in self.applications.values_mut() {
            application.settle(now, self.stopping, &mut out);
            if !self.stopping {
                out.extend(application.ask(now, self.limits.in_network).map(Action::Ask));
            }
        }
        out
    }

    /// When [`Event::Tick`] is due, if time alone would change anything.
    pub fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let all = self.applications.values().flat_map(Application::deadlines);
        // What is due already waits for something else: an answer, or a report.
        all.filter(|at| *at > now).min()
    }

    /// How many downlinks are open.
    pub fn depth(&self) -> usize {
        self.lanes().map(|lane| lane.items.len()).sum()
    }

    /// The open downlinks of one device, in the order of their arrival.
    pub fn open(&self, key: &DeviceKey) -> Vec<OpenDownlink> {
        let lane = self.applications.get(&key.application).and_then(|application| application.lanes.get(&key.device));
        lane.map(|lane| lane.items.iter().map(Item::open).collect()).unwrap_or_default()
    }

    /// Whether an open downlink has this id.
    pub fn holds(&self, id: &DownlinkId) -> bool {
        self.lanes().any(|lane| lane.items.iter().any(|item| item.id() == id))
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
                if let Some(lane) = self.lane(&key) {
                    lane.heard(&id, &happening, at, now, out);
                }
            }
            Event::Alive(key) => {
                if let Some(lane) = self.lane(&key) {
                    lane.alive(now);
                }
            }
            Event::Tick => {}
            Event::Stop => self.stopping = true,
        }
    }

    fn accept(&mut self, downlink: QueuedDownlink, now: Timestamp, out: &mut Vec<Action>) {
        if self.holds(&downlink.id) {
            debug_assert!(false, "the caller asks `holds` first");
            return;
        }
        if let Some(why) = self.no_room(&downlink.key, 1, false) {
            out.push(Action::Publish(downlink.key, why.step(downlink.id, State::Failed, now)));
            return;
        }
        self.arrivals += 1;
        let key = downlink.key.clone();
        let application = self.applications.entry(key.application.clone()).or_default();
        let lane = application.lanes.entry(key.device.clone()).or_insert_with(|| Lane::new(key));
        lane.accept(downlink, self.arrivals, now, out);
    }

    /// Why so many more do not fit; if they replace, what waits here for the device makes room.
    pub fn no_room(&self, key: &DeviceKey, more: usize, replacing: bool) -> Option<Why> {
        let Limits { per_device, total, .. } = self.limits;
        let lane = self.applications.get(&key.application).and_then(|application| application.lanes.get(&key.device));
        let items = lane.map_or(&[][..], |lane| &lane.items);
        let goes = if replacing { items.iter().filter(|item| item.waiting()).count() } else { 0 };
        let (here, all) = (items.len() - goes + more, self.depth() - goes + more);
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
            out.push(Action::Publish(key, why.step(id, State::Failed, now)));
        }
    }

    /// Takes effect at once on what waits here, so that it makes room for what replaces it.
    fn clear(&mut self, key: &DeviceKey, now: Timestamp, out: &mut Vec<Action>) {
        if let Some(lane) = self.lane(key) {
            lane.clear();
            lane.settle(now, None, false, out);
        }
    }

    fn answered(&mut self, answer: Answer, now: Timestamp, out: &mut Vec<Action>) {
        let Some(application) = self.applications.get_mut(&answer.key().application) else { return };
        let asked = application.asked.take().unwrap_or(now);
        let Some(lane) = application.lanes.get_mut(&answer.key().device) else { return };
        let hold = match answer {
            Answer::Pushed(_, id, result) => lane.pushed(&id, result, now, out),
            Answer::Looked(_, result) => lane.looked(asked, result, now, out),
            Answer::Withdrawn(_, ids, result) => lane.withdrawn(&ids, result, now, out),
        };
        application.hold = hold.or(application.hold.take());
    }

    fn lane(&mut self, key: &DeviceKey) -> Option<&mut Lane> {
        self.applications.get_mut(&key.application)?.lanes.get_mut(&key.device)
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.applications.values().flat_map(|application| application.lanes.values())
    }
}

impl Application {
    fn settle(&mut self, now: Timestamp, stopping: bool, out: &mut Vec<Action>) {
        self.hold = self.hold.take().filter(|hold| !hold.over(now));
        for lane in self.lanes.values_mut() {
            lane.settle(now, self.hold.as_ref(), stopping, out);
        }
        self.lanes.retain(|_, lane| !lane.items.is_empty());
    }

    fn ask(&mut self, now: Timestamp, in_network: usize) -> Option<Request> {
        if self.asked.is_some() || self.hold.is_some() {
            return None;
        }
        let wishes = self.lanes.values().filter_map(|lane| lane.next(now, in_network));
        let (_, request) = wishes.min_by_key(|(rank, _)| *rank)?;
        let lane = self.lanes.get_mut(&request.key().device).expect("the lane that wished for it is there");
        lane.asking(&request, now);
        self.asked = Some(now);
        Some(request)
    }

    fn deadlines(&self) -> impl Iterator<Item = Timestamp> {
        let hold = self.hold.as_ref().and_then(|hold| hold.until).map(|wait| wait.until);
        hold.into_iter().chain(self.lanes.values().flat_map(Lane::deadlines))
    }
}
