//! The engine on real files: what is written comes back, and a file that is not ours stays as it is.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::model::{ApplicationName, DeviceId, DeviceKey};
use crate::store::rows::{GapRow, RetainedRow, Run, RunChange, StateRow, UsageRow};

fn at(second: i64) -> Timestamp {
    Timestamp::new(1_700_000_000 + second, 123_456_789).unwrap()
}

fn key(device: &str) -> DeviceKey {
    DeviceKey::new(&ApplicationName::parse("garden").unwrap(), DeviceId::parse(device).unwrap())
}

fn entry(seq: u64, length: usize) -> Entry {
    let key = key("soil-1");
    let topic = Bytes::from_static(b"v3/garden@ttn/devices/soil-1/up");
    let payload = Bytes::from(vec![seq as u8; length]);
    let (application, device) = (key.application, key.device);
    Entry { seq, application, device, topic, payload, at: at(seq as i64), backfilled: seq.is_multiple_of(2) }
}

fn run(first: u32, last: u32, received: i64) -> Run {
    let (first_at, last_at, received_at) = (at(0), at(1), at(received));
    Run { session: "AY/1".into(), epoch: 0, first, last, first_at, last_at, received_at }
}

fn downlink(id: &str, device: &str, open: bool, told: bool) -> DownlinkRow {
    let id = DownlinkId::parse(id).unwrap();
    DownlinkRow { id, key: key(device), open, told, updated: at(0), body: r#"{"a":1}"#.into() }
}

/// A folder with a store's file in it, which need not be there yet.
struct Place {
    folder: TempDir,
    file: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/ttn-ferry.db");
        Self { folder, file }
    }

    fn open(&self) -> (Sqlite, Restored) {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> std::result::Result<(Sqlite, Restored), OpenError> {
        Sqlite::open(&self.file, &StoreConfig::default())
    }

    fn log(&self) -> PathBuf {
        self.file.with_extension("db-wal")
    }

    /// Opening is refused, and changes nothing that lies there.
    fn refusal(&self) -> OpenError {
        let before = self.bytes();
        let error = self.try_open().map(|_| ()).expect_err("it is refused");
        assert!(self.bytes() == before, "something was changed after: {error}");
        assert!(!error.hint().is_empty() && error.to_string().contains("ttn-ferry.db"), "{error}");
        error
    }

    /// What the files hold. A log that SQLite begins and leaves empty says nothing.
    fn bytes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let found = std::fs::read_dir(self.file.parent().unwrap()).unwrap();
        let files = found.map(|found| found.unwrap().path()).map(|path| (path.clone(), std::fs::read(path).unwrap()));
        files.filter(|(_, bytes)| !bytes.is_empty()).collect()
    }

    /// Writes a file where the store belongs.
    fn put(&self, bytes: &[u8]) {
        std::fs::create_dir_all(self.file.parent().unwrap()).unwrap();
        std::fs::write(&self.file, bytes).unwrap();
    }
}

fn batch(fill: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::default();
    fill(&mut batch);
    batch
}

#[test]
fn everything_comes_back_after_a_restart() {
    let place = Place::new();
    let (mut store, restored) = place.open();
    assert_eq!((restored.next_seq, restored.spool), (1, SpoolStats::default()));
    let state = StateRow { last_seen: at(5), body: "{}".into() };
    let usage = UsageRow { key: key("soil-1"), day: 19_000, airtime_ms: 61, downlinks: 2 };
    let gap = GapRow { id: 9, application: key("soil-1").application, body: "{}".into() };
    let retained = |topic: &str, owner| RetainedRow { topic: topic.into(), owner, kind: "state".into() };
    let retained = [retained("ttn/bridge/info", None), retained("ttn/soil", Some(key("soil-1")))];
    let open = downlink("open", "soil-1", true, false);
    let untold = downlink("untold", "soil-1", false, false);
    let all = batch(|batch| {
        batch.record(entry(1, 1900));
        batch.record(entry(2, 0));
        batch.note(vec![RunChange::Put(key("soil-1"), run(1, 2, 3))]);
        batch.save_states(vec![(key("soil-1"), state.clone())]);
        batch.save_usage(vec![usage.clone()]);
        batch.save_gaps(vec![gap.clone()], vec![]);
        batch.notes.insert(key("soil-1"), "{}".into());
        batch.save_availability(vec![(key("soil-1"), "{}".into())]);
        batch.save_retained(retained.to_vec(), vec!["emptied".into()]);
        batch.save_downlinks(vec![open.clone(), untold.clone(), downlink("done", "soil-1", false, true)]);
    });
    store.apply(&all).unwrap();
    store.apply(&all).unwrap();
    drop(store);
    let (mut store, restored) = place.open();
    assert_eq!(restored.runs, [(key("soil-1"), run(1, 2, 3))]);
    assert_eq!(restored.states, [(key("soil-1"), state)]);
    assert_eq!(restored.retained, retained);
    assert_eq!(restored.usage, [usage]);
    assert_eq!(restored.gaps, [gap]);
    assert_eq!(restored.notes, [(key("soil-1"), "{}".to_owned())]);
    assert_eq!(restored.availability[&key("soil-1")], "{}");
    assert_eq!(restored.downlinks, [open, untold]);
    assert_eq!(restored.next_seq, 3);
    assert_eq!(restored.spool, spooled(2, 1900 + 2 * 31, 1));
    assert_eq!(store.after(0, 10).unwrap(), [entry(1, 1900), entry(2, 0)]);
    assert_eq!(store.after(1, 10).unwrap(), [entry(2, 0)]);
    store.apply(&batch(|batch| batch.forget(key("soil-1")))).unwrap();
    drop(store);
    let (_, restored) = place.open();
    assert!(restored.states.is_empty() && restored.availability.is_empty());
    assert_eq!((restored.runs.len(), restored.notes.len()), (1, 1), "what was received stays known");
}

/// All of one application.
fn spooled(entries: u64, bytes: u64, oldest: i64) -> SpoolStats {
    let applications = [(key("soil-1").application, entries)].into();
    SpoolStats { entries, bytes, oldest: Some(at(oldest)), applications }
}

#[test]
fn file_and_folder_are_for_this_user_alone() {
    let place = Place::new();
    let (mut store, _) = place.open();
    store.apply(&batch(|batch| batch.record(entry(1, 10)))).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.file.parent().unwrap()), 0o700);
    assert_eq!((mode(&place.file), mode(&place.log())), (0o600, 0o600));
    assert!(place.folder.path().is_dir());
}

#[test]
fn the_spool_is_shed_from_its_oldest_end() {
    let (mut store, _) = Place::new().open();
    store.apply(&batch(|batch| (1..=10).for_each(|seq| batch.record(entry(seq, 69))))).unwrap();
    assert_eq!(store.spool(), spooled(10, 1000, 1));
    assert_eq!(store.shed(0, 1000, at(0)).unwrap(), Shed::default());
    let shed = store.shed(2, 750, at(0)).unwrap();
    let garden = |count, first, last| [(key("soil-1").application, (count, at(first), at(last)))].into();
    let (span, applications) = (Some((at(3), at(5))), garden(3, 3, 5));
    assert_eq!(shed, Shed { entries: 3, bytes: 300, span, last: Some(5), applications });
    let shed = store.shed(2, 1000, at(8)).unwrap();
    let (span, applications) = (Some((at(6), at(7))), garden(2, 6, 7));
    assert_eq!(shed, Shed { entries: 2, bytes: 200, span, last: Some(7), applications });
    assert_eq!(store.spool(), spooled(5, 500, 1));
    let seqs: Vec<_> = store.after(0, 99).unwrap().iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [1, 2, 8, 9, 10]);
}

#[test]
fn delivered_entries_go_and_are_not_counted_twice() {
    let (mut store, _) = Place::new().open();
    store.apply(&batch(|batch| (1..=3).for_each(|seq| batch.record(entry(seq, 69))))).unwrap();
    let delivered = batch(|batch| [1, 3, 99].iter().for_each(|seq| drop(batch.deliver(*seq))));
    store.apply(&delivered).unwrap();
    store.apply(&delivered).unwrap();
    assert_eq!(store.spool(), spooled(1, 100, 2));
    store.apply(&batch(|batch| drop(batch.deliver(2)))).unwrap();
    assert_eq!(store.spool(), SpoolStats::default());
}

#[test]
fn one_reading_brings_no_more_than_about_a_mebibyte() {
    let (mut store, _) = Place::new().open();
    store.apply(&batch(|batch| (1..=50).for_each(|seq| batch.record(entry(seq, 100_000))))).unwrap();
    assert_eq!(store.after(0, 1000).unwrap().len(), 11);
}

#[test]
fn downlinks_come_newest_first_and_keep_their_place_when_they_change() {
    let (mut store, _) = Place::new().open();
    let save = |store: &mut Sqlite, row| store.apply(&batch(|batch| batch.save_downlinks(vec![row]))).unwrap();
    for (id, device) in [("a", "soil-1"), ("b", "soil-2"), ("c", "soil-1")] {
        save(&mut store, downlink(id, device, true, false));
    }
    save(&mut store, downlink("a", "soil-1", false, true));
    let mut ids = |device: Option<&str>, open_only, most| -> Vec<String> {
        let wanted = DownlinkFilter { device: device.map(key), open_only, most };
        store.downlinks(&wanted).unwrap().iter().map(|row| row.id.as_str().to_owned()).collect()
    };
    assert_eq!(ids(None, false, 9), ["c", "b", "a"]);
    assert_eq!(ids(None, true, 9), ["c", "b"]);
    assert_eq!(ids(Some("soil-1"), false, 9), ["c", "a"]);
    assert_eq!(ids(Some("soil-1"), false, 1), ["c"]);
    let found = store.downlink(&DownlinkId::parse("a").unwrap()).unwrap();
    assert_eq!(found, Some(downlink("a", "soil-1", false, true)));
    assert_eq!(store.downlink(&DownlinkId::parse("z").unwrap()).unwrap(), None);
}

#[test]
fn what_is_finished_and_old_is_pruned_and_nothing_else() {
    let place = Place::new();
    let (mut store, _) = place.open();
    let day = |days: i64| days * 24 * 3600;
    let today = (at(0).as_second() / day(1)) as i32;
    let usage = |ago: i32| UsageRow { key: key("soil-1"), day: today - ago, airtime_ms: 1, downlinks: 1 };
    let all = batch(|batch| {
        batch.save_downlinks(vec![
            DownlinkRow { updated: at(-day(31)), ..downlink("old", "soil-1", false, true) },
            DownlinkRow { updated: at(-day(31)), ..downlink("open", "soil-1", true, false) },
            DownlinkRow { updated: at(-day(31)), ..downlink("untold", "soil-1", false, false) },
            DownlinkRow { updated: at(-day(29)), ..downlink("young", "soil-1", false, true) },
        ]);
        batch.save_usage([0, 1, 2].map(usage).into());
        let runs = [(1, -day(400)), (5, -day(368)), (9, -day(366)), (13, -day(1))]
            .map(|(first, received)| run(first, first, received));
        batch.note(runs.map(|run| RunChange::Put(key("soil-1"), run)).into());
        batch.note(vec![RunChange::Put(key("soil-2"), run(1, 1, -day(400)))]);
    });
    store.apply(&all).unwrap();
    assert!(!store.prune(None).unwrap(), "nothing is old as long as nobody knows the time");
    store.prune(Some(at(0))).unwrap();
    drop(store);
    let (mut store, restored) = place.open();
    let wanted = DownlinkFilter { device: None, open_only: false, most: 9 };
    let ids: Vec<_> = store.downlinks(&wanted).unwrap().iter().map(|row| row.id.as_str().to_owned()).collect();
    assert_eq!(ids, ["young", "untold", "open"]);
    assert_eq!(restored.usage, [usage(1), usage(0)]);
    let runs: Vec<_> = restored.runs.iter().map(|(key, run)| (key.device.as_str(), run.first)).collect();
    assert_eq!(runs, [("soil-1", 9), ("soil-1", 13), ("soil-2", 1)]);
}

#[test]
fn a_full_disk_takes_all_of_a_batch_or_nothing_and_goes_on_when_there_is_room() {
    let (mut store, _) = Place::new().open();
    store.apply(&batch(|batch| batch.record(entry(1, 10)))).unwrap();
    store.connection.pragma_update(None, "max_page_count", 40).unwrap();
    let many = batch(|batch| (2..=100).for_each(|seq| batch.record(entry(seq, 1000))));
    let error = store.apply(&many).unwrap_err();
    assert!(matches!(error, EngineError::Full(_)), "{error}");
    assert_eq!((store.spool().entries, store.after(0, 99).unwrap().len()), (1, 1));
    store.connection.pragma_update(None, "max_page_count", 4000).unwrap();
    store.apply(&many).unwrap();
    assert_eq!(store.spool().entries, 100);
}

#[test]
fn a_file_that_an_outage_made_large_shrinks_at_the_next_start() {
    let place = Place::new();
    let (mut store, _) = place.open();
    store.apply(&batch(|batch| (1..=80).for_each(|seq| batch.record(entry(seq, 1 << 20))))).unwrap();
    store.apply(&batch(|batch| (1..80).for_each(|seq| drop(batch.deliver(seq))))).unwrap();
    store.close().unwrap();
    drop(store);
    assert!(place.file.metadata().unwrap().len() > 80 << 20);
    let (mut store, restored) = place.open();
    assert_eq!((restored.spool.entries, store.after(0, 9).unwrap()), (1, vec![entry(80, 1 << 20)]));
    assert!(place.file.metadata().unwrap().len() < 2 << 20);
}

#[test]
fn an_empty_batch_writes_something() {
    let place = Place::new();
    let (mut store, _) = place.open();
    let before = std::fs::metadata(place.log()).unwrap().len();
    store.apply(&Batch::default()).unwrap();
    assert!(std::fs::metadata(place.log()).unwrap().len() > before);
}

#[test]
fn a_closed_store_is_one_whole_file() {
    let place = Place::new();
    let (mut store, _) = place.open();
    store.apply(&batch(|batch| batch.record(entry(1, 1000)))).unwrap();
    store.close().unwrap();
    drop(store);
    assert_eq!(std::fs::metadata(place.log()).unwrap().len(), 0);
    std::fs::remove_file(place.log()).unwrap();
    assert_eq!(place.open().1.spool.entries, 1);
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_left_alone() {
    let place = Place::new();
    for text in ["no database", &"x".repeat(5000), "SQLite format 3\0"] {
        place.put(text.as_bytes());
        assert!(matches!(place.refusal(), OpenError::Foreign { .. }));
    }
    std::fs::remove_file(&place.file).unwrap();
    let other = Connection::open(&place.file).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)").unwrap();
    let copied = Place::new();
    copied.put(&std::fs::read(&place.file).unwrap());
    std::fs::copy(place.log(), copied.log()).unwrap();
    assert!(std::fs::metadata(copied.log()).unwrap().len() > 0, "there is a log to be spared");
    assert!(matches!(copied.refusal(), OpenError::Foreign { .. }));
}

/// A store with rows in its file and in the log beside it, as a kill leaves it.
fn killed() -> Place {
    let place = Place::new();
    let (mut store, _) = place.open();
    store.apply(&batch(|batch| (1..=200).for_each(|seq| batch.record(entry(seq, 1000))))).unwrap();
    store.close().unwrap();
    store.apply(&batch(|batch| batch.record(entry(201, 1000)))).unwrap();
    place
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let place = killed();
    let (store, _) = place.open();
    store.connection.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    let newest = u32::try_from(migrations::ALL.len()).unwrap();
    assert!(matches!(place.refusal(), OpenError::Newer { found: 99, known, .. } if known == newest));
}

#[test]
fn a_torn_file_is_refused_and_left_alone() {
    let whole = killed();
    assert_eq!(whole.open().1.spool.entries, 201);
    let (file, log) = (std::fs::read(&whole.file).unwrap(), std::fs::read(whole.log()).unwrap());
    let holes = [20_480, 100_352].map(|at| {
        let mut holed = file.clone();
        holed[at..at + 4096].fill(0x5a);
        holed
    });
    for torn in [&file[..file.len() / 2], &file[..1024], &file[..150], &holes[0], &holes[1]] {
        let place = Place::new();
        place.put(torn);
        if torn.len() == file.len() {
            std::fs::write(place.log(), &log).unwrap();
        }
        let error = place.refusal();
        assert!(matches!(&error, OpenError::Unusable { source: EngineError::Torn(_), .. }), "{error}");
    }
}

#[test]
fn a_log_whose_end_was_torn_off_costs_only_what_was_in_it() {
    let place = killed();
    let log = std::fs::read(place.log()).unwrap();
    std::fs::write(place.log(), &log[..log.len() - 100]).unwrap();
    assert_eq!(place.open().1.spool.entries, 200);
}

#[test]
fn a_log_without_its_file_is_refused_and_left_alone() {
    let place = killed();
    std::fs::remove_file(&place.file).unwrap();
    assert!(matches!(place.refusal(), OpenError::Orphaned { .. }));
    place.put(b"");
    assert!(matches!(place.refusal(), OpenError::Orphaned { .. }));
}

#[test]
fn a_store_has_one_owner() {
    let place = Place::new();
    let first = place.open();
    assert!(matches!(place.refusal(), OpenError::Locked { .. }));
    drop(first);
    place.open();
}

#[test]
fn a_folder_that_cannot_be_made_says_so() {
    let place = Place::new();
    std::fs::write(place.file.parent().unwrap(), "a file where the folder belongs").unwrap();
    let error = place.try_open().map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Folder { .. }), "{error}");
    assert!(error.to_string().contains("state") && error.hint().contains("[store] path"), "{error}");
    let place = Place::new();
    std::fs::create_dir_all(&place.file).unwrap();
    assert!(matches!(place.try_open(), Err(OpenError::File { .. })));
}
