//! A device whose payloads the network cannot read: everything is as with any other, at home and on the device.

use std::time::Duration;

use serde_json::json;
use simulator::nodes::Node;
use simulator::stack::{Device, Fault, Kek, StackEvent};
use ttn_ferry::shutdown::Ended;

use super::{Lamp, Scene, lamp};
use crate::harness::{APP, Ferry, Heard, Setup};

const KEK: &str = "202122232425262728292A2B2C2D2E2F";

pub fn encrypted() -> Device {
    let key = hex::decode(KEK).unwrap().try_into().unwrap();
    Device { end_to_end: Some(Kek { label: "as/mykek".into(), key }), ..lamp() }
}

pub fn with_kek(setup: &mut Setup) {
    setup.application = "kek = [{ label = \"as/mykek\", key_file = \"kek.key\" }]".into();
    setup.secrets.push(("kek.key".into(), KEK.to_lowercase()));
    setup.log = "trace";
}

async fn joined() -> Scene {
    Scene::joined_as(encrypted(), with_kek).await
}

impl Scene {
    /// The network took a push that nobody waited for yet.
    async fn taken(&mut self) {
        let queued =
            |event: &StackEvent| matches!(event, StackEvent::Published { topic, .. } if topic.ends_with("down/queued"));
        self.ferry.network.wait_for("a push that is taken", queued).await;
    }

    async fn restart(mut self) -> Self {
        let (ended, stage) = self.ferry.stop().await;
        assert_eq!(ended, Ended::Stopped);
        self.ferry = Ferry::on(stage).await;
        self.ferry.network.subscribed().await;
        self
    }
}

#[tokio::test]
async fn uplinks_are_decoded_and_commands_reach_the_devices_application() {
    let mut scene = joined().await;
    let uplink = scene.ferry.home.on("ttn/lamp/uplink").await;
    assert!(uplink["encrypted"] == false && uplink["fields"].is_object(), "{uplink}");
    scene.push(json!({"id": "mine", "fields": {"led": true}, "confirmed": true})).await;
    scene.taken().await;
    let at_network = scene.ferry.network.handle.queue(APP, "lamp");
    assert_ne!(at_network[0]["frm_payload"], "AQ==", "the network sees what it cannot read");
    scene.report().await;
    scene.state("mine", "sent").await;
    scene.report().await;
    scene.state("mine", "acked").await;
    assert_eq!(scene.states("mine"), ["accepted", "queued", "sent", "acked"]);
    assert_eq!(scene.heard(), [(15, vec![1])]);
    scene.ferry.home.publish("ttn/bridge/request/info", "").await;
    scene.ferry.home.on("ttn/bridge/response/info").await;
    let told: String = scene.ferry.home.heard().iter().map(|heard| heard.text.clone()).collect();
    assert!(!told.contains(KEK) && !told.contains(&KEK.to_lowercase()));
}

#[tokio::test]
async fn a_counter_that_the_network_takes_for_itself_costs_nothing() {
    let mut scene = joined().await;
    scene
        .push(json!([{"id": "one", "f_port": 1, "payload_hex": "01"}, {"id": "two", "f_port": 1, "payload_hex": "02"}]))
        .await;
    scene.taken().await;
    scene.taken().await;
    scene.ferry.network.handle.set_fault(Fault::MacCommands { times: 1 });
    assert_eq!(scene.report().await.unwrap().f_port, None);
    scene.taken().await;
    scene.taken().await;
    for _ in 0..2 {
        scene.report().await;
    }
    scene.state("two", "sent").await;
    assert_eq!(scene.states("one"), ["accepted", "queued", "sent"]);
    assert_eq!(scene.heard(), [(1, vec![1]), (1, vec![2])]);
}

#[tokio::test]
async fn a_join_in_between_takes_the_downlink_into_the_new_session() {
    let mut scene = joined().await;
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01"})).await;
    scene.taken().await;
    scene.node.join(&scene.ferry.network.handle.clone()).await.unwrap();
    scene.taken().await;
    scene.report().await;
    scene.state("mine", "sent").await;
    assert_eq!((scene.states("mine").len(), scene.heard()), (3, vec![(1, vec![1])]));
}

#[tokio::test]
async fn after_a_restart_commands_go_out_at_once_even_if_counters_were_used_meanwhile() {
    let mut scene = joined().await.restart().await;
    scene.push(json!({"id": "first", "f_port": 1, "payload_hex": "01"})).await;
    scene.state("first", "queued").await;
    scene.report().await;
    scene.state("first", "sent").await;
    let (ended, stage) = scene.ferry.stop().await;
    assert_eq!(ended, Ended::Stopped);
    stage.network.handle.set_fault(Fault::MacCommands { times: 3 });
    for _ in 0..3 {
        scene.node.report(&stage.network.handle).await.unwrap();
    }
    scene.ferry = Ferry::on(stage).await;
    scene.push(json!({"id": "second", "f_port": 1, "payload_hex": "02"})).await;
    scene.state("second", "queued").await;
    scene.report().await;
    scene.state("second", "sent").await;
    assert_eq!(scene.heard(), [(1, vec![1]), (1, vec![2])]);
}

#[tokio::test]
async fn a_device_beside_it_whose_payloads_the_network_encrypts_is_served_as_ever() {
    let mut scene = joined().await;
    let handle = scene.ferry.network.handle.clone();
    let plain = Device { device_id: "plain".into(), dev_eui: [8; 8], app_key: [8; 16], ..lamp() };
    handle.register(APP, plain.clone()).unwrap();
    let heard = Lamp::default();
    let mut node = Node::new(&plain, heard.clone());
    node.join(&handle).await.unwrap();
    node.report(&handle).await.unwrap();
    assert_eq!(scene.ferry.home.on("ttn/plain/uplink").await["encrypted"], false);
    let push = json!({"id": "plain", "f_port": 1, "payload_hex": "02", "confirmed": true, "attempts": 2});
    scene.ferry.home.publish("ttn/plain/downlink/push", push.to_string()).await;
    scene.taken().await;
    scene.push(json!({"id": "sealed", "f_port": 1, "payload_hex": "01"})).await;
    scene.taken().await;
    let in_queue = |device: &str| handle.queue(APP, device)[0]["frm_payload"].clone();
    assert!(in_queue("plain") == "Ag==" && in_queue("lamp") != "AQ==");
    node.ignore_acks(true);
    for _ in 0..2 {
        node.report(&handle).await.unwrap();
    }
    node.ignore_acks(false);
    node.report(&handle).await.unwrap();
    scene.report().await;
    scene.state("sealed", "sent").await;
    let acked = |heard: &Heard| heard.topic == "ttn/plain/downlink/state" && heard.json()["state"] == "acked";
    scene.ferry.home.wait_for("the acknowledgement", acked).await;
    assert_eq!(heard.heard.lock().unwrap().as_slice(), [(1, vec![2]), (1, vec![2])], "the network itself repeats it");
    assert_eq!(scene.heard(), [(1, vec![1])]);
}

#[tokio::test]
async fn what_is_not_acknowledged_is_sent_again_as_often_as_it_may() {
    let mut scene = joined().await;
    scene.node.ignore_acks(true);
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01", "confirmed": true, "attempts": 2})).await;
    for _ in 0..2 {
        scene.taken().await;
        assert!(scene.report().await.unwrap().confirmed);
        scene.report().await;
    }
    let failed = scene.state("mine", "failed").await;
    assert!(failed["reason"].as_str().unwrap().contains("2 attempts"), "{failed}");
    assert_eq!(scene.states("mine"), ["accepted", "queued", "sent", "nacked", "queued", "sent", "failed"]);
    assert_eq!(scene.heard(), [(1, vec![1]), (1, vec![1])]);
}

#[tokio::test]
async fn without_the_key_it_is_said_once_which_one_is_missing() {
    let mut scene = Scene::joined_as(encrypted(), |_| {}).await;
    scene.report().await;
    let encrypted = |heard: &Heard| heard.topic == "ttn/lamp/uplink" && heard.json()["encrypted"] == true;
    scene.ferry.home.wait_for_many(2, "encrypted uplinks", encrypted).await;
    let missing = |heard: &Heard| heard.topic == "ttn/bridge/event" && heard.text.contains("`as/mykek`");
    let told = scene.ferry.home.wait_for("the label", missing).await.json();
    assert!(told["hint"].as_str().unwrap().contains("kek = "), "{told}");
    assert_eq!(scene.ferry.home.heard().iter().filter(|heard| missing(heard)).count(), 1);
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01"})).await;
    let failed = scene.state("mine", "failed").await;
    assert!(failed["reason"].as_str().unwrap().contains("encrypted end to end"), "{failed}");
}

/// Whatever becomes of requests and reports, the device's application gets it exactly once.
#[tokio::test]
async fn an_unclear_answer_and_a_counter_taken_meanwhile_end_in_one_transmission() {
    let mut scene = joined().await;
    scene.ferry.network.handle.set_fault(Fault::SilentAfterActing { times: 1 });
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01"})).await;
    scene.taken().await;
    scene.ferry.network.handle.set_fault(Fault::MacCommands { times: 1 });
    scene.report().await;
    let pushed_again =
        |event: &StackEvent| matches!(event, StackEvent::Published { topic, .. } if topic.ends_with("down/queued"));
    let again = scene.ferry.network.wait_within(Duration::from_secs(60), "another push", pushed_again);
    again.await;
    for _ in 0..3 {
        scene.report().await;
    }
    scene.state("mine", "sent").await;
    assert_eq!(scene.heard(), [(1, vec![1])]);
}
