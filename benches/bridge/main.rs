//! Prints what the bridge costs, end to end between two Mosquittos, beside a plain Mosquitto bridge; nothing is asserted.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the product")]
#![allow(clippy::disallowed_methods, reason = "there is no async worker that sleeping threads could block")]

mod line;
mod load;
mod process;
mod subject;
mod wire;

use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{io, thread};

use line::Line;
use subject::Subject;

const STARTS: usize = 5;
const IDLE: Duration = Duration::from_secs(5);
/// Uplinks per second while latency is measured: far more than a home has, far less than a bridge can.
const RATE: u32 = 1000;
const PACED: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(4);
const WARM_UP: Duration = Duration::from_secs(1);

/// A figure of ttn-ferry and the same of the plain bridge.
struct Row {
    what: &'static str,
    /// After the point.
    digits: usize,
    values: [f64; 2],
}

fn main() -> ExitCode {
    process::bench(|| measure().map(|rows| print(&rows)))
}

/// The bridges take turns, so that whatever else the machine does disturbs both alike.
fn measure() -> io::Result<Vec<Row>> {
    let (ferry, ferry_starts) = Line::start(Subject::Ferry, STARTS)?;
    let (plain, plain_starts) = Line::start(Subject::Mosquitto, STARTS)?;
    let mut lines = [ferry, plain];
    println!("Uplinks of {} bytes from {} devices.\n", lines[0].load.packet_size(), load::DEVICES);
    let starts = [median(ferry_starts), median(plain_starts)];
    let after_start = both(&mut lines, |line| line.bridge.memory("VmRSS"))?;
    let idle = idle(&mut lines)?;
    let [p50, p99] = latency(&mut lines)?;
    let [throughput, cpu] = throughput(&mut lines)?;
    let peak = both(&mut lines, |line| line.bridge.memory("VmHWM"))?;
    let lost = both(&mut lines, |line| Ok(line.lost as f64))?;
    Ok(vec![
        Row { what: "throughput, closed loop, msgs/s", digits: 0, values: throughput },
        Row { what: "CPU per message, µs", digits: 1, values: cpu.map(|seconds| seconds * 1e6) },
        Row { what: "latency at 1,000 msgs/s, p50, ms", digits: 2, values: p50.map(|seconds| seconds * 1e3) },
        Row { what: "latency at 1,000 msgs/s, p99, ms", digits: 2, values: p99.map(|seconds| seconds * 1e3) },
        Row { what: "start to first message, ms", digits: 1, values: starts.map(|seconds| seconds * 1e3) },
        Row { what: "memory after start, MiB", digits: 1, values: after_start },
        Row { what: "memory at its peak, MiB", digits: 1, values: peak },
        Row { what: "CPU when idle, ms/s", digits: 1, values: idle.map(|share| share * 1e3) },
        Row { what: "messages lost", digits: 0, values: lost },
    ])
}

/// CPU seconds per second with nothing to do, both at the same time.
fn idle(lines: &mut [Line; 2]) -> io::Result<[f64; 2]> {
    let before = both(lines, |line| line.bridge.cpu())?;
    thread::sleep(IDLE);
    let after = both(lines, |line| line.bridge.cpu())?;
    Ok([0, 1].map(|index| (after[index] - before[index]).as_secs_f64() / IDLE.as_secs_f64()))
}

/// p50 and p99 in s.
fn latency(lines: &mut [Line; 2]) -> io::Result<[[f64; 2]; 2]> {
    both(lines, |line| line.pace(RATE, WARM_UP))?;
    let sorted = both(lines, |line| line.pace(RATE, PACED))?;
    Ok([50, 99].map(|percent| [0, 1].map(|index: usize| sorted[index][sorted[index].len() * percent / 100])))
}

/// Messages per second and CPU seconds per message: medians of the rounds.
fn throughput(lines: &mut [Line; 2]) -> io::Result<[[f64; 2]; 2]> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(both(lines, round)?);
    }
    Ok([0, 1].map(|figure| [0, 1].map(|index| median(rounds.iter().map(|round| round[index][figure]).collect()))))
}

fn round(line: &mut Line) -> io::Result<[f64; 2]> {
    line.press(WARM_UP)?;
    let (start, received, cpu) = (Instant::now(), line.received(), line.bridge.cpu()?);
    line.press(ROUND)?;
    let (time, messages) = (start.elapsed(), (line.received() - received) as f64);
    let cpu = line.bridge.cpu()? - cpu;
    line.settle()?;
    Ok([messages / time.as_secs_f64(), cpu.as_secs_f64() / messages])
}

fn both<T>(lines: &mut [Line; 2], mut figure: impl FnMut(&mut Line) -> io::Result<T>) -> io::Result<[T; 2]> {
    let [ferry, plain] = lines;
    Ok([figure(ferry)?, figure(plain)?])
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print(rows: &[Row]) {
    let [ferry, plain] = [Subject::Ferry, Subject::Mosquitto].map(Subject::name);
    println!("{:<34} {ferry:>12} {plain:>16} {:>8}", "", "ratio");
    for Row { what, digits, values: [ferry, plain] } in rows {
        let ratio = if *plain > 0.0 { format!("{:.2}", ferry / plain) } else { "–".into() };
        println!("{what:<34} {ferry:>12.digits$} {plain:>16.digits$} {ratio:>8}");
    }
}
