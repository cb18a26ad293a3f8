//! Fetches what was missed: the task that carries out what [`gaps`](super::gaps) decides.
//!
//! ```text
//! outages, counters that jumped, requests ─▶ Gaps ─▶ fetch: network ─▶ parsed ─▶ arrivals (backfilled) ─▶ uplink flow
//!                                             ▲  └─▶ store, notices                                          │
//!                                             └────────────── how many were new, what is missing ────────────┘
//! ```

mod fetching;
#[cfg(test)]
mod flow_tests;
mod handle;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::RepairConfig;
use super::gaps::{Action, Event, Fetched, Gaps};
use crate::model::{ApplicationName, Directory};
use crate::network::{Arrival, NetworkServer, Outage, Outages, Span, Tracked};
use crate::store::{GapRow, Store};
use crate::telemetry::{Counters, NetworkClock, Notices};

pub use handle::{BackfillError, BackfillOutcome, OpenGap, RepairHandle};

use fetching::Link;
use handle::{Reply, Request};

/// Requests and jumps of counters that wait to be looked at.
const REQUESTS: usize = 64;
/// How often a connection is looked for while a gap lasts until there is one.
const LOOK_FOR_CONNECTION: Duration = Duration::from_secs(1);
/// A clock that was set forward is noticed within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Repairs the gaps of all applications.
pub struct Repair {
    gaps: Gaps,
    /// Applications that were listened to before: uplinks were received before the start, or it connected since.
    listened: HashSet<ApplicationName>,
    /// What is to be saved, noted and forgotten at the start.
    beginning: Beginning,
    link: Arc<Link>,
    outages: Outages,
    tracked: mpsc::Sender<Tracked>,
    store: Store,
    requests: mpsc::Receiver<Request>,
    fetches: FuturesUnordered<BoxFuture<'static, Option<Fetched>>>,
    /// Those who wait for the first fetch of what they asked for.
    asked: HashMap<u64, Reply>,
    /// What others see of the gaps.
    open: watch::Sender<Vec<OpenGap>>,
    now: Clock,
}

/// What the task is built from.
pub struct RepairParts {
    pub config: RepairConfig,
    pub servers: HashMap<ApplicationName, Arc<dyn NetworkServer>>,
    pub outages: Outages,
    pub arrivals: mpsc::Sender<Arrival>,
    pub tracked: mpsc::Sender<Tracked>,
    pub store: Store,
    /// The gaps that were open when the bridge ended.
    pub rows: Vec<GapRow>,
    /// When the network had the newest uplink that was received of each application, by its own clock.
    pub heard_until: HashMap<ApplicationName, Timestamp>,
    pub directory: Arc<Mutex<Directory>>,
    pub counters: Counters,
    pub notices: Notices,
    pub clock: NetworkClock,
}

struct Beginning {
    heard_until: HashMap<ApplicationName, Timestamp>,
    /// Gaps of applications that are no longer configured, or in a form of another version.
    useless: Vec<u64>,
}

impl Repair {
    pub fn new(parts: RepairParts) -> (Self, RepairHandle) {
        let clock = parts.clock.clone();
        Self::with_clock(parts, Arc::new(move || clock.now()))
    }

    fn with_clock(parts: RepairParts, now: Clock) -> (Self, RepairHandle) {
        let RepairParts { config, servers, outages, arrivals, tracked, store, rows, mut heard_until, .. } = parts;
        let (rows, foreign): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| servers.contains_key(&row.application));
        heard_until.retain(|application, _| servers.contains_key(application));
        let (gaps, mut useless) = Gaps::restore(config, rows);
        useless.extend(foreign.iter().map(|row| row.id));
        let (asking, requests) = mpsc::channel(REQUESTS);
        let (open, shown) = watch::channel(gaps.open());
        let (directory, counters, notices) = (parts.directory, parts.counters, parts.notices);
        let repair = Self {
            gaps,
            listened: heard_until.keys().cloned().collect(),
            beginning: Beginning { heard_until, useless },
            link: Arc::new(Link { servers, arrivals, directory, counters, notices }),
            outages,
            tracked,
            store,
            requests,
            fetches: FuturesUnordered::new(),
            asked: HashMap::new(),
            open,
            now,
        };
        (repair, RepairHandle::new(asking, shown))
    }

    /// Runs until `stop`, or until the uplink flow is gone. What is open is in the store.
    pub async fn run(mut self, stop: CancellationToken) {
        self.begin().await;
        loop {
            let due = self.until_next();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                outages = self.outages.next() => self.noted(outages).await,
                Some(request) = self.requests.recv() => self.serve(request).await,
                Some(fetched) = self.fetches.next() => match fetched {
                    Some(fetched) => self.fetched(fetched).await,
                    None => break,
                },
                () = tokio::time::sleep(due) => self.look().await,
            }
        }
        // Fetches under way are dropped, and begun again after the start.
        self.fetches.clear();
        if let Some(outages) = self.outages.next().now_or_never() {
            self.noted(outages).await;
        }
    }

    async fn begin(&mut self) {
        let useless = std::mem::take(&mut self.beginning.useless);
        if !useless.is_empty() {
            tracing::warn!(gaps = useless.len(), "Gaps of applications that are not configured are forgotten.");
            self.store.save_gaps(Vec::new(), useless).await;
        }
        for (application, heard_until) in std::mem::take(&mut self.beginning.heard_until) {
            self.happened(Event::Restarted { application, heard_until }).await;
        }
        self.look().await;
    }

    /// What time and connections bring.
    async fn look(&mut self) {
        for application in self.gaps.unconnected() {
            if self.link.servers.get(&application).is_some_and(|server| server.health().connected) {
                self.happened(Event::Connected(application)).await;
            }
        }
        self.happened(Event::Tick).await;
    }

    async fn noted(&mut self, outages: Vec<Outage>) {
        for outage in outages {
            let blind = Tracked::Blind { application: outage.application.clone(), since: outage.from.min(outage.to) };
            // The first outage ends with the first connection. A bridge that was just set up had nothing to miss by then.
            if !self.listened.insert(outage.application.clone()) {
                self.happened(Event::Outage(outage)).await;
            }
            // Fails only when that flow is gone: the process is past its drain.
            self.tracked.send(blind).await.ok();
        }
    }

    async fn serve(&mut self, request: Request) {
        match request {
            Request::FrameGap { application, after } if self.link.servers.contains_key(&application) => {
                self.happened(Event::FrameGap { application, after }).await;
            }
            Request::FrameGap { .. } => {}
            Request::Backfill { application, since, until, reply } => {
                if let Err((error, reply)) = self.backfill(application, since, until, reply).await {
                    // Whoever asked has gone.
                    reply.send(Err(error)).ok();
                }
            }
        }
    }

    async fn backfill(
        &mut self,
        application: ApplicationName,
        since: Timestamp,
        until: Option<Timestamp>,
        reply: Reply,
    ) -> Result<(), (BackfillError, Reply)> {
        let now = (self.now)();
        let span = Span { after: since, before: until.unwrap_or(now) };
        if !self.link.servers.contains_key(&application) {
            return Err((BackfillError::UnknownApplication(application), reply));
        }
        if span.after >= span.before {
            return Err((BackfillError::EmptySpan, reply));
        }
        let Some((id, actions)) = self.gaps.ask(application, span, now) else {
            return Err((BackfillError::Busy, reply));
        };
        self.asked.insert(id, reply);
        self.carry_out(actions).await;
        Ok(())
    }

    async fn fetched(&mut self, fetched: Fetched) {
        if let Some(reply) = self.asked.remove(&fetched.id) {
            let Fetched { result, new, lost, .. } = &fetched;
            let outcome = result.clone().map_err(BackfillError::History);
            let outcome = outcome.map(|source| BackfillOutcome { repaired: *new, missing: lost.clone(), source });
            // Whoever asked has gone.
            reply.send(outcome).ok();
        }
        self.happened(Event::Fetched(fetched)).await;
    }

    async fn happened(&mut self, event: Event) {
        let actions = self.gaps.handle(event, (self.now)());
        self.carry_out(actions).await;
    }

    /// Saves first: what was told must be known after a restart.
    async fn carry_out(&mut self, actions: Vec<Action>) {
        let open = self.gaps.open();
        self.open.send_if_modified(|shown| {
            let is_news = *shown != open;
            *shown = open;
            is_news
        });
        let (mut rows, mut closed, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for action in actions {
            match action {
                Action::Save(row) => rows.push(row),
                Action::Forget(id) => closed.push(id),
                other => others.push(other),
            }
        }
        if !(rows.is_empty() && closed.is_empty()) {
            self.store.save_gaps(rows, closed).await;
        }
        for action in others {
            match action {
                Action::Tell(notice) => self.link.tell(notice),
                Action::Fetch(fetch) => self.fetches.push(self.link.clone().fetch(fetch).boxed()),
                Action::Save(_) | Action::Forget(_) => {}
            }
        }
    }

    fn until_next(&self) -> Duration {
        let longest = if self.gaps.unconnected().is_empty() { LONGEST_SLEEP } else { LOOK_FOR_CONNECTION };
        let until = |due: Timestamp| Duration::try_from(due.duration_since((self.now)())).unwrap_or_default();
        self.gaps.next_deadline().map_or(longest, |due| until(due).min(longest))
    }
}
