//! What the store costs: bytes written and time per uplink, and how fast a long spool is drained.
//!
//! `cargo bench --bench store`. Bytes are what the kernel counts for this process (proc(5), `io`), so the folder must
//! lie on a real disk: `TMPDIR` says which.
#![allow(clippy::print_stdout, reason = "the figures are the product")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use ttn_ferry::model::{ApplicationName, DeviceId, DeviceKey};
use ttn_ferry::store::{self, Entry, Run, RunChange, Store, StoreConfig, Sync};
use ttn_ferry::telemetry::Notices;

/// Bytes of an uplink as The Things Stack sends it: the median of those seen live.
const BODY: usize = 1900;
const DEVICES: u64 = 1000;
const SPOOLED: u64 = 100_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for sync in [Sync::Normal, Sync::Full] {
        one_by_one(sync, 2000).await;
        a_thousand_a_second(sync, 10_000).await;
    }
    drain().await;
}

/// One uplink a second has a commit of its own, in which the one before it is deleted.
async fn one_by_one(sync: Sync, count: u64) {
    let folder = tempfile::tempdir().expect("a folder for the store");
    let (store, writer) = open(folder.path(), Duration::ZERO, sync);
    let mut committed = store.committed();
    let before = Cost::now();
    for seq in 1..=count {
        store.record(entry(seq), run(seq)).await;
        committed.wait_for(|committed| *committed >= seq).await.expect("the writer runs");
        store.delivered(seq).await;
    }
    end(store, writer).await;
    before.tell(&format!("1 a second, sync {sync:?}"), count);
}

/// Uplinks come evenly; the home acknowledges as soon as it gets them.
async fn a_thousand_a_second(sync: Sync, count: u64) {
    let folder = tempfile::tempdir().expect("a folder for the store");
    let (store, writer) = open(folder.path(), Duration::from_millis(20), sync);
    let mut committed = store.committed();
    let before = Cost::now();
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut recorded, mut delivered) = (0, 0);
    while delivered < count {
        tokio::select! {
            _ = ticks.tick(), if recorded < count => {
                recorded += 1;
                store.record(entry(recorded), run(recorded)).await;
            }
            _ = committed.changed() => {
                let reached = *committed.borrow_and_update();
                for seq in delivered + 1..=reached {
                    store.delivered(seq).await;
                }
                delivered = reached;
            }
        }
    }
    end(store, writer).await;
    before.tell(&format!("1,000 a second, sync {sync:?}"), count);
}

async fn drain() {
    let folder = tempfile::tempdir().expect("a folder for the store");
    let (store, writer) = open(folder.path(), Duration::from_millis(20), Sync::Normal);
    let before = Cost::now();
    for seq in 1..=SPOOLED {
        store.record(entry(seq), run(seq)).await;
    }
    store.committed().wait_for(|committed| *committed == SPOOLED).await.expect("the writer runs");
    before.tell("as fast as it goes", SPOOLED);
    println!("  memory: {} kB, spool: {:?}", status("VmRSS:"), store.spool().entries);
    let before = Cost::now();
    let mut last = 0;
    loop {
        let entries = store.after(last, 512).await.expect("the store can be read");
        let Some(entry) = entries.last() else { break };
        last = entry.seq;
        for entry in &entries {
            store.delivered(entry.seq).await;
        }
    }
    let rate = SPOOLED as f64 / before.wall.elapsed().as_secs_f64();
    end(store, writer).await;
    before.tell("draining", SPOOLED);
    println!("  {rate:.0} a second; memory: {} kB, at most {} kB", status("VmRSS:"), status("VmHWM:"));
}

fn open(folder: &Path, commit_interval: Duration, sync: Sync) -> (Store, JoinSet<()>) {
    let config = StoreConfig { commit_interval, sync, ..StoreConfig::default() };
    let (notices, _) = mpsc::channel(1);
    let (store, writer, _) =
        store::open(&folder.join(store::FILE), &config, Notices::new(notices)).expect("a new store opens");
    let mut task = JoinSet::new();
    task.spawn(writer.run());
    (store, task)
}

async fn end(store: Store, mut writer: JoinSet<()>) {
    drop(store);
    writer.join_next().await.expect("it was started").expect("it ends in peace");
}

fn entry(seq: u64) -> Entry {
    let device = device(seq);
    Entry {
        seq,
        topic: Bytes::from(format!("v3/{}@ttn/devices/{}/up", device.application, device.device)),
        application: device.application,
        device: device.device,
        payload: Bytes::from(vec![b'x'; BODY]),
        at: Timestamp::now(),
        backfilled: false,
    }
}

fn device(seq: u64) -> DeviceKey {
    // Devices do not send in the order of their names.
    let number = seq * 7919 % DEVICES;
    let application = ApplicationName::parse("my-application").expect("a good name");
    DeviceKey::new(&application, DeviceId::parse(&format!("eui-70b3d57ed{number:07}")).expect("a good id"))
}

fn run(seq: u64) -> Vec<RunChange> {
    let now = Timestamp::now();
    let session = "AY4gzT6SbDCSZtPUiqcXlw==".to_owned();
    let last = (seq / DEVICES) as u32;
    vec![RunChange::Put(
        device(seq),
        Run { session, epoch: 0, first: 0, last, first_at: now, last_at: now, received_at: now },
    )]
}

/// What this process has used so far.
struct Cost {
    wall: Instant,
    written: u64,
    processor: Duration,
}

impl Cost {
    fn now() -> Self {
        Self { wall: Instant::now(), written: number("/proc/self/io", "write_bytes:"), processor: processor() }
    }

    fn tell(&self, what: &str, count: u64) {
        let now = Self::now();
        let written = (now.written - self.written) as f64 / count as f64;
        let processor = (now.processor - self.processor).as_secs_f64() * 1e6 / count as f64;
        let wall = self.wall.elapsed().as_secs_f64() * 1e6 / count as f64;
        println!("{what}: {written:.0} bytes, {processor:.1} µs of processor, {wall:.0} µs of time for each");
    }
}

fn number(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).expect("Linux tells");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("it is there");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

fn status(name: &str) -> u64 {
    number("/proc/self/status", name)
}

/// User and system time, which the kernel counts in hundredths of a second (proc(5), `stat`).
fn processor() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux tells");
    let after_name = stat.rsplit(')').next().expect("the name stands in parentheses");
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
