//! What survives a restart: messages on their way, received frame counters, device states, downlinks, fair use, gaps, and
//! the history of uplinks.
//!
//! ```text
//! Store (cheap handles) ──requests──▶ Writer (task: groups commits) ──batches──▶ thread ──▶ Engine (SQLite)
//! ```
//!
//! An entry is recorded before anybody sees what became of it, and deleted when the home broker has acknowledged that;
//! [`Store::committed`] says how far the disk is. Nobody but [`sqlite`] writes SQL; another engine can stand behind
//! the same handle.
//!
//! | to learn about | open |
//! |---|---|
//! | when a commit happens | [`gather`] |
//! | what happens while the disk fails | [`writer`] |
//! | what the tables are | [`sqlite`] |
//! | how a backup is made, and takes a store's place | [`backup`] |

mod backup;
mod batch;
mod config;
mod engine;
mod error;
mod gather;
#[cfg(test)]
pub mod here;
mod room;
mod rows;
mod sqlite;
mod thread;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::model::{DeviceKey, DeviceNotes, DownlinkId, Kept, UplinkRecord};
use crate::telemetry::{Notices, WeakNotices};

pub use backup::{Beside, put_in_place};
pub use config::{StoreConfig, Sync};
pub use error::{EngineError, OpenError, StoreError};
pub use rows::{
    DownlinkFilter, DownlinkRow, Entry, EventFilter, EventRow, GapRow, GatewayPage, GatewayPlace, GatewayRow, Restored,
    RetainedRow, Run, RunChange, Shed, SpoolStats, StateRow, Types, UplinkFilter, UplinkPage, UsageRow,
};
pub use sqlite::{Resumed, carried_overlay as overlay_of_backup, check as check_backup, seal as seal_backup};
pub use writer::Writer;

use engine::Engine;
use room::Room;
use thread::Thread;
use writer::{Query, Request, Status, Wiring};

/// The name of the store's file in its folder.
pub const FILE: &str = "ttn-ferry.db";

/// Requests on their way to the writer, which is never long in taking them.
const REQUESTS: usize = 256;

/// A disk that does not answer is known as failing a little earlier.
const KEPT_WITHIN: Duration = Duration::from_secs(12);

/// Room that a usual entry takes at most.
const USUAL_PERMITS: usize = 4;

/// Opens the store in `file`, or makes it, and starts its thread. Blocks while it reads what is there.
///
/// # Errors
/// The file or its folder cannot be used, or belongs to another; then nothing on the disk is changed.
pub fn open(file: &Path, config: &StoreConfig, notices: Notices) -> Result<(Store, Writer, Restored), OpenError> {
    let (engine, restored) = sqlite::Sqlite::open(file, config)?;
    let thread = Thread::start(Box::new(engine)).map_err(OpenError::Thread)?;
    let status = Status { spool: restored.spool.clone(), failing: None };
    let (store, writer) = assemble(thread, config.commit_interval, notices.downgrade(), restored.next_seq - 1, status);
    Ok((Store { keeps_uplinks: !config.readings_age.is_zero(), ..store }, writer, restored))
}

/// Looks at `file` without opening the store, which another process may be at work on: whether it is there. Nothing on
/// the disk is changed.
///
/// # Errors
/// It could not be opened or made.
pub fn look(file: &Path) -> Result<bool, OpenError> {
    sqlite::look(file)
}

fn assemble(
    thread: Thread,
    commit_interval: Duration,
    notices: WeakNotices,
    last_seq: u64,
    status: Status,
) -> (Store, Writer) {
    let (asking, requests) = mpsc::channel(REQUESTS);
    let (room, entrance) = Room::new();
    let (committed, reached) = watch::channel(last_seq);
    let (status, seen) = watch::channel(status);
    let wiring = Wiring { requests, room, committed, status, notices };
    let store = Store { requests: asking, room: entrance, committed: reached, status: seen, keeps_uplinks: true };
    (store, Writer::new(thread, commit_interval, wiring))
}

/// A handle on the store. Cheap to clone. The [`Writer`] ends when the last one is dropped.
///
/// Calls that return nothing are done in their order, and never fail: while the disk does, they are kept in memory and
/// tried again. If the writer is gone they do nothing; its end stops the bridge.
#[derive(Debug, Clone)]
pub struct Store {
    requests: mpsc::Sender<Request>,
    room: Arc<Semaphore>,
    committed: watch::Receiver<u64>,
    status: watch::Receiver<Status>,
    keeps_uplinks: bool,
}

impl Store {
    /// Keeps an entry, with what it changes in the runs: both or neither survive a kill. Entries are to come in the
    /// order of their seq.
    ///
    /// Waits while 10,000 entries, or about 10 MiB of them, are not written, which happens only while the disk fails. Those
    /// that are delivered meanwhile make room, so whoever says so must not wait here.
    pub async fn record(&self, entry: Entry, changes: Vec<RunChange>) {
        if let Ok(room) = self.room.acquire_many(Room::of(&entry)).await {
            self.ask(Request::Record(entry, changes)).await;
            // The writer gives it back when the entry is written, or need not be any more.
            room.forget();
        }
    }

    /// Whether [`Self::record`] has room for so many usual entries, of up to a few KiB, without waiting.
    pub fn has_room(&self, entries: usize) -> bool {
        self.room.available_permits() >= entries * USUAL_PERMITS
    }

    /// Keeps changes of runs, with the next commit.
    pub async fn note(&self, changes: Vec<RunChange>) {
        self.ask(Request::Runs(changes)).await;
    }

    /// The highest seq that is on the disk; while the disk fails, that was recorded.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }

    /// Deletes an entry: with the next commit, within a second.
    pub async fn delivered(&self, seq: u64) {
        self.ask(Request::Deliver(seq)).await;
    }

    /// Entries with a higher seq, oldest first: at most `most`, and no more than about 1 MiB of them. Sees everything
    /// that was recorded before the call. Empty: there is none.
    ///
    /// # Errors
    /// The disk cannot be read, or the store has ended.
    pub async fn after(&self, seq: u64, most: usize) -> Result<Vec<Entry>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Query(Query::After { seq, most, reply })).await;
        answer.await.unwrap_or(Err(StoreError::Ended))
    }

    /// What is in the spool on the disk.
    pub fn spool(&self) -> SpoolStats {
        self.status.borrow().spool.clone()
    }

    /// Deletes entries with a seq above `after`, oldest first: while all entries together have more than `most_bytes`,
    /// and on while they left the socket before `older_than`. Stops at the first that may stay.
    ///
    /// # Errors
    /// Nothing can be written: nothing is deleted.
    pub async fn shed(&self, after: u64, most_bytes: u64, older_than: Timestamp) -> Result<Shed, StoreError> {
        let shed = move |engine: &mut dyn Engine| engine.shed(after, most_bytes, older_than);
        self.query(shed, |error| StoreError::Failing(error.to_string())).await
    }

    /// Keeps what the home has merged of these devices: within a second.
    pub async fn save_states(&self, rows: Vec<(DeviceKey, StateRow)>) {
        self.ask(Request::States(rows)).await;
    }

    /// Keeps how often devices report and who is gone: within a second.
    pub async fn save_availability(&self, rows: Vec<(DeviceKey, String)>) {
        self.ask(Request::Availability(rows)).await;
    }

    /// Keeps an uplink in the history, in the place of one with the same id: within a second, and not later than any entry is
    /// deleted of which [`Self::delivered`] tells afterwards. Does nothing if no history is to be kept.
    pub async fn keep_uplink(&self, uplink: UplinkRecord) {
        if self.keeps_uplinks {
            self.ask(Request::Uplink(Box::new(uplink))).await;
        }
    }

    /// Some uplinks of the history: about 1 MiB of them at most. Sees everything that was kept before the call.
    ///
    /// # Errors
    /// The disk cannot be read, or the store has ended.
    pub async fn uplinks(&self, wanted: UplinkFilter) -> Result<UplinkPage, StoreError> {
        self.query(move |engine| engine.uplinks(&wanted), unreadable).await
    }

    /// The gateways that heard these devices since then, as far as the last 10,000 uplinks of each in the history tell; each
    /// with the device's place among them. One may be named several times, each time for other uplinks.
    ///
    /// # Errors
    /// The disk cannot be read, or the store has ended.
    pub async fn gateways(
        &self,
        devices: Vec<DeviceKey>,
        since: Timestamp,
    ) -> Result<Vec<(usize, GatewayRow)>, StoreError> {
        let (devices, mut all, mut next) = (Arc::new(devices), Vec::new(), Some(GatewayPlace::of(0)));
        while let Some(place) = next {
            let devices = devices.clone();
            let page = self.query(move |engine| engine.gateways(&devices, since, place), unreadable).await?;
            all.extend(page.gateways);
            next = page.next;
        }
        Ok(all)
    }

    /// Forgets what the home has merged of a device, how often it reports, and its history: within a second. Its frame
    /// counters stay, so that what was delivered is not delivered again.
    pub async fn forget_device(&self, key: DeviceKey) {
        self.ask(Request::Forget(key)).await;
    }

    /// Keeps what devices used: within a second.
    pub async fn save_usage(&self, rows: Vec<UsageRow>) {
        self.ask(Request::Usage(rows)).await;
    }

    /// Keeps these gaps and forgets those `closed`, with the next commit.
    pub async fn save_gaps(&self, rows: Vec<GapRow>, closed: Vec<u64>) {
        self.ask(Request::Gaps(rows, closed)).await;
    }

    /// Keeps on which topics the home broker keeps something, and forgets those `cleared`: within a second.
    pub async fn save_retained(&self, rows: Vec<RetainedRow>, cleared: Vec<String>) {
        self.ask(Request::Retained(rows, cleared)).await;
    }

    /// Keeps something that happened: within a second.
    pub async fn keep_event(&self, row: EventRow) {
        self.ask(Request::Event(row)).await;
    }

    /// What happened, newest first. Sees everything that was kept before the call.
    ///
    /// # Errors
    /// The disk cannot be read, or the store has ended.
    pub async fn events(&self, wanted: EventFilter) -> Result<Vec<EventRow>, StoreError> {
        self.query(move |engine| engine.events(&wanted), unreadable).await
    }

    /// Since when all that happened is kept: of what happened before, some is or none.
    ///
    /// # Errors
    /// The disk cannot be read, or the store has ended.
    pub async fn events_since(&self) -> Result<Timestamp, StoreError> {
        self.query(move |engine| engine.events_since(Timestamp::now()), unreadable).await
    }

    /// Keeps downlinks. Returns once they are committed.
    ///
    /// # Errors
    /// Nothing can be written: the rows are not kept, and nobody tries again.
    pub async fn save_downlinks(&self, rows: Vec<DownlinkRow>) -> Result<(), StoreError> {
        let (waiter, answer) = oneshot::channel();
        self.ask(Request::Downlinks(rows, waiter)).await;
        answer.await.unwrap_or(Err(StoreError::Ended))
    }

    /// One downlink, if it is known.
    ///
    /// # Errors
    /// The disk cannot be read, or the store has ended.
    pub async fn downlink(&self, id: &DownlinkId) -> Result<Option<DownlinkRow>, StoreError> {
        let id = id.clone();
        self.query(move |engine| engine.downlink(&id), unreadable).await
    }

    /// The newest downlinks that are wanted, newest first.
    ///
    /// # Errors
    /// The disk cannot be read, or the store has ended.
    pub async fn downlinks(&self, wanted: &DownlinkFilter) -> Result<Vec<DownlinkRow>, StoreError> {
        let wanted = wanted.clone();
        self.query(move |engine| engine.downlinks(&wanted), unreadable).await
    }

    /// Why nothing can be written at the moment; none if all is well.
    pub fn is_failing(&self) -> Option<String> {
        self.status.borrow().failing.clone()
    }

    /// Copies all that is committed into `target`, which is empty, a piece at a time: commits go on between them.
    ///
    /// # Errors
    /// The disk cannot be read or written, or the store has ended.
    pub async fn copy_to(&self, target: File) -> Result<(), StoreError> {
        let failing = |error: EngineError| StoreError::Failing(error.to_string());
        self.query(move |engine| engine.begin_copy(target), failing).await?;
        while self.query(|engine| engine.copy_on(), failing).await? {}
        Ok(())
    }

    async fn query<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Engine) -> engine::Result<T> + Send + 'static,
        wrong: fn(EngineError) -> StoreError,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = move |engine: &mut dyn Engine| drop(reply.send(job(engine).map_err(wrong)));
        self.ask(Request::Query(Query::Job(Box::new(job)))).await;
        answer.await.unwrap_or(Err(StoreError::Ended))
    }

    async fn ask(&self, request: Request) {
        // It fails only when the writer is gone; whoever waits for an answer learns it by not getting one.
        self.requests.send(request).await.ok();
    }
}

impl DeviceNotes for Store {
    fn note(&self, key: DeviceKey, body: String) -> BoxFuture<'_, ()> {
        Box::pin(self.ask(Request::Note(key, body, None)))
    }

    fn keep(&self, key: DeviceKey, body: String) -> BoxFuture<'_, Kept> {
        let (waiter, answer) = oneshot::channel();
        let asked = self.ask(Request::Note(key, body, Some(waiter)));
        asked.map(|()| -> Kept { written(answer).boxed() }).boxed()
    }
}

async fn written(answer: oneshot::Receiver<Result<(), StoreError>>) -> Result<(), String> {
    let late = |_| "the disk does not answer".to_owned();
    let kept = tokio::time::timeout(KEPT_WITHIN, answer).await.map_err(late)?;
    kept.unwrap_or(Err(StoreError::Ended)).map_err(|error| error.to_string())
}

fn unreadable(error: EngineError) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

#[cfg(test)]
mod tests;
