//! A switch in Home Assistant: pressed there, followed to the node, and what is shown of it on the way.

use serde_json::{Value, json};

use super::Scene;
use crate::harness::Heard;

#[tokio::test]
async fn a_switch_that_is_pressed_reaches_the_node_and_shows_what_is_pending() {
    let mut scene = Scene::joined_with(|_| {}).await;
    let announced = |heard: &Heard| heard.topic.ends_with("_lamp/config") && heard.text.contains("command_topic");
    let announcement = scene.ferry.home.wait_for("the lamp with its commands", announced).await.json();
    let components = announcement["components"].as_object().unwrap();
    let switch = components.values().find(|component| component["platform"] == "switch").unwrap();
    let pending = switch["json_attributes_topic"].as_str().unwrap();
    wait_for_pending(&mut scene, pending, &json!({"queue": 0, "fields": {}})).await;
    let (topic, payload) = (switch["command_topic"].as_str().unwrap(), switch["payload_on"].as_str().unwrap());
    scene.ferry.home.publish(topic, payload.to_owned()).await;
    wait_for_pending(&mut scene, pending, &json!({"queue": 1, "fields": {"led": true}})).await;
    let is_queued = |heard: &Heard| heard.topic == super::STATE && heard.json()["state"] == "queued";
    scene.ferry.home.wait_for("the push", is_queued).await;
    scene.report().await;
    assert_eq!(scene.heard(), [(15, vec![1])]);
    scene.ferry.home.forget();
    scene.report().await;
    wait_for_pending(&mut scene, pending, &json!({"queue": 0, "fields": {}})).await;
    let state = switch["state_topic"].as_str().unwrap();
    let is_on = |heard: &Heard| heard.topic == state && heard.json()["led"] == true;
    scene.ferry.home.wait_for("the node's own word", is_on).await;
}

async fn wait_for_pending(scene: &mut Scene, topic: &str, wanted: &Value) {
    scene.ferry.home.wait_for(&wanted.to_string(), |heard| heard.topic == topic && heard.json() == *wanted).await;
}
