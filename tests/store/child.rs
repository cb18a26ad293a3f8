//! The process that is killed: records, delivers and saves without a pause, and says so.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use ttn_ferry::model::{ApplicationName, DeviceId, DeviceKey, DownlinkId, EndDeviceIds, Radio, UplinkRecord};
use ttn_ferry::store::{self, DownlinkRow, Entry, Run, RunChange, Store, StoreConfig};
use ttn_ferry::telemetry::Notices;

use super::report::Report;

/// One entry in so many stays, so that the file grows from round to round.
const KEPT: u64 = 32;

pub fn write_until_killed(file: &Path, seed: u64) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (notices, _told) = mpsc::channel(1);
        let commit_interval = Duration::from_millis([0, 1, 3][seed as usize % 3]);
        let config = StoreConfig { commit_interval, ..StoreConfig::default() };
        let (store, writer, restored) = store::open(file, &config, Notices::new(notices)).unwrap();
        let mut task = JoinSet::new();
        task.spawn(writer.run());
        let saved = restored.downlinks.first().map_or(0, |row| row.body.parse().unwrap());
        Report::Starts(restored.next_seq).tell();
        write(&store, restored.next_seq, saved, fastrand::Rng::with_seed(seed)).await;
    });
}

async fn write(store: &Store, next_seq: u64, mut saved: u64, mut random: fastrand::Rng) {
    let left = store.after(next_seq.saturating_sub(200), 1000).await.unwrap();
    let mut undelivered: Vec<u64> = left.into_iter().map(|entry| entry.seq).collect();
    let (mut seq, mut told) = (next_seq, next_seq - 1);
    let mut committed = store.committed();
    loop {
        for _ in 0..random.u64(1..40) {
            store.record(entry(seq), vec![RunChange::Put(key(), run(seq))]).await;
            seq += 1;
        }
        if random.u8(..5) == 0 {
            saved += 1;
            store.save_downlinks(vec![downlink(saved)]).await.unwrap();
            Report::Saved(saved).tell();
        }
        let reached = *committed.wait_for(|committed| *committed > told).await.unwrap();
        Report::Committed(reached).tell();
        undelivered.extend(told + 1..=reached);
        told = reached;
        deliver(store, &mut undelivered).await;
    }
}

async fn deliver(store: &Store, undelivered: &mut Vec<u64>) {
    for seq in undelivered.drain(..).filter(|seq| seq % KEPT != 0) {
        store.keep_uplink(uplink(seq)).await;
        Report::Delivers(seq).tell();
        store.delivered(seq).await;
    }
}

pub fn key() -> DeviceKey {
    DeviceKey::new(&ApplicationName::parse("garden").unwrap(), DeviceId::parse("soil-1").unwrap())
}

/// Always the same for one seq, so that a torn one is seen.
pub fn entry(seq: u64) -> Entry {
    let payload = seq.to_le_bytes().repeat(seq as usize * 7919 % 375);
    let DeviceKey { application, device } = key();
    let topic = Bytes::from(format!("v3/garden@ttn/devices/soil-1/{seq}"));
    let at = Timestamp::from_microsecond(seq as i64).unwrap();
    Entry { seq, application, device, topic, payload: payload.into(), at, backfilled: seq.is_multiple_of(7) }
}

/// What became of an entry: its time in milliseconds is the seq.
pub fn uplink(seq: u64) -> UplinkRecord {
    UplinkRecord {
        key: key(),
        id: format!("{}/session/{seq}", key()),
        ids: EndDeviceIds::default(),
        at: Timestamp::from_millisecond(seq as i64).unwrap(),
        f_port: Some(1),
        f_cnt: seq as u32,
        payload: seq.to_le_bytes().to_vec().into(),
        fields: None,
        normalized: None,
        codec: Some(format!("codec-{}", seq % 7)),
        codec_error: None,
        warnings: Vec::new(),
        confirmed: false,
        encrypted: false,
        simulated: false,
        backfilled: false,
        radio: Radio::default(),
        locations: None,
        battery_percentage: None,
    }
}

fn run(seq: u64) -> Run {
    let at = Timestamp::UNIX_EPOCH;
    let session = "session".to_owned();
    Run { session, epoch: 0, first: 0, last: seq as u32, first_at: at, last_at: at, received_at: at }
}

fn downlink(number: u64) -> DownlinkRow {
    let id = DownlinkId::parse("the-one").unwrap();
    let (updated, body) = (Timestamp::UNIX_EPOCH, number.to_string());
    DownlinkRow { id, key: key(), open: true, told: false, updated, body }
}
