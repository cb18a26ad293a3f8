//! The network's traffic: many devices, each counting its frames.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use simulator::stack::StackHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::scene::APP;

/// Devices that send.
pub const DEVICES: u32 = 200;
const TICK: Duration = Duration::from_millis(10);

/// Sends so many uplinks a second until all are out. `sent` is told how many, after each handful.
pub async fn send(stack: &StackHandle, all: u32, rate: u32, sent: &tokio::sync::watch::Sender<u32>) {
    let start = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut next = 0;
    while next < all {
        ticks.tick().await;
        let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as u32;
        while next < due.min(all) {
            stack.publish_up(APP, &device(next % DEVICES), &uplink(next));
            next += 1;
        }
        sent.send_replace(next);
    }
}

/// Frames that a device has sent once all are out.
pub fn frames(device: u32, all: u32) -> u32 {
    (all + DEVICES - 1 - device) / DEVICES
}

pub fn device(number: u32) -> String {
    format!("node-{number:03}")
}

fn uplink(number: u32) -> Value {
    let now = Timestamp::now().to_string();
    let gateway = |id: &str, rssi: i32| {
        json!({
            "gateway_ids": { "gateway_id": id, "eui": "AA555A0000000000" }, "time": now, "timestamp": number,
            "rssi": rssi, "channel_rssi": rssi, "snr": 9.5, "received_at": now,
            "uplink_token": "ChEKDwoDZ3cxEgiqVVoAAAAAABC0jqHmBhoMCN2T/8kGEJXX3s4BIKCSr9KOmQMqDAjdk//JBhDAyOPKAQ==",
        })
    };
    json!({
        "end_device_ids": { "device_id": device(number % DEVICES), "application_ids": { "application_id": APP },
            "dev_eui": "70B3D57ED0000001", "dev_addr": "2706F176" },
        "received_at": now,
        "uplink_message": {
            "session_key_id": STANDARD.encode(format!("session-{:08}", number % DEVICES)),
            "f_port": 2,
            "f_cnt": number / DEVICES,
            "frm_payload": STANDARD.encode(number.to_be_bytes()),
            "rx_metadata": [gateway("gw1", -60), gateway("gw2", -90), gateway("gw3", -110)],
            "settings": { "data_rate": { "lora": { "bandwidth": 125_000, "spreading_factor": 7, "coding_rate": "4/5" } },
                "frequency": "868100000" },
            "received_at": now,
            "consumed_airtime": "0.046336s",
        },
    })
}
