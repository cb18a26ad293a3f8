//! Whether a device is there, as the home sees it: on its own topic, in the list of devices, and as an event.

use serde_json::{Value, json};
use simulator::stack::Device;

use crate::harness::{APP, Ferry, Heard, Setup, Stage};

/// Where the one device says whether it is there.
const TOPIC: &str = "ttn/garden/pump/availability";

/// A device that is in the registry, and offline after a second without an uplink.
async fn stage() -> Stage {
    let stage = Stage::set(|setup: &mut Setup| {
        setup.add_device("pump-1", "friendly_name = \"garden/pump\"\noffline_after = \"1s\"");
    })
    .await;
    stage.network.handle.register(APP, Device::new("pump-1", [1; 8], [2; 8], [3; 16])).unwrap();
    stage
}

async fn is_told(ferry: &mut Ferry, state: &str) -> Heard {
    let wanted = json!({ "state": state });
    ferry.home.wait_for(state, |heard| heard.topic == TOPIC && heard.json() == wanted).await
}

/// Waits until the list of devices says so; returns what it says.
async fn is_listed(ferry: &mut Ferry, state: &str) -> Value {
    let of_pump = |heard: &Heard| heard.json()[0].clone();
    let listed = |heard: &Heard| heard.topic == "ttn/bridge/devices" && of_pump(heard)["availability"] == state;
    of_pump(&ferry.home.wait_for("the list of devices", listed).await)
}

#[tokio::test]
async fn a_device_is_offline_until_it_is_heard_and_when_it_falls_silent() {
    let mut ferry = Ferry::on(stage().await).await;
    assert!(is_told(&mut ferry, "offline").await.retain, "for who comes later");
    assert_eq!(is_listed(&mut ferry, "offline").await["last_seen"], Value::Null);
    ferry.network.subscribed().await;
    ferry.home.forget();
    ferry.network.up("pump-1", 1, b"x");
    is_told(&mut ferry, "online").await;
    is_listed(&mut ferry, "online").await;
    let gone = ferry.home.event("device_offline").await;
    assert_eq!((&gone["device"], &gone["device_id"]), (&json!("garden/pump"), &json!("pump-1")));
    assert!(gone["silent_s"].as_u64().is_some_and(|silent| silent >= 1), "{gone}");
    assert_eq!(ferry.home.all_on(TOPIC).last(), Some(&json!({ "state": "offline" })), "told before the event");
    ferry.home.forget();
    ferry.network.up("pump-1", 6, b"x");
    is_told(&mut ferry, "online").await;
    // By the network's clock, which the uplinks name.
    assert_eq!(ferry.home.event("device_online").await["silent_s"], 5);
}

#[tokio::test]
async fn who_was_gone_is_gone_after_a_restart_and_a_broker_without_its_memory_learns_it() {
    let mut ferry = Ferry::on(stage().await).await;
    ferry.network.subscribed().await;
    ferry.network.up("pump-1", 1, b"x");
    is_told(&mut ferry, "online").await;
    ferry.home.event("device_offline").await;
    let (_, mut stage) = ferry.stop().await;
    stage.home_goes().await;
    stage.home.forget();
    stage.home_comes().await;
    let mut ferry = Ferry::on(stage).await;
    is_told(&mut ferry, "offline").await;
    ferry.network.subscribed().await;
    ferry.network.up("pump-1", 2, b"x");
    is_told(&mut ferry, "online").await;
    assert_eq!(ferry.home.all_on(TOPIC)[0]["state"], "offline", "it was not there in between");
}

#[tokio::test]
async fn while_the_home_is_away_who_sends_is_there() {
    let mut ferry = Ferry::with(|_| {}).await;
    ferry.network.up("node", 1, b"x");
    ferry.home.wait_for("it", |heard| heard.topic == "ttn/node/availability").await;
    ferry.home.forget();
    ferry.home_goes().await;
    ferry.network.up("node", 2, b"x");
    ferry.counted("the uplink", |counts| counts.uplinks == 2).await;
    ferry.home_comes().await;
    assert_eq!(ferry.home.on("ttn/node/availability").await["state"], "online");
}
