//! Prints what each engine costs here over the shipped devices; nothing is asserted.
//!
//! Decodes per second and core, with a fresh state for each message; the slowest of a hundred; what the first codec of a
//! thread costs (its engine is set up) and each later one; and the memory of 500 loaded codecs on one thread.
#![allow(clippy::print_stdout, reason = "the figures are the product")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use payload_codecs::devices::{self, Device};
use payload_codecs::examples::{Expected, Operation, own};
use payload_codecs::{Codec, Engines, Limits, Source, UplinkInput};

const LOADS: usize = 51;
const CALLS: usize = 50_001;
const MANY: usize = 500;

fn main() {
    let limits = Limits { time: Duration::from_secs(10), ..Limits::default() };
    println!(
        "{:<26} {:<11} {:>9} {:>9} {:>9} {:>10} {:>9}",
        "device", "engine", "decodes/s", "median", "p99", "first use", "load"
    );
    for device in devices::all() {
        if let Some((bytes, f_port)) = first_uplink(device) {
            row(device, &bytes, f_port, &limits);
        }
    }
    many(&limits);
}

fn row(device: &Device, bytes: &[u8], f_port: u8, limits: &Limits) {
    let source = device.source();
    let first = times(LOADS, || drop(black_box(Engines::new(limits).and_then(|engines| engines.load(&source)))));
    let engines = Engines::new(limits).expect("the limits leave room");
    let load = times(LOADS, || drop(black_box(engines.load(&source))));
    let mut codec = engines.load(&source).expect("the tests load every shipped codec");
    let (begin, start) = (Instant::now(), worked());
    let calls = times(CALLS, || decode(codec.as_mut(), bytes, f_port));
    let time = worked().zip(start).map_or_else(|| begin.elapsed(), |(end, start)| end - start);
    let rate = CALLS as f64 / time.as_secs_f64();
    println!(
        "{:<26} {:<11} {rate:>9.0} {:>9} {:>9} {:>10} {:>9}",
        device.id,
        engine(&source),
        micros(calls[CALLS / 2]),
        micros(calls[CALLS * 99 / 100]),
        micros(first[LOADS / 2]),
        micros(load[LOADS / 2])
    );
}

fn engine(source: &Source) -> &'static str {
    match source {
        Source::JavaScript { .. } => "javascript",
        Source::Table { .. } => "table",
        Source::CayenneLpp | Source::ByDirection { .. } => "built in",
    }
}

/// Loads the shipped scripts again and again, as if each were another device's.
fn many(limits: &Limits) {
    let scripts: Vec<Source> =
        devices::all().iter().map(Device::source).filter(|source| engine(source) == "javascript").collect();
    assert!(!scripts.is_empty(), "no device has a script");
    let before = resident();
    let engines = Engines::new(limits).expect("the limits leave room");
    let first = engines.load(&scripts[0]);
    let engine = resident().saturating_sub(before);
    let codecs: Vec<_> = scripts.iter().cycle().take(MANY).map(|source| engines.load(source)).collect();
    let all = resident().saturating_sub(before);
    println!(
        "{MANY} scripts loaded: {all} KiB with their engine ({engine} KiB with its first script), {} KiB for each more",
        (all - engine) / MANY
    );
    drop((first, codecs));
}

/// How long a processor has worked for this thread, where the system says: others may be busy on the same machine.
fn worked() -> Option<Duration> {
    let status = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    status.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The memory this process has in use, in KiB; 0 where the system does not say.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn decode(codec: &mut dyn Codec, bytes: &[u8], f_port: u8) {
    let input = UplinkInput { bytes, f_port, recv_time_ms: Some(1_700_000_000_000) };
    black_box(codec.decode_uplink(&input)).expect("the device's first example decodes");
}

fn first_uplink(device: &Device) -> Option<(Vec<u8>, u8)> {
    let examples = own(device.examples).ok()?;
    let uplink = examples.into_iter().find(|example| {
        example.operation == Operation::DecodeUplink && matches!(example.expected, Expected::Result(_))
    })?;
    Some((uplink.input.bytes?, uplink.input.f_port?))
}

/// How long the work takes, so many times, shortest first.
fn times(times: usize, mut work: impl FnMut()) -> Vec<Duration> {
    let mut taken: Vec<_> = (0..times)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    taken.sort();
    taken
}

fn micros(duration: Duration) -> String {
    format!("{:.1} µs", duration.as_secs_f64() * 1e6)
}
