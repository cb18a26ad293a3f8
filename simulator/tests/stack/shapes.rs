//! Every message has the keys and JSON types of messages captured from the real stack.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use simulator::nodes::Report;
use simulator::stack::Fault;

use crate::scene::{Scene, published};

/// What only a payload formatter adds, and the memory of positions it decoded.
const FROM_FORMATTERS: [&str; 5] =
    ["decoded_payload", "decoded_payload_warnings", "normalized_payload", "normalized_payload_warnings", "frm-payload"];

fn captured(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tts").join(name);
    serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
}

/// Every path of a message with the type at its end, for example `.uplink_message.f_cnt: number`.
fn shape(message: &Value) -> BTreeSet<String> {
    let mut shape = BTreeSet::new();
    collect(message, String::new(), &mut shape);
    shape
}

fn collect(value: &Value, path: String, shape: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !FROM_FORMATTERS.contains(&name.as_str())) {
                collect(value, format!("{path}.{name}"), shape);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, format!("{path}[]"), shape)),
        Value::String(_) => drop(shape.insert(format!("{path}: string"))),
        Value::Number(_) => drop(shape.insert(format!("{path}: number"))),
        Value::Bool(_) => drop(shape.insert(format!("{path}: boolean"))),
        Value::Null => drop(shape.insert(format!("{path}: null"))),
    }
}

/// The `number`th message under this end of a topic.
fn nth(told: &[(String, Value)], topic: &str, number: usize) -> Value {
    let found = told.iter().filter(|(known, _)| known == topic).nth(number);
    found.unwrap_or_else(|| panic!("no {topic} number {number}")).1.clone()
}

fn assert_same_shape(message: &Value, capture: &str) {
    assert_eq!(shape(message), shape(&captured(capture)), "{capture}\n{message:#}");
}

#[tokio::test]
async fn joins_and_uplinks_look_like_captured_ones() {
    let scene = Scene::start().await;
    let mut events = scene.handle.events();
    let mut node = scene.joined_node().await;
    for _ in 0..2 {
        node.send(&scene.handle, Report::unconfirmed(2, *b"\xf0")).await.unwrap();
    }
    node.send(&scene.handle, Report { confirmed: true, ..Report::unconfirmed(1, *b"\x01") }).await.unwrap();
    node.send(&scene.handle, Report::unconfirmed(1, *b"")).await.unwrap();
    let told = published(&mut events);
    assert_same_shape(&nth(&told, "join", 0), "join.json");
    // The radio reports SNR 0 or RSSI 0 now and then, which vanish; not for these nodes' ranges of RSSI, so only SNR.
    let with_snr = |mut message: Value| {
        message["uplink_message"]["rx_metadata"][0]["snr"] = json!(9.5);
        message
    };
    assert_same_shape(&with_snr(nth(&told, "up", 0)), "uplink-first-no-f_cnt-no-locations.json");
    assert_same_shape(&with_snr(nth(&told, "up", 1)), "uplink-full.json");
    assert_same_shape(&with_snr(nth(&told, "up", 2)), "uplink-confirmed.json");
    assert_same_shape(&with_snr(nth(&told, "up", 3)), "uplink-empty-frm_payload.json");
}

#[tokio::test]
async fn downlink_events_look_like_captured_ones() {
    let scene = Scene::start().await;
    let mut events = scene.handle.events();
    scene.push(json!({"f_port": 1, "frm_payload": "AQ==", "correlation_ids": ["pre"]})).await;
    let mut node = scene.joined_node().await;
    scene.push(json!({"f_port": 3, "frm_payload": "AAAA".repeat(83), "correlation_ids": ["my-corr-5"]})).await;
    node.report(&scene.handle).await.unwrap();
    scene.push(json!({"f_port": 15, "frm_payload": "vu8=", "priority": "NORMAL"})).await;
    node.report(&scene.handle).await.unwrap();
    let retry = json!({"max_attempts": 1});
    scene.push(json!({"f_port": 7, "frm_payload": "AQ==", "confirmed": true, "confirmed_retry": retry})).await;
    node.ignore_acks(true);
    for _ in 0..3 {
        node.report(&scene.handle).await.unwrap();
    }
    scene.push(json!({"f_port": 7, "frm_payload": "AQ==", "confirmed": true})).await;
    node.ignore_acks(false);
    for _ in 0..2 {
        node.report(&scene.handle).await.unwrap();
    }
    scene.push(json!({"f_port": 4, "frm_payload": "AQ=="})).await;
    scene.handle.set_fault(Fault::TransmissionRefused { result: "TOO_LATE", times: 1 });
    node.report(&scene.handle).await.unwrap();
    let told = published(&mut events);
    assert_same_shape(&nth(&told, "down/failed", 0), "down-failed-no-device-session.json");
    assert_same_shape(&nth(&told, "down/failed", 1), "down-failed-application-downlink-too-long.json");
    assert_same_shape(&nth(&told, "down/failed", 2), "down-failed-max-retries-reached.json");
    assert_same_shape(&nth(&told, "down/failed", 3), "down-failed-transmission.json");
    assert_same_shape(&nth(&told, "down/queued", 0), "down-queued-raw.json");
    assert_same_shape(&nth(&told, "down/queued", 2), "down-queued-decoded-confirmed.json");
    assert_same_shape(&nth(&told, "down/sent", 0), "down-sent.json");
    assert_same_shape(&nth(&told, "down/nack", 0), "down-nack.json");
    assert_same_shape(&nth(&told, "down/ack", 0), "down-ack.json");
}
