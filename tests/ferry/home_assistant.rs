//! What Home Assistant is told: of which devices, when, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use simulator::stack::Device;

use crate::harness::{APP, Ferry, Heard, Setup, Stage, uplink};

const PREFIX: &str = "homeassistant/";
const MIGRATE: &str = r#"{"migrate_discovery":true}"#;
/// What the registered device sends: 21 °C, 40 %, 3.3 V, LED on, every 60 s.
const REPORT: [u8; 8] = [0x08, 0x34, 80, 0x0c, 0xe4, 1, 0, 60];
const DEVICE_FORM: &str = "discovery = \"device\"";

/// A stage that can be told another form later.
fn usual(setup: &mut Setup) {
    setup.more = format!("[home_assistant]\n{DEVICE_FORM}\n");
}

/// A device of the registry, with the shipped codec that has fields and commands.
fn register(stage: &Stage, id: &str) {
    let mut device = Device::new(id, [7; 8], [1; 8], [7; 16]);
    device.attributes = [("ferry-codec".to_owned(), "mbed/led-and-sensors".to_owned())].into();
    stage.network.handle.register(APP, device).unwrap();
}

/// An uplink that the network has decoded.
fn decoded(f_cnt: u32, fields: Value) -> Value {
    let mut message = uplink(f_cnt, b"x");
    message["uplink_message"]["decoded_payload"] = fields;
    message
}

/// Whether this announces the device as a whole.
fn announces(device: &str) -> impl Fn(&Heard) -> bool {
    let end = format!("_{device}/config");
    move |heard| {
        heard.topic.starts_with("homeassistant/device/") && heard.topic.ends_with(&end) && !heard.text.is_empty()
    }
}

/// What Home Assistant would find if it started now.
async fn kept(stage: &Stage) -> BTreeMap<String, String> {
    let all = stage.home.broker().retained_all().await.into_iter();
    let text = |payload: bytes::Bytes| String::from_utf8(payload.to_vec()).unwrap();
    all.filter(|(topic, _)| topic.starts_with(PREFIX))
        .map(|(topic, payload)| (topic.to_string(), text(payload)))
        .collect()
}

fn unique_ids<'a>(announcements: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    let id = |entity: &Value| entity["unique_id"].as_str().map(str::to_owned);
    let ids = |announcement: &Value| -> Vec<_> {
        match announcement["components"].as_object() {
            Some(components) => components.values().filter_map(id).collect(),
            None => id(announcement).into_iter().collect(),
        }
    };
    announcements.into_iter().flat_map(ids).collect()
}

#[tokio::test]
async fn a_device_of_the_registry_is_announced_before_its_first_uplink_and_so_is_the_bridge() {
    let stage = Stage::set(usual).await;
    register(&stage, "lamp");
    let mut ferry = Ferry::on(stage).await;
    let lamp = ferry.home.wait_for("the lamp", announces("lamp")).await.json();
    assert_eq!(lamp["components"]["led"]["platform"], "switch", "{lamp}");
    let is_bridge = |heard: &Heard| heard.topic.contains("/ttn_ferry_bridge_");
    let bridge = ferry.home.wait_for("the bridge", is_bridge).await.json();
    assert_eq!(lamp["device"]["via_device"], bridge["device"]["identifiers"][0]);
    assert!(unique_ids([&bridge]).iter().any(|id| id.contains("app1")), "{bridge}");
    ferry.network.up("lamp", 1, &REPORT);
    let has_temperature = |heard: &Heard| announces("lamp")(heard) && heard.text.contains("temperature");
    let lamp = ferry.home.wait_for("its fields", has_temperature).await.json();
    let (temperature, led) = (&lamp["components"]["temperature"], &lamp["components"]["led"]);
    let told = ["platform", "unit_of_measurement", "device_class"].map(|key| temperature[key].as_str().unwrap());
    assert_eq!(told, ["sensor", "°C", "temperature"]);
    assert_eq!(led["platform"], "switch", "the command takes the place of the field of its name");
}

#[tokio::test]
async fn fields_that_nobody_described_are_announced_when_they_are_first_seen() {
    let mut ferry = Ferry::with(usual).await;
    ferry.network.handle.publish_up(APP, "node", &decoded(1, json!({"co2": 400})));
    let first = ferry.home.wait_for("the node", announces("node")).await.json();
    assert!(first["components"]["co2"].is_object() && first["components"]["door"].is_null(), "{first}");
    ferry.home.on("ttn/node/downlink/pending").await;
    ferry.network.handle.publish_up(APP, "node", &decoded(2, json!({"co2": 410, "door": {"open": true}})));
    let has_door = |heard: &Heard| announces("node")(heard) && heard.text.contains("['open']");
    let second = ferry.home.wait_for("the door", has_door).await.json();
    assert!(unique_ids([&second]).is_superset(&unique_ids([&first])), "what was there stays");
}

#[tokio::test]
async fn a_restart_announces_the_same_bytes_and_nothing_in_between() {
    let stage = Stage::set(usual).await;
    register(&stage, "lamp");
    let mut ferry = Ferry::on(stage).await;
    // The registry says which codec it has: before that its uplink would stay raw.
    ferry.home.wait_for("the lamp", announces("lamp")).await;
    ferry.network.subscribed().await;
    ferry.network.up("lamp", 1, &REPORT);
    let has_temperature = |heard: &Heard| announces("lamp")(heard) && heard.text.contains("temperature");
    let lamp = ferry.home.wait_for("its fields", has_temperature).await;
    let (_, mut stage) = ferry.stop().await;
    stage.home.forget();
    let mut ferry = Ferry::on(stage).await;
    ferry.home.wait_for("the lamp", announces("lamp")).await;
    // What it sends now changes nothing of it; that of another device comes with or after whatever it might.
    ferry.network.up("lamp", 2, &REPORT);
    ferry.network.handle.publish_up(APP, "fence", &decoded(1, json!({"co2": 400})));
    ferry.home.wait_for("the other", announces("fence")).await;
    let of_lamp = ferry.home.heard().iter().filter(|heard| heard.topic == lamp.topic);
    let again: BTreeSet<_> = of_lamp.map(|heard| heard.text.clone()).collect();
    assert_eq!(again, BTreeSet::from([lamp.text]));
}

#[tokio::test]
async fn a_renamed_device_keeps_its_topic_and_its_ids() {
    let mut ferry = Ferry::with(usual).await;
    ferry.network.fixture("join");
    ferry.network.handle.publish_up(APP, "dev1", &decoded(1, json!({"co2": 400})));
    let before = ferry.home.wait_for("the device", announces("dev1")).await;
    let mut message = decoded(2, json!({"co2": 401}));
    message["uplink_message"]["attributes"] = json!({"ferry-name": "kitchen/air", "ferry-area": "Kitchen"});
    ferry.network.handle.publish_up(APP, "dev1", &message);
    let renamed = |heard: &Heard| announces("dev1")(heard) && heard.text.contains("kitchen/air");
    let after = ferry.home.wait_for("its new name", renamed).await;
    assert_eq!((&after.topic, unique_ids([&after.json()])), (&before.topic, unique_ids([&before.json()])));
    let device = &after.json()["device"];
    assert_eq!((&device["name"], &device["suggested_area"]), (&json!("kitchen/air"), &json!("Kitchen")));
    assert!(!after.text.contains("ttn/dev1"), "all its topics are new: {}", after.text);
    assert!(ferry.home.heard().iter().all(|heard| heard.topic != after.topic || !heard.text.is_empty()));
}

#[tokio::test]
async fn another_form_is_a_migration_and_none_clears_everything() {
    let stage = Stage::set(usual).await;
    register(&stage, "lamp");
    let mut ferry = Ferry::on(stage).await;
    let whole = ferry.home.wait_for("the lamp", announces("lamp")).await;
    let (_, mut stage) = ferry.stop().await;
    stage.home.forget();
    stage.reconfigure(DEVICE_FORM, "discovery = \"entity\"");
    let mut ferry = Ferry::on(stage).await;
    let emptied = |heard: &Heard| heard.topic == whole.topic && heard.text.is_empty();
    ferry.home.wait_for("the end of the old form", emptied).await;
    let told: Vec<_> = ferry.home.heard().iter().filter(|heard| heard.topic.contains("_lamp/")).cloned().collect();
    assert_eq!((&told[0].topic, told[0].text.as_str()), (&whole.topic, MIGRATE), "before anything else");
    assert!(emptied(told.last().unwrap()), "after everything else");
    let entities: Vec<_> = told[1..told.len() - 1].iter().map(Heard::json).collect();
    assert_eq!(unique_ids(&entities), unique_ids([&whole.json()]));
    assert!(kept(&ferry).await.keys().all(|topic| !topic.starts_with("homeassistant/device/")));
    let (_, mut stage) = ferry.stop().await;
    stage.reconfigure("discovery = \"entity\"", "discovery = \"off\"");
    let mut ferry = Ferry::on(stage).await;
    let last = entities.last().and_then(|entity| entity["unique_id"].as_str()).unwrap().to_owned();
    let empty = |heard: &Heard| heard.topic.starts_with(PREFIX) && heard.text.is_empty();
    // The bridge's own come first.
    ferry.home.wait_for_many(entities.len(), &last, empty).await;
    ferry.counted("everything to be settled", |counts| counts.waiting_at_home == 0).await;
    assert_eq!(kept(&ferry).await, BTreeMap::new());
}

#[tokio::test]
async fn home_assistant_is_told_everything_again_when_it_starts() {
    let mut ferry = Ferry::with(usual).await;
    ferry.network.handle.publish_up(APP, "node", &decoded(1, json!({"co2": 400})));
    let announced = ferry.home.wait_for("the node", announces("node")).await;
    ferry.home.on("ttn/node/downlink/pending").await;
    ferry.home.forget();
    ferry.home.publish("homeassistant/status", "online").await;
    expect_everything(&mut ferry, &announced).await;
}

#[tokio::test]
async fn a_home_broker_that_forgot_everything_is_told_again() {
    let mut ferry = Ferry::with(usual).await;
    ferry.network.handle.publish_up(APP, "node", &decoded(1, json!({"co2": 400})));
    let announced = ferry.home.wait_for("the node", announces("node")).await;
    ferry.home_goes().await;
    ferry.home_comes().await;
    ferry.home.forget();
    expect_everything(&mut ferry, &announced).await;
    assert!(kept(&ferry).await.contains_key(&announced.topic));
}

/// All that Home Assistant shows of the node, and the bridge.
async fn expect_everything(ferry: &mut Ferry, announced: &Heard) {
    let same = |heard: &Heard| heard.topic == announced.topic && heard.text == announced.text;
    ferry.home.wait_for("the announcement", same).await;
    for topic in ["ttn/node", "ttn/node/availability", "ttn/node/downlink/pending", "ttn/bridge/health"] {
        ferry.home.on(topic).await;
    }
}

#[tokio::test]
async fn devices_of_the_same_id_in_two_applications_are_two_devices() {
    let mut ferry = Ferry::with(|setup| {
        usual(setup);
        setup.add_application("garden");
    })
    .await;
    for application in [APP, "garden"] {
        ferry.network.handle.publish_up(application, "node", &decoded(1, json!({"co2": 400})));
    }
    let both = ferry.home.wait_for_many(2, "both nodes", announces("node")).await;
    assert_ne!(both[0].topic, both[1].topic);
    let [first, second] = [0, 1].map(|index| unique_ids([&both[index].json()]));
    assert!(first.is_disjoint(&second) && first.len() == second.len(), "{first:?} {second:?}");
}

/// The look-alike passes on what devices send that its registry does not have: that is a device which was deleted since.
#[tokio::test]
async fn a_device_that_the_network_no_longer_has_goes_and_the_others_stay() {
    let stage = Stage::set(usual).await;
    register(&stage, "lamp");
    let mut ferry = Ferry::on(stage).await;
    ferry.network.subscribed().await;
    ferry.network.handle.publish_up(APP, "node", &decoded(1, json!({"co2": 400})));
    let node = ferry.home.wait_for("the node", announces("node")).await;
    let lamp = ferry.home.wait_for("the lamp", announces("lamp")).await;
    ferry.counted("everything acknowledged", |counts| counts.spooled == 0 && counts.waiting_at_home == 0).await;
    let (_, mut stage) = ferry.stop().await;
    stage.home.forget();
    let mut ferry = Ferry::on(stage).await;
    ferry.home.wait_for("its end", |heard| heard.topic == node.topic && heard.text.is_empty()).await;
    ferry.home.wait_for("the end of its state", |heard| heard.topic == "ttn/node" && heard.text.is_empty()).await;
    ferry.home.wait_for("the lamp", announces("lamp")).await;
    let kept = kept(&ferry).await;
    assert!(!kept.contains_key(&node.topic) && kept.contains_key(&lamp.topic));
}

#[tokio::test]
async fn a_device_that_is_removed_by_request_goes_and_comes_back_whole() {
    let mut ferry = Ferry::with(|setup| {
        usual(setup);
        setup.home = "output = \"both\"\n".into();
    })
    .await;
    ferry.network.handle.publish_up(APP, "node", &decoded(1, json!({"co2": 400})));
    let node = ferry.home.wait_for("the node", announces("node")).await;
    ferry.home.on("ttn/node/co2").await;
    ferry.home.on("ttn/node/downlink/pending").await;
    ferry.home.forget();
    ferry.home.publish("ttn/bridge/request/device/remove", r#"{"device":"node"}"#).await;
    ferry.home.wait_for("its end", |heard| heard.topic == node.topic && heard.text.is_empty()).await;
    ferry.home.wait_for("the end of a field", |heard| heard.topic == "ttn/node/co2" && heard.text.is_empty()).await;
    ferry.home.forget();
    ferry.network.handle.publish_up(APP, "node", &decoded(2, json!({"co2": 400})));
    ferry.home.wait_for("the node", announces("node")).await;
    for topic in ["ttn/node", "ttn/node/co2", "ttn/node/availability"] {
        ferry.home.wait_for(topic, |heard| heard.topic == topic && !heard.text.is_empty()).await;
    }
}
