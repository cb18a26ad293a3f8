//! What subscribers hear, and what they never hear.

use serde_json::json;
use simulator::stack::StackEvent;
use simulator::wire::{Packet, QoS, Subscribe, SubscribeReasonCode};

use crate::scene::Scene;

const UP: &str = "v3/app1/devices/dev1/up";

#[tokio::test]
async fn everything_arrives_at_qos_0_whatever_the_suback_granted() {
    let scene = Scene::start().await;
    let mut client = scene.mqtt().await;
    let granted = client.subscribe(&[(UP, QoS::ExactlyOnce), ("v3/+/devices/+/join", QoS::AtLeastOnce)]).await;
    use SubscribeReasonCode::Success;
    assert_eq!(granted, [Success(QoS::ExactlyOnce), Success(QoS::AtLeastOnce)]);
    scene.handle.publish_up("app1", "dev1", &json!({"simulated": true}));
    let Packet::Publish(publish) = client.receive().await else { panic!("expected a publish") };
    assert_eq!((publish.qos, publish.retain, publish.dup), (QoS::AtMostOnce, false, false));
    assert_eq!(&publish.payload[..], br#"{"simulated":true}"#);
}

#[tokio::test]
async fn refused_filters_leave_the_connection_open() {
    let scene = Scene::start().await;
    let mut client = scene.mqtt().await;
    let filters = ["v3/other/#", "$share/group/#", "v3", "#"].map(|filter| (filter, QoS::AtLeastOnce));
    let codes = client.subscribe(&filters).await;
    use SubscribeReasonCode::{Failure, Success};
    assert_eq!(codes, [Failure, Failure, Failure, Success(QoS::AtLeastOnce)]);
    assert!(client.is_quiet().await);
}

#[tokio::test]
async fn a_malformed_filter_closes_the_connection() {
    let scene = Scene::start().await;
    for filter in ["v3/app1/dev#", "v3/app1/de+", ""] {
        let mut client = scene.mqtt().await;
        let mut subscribe = Subscribe::new(filter, QoS::AtMostOnce);
        subscribe.pkid = 1;
        client.send(Packet::Subscribe(subscribe)).await;
        assert!(client.is_closed().await, "{filter}");
    }
}

#[tokio::test]
async fn wide_filters_are_rewritten_and_topics_arrive_in_full() {
    let scene = Scene::with(|config| config.applications[0].tenant = Some("ttn".into())).await;
    let mut events = scene.handle.events();
    let mut client = crate::client::Mqtt::login(scene.stack.mqtt_addr(), "app1@ttn", &scene.key.key).await;
    client.subscribe(&[("#", QoS::AtMostOnce), ("v3/+/devices/+/up", QoS::AtMostOnce)]).await;
    scene.handle.publish_raw("v3/other@ttn/devices/dev1/up", "{}");
    scene.handle.publish_raw("v3/app1@ttn/devices/dev1/up", "{}");
    assert_eq!(client.message().await.0, "v3/app1@ttn/devices/dev1/up");
    let granted = std::iter::from_fn(|| events.try_recv().ok()).find_map(|event| match event {
        StackEvent::Subscribed { filters, .. } => Some(filters),
        _ => None,
    });
    assert_eq!(granted.unwrap(), ["v3/app1@ttn/#", "v3/app1@ttn/devices/+/up"]);
}

#[tokio::test]
async fn overlapping_filters_yield_one_copy() {
    let scene = Scene::start().await;
    let mut client = scene.mqtt().await;
    client.subscribe(&[("#", QoS::AtMostOnce), (UP, QoS::AtMostOnce), ("v3/#", QoS::AtMostOnce)]).await;
    scene.handle.publish_raw(UP, "{}");
    client.message().await;
    assert!(client.is_quiet().await);
}

#[tokio::test]
async fn a_hash_below_up_does_not_hear_up() {
    let scene = Scene::start().await;
    let mut client = scene.mqtt().await;
    client.subscribe(&[("v3/app1/devices/+/up/#", QoS::AtMostOnce)]).await;
    scene.handle.publish_raw(UP, "{}");
    scene.handle.publish_raw("v3/app1/devices/dev1/up/normalized", "{}");
    assert_eq!(client.message().await.0, "v3/app1/devices/dev1/up/normalized");
    assert!(client.is_quiet().await);
}

#[tokio::test]
async fn a_key_without_the_read_right_subscribes_and_hears_nothing() {
    let scene = Scene::with_key(&["RIGHT_APPLICATION_INFO", "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"]).await;
    let mut client = scene.mqtt().await;
    let granted = client.subscribe(&[("#", QoS::AtLeastOnce)]).await;
    assert_eq!(granted, [SubscribeReasonCode::Success(QoS::AtLeastOnce)]);
    scene.handle.publish_raw(UP, "{}");
    assert!(client.is_quiet().await);
}

#[tokio::test]
async fn nothing_is_kept_for_those_who_come_late() {
    let scene = Scene::start().await;
    let mut client = scene.mqtt().await;
    scene.handle.publish_raw(UP, "{}");
    client.subscribe(&[("#", QoS::AtLeastOnce)]).await;
    assert!(client.is_quiet().await);
}

#[tokio::test]
async fn an_unsubscribed_filter_is_silent() {
    let scene = Scene::start().await;
    let mut client = scene.listener().await;
    let mut unsubscribe = rumqttc::Unsubscribe::new("#");
    unsubscribe.pkid = 2;
    client.send(Packet::Unsubscribe(unsubscribe)).await;
    assert!(matches!(client.receive().await, Packet::UnsubAck(_)));
    scene.handle.publish_raw(UP, "{}");
    assert!(client.is_quiet().await);
}

#[tokio::test]
async fn a_slow_reader_loses_single_messages_and_stays_connected() {
    let scene = Scene::with(|config| config.mqtt_buffer = 4).await;
    let mut client = scene.listener().await;
    // No await in between: the connection has no chance to empty its buffer.
    for number in 0..10 {
        scene.handle.publish_raw(UP, number.to_string());
    }
    let mut heard = Vec::new();
    for _ in 0..4 {
        heard.push(client.message().await.1);
    }
    assert_eq!(heard, [json!(0), json!(1), json!(2), json!(3)]);
    assert!(client.is_quiet().await);
    scene.handle.publish_raw(UP, "10");
    assert_eq!(client.message().await.1, json!(10));
}
