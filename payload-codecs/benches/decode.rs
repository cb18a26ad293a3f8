//! Prints what loading and calling each shipped codec costs here, as medians; nothing is asserted.
#![allow(clippy::print_stdout, reason = "the figures are the product")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use payload_codecs::devices::{self, Device};
use payload_codecs::{Codec, Limits, UplinkInput, load};
use serde_json::Value;

const LOADS: usize = 51;
const CALLS: usize = 2001;

fn main() {
    let limits = Limits { time: Duration::from_secs(10), ..Limits::default() };
    println!("{:<26} {:>10} {:>12} {:>7}", "device", "cold load", "warm decode", "bytes");
    for device in devices::all() {
        let Some((bytes, f_port)) = first_uplink(device) else { continue };
        let cold = median(LOADS, || drop(black_box(load(&device.source(), &limits))));
        let mut codec = load(&device.source(), &limits).expect("the tests load every shipped codec");
        let warm = median(CALLS, || decode(codec.as_mut(), &bytes, f_port));
        println!("{:<26} {:>10} {:>12} {:>7}", device.id, micros(cold), micros(warm), bytes.len());
    }
}

fn decode(codec: &mut dyn Codec, bytes: &[u8], f_port: u8) {
    let input = UplinkInput { bytes, f_port, recv_time_ms: Some(1_700_000_000_000) };
    black_box(codec.decode_uplink(&input)).expect("the device's first example decodes");
}

fn first_uplink(device: &Device) -> Option<(Vec<u8>, u8)> {
    let examples: Vec<Value> = serde_json::from_str(device.examples).ok()?;
    let input = &examples.iter().find(|example| example["op"] == "decode_uplink")?["input"];
    Some((hex::decode(input["hex"].as_str()?).ok()?, input["f_port"].as_u64()? as u8))
}

fn median(times: usize, mut work: impl FnMut()) -> Duration {
    let mut taken: Vec<_> = (0..times)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    taken.sort();
    taken[times / 2]
}

fn micros(duration: Duration) -> String {
    format!("{:.1} µs", duration.as_secs_f64() * 1e6)
}
