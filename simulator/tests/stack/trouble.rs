//! Trouble on demand: messages that get lost in silence, faces that fall mute, sessions that vanish, random failures.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use simulator::nodes::Report;
use simulator::stack::{Class, Device, Fault, FaultPlan, HttpFault, StackEvent};
use simulator::wire::{ConnAck, ConnectReturnCode, Packet};

use crate::client::{Mqtt, connect};
use crate::scene::{APP, DEVICE, Scene, device};

fn publish(scene: &Scene, f_cnt: u32) {
    let uplink = json!({"session_key_id": "AQ==", "f_cnt": f_cnt});
    scene.handle.publish_up(APP, DEVICE, &json!({"uplink_message": uplink}));
}

fn item(id: &str) -> Value {
    json!({"f_port": 1, "frm_payload": "AQ==", "correlation_ids": [id]})
}

async fn heard(client: &mut Mqtt) -> Value {
    client.message().await.1["uplink_message"]["f_cnt"].clone()
}

#[tokio::test]
async fn messages_can_be_lost_in_silence_and_are_stored_all_the_same() {
    let scene = Scene::start().await;
    let mut client = scene.listener().await;
    scene.handle.set_fault(Fault::DropSilently { times: 2 });
    (1..=3).for_each(|f_cnt| publish(&scene, f_cnt));
    assert_eq!(heard(&mut client).await, 3);
    assert!(client.is_quiet().await);
    assert_eq!(scene.stored("/packages/storage/uplink_message").await.1.len(), 3);
}

#[tokio::test]
async fn a_mute_face_says_nothing_and_later_all_that_its_buffer_held() {
    let scene = Scene::with(|config| config.mqtt_buffer = 4).await;
    let mut client = scene.listener().await;
    let mut events = scene.handle.events();
    scene.handle.set_fault(Fault::Mute);
    let mut newcomer = Mqtt::open(scene.stack.mqtt_addr()).await;
    newcomer.send(Packet::Connect(connect(APP, &scene.key.key))).await;
    (1..=10).for_each(|f_cnt| publish(&scene, f_cnt));
    // What clients say is heard meanwhile: this comes back as an event, although nothing is acknowledged.
    client.publish("v3/app1/x", simulator::wire::QoS::AtMostOnce, 0, "").await;
    while !matches!(events.recv().await.unwrap(), StackEvent::Received { .. }) {}
    scene.handle.clear_faults();
    for f_cnt in 1..=4 {
        assert_eq!(heard(&mut client).await, f_cnt);
    }
    assert!(client.is_quiet().await);
    let admitted = ConnAck::new(ConnectReturnCode::Success, false);
    assert_eq!(newcomer.receive().await, Packet::ConnAck(admitted));
    assert_eq!(scene.stored("/packages/storage/uplink_message").await.1.len(), 10);
}

#[tokio::test]
async fn nothing_comes_out_of_a_mute_face() {
    let scene = Scene::start().await;
    let mut client = scene.listener().await;
    scene.handle.set_fault(Fault::Mute);
    publish(&scene, 1);
    client.send(Packet::PingReq).await;
    let moment = std::time::Duration::from_millis(50);
    assert!(tokio::time::timeout(moment, client.receive()).await.is_err());
    scene.handle.clear_faults();
    assert_eq!(heard(&mut client).await, 1);
    assert_eq!(client.receive().await, Packet::PingResp);
}

#[tokio::test]
async fn a_forgotten_session_refuses_everything_until_the_next_join() {
    let scene = Scene::start().await;
    let mut node = scene.joined_node().await;
    scene.push(item("lost")).await;
    let mut events = scene.handle.events();
    assert_eq!(scene.handle.forget_session(APP, DEVICE), Some(1));
    assert_eq!(scene.handle.forget_session(APP, DEVICE), None);
    assert!(events.try_recv().is_err(), "the loss was told");
    let refusal = "pkg/applicationserver:no_device_session";
    assert_eq!(scene.push(item("refused")).await.error(), refusal);
    assert_eq!(scene.api("GET /as/applications/app1/devices/dev1/down", Value::Null).await.error(), refusal);
    assert_eq!(node.report(&scene.handle).await, Ok(None));
    assert!(scene.handle.published_uplinks(APP).is_empty());
    node.join(&scene.handle).await.unwrap();
    assert!(scene.handle.queue(APP, DEVICE).is_empty());
    assert_eq!(scene.push(item("taken")).await.status, 200);
}

#[tokio::test]
async fn a_failure_may_hide_that_the_request_was_carried_out() {
    let scene = Scene::start().await;
    scene.joined_node().await;
    scene.handle.set_fault(Fault::StatusAfterActing { status: 502, times: 1 });
    assert_eq!(scene.push(item("done")).await.status, 502);
    assert_eq!(scene.handle.queue(APP, DEVICE).len(), 1);
    assert_eq!(scene.push(item("done too")).await.status, 200);
}

#[tokio::test]
async fn a_failure_can_be_meant_for_some_paths_only() {
    let scene = Scene::start().await;
    scene.joined_node().await;
    scene.handle.set_fault(Fault::StatusFor { path: "/packages/storage", status: 503, times: 1 });
    assert_eq!(scene.push(item("unharmed")).await.status, 200);
    assert_eq!(scene.stored("/packages/storage/join_accept").await.0.status, 503);
    assert_eq!(scene.stored("/packages/storage/join_accept").await.1.len(), 1);
}

#[tokio::test]
async fn a_plan_strikes_downlink_requests_and_nothing_else() {
    let scene = Scene::start().await;
    scene.joined_node().await;
    let list = "GET /as/applications/app1/devices/dev1/down";
    scene.handle.set_fault_plan(FaultPlan::seeded(1).with(HttpFault::QueueFull, 1_000));
    let full = scene.push(item("one")).await;
    assert_eq!((full.status, full.error().as_str()), (429, "pkg/networkserver:downlink_queue_capacity"));
    assert_eq!(scene.api(list, Value::Null).await.status, 200);
    assert_eq!(scene.handle.faults_struck(), BTreeMap::from([(HttpFault::QueueFull, 1)]));
    scene.handle.set_fault_plan(FaultPlan::seeded(1).with(HttpFault::RateLimited, 1_000));
    let limited = scene.push(item("two")).await;
    assert_eq!((limited.status, limited.header("x-rate-limit-retry")), (429, Some("1")));
    scene.handle.set_fault_plan(FaultPlan::seeded(1).with(HttpFault::StatusAfterActing, 1_000));
    assert!(scene.push(item("three")).await.status >= 500);
    assert!(scene.api(list, Value::Null).await.status >= 500);
    assert_eq!(scene.handle.queue(APP, DEVICE).len(), 1);
    assert_eq!(scene.api("GET /auth_info", Value::Null).await.status, 200);
    scene.handle.clear_faults();
    assert_eq!(scene.push(item("four")).await.status, 200);
    assert_eq!(scene.handle.faults_struck(), BTreeMap::from([(HttpFault::StatusAfterActing, 2)]));
}

#[tokio::test]
async fn a_node_tells_how_often_each_downlink_reached_it() {
    let scene = Scene::start().await;
    let mut node = scene.joined_node().await;
    let mut heard = node.heard();
    for payload in ["AQ==", "Ag==", "AQ=="] {
        scene.push(json!({"f_port": 4, "frm_payload": payload})).await;
        node.report(&scene.handle).await.unwrap();
    }
    node.join(&scene.handle).await.unwrap();
    scene.push(json!({"f_port": 5, "frm_payload": "AQ==", "confirmed": true})).await;
    let reception = node.report(&scene.handle).await.unwrap().unwrap();
    assert!(heard.wait_for(4).await);
    assert_eq!([heard.times(4, &[1]), heard.times(4, &[2]), heard.times(5, &[1]), heard.times(5, &[2])], [2, 1, 1, 0]);
    let last = heard.all().pop().unwrap();
    assert_eq!((last.session, last.f_cnt, last.confirmed), (2, reception.f_cnt, true));
    drop(node);
    assert_eq!(heard.all().len(), 4);
    assert!(!heard.wait_for(5).await);
}

#[tokio::test]
async fn a_frame_that_comes_twice_is_heard_once() {
    let scene = Scene::start().await;
    let class_c = Device { class: Class::C, ..device() };
    scene.handle.register(APP, class_c.clone()).unwrap();
    let mut air = scene.handle.listen(class_c.dev_eui).unwrap();
    let mut node = scene.joined_node().await;
    node.send(&scene.handle, Report::unconfirmed(1, *b"x")).await.unwrap();
    scene.push(item("once")).await;
    let frame = air.recv().await.unwrap();
    assert!(node.hear(&frame).is_ok());
    assert!(node.hear(&frame).is_err());
    assert_eq!(node.heard().times(1, &[1]), 1);
}
