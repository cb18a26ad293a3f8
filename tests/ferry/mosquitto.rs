//! The home side against a real Mosquitto, and the real binary against both.

use serde_json::{Value, json};
use simulator::stack::Device;

use crate::harness::{APP, Ferry, Heard, Mosquitto, Process, Stage};

#[tokio::test]
async fn uplinks_state_and_presence_reach_mosquitto() {
    let mosquitto = Mosquitto::start().await;
    let mut ferry = Ferry::with(|setup| {
        setup.home_at = Some(mosquitto.address);
        setup.application = "codec = \"mbed/lorawan-example\"".into();
    })
    .await;
    for f_cnt in 0..300 {
        ferry.network.up("node", f_cnt, format!("value is {f_cnt}").as_bytes());
    }
    let all = ferry.home.wait_for_many(300, "uplinks", |heard| heard.topic == "ttn/node/uplink").await;
    let order: Vec<_> = all.iter().map(|heard| heard.json()["fields"]["value"].as_u64().unwrap()).collect();
    assert_eq!(order, (0..300).collect::<Vec<_>>());
    ferry.home.wait_for("the newest state", |heard| heard.topic == "ttn/node" && heard.json()["value"] == 299).await;
    for what in ["info", "devices", "health"] {
        ferry.home.on(&format!("ttn/bridge/{what}")).await;
    }
    ferry.counted("everything acknowledged", |counts| counts.waiting_at_home == 0).await;
    let (_, mut stage) = ferry.stop().await;
    stage
        .home
        .wait_for("the farewell", |heard| heard.topic == "ttn/bridge/state" && heard.text.contains("offline"))
        .await;
    stage.home.reconnect().await;
    let kept = stage.home.wait_for("the state", |heard| heard.topic == "ttn/node").await;
    assert!(kept.retain && kept.json()["value"] == 299, "{kept:?}");
    let presence = stage.home.wait_for("presence", |heard| heard.topic == "ttn/bridge/state").await;
    assert!(presence.retain && presence.json() == json!({"state": "offline"}), "{presence:?}");
}

#[tokio::test]
async fn requests_are_answered_over_mosquitto_and_retained_ones_ignored() {
    let mosquitto = Mosquitto::start().await;
    let stage = Stage::set(|setup| setup.home_at = Some(mosquitto.address)).await;
    stage.home.publish_retained("ttn/bridge/request/health", r#"{"transaction":"old"}"#).await;
    let mut ferry = Ferry::on(stage).await;
    assert_eq!(ferry.home.on("ttn/bridge/state").await["state"], "online");
    ferry.home.publish("ttn/bridge/request/health", r#"{"transaction":"new"}"#).await;
    assert_eq!(ferry.home.on("ttn/bridge/response/health").await["transaction"], "new");
}

#[tokio::test]
async fn an_abrupt_death_leaves_the_last_will() {
    let mosquitto = Mosquitto::start().await;
    let mut stage = Stage::set(|setup| setup.home_at = Some(mosquitto.address)).await;
    let process = Process::ferry(&stage.configuration());
    assert_eq!(stage.home.on("ttn/bridge/state").await["state"], "online");
    process.signal("KILL").await;
    process.ended().await;
    stage
        .home
        .wait_for("the last will", |heard| heard.topic == "ttn/bridge/state" && heard.text.contains("offline"))
        .await;
    stage.home.reconnect().await;
    let kept = stage.home.wait_for("the retained will", |heard| heard.topic == "ttn/bridge/state").await;
    assert!(kept.retain && kept.json() == json!({"state": "offline"}), "{kept:?}");
}

#[tokio::test]
async fn what_comes_while_mosquitto_is_killed_arrives_when_it_is_back() {
    let mosquitto = Mosquitto::start().await;
    let mut ferry = Ferry::with(|setup| setup.home_at = Some(mosquitto.address)).await;
    ferry.network.up("node", 0, b"x");
    ferry.home.on("ttn/node/uplink").await;
    ferry.counted("everything acknowledged", |counts| counts.waiting_at_home == 0).await;
    let place = mosquitto.kill().await;
    for f_cnt in 1..50 {
        ferry.network.up("node", f_cnt, b"x");
    }
    ferry.counted("the uplinks", |counts| counts.uplinks == 50).await;
    let _mosquitto = Mosquitto::again(place).await;
    ferry.home.reconnect().await;
    let last = |f_cnt: u64| {
        move |heard: &crate::harness::Heard| heard.topic == "ttn/node/uplink" && heard.json()["f_cnt"] == f_cnt
    };
    ferry.home.wait_for("the last", last(49)).await;
    let order: Vec<_> =
        ferry.home.all_on("ttn/node/uplink").iter().map(|uplink| uplink["f_cnt"].as_u64().unwrap()).collect();
    assert_eq!(order, (1..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_command_given_while_the_bridge_is_away_waits_for_it_where_the_session_is_kept() {
    for (version, kept) in [("3.1.1", true), ("5", true), ("5", false)] {
        let mosquitto = Mosquitto::start().await;
        let ferry = Ferry::with(|setup| {
            setup.home_at = Some(mosquitto.address);
            setup.home = format!("mqtt_version = \"{version}\"\nkeep_session = {kept}");
            setup.add_device("lamp", "");
        })
        .await;
        let (_, mut stage) = ferry.stop().await;
        // It may still be on its way, and must not be taken for a word of the next bridge.
        let farewell = |heard: &Heard| heard.topic == "ttn/bridge/state" && heard.json()["state"] == "offline";
        stage.home.wait_for("the farewell", farewell).await;
        stage.home.forget();
        let push = |id: &str| json!({"f_port": 1, "payload_hex": "01", "id": id}).to_string();
        stage.home.publish("ttn/lamp/downlink/push", push("early")).await;
        let mut ferry = Ferry::on(stage).await;
        assert_eq!(ferry.home.on("ttn/bridge/state").await["state"], "online");
        ferry.home.publish("ttn/lamp/downlink/push", push("late")).await;
        let is_late = |heard: &Heard| heard.topic == "ttn/lamp/downlink/state" && heard.json()["id"] == "late";
        ferry.home.wait_for("the answer", is_late).await;
        let steps = ferry.home.all_on("ttn/lamp/downlink/state");
        assert_eq!(steps.iter().any(|step| step["id"] == "early"), kept, "{version}: {steps:?}");
    }
}

#[tokio::test]
async fn check_names_the_rights_that_a_home_user_lacks() {
    // Mosquitto acknowledges what its rules make it drop, so only `check` can tell.
    let mosquitto = Mosquitto::with_rights("topic read #\n").await;
    let stage = Stage::set(|setup| setup.home_at = Some(mosquitto.address)).await;
    let (status, said) = Process::ferry_that(&["check", "--connect"], &stage.configuration()).ended().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("acknowledged, and dropped") && said.contains("ttn/#"), "{said}");
}

/// More than Mosquitto sends without an acknowledgement (20).
const COMMANDS: usize = 60;

#[tokio::test]
async fn commands_that_come_around_the_death_of_the_bridge_are_each_taken_once() {
    let mosquitto = Mosquitto::start().await;
    let mut stage = Stage::set(|setup| setup.home_at = Some(mosquitto.address)).await;
    let mut bridge = Process::ferry(&stage.configuration());
    assert_eq!(stage.home.on("ttn/bridge/state").await["state"], "online");
    for number in 0..COMMANDS {
        if number % 20 == 10 {
            // In the middle of some, and away for the rest.
            bridge.signal("KILL").await;
        }
        let command =
            json!({"f_port": 1, "payload_hex": format!("{number:02x}"), "not_before": "2100-01-01T00:00:00Z"});
        stage.home.publish("ttn/lamp/downlink/push", command.to_string()).await;
        if number % 20 == 19 {
            bridge.ended().await;
            bridge = Process::ferry(&stage.configuration());
            stage.home.forget();
            stage.home.on("ttn/bridge/state").await;
        }
    }
    let last =
        |heard: &crate::harness::Heard| heard.topic == "ttn/lamp/downlink/state" && heard.json()["state"] == "held";
    stage.home.wait_for("the last of them", last).await;
    let list = ["downlink", "list", "--json", "--limit", "1000"];
    let mut taken = Vec::new();
    while taken.len() < COMMANDS {
        let (_, said) = Process::ferry_that(&list, &stage.configuration()).ended().await;
        let downlinks = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        taken = downlinks.map(|downlink| downlink["payload_hex"].as_str().unwrap().to_owned()).collect();
    }
    taken.sort();
    let each: Vec<_> = (0..COMMANDS).map(|number| format!("{number:02X}")).collect();
    assert_eq!(taken, each);
}

#[tokio::test]
async fn a_command_that_waited_at_the_broker_is_looked_at_once_the_devices_are_known() {
    let mosquitto = Mosquitto::start().await;
    let mut stage = Stage::set(|setup| setup.home_at = Some(mosquitto.address)).await;
    // Name and codec of this device are told by the network's registry alone.
    let mut device = Device::new("node", [7; 8], [1; 8], [7; 16]);
    device.attributes = [("ferry-name", "lamp"), ("ferry-codec", "mbed/led-and-sensors")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    stage.network.handle.register(APP, device).unwrap();
    let bridge = Process::ferry(&stage.configuration());
    assert_eq!(stage.home.on("ttn/bridge/state").await["state"], "online");
    bridge.signal("KILL").await;
    bridge.ended().await;
    stage.home.publish("ttn/lamp/set", r#"{"led":true}"#).await;
    stage.home.forget();
    let _bridge = Process::ferry(&stage.configuration());
    let first = stage.home.on("ttn/lamp/downlink/state").await;
    assert_eq!(first["state"], "accepted", "{first}");
}
