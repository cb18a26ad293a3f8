//! One bridge between two brokers of its own, a thousand devices at one end and Home Assistant's place at the other.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, io};

use serde_json::json;
use tempfile::TempDir;

use super::process::Process;
use super::sink::Sink;
use super::wire;

pub const DEVICES: usize = 1000;
/// Decoded fields of each uplink, the number of the uplink not counted.
pub const FIELDS: usize = 8;
/// Send times that are remembered; far more than are ever on their way.
const REMEMBERED: usize = 1 << 16;
const PATIENCE: Duration = Duration::from_secs(10);
/// After this long without anything, nothing more comes.
const QUIET: Duration = Duration::from_millis(500);

/// A bridge under test and everything around it.
pub struct Rig {
    pub bridge: Process,
    /// Home Assistant's announcements, and the devices' states.
    pub announcements: Sink,
    pub states: Sink,
    uplinks: TcpStream,
    home: u16,
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
    received: AtomicU64,
    latencies: Mutex<Vec<f64>>,
}

impl Rig {
    pub fn start(output: &str, tables: &str) -> io::Result<Self> {
        let folder = TempDir::with_prefix("ttn-ferry-bench-")?;
        let (ttn, home) = (free_port()?, free_port()?);
        let brokers = [broker(&folder.path().join("ttn.conf"), ttn)?, broker(&folder.path().join("home.conf"), home)?];
        let configuration = folder.path().join("bridge.toml");
        fs::write(&configuration, bridge(ttn, home, output, tables))?;
        let announcements = Sink::start(home, "homeassistant/device/+/config", announced)?;
        let states = Sink::start(home, "ttn/+", state)?;
        let tally = Arc::new(Tally::new());
        tally.clone().listen(home)?;
        let arguments = ["run".as_ref(), "--config".as_ref(), configuration.as_os_str()];
        let log = folder.path().join("bridge.log");
        let bridge = Process::start(env!("CARGO_BIN_EXE_ttn-ferry").as_ref(), &arguments, &log)?;
        let uplinks = wire::connect(ttn, "load")?;
        let sent = 0;
        let mut rig = Self { bridge, announcements, states, uplinks, home, sent, tally, folder, _brokers: brokers };
        rig.wait_for_the_bridge()?;
        Ok(rig)
    }

    /// Every device sends once.
    pub fn meet_all(&mut self) -> io::Result<()> {
        // The number of the next uplink tells whose it is.
        while !(self.sent as usize).is_multiple_of(DEVICES) {
            self.sent += 1;
        }
        (0..DEVICES).try_for_each(|_| self.send())
    }

    pub fn home_assistant_starts(&self) -> io::Result<()> {
        let mut socket = wire::connect(self.home, "home assistant")?;
        socket.write_all(&wire::publish("homeassistant/status", b"online"))
    }

    /// Sends `rate` uplinks a second, whatever the bridge does: what each needed to come home, in s, sorted.
    pub fn pace(&mut self, rate: u32, time: Duration) -> io::Result<Vec<f64>> {
        self.tally.take_latencies();
        let start = Instant::now();
        for index in 0..(time.as_secs_f64() * f64::from(rate)) as u32 {
            let due = start + Duration::from_secs(1) * index / rate;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.send()?;
        }
        self.tally.settle();
        let mut latencies = self.tally.take_latencies();
        latencies.sort_by(f64::total_cmp);
        if latencies.is_empty() { Err(io::Error::other(self.log())) } else { Ok(latencies) }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("bridge.log")).unwrap_or_default()
    }

    /// A device that does not count sends until the bridge passes it on.
    fn wait_for_the_bridge(&mut self) -> io::Result<()> {
        let start = Instant::now();
        while self.tally.received.load(Relaxed) == 0 {
            if start.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("nothing came through the bridge\n{}", self.log())));
            }
            self.send()?;
            thread::sleep(Duration::from_millis(20));
        }
        self.tally.settle();
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        let (number, device) = (self.sent, self.sent as usize % DEVICES);
        self.sent += 1;
        let packet = wire::publish(&format!("v3/bench@ttn/devices/node-{device}/up"), uplink(number).as_bytes());
        self.tally.sent_at[number as usize % REMEMBERED].store(self.tally.now(), Relaxed);
        self.uplinks.write_all(&packet)
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            clock: Instant::now(),
            sent_at: (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect(),
            received: AtomicU64::new(0),
            latencies: Mutex::default(),
        }
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// The thread ends with its broker.
    fn listen(self: Arc<Self>, home: u16) -> io::Result<()> {
        let mut socket = wire::connect(home, "latency")?;
        wire::subscribe(&mut socket, "ttn/+/uplink")?;
        thread::spawn(move || {
            let mut pending = Vec::new();
            while wire::receive(&mut socket, &mut pending, |message| self.take(message)).is_ok() {}
        });
        Ok(())
    }

    fn take(&self, message: &[u8]) {
        let Some(number) = number(message) else { return };
        let sent_at = self.sent_at[number % REMEMBERED].swap(0, Relaxed);
        if sent_at > 0 {
            let seconds = (self.now() - sent_at) as f64 / 1e9;
            self.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(seconds);
            self.received.fetch_add(1, Relaxed);
        }
    }

    /// Waits until nothing comes any more.
    fn settle(&self) {
        let mut before = u64::MAX;
        while before != self.received.load(Relaxed) {
            before = self.received.load(Relaxed);
            thread::sleep(QUIET);
        }
    }

    fn take_latencies(&self) -> Vec<f64> {
        std::mem::take(&mut self.latencies.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An uplink that the network has decoded; its number tells it from all others.
fn uplink(number: u32) -> String {
    let (frame, reading) = (number / DEVICES as u32, f64::from(number % 500) / 10.0);
    let at = jiff::Timestamp::now();
    json!({
        "received_at": at,
        "uplink_message": {
            "session_key_id": "c2Vzc2lvbg==", "f_port": 2, "f_cnt": frame, "frm_payload": "AQ==", "received_at": at,
            "decoded_payload": {
                "counter": number, "temperature": reading, "humidity": 40, "co2": 400 + number % 100, "battery_voltage": 3.3,
                "illuminance": 120, "pressure": 1013.2, "door_open": number.is_multiple_of(2), "status": "ok",
            },
            "rx_metadata": [{ "gateway_ids": { "gateway_id": "gw" }, "rssi": -60, "snr": 9.5 }],
            "settings": { "data_rate": { "lora": { "bandwidth": 125_000, "spreading_factor": 7 } } },
            "consumed_airtime": "0.061696s",
        },
    })
    .to_string()
}

/// The device that an announcement is about, but for the bridge itself.
fn announced(message: &[u8]) -> Option<Vec<u8>> {
    after(message, b"\"identifiers\":[\"ttn_").filter(|rest| !rest.starts_with(b"ferry_bridge")).map(until_quote)
}

/// The number in a state: each device tells its own.
fn state(message: &[u8]) -> Option<Vec<u8>> {
    number(message).map(|number| (number % DEVICES).to_string().into_bytes())
}

fn number(message: &[u8]) -> Option<usize> {
    let digits = after(message, b"\"counter\":")?.iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}

fn until_quote(text: &[u8]) -> Vec<u8> {
    text.iter().take_while(|byte| **byte != b'"').copied().collect()
}

fn after<'a>(bytes: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(needle.len()).position(|window| window == needle)?;
    Some(&bytes[at + needle.len()..])
}

fn bridge(ttn: u16, home: u16, output: &str, tables: &str) -> String {
    let key = format!("NNSXS.{}.{}", "A".repeat(39), "B".repeat(52));
    format!(
        "[[application]]\nid = 'bench'\nmqtt_url = 'mqtt://127.0.0.1:{ttn}'\napi_key = '{key}'\n\
         [home]\nurl = 'mqtt://127.0.0.1:{home}'\noutput = '{output}'\n[store]\npath = 'store'\n\
         [service]\nsocket = ''\n{tables}"
    )
}

fn broker(configuration: &Path, port: u16) -> io::Result<Process> {
    let text =
        format!("listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n");
    fs::write(configuration, text)?;
    let process = Process::mosquitto(configuration)?;
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if start.elapsed() > PATIENCE {
            return Err(io::Error::other(format!("mosquitto does not listen on port {port}")));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(process)
}

/// Free when it was asked for; nobody else is given it soon.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
