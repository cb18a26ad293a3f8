//! From the network to home: which message becomes which, in what order, and what the state remembers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{APP, Ferry, Heard, fixtures, uplink};

/// The shipped codec of the stock Mbed OS example, for every device.
const MBED: &str = "codec = \"mbed/lorawan-example\"";

#[tokio::test]
async fn every_captured_uplink_becomes_one_message_and_a_state() {
    let mut ferry = Ferry::start().await;
    let uplinks: Vec<_> = fixtures().into_iter().filter(|fixture| fixture.topic.ends_with("/up")).collect();
    assert!(uplinks.len() >= 14, "{}", uplinks.len());
    for (number, fixture) in uplinks.iter().enumerate() {
        // Each under a device of its own: some were captured from the same session, and would be copies.
        let device = format!("node-{number}");
        ferry.network.publish(&format!("v3/{APP}/devices/{device}/up"), fixture.json.clone());
        let told = ferry.home.on(&format!("ttn/{device}/uplink")).await;
        let sent: Value = serde_json::from_str(&fixture.json).unwrap();
        let (envelope, up) = (&sent, &sent["uplink_message"]);
        let name = &fixture.name;
        let payload = STANDARD.decode(up["frm_payload"].as_str().unwrap_or("")).unwrap();
        assert_eq!(told["payload_hex"], hex::encode(payload), "{name}");
        assert_eq!(told["f_cnt"], up.get("f_cnt").cloned().unwrap_or(json!(0)), "{name}");
        assert_eq!(told["f_port"], up["f_port"], "{name}");
        assert_eq!(told["fields"], up["decoded_payload"], "{name}");
        assert_eq!(told["normalized"], up["normalized_payload"], "{name}");
        assert_eq!(told["codec"], up.get("decoded_payload").map_or(Value::Null, |_| json!("network")), "{name}");
        assert_eq!(told["dev_eui"], envelope["end_device_ids"]["dev_eui"], "{name}");
        assert_eq!((&told["application"], &told["device_id"]), (&json!(APP), &json!(device)), "{name}");
        for (flag, there) in [("simulated", &envelope["simulated"]), ("confirmed", &up["confirmed"])] {
            assert_eq!(told[flag], json!(there == &json!(true)), "{name}: {flag}");
        }
        assert_eq!(told["encrypted"], json!(up.get("app_s_key").is_some()), "{name}");
        assert_eq!(told["radio"]["gateways"].as_array().unwrap().len(), gateways(up), "{name}");
        let state = ferry.home.on(&format!("ttn/{device}")).await;
        assert_eq!(state["last_seen"], told["at"], "{name}");
        for (field, value) in up["decoded_payload"].as_object().into_iter().flatten() {
            assert_eq!(&state[field], value, "{name}: {field}");
        }
    }
}

fn gateways(up: &Value) -> usize {
    up["rx_metadata"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn joins_locations_and_service_data_become_events() {
    let mut ferry = Ferry::start().await;
    for name in ["join", "location-solved", "marshalled-service-data"] {
        ferry.network.fixture(name);
    }
    let join = ferry.home.on("ttn/dev1/event/join").await;
    assert_eq!((&join["dev_addr"], &join["session_key_id"]), (&json!("2706F176"), &json!("AaH7gAt4KgztAJ3E5XyHWA==")));
    assert_eq!(ferry.home.event("device_joined").await["device"], "dev1");
    let solved = ferry.home.on("ttn/dev1/event/location").await;
    assert_eq!((&solved["service"], &solved["location"]["latitude"]), (&json!("frm-payload"), &json!(52.5)));
    let service = ferry.home.on("ttn/dev1/event/service").await;
    assert_eq!((&service["data"]["arr"], &service["data"]["s"]), (&json!([1, "x"]), &json!("é<>&\u{2028}")));
}

#[tokio::test]
async fn reports_of_other_peoples_downlinks_and_normalised_copies_are_passed_over() {
    let mut ferry = Ferry::start().await;
    let others: Vec<_> = fixtures()
        .into_iter()
        .filter(|fixture| fixture.topic.contains("/down/") || fixture.topic.ends_with("/normalized"))
        .collect();
    assert!(others.len() >= 15, "{}", others.len());
    for fixture in others {
        ferry.network.publish(&fixture.topic, fixture.json);
    }
    ferry.network.up("fence", 1, b"x");
    ferry.home.on("ttn/fence/uplink").await;
    let about_devices =
        |heard: &&Heard| !heard.topic.starts_with("ttn/bridge/") && !heard.topic.starts_with("ttn/fence");
    assert_eq!(ferry.home.heard().iter().find(about_devices).map(|heard| &heard.topic), None);
    let events = ferry.home.all_on("ttn/bridge/event");
    assert!(events.iter().all(|event| event["type"] != "unreadable"), "{events:?}");
}

#[tokio::test]
async fn uplinks_of_each_device_keep_their_order() {
    let mut ferry = Ferry::with(|setup| setup.application = MBED.into()).await;
    for f_cnt in 0..40 {
        for device in 0..5 {
            ferry.network.up(&format!("node-{device}"), f_cnt, format!("value is {f_cnt}").as_bytes());
        }
    }
    let all = ferry.home.wait_for_many(200, "uplinks", |heard| heard.topic.ends_with("/uplink")).await;
    for device in 0..5 {
        let topic = format!("ttn/node-{device}/uplink");
        let of_device = all.iter().filter(|heard| heard.topic == topic);
        let values: Vec<_> = of_device.map(|heard| heard.json()["fields"]["value"].as_i64().unwrap()).collect();
        assert_eq!(values, (0..40).collect::<Vec<_>>(), "{topic}");
    }
    assert_eq!(ferry.counters.snapshot().decoded, 200);
}

#[tokio::test]
async fn an_uplink_no_codec_can_read_does_not_overtake_the_decoded_ones_before_it() {
    let mut ferry = Ferry::with(|setup| setup.application = MBED.into()).await;
    let mut mac_only = uplink(21, b"");
    mac_only["uplink_message"].as_object_mut().unwrap().retain(|field, _| field != "f_port");
    for f_cnt in 1..=20 {
        ferry.network.up("node", f_cnt, b"value is 1");
    }
    ferry.network.handle.publish_up(APP, "node", &mac_only);
    let all = ferry.home.wait_for_many(21, "uplinks", |heard| heard.topic == "ttn/node/uplink").await;
    let order: Vec<_> = all.iter().map(|heard| heard.json()["f_cnt"].as_u64().unwrap()).collect();
    assert_eq!(order, (1..=21).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_copy_of_an_uplink_is_published_once() {
    let mut ferry = Ferry::start().await;
    for f_cnt in [1, 1, 2, 1, 2] {
        ferry.network.up("node", f_cnt, &[7]);
    }
    ferry.network.up("node", 3, &[8]);
    let told = ferry.home.wait_for_many(3, "uplinks", |heard| heard.topic == "ttn/node/uplink").await;
    let order: Vec<_> = told.iter().map(|heard| heard.json()["f_cnt"].clone()).collect();
    assert_eq!(order, [1, 2, 3]);
    assert_eq!((ferry.counters.snapshot().duplicates, ferry.counters.snapshot().uplinks), (3, 3));
}

#[tokio::test]
async fn the_state_is_retained_and_merged_and_never_goes_back_in_time() {
    let mut ferry = Ferry::start().await;
    let said = |f_cnt: u32, fields: Value| {
        let mut message = uplink(f_cnt, b"x");
        message["uplink_message"]["decoded_payload"] = fields;
        message
    };
    for (f_cnt, fields) in [(2, json!({"temperature": 20, "led": false})), (3, json!({"led": true, "link": "mine"}))] {
        ferry.network.handle.publish_up(APP, "node", &said(f_cnt, fields));
        ferry
            .home
            .wait_for("a state", |heard| heard.topic == "ttn/node" && heard.json()["link"]["f_cnt"] == f_cnt)
            .await;
    }
    // It comes late, and is published, and changes nothing.
    ferry.network.handle.publish_up(APP, "node", &said(1, json!({"temperature": -99})));
    ferry.network.up("fence", 1, b"x");
    ferry.home.on("ttn/fence").await;
    assert_eq!(ferry.home.all_on("ttn/node/uplink").len(), 3);
    let state = ferry.home.retained("ttn/node").await.unwrap();
    assert_eq!((&state["temperature"], &state["led"], &state["link"]["f_cnt"]), (&json!(20), &json!(true), &json!(3)));
    assert_eq!(state["last_seen"], "2026-01-01T00:00:03Z");
    let retained = ferry.home.broker().retained_all().await;
    assert!(retained.keys().all(|topic| !topic.ends_with("/uplink")), "{:?}", retained.keys());
}

#[tokio::test]
async fn frames_that_never_came_are_told() {
    let mut ferry = Ferry::start().await;
    for f_cnt in [5, 6, 10] {
        ferry.network.up("node", f_cnt, b"x");
    }
    let lost = ferry.home.on("ttn/node/event/lost_frames").await;
    assert_eq!((&lost["missing"], &lost["before_f_cnt"]), (&json!(3), &json!(10)));
    let mut rejoined = uplink(40, b"x");
    rejoined["uplink_message"]["session_key_id"] = json!("bmV3");
    ferry.network.handle.publish_up(APP, "node", &rejoined);
    ferry.home.wait_for("the last", |heard| heard.topic == "ttn/node/uplink" && heard.json()["f_cnt"] == 40).await;
    assert_eq!(ferry.home.all_on("ttn/node/event/lost_frames").len(), 1, "a new session starts anew");
}

#[tokio::test]
async fn two_applications_end_in_one_tree_and_devices_of_one_name_stay_apart() {
    let mut ferry = Ferry::with(|setup| setup.add_application("garden")).await;
    ferry.network.up("node", 1, b"first");
    ferry.home.on("ttn/node/uplink").await;
    ferry.network.handle.publish_up("garden", "node", &uplink(1, b"second"));
    ferry.network.handle.publish_up("garden", "soil", &uplink(1, b"third"));
    let taken = ferry.home.event("name_taken").await;
    assert_eq!((&taken["wanted"], &taken["device"]), (&json!("node"), &json!("garden/node")));
    let second = ferry.home.on("ttn/garden/node/uplink").await;
    assert_eq!((&second["application"], &second["payload_hex"]), (&json!("garden"), &json!(hex::encode("second"))));
    assert_eq!(ferry.home.on("ttn/soil/uplink").await["application"], "garden");
    assert_eq!(ferry.home.all_on("ttn/node/uplink").len(), 1);
}

#[tokio::test]
async fn a_device_goes_by_its_friendly_name_or_its_attribute() {
    let friendly = |device: &str, name: &str| (device.to_owned(), format!("friendly_name = \"{name}\""));
    let mut ferry = Ferry::with(|setup| {
        for (device, name) in [friendly("node-1", "ground floor/kitchen"), friendly("node-2", "Südseite")] {
            setup.add_device(&device, &name);
        }
    })
    .await;
    let mut named = uplink(1, b"x");
    named["uplink_message"]["attributes"] = json!({"ferry-name": "roof/wind"});
    let mut misnamed = uplink(1, b"x");
    misnamed["uplink_message"]["attributes"] = json!({"ferry-name": "a/#"});
    ferry.network.up("node-1", 1, b"x");
    ferry.network.up("node-2", 1, b"x");
    ferry.network.handle.publish_up(APP, "node-3", &named);
    ferry.network.handle.publish_up(APP, "node-4", &misnamed);
    for (topic, id) in [
        ("ttn/ground floor/kitchen/uplink", "node-1"),
        ("ttn/Südseite/uplink", "node-2"),
        ("ttn/roof/wind/uplink", "node-3"),
        ("ttn/node-4/uplink", "node-4"),
    ] {
        assert_eq!(ferry.home.on(topic).await["device_id"], id, "{topic}");
    }
}

#[tokio::test]
async fn simulated_uplinks_are_marked_and_none_is_taken_for_a_copy() {
    let mut ferry = Ferry::start().await;
    ferry.network.fixture("uplink-simulated");
    assert_eq!(ferry.home.on("ttn/dev1/uplink").await["simulated"], true);
    let simulated: Value =
        serde_json::from_str(&fixtures().into_iter().find(|fixture| fixture.name == "uplink-simulated").unwrap().json)
            .unwrap();
    let mut later = simulated.clone();
    later["received_at"] = json!("2026-11-21T00:05:26.107010833Z");
    ferry.network.handle.publish_up(APP, "dev1", &later);
    ferry.home.wait_for_many(2, "uplinks", |heard| heard.topic == "ttn/dev1/uplink").await;
}

#[tokio::test]
async fn a_device_that_joined_before_it_sent_gets_the_name_its_attribute_asks_for() {
    let mut ferry = Ferry::start().await;
    ferry.network.fixture("join");
    ferry.home.on("ttn/dev1/event/join").await;
    let mut message = uplink(1, b"x");
    message["uplink_message"]["attributes"] = json!({"ferry-name": "kitchen/lamp"});
    ferry.network.handle.publish_up(APP, "dev1", &message);
    ferry.home.on("ttn/kitchen/lamp/uplink").await;
    let told = ferry.home.event("device_renamed").await;
    assert_eq!((&told["from"], &told["to"]), (&json!("dev1"), &json!("kitchen/lamp")));
}
