//! Nodes on the air: joining, reporting, and everything that can become of a downlink.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use simulator::nodes::{Behaviour, CayenneNode, MbedExample, Node, NodeError, Report, RoomSensor, Tracker};
use simulator::stack::{Class, Device, RadioFrame, StackEvent};
use tokio_util::sync::CancellationToken;

use crate::scene::{APP, DEVICE, Scene, device, published, topics};

/// Remembers what it was told.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<Heard>>>);

/// Port and payload.
type Heard = (u8, Vec<u8>);

impl Behaviour for Ear {
    fn uplink(&mut self) -> Report {
        Report::unconfirmed(1, *b"ping")
    }

    fn downlink(&mut self, f_port: u8, payload: &[u8]) {
        self.0.lock().unwrap().push((f_port, payload.to_vec()));
    }
}

#[tokio::test]
async fn a_node_joins_reports_and_its_text_arrives_decrypted() {
    let scene = Scene::start().await;
    let mut listener = scene.listener().await;
    let mut node = scene.joined_node().await;
    let (topic, join) = listener.message().await;
    assert_eq!(topic, "v3/app1/devices/dev1/join");
    for f_cnt in [Value::Null, json!(1), json!(2)] {
        assert_eq!(node.report(&scene.handle).await, Ok(None));
        let (topic, up) = listener.message().await;
        assert_eq!(topic, "v3/app1/devices/dev1/up");
        assert_eq!(up["end_device_ids"]["dev_addr"], join["end_device_ids"]["dev_addr"]);
        let uplink = &up["uplink_message"];
        assert_eq!((&uplink["f_port"], &uplink["f_cnt"]), (&json!(15), &f_cnt));
        assert_eq!(uplink["session_key_id"], join["join_accept"]["session_key_id"]);
        assert!(uplink["frm_payload"].as_str().unwrap().starts_with("RHVtbXkgU2Vuc29yIFZhbHVl"));
    }
}

#[tokio::test]
async fn a_confirmed_downlink_goes_from_queued_to_sent_to_ack() {
    let scene = Scene::start().await;
    let ear = Ear::default();
    let mut node = Node::new(&device(), ear.clone());
    node.join(&scene.handle).await.unwrap();
    let mut events = scene.handle.events();
    scene.push(json!({"f_port": 15, "frm_payload": "AQ==", "confirmed": true, "correlation_ids": ["mine"]})).await;
    let received = node.report(&scene.handle).await.unwrap().unwrap();
    assert!(received.confirmed && !received.pending);
    assert_eq!(*ear.0.lock().unwrap(), [(15, vec![1])]);
    node.report(&scene.handle).await.unwrap();
    let told = published(&mut events);
    let kinds: Vec<_> = told.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(kinds, ["down/queued", "up", "down/sent", "up", "down/ack"]);
    for (topic, message) in told.iter().filter(|(topic, _)| topic != "up") {
        let ids = message["correlation_ids"].as_array().unwrap();
        assert!(ids.contains(&json!("mine")), "{topic}: {ids:?}");
    }
    assert_eq!(told[4].1["downlink_ack"]["confirmed_retry"], json!({"attempt": 1}));
    assert_eq!(told[2].1["downlink_sent"].get("confirmed_retry"), None);
}

#[tokio::test]
async fn a_node_that_never_acknowledges_exhausts_the_attempts() {
    let scene = Scene::start().await;
    let mut node = scene.joined_node().await;
    node.ignore_acks(true);
    let mut events = scene.handle.events();
    let retry = json!({"max_attempts": 2});
    scene.push(json!({"f_port": 1, "frm_payload": "AQ==", "confirmed": true, "confirmed_retry": retry})).await;
    for _ in 0..5 {
        node.report(&scene.handle).await.unwrap();
    }
    let told: Vec<_> = published(&mut events).into_iter().filter(|(topic, _)| topic != "up").collect();
    let kinds: Vec<_> = told.iter().map(|(topic, _)| topic.as_str()).collect();
    let (sent, nack) = ("down/sent", "down/nack");
    // One more transmission than `max_attempts` says; the failure is told before the last `nack`.
    assert_eq!(kinds, ["down/queued", sent, nack, sent, nack, sent, "down/failed", nack]);
    assert_eq!(told[2].1["downlink_nack"]["confirmed_retry"]["attempt"], 1);
    let failed = &told[6].1["downlink_failed"];
    assert_eq!(failed["error"]["name"], "max_retries_reached");
    assert_eq!(failed["downlink"]["confirmed_retry"], json!({"attempt": 3, "max_attempts": 2}));
    assert!(scene.handle.queue(APP, DEVICE).is_empty());
}

#[tokio::test]
async fn a_rejoin_keeps_the_queue_and_encrypts_it_for_the_new_session() {
    let scene = Scene::start().await;
    let ear = Ear::default();
    let mut node = Node::new(&device(), ear.clone());
    node.join(&scene.handle).await.unwrap();
    scene.push(json!({"f_port": 4, "frm_payload": "Kg=="})).await;
    let old = scene.handle.queue(APP, DEVICE);
    let mut events = scene.handle.events();
    node.join(&scene.handle).await.unwrap();
    assert_eq!(topics(&mut events), ["join"]);
    let new = scene.handle.queue(APP, DEVICE);
    assert_eq!(old[0]["correlation_ids"], new[0]["correlation_ids"]);
    assert_ne!(old[0]["session_key_id"], new[0]["session_key_id"]);
    node.report(&scene.handle).await.unwrap();
    assert_eq!(*ear.0.lock().unwrap(), [(4, vec![42])]);
}

#[tokio::test]
async fn a_confirmed_report_is_acknowledged_even_with_nothing_to_say() {
    let scene = Scene::start().await;
    let mut node = scene.joined_node().await;
    let report = Report { confirmed: true, ..Report::unconfirmed(2, *b"x") };
    let answer = node.send(&scene.handle, report.clone()).await.unwrap().unwrap();
    assert!(answer.ack && answer.f_port.is_none());
    scene.push(json!({"f_port": 1, "frm_payload": "AQ=="})).await;
    let answer = node.send(&scene.handle, report).await.unwrap().unwrap();
    assert!(answer.ack && answer.payload == [1]);
}

#[tokio::test]
async fn more_waiting_downlinks_set_fpending_and_leave_one_a_window() {
    let scene = Scene::start().await;
    let mut node = scene.joined_node().await;
    scene.push(json!({"f_port": 1, "frm_payload": "AQ=="})).await;
    scene.push(json!({"f_port": 1, "frm_payload": "Ag=="})).await;
    let mut heard = Vec::new();
    while let Some(received) = node.report(&scene.handle).await.unwrap() {
        heard.push((received.payload[0], received.pending));
    }
    assert_eq!(heard, [(1, true), (2, false)]);
}

#[tokio::test]
async fn a_class_c_node_hears_at_once_but_not_before_its_first_uplink() {
    let scene = Scene::start().await;
    let mut lamp = Device::new("lamp", [7; 8], [0; 8], [7; 16]);
    lamp.class = Class::C;
    scene.handle.register(APP, lamp.clone()).unwrap();
    let mut frames = scene.handle.listen(lamp.dev_eui).unwrap();
    let ear = Ear::default();
    let mut node = Node::new(&lamp, ear.clone());
    node.join(&scene.handle).await.unwrap();
    let push = "POST /as/applications/app1/devices/lamp/down/push";
    let item =
        |payload, confirmed| json!({"downlinks": [{"f_port": 1, "frm_payload": payload, "confirmed": confirmed}]});
    scene.api(push, item("AQ==", false)).await;
    assert!(frames.try_recv().is_err());
    assert_eq!(node.report(&scene.handle).await.unwrap().unwrap().payload, [1]);
    let mut events = scene.handle.events();
    scene.api(push, item("Ag==", true)).await;
    assert_eq!(topics(&mut events), ["down/queued", "down/sent"]);
    assert!(node.hear(&frames.try_recv().unwrap()).unwrap().confirmed);
    node.report(&scene.handle).await.unwrap();
    assert_eq!(topics(&mut events), ["up", "down/ack"]);
    assert_eq!(*ear.0.lock().unwrap(), [(1, vec![1]), (1, vec![2])]);
}

#[tokio::test]
async fn a_running_class_c_node_listens_between_its_reports() {
    let scene = Scene::start().await;
    let mut lamp = Device::new("lamp", [7; 8], [0; 8], [7; 16]);
    lamp.class = Class::C;
    scene.handle.register(APP, lamp.clone()).unwrap();
    let (told, mut heard) = tokio::sync::mpsc::channel(1);
    let mut events = scene.handle.events();
    let stop = CancellationToken::new();
    let node = Node::new(&lamp, Messenger(told));
    let running = node.run(scene.handle.clone(), Duration::from_secs(3600), stop.clone());
    let story = async {
        while !matches!(events.recv().await.unwrap(), StackEvent::Published { ref topic, .. } if topic.ends_with("/up"))
        {
        }
        let body = json!({"downlinks": [{"f_port": 1, "frm_payload": "AQ=="}]});
        scene.api("POST /as/applications/app1/devices/lamp/down/push", body).await;
        assert_eq!(heard.recv().await, Some((1, vec![1])));
        stop.cancel();
    };
    tokio::join!(running, story);
}

/// Passes on what it was told.
struct Messenger(tokio::sync::mpsc::Sender<Heard>);

impl Behaviour for Messenger {
    fn uplink(&mut self) -> Report {
        Report::unconfirmed(1, *b"ping")
    }

    fn downlink(&mut self, f_port: u8, payload: &[u8]) {
        self.0.try_send((f_port, payload.to_vec())).unwrap();
    }
}

#[tokio::test]
async fn a_downlink_too_long_for_the_data_rate_fails_and_the_next_one_goes() {
    let scene = Scene::start().await;
    let mut node = scene.joined_node().await;
    node.set_spreading_factor(12);
    let mut events = scene.handle.events();
    scene.push(json!({"f_port": 1, "frm_payload": "AAAA".repeat(40)})).await;
    scene.push(json!({"f_port": 1, "frm_payload": "AQ=="})).await;
    assert_eq!(node.report(&scene.handle).await.unwrap().unwrap().payload, [1]);
    let told = published(&mut events);
    let failed = told.iter().find(|(topic, _)| topic == "down/failed").unwrap();
    assert_eq!(failed.1["downlink_failed"]["error"]["attributes"], json!({"length": 120, "max": "115"}));
}

#[tokio::test]
async fn a_gateway_that_refuses_fails_the_downlink_for_good() {
    let scene = Scene::start().await;
    let mut node = scene.joined_node().await;
    scene.push(json!({"f_port": 1, "frm_payload": "AQ==", "confirmed": true})).await;
    scene.handle.set_fault(simulator::stack::Fault::TransmissionRefused { result: "TOO_LATE", times: 1 });
    let mut events = scene.handle.events();
    for _ in 0..2 {
        assert_eq!(node.report(&scene.handle).await, Ok(None));
    }
    let told = published(&mut events);
    let kinds: Vec<_> = told.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(kinds, ["up", "down/failed", "up"]);
    assert_eq!(told[1].1["downlink_failed"]["error"]["attributes"], json!({"result": "TOO_LATE"}));
}

#[tokio::test]
async fn a_replayed_join_request_is_ignored() {
    let scene = Scene::start().await;
    let mut creator = lorawan::creator::JoinRequestCreator::new();
    let [mut dev_eui, mut join_eui] = [device().dev_eui, device().join_eui];
    dev_eui.reverse();
    join_eui.reverse();
    creator.set_dev_eui(dev_eui).set_app_eui(join_eui).set_dev_nonce([1, 2]);
    let request = RadioFrame::new(creator.build(&device().app_key.into()).to_vec());
    assert_eq!(scene.handle.transmit(request.clone()).await.map(|accept| accept.len()), Some(17));
    assert_eq!(scene.handle.transmit(request).await, None);
}

#[tokio::test]
async fn strangers_and_wrong_keys_are_ignored() {
    let scene = Scene::start().await;
    let wrong_key = Device::new(DEVICE, device().dev_eui, device().join_eui, [0; 16]);
    let stranger = Device::new("dev9", [9; 8], device().join_eui, device().app_key);
    for device in [wrong_key, stranger] {
        assert!(Node::new(&device, MbedExample::default()).join(&scene.handle).await.is_err());
    }
    let mut node = Node::new(&device(), MbedExample::default());
    assert_eq!(node.report(&scene.handle).await, Err(NodeError::NotJoined));
    assert_eq!(scene.handle.transmit(RadioFrame::new(vec![0x40; 30])).await, None);
    assert_eq!(scene.handle.transmit(RadioFrame::new(Vec::new())).await, None);
}

#[tokio::test]
async fn what_is_pushed_after_the_uplink_still_makes_its_receive_window() {
    let scene = Scene::with(|config| config.receive_delay = Duration::from_millis(500)).await;
    let mut node = scene.joined_node().await;
    let mut events = scene.handle.events();
    let push = async {
        while !matches!(events.recv().await.unwrap(), StackEvent::Published { ref topic, .. } if topic.ends_with("/up"))
        {
        }
        scene.push(json!({"f_port": 1, "frm_payload": "AQ=="})).await
    };
    let (received, pushed) = tokio::join!(node.report(&scene.handle), push);
    assert_eq!(pushed.status, 200);
    assert_eq!(received.unwrap().unwrap().payload, [1]);
}

#[tokio::test]
async fn running_nodes_of_every_kind_join_and_report_until_they_are_stopped() {
    let scene = Scene::start().await;
    let stop = CancellationToken::new();
    let mut events = scene.handle.events();
    let mut running = tokio::task::JoinSet::new();
    for number in 1..=4_u8 {
        let device = Device::new(format!("node{number}"), [number; 8], [0; 8], [number; 16]);
        scene.handle.register(APP, device.clone()).unwrap();
        let node = match number {
            1 => Node::new(&device, MbedExample::default()),
            2 => Node::new(&device, CayenneNode::default()),
            3 => Node::new(&device, RoomSensor::default()),
            _ => Node::new(&device, Tracker::default()),
        };
        running.spawn(node.run(scene.handle.clone(), Duration::from_millis(10), stop.clone()));
    }
    let mut reports = std::collections::BTreeMap::<String, u32>::new();
    while reports.len() < 4 || reports.values().any(|count| *count < 3) {
        match events.recv().await.unwrap() {
            StackEvent::Published { topic, .. } if topic.ends_with("/up") => *reports.entry(topic).or_default() += 1,
            _ => {}
        }
    }
    stop.cancel();
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}
