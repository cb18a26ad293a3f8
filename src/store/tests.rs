//! The writer over an engine that a test can break, on a clock that stands still.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use jiff::SignedDuration;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep, timeout};

use super::batch::Batch;
use super::engine::Result as Answer;
use super::*;
use crate::model::{ApplicationName, DeviceId};
use crate::telemetry::{Count, Counters, NetworkClock, Notice};

/// An engine in memory.
#[derive(Default)]
struct Disk {
    entries: BTreeMap<u64, Entry>,
    downlinks: HashMap<DownlinkId, DownlinkRow>,
    commits: Vec<Commit>,
    tries: Vec<Duration>,
    prunings: Vec<Duration>,
    /// By which time.
    pruned_at: Vec<Option<Timestamp>>,
    started: Option<Instant>,
    broken: bool,
    closed: bool,
}

/// One commit: when it was, and what it did to the spool.
#[derive(Debug, PartialEq)]
struct Commit {
    at: Duration,
    recorded: Vec<u64>,
    delivered: Vec<u64>,
}

#[derive(Clone, Default)]
struct Engines(Arc<Mutex<Disk>>);

impl Engines {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }
}

impl Engine for Engines {
    fn apply(&mut self, batch: &Batch) -> Answer<()> {
        let mut disk = self.disk();
        let at = *disk.started.get_or_insert_with(Instant::now);
        disk.tries.push(at.elapsed());
        if disk.broken {
            return Err(EngineError::Full("no room".into()));
        }
        let (recorded, delivered) =
            (batch.records.keys().copied().collect(), batch.delivered.iter().copied().collect());
        disk.commits.push(Commit { at: at.elapsed(), recorded, delivered });
        disk.entries.extend(batch.records.clone());
        disk.entries.retain(|seq, _| !batch.delivered.contains(seq));
        disk.downlinks.extend(batch.downlinks.iter().map(|row| (row.id.clone(), row.clone())));
        Ok(())
    }

    fn spool(&self) -> SpoolStats {
        SpoolStats { entries: self.disk().entries.len() as u64, ..SpoolStats::default() }
    }

    fn after(&mut self, seq: u64, most: usize) -> Answer<Vec<Entry>> {
        Ok(self.disk().entries.range(seq + 1..).map(|(_, entry)| entry.clone()).take(most).collect())
    }

    fn shed(&mut self, _after: u64, _most_bytes: u64, _older_than: Timestamp) -> Answer<Shed> {
        Err(EngineError::Full("no room".into()))
    }

    fn downlink(&mut self, id: &DownlinkId) -> Answer<Option<DownlinkRow>> {
        Ok(self.disk().downlinks.get(id).cloned())
    }

    fn events(&mut self, _wanted: &EventFilter) -> Answer<Vec<EventRow>> {
        Ok(Vec::new())
    }

    fn events_since(&mut self, now: Timestamp) -> Answer<Timestamp> {
        Ok(now)
    }

    fn downlinks(&mut self, _wanted: &DownlinkFilter) -> Answer<Vec<DownlinkRow>> {
        panic!("a bug in the engine")
    }

    fn uplinks(&mut self, _wanted: &UplinkFilter) -> Answer<UplinkPage> {
        Ok(UplinkPage::default())
    }

    fn gateways(&mut self, _devices: &[DeviceKey], _since: Timestamp, _place: GatewayPlace) -> Answer<GatewayPage> {
        Ok(GatewayPage::default())
    }

    fn prune(&mut self, now: Option<Timestamp>) -> Answer<bool> {
        let mut disk = self.disk();
        let at = disk.started.map(|started| started.elapsed()).unwrap_or_default();
        disk.prunings.push(at);
        disk.pruned_at.push(now);
        Ok(disk.prunings.len() < 3)
    }

    fn begin_copy(&mut self, _target: std::fs::File) -> Answer<()> {
        Ok(())
    }

    fn copy_on(&mut self) -> Answer<bool> {
        Ok(false)
    }

    fn close(&mut self) -> Answer<()> {
        self.disk().closed = true;
        Ok(())
    }
}

/// A running writer and what can be seen of it.
struct Rig {
    store: Store,
    engines: Engines,
    notices: mpsc::Receiver<Notice>,
    _notices: Notices,
    counters: Counters,
    clock: NetworkClock,
    task: JoinSet<()>,
}

fn rig(commit_interval: Duration) -> Rig {
    let engines = Engines::default();
    rig_on(Thread::Here(Box::new(engines.clone())), engines, commit_interval)
}

fn rig_on(thread: Thread, engines: Engines, commit_interval: Duration) -> Rig {
    engines.disk().started = Some(Instant::now());
    let (notices, told) = mpsc::channel(16);
    let notices = Notices::new(notices);
    let (store, writer) = assemble(thread, commit_interval, notices.downgrade(), 0, Status::default());
    let (counters, clock) = (Counters::of([ApplicationName::parse("app").unwrap()]), NetworkClock::default());
    let mut task = JoinSet::new();
    task.spawn(writer.with(counters.clone(), clock.clone()).run());
    Rig { store, engines, notices: told, _notices: notices, counters, clock, task }
}

impl Rig {
    async fn record(&self, seqs: impl IntoIterator<Item = u64>) {
        for seq in seqs {
            self.store.record(entry(seq, 100), vec![]).await;
        }
    }

    /// The clock goes on, and everybody has done what they had to do by then.
    async fn pass(&self, milliseconds: u64) {
        sleep(ms(milliseconds)).await;
        settle().await;
    }

    fn recorded(&self) -> Vec<(u64, Vec<u64>)> {
        let disk = self.engines.disk();
        disk.commits.iter().map(|commit| (commit.at.as_millis() as u64, commit.recorded.clone())).collect()
    }

    fn committed(&self) -> u64 {
        *self.store.committed().borrow()
    }

    fn breaks(&self, broken: bool) {
        self.engines.disk().broken = broken;
    }
}

/// Time stands still while the other tasks do what they can do at once.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    advance(Duration::ZERO).await;
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const INTERVAL: Duration = Duration::from_millis(20);

fn entry(seq: u64, length: usize) -> Entry {
    Entry {
        seq,
        application: ApplicationName::parse("garden").unwrap(),
        device: DeviceId::parse("soil-1").unwrap(),
        topic: Bytes::new(),
        payload: Bytes::from(vec![0; length]),
        at: Timestamp::UNIX_EPOCH,
        backfilled: false,
    }
}

fn downlink(id: &str) -> DownlinkRow {
    let key = DeviceKey::new(&ApplicationName::parse("garden").unwrap(), DeviceId::parse("soil-1").unwrap());
    let id = DownlinkId::parse(id).unwrap();
    DownlinkRow { id, key, open: true, told: false, updated: Timestamp::UNIX_EPOCH, body: String::new() }
}

#[tokio::test(start_paused = true)]
async fn an_idle_store_commits_at_once_and_a_busy_one_once_in_each_interval() {
    let rig = rig(INTERVAL);
    rig.record([1]).await;
    rig.pass(5).await;
    assert_eq!(rig.committed(), 1);
    rig.record([2, 3]).await;
    rig.pass(5).await;
    rig.record([4]).await;
    rig.pass(9).await;
    assert_eq!(rig.committed(), 1);
    rig.pass(81).await;
    rig.record([5]).await;
    rig.pass(1).await;
    assert_eq!(rig.recorded(), [(0, vec![1]), (20, vec![2, 3, 4]), (100, vec![5])]);
    assert_eq!(rig.committed(), 5);
}

#[tokio::test(start_paused = true)]
async fn sixty_four_entries_wait_for_no_more() {
    let rig = rig(Duration::from_secs(1));
    rig.record(1..=1).await;
    settle().await;
    rig.record(2..=70).await;
    settle().await;
    assert_eq!(rig.recorded(), [(0, vec![1]), (0, (2..=65).collect())]);
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_every_entry_is_committed_by_itself() {
    let rig = rig(Duration::ZERO);
    rig.record(1..=5).await;
    settle().await;
    let alone: Vec<_> = (1..=5).map(|seq| (0, vec![seq])).collect();
    assert_eq!(rig.recorded(), alone);
}

#[tokio::test(start_paused = true)]
async fn what_is_delivered_goes_with_the_next_commit_or_after_a_second() {
    let rig = rig(INTERVAL);
    rig.record([1, 2, 3]).await;
    rig.pass(100).await;
    rig.store.delivered(1).await;
    rig.pass(100).await;
    rig.record([4]).await;
    rig.pass(100).await;
    rig.store.delivered(2).await;
    rig.store.delivered(3).await;
    rig.pass(2000).await;
    let disk = rig.engines.disk();
    let deliveries: Vec<_> =
        disk.commits.iter().skip(2).map(|commit| (commit.at.as_millis(), commit.delivered.clone())).collect();
    assert_eq!(deliveries, [(200, vec![1]), (1300, vec![2, 3])]);
}

#[tokio::test(start_paused = true)]
async fn a_downlink_is_committed_before_its_saving_returns() {
    let rig = rig(Duration::from_secs(1));
    rig.record([1]).await;
    settle().await;
    rig.record([2]).await;
    rig.store.save_downlinks(vec![downlink("a")]).await.unwrap();
    assert_eq!(rig.recorded(), [(0, vec![1]), (0, vec![2])]);
    assert_eq!(rig.store.downlink(&downlink("a").id).await.unwrap(), Some(downlink("a")));
}

#[tokio::test(start_paused = true)]
async fn an_entry_delivered_before_its_commit_is_never_written() {
    let rig = rig(INTERVAL);
    rig.record([1]).await;
    settle().await;
    rig.record([2, 3]).await;
    rig.store.delivered(2).await;
    rig.pass(20).await;
    assert_eq!(rig.recorded(), [(0, vec![1]), (20, vec![3])]);
    assert!(rig.engines.disk().commits[1].delivered.is_empty());
}

#[tokio::test(start_paused = true)]
async fn reading_sees_everything_recorded_before_it() {
    let rig = rig(Duration::from_secs(1));
    rig.record(1..=10).await;
    let seqs = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.seq).collect::<Vec<_>>();
    assert_eq!(seqs(rig.store.after(4, 100).await.unwrap()), [5, 6, 7, 8, 9, 10]);
    assert_eq!(seqs(rig.store.after(4, 2).await.unwrap()), [5, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_stops_no_reading_and_loses_none_once_it_works_again() {
    let mut rig = rig(INTERVAL);
    rig.record([1]).await;
    rig.pass(50).await;
    rig.breaks(true);
    rig.record([2, 3]).await;
    settle().await;
    assert_eq!(rig.committed(), 3, "volatile: it counts as committed");
    assert_eq!(rig.store.is_failing().as_deref(), Some("the disk is full: no room"));
    rig.record([4, 5]).await;
    rig.store.delivered(2).await;
    rig.store.delivered(4).await;
    rig.store.delivered(1).await;
    settle().await;
    assert_eq!(rig.committed(), 5);
    let seqs: Vec<_> = rig.store.after(1, 10).await.unwrap().into_iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [3, 5], "what is not written can be read all the same");
    rig.pass(1000).await;
    rig.breaks(false);
    rig.pass(5000).await;
    assert_eq!(rig.engines.disk().entries.keys().copied().collect::<Vec<_>>(), [3, 5]);
    assert_eq!((rig.store.is_failing(), rig.store.spool().entries), (None, 2));
    let told: Vec<_> = std::iter::from_fn(|| rig.notices.try_recv().ok()).collect();
    assert!(matches!(&told[..], [Notice::StoreFailing { .. }, Notice::StoreWorks]), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_is_tried_again_less_and_less_often() {
    let rig = rig(INTERVAL);
    rig.breaks(true);
    rig.record([1]).await;
    rig.pass(20_000).await;
    rig.record([2]).await;
    let tries: Vec<_> = rig.engines.disk().tries.iter().map(Duration::as_millis).collect();
    assert_eq!(tries, [0, 100, 300, 700, 1500, 3100, 6300, 11300, 16300]);
}

#[tokio::test(start_paused = true)]
async fn a_downlink_that_cannot_be_kept_is_refused_and_not_kept_later() {
    let rig = rig(INTERVAL);
    rig.breaks(true);
    let refused = Err(StoreError::Failing("the disk is full: no room".into()));
    assert_eq!(rig.store.save_downlinks(vec![downlink("a")]).await, refused);
    assert_eq!(rig.store.save_downlinks(vec![downlink("b")]).await, refused);
    let shed = rig.store.shed(0, 0, Timestamp::UNIX_EPOCH).await;
    assert!(matches!(shed, Err(StoreError::Failing(_))), "{shed:?}");
    rig.breaks(false);
    rig.pass(5000).await;
    assert_eq!(rig.store.is_failing(), None, "an empty batch finds out that the disk works");
    assert!(rig.engines.disk().downlinks.is_empty());
    assert_eq!(rig.store.save_downlinks(vec![downlink("a")]).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_full_store_keeps_callers_waiting_until_something_is_delivered() {
    let rig = rig(INTERVAL);
    rig.breaks(true);
    for seq in 1..=10 {
        rig.store.record(entry(seq, 1_000_000), vec![]).await;
    }
    assert!(timeout(ms(100), rig.record([11])).await.is_ok(), "10 MiB are not reached");
    let wait = timeout(ms(100), rig.store.record(entry(12, 1_000_000), vec![])).await;
    assert!(wait.is_err());
    rig.store.delivered(3).await;
    rig.store.record(entry(12, 900_000), vec![]).await;
    rig.breaks(false);
    rig.pass(5000).await;
    assert_eq!(rig.engines.disk().entries.len(), 11);
    for seq in 13..=23 {
        timeout(ms(100), rig.store.record(entry(seq, 1_000_000), vec![])).await.expect("the room is given back");
        rig.pass(100).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_last_handle_commits_what_is_left_and_closes_the_file() {
    let mut rig = rig(Duration::from_secs(1));
    rig.record([1]).await;
    settle().await;
    rig.record([2]).await;
    rig.store.delivered(1).await;
    drop(rig.store);
    rig.task.join_next().await.unwrap().unwrap();
    let disk = rig.engines.disk();
    assert_eq!(disk.entries.keys().copied().collect::<Vec<_>>(), [2]);
    assert!(disk.closed && disk.started.unwrap().elapsed() < ms(100));
}

#[tokio::test]
async fn a_dead_thread_ends_the_writer_and_every_wait() {
    let engines = Engines::default();
    let thread = Thread::start(Box::new(engines.clone())).unwrap();
    let mut rig = rig_on(thread, engines, INTERVAL);
    let all = DownlinkFilter { device: None, open_only: false, most: 1 };
    assert_eq!(rig.store.downlinks(&all).await, Err(StoreError::Ended));
    rig.task.join_next().await.unwrap().unwrap();
    assert_eq!(rig.store.after(0, 1).await, Err(StoreError::Ended));
    assert_eq!(rig.store.save_downlinks(vec![downlink("a")]).await, Err(StoreError::Ended));
    rig.record(1..=20_000).await;
    assert!(rig.store.committed().changed().await.is_err());
}

/// The clock stands still only for the runtime: it runs on to the next timer while the thread hangs.
#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_counts_as_failing_until_it_answers() {
    let engines = Engines::default();
    let thread = Thread::start(Box::new(engines.clone())).unwrap();
    let mut rig = rig_on(thread, engines.clone(), INTERVAL);
    let (release, hang) = std::sync::mpsc::channel::<()>();
    rig.store.ask(Request::Query(Query::Job(Box::new(move |_| assert!(hang.recv().is_err()))))).await;
    let told = rig.notices.recv().await.unwrap();
    assert!(matches!(&told, Notice::StoreFailing { reason, .. } if reason.contains("not answered")), "{told:?}");
    rig.record([1]).await;
    rig.store.committed().wait_for(|seq| *seq == 1).await.unwrap();
    assert!(engines.disk().entries.is_empty());
    drop(release);
    assert_eq!(rig.notices.recv().await, Some(Notice::StoreWorks));
    assert_eq!(rig.store.after(0, 9).await.unwrap(), [entry(1, 100)]);
}

#[tokio::test(start_paused = true)]
async fn old_rows_go_in_bites_and_others_come_first_in_between() {
    let rig = rig(Duration::ZERO);
    sleep(Duration::from_secs(59)).await;
    assert!(rig.engines.disk().prunings.is_empty());
    sleep(Duration::from_secs(2)).await;
    let seconds = |all: &[Duration]| all.iter().map(Duration::as_millis).collect::<Vec<_>>();
    assert_eq!(seconds(&rig.engines.disk().prunings), [60_000, 60_050, 60_100]);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(rig.engines.disk().prunings.len(), 4, "and then an hour later");
}

#[tokio::test(start_paused = true)]
async fn readings_that_memory_cannot_hold_are_told_with_their_number_once_the_disk_works() {
    let mut rig = rig(INTERVAL);
    rig.breaks(true);
    for n in 0..10_007 {
        rig.store.keep_uplink(UplinkRecord::sample("node", n, n.into())).await;
        if n % 100 == 0 {
            rig.pass(100).await;
        }
    }
    rig.pass(10_000).await;
    let failing = rig.notices.try_recv().unwrap();
    assert!(matches!(failing, Notice::StoreFailing { .. }), "{failing:?}");
    assert!(rig.notices.try_recv().is_err(), "how many it will be is not known yet");
    rig.breaks(false);
    rig.pass(10_000).await;
    assert_eq!(rig.notices.try_recv().unwrap(), Notice::StoreWorks);
    let at = |second| Timestamp::from_second(second).unwrap();
    let application = ApplicationName::parse("app").unwrap();
    let dropped = Notice::ReadingsDropped { application, count: 7, oldest: at(0), newest: at(6) };
    assert_eq!(rig.notices.try_recv().unwrap(), dropped);
    assert_eq!(rig.counters.of_each(Count::Unkept).collect::<Vec<_>>(), [("app", 7)]);
    rig.store.keep_uplink(UplinkRecord::sample("node", 1, 1)).await;
    rig.pass(10_000).await;
    assert!(rig.notices.try_recv().is_err(), "an episode is told once");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_old_before_the_network_has_told_its_time() {
    let rig = rig(INTERVAL);
    rig.record([1]).await;
    rig.pass(61_000).await;
    assert_eq!(rig.engines.disk().pruned_at, [None; 3]);
    let network = Timestamp::now() - SignedDuration::from_hours(24 * 365);
    rig.clock.heard(network);
    rig.pass(3_600_000).await;
    let last = rig.engines.disk().pruned_at.last().copied().flatten().unwrap();
    assert!(last.duration_since(network) < SignedDuration::from_hours(2), "the clock here is a year ahead: {last}");
}
