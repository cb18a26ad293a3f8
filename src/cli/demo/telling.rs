//! How the demo tells what it sees: one readable line each.

use std::net::SocketAddr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use payload_codecs::devices;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::mqtt::Address;

/// Fields told of one reading: a line is a line.
const MOST_FIELDS: usize = 6;
/// Characters of one value.
const MOST_CHARACTERS: usize = 48;

/// The parts of `<device>/uplink` that are told.
#[derive(Deserialize)]
pub struct Reading {
    pub device: String,
    pub at: jiff::Timestamp,
    pub codec: Option<String>,
    pub codec_error: Option<String>,
    pub fields: Option<Map<String, Value>>,
    pub payload_hex: String,
    pub radio: Radio,
}

#[derive(Deserialize)]
pub struct Radio {
    pub gateways: Vec<Gateway>,
    pub spreading_factor: Option<u8>,
}

#[derive(Deserialize)]
pub struct Gateway {
    pub rssi: f32,
}

/// The parts of `<device>/downlink/state` that are told.
#[derive(Deserialize)]
pub struct Step {
    pub id: String,
    pub state: String,
    pub at: jiff::Timestamp,
    pub reason: Option<String>,
}

pub fn welcome(home: &Address, real: bool, page: Option<SocketAddr>) -> String {
    let (host, port) = home.server().map_or(("localhost", 1883), |server| (&*server.host, server.port));
    let broker = if real { "your home broker" } else { "a simulated home broker" };
    let page = page.map(|page| format!("page  http://{page}/\n")).unwrap_or_default();
    format!(
        "ttn-ferry demo: a look-alike of The Things Network, four simulated LoRaWAN nodes, {broker} at {home},\n\
         and the real bridge between them. Ctrl-C ends it. Meanwhile, in another terminal:\n  \
         mosquitto_sub -h {host} -p {port} -v -t 'ttn/#'\n  \
         mosquitto_pub -h {host} -p {port} -t ttn/mbed-node/set -m '{{\"led\":false}}'\n{page}"
    )
}

pub fn reading(reading: &Reading) -> String {
    let content = match (&reading.fields, &reading.codec_error) {
        (_, Some(error)) => format!("raw {} ({error})", reading.payload_hex),
        (None, None) => format!("raw {}", reading.payload_hex),
        (Some(fields), None) => {
            let device = reading.codec.as_deref().and_then(devices::find);
            let shown: Vec<_> = fields.iter().map(|(name, value)| field(device, name, value)).collect();
            let more = shown.len().saturating_sub(MOST_FIELDS);
            let line = shown[..shown.len() - more].join(", ");
            if more > 0 { format!("{line} and {more} more") } else { line }
        }
    };
    let link = match (reading.radio.gateways.first(), reading.radio.spreading_factor) {
        (Some(best), Some(factor)) => format!("  (SF{factor}, {} dBm)", best.rssi),
        _ => String::new(),
    };
    format!("{}  {:<12} {content}{link}", clock(reading.at), reading.device)
}

pub fn step(device: &str, step: &Step) -> String {
    let reason = step.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}  {device:<12} ◀ downlink {} {}{reason}", clock(step.at), step.id, step.state)
}

pub fn command(device: &str, command: &str) -> String {
    format!("{}  {device:<12} ▶ home commands ttn/{device}/set {command}", clock(Timestamp::now()))
}

pub fn summary(decoded: usize, nodes: usize, acked: bool, reported: bool) -> String {
    let command = match (acked, reported) {
        (true, true) => "the command was acknowledged and shows in the node's report",
        (true, false) => "the command was acknowledged",
        (false, _) => "the command was not acknowledged yet",
    };
    format!("\n{decoded} of {nodes} nodes decoded; {command}.")
}

fn field(device: Option<&devices::Device>, name: &str, value: &Value) -> String {
    let unit = device.and_then(|device| device.field(name)).and_then(|field| field.unit.as_deref());
    let value = match value {
        Value::String(text) => format!("\"{}\"", clip(text)),
        Value::Object(parts) => {
            let parts: Vec<_> = parts.iter().map(|(name, value)| format!("{name} {value}")).collect();
            clip(&parts.join(" "))
        }
        Value::Bool(true) => "on".into(),
        Value::Bool(false) => "off".into(),
        other => clip(&other.to_string()),
    };
    unit.map_or_else(|| format!("{name} {value}"), |unit| format!("{name} {value} {unit}"))
}

fn clip(text: &str) -> String {
    text.chars().take(MOST_CHARACTERS).collect()
}

fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}
