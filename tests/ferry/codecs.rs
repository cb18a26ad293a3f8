//! What becomes of an uplink at its codec's hands: it is published whatever the codec does, and nobody else waits.

use serde_json::{Value, json};

use crate::harness::{APP, Ferry, Heard, Process, Stage, uplink};

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
    assert_eq!(state["normalized"], json!({"air": {"temperature": 21, "relativeHumidity": 50}, "battery": 3.3}));
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
    let warnings = json!(["hot", "nw", "measurement 1: `air.relativeHumidity` should be equal or less than `100`"]);
    assert_eq!((&told["warnings"], &told["normalized"][0]["air"]["temperature"]), (&warnings, &json!(120)));
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
    let all = ferry.home.wait_for_many(30, "raw uplinks", |heard| heard.topic == "ttn/looping/uplink").await;
    let order: Vec<_> = all.iter().map(|heard| heard.json()["f_cnt"].as_u64().unwrap()).collect();
    assert_eq!(order, (1..=30).collect::<Vec<_>>());
    // Where the machine gives its thread no time, the watch is there before the engine.
    let ran = |heard: &&Heard| ["longer than 100 ms", "was abandoned"].iter().any(|words| heard.text.contains(words));
    assert!((1..=3).contains(&all.iter().filter(ran).count()), "it rests after a few: {}", all[3].text);
    assert!(all[29].json()["codec_error"].as_str().unwrap().contains("rests"), "{}", all[29].text);
}

#[tokio::test]
async fn measurements_that_no_field_of_a_codec_shows_are_fields_of_their_own() {
    let mut ferry = Ferry::start().await;
    ferry.network.fixture("uplink-full");
    let state = ferry.home.on("ttn/dev1").await;
    assert_eq!(state["normalized"], json!({"air": {"temperature": 120}}));
    let listed = ferry.home.wait_for("what was measured", |heard| {
        heard.topic == "ttn/bridge/devices" && heard.json()[0]["fields"][0]["name"].is_string()
    });
    let field = &listed.await.json()[0]["fields"][0];
    assert_eq!((&field["name"], &field["device_class"]), (&json!("normalized.air.temperature"), &json!("temperature")));
    let (_, stage) = ferry.stop().await;
    let mut ferry = Ferry::on(stage).await;
    ferry.network.subscribed().await;
    ferry.home.forget();
    ferry.network.fixture("join");
    let listed = ferry.home.wait_for("the device again", |heard| {
        heard.topic == "ttn/bridge/devices" && heard.json()[0]["fields"][0]["name"].is_string()
    });
    assert_eq!(listed.await.json()[0]["fields"][0]["name"], "normalized.air.temperature", "it is remembered");
}

#[tokio::test]
async fn measurements_keep_to_the_schema_whatever_a_normalizer_gives() {
    let codec = |normalized: &str| {
        format!(
            "function decodeUplink() {{ return {{data: {{n: 1}}}}; }}\nfunction normalizeUplink() {{ {normalized} }}"
        )
    };
    let mut ferry = Ferry::with(|setup| {
        setup.add_codec("wet", &codec("return {data: {soil: {moisture: 120, temperature: 9}}};"));
        setup.add_codec("odd", &codec("return {data: {air: {smell: 'good'}}};"));
        setup.add_codec("throws", &codec("throw new Error('no luck');"));
        setup.add_codec("implied", "function decodeUplink() { return {data: {air: {co2: 400}}}; }");
    })
    .await;
    let cases = [
        (
            "wet",
            json!([{"soil": {"temperature": 9}}]),
            "measurement 1: `soil.moisture` should be equal or less than `100`",
        ),
        ("odd", Value::Null, "unknown field `air.smell`"),
        ("throws", Value::Null, "no luck"),
        ("implied", json!([{"air": {"co2": 400}}]), ""),
    ];
    for (device, measurements, warning) in cases {
        ferry.network.up(device, 1, &[1]);
        let told = ferry.home.on(&format!("ttn/{device}/uplink")).await;
        assert_eq!((&told["normalized"], told["fields"].is_object()), (&measurements, true), "{device}: {told}");
        assert!(told["warnings"][0].as_str().unwrap_or_default().contains(warning), "{device}: {told}");
        assert_eq!(told.get("codec_error"), None, "{device}");
    }
}

#[tokio::test]
async fn what_a_codec_writes_to_its_console_is_in_the_log() {
    let script = "function decodeUplink(input) { for (;;) { console.log('port', input.fPort); } }";
    let mut stage = Stage::set(|setup| {
        setup.add_codec("node", script);
        setup.codec_time = "200ms";
    })
    .await;
    let process = Process::ferry(&stage.configuration());
    stage.network.subscribed().await;
    stage.network.up("node", 1, &[1]);
    stage.home.on("ttn/node/uplink").await;
    process.signal("TERM").await;
    let (_, said) = process.ended().await;
    let lines = said.lines().filter(|line| line.contains("wrote to its console")).count();
    assert!((1..=1000).contains(&lines) && said.contains("port 2"), "{lines} lines");
}
