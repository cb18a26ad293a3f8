//! Downlinks published over MQTT: always acknowledged, and mostly silent about what became of them.

use serde_json::json;
use simulator::stack::Rate;
use simulator::wire::{Packet, Publish, QoS};

use crate::client::Mqtt;
use crate::scene::{APP, DEVICE, Scene, device, published, topics};

const PUSH: &str = "v3/app1/devices/dev1/down/push";

/// Publishes at QoS 1, waits for the PUBACK, and returns the topics that came of it.
async fn outcome(scene: &Scene, client: &mut Mqtt, topic: &str, payload: &str) -> Vec<String> {
    let mut events = scene.handle.events();
    client.publish(topic, QoS::AtLeastOnce, 7, payload).await;
    assert!(matches!(client.receive().await, Packet::PubAck(ack) if ack.pkid == 7), "{payload}");
    topics(&mut events)
}

fn one(item: serde_json::Value) -> String {
    json!({"downlinks": [item]}).to_string()
}

#[tokio::test]
async fn a_valid_push_is_queued_and_keeps_its_correlation_id() {
    let scene = Scene::start().await;
    scene.joined_node().await;
    let mut events = scene.handle.events();
    let mut client = scene.mqtt().await;
    let item = json!({"f_port": 7, "frm_payload": "AQ==", "confirmed": true, "correlation_ids": ["mine"]});
    client.publish(PUSH, QoS::AtLeastOnce, 1, &one(item)).await;
    client.receive().await;
    let (topic, message) = published(&mut events).remove(0);
    assert_eq!(topic, "down/queued");
    let queued = &message["downlink_queued"];
    assert_eq!(queued["correlation_ids"][1], "mine");
    assert!(queued["correlation_ids"][0].as_str().unwrap().starts_with("as:downlink:"));
    assert_eq!(queued["confirmed_retry"], json!({"attempt": 1}));
    assert_eq!(message["end_device_ids"].get("dev_addr"), None);
    assert_eq!(scene.handle.queue(APP, DEVICE).len(), 1);
}

#[tokio::test]
async fn everything_that_cannot_be_queued_is_acknowledged_in_silence() {
    let scene = Scene::start().await;
    scene.joined_node().await;
    let mut client = scene.mqtt().await;
    let bad = [
        String::new(),
        "{".into(),
        "[]".into(),
        one(json!({"f_port": 1, "frm_payload": "%%"})),
        one(json!({"f_port": 224, "frm_payload": "AQ=="})),
        one(json!({"f_port": 256, "frm_payload": "AQ=="})),
        one(json!({"f_port": 1})),
        one(json!({"f_port": 1, "frm_payload": ""})),
        one(json!({"f_port": 1, "frm_payload": "AQ==", "correlation_ids": ["x".repeat(101)]})),
        one(json!({"f_port": 1, "frm_payload": "AQ==", "confirmed_retry": {"max_attempts": 33}})),
    ];
    for payload in &bad {
        assert!(outcome(&scene, &mut client, PUSH, payload).await.is_empty(), "{payload}");
    }
    let good = one(json!({"f_port": 1, "frm_payload": "AQ=="}));
    for topic in ["v3/app1/devices/nobody/down/push", "v3/app2/devices/dev1/down/push", "v3/app1/devices/dev1/up", "x"]
    {
        assert!(outcome(&scene, &mut client, topic, &good).await.is_empty(), "{topic}");
    }
    assert!(scene.handle.queue(APP, DEVICE).is_empty());
    assert!(client.is_quiet().await);
}

#[tokio::test]
async fn a_key_without_the_write_right_pushes_in_vain() {
    let scene = Scene::with_key(&["RIGHT_APPLICATION_TRAFFIC_READ"]).await;
    scene.joined_node().await;
    let mut client = scene.mqtt().await;
    let good = one(json!({"f_port": 1, "frm_payload": "AQ=="}));
    assert!(outcome(&scene, &mut client, PUSH, &good).await.is_empty());
}

#[tokio::test]
async fn what_the_servers_refuse_after_validation_is_told_as_failed() {
    let scene = Scene::start().await;
    let mut client = scene.mqtt().await;
    let good = one(json!({"f_port": 1, "frm_payload": "AQ=="}));
    assert_eq!(outcome(&scene, &mut client, PUSH, &good).await, ["down/failed"]);
    scene.joined_node().await;
    let no_port = one(json!({"frm_payload": "AQ=="}));
    assert_eq!(outcome(&scene, &mut client, PUSH, &no_port).await, ["down/failed"]);
    let too_long = one(json!({"f_port": 1, "frm_payload": "AAAA".repeat(81)}));
    assert_eq!(outcome(&scene, &mut client, PUSH, &too_long).await, ["down/failed"]);
    assert_eq!(outcome(&scene, &mut client, PUSH, &good).await, ["down/queued"]);
}

#[tokio::test]
async fn an_unknown_priority_is_queued_as_the_lowest() {
    let scene = Scene::start().await;
    scene.joined_node().await;
    let mut client = scene.mqtt().await;
    let item = one(json!({"f_port": 1, "frm_payload": "AQ==", "priority": "URGENT"}));
    assert_eq!(outcome(&scene, &mut client, PUSH, &item).await, ["down/queued"]);
    assert_eq!(scene.handle.queue(APP, DEVICE)[0].get("priority"), None);
}

#[tokio::test]
async fn replace_swaps_the_queue_and_an_empty_one_clears_it() {
    let scene = Scene::start().await;
    scene.joined_node().await;
    let mut client = scene.mqtt().await;
    let item = |port| json!({"f_port": port, "frm_payload": "AQ=="});
    outcome(&scene, &mut client, PUSH, &json!({"downlinks": [item(1), item(2)]}).to_string()).await;
    let replace = "v3/app1/devices/dev1/down/replace";
    assert_eq!(outcome(&scene, &mut client, replace, &one(item(3))).await, ["down/queued"]);
    let ports: Vec<_> = scene.handle.queue(APP, DEVICE).iter().map(|item| item["f_port"].clone()).collect();
    assert_eq!(ports, [3]);
    assert!(outcome(&scene, &mut client, replace, "{}").await.is_empty());
    assert!(scene.handle.queue(APP, DEVICE).is_empty());
}

#[tokio::test]
async fn a_publish_at_qos_2_counts_once_and_a_repeated_one_at_qos_1_twice() {
    let scene = Scene::start().await;
    scene.joined_node().await;
    let mut client = scene.mqtt().await;
    let good = one(json!({"f_port": 1, "frm_payload": "AQ=="}));
    for _ in 0..2 {
        client.publish(PUSH, QoS::ExactlyOnce, 9, &good).await;
        assert!(matches!(client.receive().await, Packet::PubRec(_)));
    }
    assert_eq!(scene.handle.queue(APP, DEVICE).len(), 1);
    for dup in [false, true] {
        let mut publish = Publish::new(PUSH, QoS::AtLeastOnce, good.as_str());
        (publish.pkid, publish.dup) = (3, dup);
        client.send(Packet::Publish(publish)).await;
        assert!(matches!(client.receive().await, Packet::PubAck(_)));
    }
    assert_eq!(scene.handle.queue(APP, DEVICE).len(), 3);
}

#[tokio::test]
async fn above_the_rate_limit_the_connection_is_closed_without_a_puback_and_reconnecting_does_not_help() {
    let limit = Rate { per_minute: 1, burst: 2 };
    let scene = Scene::with(|config| config.rate.mqtt_downlinks = Some(limit)).await;
    scene.joined_node().await;
    let mut client = scene.mqtt().await;
    let good = one(json!({"f_port": 1, "frm_payload": "AQ=="}));
    for _ in 0..2 {
        assert_eq!(outcome(&scene, &mut client, PUSH, &good).await, ["down/queued"]);
    }
    client.publish(PUSH, QoS::AtLeastOnce, 1, &good).await;
    assert!(client.is_closed().await);
    let mut again = scene.mqtt().await;
    again.publish(PUSH, QoS::AtLeastOnce, 1, &good).await;
    assert!(again.is_closed().await);
    assert_eq!(scene.handle.queue(APP, DEVICE).len(), 2);
}

#[tokio::test]
async fn a_device_of_the_same_id_replaces_the_old_one_with_its_queue() {
    let scene = Scene::start().await;
    scene.joined_node().await;
    scene.push(json!({"f_port": 1, "frm_payload": "AQ=="})).await;
    scene.handle.register(APP, device()).unwrap();
    assert!(scene.handle.queue(APP, DEVICE).is_empty());
    assert!(scene.handle.register("nowhere", device()).is_err());
}
