//! When the next commit is due: group commit by time and by count.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::batch::Batch;
use super::error::StoreError;
use super::rows::Entry;
use crate::model::UplinkRecord;

/// So many entries are committed without waiting for more.
const MOST_RECORDS: usize = 64;
/// So many uplinks for the history are too. They come in such numbers only while a backlog leaves.
const MOST_UPLINKS: usize = 1000;
/// How long what nobody waits for may wait for a commit to ride along with.
const LAZY: Duration = Duration::from_secs(1);

/// Who waits for a commit.
pub type Waiter = oneshot::Sender<Result<(), StoreError>>;

/// What is gathered for the next commit, and when that is due.
#[derive(Debug)]
pub struct Gather {
    interval: Duration,
    pub batch: Batch,
    pub waiting: Vec<Waiter>,
    due: Option<Instant>,
    last_began: Option<Instant>,
}

impl Gather {
    /// `interval`: the least time from the beginning of one commit to that of the next, unless there is enough to do.
    pub fn new(interval: Duration) -> Self {
        Self { interval, batch: Batch::default(), waiting: Vec::new(), due: None, last_began: None }
    }

    /// When to commit; never, while there is nothing.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    pub fn record(&mut self, entry: Entry, now: Instant) {
        self.batch.record(entry);
        let enough = self.batch.records.len() >= MOST_RECORDS;
        if enough { self.urgent(now) } else { self.ordinary(now) }
    }

    pub fn keep(&mut self, uplink: UplinkRecord, now: Instant) {
        self.batch.keep_uplink(uplink);
        if self.is_full() { self.urgent(now) } else { self.lazy(now) }
    }

    /// Something is in the batch that shall be on the disk within the interval: at once if the last commit is long past.
    pub fn ordinary(&mut self, now: Instant) {
        self.due_by(self.last_began.map_or(now, |began| now.max(began + self.interval)));
    }

    /// Something is in the batch that can wait.
    pub fn lazy(&mut self, now: Instant) {
        self.due_by(now + LAZY);
    }

    /// Somebody waits.
    pub fn urgent(&mut self, now: Instant) {
        self.due_by(now);
    }

    /// Whether nothing may join the batch because every entry is to be committed by itself.
    pub fn is_closed(&self) -> bool {
        self.interval.is_zero() && !self.batch.records.is_empty()
    }

    /// Whether as many uplinks wait as are written at once.
    pub fn is_full(&self) -> bool {
        self.batch.uplinks.len() >= MOST_UPLINKS
    }

    /// Begins a commit.
    pub fn take(&mut self, now: Instant) -> (Batch, Vec<Waiter>) {
        self.last_began = Some(now);
        self.due = None;
        (std::mem::take(&mut self.batch), std::mem::take(&mut self.waiting))
    }

    /// Takes back a batch that could not be written; gives back the entries that need not be written any more. Nobody
    /// waits for downlinks any more, so they are not written behind their sender's back later.
    pub fn take_back(&mut self, mut failed: Batch) -> Vec<Entry> {
        let newer = std::mem::take(&mut self.batch);
        let cancelled = failed.absorb(newer);
        failed.downlinks.clear();
        self.batch = failed;
        cancelled
    }

    fn due_by(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}
