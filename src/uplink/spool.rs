//! The second step, over the disk: what arrives is recorded, read back if memory cannot hold it, fed in order, and deleted when
//! the home broker has acknowledged what became of it. Beyond a size and an age the oldest goes, and that is told.

use std::collections::HashMap;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::feed::Feed;
use crate::model::{ApplicationName, NetworkMessage};
use crate::network::{Content, NetworkServer, RawMessage};
use crate::store::{Entry, RunChange, Shed, Store, StoreError};
use crate::telemetry::{Count, Counters, NetworkClock, Notice, Notices};

/// Messages read back at once.
const READ: usize = 128;
/// How long to wait after a reading that failed.
const RETRY: Duration = Duration::from_secs(1);

/// What the spool is connected to.
pub struct SpoolParts {
    pub store: Store,
    /// The number for the next message.
    pub next_seq: u64,
    /// Numbers of messages that the home broker acknowledged.
    pub receipts: mpsc::Receiver<u64>,
    /// Who can read what was spooled.
    pub servers: HashMap<ApplicationName, Arc<dyn NetworkServer>>,
    pub most_bytes: u64,
    pub most_age: Duration,
    pub counters: Counters,
    pub notices: Notices,
    pub clock: NetworkClock,
}

/// The messages that are on disk, and the few of them that are in memory.
pub struct Spool {
    parts: SpoolParts,
    feed: Feed<Content>,
    committed: watch::Receiver<u64>,
    reading: Option<BoxFuture<'static, Read>>,
    clock: Clock,
}

/// Something that moves messages on.
pub enum News {
    /// Everything up to this number is on disk.
    Committed(u64),
    /// The home broker acknowledged this one.
    Settled(u64),
    Read(Read),
}

/// An answer of the store, and what had been recorded when it was asked.
pub struct Read {
    recorded: u64,
    entries: Result<Vec<Entry>, StoreError>,
}

impl Spool {
    pub fn new(parts: SpoolParts) -> Self {
        let (feed, committed) = (Feed::new(parts.next_seq), parts.store.committed());
        let clock = Clock::start(parts.clock.clone());
        Self { parts, feed, committed, reading: None, clock }
    }

    pub fn store(&self) -> &Store {
        &self.parts.store
    }

    /// The number for the next message.
    pub fn next_seq(&self) -> u64 {
        self.feed.next_seq()
    }

    /// Whether so many messages can be recorded without waiting: not while the disk fails and memory is full.
    pub fn has_room(&self, messages: usize) -> bool {
        self.parts.store.has_room(messages)
    }

    /// Records a message. If that waits, for want of room, then perhaps for room that only receipts make: so they are
    /// taken meanwhile.
    pub async fn record(&mut self, entry: Entry, changes: Vec<RunChange>, content: Content) {
        let store = self.parts.store.clone();
        let mut recording = pin!(store.record(entry, changes));
        loop {
            tokio::select! {
                biased;
                () = &mut recording => break,
                Some(seq) = self.parts.receipts.recv() => self.settle(seq).await,
            }
        }
        self.feed.push(content);
    }

    /// Starts to read back what is only on disk, as soon as there is room for it.
    pub fn read_back(&mut self) {
        if self.reading.is_none() {
            self.reading = self.ask(Duration::ZERO);
        }
    }

    /// The next thing that happens; [`Self::take`] takes it in. May be dropped at any time.
    pub async fn news(&mut self) -> News {
        tokio::select! {
            biased;
            Some(seq) = self.parts.receipts.recv() => News::Settled(seq),
            Ok(()) = self.committed.changed() => News::Committed(*self.committed.borrow_and_update()),
            read = under_way(&mut self.reading) => News::Read(read),
            else => pending().await,
        }
    }

    pub async fn take(&mut self, news: News) {
        match news {
            News::Committed(seq) => self.feed.committed(seq),
            News::Settled(seq) => self.settle(seq).await,
            News::Read(read) => self.take_read(read).await,
        }
    }

    pub fn has_next(&self) -> bool {
        self.feed.has_next()
    }

    /// The next message that is on disk and not on its way, and its number.
    pub fn take_next(&mut self) -> Option<(u64, Content)> {
        self.feed.take_next()
    }

    /// Everything recorded is settled.
    pub fn is_idle(&self) -> bool {
        self.feed.is_idle()
    }

    /// Nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        self.feed.in_flight() == 0
    }

    /// Gives up the oldest of what is not on its way, if there is more than may be or it is too old. To be called every
    /// second.
    pub async fn keep_within_limits(&mut self) {
        let spool = self.parts.store.spool();
        let of = |name: &ApplicationName| spool.applications.get(name).copied().unwrap_or_default();
        self.parts.counters.set_spooled(spool.entries, spool.bytes, of);
        // Nothing can be deleted then, and a disk that does not answer must not hold up what comes in.
        if self.parts.store.is_failing().is_some() {
            return;
        }
        let older_than = self.clock.before(self.parts.most_age);
        if spool.bytes <= self.parts.most_bytes && spool.oldest.is_none_or(|oldest| oldest >= older_than) {
            return;
        }
        // It is tried again, and the store itself tells when it cannot write.
        if let Ok(shed) = self.parts.store.shed(self.feed.fed(), self.parts.most_bytes, older_than).await {
            self.shed(shed);
        }
    }

    fn shed(&mut self, shed: Shed) {
        let Some(last) = shed.last else { return };
        self.feed.shed(last + 1);
        for (application, (count, oldest, newest)) in shed.applications {
            self.parts.counters.count_many_for(&application, Count::Dropped, count);
            self.parts.notices.tell(Notice::SpoolShed { application, count, oldest, newest });
        }
    }

    async fn settle(&mut self, seq: u64) {
        self.feed.settled();
        self.parts.store.delivered(seq).await;
    }

    fn ask(&self, wait: Duration) -> Option<BoxFuture<'static, Read>> {
        let (after, room) = self.feed.wanted()?;
        let (store, recorded) = (self.parts.store.clone(), self.feed.recorded());
        let ask = async move {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            Read { recorded, entries: store.after(after, room.min(READ)).await }
        };
        Some(ask.boxed())
    }

    async fn take_read(&mut self, read: Read) {
        self.reading = None;
        match read.entries {
            Ok(entries) if entries.is_empty() => self.feed.read_all(read.recorded),
            Ok(entries) => {
                for entry in entries {
                    self.parse(entry).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "Spooled messages cannot be read; trying again.");
                self.reading = self.ask(RETRY);
            }
        }
    }

    /// What was understood once may not be any more, after an update or a change of the configuration.
    async fn parse(&mut self, entry: Entry) {
        let Entry { seq, application, topic, payload, at, backfilled, .. } = entry;
        let raw = RawMessage { topic, payload, at, backfilled };
        let reason = match self.parts.servers.get(&application).map(|server| server.parse(&raw)) {
            Some(Ok(message)) => match content(message) {
                Some(content) => return self.feed.read(seq, Some(content)),
                None => "it was spooled and now means nothing to the bridge",
            },
            Some(Err(_)) => "it was spooled and can no longer be understood",
            None => "it was spooled and its application is no longer configured",
        };
        let topic = String::from_utf8_lossy(&raw.topic).chars().take(200).collect();
        self.parts.notices.tell(Notice::Undeliverable { topic, bytes: raw.payload.len(), reason });
        self.parts.counters.count_for(&application, Count::Dropped);
        self.feed.read(seq, None);
        self.parts.store.delivered(seq).await;
    }
}

/// The wall clock, without the jumps forward it makes when somebody sets it: a machine that learns the time late must not
/// throw away what it received before. One that is ahead must not do so either, so a jump back counts, and nothing is old
/// until the network has told its time.
struct Clock {
    started: Instant,
    at: Timestamp,
    network: NetworkClock,
}

impl Clock {
    fn start(network: NetworkClock) -> Self {
        Self { started: Instant::now(), at: Timestamp::now(), network }
    }

    /// The time so long ago.
    fn before(&self, age: Duration) -> Timestamp {
        let Some(now) = self.network.confirmed() else { return Timestamp::MIN };
        let passed = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        let now = self.at.checked_add(passed).map_or(now, |steady| steady.min(now));
        now.checked_sub(age).unwrap_or(Timestamp::MIN)
    }
}

async fn under_way(reading: &mut Option<BoxFuture<'static, Read>>) -> Read {
    match reading {
        Some(reading) => reading.await,
        None => pending().await,
    }
}

/// What of the network's messages is spooled.
fn content(message: NetworkMessage) -> Option<Content> {
    match message {
        NetworkMessage::Uplink(uplink) => Some(Content::Uplink(uplink)),
        NetworkMessage::Join(join) => Some(Content::Join(join)),
        NetworkMessage::Location(location) => Some(Content::Location(Box::new(location))),
        NetworkMessage::Service(data) => Some(Content::Service(Box::new(data))),
        NetworkMessage::Downlink(_) | NetworkMessage::Ignored(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;
    use tokio::task::JoinSet;

    use super::*;
    use crate::model::DeviceId;
    use crate::store::{self, StoreConfig};

    /// A spool whose store holds these entries from before; what it tells; and the store's task, owned by the caller.
    async fn spool(folder: &Path, entries: u64, most_age: Duration) -> (Spool, mpsc::Receiver<Notice>, JoinSet<()>) {
        let (notices, told) = mpsc::channel(16);
        let notices = Notices::new(notices);
        let open = || store::open(&folder.join(store::FILE), &StoreConfig::default(), notices.clone()).unwrap();
        let (store, writer, _) = open();
        let filling = async move {
            for seq in 1..=entries {
                store.record(entry(seq), Vec::new()).await;
            }
        };
        tokio::join!(filling, writer.run());
        let (store, writer, restored) = open();
        assert_eq!((restored.spool.entries, restored.next_seq), (entries, entries + 1));
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run());
        let parts = SpoolParts {
            store,
            next_seq: restored.next_seq,
            receipts: mpsc::channel(1).1,
            servers: HashMap::new(),
            most_bytes: 1 << 20,
            most_age,
            counters: Counters::default(),
            notices,
            clock: NetworkClock::default(),
        };
        (Spool::new(parts), told, tasks)
    }

    fn entry(seq: u64) -> Entry {
        Entry {
            seq,
            application: ApplicationName::parse("gone").unwrap(),
            device: DeviceId::parse("node").unwrap(),
            topic: Bytes::from_static(b"v3/gone/devices/node/up"),
            payload: Bytes::from_static(b"{}"),
            at: Timestamp::now(),
            backfilled: false,
        }
    }

    #[tokio::test]
    async fn what_nobody_can_read_any_more_is_told_and_settled() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, mut told, _tasks) = spool(folder.path(), 3, Duration::from_secs(60)).await;
        while !spool.is_idle() {
            spool.read_back();
            let news = spool.news().await;
            spool.take(news).await;
        }
        for _ in 0..3 {
            let notice = told.try_recv().unwrap();
            assert!(
                matches!(notice, Notice::Undeliverable { reason, .. } if reason.contains("configured")),
                "{notice:?}"
            );
        }
        assert_eq!(spool.store().after(0, 10).await.unwrap(), []);
        assert_eq!(spool.parts.counters.snapshot().dropped, 3);
    }

    #[test]
    fn a_clock_that_was_ahead_makes_nothing_look_old() {
        let (day, now) = (Duration::from_secs(24 * 3600), Timestamp::now());
        let month = SignedDuration::from_hours(24 * 30);
        let clock = |at, network| {
            let (started, told) = (Instant::now(), NetworkClock::default());
            told.heard(network);
            Clock { started, at, network: told }
        };
        assert!(clock(now + month, now).before(day) < now - SignedDuration::from_hours(23), "it was set back");
        assert!(clock(now, now - month).before(day) < now - month, "it is ahead still");
        assert!(clock(Timestamp::UNIX_EPOCH, now).before(day) < Timestamp::UNIX_EPOCH, "it was behind");
    }

    #[tokio::test]
    async fn what_waited_too_long_is_given_up_and_told_by_application() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, mut told, _tasks) = spool(folder.path(), 3, Duration::ZERO).await;
        spool.keep_within_limits().await;
        assert_eq!(spool.parts.counters.snapshot().dropped, 0, "nobody knows yet what time it is");
        spool.parts.clock.heard(Timestamp::now());
        spool.keep_within_limits().await;
        let notice = told.try_recv().unwrap();
        assert!(
            matches!(&notice, Notice::SpoolShed { application, count: 3, oldest, newest }
            if application.as_str() == "gone" && oldest <= newest),
            "{notice:?}"
        );
        assert_eq!((spool.is_idle(), spool.parts.counters.snapshot().dropped), (true, 3));
    }
}
