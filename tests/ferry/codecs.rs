//! What becomes of an uplink at its codec's hands: it is published whatever the codec does, and nobody else waits.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{APP, Ferry, uplink};

/// Runs natively for seconds, in the engine's own code, where no limit reaches it; then it ends.
const NATIVE_LOOP: &str = "function decodeUplink(input) {\n  new Array(15e6).sort();\n  return {data: {}};\n}";

#[tokio::test]
async fn a_shipped_codec_decodes_and_normalises() {
    let mut ferry = Ferry::with(|setup| setup.add_device("node", "codec = \"mbed/led-and-sensors\"")).await;
    let mut message = uplink(1, &hex::decode("0834640ce401003c").unwrap());
    message["uplink_message"]["decoded_payload"] = json!({"made by": "the network"});
    ferry.network.handle.publish_up(APP, "node", &message);
    let told = ferry.home.on("ttn/node/uplink").await;
    let fields = json!({"temperature": 21, "humidity": 50, "battery": 3.3, "led": true, "interval": 60});
    assert_eq!((&told["fields"], &told["codec"]), (&fields, &json!("mbed/led-and-sensors")));
    assert_eq!(told["normalized"][0]["air"], json!({"temperature": 21, "relativeHumidity": 50}));
    let state = ferry.home.on("ttn/node").await;
    assert_eq!((&state["temperature"], &state["led"]), (&json!(21), &json!(true)));
    let devices = ferry.home.wait_for("the node's codec", |heard| {
        heard.topic == "ttn/bridge/devices" && heard.json()[0]["codec"]["name"] == "mbed/led-and-sensors"
    });
    let node = &devices.await.json()[0];
    assert_eq!((&node["codec"]["chosen_by"], &node["commands"][0]["field"]), (&json!("configuration"), &json!("led")));
}

#[tokio::test]
async fn cayenne_lpp_needs_no_script() {
    let mut ferry = Ferry::with(|setup| setup.application = "codec = \"cayenne-lpp\"".into()).await;
    ferry.network.up("node", 1, &hex::decode("03670110056700ff").unwrap());
    assert_eq!(ferry.home.on("ttn/node/uplink").await["fields"], json!({"temperature_3": 27.2, "temperature_5": 25.5}));
    ferry.network.up("node", 2, &hex::decode("0374").unwrap());
    let error = ferry.home.on("ttn/node/event/codec_error").await;
    assert!(error["error"].as_str().unwrap().contains("unknown type 116"), "{error}");
}

#[tokio::test]
async fn without_a_codec_the_networks_fields_are_used_and_without_those_the_payload_stays_raw() {
    let mut ferry = Ferry::start().await;
    ferry.network.fixture("uplink-full");
    let told = ferry.home.on("ttn/dev1/uplink").await;
    assert_eq!((&told["codec"], &told["fields"]["temp"]), (&json!("network"), &json!(120)));
    assert_eq!((&told["warnings"], &told["normalized"][0]["air"]["temperature"]), (&json!(["hot"]), &json!(120)));
    ferry.network.up("node", 1, &[0xca, 0xfe]);
    let raw = ferry.home.on("ttn/node/uplink").await;
    assert_eq!((&raw["payload_hex"], raw.get("fields"), raw.get("codec")), (&json!("cafe"), None, None));
}

#[tokio::test]
async fn a_device_finds_its_codec_in_the_folder_and_by_its_product() {
    let script =
        "function decodeUplink(input) { return {data: {first: input.bytes[0], at: input.recvTime.toISOString()}}; }";
    let mut ferry = Ferry::with(|setup| setup.add_codec("node", script)).await;
    ferry.network.up("node", 1, &[42]);
    let told = ferry.home.on("ttn/node/uplink").await;
    assert_eq!(told["fields"], json!({"first": 42, "at": "2026-01-01T00:00:01.000Z"}));
}

#[tokio::test]
async fn a_codec_that_fails_costs_its_own_fields_and_nothing_else() {
    let failing = [
        ("throws", "function decodeUplink(input) {\n  throw new Error('no luck');\n}", "no luck", json!(2)),
        ("nonsense", "function decodeUplink() { return 7; }", "must be an object, not a number", Value::Null),
        ("promise", "async function decodeUplink() { return {data: {}}; }", "not a promise", Value::Null),
        ("reports", "function decodeUplink() { return {errors: ['too short']}; }", "too short", Value::Null),
        ("broken", "function decodeUplink() {\n  return {{;\n}", "does not load", json!(2)),
        ("empty", "", "defines no function", Value::Null),
    ];
    let mut ferry = Ferry::with(|setup| {
        failing.iter().for_each(|(device, script, ..)| setup.add_codec(device, script));
        setup.add_device("good", "codec = \"mbed/lorawan-example\"");
    })
    .await;
    for (device, _, words, line) in &failing {
        ferry.network.up(device, 1, &[1]);
        ferry.network.up("good", 1, b"value is 3");
        let told = ferry.home.on(&format!("ttn/{device}/uplink")).await;
        assert_eq!((&told["payload_hex"], told.get("fields")), (&json!("01"), None), "{device}");
        assert!(told["codec_error"].as_str().unwrap().contains(words), "{device}: {told}");
        let error = ferry.home.on(&format!("ttn/{device}/event/codec_error")).await;
        assert_eq!((&error["codec"], &error["payload_hex"]), (&json!(device), &json!("01")), "{device}");
        assert!(error["error"].as_str().unwrap().contains(words), "{device}: {error}");
        assert_eq!(error["line"], *line, "{device}: {error}");
        ferry.home.on(&format!("ttn/{device}")).await;
    }
    assert_eq!(ferry.home.on("ttn/good/uplink").await["fields"]["value"], 3);
    assert_eq!(ferry.counters.snapshot().codec_errors, failing.len() as u64);
}

#[tokio::test]
async fn a_codec_that_loops_for_ever_rests_and_its_uplinks_keep_their_order() {
    let mut ferry = Ferry::with(|setup| {
        setup.add_codec("looping", "function decodeUplink() { for (;;); }");
        setup.codec_time = "100ms";
    })
    .await;
    for f_cnt in 1..=30 {
        ferry.network.up("looping", f_cnt, &[1]);
    }
    let began = Instant::now();
    let all = ferry.home.wait_for_many(30, "raw uplinks", |heard| heard.topic == "ttn/looping/uplink").await;
    assert!(began.elapsed() < Duration::from_millis(2500), "it rests after a few: {:?}", began.elapsed());
    let order: Vec<_> = all.iter().map(|heard| heard.json()["f_cnt"].as_u64().unwrap()).collect();
    assert_eq!(order, (1..=30).collect::<Vec<_>>());
    assert!(all[0].json()["codec_error"].as_str().unwrap().contains("longer than 100 ms"));
    assert!(all[29].json()["codec_error"].as_str().unwrap().contains("rests"), "{}", all[29].text);
}

#[tokio::test]
async fn a_codec_stuck_in_native_code_is_abandoned_and_nobody_waits_for_it() {
    let mut ferry = Ferry::with(|setup| {
        setup.add_codec("stuck", NATIVE_LOOP);
        setup.codec_time = "100ms";
    })
    .await;
    for f_cnt in 1..=3 {
        ferry.network.up("stuck", f_cnt, &[1]);
    }
    for device in 0..8 {
        ferry.network.up(&format!("node-{device}"), 1, b"raw");
    }
    let all = ferry.home.wait_for_many(3, "raw uplinks", |heard| heard.topic == "ttn/stuck/uplink").await;
    let order: Vec<_> = all.iter().map(|heard| heard.json()["f_cnt"].as_u64().unwrap()).collect();
    assert_eq!(order, [1, 2, 3]);
    let error = all[0].json()["codec_error"].as_str().unwrap().to_owned();
    assert!(error.contains("abandoned"), "{error}");
    ferry
        .home
        .wait_for_many(8, "others", |heard| heard.topic.starts_with("ttn/node-") && heard.topic.ends_with("/uplink"))
        .await;
}
