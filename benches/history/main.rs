//! What the history costs: bytes a row, how fast it is written, read and pruned, and what memory it takes.
//!
//! `cargo bench --bench history -- [devices] [days]`; without arguments 1,000 devices that report every 15 minutes for 30
//! days: 2.9 million rows. `TMPDIR` says on which disk.
#![allow(clippy::print_stdout, reason = "the figures are the product")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use ttn_ferry::model::{ApplicationName, DataRate, DeviceId, DeviceKey, EndDeviceIds, Gateway, Radio, UplinkRecord};
use ttn_ferry::store::{self, Store, StoreConfig, UplinkFilter};
use ttn_ferry::telemetry::{Counters, NetworkClock, Notices};

const INTERVAL: SignedDuration = SignedDuration::from_mins(15);
const A_DAY: u32 = 96;
const GATEWAYS: u32 = 40;
/// As many as a page of the bridge's own readings.
const PAGE: usize = 500;
/// The writer's own pause before it looks for old rows, and how long it is watched then.
const BEFORE_PRUNING: Duration = Duration::from_secs(61);
const WATCHED: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut given = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let (devices, days): (u32, u32) = (given.next().unwrap_or(1000), given.next().unwrap_or(30));
    let folder = tempfile::tempdir().expect("a folder for the store");
    let now = Timestamp::now();
    let begin = now - SignedDuration::from_hours(24 * i64::from(days));
    write(folder.path(), devices, days, begin).await;

    let (store, task) = open(folder.path(), |_| {});
    println!("opened: {} kB of memory", status("VmRSS:"));
    read(&store, devices, begin).await;
    println!("after reading: {} kB of memory, at most {} kB", status("VmRSS:"), status("VmHWM:"));
    end(store, task).await;

    let kept = SignedDuration::from_hours(12 * i64::from(days));
    prune(folder.path(), kept).await;
}

async fn write(folder: &Path, devices: u32, days: u32, begin: Timestamp) {
    let (store, task) = open(folder, |_| {});
    let started = Instant::now();
    for round in 0..days * A_DAY {
        for device in 0..devices {
            store.keep_uplink(uplink(device, round, begin)).await;
        }
    }
    end(store, task).await;
    let (rows, took) = (u64::from(devices * days * A_DAY), started.elapsed().as_secs_f64());
    let bytes = fs::metadata(folder.join(store::FILE)).map_or(0, |file| file.len());
    println!("{rows} rows in {took:.0} s: {:.0} a second", rows as f64 / took);
    println!("file: {} MiB, {:.0} bytes a row", bytes >> 20, bytes as f64 / rows as f64);
}

/// Everything of one device after the other, as a plot of one field needs it.
async fn read(store: &Store, devices: u32, begin: Timestamp) {
    let mut times = Vec::new();
    for number in 0..101.min(devices) {
        let started = Instant::now();
        let (mut from, mut rows, mut sum) = (begin.as_millisecond(), 0, 0.0);
        loop {
            let device = key(number * 7919 % devices);
            let wanted = UplinkFilter { device, from, before: i64::MAX, newest_first: false, most: PAGE };
            let page = store.uplinks(wanted).await.expect("the store can be read");
            rows += page.uplinks.len();
            for (_, uplink) in &page.uplinks {
                let fields = uplink.fields.as_ref().expect("each has fields").get();
                sum += serde_json::from_str::<Value>(fields).expect("JSON")["temperature"].as_f64().unwrap_or_default();
            }
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        assert!(rows > 0 && sum != 0.0, "nothing was read");
        times.push(started.elapsed());
    }
    tell("one field of one device, all days", times);
}

/// How long others wait while old rows go.
async fn prune(folder: &Path, kept: SignedDuration) {
    let (store, task) = open(folder, |config| config.readings_age = kept.unsigned_abs());
    tokio::time::sleep(BEFORE_PRUNING - Duration::from_secs(1)).await;
    let (mut times, started) = (Vec::new(), Instant::now());
    while started.elapsed() < WATCHED {
        let wanted = UplinkFilter { device: key(0), from: 0, before: i64::MAX, newest_first: true, most: 1 };
        let asked = Instant::now();
        store.uplinks(wanted).await.expect("the store can be read");
        times.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    tell("a question while old rows are deleted", times);
    end(store, task).await;
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what}: median {:.1} ms, worst {:.1} ms of {}", milliseconds(median), milliseconds(worst), times.len());
}

fn open(folder: &Path, change: impl FnOnce(&mut StoreConfig)) -> (Store, JoinSet<()>) {
    let mut config = StoreConfig { readings_size: 1 << 40, ..StoreConfig::default() };
    change(&mut config);
    let (notices, _) = mpsc::channel(1);
    let (store, writer, _) =
        store::open(&folder.join(store::FILE), &config, Notices::new(notices)).expect("a store of ours opens");
    let mut task = JoinSet::new();
    let clock = NetworkClock::default();
    clock.heard(Timestamp::now());
    task.spawn(writer.with(Counters::default(), clock).run());
    (store, task)
}

async fn end(store: Store, mut writer: JoinSet<()>) {
    drop(store);
    writer.join_next().await.expect("it was started").expect("it ends in peace");
}

fn key(number: u32) -> DeviceKey {
    let application = ApplicationName::parse("my-application").expect("a good name");
    DeviceKey::new(&application, DeviceId::parse(&format!("eui-70b3d57ed{number:07}")).expect("a good id"))
}

/// A climate sensor with four fields, two of them normalised, heard by two gateways.
fn uplink(number: u32, round: u32, begin: Timestamp) -> UplinkRecord {
    let key = key(number);
    let noise = |times: u32| number.wrapping_mul(31).wrapping_add(round.wrapping_mul(times)) % 200;
    let (temperature, humidity) = (15.0 + f64::from(noise(7)) / 10.0, 30 + noise(3) / 4);
    let fields = format!(
        r#"{{"temperature":{temperature},"humidity":{humidity},"battery":3.{:02},"motion":{}}}"#,
        noise(1) / 2,
        noise(11) > 100
    );
    let normalized = format!(r#"[{{"air":{{"relativeHumidity":{humidity},"temperature":{temperature}}}}}]"#);
    let raw = |text: String| Some(RawValue::from_string(text).expect("JSON"));
    let gateway = |offset: u32| {
        let id = format!("gateway-of-somebody-{:03}", (number + offset) % GATEWAYS);
        let eui = Some(format!("B827EBFFFE{:06X}", (number + offset) % GATEWAYS));
        let location = raw(r#"{"latitude":52.51,"longitude":13.37,"altitude":40,"source":"SOURCE_REGISTRY"}"#.into());
        let (rssi, snr) = (-60.0 - noise(5) as f32 / 4.0, 10.0 - noise(13) as f32 / 16.0);
        Gateway { id, eui, rssi, snr, location }
    };
    UplinkRecord {
        id: format!("{key}/AYtMp2{number:06}kyQ0aSl9wQ==/{round}"),
        ids: EndDeviceIds {
            dev_eui: Some(format!("70B3D57ED{number:07}")),
            join_eui: Some("0000000000000000".into()),
            dev_addr: Some(format!("260B{number:04X}")),
        },
        key,
        at: begin + INTERVAL * round as i32 + SignedDuration::from_micros(i64::from(number) * 900_001),
        f_port: Some(2),
        f_cnt: round,
        payload: vec![noise(2) as u8; 10].into(),
        fields: raw(fields),
        normalized: raw(normalized),
        codec: Some("vendor/climate".into()),
        codec_error: None,
        warnings: Vec::new(),
        confirmed: false,
        encrypted: false,
        simulated: false,
        backfilled: false,
        radio: Radio {
            gateways: vec![gateway(0), gateway(1)],
            data_rate: DataRate {
                spreading_factor: Some(7 + (number % 3) as u8),
                bandwidth: Some(125_000),
                bit_rate: None,
            },
            frequency: Some(868_100_000 + u64::from(noise(17) % 8) * 200_000),
            airtime: Some(0.061_696),
            packet_error_rate: None,
        },
        locations: None,
        battery_percentage: None,
    }
}

/// A line of this process's `status`, in kB (proc(5)).
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
