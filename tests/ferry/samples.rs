//! Stores of every version that was ever in use, opened by today's bridge: every row is there, and means the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::json;
use simulator::stack::Device;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use ttn_ferry::model::{ApplicationName, DeviceId, DeviceKey, UplinkRecord};
use ttn_ferry::store::{self, EventFilter, EventRow, Restored, StoreConfig, Types, UplinkFilter};
use ttn_ferry::telemetry::Notices;

use crate::downlink::{encrypted, with_kek};
use crate::harness::{APP, Ferry, Heard, Stage};

/// Each table that a start reads, and the version it came with.
const TABLES: [(&str, u32); 9] = [
    ("spool", 1),
    ("runs", 1),
    ("states", 1),
    ("downlinks", 1),
    ("usage", 1),
    ("gaps", 1),
    ("notes", 2),
    ("retained", 3),
    ("availability", 4),
];

fn samples() -> BTreeMap<u32, PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let databases = files.filter(|path| path.extension().is_some_and(|ending| ending == "db"));
    databases.map(|path| (version(&Connection::open(&path).unwrap()), path)).collect()
}

fn version(connection: &Connection) -> u32 {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

fn count(connection: &Connection, table: &str) -> usize {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, u32>(0)).unwrap() as usize
}

fn open(file: &Path) -> Restored {
    let (notices, _told) = mpsc::channel(1);
    let (_store, _writer, restored) = store::open(file, &StoreConfig::default(), Notices::new(notices)).unwrap();
    restored
}

/// What a start found, by the tables it was in. Of the downlinks only those that are not over.
fn found(restored: &Restored, table: &str) -> usize {
    match table {
        "spool" => restored.spool.entries as usize,
        "runs" => restored.runs.len(),
        "states" => restored.states.len(),
        "downlinks" => restored.downlinks.len(),
        "usage" => restored.usage.len(),
        "gaps" => restored.gaps.len(),
        "notes" => restored.notes.len(),
        "retained" => restored.retained.len(),
        "availability" => restored.availability.len(),
        other => panic!("{other} is read by nobody"),
    }
}

#[test]
fn there_is_a_sample_of_every_version() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(store::FILE);
    open(&file);
    let newest = version(&Connection::open(&file).unwrap());
    let missing: Vec<_> = (1..=newest).filter(|version| !samples().contains_key(version)).collect();
    assert!(newest > 3 && missing.is_empty(), "no sample of {missing:?}: tests/fixtures/store/README.md says how");
}

#[test]
fn every_row_of_every_version_is_still_there() {
    for (of, sample) in samples() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(store::FILE);
        fs::copy(&sample, &file).unwrap();
        let before = Connection::open(&sample).unwrap();
        let restored = open(&file);
        for (table, _) in TABLES.into_iter().filter(|(_, since)| *since <= of) {
            let rows = count(&before, table);
            assert!(rows > 0, "version {of} has nothing in {table}");
            let expected = if table == "downlinks" { rows - 1 } else { rows };
            assert_eq!(found(&restored, table), expected, "{table} of version {of}");
        }
        assert_eq!(count(&Connection::open(&file).unwrap(), "downlinks"), count(&before, "downlinks"));
    }
}

/// What is there only when it is asked for: the history of these devices, and what happened.
async fn kept(file: &Path, devices: &[&str]) -> (Vec<UplinkRecord>, Vec<EventRow>) {
    let (notices, _told) = mpsc::channel(1);
    let (store, writer, _) = store::open(file, &StoreConfig::default(), Notices::new(notices)).unwrap();
    let mut task = JoinSet::new();
    task.spawn(writer.run());
    let mut uplinks = Vec::new();
    for device in devices {
        let device = DeviceKey::new(&ApplicationName::parse(APP).unwrap(), DeviceId::parse(device).unwrap());
        let all = UplinkFilter { device, from: 0, before: i64::MAX, newest_first: false, most: 1000 };
        uplinks.extend(store.uplinks(all).await.unwrap().uplinks.into_iter().map(|(_, record)| record));
    }
    let all = EventFilter { after: 0, before: None, device: None, types: Types::Any, most: 1000 };
    let events = store.events(all).await.unwrap();
    drop(store);
    task.join_next().await.unwrap().unwrap();
    (uplinks, events)
}

#[tokio::test]
async fn the_history_and_the_events_of_every_version_are_read_as_they_were_written() {
    for (of, sample) in samples().split_off(&6) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(store::FILE);
        fs::copy(&sample, &file).unwrap();
        let before = Connection::open(&sample).unwrap();
        let (uplinks, events) = kept(&file, &["lamp", "node-1"]).await;
        assert_eq!((uplinks.len(), events.len()), (count(&before, "uplinks"), count(&before, "events")), "{of}");
        let counters: Vec<_> =
            uplinks.iter().filter(|it| it.key.device.as_str() == "node-1").map(|it| it.f_cnt).collect();
        assert_eq!(counters, [1, 2, 5, 6, 7], "version {of}");
        let lamp = uplinks.iter().rfind(|it| it.key.device.as_str() == "lamp").unwrap();
        assert!(lamp.fields.is_some() && lamp.codec.is_some() && lamp.radio.gateways.len() == 1, "{of}: {lamp:?}");
        for kind in ["device_seen_first", "lost_frames", "join"] {
            assert!(events.iter().any(|event| event.kind == kind), "version {of} has no {kind}: {events:?}");
        }
        // Version 5 had the same history, and no events.
        fs::copy(&sample, &file).unwrap();
        Connection::open(&file).unwrap().execute_batch("DROP TABLE events; PRAGMA user_version = 5").unwrap();
        assert_eq!(kept(&file, &["lamp", "node-1"]).await.0.len(), uplinks.len(), "version 5");
    }
}

#[tokio::test]
async fn a_bridge_goes_on_with_the_store_of_every_version() {
    for (of, sample) in samples() {
        let stage = Stage::set(|setup| {
            setup.add_device("lamp", "codec = \"mbed/lorawan-example\"");
            if of > 1 {
                with_kek(setup);
            }
        })
        .await;
        for device in [encrypted(), Device::new("node-1", [9; 8], [1; 8], [9; 16])] {
            stage.network.handle.register(APP, device).unwrap();
        }
        fs::create_dir(stage.folder().join("store")).unwrap();
        fs::copy(&sample, stage.folder().join("store").join(store::FILE)).unwrap();
        let mut ferry = Ferry::on(stage).await;
        ferry.network.subscribed().await;
        let state = |heard: &Heard| heard.topic == "ttn/lamp" && !heard.text.is_empty();
        let lamp = ferry.home.wait_for("the state of the lamp", state).await.json();
        assert!(lamp["last_seen"].is_string() && lamp["link"].is_object(), "version {of}: {lamp}");
        let last = |heard: &Heard| heard.topic == "ttn/node-1/uplink" && heard.json()["f_cnt"] == 7;
        ferry.home.wait_for("what waited", last).await;
        // Known from then: 1, 2, 5, and those that waited. 3 is new.
        for f_cnt in [5, 7, 3, 8] {
            ferry.network.up("node-1", f_cnt, b"x");
        }
        let last = |heard: &Heard| heard.topic == "ttn/node-1/uplink" && heard.json()["f_cnt"] == 8;
        ferry.home.wait_for("what is new", last).await;
        let came: Vec<_> =
            ferry.home.all_on("ttn/node-1/uplink").iter().map(|uplink| uplink["f_cnt"].clone()).collect();
        assert_eq!(came, [6, 7, 3, 8].map(|f_cnt| json!(f_cnt)), "version {of}");
        let (_, _, done) = ferry.ask("GET", "downlinks/done", "").await;
        let (_, _, waiting) = ferry.ask("GET", "downlinks/waiting", "").await;
        assert_eq!(done["state"], "acked", "version {of}: {done}");
        assert!(waiting["id"] == "waiting" && waiting["device"] == "lamp", "version {of}: {waiting}");
        let (_, _, open) = ferry.ask("GET", "downlinks?open=true", "").await;
        assert!(open.to_string().contains("waiting") && !open.to_string().contains("done"), "version {of}: {open}");
    }
}
