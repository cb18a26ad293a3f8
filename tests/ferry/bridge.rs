//! What the bridge says about itself: presence, information, answers to requests.

use serde_json::{Value, json};
use simulator::stack::Device;
use ttn_ferry::shutdown::Ended;

use crate::harness::{Ferry, Heard, Stage};

#[tokio::test]
async fn online_is_said_first_and_offline_last_and_both_are_retained() {
    let mut ferry = Ferry::start().await;
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/node/uplink").await;
    assert_eq!(ferry.home.retained("ttn/bridge/state").await.unwrap(), json!({"state": "online"}));
    let (ended, mut stage) = ferry.stop().await;
    assert_eq!(ended, Ended::Stopped);
    let last = stage.home.heard().last().unwrap().clone();
    assert_eq!((last.topic.as_str(), last.json()), ("ttn/bridge/state", json!({"state": "offline"})));
    assert_eq!(stage.home.all_on("ttn/bridge/state").len(), 2, "and the last will was not sent");
    assert!(stage.home.heard().iter().filter(|heard| heard.topic == "ttn/bridge/state").all(|heard| heard.retain));
}

#[tokio::test]
async fn info_devices_and_health_are_retained() {
    let mut ferry = Ferry::with(|setup| {
        setup.add_device("known", "friendly_name = \"hall/lamp\"\ncodec = \"mbed/led-and-sensors\"");
    })
    .await;
    ferry.network.fixture("uplink-full");
    let seen = |devices: &Value| devices.as_array().unwrap().iter().any(|device| device["device_id"] == "dev1");
    ferry.home.wait_for("both", |heard| heard.topic == "ttn/bridge/devices" && seen(&heard.json())).await;
    let devices = ferry.home.retained("ttn/bridge/devices").await.unwrap();
    assert_eq!((&devices[0]["name"], &devices[0]["dev_eui"]), (&json!("dev1"), &json!("70B3D57ED0000001")));
    assert_eq!(devices[0]["version_ids"]["model_id"], "the-things-uno");
    assert_eq!(devices[0]["last_seen"], "2026-11-21T00:27:25.418042927Z");
    assert_eq!((&devices[1]["name"], &devices[1]["last_seen"]), (&json!("hall/lamp"), &Value::Null));
    let connected = |info: &Value| info["applications"][0]["connected"] == true;
    ferry.home.wait_for("info", |heard| heard.topic == "ttn/bridge/info" && connected(&heard.json())).await;
    let info = ferry.home.retained("ttn/bridge/info").await.unwrap();
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(info["configuration"]["home"]["base_topic"], "ttn");
    assert_eq!((&info["applications"][0]["name"], &info["applications"][0]["degraded"]), (&json!("app1"), &json!([])));
    ferry.home.wait_for("health", |heard| heard.topic == "ttn/bridge/health").await;
    let health = ferry.home.retained("ttn/bridge/health").await.unwrap();
    for figure in ["spool", "queue", "uptime_s", "memory_bytes"] {
        assert!(health[figure].is_u64(), "{figure}: {health}");
    }
}

#[tokio::test]
async fn requests_are_answered_with_their_transaction() {
    let mut ferry = Ferry::start().await;
    for (request, transaction) in [("info", json!("abc")), ("health", json!(7)), ("devices", json!({"a": [1]}))] {
        let body = json!({ "transaction": transaction }).to_string();
        ferry.home.publish(&format!("ttn/bridge/request/{request}"), body).await;
        let answer = ferry.home.on(&format!("ttn/bridge/response/{request}")).await;
        assert_eq!((&answer["status"], &answer["transaction"]), (&json!("ok"), &transaction), "{request}");
        assert!(!answer["data"].is_null(), "{request}");
    }
    ferry.home.publish("ttn/bridge/request/unheard-of", r#"{"transaction":"t"}"#).await;
    let answer = ferry.home.on("ttn/bridge/response/unheard-of").await;
    assert_eq!((&answer["status"], &answer["transaction"]), (&json!("error"), &json!("t")));
    ferry.home.forget();
    ferry.home.publish("ttn/bridge/request/info", "").await;
    assert_eq!(ferry.home.on("ttn/bridge/response/info").await.get("transaction"), None);
}

#[tokio::test]
async fn a_retained_request_is_ignored() {
    let stage = Stage::set(|_| {}).await;
    stage.home.publish_retained("ttn/bridge/request/info", r#"{"transaction":"old"}"#).await;
    let mut ferry = Ferry::on(stage).await;
    ferry.home.on("ttn/bridge/state").await;
    ferry.home.publish("ttn/bridge/request/info", r#"{"transaction":"new"}"#).await;
    assert_eq!(ferry.home.on("ttn/bridge/response/info").await["transaction"], "new");
}

#[tokio::test]
async fn everything_is_below_the_base_topic() {
    let mut ferry = {
        let stage = Stage::set(|setup| setup.home = "base_topic = \"house/lora\"".into()).await;
        Ferry::on(stage).await
    };
    ferry.home.on("house/lora/bridge/state").await;
    ferry.network.subscribed().await;
    for name in ["join", "uplink-full", "location-solved"] {
        ferry.network.fixture(name);
    }
    ferry.network.publish("v3/app1/devices/dev1/up", "{");
    ferry.home.publish("house/lora/bridge/request/info", "").await;
    ferry.home.on("house/lora/bridge/response/info").await;
    ferry.home.on("house/lora/dev1/uplink").await;
    let (_, mut stage) = ferry.stop().await;
    let strays: Vec<_> = stage.home.heard().iter().filter(|heard| !heard.topic.starts_with("house/lora/")).collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[tokio::test]
async fn a_device_of_the_registry_is_known_before_its_first_uplink() {
    let stage = Stage::set(|_| {}).await;
    let mut device = Device::new("node", [7; 8], [1; 8], [7; 16]);
    device.attributes = [("ferry-name", "hall/lamp"), ("ferry-codec", "mbed/led-and-sensors")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    stage.network.handle.register("app1", device).unwrap();
    let mut ferry = Ferry::on(stage).await;
    let listed = |heard: &Heard| heard.topic == "ttn/bridge/devices" && heard.text.contains("hall/lamp");
    let devices = ferry.home.wait_for("the device", listed).await.json();
    assert_eq!((&devices[0]["device_id"], &devices[0]["dev_eui"]), (&json!("node"), &json!("0707070707070707")));
    ferry.home.publish("ttn/hall/lamp/set", r#"{"led": true}"#).await;
    let step = ferry.home.on("ttn/hall/lamp/downlink/state").await;
    assert_eq!(step["state"], "accepted", "its codec is known too: {step}");
}
