//! Backups of real files: made under load, refused if they are none, and put in place without taking anything back.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::*;
use crate::model::{ApplicationName, DeviceId, DeviceKey, DeviceNotes, DownlinkId};
use crate::store::{
    self, DownlinkFilter, DownlinkRow, Entry, Restored, RetainedRow, StateRow, Store, StoreConfig, UsageRow,
};
use crate::telemetry::Notices;

/// A store that is open, and all it has.
struct Rig {
    store: Store,
    restored: Restored,
    task: JoinSet<()>,
}

impl Rig {
    fn open(file: &Path) -> Self {
        let (notices, _told) = mpsc::channel(1);
        let (store, writer, restored) = store::open(file, &StoreConfig::default(), Notices::new(notices)).unwrap();
        let mut task = JoinSet::new();
        task.spawn(writer.run());
        Self { store, restored, task }
    }

    async fn close(mut self) -> Restored {
        drop(self.store);
        self.task.join_next().await.unwrap().unwrap();
        self.restored
    }

    async fn backup(&self, to: &Path, overlay: &str) {
        self.store.copy_to(File::create(to).unwrap()).await.unwrap();
        store::seal_backup(to, overlay).unwrap();
    }
}

fn key(device: &str) -> DeviceKey {
    DeviceKey::new(&ApplicationName::parse("garden").unwrap(), DeviceId::parse(device).unwrap())
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second as i64).unwrap()
}

fn entry(seq: u64, second: u64, length: usize) -> Entry {
    let DeviceKey { application, device } = key("soil-1");
    let (topic, payload) = (Bytes::from_static(b"up"), Bytes::from(vec![seq as u8; length]));
    Entry { seq, application, device, topic, payload, at: at(second), backfilled: false }
}

fn downlink(id: &str, updated: u64, open: bool) -> DownlinkRow {
    let id = DownlinkId::parse(id).unwrap();
    DownlinkRow { id, key: key("lamp"), open, told: true, updated: at(updated), body: updated.to_string() }
}

fn usage(day: i32, airtime_ms: u32) -> UsageRow {
    UsageRow { key: key("lamp"), day, airtime_ms, downlinks: airtime_ms / 10 }
}

fn retained(topic: &str) -> RetainedRow {
    RetainedRow { topic: topic.into(), owner: None, kind: "info".into() }
}

fn files(folder: &TempDir) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(name).collect();
    names.sort();
    names
}

const NOBODY: Resumed<'static> = Resumed { note: &|_, _| String::new(), downlink: &|_| String::new() };

#[tokio::test]
async fn a_command_that_waits_in_a_backup_and_is_not_known_here_is_in_doubt() {
    let folder = TempDir::new().unwrap();
    let (file, backup) = (folder.path().join(store::FILE), folder.path().join("backup"));
    let rig = Rig::open(&file);
    rig.store.save_downlinks(vec![downlink("waits", 1, true), downlink("done", 2, false)]).await.unwrap();
    rig.backup(&backup, "").await;
    rig.close().await;
    let restored = async || {
        Beside::of(&file).take(&mut File::open(&backup).unwrap()).unwrap();
        assert!(finish(&file).unwrap());
        let rig = Rig::open(&file);
        let all = rig.store.downlinks(&DownlinkFilter { device: None, open_only: false, most: 10 }).await.unwrap();
        rig.close().await;
        all.into_iter().map(|row| row.body).collect::<Vec<_>>()
    };
    assert_eq!(restored().await, ["2", "1"], "the store here has not sent it");
    fs::remove_file(&file).unwrap();
    assert_eq!(restored().await, ["2", "1?"], "on another machine");
    fs::remove_file(&file).unwrap();
    Rig::open(&file).close().await;
    assert_eq!(restored().await, ["2", "1?"], "it may be forgotten here");
}

/// Without an overlay, and the higher number counts as the newest note; a downlink in doubt is marked.
fn finish(file: &Path) -> Result<bool, OpenError> {
    let newest = |theirs: &str, ours: Option<&str>| theirs.max(ours.unwrap_or("0")).to_owned();
    put_in_place(file, |_| Ok(()), Resumed { note: &newest, downlink: &|body| format!("{body}?") })
}

/// How long the backup took, and each of the commits meanwhile.
async fn made_under_load(rig: &Rig, backup: &Path) -> (Duration, Vec<Duration>) {
    let begun = Instant::now();
    let made = rig.backup(backup, "");
    tokio::pin!(made);
    let mut waits = Vec::new();
    loop {
        let row = vec![downlink("later", waits.len() as u64, true)];
        let asked = Instant::now();
        tokio::select! {
            biased;
            () = &mut made => return (begun.elapsed(), waits),
            saved = rig.store.save_downlinks(row) => {
                saved.unwrap();
                waits.push(asked.elapsed());
            }
        }
    }
}

#[tokio::test]
async fn a_backup_is_the_store_as_it_was_and_commits_go_on_while_it_is_made() {
    let folder = TempDir::new().unwrap();
    let rig = Rig::open(&folder.path().join(store::FILE));
    for seq in 1..=6000 {
        rig.store.record(entry(seq, seq, 2000), vec![]).await;
    }
    rig.store.committed().wait_for(|seq| *seq == 6000).await.unwrap();
    let backup = folder.path().join("backup");
    let (took, waits) = made_under_load(&rig, &backup).await;
    let size = fs::metadata(&backup).unwrap().len();
    let longest = waits.iter().max().unwrap();
    println!("{} KiB in {took:?}; {} commits meanwhile, the longest took {longest:?}", size / 1024, waits.len());
    assert_eq!(store::check_backup(&backup).unwrap(), 0);
    let found = Connection::open(&backup).unwrap();
    let count = |table: &str| -> u32 {
        found.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("spool"), count("downlinks")), (6000, 0), "what came meanwhile is not in it");
    let filter = DownlinkFilter { device: None, open_only: false, most: 10 };
    assert_eq!(rig.store.downlinks(&filter).await.unwrap().len(), 1, "it was committed all the same");
    assert_eq!(rig.close().await.spool.entries, 0);
    assert_eq!(Rig::open(&folder.path().join(store::FILE)).close().await.spool.entries, 6000);
}

#[tokio::test]
async fn what_is_no_good_backup_is_refused_with_a_hint_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join(store::FILE);
    let good = folder.path().join("good");
    let rig = Rig::open(&file);
    rig.store.save_states(vec![(key("soil-1"), StateRow { last_seen: at(1), body: "{}".repeat(4000) })]).await;
    rig.backup(&good, "x").await;
    rig.close().await;
    let changed = |name: &str, change: &dyn Fn(&Connection)| {
        let path = folder.path().join(name);
        fs::copy(&good, &path).unwrap();
        change(&Connection::open(&path).unwrap());
        path
    };
    let sql = |sql: &'static str| move |connection: &Connection| connection.execute_batch(sql).unwrap();
    let torn = changed("torn", &|_| {});
    let mut bytes = fs::read(&torn).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    fs::write(&torn, bytes).unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    let text = folder.path().join("text");
    fs::write(&text, "dear diary").unwrap();
    let cases = [
        (empty, "nothing is in it"),
        (text, "no database of SQLite"),
        (torn, "damaged"),
        (changed("theirs", &sql("PRAGMA application_id = 7")), "another application"),
        (changed("newer", &sql("PRAGMA user_version = 999")), "newer ttn-ferry"),
        (changed("bare", &sql("PRAGMA user_version = 0")), "without tables"),
        (changed("trap", &sql("CREATE TRIGGER t AFTER DELETE ON spool BEGIN SELECT 1; END")), "other tables"),
        (changed("row", &sql("UPDATE states SET device = '#'")), "damaged"),
    ];
    let before = files(&folder);
    for (path, what) in cases {
        let error = Beside::of(&file).take(&mut File::open(&path).unwrap()).expect_err(what);
        assert!(error.to_string().contains(what) && !error.hint().is_empty(), "{what}: {error}");
        assert_eq!(files(&folder), before, "{what}");
    }
    let taken = Beside::of(&file).take(&mut File::open(&good).unwrap()).unwrap();
    assert_eq!((taken, finish(&file).unwrap(), finish(&file).unwrap()), (1, true, false));
}

#[tokio::test]
async fn what_the_world_has_seen_since_is_not_taken_back() {
    let folder = TempDir::new().unwrap();
    let (file, backup) = (folder.path().join(store::FILE), folder.path().join("backup"));
    let rig = Rig::open(&file);
    rig.store.record(entry(1, 1, 10), vec![]).await;
    rig.store.record(entry(2, 2, 10), vec![]).await;
    rig.store.save_downlinks(vec![downlink("old", 1, true), downlink("gone", 5, false)]).await.unwrap();
    rig.store.save_usage(vec![usage(1, 100)]).await;
    rig.store.save_retained(vec![retained("a")], vec![]).await;
    rig.store.save_states(vec![(key("lamp"), StateRow { last_seen: at(1), body: "then".into() })]).await;
    rig.store.keep(key("lamp"), "7".into()).await.await.unwrap();
    rig.store.keep(key("bell"), "3".into()).await.await.unwrap();
    rig.backup(&backup, "said").await;

    rig.store.delivered(1).await;
    rig.store.record(entry(3, 3, 10), vec![]).await;
    rig.store.save_downlinks(vec![downlink("old", 2, false), downlink("new", 3, true)]).await.unwrap();
    rig.store.save_usage(vec![usage(1, 300), usage(2, 10)]).await;
    rig.store.save_retained(vec![retained("b")], vec!["a".into()]).await;
    rig.store.save_states(vec![(key("lamp"), StateRow { last_seen: at(9), body: "now".into() })]).await;
    rig.store.keep(key("lamp"), "9".into()).await.await.unwrap();
    rig.store.keep(key("door"), "1".into()).await.await.unwrap();
    rig.close().await;
    Beside::of(&file).take(&mut File::open(&backup).unwrap()).unwrap();

    // It is told what to lay, fails the first time, and is told again.
    let refused = put_in_place(&file, |text| Err(OpenError::Foreign { file: text.into(), what: "" }), NOBODY);
    assert!(refused.unwrap_err().to_string().starts_with("said"));
    assert!(finish(&file).unwrap());
    let rig = Rig::open(&file);
    let times: Vec<_> = rig.store.after(0, 10).await.unwrap().iter().map(|entry| (entry.seq, entry.at)).collect();
    assert_eq!(times, [(1, at(1)), (2, at(2)), (3, at(3))], "the first is delivered again, the last is not lost");
    let all = rig.store.downlinks(&DownlinkFilter { device: None, open_only: false, most: 10 }).await.unwrap();
    let all: Vec<_> = all.iter().map(|row| (row.id.as_str(), row.open)).collect();
    assert_eq!(all, [("new", true), ("gone", false), ("old", false)]);
    let restored = rig.close().await;
    let mut used = restored.usage;
    used.sort_by_key(|row| row.day);
    assert_eq!(used, [usage(1, 300), usage(2, 10)]);
    assert_eq!(restored.states[0].1.body, "then");
    assert_eq!(restored.retained, [retained("a"), retained("b")]);
    let note = |device: &str, body: &str| (key(device), body.to_owned());
    assert_eq!(restored.notes, [note("bell", "3"), note("door", "1"), note("lamp", "9")]);
    let now = Rig::open(&Beside::of(&file).before).close().await;
    assert_eq!((now.states[0].1.body.as_str(), now.spool.entries), ("now", 2), "what was there is kept");
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_replaced_with_its_log_and_one_in_use_is_not() {
    let folder = TempDir::new().unwrap();
    let (file, backup) = (folder.path().join(store::FILE), folder.path().join("backup"));
    let rig = Rig::open(&file);
    rig.store.save_states(vec![(key("lamp"), StateRow { last_seen: at(1), body: "then".into() })]).await;
    rig.backup(&backup, "").await;
    let take = || Beside::of(&file).take(&mut File::open(&backup).unwrap()).unwrap();
    take();
    assert!(matches!(finish(&file), Err(OpenError::Locked { .. })));
    rig.close().await;
    fs::write(&file, "no store at all").unwrap();
    fs::write(folder.path().join("ttn-ferry.db-wal"), "nor its log").unwrap();
    assert!(finish(&file).unwrap());
    assert_eq!(Rig::open(&file).close().await.states[0].1.body, "then");
    let before = Beside::of(&file).before;
    assert_eq!(fs::read(&before).unwrap(), b"no store at all");
    assert_eq!(fs::read(sqlite::log_beside(&before)).unwrap(), b"nor its log");
    // And where there was none.
    fs::remove_file(&file).unwrap();
    take();
    assert!(finish(&file).unwrap());
    assert_eq!(Rig::open(&file).close().await.states.len(), 1);
}
