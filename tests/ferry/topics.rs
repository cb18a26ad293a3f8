//! Topics as people want them: a topic for each reading, templates, names; and nothing left under the old ones.

use std::time::Duration;

use serde_json::json;
use simulator::nodes::{MbedExample, Node};
use simulator::stack::Device;

use crate::harness::{APP, Ferry, Heard, Home, Setup, Stage, uplink};

/// Temperature and humidity in one byte each, and a lamp.
const CLIMATE: &str = "
function decodeUplink(input) {
  const [temperature, humidity] = input.bytes;
  return { data: { temperature: temperature / 2, air: { humidity }, lights: humidity > 50 } };
}
function encodeDownlink(input) {
  return { fPort: 1, bytes: [input.data.lights ? 1 : 0] };
}";

async fn bridge(change: impl FnOnce(&mut Setup)) -> Ferry {
    let mut ferry = Ferry::on(Stage::set(change).await).await;
    ferry.network.subscribed().await;
    ferry.home.wait_for("the bridge to be online", |heard| heard.topic.ends_with("/bridge/state")).await;
    ferry
}

/// A bridge with one device that has the codec above.
fn climate(setup: &mut Setup, home: &str, device: &str) {
    setup.home = home.into();
    setup.add_device("node-1", device);
    setup.add_codec("node-1", CLIMATE);
}

async fn text(home: &mut Home, topic: &str) -> String {
    home.wait_for(topic, |heard| heard.topic == topic).await.text
}

async fn emptied(home: &mut Home, topic: &str) {
    home.wait_for(&format!("{topic} to be emptied"), |heard| is_emptied(heard, topic)).await;
}

fn is_emptied(heard: &Heard, topic: &str) -> bool {
    heard.topic == topic && heard.text.is_empty() && heard.retain
}

async fn is_kept(home: &Home, topic: &str) -> bool {
    home.broker().retained(topic).await.is_some_and(|payload| !payload.is_empty())
}

#[tokio::test]
async fn a_living_room_has_a_topic_for_each_reading() {
    let mut ferry = bridge(|setup| {
        let lines = "base_topic = \"home\"\noutput = \"attribute\"\nthrottle = \"0s\"";
        climate(setup, lines, "friendly_name = \"living_room\"");
    })
    .await;
    ferry.network.up("node-1", 1, &[41, 40]);
    assert_eq!(text(&mut ferry.home, "home/living_room/temperature").await, "20.5");
    assert_eq!(text(&mut ferry.home, "home/living_room/air/humidity").await, "40");
    assert_eq!(text(&mut ferry.home, "home/living_room/lights").await, "false");
    assert_eq!(text(&mut ferry.home, "home/living_room/link/f_cnt").await, "1");
    text(&mut ferry.home, "home/living_room/last_seen").await;
    ferry.home.forget();
    ferry.network.up("node-1", 2, &[41, 60]);
    assert_eq!(text(&mut ferry.home, "home/living_room/air/humidity").await, "60");
    assert_eq!(text(&mut ferry.home, "home/living_room/lights").await, "true");
    text(&mut ferry.home, "home/living_room/link/f_cnt").await;
    let told = |topic: &str, heard: &[Heard]| heard.iter().any(|heard| heard.topic == topic);
    assert!(!told("home/living_room/temperature", ferry.home.heard()), "it did not change");
    assert!(!told("home/living_room", ferry.home.heard()), "there is no state as one object");
    assert!(is_kept(&ferry.home, "home/living_room/temperature").await);
}

#[tokio::test]
async fn a_command_arrives_under_the_templates_of_the_home_and_is_answered_there() {
    let mut ferry = bridge(|setup| {
        (setup.stack.deduplication, setup.stack.receive_delay) = (Duration::ZERO, Duration::ZERO);
        setup.home = "set_topic = \"cmnd/{{ device_id }}\"\nset_field_topic = \"home/{{ name }}/{{ field }}/set\"\n\
                      downlink_topic = \"{{ base }}/{{ name }}/down/{{ verb }}\""
            .into();
        setup.add_device("lamp", "codec = \"mbed/lorawan-example\"\nfriendly_name = \"living_room\"");
    })
    .await;
    let device = Device::new("lamp", [7; 8], [1; 8], [7; 16]);
    ferry.network.registry_read().await;
    ferry.network.handle.register(APP, device.clone()).unwrap();
    let mut node = Node::new(&device, MbedExample::default());
    node.join(&ferry.network.handle).await.unwrap();
    node.report(&ferry.network.handle).await.unwrap();
    ferry.home.on("ttn/living_room/uplink").await;
    for (topic, payload, byte) in
        [("cmnd/lamp", r#"{"led": true}"#, 1), ("cmnd/lamp/led", "false", 0), ("home/living_room/led/set", "true", 1)]
    {
        ferry.home.forget();
        ferry.home.publish(topic, payload).await;
        let is_queued =
            |heard: &Heard| heard.topic == "ttn/living_room/down/state" && heard.json()["state"] == "queued";
        ferry.home.wait_for(&format!("{topic} to be queued"), is_queued).await;
        let received = node.report(&ferry.network.handle).await.unwrap().unwrap();
        assert_eq!(received.payload, [byte], "{topic}");
    }
    ferry.home.publish("cmnd/stranger_", "{}").await;
    let refused = ferry.home.on("ttn/stranger_/down/state").await;
    assert_eq!(refused["reason"], "no device is called `stranger_`");
}

#[tokio::test]
async fn options_of_one_device_go_over_the_defaults() {
    let mut ferry = bridge(|setup| {
        climate(setup, "output = \"both\"", "output = \"json\"\nretain = false");
        setup.add_device("node-2", "friendly_name = \"two\"");
        setup.add_codec("node-2", CLIMATE);
    })
    .await;
    ferry.network.up("node-1", 1, &[41, 40]);
    ferry.network.up("node-2", 1, &[42, 40]);
    assert_eq!(ferry.home.on("ttn/node-1").await["temperature"], json!(20.5));
    assert_eq!(ferry.home.on("ttn/two").await["temperature"], json!(21));
    assert_eq!(text(&mut ferry.home, "ttn/two/temperature").await, "21");
    assert!(!ferry.home.heard().iter().any(|heard| heard.topic == "ttn/node-1/temperature"));
    assert!(is_kept(&ferry.home, "ttn/two").await && !is_kept(&ferry.home, "ttn/node-1").await);
}

#[tokio::test]
async fn what_was_retained_under_an_old_name_goes_and_the_state_comes_under_the_new_one() {
    let mut ferry = bridge(|setup| setup.home = "output = \"both\"".into()).await;
    ferry.network.up("node-1", 1, b"x");
    ferry.home.on("ttn/node-1").await;
    text(&mut ferry.home, "ttn/node-1/last_seen").await;
    let mut named = uplink(2, b"x");
    named["uplink_message"]["attributes"] = json!({"ferry-name": "hall/lamp"});
    ferry.network.handle.publish_up(APP, "node-1", &named);
    ferry.home.on("ttn/hall/lamp").await;
    for old in ["ttn/node-1", "ttn/node-1/last_seen", "ttn/node-1/link/f_cnt"] {
        emptied(&mut ferry.home, old).await;
        assert!(!is_kept(&ferry.home, old).await, "{old}");
    }
    assert!(is_kept(&ferry.home, "ttn/hall/lamp").await);
    assert!(is_kept(&ferry.home, "ttn/hall/lamp/last_seen").await);
}

#[tokio::test]
async fn what_changed_while_the_bridge_was_off_leaves_nothing_behind_either() {
    let mut ferry = bridge(|setup| climate(setup, "output = \"both\"", "friendly_name = \"kitchen\"")).await;
    ferry.network.up("node-1", 1, &[41, 40]);
    text(&mut ferry.home, "ttn/kitchen/temperature").await;
    ferry.home.on("ttn/kitchen/uplink").await;
    let (_, mut stage) = ferry.stop().await;
    stage.reconfigure("friendly_name = \"kitchen\"", "friendly_name = \"cellar\"\noutput = \"json\"");
    stage.home.forget();
    let mut ferry = Ferry::on(stage).await;
    assert_eq!(ferry.home.on("ttn/cellar").await["temperature"], json!(20.5), "it is known from before");
    for old in ["ttn/kitchen", "ttn/kitchen/temperature", "ttn/kitchen/air/humidity"] {
        emptied(&mut ferry.home, old).await;
    }
    let (_, mut stage) = ferry.stop().await;
    stage.reconfigure("[home]\n", "[home]\nstate_topic = \"{{ base }}/states/{{ name }}\"\n");
    stage.home.forget();
    let mut ferry = Ferry::on(stage).await;
    emptied(&mut ferry.home, "ttn/cellar").await;
    assert_eq!(ferry.home.on("ttn/states/cellar").await["temperature"], json!(20.5));
    assert!(!ferry.home.heard().iter().any(|heard| heard.text.is_empty() && heard.topic.contains("kitchen")), "once");
}

#[tokio::test]
async fn a_field_that_is_none_any_more_goes() {
    let script = "function decodeUplink(input) {
        return { data: input.bytes[0] > 1 ? { door: { open: true } } : { door: false, uplink: 1 } };
    }";
    let mut ferry = bridge(|setup| {
        (setup.home, setup.log) = ("output = \"attribute\"\nthrottle = \"0s\"".into(), "info");
        setup.add_codec("node-1", script);
    })
    .await;
    ferry.network.up("node-1", 1, &[1]);
    assert_eq!(text(&mut ferry.home, "ttn/node-1/door").await, "false");
    ferry.network.up("node-1", 2, &[2]);
    assert_eq!(text(&mut ferry.home, "ttn/node-1/door/open").await, "true");
    emptied(&mut ferry.home, "ttn/node-1/door").await;
    let uplinks = ferry.home.all_on("ttn/node-1/uplink");
    assert!(uplinks.iter().all(|uplink| uplink["f_cnt"].is_u64()), "no field falls among them: {uplinks:?}");
}

#[tokio::test]
async fn a_field_where_another_device_is_called_so_leaves_that_one_its_topics() {
    let script = "function decodeUplink() { return { data: { a: { level: 5, uplink: 6 }, b: 7 } }; }";
    let mut ferry = bridge(|setup| {
        (setup.home, setup.log) = ("output = \"both\"\nthrottle = \"0s\"".into(), "info");
        setup.add_device("node-1", "friendly_name = \"lamp\"");
        setup.add_codec("node-1", script);
        setup.add_codec("node-2", "function decodeUplink() { return { data: { level: 9 } }; }");
    })
    .await;
    ferry.network.up("node-1", 1, b"x");
    assert_eq!(text(&mut ferry.home, "ttn/lamp/a/level").await, "5");
    ferry.home.on("ttn/lamp/uplink").await;
    // The neighbour comes: what was the first one's field is that one's now.
    let mut named = uplink(1, b"x");
    named["uplink_message"]["attributes"] = json!({"ferry-name": "lamp/a"});
    ferry.home.forget();
    ferry.network.handle.publish_up(APP, "node-2", &named);
    ferry.home.on("ttn/lamp/a").await;
    // Its state goes again once.
    ferry.home.on("ttn/lamp").await;
    ferry.home.forget();
    ferry.network.up("node-1", 2, b"x");
    ferry.network.up("node-2", 2, b"x");
    ferry.home.on("ttn/lamp/uplink").await;
    ferry.home.on("ttn/lamp/a/uplink").await;
    text(&mut ferry.home, "ttn/lamp/a/link/f_cnt").await;
    let told = ferry.home.heard().iter().filter(|heard| heard.topic == "ttn/lamp/a/level");
    assert!(told.clone().all(|heard| heard.text == "9"), "{:?}", told.collect::<Vec<_>>());
    assert!(ferry.home.broker().retained("ttn/lamp/a/level").await.is_some_and(|kept| kept[..] == b"9"[..]));
    assert!(ferry.home.all_on("ttn/lamp/a/uplink").iter().all(|uplink| uplink["f_cnt"].is_u64()));
}
