//! One bridge between two brokers of its own, with the load at one end and the sink at the other.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use std::{fs, io};

use tempfile::TempDir;

use super::load::Load;
use super::process::Process;
use super::subject::Subject;
use super::wire;

/// The most that are on their way in a closed loop: no queue of any broker is ever full.
const WINDOW: i64 = 400;
/// Uplinks written at once in a closed loop.
const BATCH: i64 = 64;
/// Send times that are remembered; far more than are ever on their way.
const REMEMBERED: usize = 1 << 16;
/// After this long without anything, what is missing is lost.
const QUIET: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(10);

/// A bridge under test and everything around it.
pub struct Line {
    pub subject: Subject,
    pub bridge: Process,
    /// Uplinks that never came home, without those that nobody listened for yet.
    pub lost: i64,
    pub load: Load,
    socket: TcpStream,
    sent: u32,
    tally: Arc<Tally>,
    folder: TempDir,
    _brokers: [Process; 2],
}

/// What load and sink know of each other.
struct Tally {
    clock: Instant,
    /// When each uplink was sent, on `clock`, in ns; 0 once it has come.
    sent_at: Vec<AtomicU64>,
    underway: AtomicI64,
    received: AtomicU64,
    latencies: Mutex<Vec<u64>>,
    generator: Thread,
}

impl Line {
    /// Starts the brokers and the sink, then the bridge again and again: how long it took each time until the first uplink
    /// was home, in s. The first start does not count, it reads from the disk; the last one runs on.
    pub fn start(subject: Subject, times: usize) -> io::Result<(Self, Vec<f64>)> {
        let folder = TempDir::with_prefix("ttn-ferry-bench-")?;
        let (ttn, home) = (free_port()?, free_port()?);
        // TTN's look-alike shall lose nothing by itself; the home broker is as its makers ship it.
        let brokers = [
            broker(&folder.path().join("ttn.conf"), ttn, "max_queued_messages 0\n")?,
            broker(&folder.path().join("home.conf"), home, "")?,
        ];
        let tally = Arc::new(Tally::new());
        start_sink(subject, wire::connect(home, "sink")?, tally.clone())?;
        subject.configure(folder.path(), ttn, home, free_port()?)?;
        let bridge = subject.start(folder.path())?;
        let (socket, load) = (wire::connect(ttn, "load")?, Load::new());
        let mut line = Self { subject, bridge, lost: 0, load, socket, sent: 0, tally, folder, _brokers: brokers };
        let mut taken = Vec::new();
        for _ in 0..times {
            taken.push(line.restart()?);
        }
        Ok((line, taken))
    }

    /// Sends as fast as the bridge delivers, for this long.
    pub fn press(&mut self, time: Duration) -> io::Result<()> {
        let start = Instant::now();
        while start.elapsed() < time {
            if WINDOW - self.tally.underway.load(Relaxed) >= BATCH {
                self.send(BATCH)?;
            } else {
                thread::park_timeout(QUIET);
            }
        }
        Ok(())
    }

    /// Sends `rate` uplinks a second, whatever the bridge does: what each needed to come home, in s, sorted.
    pub fn pace(&mut self, rate: u32, time: Duration) -> io::Result<Vec<f64>> {
        self.settle()?;
        self.tally.latencies().clear();
        let start = Instant::now();
        for index in 0..(time.as_secs_f64() * f64::from(rate)) as u32 {
            let due = start + Duration::from_secs(1) * index / rate;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.send(1)?;
        }
        self.settle()?;
        let mut latencies: Vec<_> = self.tally.latencies().iter().map(|ns| *ns as f64 / 1e9).collect();
        latencies.sort_by(f64::total_cmp);
        Ok(latencies)
    }

    /// Uplinks that have come home so far.
    pub fn received(&self) -> u64 {
        self.tally.received.load(Relaxed)
    }

    /// Waits for what is underway, and counts what does not come.
    pub fn settle(&mut self) -> io::Result<()> {
        let (mut before, mut since) = (self.received(), Instant::now());
        while self.tally.underway.load(Relaxed) > 0 && since.elapsed() < QUIET {
            thread::sleep(Duration::from_millis(10));
            if self.received() != before {
                (before, since) = (self.received(), Instant::now());
            }
        }
        self.lost += self.tally.underway.swap(0, Relaxed);
        if before > 0 { Ok(()) } else { Err(self.nothing_came()) }
    }

    fn restart(&mut self) -> io::Result<f64> {
        self.bridge.end();
        let (before, start) = (self.received(), Instant::now());
        self.bridge = self.subject.start(self.folder.path())?;
        while self.received() == before {
            if start.elapsed() > PATIENCE {
                return Err(self.nothing_came());
            }
            self.send(1)?;
            thread::park_timeout(Duration::from_millis(2));
        }
        let taken = start.elapsed().as_secs_f64();
        self.settle()?;
        self.lost = 0;
        Ok(taken)
    }

    fn send(&mut self, count: i64) -> io::Result<()> {
        let mut packets = Vec::with_capacity(count as usize * 2048);
        for _ in 0..count {
            packets.extend_from_slice(self.load.uplink(self.sent));
            self.tally.sent_at[self.sent as usize % REMEMBERED].store(self.tally.now(), Relaxed);
            self.sent += 1;
        }
        self.tally.underway.fetch_add(count, Relaxed);
        self.socket.write_all(&packets)
    }

    fn nothing_came(&self) -> io::Error {
        let log = fs::read_to_string(self.folder.path().join("bridge.log")).unwrap_or_default();
        io::Error::other(format!("nothing came through {}, which says:\n{log}", self.subject.name()))
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            clock: Instant::now(),
            sent_at: (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect(),
            underway: AtomicI64::new(0),
            received: AtomicU64::new(0),
            latencies: Mutex::default(),
            generator: thread::current(),
        }
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    fn latencies(&self) -> MutexGuard<'_, Vec<u64>> {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an uplink when it comes for the first time.
    fn take(&self, number: u32) {
        let sent_at = self.sent_at[number as usize % REMEMBERED].swap(0, Relaxed);
        if sent_at > 0 {
            self.latencies().push(self.now() - sent_at);
            self.received.fetch_add(1, Relaxed);
            self.underway.fetch_sub(1, Relaxed);
        }
    }
}

/// The sink's thread ends with its broker.
fn start_sink(subject: Subject, mut socket: TcpStream, tally: Arc<Tally>) -> io::Result<()> {
    wire::subscribe(&mut socket, subject.filter())?;
    let mut pending = Vec::new();
    thread::spawn(move || {
        let take = |message: &[u8]| subject.number(message).into_iter().for_each(|number| tally.take(number));
        while wire::receive(&mut socket, &mut pending, &take).is_ok() {
            if tally.underway.load(Relaxed) <= WINDOW / 2 {
                tally.generator.unpark();
            }
        }
    });
    Ok(())
}

fn broker(configuration: &Path, port: u16, more: &str) -> io::Result<Process> {
    fs::write(configuration, format!("listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n{more}"))?;
    let process = Process::mosquitto(configuration)?;
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if start.elapsed() > PATIENCE {
            let log = fs::read_to_string(configuration.with_extension("log")).unwrap_or_default();
            return Err(io::Error::other(format!("mosquitto does not listen on port {port}, and says:\n{log}")));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(process)
}

/// Free when it was asked for; nobody else is given it soon.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
