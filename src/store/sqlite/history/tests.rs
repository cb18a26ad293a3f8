//! The history on real files: what was kept comes back as it was, once, and goes in time.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;

use super::*;
use crate::model::{ApplicationName, DeviceId, Gateway, HomeName};
use crate::store::config::StoreConfig;
use crate::store::engine::Engine;
use crate::store::rows::{GatewayPlace, UplinkFilter, UplinkPage};
use crate::store::sqlite::Sqlite;

const DAY: i64 = 24 * 3600;

fn open(folder: &Path, change: impl FnOnce(&mut StoreConfig)) -> Sqlite {
    let mut config = StoreConfig::default();
    change(&mut config);
    Sqlite::open(&folder.join("ttn-ferry.db"), &config).unwrap().0
}

fn key(device: &str) -> DeviceKey {
    DeviceKey::new(&ApplicationName::parse("app").unwrap(), DeviceId::parse(device).unwrap())
}

fn keep(store: &mut Sqlite, records: impl IntoIterator<Item = UplinkRecord>) {
    let mut batch = Batch::default();
    records.into_iter().for_each(|record| batch.keep_uplink(record));
    store.apply(&batch).unwrap();
}

fn forget(store: &mut Sqlite, device: &str) {
    let mut batch = Batch::default();
    batch.forget(key(device));
    store.apply(&batch).unwrap();
}

fn page(store: &mut Sqlite, device: &str, change: impl FnOnce(&mut UplinkFilter)) -> UplinkPage {
    let mut wanted = UplinkFilter { device: key(device), from: 0, before: i64::MAX, newest_first: false, most: 1000 };
    change(&mut wanted);
    store.uplinks(&wanted).unwrap()
}

fn counters(store: &mut Sqlite, device: &str) -> Vec<u32> {
    page(store, device, |_| {}).uplinks.iter().map(|(_, record)| record.f_cnt).collect()
}

/// All bites until the next walk; at a time that nobody knows, if none is given.
fn prune(store: &mut Sqlite, now: impl Into<Option<i64>>) -> usize {
    let (mut bites, now) = (1, now.into().map(|now| Timestamp::from_second(now).unwrap()));
    while store.prune(now).unwrap() {
        bites += 1;
        assert!(bites < 1000, "it does not end");
    }
    bites
}

fn texts(store: &Sqlite) -> i64 {
    store.connection.query_row("SELECT count(*) FROM uplink_texts", [], |row| row.get(0)).unwrap()
}

fn body(record: &UplinkRecord) -> String {
    serde_json::to_string(&record.body(&HomeName::parse("lamp").unwrap())).unwrap()
}

#[test]
fn an_uplink_comes_back_as_it_was_published_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), |_| {});
    let mut record = UplinkRecord::sample("node", 7, 100);
    record.at += SignedDuration::from_nanos(123_456_789);
    let heard = |id: &str, rssi| Gateway { id: id.into(), rssi, snr: -1.25, ..Gateway::default() };
    record.radio.gateways = vec![heard("near", -50.0), heard("far", -110.5)];
    keep(&mut store, [record.clone()]);
    drop(store);
    let mut store = open(folder.path(), |_| {});
    let found = page(&mut store, "node", |_| {});
    assert_eq!((found.uplinks.len(), found.next), (1, None));
    assert_eq!(body(&found.uplinks[0].1), body(&record));
    assert_eq!(found.uplinks[0].0, 100_123);
    assert!(page(&mut store, "other", |_| {}).uplinks.is_empty());
}

#[test]
fn the_same_uplink_again_takes_its_own_place_and_another_of_the_same_moment_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), |_| {});
    let sample = |f_cnt| UplinkRecord::sample("node", f_cnt, 100);
    keep(&mut store, [sample(1), sample(2), sample(1)]);
    let again = UplinkRecord { fields: RawValue::from_string("{\"again\":true}".into()).ok(), ..sample(2) };
    keep(&mut store, [again]);
    let found = page(&mut store, "node", |_| {}).uplinks;
    assert_eq!(
        found.iter().map(|(place, record)| (*place, record.f_cnt)).collect::<Vec<_>>(),
        [(100_000, 1), (100_001, 2)]
    );
    assert_eq!(found[1].1.fields.as_ref().unwrap().get(), "{\"again\":true}");
    assert!(found.iter().all(|(_, record)| record.at == sample(1).at), "the place is not the time");
}

#[test]
fn pages_go_both_ways_and_leave_nothing_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), |_| {});
    keep(&mut store, [3, 1, 4, 0, 2].map(|f_cnt| UplinkRecord::sample("node", f_cnt, i64::from(f_cnt))));
    keep(&mut store, [UplinkRecord::sample("mode", 9, 2), UplinkRecord::sample("note", 9, 2)]);
    for newest_first in [false, true] {
        let (mut all, mut from, mut before, mut pages) = (Vec::new(), 0, i64::MAX, 0);
        loop {
            let found = page(&mut store, "node", |wanted| {
                *wanted = UplinkFilter { device: key("node"), from, before, newest_first, most: 2 };
            });
            all.extend(found.uplinks.iter().map(|(_, record)| record.f_cnt));
            pages += 1;
            match found.next {
                Some(next) if newest_first => before = next,
                Some(next) => from = next,
                None => break,
            }
        }
        let expected = if newest_first { [4, 3, 2, 1, 0] } else { [0, 1, 2, 3, 4] };
        assert_eq!((all, pages), (expected.to_vec(), 3));
    }
    let middle = page(&mut store, "node", |wanted| (wanted.from, wanted.before) = (1000, 3000));
    assert_eq!(middle.uplinks.iter().map(|(_, record)| record.f_cnt).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_page_is_no_more_than_about_a_mebibyte() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), |_| {});
    let long =
        |f_cnt| UplinkRecord { payload: vec![0; 100_000].into(), ..UplinkRecord::sample("node", f_cnt, f_cnt.into()) };
    keep(&mut store, (0..30).map(long));
    let found = page(&mut store, "node", |_| {});
    assert_eq!((found.uplinks.len(), found.next), (11, Some(10_001)));
}

#[test]
fn a_device_that_is_forgotten_has_no_history_at_once_and_comes_back_with_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), |_| {});
    keep(&mut store, (0..1200).map(|f_cnt| UplinkRecord::sample("node", f_cnt, f_cnt.into())));
    keep(&mut store, [UplinkRecord::sample("other", 1, 1)]);
    forget(&mut store, "node");
    assert!(counters(&mut store, "node").is_empty());
    keep(&mut store, [UplinkRecord::sample("node", 5000, 5)]);
    assert!(prune(&mut store, 2000) >= 3, "it goes in bites");
    assert_eq!((counters(&mut store, "node"), counters(&mut store, "other")), (vec![5000], vec![1]));
    let rows: i64 = store.connection.query_row("SELECT count(*) FROM uplinks", [], |row| row.get(0)).unwrap();
    prune(&mut store, 2000);
    let devices: i64 = store.connection.query_row("SELECT count(*) FROM uplink_devices", [], |row| row.get(0)).unwrap();
    assert_eq!((rows, devices), (2, 2));
}

#[test]
fn what_is_older_than_the_retention_goes_once_a_day_and_its_texts_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), |config| config.readings_age = Duration::from_secs(30 * DAY as u64));
    let now = 1000 * DAY;
    let record = |device: &str, days_ago: i64| {
        let mut record = UplinkRecord::sample(device, days_ago as u32, now - days_ago * DAY + 60);
        record.codec = Some(format!("codec-{days_ago}"));
        record
    };
    keep(&mut store, [40, 33, 30, 28, 0].map(|ago| record("node", ago)));
    keep(&mut store, [30, 1].map(|ago| record("calm", ago)));
    let before = texts(&store);
    prune(&mut store, now);
    assert_eq!(counters(&mut store, "node"), [30, 28, 0]);
    assert_eq!(counters(&mut store, "calm"), [30, 1]);
    assert_eq!(texts(&store), before - 2, "those of the days that are gone");
    prune(&mut store, now + DAY / 2);
    assert_eq!(counters(&mut store, "calm"), [30, 1], "half a day is not worth a page");
    prune(&mut store, now + DAY + 120);
    assert_eq!((counters(&mut store, "node"), counters(&mut store, "calm")), (vec![28, 0], vec![1]));
    keep(&mut store, [record("node", 5)]);
    assert_eq!(counters(&mut store, "node"), [28, 5, 0], "texts that went are written again");
}

#[test]
fn what_is_written_behind_the_back_of_a_walk_keeps_its_texts() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), |config| config.readings_age = Duration::from_secs(30 * DAY as u64));
    let now = 1000 * DAY;
    // One that fell silent long ago; then one of which a bite leaves some.
    keep(&mut store, [UplinkRecord::sample("silent", 1, now - 50 * DAY)]);
    prune(&mut store, now);
    keep(&mut store, (0..600).map(|f_cnt| UplinkRecord::sample("node", f_cnt, now - 40 * DAY + i64::from(f_cnt))));
    keep(&mut store, [UplinkRecord::sample("node", 700, now)]);
    assert!(store.prune(Timestamp::from_second(now).ok()).unwrap());
    let late = UplinkRecord { codec: Some("late".into()), ..UplinkRecord::sample("silent", 2, now - 31 * DAY) };
    keep(&mut store, [late]);
    while store.prune(Timestamp::from_second(now).ok()).unwrap() {}
    assert_eq!(counters(&mut store, "silent"), [2], "it goes with the next walk");
    assert_eq!(counters(&mut store, "node"), [700]);
}

#[test]
fn beyond_its_size_the_oldest_of_all_devices_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), |config| config.readings_size = 1 << 20);
    let now = 100 * DAY;
    let record = |device: &str, number: u32| {
        let record = UplinkRecord::sample(device, number, now - 20 * DAY + i64::from(number) * 600);
        UplinkRecord { payload: vec![7; 400].into(), ..record }
    };
    keep(&mut store, (0..2000).flat_map(|number| [record("one", number), record("two", number)]));
    prune(&mut store, now);
    let (one, two) = (counters(&mut store, "one"), counters(&mut store, "two"));
    assert_eq!(one.last(), Some(&1999));
    assert!(one == two && (200..1500).contains(&one.len()), "{} and {} are left", one.len(), two.len());
    let used: i64 = store
        .connection
        .query_row(
            "SELECT (page_count - freelist_count) * 1024 FROM pragma_page_count, pragma_freelist_count",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(used <= 1 << 20, "{used}");
    assert_eq!(prune(&mut store, now), 1, "there is nothing more to do");
    assert_eq!(counters(&mut store, "one"), one);
}

#[test]
fn what_is_too_much_is_found_among_the_rows_whatever_the_clock_shows() {
    let record = |number: u32| {
        let record = UplinkRecord::sample("one", number, 80 * DAY + i64::from(number) * 600);
        UplinkRecord { payload: vec![7; 400].into(), ..record }
    };
    let stray = || UplinkRecord::sample("stray", 1, 60_000 * DAY);
    for now in [None, Some(60), Some(50_000 * DAY)] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path(), |config| {
            (config.readings_size, config.readings_age) = (1 << 20, Duration::from_secs(365 * DAY as u64));
        });
        keep(&mut store, (0..4000).map(record).chain([stray()]));
        let of_age = now.is_some_and(|now| now > 1000 * DAY);
        assert!(prune(&mut store, now) < 60, "{now:?}");
        let left = counters(&mut store, "one");
        assert_eq!(left.is_empty(), of_age, "{now:?}");
        assert!(of_age || (left.last() == Some(&3999) && (400..3000).contains(&left.len())), "{} are left", left.len());
        assert_eq!(counters(&mut store, "stray"), [1]);
    }
}

#[test]
fn the_gateways_of_a_thousand_devices_are_a_few_questions() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), |_| {});
    let record = |device: usize| {
        let mut record = UplinkRecord::sample(&format!("node-{device}"), 1, 100);
        record.radio.gateways = vec![Gateway { id: format!("roof-{}", device % 3), ..Gateway::default() }];
        record
    };
    keep(&mut store, (0..990).map(record));
    keep(&mut store, (2..1200).map(|f_cnt| UplinkRecord { f_cnt, ..record(0) }));
    let keys: Vec<_> = (0..1000).map(|device| key(&format!("node-{device}"))).collect();
    let (mut all, mut next, mut questions) = (Vec::new(), Some(GatewayPlace::of(0)), 0);
    while let Some(place) = next {
        let page = store.gateways(&keys, Timestamp::UNIX_EPOCH, place).unwrap();
        (questions, next) = (questions + 1, page.next);
        all.extend(page.gateways);
    }
    assert_eq!(questions, 5, "2,199 uplinks and looks");
    let of = |device: usize| all.iter().filter(move |(of, _)| *of == device);
    assert_eq!(of(0).map(|(_, row)| row.uplinks).sum::<u64>(), 1199);
    assert!((0..990).all(|device| of(device).all(|(_, row)| row.gateway.id == format!("roof-{}", device % 3))));
    assert_eq!((of(989).count(), of(990).count(), all.len()), (1, 0, 992));
}

#[test]
fn what_a_commit_that_failed_would_have_numbered_is_numbered_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), |_| {});
    store.connection.pragma_update(None, "max_page_count", 40).unwrap();
    let mut batch = Batch::default();
    (0..200).for_each(|f_cnt| {
        batch.keep_uplink(UplinkRecord { payload: vec![0; 900].into(), ..UplinkRecord::sample("node", f_cnt, 1) })
    });
    assert!(store.apply(&batch).is_err());
    store.connection.pragma_update(None, "max_page_count", 4000).unwrap();
    keep(&mut store, [UplinkRecord::sample("other", 1, 1)]);
    store.apply(&batch).unwrap();
    assert_eq!((counters(&mut store, "node").len(), counters(&mut store, "other")), (200, vec![1]));
    assert_eq!(page(&mut store, "node", |_| {}).uplinks[3].1.id, "app/node/s/3");
}

#[test]
fn a_store_from_before_the_history_has_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let older = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/store/v4.db");
    std::fs::copy(older, folder.path().join("ttn-ferry.db")).unwrap();
    let mut store = open(folder.path(), |_| {});
    assert!(counters(&mut store, "node").is_empty());
    keep(&mut store, [UplinkRecord::sample("node", 1, 1)]);
    assert_eq!(counters(&mut store, "node"), [1]);
}

#[test]
fn gateways_are_told_by_how_well_they_heard_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), |_| {});
    let record = |f_cnt: u32, rssi: &[(&str, f32)]| {
        let mut record = UplinkRecord::sample("node", f_cnt, f_cnt.into());
        let gateway = |(id, rssi): &(&str, f32)| Gateway { id: (*id).into(), rssi: *rssi, ..Gateway::default() };
        record.radio.gateways = rssi.iter().map(gateway).collect();
        record
    };
    keep(
        &mut store,
        [record(1, &[("roof", -30.0)]), record(2, &[("roof", -80.0), ("far", -120.0)]), record(3, &[("roof", -70.0)])],
    );
    let mut found =
        store.gateways(&[key("node")], Timestamp::from_second(2).unwrap(), GatewayPlace::of(0)).unwrap().gateways;
    found.sort_by(|(_, a), (_, b)| a.gateway.id.cmp(&b.gateway.id));
    let told: Vec<_> = found
        .iter()
        .map(|(_, row)| (&*row.gateway.id, row.gateway.rssi, row.uplinks, row.last_heard.as_second()))
        .collect();
    assert_eq!(told, [("far", -120.0, 1, 2), ("roof", -70.0, 2, 3)]);
}

#[test]
fn gateways_are_looked_for_in_pages_that_leave_no_uplink_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), |_| {});
    let record = |f_cnt: u32| {
        let mut record = UplinkRecord::sample("node", f_cnt, f_cnt.into());
        record.radio.gateways = vec![Gateway { id: "roof".into(), ..Gateway::default() }];
        record
    };
    keep(&mut store, (0..1200).map(record));
    let (mut counts, mut next) = (Vec::new(), Some(GatewayPlace::of(0)));
    while let Some(place) = next {
        let page = store.gateways(&[key("node")], Timestamp::UNIX_EPOCH, place).unwrap();
        counts.extend(page.gateways.iter().map(|(_, row)| row.uplinks));
        next = page.next;
    }
    assert_eq!(counts, [500, 500, 200]);
}
