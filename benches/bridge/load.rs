//! The load: uplinks of 200 devices as The Things Stack v3 publishes them, made beforehand and patched in place.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::wire;

pub const DEVICES: usize = 200;
const RECORDED: &str = include_str!("../../tests/fixtures/tts/uplink-full.json");
/// As all times in the recorded message begin; at least six digits follow.
const SECOND: &str = "2026-11-21T00:27:25.";
/// From here frame counters have seven digits, so that their place never grows.
const FIRST_FRAME: u32 = 1_000_000;
/// Counter and temperature: six bytes are the first eight characters of base64, with nothing of what follows.
const HEAD: usize = 6;

/// One packet for each device.
pub struct Load(Vec<Template>);

struct Template {
    packet: Vec<u8>,
    head: [u8; HEAD],
    head_at: usize,
    frame_at: usize,
    /// The microseconds of every time in the message, so that time goes on (for a million uplinks).
    times_at: Vec<usize>,
}

impl Load {
    pub fn new() -> Self {
        Self((0..DEVICES).map(Template::new).collect())
    }

    /// The uplink with this number: its device's next frame.
    pub fn uplink(&mut self, number: u32) -> &[u8] {
        let devices = DEVICES as u32;
        self.0[(number % devices) as usize].patch(number, FIRST_FRAME + number / devices)
    }

    /// Bytes of a packet, on average.
    pub fn packet_size(&self) -> usize {
        self.0.iter().map(|template| template.packet.len()).sum::<usize>() / DEVICES
    }
}

impl Template {
    fn new(device: usize) -> Self {
        let payload = payload(device);
        let packet =
            wire::publish(&format!("v3/bench@ttn/devices/node-{device}/up"), uplink(device, &payload).as_bytes());
        let find = |key: &str| places(&packet, key).next().expect("`uplink` writes it");
        Self {
            head: payload[..HEAD].try_into().expect("a payload has eleven bytes at least"),
            head_at: find("\"frm_payload\":\""),
            frame_at: find("\"f_cnt\":"),
            times_at: places(&packet, SECOND).collect(),
            packet,
        }
    }

    fn patch(&mut self, number: u32, frame: u32) -> &[u8] {
        self.head[..4].copy_from_slice(&number.to_be_bytes());
        let head = &mut self.packet[self.head_at..self.head_at + HEAD / 3 * 4];
        BASE64_STANDARD.encode_slice(self.head, head).expect("six bytes are eight characters");
        write_digits(&mut self.packet[self.frame_at..self.frame_at + 7], frame);
        for at in &self.times_at {
            write_digits(&mut self.packet[*at..*at + 6], number);
        }
        &self.packet
    }
}

/// 11 to 30 bytes; `codec.js` says what they are.
fn payload(device: usize) -> Vec<u8> {
    let samples = (device % 20) as u8;
    let [high, low] = (device as i16 * 31 - 1500).to_be_bytes();
    let head = [0, 0, 0, 0, high, low, 90 + samples, 0x0c, device as u8, samples & 1, samples];
    head.into_iter().chain((0..samples).map(|sample| sample * 11 + 3)).collect()
}

/// A recorded uplink made this device's: heard by three gateways, without what payload formatters at TTN would add.
fn uplink(device: usize, payload: &[u8]) -> String {
    let mut message: Value = serde_json::from_str(RECORDED).expect("it is recorded JSON");
    let ids = &mut message["end_device_ids"];
    ids["device_id"] = json!(format!("node-{device}"));
    ids["dev_eui"] = json!(format!("70B3D57ED006{device:04X}"));
    ids["dev_addr"] = json!(format!("260B{device:04X}"));
    let up = &mut message["uplink_message"];
    up["f_cnt"] = json!(FIRST_FRAME);
    up["frm_payload"] = json!(BASE64_STANDARD.encode(payload));
    up["rx_metadata"] = (0..3).map(|index| gateway(&up["rx_metadata"][0], index)).collect();
    let extras = ["decoded_", "normalized_", "locations", "version_ids"];
    let fields = up.as_object_mut().expect("it has just been written to");
    fields.retain(|key, _| !extras.iter().any(|extra| key.starts_with(extra)));
    message.to_string()
}

/// The same gateway, a bit further off each time. Whoever owns a gateway decides whether its location is public.
fn gateway(first: &Value, index: i32) -> Value {
    let mut gateway = first.clone();
    gateway["gateway_ids"] = json!({ "gateway_id": format!("gw{index}"), "eui": format!("AA555A000000000{index}") });
    gateway["rssi"] = json!(-60 - 9 * index);
    if index > 0 {
        gateway.as_object_mut().expect("it has just been written to").remove("location");
    }
    gateway
}

/// Where the needle ends, each time.
fn places<'a>(bytes: &'a [u8], needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    (needle.len()..bytes.len()).filter(move |at| bytes[..*at].ends_with(needle.as_bytes()))
}

/// The last digits, as many as there are places.
fn write_digits(places: &mut [u8], mut number: u32) {
    for place in places.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
