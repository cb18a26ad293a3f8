//! A device whose payloads the network cannot read: what it carries, and what it leaves to the application.

use serde_json::{Value, json};
use simulator::nodes::{MbedExample, Node};
use simulator::stack::{Device, Fault, Kek, StackEvent};
use tokio::sync::broadcast;

use crate::scene::{APP, DEVICE, Scene, device, published};

fn encrypted() -> Device {
    Device { end_to_end: Some(Kek { label: "as/mykek".into(), key: [0x20; 16] }), ..device() }
}

async fn joined() -> (Scene, Node) {
    let scene = Scene::start().await;
    scene.handle.register(APP, encrypted()).unwrap();
    let mut node = Node::new(&encrypted(), MbedExample::default());
    node.join(&scene.handle).await.unwrap();
    (scene, node)
}

/// The first message published on a topic that ends so.
fn first(events: &mut broadcast::Receiver<StackEvent>, suffix: &str) -> Value {
    let published = published(events);
    let found = published.iter().find(|(end, _)| end == suffix);
    found.map(|(_, message)| message.clone()).unwrap_or_else(|| panic!("no {suffix} in {published:?}"))
}

impl Scene {
    async fn push_number(&self, f_cnt: u32, more: Value) -> (u16, Value) {
        let mut item = json!({"f_port": 1, "frm_payload": "AQI=", "f_cnt": f_cnt});
        item.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        let answer = self.push(item).await;
        (answer.status, answer.body)
    }
}

#[tokio::test]
async fn uplinks_and_joins_carry_the_wrapped_key_and_no_readable_payload() {
    let (scene, mut node) = joined().await;
    let mut events = scene.handle.events();
    node.report(&scene.handle).await.unwrap();
    let up = first(&mut events, "up");
    let up = &up["uplink_message"];
    assert_eq!(up["app_s_key"]["kek_label"], "as/mykek");
    assert_eq!(up["app_s_key"]["encrypted_key"].as_str().unwrap().len(), 32);
    let payload = up["frm_payload"].as_str().unwrap();
    assert!(!payload.starts_with("RHVtbXk"), "it begins with `Dummy`, readable: {payload}");
    node.join(&scene.handle).await.unwrap();
    let join = first(&mut events, "join");
    assert_ne!(join["join_accept"]["app_s_key"]["encrypted_key"], up["app_s_key"]["encrypted_key"]);
}

#[tokio::test]
async fn numbers_and_sessions_that_do_not_fit_are_refused_with_those_that_would() {
    let (scene, _node) = joined().await;
    let (status, body) = scene.push_number(0, json!({})).await;
    assert_eq!((status, &body["details"][0]["name"]), (400, &json!("f_cnt_too_low")));
    assert_eq!(body["details"][0]["details"][0]["min_f_cnt_down"], 1);
    assert_eq!(scene.push_number(5, json!({})).await.0, 200);
    let (status, body) = scene.push_number(6, json!({"session_key_id": "AAAA"})).await;
    assert_eq!((status, &body["details"][0]["name"]), (404, &json!("unknown_session")));
    let hint = &body["details"][0]["details"][0];
    assert_eq!(hint["min_f_cnt_down"], 6);
    assert_eq!(scene.push_number(6, json!({"session_key_id": hint["session_key_id"]})).await.0, 200);
}

#[tokio::test]
async fn what_lost_its_number_or_its_session_is_given_back() {
    let (scene, mut node) = joined().await;
    let mut events = scene.handle.events();
    scene.push_number(1, json!({"correlation_ids": ["mine"]})).await;
    scene.handle.set_fault(Fault::MacCommands { times: 1 });
    assert_eq!(node.report(&scene.handle).await.unwrap().unwrap().f_port, None);
    let lost = first(&mut events, "down/invalidated");
    let lost = &lost["downlink_queue_invalidated"];
    assert_eq!((&lost["last_f_cnt_down"], &lost["downlinks"][0]["f_cnt"]), (&json!(1), &json!(1)));
    assert!(scene.handle.queue(APP, DEVICE).is_empty());
    scene.push_number(2, json!({})).await;
    node.join(&scene.handle).await.unwrap();
    let join = first(&mut events, "join");
    assert_eq!(join["join_accept"]["invalidated_downlinks"][0]["f_cnt"], 2);
}

#[tokio::test]
async fn what_is_not_acknowledged_is_told_and_left_at_that() {
    let (scene, mut node) = joined().await;
    let mut events = scene.handle.events();
    node.ignore_acks(true);
    scene.push_number(1, json!({"confirmed": true})).await;
    assert!(node.report(&scene.handle).await.unwrap().unwrap().confirmed);
    assert_eq!(node.report(&scene.handle).await.unwrap(), None);
    first(&mut events, "down/nack");
    assert!(scene.handle.queue(APP, DEVICE).is_empty());
}
