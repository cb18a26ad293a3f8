//! Decides when the network is asked for what was missed: event and time in, actions out. No clock, I/O or task in here.
//!
//! ```text
//!  outage, start of the bridge ─▶ ┌─────────┐ 5 s after  ┌───────┐        ┌─────────┐ 2 min later ┌────────┐
//!  counter jumped (check) ──────▶ │ waiting │ ─────────▶ │ first │ ─────▶ │ waiting │ ──────────▶ │ second │ ─▶ end
//!  asked by hand ───────────────▶ └─────────┘ its end    │ fetch │ answer └─────────┘             │ fetch  │
//!                                      ▲                 └───────┘                                └────────┘
//!                                      └ no answer: 10 s … 10 min ┘    (the second fetch is repeated likewise)
//! ```
//!
//! - **Told**: an outage as `gap_found` with its first fetch, and at its end as `gap_repaired` or `gap_lost`: exactly one
//!   end for each. Of checks and requests only what they repaired.
//! - **Lost** is what frame counters still miss in the span after the second fetch, what is older than the network keeps,
//!   and a gap for which no answer came for as long as the network could have had it.
//! - **Merging**: an outage that overlaps or adjoins one not yet fetched makes that one longer.
//! - **Checks** are coalesced: one waits at most, ten minutes lie between two, and they wait for outages, which may well
//!   bring what they would look for.
//! - One fetch at a time for each application. Everything open is saved, and goes on after a restart.

mod gap;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{OpenGap, RepairConfig};
use crate::model::ApplicationName;
use crate::network::{HistoryError, Outage, Source, Span};
use crate::store::GapRow;
use crate::telemetry::{LostFrames, Notice};
use gap::{Gap, Kind, Stage, later};

/// Time between two checks of one application.
const BETWEEN_CHECKS: Duration = Duration::from_secs(600);
/// Outages of one application that wait for their first fetch; beyond, the last one is stretched.
const MOST_OUTAGES: usize = 32;
/// Spans of one application asked for by hand and not finished.
const MOST_ASKED: usize = 8;

/// The gaps of all applications.
#[derive(Debug)]
pub struct Gaps {
    config: RepairConfig,
    applications: BTreeMap<ApplicationName, Application>,
    last_id: u64,
}

#[derive(Debug, Default)]
struct Application {
    gaps: BTreeMap<u64, Gap>,
    fetching: Option<u64>,
    last_check: Option<Timestamp>,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The bridge starts: nothing was heard since then.
    Restarted {
        application: ApplicationName,
        heard_until: Timestamp,
    },
    /// The network is heard for the first time.
    Connected(ApplicationName),
    Outage(Outage),
    /// An uplink's counter tells that frames are missing; the one before them was received at `after`.
    FrameGap {
        application: ApplicationName,
        after: Timestamp,
    },
    Fetched(Fetched),
    Tick,
}

/// What came of a fetch.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub id: u64,
    pub application: ApplicationName,
    pub result: Result<Source, HistoryError>,
    /// Uplinks that had not been received before.
    pub new: u64,
    /// Frames still missing in the gap.
    pub lost: LostFrames,
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Save(GapRow),
    Forget(u64),
    Tell(Notice),
    Fetch(Fetch),
}

/// A fetch to be started. [`Event::Fetched`] answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetch {
    pub id: u64,
    pub application: ApplicationName,
    /// What to ask the network for.
    pub ask: Span,
    /// In which missing frames count.
    pub gap: Span,
}

impl Gaps {
    /// Goes on with what was saved. Second: rows that cannot be read.
    pub fn restore(config: RepairConfig, rows: Vec<GapRow>) -> (Self, Vec<u64>) {
        let (mut gaps, mut unreadable) = (Self { config, applications: BTreeMap::new(), last_id: 0 }, Vec::new());
        for GapRow { id, application, body } in rows {
            gaps.last_id = gaps.last_id.max(id);
            match serde_json::from_str(&body) {
                Ok(gap) => drop(gaps.applications.entry(application).or_default().gaps.insert(id, gap)),
                Err(_) => unreadable.push(id),
            }
        }
        (gaps, unreadable)
    }

    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        self.forgive_clock(now);
        let mut actions = match event {
            Event::Restarted { application, heard_until } => self.restarted(application, heard_until, now),
            Event::Connected(application) => self.connected(&application, now),
            Event::Outage(outage) => self.outage(outage, now),
            Event::FrameGap { application, after } => self.frame_gap(application, after, now),
            Event::Fetched(fetched) => self.fetched(fetched, now),
            Event::Tick => Vec::new(),
        };
        self.start_due(now, &mut actions);
        actions
    }

    /// Takes a span that somebody asked for; the id is that of its fetches. `None` if too many are open.
    pub fn ask(&mut self, application: ApplicationName, span: Span, now: Timestamp) -> Option<(u64, Vec<Action>)> {
        self.forgive_clock(now);
        let gaps = self.applications.get(&application).map(|it| it.gaps.values()).into_iter().flatten();
        if gaps.filter(|gap| gap.kind == Kind::Asked).count() >= MOST_ASKED {
            return None;
        }
        let gap = Gap::new(Kind::Asked, "asked for", span.after, Some(span.before.max(span.after)), now);
        let (id, save) = self.insert(application, gap, now);
        let mut actions = vec![save];
        self.start_due(now, &mut actions);
        Some((id, actions))
    }

    /// When the next [`Event::Tick`] is wanted.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.applications.values().filter_map(Application::next).map(|(_, due)| due).min()
    }

    /// Those that are told of: outages, and spans that somebody asked for.
    pub fn open(&self) -> Vec<OpenGap> {
        let all = self.applications.iter().flat_map(|(name, it)| it.gaps.iter().map(move |(id, gap)| (name, *id, gap)));
        let told = all.filter(|(.., gap)| gap.kind != Kind::Check);
        told.map(|(application, id, gap)| gap.shown(id, application)).collect()
    }

    /// Applications that wait for [`Event::Connected`].
    pub fn unconnected(&self) -> Vec<ApplicationName> {
        let waits = |application: &Application| application.gaps.values().any(|gap| gap.to.is_none());
        self.applications.iter().filter(|(_, it)| waits(it)).map(|(name, _)| name.clone()).collect()
    }

    /// A gap without an end is saved at once: what is received from now on hides when the bridge last heard something.
    fn restarted(&mut self, application: ApplicationName, heard_until: Timestamp, now: Timestamp) -> Vec<Action> {
        let known = self.applications.entry(application.clone()).or_default();
        if let Some((id, gap)) = known.gaps.iter_mut().find(|(_, gap)| gap.to.is_none()) {
            gap.from = gap.from.min(heard_until);
            return vec![Action::Save(row(*id, &application, gap))];
        }
        let gap = Gap::new(Kind::Outage, "the bridge was not running", heard_until, None, now);
        vec![self.insert(application, gap, now).1]
    }

    fn connected(&mut self, application: &ApplicationName, now: Timestamp) -> Vec<Action> {
        let config = self.config;
        let gaps = self.applications.get_mut(application).map(|it| it.gaps.iter_mut()).into_iter().flatten();
        let open = gaps.filter(|(_, gap)| gap.to.is_none());
        open.map(|(id, gap)| {
            gap.close(now, &config);
            Action::Save(row(*id, application, gap))
        })
        .collect()
    }

    /// A clock that was set back in between swaps its ends.
    fn outage(&mut self, outage: Outage, now: Timestamp) -> Vec<Action> {
        let (from, to) = (outage.from.min(outage.to), outage.from.max(outage.to));
        let config = self.config;
        let known = self.applications.entry(outage.application.clone()).or_default();
        if let Some((id, gap)) = known.that_takes(from, to) {
            gap.stretch(from, to, now, &config);
            return vec![Action::Save(row(id, &outage.application, gap))];
        }
        let mut gap = Gap::new(Kind::Outage, outage.why, from, Some(to), now);
        gap.due = later(now, config.fetch_after);
        vec![self.insert(outage.application, gap, now).1]
    }

    fn frame_gap(&mut self, application: ApplicationName, after: Timestamp, now: Timestamp) -> Vec<Action> {
        let known = self.applications.entry(application.clone()).or_default();
        if known.outage_covers(after) {
            return Vec::new();
        }
        if let Some((id, gap)) = known.waiting_check() {
            if after >= gap.from {
                return Vec::new();
            }
            gap.from = after;
            return vec![Action::Save(row(id, &application, gap))];
        }
        let mut gap = Gap::new(Kind::Check, "frames are missing", after, Some(now.max(after)), now);
        gap.due = later(now, self.config.fetch_after);
        vec![self.insert(application, gap, now).1]
    }

    fn fetched(&mut self, fetched: Fetched, now: Timestamp) -> Vec<Action> {
        let Fetched { id, application, result, new, lost } = fetched;
        let Some(known) = self.applications.get_mut(&application).filter(|it| it.fetching == Some(id)) else {
            return Vec::new();
        };
        known.fetching = None;
        let Some(mut gap) = known.gaps.remove(&id) else { return Vec::new() };
        gap.repaired += new;
        if gap.fetched(&result, lost.is_empty(), now, &self.config) {
            let save = Action::Save(row(id, &application, &gap));
            known.gaps.insert(id, gap);
            return vec![save];
        }
        let told = gap.end(id, &application, &result, lost).map(Action::Tell);
        told.into_iter().chain([Action::Forget(id)]).collect()
    }

    fn start_due(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        for (name, application) in &mut self.applications {
            let Some((id, _)) = application.next().filter(|(_, due)| *due <= now) else { continue };
            let Some(gap) = application.gaps.get_mut(&id) else { continue };
            let ask = gap.begin(now, &self.config);
            application.fetching = Some(id);
            if gap.is_new_check() {
                application.last_check = Some(now);
            }
            if gap.kind == Kind::Outage && !gap.told {
                gap.told = true;
                actions.extend([Action::Save(row(id, name, gap)), Action::Tell(gap.found(id, name))]);
            }
            actions.push(Action::Fetch(Fetch { id, application: name.clone(), ask, gap: gap.span() }));
        }
    }

    /// Ids grow with time, so that they tell gaps apart also across restarts.
    fn insert(&mut self, application: ApplicationName, gap: Gap, now: Timestamp) -> (u64, Action) {
        self.last_id = (self.last_id + 1).max(u64::try_from(now.as_microsecond()).unwrap_or(0));
        let save = Action::Save(row(self.last_id, &application, &gap));
        self.applications.entry(application).or_default().gaps.insert(self.last_id, gap);
        (self.last_id, save)
    }

    fn forgive_clock(&mut self, now: Timestamp) {
        for application in self.applications.values_mut() {
            application.last_check = application.last_check.map(|last| last.min(now));
            application.gaps.values_mut().for_each(|gap| gap.forgive_clock(now));
        }
    }
}

impl Application {
    /// What is fetched next, and when.
    fn next(&self) -> Option<(u64, Timestamp)> {
        if self.fetching.is_some() {
            return None;
        }
        let outages = self.gaps.values().any(|gap| gap.kind == Kind::Outage && gap.stage == Stage::First);
        let held = |gap: &Gap| gap.to.is_none() || (outages && gap.is_new_check());
        let ready = self.gaps.iter().filter(|(_, gap)| !held(gap));
        ready.map(|(id, gap)| (*id, self.due(gap))).min_by_key(|(_, due)| *due)
    }

    fn due(&self, gap: &Gap) -> Timestamp {
        let last = self.last_check.filter(|_| gap.is_new_check() && gap.failures == 0);
        last.map_or(gap.due, |last| gap.due.max(later(last, BETWEEN_CHECKS)))
    }

    /// The outages that wait for their first fetch.
    fn unfetched(&mut self) -> impl DoubleEndedIterator<Item = (u64, &mut Gap)> {
        let fetching = self.fetching;
        self.gaps
            .iter_mut()
            .filter(move |(id, gap)| gap.kind == Kind::Outage && gap.stage == Stage::First && Some(**id) != fetching)
            .map(|(id, gap)| (*id, gap))
    }

    /// The outage that another one of this span makes longer.
    fn that_takes(&mut self, from: Timestamp, to: Timestamp) -> Option<(u64, &mut Gap)> {
        let touched = self.unfetched().find(|(_, gap)| gap.touches(from, to)).map(|(id, _)| id);
        let full = self.unfetched().count() >= MOST_OUTAGES;
        let id = touched.or_else(|| self.unfetched().next_back().filter(|_| full).map(|(id, _)| id))?;
        self.gaps.get_mut(&id).map(|gap| (id, gap))
    }

    /// Whether an outage that waits for its first fetch will bring everything since `after`.
    fn outage_covers(&mut self, after: Timestamp) -> bool {
        self.unfetched().any(|(_, gap)| gap.span().after <= after)
    }

    fn waiting_check(&mut self) -> Option<(u64, &mut Gap)> {
        let fetching = self.fetching;
        self.gaps.iter_mut().find(|(id, gap)| gap.is_new_check() && Some(**id) != fetching).map(|(id, gap)| (*id, gap))
    }
}

fn row(id: u64, application: &ApplicationName, gap: &Gap) -> GapRow {
    let body = serde_json::to_string(gap).expect("a gap has text keys and finite numbers");
    GapRow { id, application: application.clone(), body }
}
