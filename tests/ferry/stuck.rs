//! Codecs stuck in the engine's own code, where no limit reaches them: the bridge gives up their threads and goes on.
//!
//! The bridge is a process of its own here, so that what is stuck ends with the test.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::UnixDatagram;

use crate::harness::{Heard, Process, Setup, Stage, in_time};

/// Runs natively for longer than any test waits: whatever comes meanwhile did not wait for it.
const NATIVE_LOOP: &str = "function decodeUplink(input) {\n  new Array(1e9).sort();\n  return {data: {}};\n}";
/// What the bridge has for its end.
const GRACE: Duration = Duration::from_secs(15);
/// As many as the bridge gives up before no script runs.
const STUCK: [&str; 4] = ["stuck-1", "stuck-2", "stuck-3", "stuck-4"];

fn add_stuck_codecs(setup: &mut Setup) {
    STUCK.iter().for_each(|device| setup.add_codec(device, NATIVE_LOOP));
    setup.codec_time = "100ms";
}

#[tokio::test]
async fn while_one_codec_is_stuck_all_others_are_decoded_in_their_order() {
    let others: Vec<_> = (0..8).map(|number| format!("node-{number}")).collect();
    let mut stage = Stage::set(|setup| {
        setup.add_codec("stuck", NATIVE_LOOP);
        let script = "function decodeUplink(input) { return {data: {n: input.bytes[0]}}; }";
        others.iter().for_each(|device| setup.add_codec(device, script));
        setup.codec_time = "1s";
    })
    .await;
    let _process = Process::ferry(&stage.configuration());
    stage.network.subscribed().await;
    for f_cnt in 1..=5 {
        stage.network.up("stuck", f_cnt, &[1]);
        others.iter().for_each(|device| stage.network.up(device, f_cnt, &[f_cnt as u8]));
    }
    for topic in others.iter().chain([&"stuck".to_owned()]).map(|device| format!("ttn/{device}/uplink")) {
        let uplinks = stage.home.wait_for_many(5, &topic, |heard| heard.topic == topic).await;
        let told: Vec<_> =
            uplinks.iter().map(|heard| (heard.json()["f_cnt"].clone(), heard.json()["fields"].clone())).collect();
        let fields = |n: u32| if topic == "ttn/stuck/uplink" { json!(null) } else { json!({ "n": n }) };
        assert_eq!(told, (1..=5).map(|n| (json!(n), fields(n))).collect::<Vec<_>>(), "{topic}");
    }
    let error = stage.home.on("ttn/stuck/event/codec_error").await;
    assert_eq!((&error["codec"], &error["payload_hex"]), (&json!("stuck"), &json!("01")));
    assert!(error["error"].as_str().unwrap().contains("abandoned"), "{error}");
}

#[tokio::test]
async fn a_stop_waits_for_no_codec_that_is_stuck() {
    let mut stage = Stage::set(add_stuck_codecs).await;
    let process = Process::ferry(&stage.configuration());
    stage.network.subscribed().await;
    stage.network.up("stuck-1", 1, &[1]);
    stage.home.on("ttn/stuck-1/uplink").await;
    stage.network.up("stuck-2", 1, &[1]);
    // Its device is known before its codec runs.
    let is_seen = |heard: &Heard| heard.topic == "ttn/bridge/event" && heard.json()["device"] == "stuck-2";
    stage.home.wait_for("the second device", is_seen).await;
    let began = Instant::now();
    process.signal("TERM").await;
    let (status, said) = process.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(began.elapsed() < GRACE, "{said}");
    let raw = stage.home.on("ttn/stuck-2/uplink").await;
    assert!(raw["codec_error"].as_str().unwrap().contains("abandoned"), "{raw}");
}

#[tokio::test]
async fn when_too_many_threads_are_lost_no_script_runs_and_the_rest_goes_on() {
    let mut stage = Stage::set(|setup| {
        add_stuck_codecs(setup);
        setup.add_codec("good", "function decodeUplink() { return {data: {}}; }");
        setup.add_device("lpp", "codec = \"cayenne-lpp\"");
    })
    .await;
    let _process = Process::ferry(&stage.configuration());
    stage.network.subscribed().await;
    STUCK.iter().for_each(|device| stage.network.up(device, 1, &[1]));
    let told = stage.home.event("degraded").await;
    assert!(told["hint"].as_str().unwrap().contains("start the bridge again"), "{told}");
    stage.network.up("good", 1, &[1]);
    stage.network.up("lpp", 1, &[3, 103, 1, 16]);
    let raw = stage.home.on("ttn/good/uplink").await;
    assert!(raw["codec_error"].as_str().unwrap().contains("too many codecs"), "{raw}");
    assert_eq!(stage.home.on("ttn/lpp/uplink").await["fields"], json!({"temperature_3": 27.2}));
}

#[tokio::test]
async fn under_systemd_the_bridge_then_stops_cleanly_to_be_started_again() {
    let mut stage = Stage::set(add_stuck_codecs).await;
    let configuration = stage.configuration();
    let notified = configuration.with_file_name("notify");
    let manager = UnixDatagram::bind(&notified).unwrap();
    let process = Process::ferry_under(&notified, &configuration);
    stage.network.subscribed().await;
    STUCK.iter().for_each(|device| stage.network.up(device, 1, &[1]));
    let (status, said) = process.ended().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("no script runs any more"), "{said}");
    assert_eq!(stage.home.all_on("ttn/stuck-4/uplink").len(), 1, "what came was delivered");
    assert_eq!(stage.home.event("degraded").await["type"], "degraded");
    assert_eq!(stage.home.heard().last().unwrap().json(), json!({"state": "offline"}));
    assert!(is_told(&manager, "STOPPING=1").await);
}

/// Whether the service manager was told this; everything was sent already.
async fn is_told(manager: &UnixDatagram, words: &str) -> bool {
    let mut message = [0; 4096];
    in_time(words, async {
        loop {
            let length = manager.recv(&mut message).await.unwrap();
            if String::from_utf8_lossy(&message[..length]).contains(words) {
                return true;
            }
        }
    })
    .await
}
