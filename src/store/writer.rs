//! The store's task: gathers what is to be written, has it committed in groups, and goes on when the disk does not.
//!
//! ```text
//! handles ──requests──▶ gather ──a batch, when due──▶ thread with the engine
//!                         ▲                                │
//!                         └── could not be written ◀───────┘   tried again: 100 ms, 200 ms … 5 s
//! ```
//!
//! While nothing can be written the store is *volatile*: entries count as committed as soon as they are here, those
//! that are delivered need not be written any more, and readings go on. What somebody waits for is refused.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::batch::Batch;
use super::engine::Engine;
use super::error::{EngineError, StoreError};
use super::gather::{Gather, Waiter};
use super::room::Room;
use super::rows::{DownlinkRow, Entry, EventRow, GapRow, RetainedRow, RunChange, SpoolStats, StateRow, UsageRow};
use super::thread::{Done, Job, Outcome, Thread};
use crate::model::{DeviceKey, UplinkRecord};
use crate::telemetry::{Count, Counters, NetworkClock, Notice, WeakNotices};

/// Questions that wait for the engine.
const MOST_QUERIES: usize = 64;
/// From the first failure to the next try; then it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A disk that does not answer for so long counts as failing.
const STALL: Duration = Duration::from_secs(10);
const STALL_HINT: &str = "look at the disk: it may be broken, or busy with something else";
/// How often rows are deleted that are of no use any more.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
const FIRST_PRUNE: Duration = Duration::from_secs(60);
/// While there is more to delete: others come first in between.
const NEXT_BITE: Duration = Duration::from_millis(50);

/// What a handle wants.
pub enum Request {
    Record(Entry, Vec<RunChange>),
    Runs(Vec<RunChange>),
    Deliver(u64),
    States(Vec<(DeviceKey, StateRow)>),
    Usage(Vec<UsageRow>),
    Gaps(Vec<GapRow>, Vec<u64>),
    Availability(Vec<(DeviceKey, String)>),
    /// What the home has merged of a device, how often it reports, and its history.
    Forget(DeviceKey),
    /// For the history.
    Uplink(Box<UplinkRecord>),
    Retained(Vec<RetainedRow>, Vec<String>),
    Event(EventRow),
    Downlinks(Vec<DownlinkRow>, Waiter),
    Note(DeviceKey, String, Option<Waiter>),
    Query(Query),
}

/// Something that the engine is to do once everything asked before is committed.
pub enum Query {
    After { seq: u64, most: usize, reply: oneshot::Sender<Result<Vec<Entry>, StoreError>> },
    Job(Job),
}

/// What the handles can see at any time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Status {
    pub spool: SpoolStats,
    pub failing: Option<String>,
}

/// The task that owns the store. Without it nothing is written.
pub struct Writer {
    requests: mpsc::Receiver<Request>,
    thread: Thread,
    busy: Option<Busy>,
    gather: Gather,
    /// Who waits for the commit that is under way.
    waiting: Vec<Waiter>,
    queries: VecDeque<Query>,
    /// How many of them wait for no commit any more.
    ready: usize,
    failing: Option<Failing>,
    room: Room,
    recorded: u64,
    committed: watch::Sender<u64>,
    status: watch::Sender<Status>,
    prune_at: Instant,
    notices: WeakNotices,
    counters: Counters,
    clock: NetworkClock,
}

/// A job that the thread has.
struct Busy {
    done: oneshot::Receiver<Done>,
    since: Instant,
}

/// Nothing can be written.
struct Failing {
    retry_at: Instant,
    pause: Duration,
}

enum Step {
    Done(Option<Done>),
    Asked(Option<Request>),
    Due,
}

/// The writer's ends of the channels to its handles.
pub struct Wiring {
    pub requests: mpsc::Receiver<Request>,
    pub room: Room,
    pub committed: watch::Sender<u64>,
    pub status: watch::Sender<Status>,
    pub notices: WeakNotices,
}

impl Writer {
    pub(super) fn new(thread: Thread, commit_interval: Duration, wiring: Wiring) -> Self {
        let recorded = *wiring.committed.borrow();
        Self {
            requests: wiring.requests,
            thread,
            busy: None,
            gather: Gather::new(commit_interval),
            waiting: Vec::new(),
            queries: VecDeque::new(),
            ready: 0,
            failing: None,
            room: wiring.room,
            recorded,
            committed: wiring.committed,
            status: wiring.status,
            prune_at: Instant::now() + FIRST_PRUNE,
            notices: wiring.notices,
            counters: Counters::default(),
            clock: NetworkClock::default(),
        }
    }

    /// Counts what is lost there; and deletes what is old by that clock, but nothing before it was confirmed.
    pub fn with(self, counters: Counters, clock: NetworkClock) -> Self {
        Self { counters, clock, ..self }
    }

    /// Runs until every handle is dropped, then commits what is left and closes the file. Ends at once, with an error
    /// in the log, if the store's thread dies.
    pub async fn run(mut self) {
        loop {
            match self.next().await {
                Step::Done(Some(done)) => self.settle(done),
                Step::Done(None) => return tracing::error!("The store's thread died."),
                Step::Asked(Some(request)) => self.take(request),
                Step::Asked(None) => return self.finish().await,
                Step::Due => self.act(),
            }
        }
    }

    /// What is due comes before what is asked, or a flood of requests would put off their commit.
    async fn next(&mut self) -> Step {
        let due = self.due();
        let now = Instant::now();
        if due.is_some_and(|due| due <= now) {
            return Step::Due;
        }
        let takes_more = self.takes_more();
        tokio::select! {
            biased;
            done = answer(&mut self.busy), if self.busy.is_some() => Step::Done(done),
            request = self.requests.recv(), if takes_more => Step::Asked(request),
            () = sleep_until(due.unwrap_or(now)), if due.is_some() => Step::Due,
        }
    }

    fn due(&self) -> Option<Instant> {
        match (&self.busy, &self.failing) {
            (Some(busy), None) => Some(busy.since + STALL),
            (Some(_), Some(_)) => None,
            (None, _) if !self.queries.is_empty() => Some(Instant::now()),
            (None, Some(failing)) => Some(failing.retry_at),
            (None, None) => Some(self.gather.due().map_or(self.prune_at, |due| due.min(self.prune_at))),
        }
    }

    fn takes_more(&self) -> bool {
        let is_writing = self.busy.is_some() && self.failing.is_none();
        // Those that would make it more wait meanwhile: nothing of what is kept is given up while the disk works.
        let waits = is_writing && (self.gather.is_closed() || self.gather.is_full());
        !waits && self.queries.len() < MOST_QUERIES
    }

    fn act(&mut self) {
        let now = Instant::now();
        if self.busy.is_some() {
            return self.fail(format!("the disk has not answered for {} s", STALL.as_secs()), STALL_HINT, now);
        }
        let retry = self.failing.as_ref().map(|failing| failing.retry_at <= now);
        let first_in_line = self.ready > 0 || self.gather.batch.is_empty() || retry == Some(false);
        match (retry, self.queries.is_empty()) {
            (Some(true), _) => self.commit(now),
            (_, false) if first_in_line => self.query(now),
            (_, false) => self.commit(now),
            (None, true) if self.gather.due().is_some_and(|due| due <= now) => self.commit(now),
            (_, true) => self.prune(now),
        }
    }

    fn take(&mut self, request: Request) {
        let now = Instant::now();
        match request {
            Request::Record(entry, changes) => self.record(entry, changes, now),
            Request::Runs(changes) => {
                self.gather.batch.note(changes);
                self.gather.ordinary(now);
            }
            Request::Deliver(seq) => {
                let cancelled = self.gather.batch.deliver(seq);
                self.room.leave(&cancelled.into_iter().collect::<Vec<_>>());
                self.gather.lazy(now);
            }
            Request::States(rows) => {
                self.gather.batch.save_states(rows);
                self.gather.lazy(now);
            }
            Request::Usage(rows) => {
                self.gather.batch.save_usage(rows);
                self.gather.lazy(now);
            }
            Request::Availability(rows) => {
                self.gather.batch.save_availability(rows);
                self.gather.lazy(now);
            }
            Request::Forget(key) => {
                self.gather.batch.forget(key);
                self.gather.lazy(now);
            }
            Request::Uplink(uplink) => self.gather.keep(*uplink, now),
            Request::Gaps(rows, closed) => {
                self.gather.batch.save_gaps(rows, closed);
                self.gather.ordinary(now);
            }
            Request::Retained(rows, cleared) => {
                self.gather.batch.save_retained(rows, cleared);
                self.gather.lazy(now);
            }
            Request::Event(row) => {
                self.gather.batch.keep_event(row);
                self.gather.lazy(now);
            }
            Request::Downlinks(rows, waiter) => self.downlinks(rows, waiter, now),
            Request::Note(key, body, waiter) => self.note(key, body, waiter, now),
            Request::Query(query) => self.queries.push_back(query),
        }
    }

    fn record(&mut self, entry: Entry, changes: Vec<RunChange>, now: Instant) {
        self.recorded = self.recorded.max(entry.seq);
        self.gather.batch.note(changes);
        self.gather.record(entry, now);
        if self.failing.is_some() {
            self.advance(self.recorded);
        }
    }

    fn downlinks(&mut self, rows: Vec<DownlinkRow>, waiter: Waiter, now: Instant) {
        if self.failing.is_some() {
            return refuse([waiter], &self.reason());
        }
        self.gather.batch.save_downlinks(rows);
        self.gather.waiting.push(waiter);
        self.gather.urgent(now);
    }

    /// Unlike a downlink it is written later if it cannot be now: whoever waits only must not go on before.
    fn note(&mut self, key: DeviceKey, body: String, waiter: Option<Waiter>, now: Instant) {
        self.gather.batch.notes.insert(key, body);
        match waiter {
            Some(waiter) if self.failing.is_some() => {
                refuse([waiter], &self.reason());
                self.gather.ordinary(now);
            }
            Some(waiter) => {
                self.gather.waiting.push(waiter);
                self.gather.urgent(now);
            }
            None => self.gather.ordinary(now),
        }
    }

    fn commit(&mut self, now: Instant) {
        let (batch, waiting) = self.gather.take(now);
        self.waiting = waiting;
        self.ready = self.queries.len();
        self.hand(now, move |engine| {
            let result = engine.apply(&batch);
            Outcome::Applied(Box::new(batch), result)
        });
    }

    fn query(&mut self, now: Instant) {
        self.ready = self.ready.saturating_sub(1);
        match self.queries.pop_front() {
            Some(Query::After { seq, most, reply }) => self.hand(now, move |engine| {
                let found = engine.after(seq, most);
                Outcome::Found { found, seq, most, reply }
            }),
            Some(Query::Job(job)) => self.hand(now, move |engine| {
                job(engine);
                Outcome::Nothing
            }),
            None => {}
        }
    }

    fn prune(&mut self, now: Instant) {
        self.prune_at = now + PRUNE_EVERY;
        let today = self.clock.confirmed();
        self.hand(now, move |engine| {
            let more = engine.prune(today).inspect_err(|error| {
                tracing::warn!(%error, "Old rows could not be deleted.");
            });
            Outcome::Pruned(more.unwrap_or(false))
        });
    }

    fn hand(&mut self, now: Instant, job: impl FnOnce(&mut dyn Engine) -> Outcome + Send + 'static) {
        self.busy = Some(Busy { done: self.thread.hand(job), since: now });
    }

    fn settle(&mut self, done: Done) {
        self.busy = None;
        self.status.send_modify(|status| status.spool = done.spool);
        match done.outcome {
            Outcome::Applied(batch, Ok(())) => self.applied(&batch),
            Outcome::Applied(batch, Err(error)) => self.not_applied(*batch, &error),
            Outcome::Found { found, seq, most, reply } => {
                let found = found.map_err(|error| StoreError::Unreadable(error.to_string()));
                let unwritten = self.failing.is_some();
                let all = |found| if unwritten { self.gather.batch.add_to(found, seq, most) } else { found };
                reply.send(found.map(all)).ok();
            }
            Outcome::Pruned(true) => self.prune_at = Instant::now() + NEXT_BITE,
            Outcome::Pruned(false) | Outcome::Nothing => {}
        }
    }

    fn applied(&mut self, batch: &Batch) {
        self.room.leave(batch.records.values());
        if let Some(seq) = batch.records.keys().next_back() {
            self.advance(*seq);
        }
        self.waiting.drain(..).for_each(|waiter| drop(waiter.send(Ok(()))));
        if self.failing.take().is_some() {
            self.status.send_modify(|status| status.failing = None);
            self.notices.tell(Notice::StoreWorks);
        }
        self.tell_unkept(batch);
    }

    fn tell_unkept(&self, batch: &Batch) {
        for (application, (count, oldest, newest)) in batch.unkept.clone() {
            self.counters.count_many_for(&application, Count::Unkept, count);
            self.notices.tell(Notice::ReadingsDropped { application, count, oldest, newest });
        }
    }

    fn not_applied(&mut self, batch: Batch, error: &EngineError) {
        let now = Instant::now();
        let cancelled = self.gather.take_back(batch);
        self.room.leave(&cancelled);
        self.fail(error.to_string(), error.hint(), now);
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        refuse(waiting.chain(std::mem::take(&mut self.gather.waiting)), &self.reason());
    }

    /// Goes on, or stays, in volatile mode.
    fn fail(&mut self, reason: String, hint: &'static str, now: Instant) {
        let pause = self.failing.as_ref().map_or(FIRST_PAUSE, |failing| LONGEST_PAUSE.min(failing.pause * 2));
        if self.failing.is_none() {
            self.notices.tell(Notice::StoreFailing { reason: reason.clone(), hint: hint.into() });
        }
        self.failing = Some(Failing { retry_at: now + pause, pause });
        self.status.send_modify(|status| status.failing = Some(reason));
        self.advance(self.recorded);
    }

    fn reason(&self) -> String {
        self.status.borrow().failing.clone().unwrap_or_default()
    }

    fn advance(&self, seq: u64) {
        self.committed.send_if_modified(|committed| {
            let further = seq > *committed;
            *committed = seq.max(*committed);
            further
        });
    }

    /// Nobody holds a handle any more: nothing comes after this.
    async fn finish(mut self) {
        if let Some(done) = answer(&mut self.busy).await {
            self.settle(done);
        }
        if !self.gather.batch.is_empty() {
            self.commit(Instant::now());
            match answer(&mut self.busy).await {
                Some(done) => self.settle(done),
                None => tracing::error!("The store's thread died."),
            }
        }
        if self.failing.is_some() {
            let (entries, reason) = (self.gather.batch.records.len(), self.reason());
            tracing::error!(entries, reason, "Stopped before everything could be stored.");
            self.tell_unkept(&self.gather.batch);
        }
        self.hand(Instant::now(), |engine| {
            if let Err(error) = engine.close() {
                tracing::warn!(%error, "The store was not closed properly; nothing is lost.");
            }
            Outcome::Nothing
        });
        answer(&mut self.busy).await;
        self.thread.join();
    }
}

/// None: the thread has nothing to do, or is dead.
async fn answer(busy: &mut Option<Busy>) -> Option<Done> {
    (&mut busy.as_mut()?.done).await.ok()
}

fn refuse(waiting: impl IntoIterator<Item = Waiter>, reason: &str) {
    for waiter in waiting {
        waiter.send(Err(StoreError::Failing(reason.into()))).ok();
    }
}
