//! Prints what it costs to be looked at: by Prometheus, and by fifty open pages, with a thousand devices; nothing is asserted.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the product")]
#![allow(clippy::disallowed_methods, reason = "there is no async worker that sleeping threads could block")]

#[path = "../bridge/process.rs"]
#[allow(dead_code, reason = "shared with the other benches")]
mod process;
#[path = "../discovery/rig.rs"]
#[allow(dead_code, reason = "shared with the other bench")]
mod rig;
#[path = "../discovery/sink.rs"]
#[allow(dead_code, reason = "shared with the other bench")]
mod sink;
#[path = "../bridge/wire.rs"]
mod wire;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use rig::{DEVICES, Rig};

const CLIENTS: usize = 50;
const SCRAPES: u32 = 200;
/// Uplinks per second while pages look on: a busy home of a thousand devices has one.
const RATE: u32 = 100;
const PACED: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    process::bench(measure)
}

fn measure() -> io::Result<()> {
    let port = rig::free_port()?;
    let mut rig =
        Rig::start("json", &format!("[home_assistant]\ndiscovery = 'off'\n[web]\nlisten = '127.0.0.1:{port}'\n"))?;
    scrapes(&rig, port, "few devices")?;
    rig.meet_all()?;
    thread::sleep(Duration::from_secs(3));
    scrapes(&rig, port, &format!("{DEVICES} devices"))?;
    idle(&rig, "idle")?;
    paced(&mut rig, "nobody looks on")?;
    let pages = Pages::open(port)?;
    idle(&rig, &format!("idle, {CLIENTS} pages open"))?;
    let before = pages.read();
    paced(&mut rig, &format!("{CLIENTS} pages look on"))?;
    println!("  each page read {} KiB", (pages.read() - before) / 1024 / CLIENTS as u64);
    println!("memory now {:.1} MiB, at its peak {:.1} MiB", rig.bridge.memory("VmRSS")?, rig.bridge.memory("VmHWM")?);
    Ok(())
}

/// One after the other; the bridge has nothing else to do.
fn scrapes(rig: &Rig, port: u16, what: &str) -> io::Result<()> {
    let cpu = rig.bridge.cpu()?;
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..SCRAPES {
        let start = Instant::now();
        bytes = get(port, "/metrics")?.len();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let each = (rig.bridge.cpu()? - cpu) / SCRAPES;
    println!("scrape, {what}: median {:?}, {each:?} of CPU, {bytes} bytes", times[times.len() / 2]);
    Ok(())
}

fn idle(rig: &Rig, what: &str) -> io::Result<()> {
    let cpu = rig.bridge.cpu()?;
    thread::sleep(IDLE);
    let share = (rig.bridge.cpu()? - cpu).as_secs_f64() / IDLE.as_secs_f64();
    println!("{what}: {:.2} % of one core", share * 100.0);
    Ok(())
}

fn paced(rig: &mut Rig, what: &str) -> io::Result<()> {
    let cpu = rig.bridge.cpu()?;
    let sorted = rig.pace(RATE, PACED)?;
    let each = (rig.bridge.cpu()? - cpu).as_secs_f64() / sorted.len() as f64;
    let at = |percent: usize| sorted[sorted.len() * percent / 100] * 1e3;
    println!(
        "{what}, {RATE} uplinks/s: p50 {:.2} ms, p99 {:.2} ms, {:.2} ms of CPU an uplink",
        at(50),
        at(99),
        each * 1e3
    );
    Ok(())
}

/// Clients that read whatever they are told.
struct Pages(Arc<AtomicU64>);

impl Pages {
    /// The threads end with the bridge.
    fn open(port: u16) -> io::Result<Self> {
        let read = Arc::new(AtomicU64::new(0));
        for _ in 0..CLIENTS {
            let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            // The key need not be fresh for a reader that does not look at the answer (RFC 6455, 4.1).
            let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
            write!(socket, "GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{upgrade}\r\n\r\n")?;
            let read = read.clone();
            thread::spawn(move || {
                let mut buffer = [0; 1 << 16];
                while let Ok(length @ 1..) = socket.read(&mut buffer) {
                    read.fetch_add(length as u64, Relaxed);
                }
            });
        }
        Ok(Self(read))
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

fn get(port: u16, path: &str) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.1 200") {
        Ok(answer)
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()))
    }
}
