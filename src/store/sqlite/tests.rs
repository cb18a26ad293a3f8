//! The engine on real files: what is written comes back, and a file that is not ours stays as it is.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::model::{ApplicationName, DeviceId, DeviceKey};
use crate::store::rows::{GapRow, Run, RunChange, StateRow, UsageRow};

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
    let open = downlink("open", "soil-1", true, false);
    let untold = downlink("untold", "soil-1", false, false);
    let all = batch(|batch| {
        batch.record(entry(1, 1900));
        batch.record(entry(2, 0));
        batch.note(vec![RunChange::Put(key("soil-1"), run(1, 2, 3))]);
        batch.save_states(vec![(key("soil-1"), state.clone())]);
        batch.save_usage(vec![usage.clone()]);
        batch.save_gaps(vec![gap.clone()], vec![]);
        batch.save_downlinks(vec![open.clone(), untold.clone(), downlink("done", "soil-1", false, true)]);
    });
    store.apply(&all).unwrap();
    store.apply(&all).unwrap();
    drop(store);
    let (mut store, restored) = place.open();
    assert_eq!(restored.runs, [(key("soil-1"), run(1, 2, 3))]);
    assert_eq!(restored.states, [(key("soil-1"), state)]);
    assert_eq!(restored.usage, [usage]);
    assert_eq!(restored.gaps, [gap]);
    assert_eq!(restored.downlinks, [open, untold]);
    assert_eq!(restored.next_seq, 3);
    assert_eq!(restored.spool, SpoolStats { entries: 2, bytes: 1900 + 2 * 31, oldest: Some(at(1)) });
    assert_eq!(store.after(0, 10).unwrap(), [entry(1, 1900), entry(2, 0)]);
    assert_eq!(store.after(1, 10).unwrap(), [entry(2, 0)]);
}

#[test]
fn file_and_folder_are_for_this_user_alone() {
    let place = Place::new();
    let (mut store, _) = place.open();
    store.apply(&batch(|batch| batch.record(entry(1, 10)))).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.file.parent().unwrap()), 0o700);
    assert_eq!((mode(&place.file), mode(&place.file.with_extension("db-wal"))), (0o600, 0o600));
    assert!(place.folder.path().is_dir());
}
