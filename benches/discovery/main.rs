//! Prints what Home Assistant's discovery costs with a thousand devices, between two Mosquittos; nothing is asserted.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the product")]
#![allow(clippy::disallowed_methods, reason = "there is no async worker that sleeping threads could block")]

#[path = "../bridge/process.rs"]
#[allow(dead_code, reason = "shared with the other bench")]
mod process;
mod rig;
mod sink;
#[path = "../bridge/wire.rs"]
mod wire;

use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{io, thread};

use rig::{DEVICES, Rig};

/// Uplinks per second while latency is measured.
const RATE: u32 = 1000;
const WARM_UP: Duration = Duration::from_secs(2);
const PACED: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;
/// Longer than the bridge waits before it says that a registry does not answer.
const PATIENCE: Duration = Duration::from_secs(60);

const ON: &str = "[home_assistant]\ndiscovery = 'device'\n";
const OFF: &str = "[home_assistant]\ndiscovery = 'off'\n";

fn main() -> ExitCode {
    process::bench(measure)
}

fn measure() -> io::Result<()> {
    let mut on = Rig::start("both", ON)?;
    let mut off = Rig::start("json", OFF)?;
    let empty = [on.bridge.memory("VmRSS")?, off.bridge.memory("VmRSS")?];
    first_sight(&mut on)?;
    off.meet_all()?;
    settle(&off, 0)?;
    restart_of_home_assistant(&mut on)?;
    let full = [on.bridge.memory("VmRSS")?, off.bridge.memory("VmRSS")?];
    let latency = latency([&mut on, &mut off])?;
    println!("\n{:<44} {:>18} {:>18}", "", "device, both", "off, json");
    row("memory without devices, MiB", empty, 1);
    row("memory with 1,000 devices, MiB", full, 1);
    for (percent, values) in [50, 99].into_iter().zip(latency) {
        row(&format!("latency at 1,000 msgs/s, p{percent}, ms"), values.map(|seconds| seconds * 1e3), 2);
    }
    row("memory at its peak, MiB", [on.bridge.memory("VmHWM")?, off.bridge.memory("VmHWM")?], 1);
    Ok(())
}

/// A thousand devices that nobody knew send their first uplink.
fn first_sight(rig: &mut Rig) -> io::Result<()> {
    let start = Instant::now();
    rig.meet_all()?;
    settle(rig, DEVICES)?;
    let (announced, states) = (rig.announcements.counted(), rig.states.counted());
    println!("{DEVICES} devices of {} fields, seen first", rig::FIELDS);
    println!("  announcements   {:>8} messages {:>10} KiB", announced.messages, announced.bytes / 1024);
    println!("  states          {:>8} messages {:>10} KiB", states.messages, states.bytes / 1024);
    println!("  all of it there after {:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn restart_of_home_assistant(rig: &mut Rig) -> io::Result<()> {
    // What was announced last may still be sent once more.
    thread::sleep(Duration::from_secs(3));
    rig.announcements.forget();
    rig.states.forget();
    let start = Instant::now();
    rig.home_assistant_starts()?;
    settle(rig, DEVICES)?;
    let announced = rig.announcements.counted();
    println!("Home Assistant restarts");
    println!("  announcements   {:>8} messages {:>10} KiB", announced.messages, announced.bytes / 1024);
    println!(
        "  all of it there after {:.2} s, of which 0.5 to 2 s are a wait by design",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Waits until so many devices are announced, and all states are there.
fn settle(rig: &Rig, announced: usize) -> io::Result<()> {
    let start = Instant::now();
    while rig.announcements.topics() < announced || rig.states.topics() < DEVICES {
        if start.elapsed() > PATIENCE {
            let (announced, states) = (rig.announcements.topics(), rig.states.topics());
            return Err(io::Error::other(format!("{announced} announcements and {states} states came\n{}", rig.log())));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// p50 and p99 in s; both take turns, so that whatever else the machine does disturbs both alike. Medians of the rounds.
fn latency(mut rigs: [&mut Rig; 2]) -> io::Result<[[f64; 2]; 2]> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = [[0.0; 2]; 2];
        for (index, rig) in rigs.iter_mut().enumerate() {
            rig.pace(RATE, WARM_UP)?;
            let sorted = rig.pace(RATE, PACED)?;
            for (figure, percent) in [50, 99].into_iter().enumerate() {
                round[figure][index] = sorted[sorted.len() * percent / 100];
            }
        }
        rounds.push(round);
    }
    Ok([0, 1].map(|figure| [0, 1].map(|index| median(rounds.iter().map(|round| round[figure][index]).collect()))))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn row(what: &str, [on, off]: [f64; 2], digits: usize) {
    println!("{what:<44} {on:>18.digits$} {off:>18.digits$}");
}
