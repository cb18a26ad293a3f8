//! What becomes of a downlink: sent, acknowledged, held, failed; and never sent twice.

use std::time::Duration;

use serde_json::json;
use simulator::stack::{ApiKey, Fault};
use ttn_ferry::shutdown::Ended;

use super::{STATE, Scene};
use crate::harness::{Ferry, Heard};

#[tokio::test]
async fn a_confirmed_downlink_ends_acknowledged() {
    let mut scene = Scene::joined().await;
    scene.push(json!({"id": "mine", "fields": {"led": true}, "confirmed": true, "priority": "HIGH"})).await;
    scene.state("mine", "queued").await;
    assert!(scene.report().await.unwrap().confirmed);
    scene.state("mine", "sent").await;
    scene.report().await;
    scene.state("mine", "acked").await;
    assert_eq!(scene.states("mine"), ["accepted", "queued", "sent", "acked"]);
    assert_eq!(scene.heard(), [(15, vec![1])]);
}

#[tokio::test]
async fn a_downlink_for_a_node_without_a_session_waits_for_its_join() {
    let mut scene = Scene::unjoined_with(|_| {}).await;
    scene.push(json!({"id": "early", "fields": {"led": true}})).await;
    let held = scene.state("early", "held").await;
    assert!(held["reason"].as_str().unwrap().contains("no session"), "{held}");
    assert!(held["hint"].as_str().unwrap().contains("join"), "{held}");
    scene.node.join(&scene.ferry.network.handle.clone()).await.unwrap();
    scene.state("early", "queued").await;
    scene.report().await;
    scene.state("early", "sent").await;
    assert_eq!(scene.heard(), [(15, vec![1])]);
}

#[tokio::test]
async fn a_rate_limit_makes_it_wait_as_long_as_it_says() {
    let mut scene = Scene::joined().await;
    scene.ferry.network.handle.set_fault(Fault::RateLimited { retry: Duration::from_secs(1), times: 1 });
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01"})).await;
    assert!(scene.state("mine", "held").await["reason"].as_str().unwrap().contains("rate limit"));
    scene.state("mine", "queued").await;
    scene.report().await;
    scene.state("mine", "sent").await;
    assert_eq!(scene.heard(), [(1, vec![1])]);
}

/// In doubt the bridge looks before it pushes again: the node gets it exactly once. The three wait for the same slow
/// limits, so they do it side by side.
#[tokio::test]
async fn whatever_becomes_of_the_request_the_node_gets_it_exactly_once() {
    let unclear = |fault: Fault, events_are_lost: bool| async move {
        let mut scene = Scene::joined().await;
        if events_are_lost {
            scene.ferry.network.handle.set_fault(Fault::RefuseConnect);
            scene.ferry.network.handle.drop_connections();
            scene.ferry.home.event("network_lost").await;
        }
        scene.ferry.network.handle.set_fault(fault.clone());
        scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01"})).await;
        let held = scene.state("mine", "held").await;
        assert!(held["reason"].as_str().unwrap().contains("no clear answer"), "{fault:?}: {held}");
        // Looked for twice, 20 s apart, before it is pushed again.
        let queued = |heard: &Heard| heard.topic == STATE && heard.json()["state"] == "queued";
        scene.ferry.home.wait_within(Duration::from_secs(90), 1, "mine queued", queued).await;
        for _ in 0..3 {
            scene.report().await;
        }
        assert_eq!(scene.heard(), [(1, vec![1])], "{fault:?}");
        if !events_are_lost {
            scene.state("mine", "sent").await;
        }
    };
    tokio::join!(
        unclear(Fault::HttpStatus { status: 503, times: 1 }, false),
        unclear(Fault::SilentBeforeActing { times: 1 }, false),
        unclear(Fault::SilentAfterActing { times: 1 }, true),
    );
}

#[tokio::test]
async fn a_report_that_comes_before_the_answer_counts() {
    let mut scene = Scene::joined().await;
    scene.ferry.network.handle.set_fault(Fault::SilentAfterActing { times: 1 });
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01"})).await;
    scene.state("mine", "queued").await;
    scene.report().await;
    scene.state("mine", "sent").await;
    assert_eq!(scene.report().await, None);
    assert_eq!(scene.heard(), [(1, vec![1])]);
}

#[tokio::test]
async fn a_node_that_never_acknowledges_fails_the_downlink_after_its_attempts() {
    let mut scene = Scene::joined().await;
    scene.node.ignore_acks(true);
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01", "confirmed": true, "attempts": 2})).await;
    scene.state("mine", "queued").await;
    for _ in 0..4 {
        scene.report().await;
    }
    let failed = scene.state("mine", "failed").await;
    assert!(failed["reason"].as_str().unwrap().contains("max_retries_reached"), "{failed}");
    assert_eq!(scene.states("mine"), ["accepted", "queued", "sent", "nacked", "sent", "failed"]);
    assert_eq!(scene.heard().len(), 2, "the network repeats it, the bridge does not");
}

#[tokio::test]
async fn a_gateway_that_refuses_fails_the_downlink_with_its_words() {
    let mut scene = Scene::joined().await;
    scene.ferry.network.handle.set_fault(Fault::TransmissionRefused { result: "TOO_LATE", times: 1 });
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01"})).await;
    scene.state("mine", "queued").await;
    scene.report().await;
    let failed = scene.state("mine", "failed").await;
    assert!(failed["reason"].as_str().unwrap().contains("TOO_LATE"), "{failed}");
}

#[tokio::test]
async fn a_full_queue_at_the_network_holds_the_downlink_until_the_device_is_heard() {
    let mut scene = Scene::joined().await;
    scene.ferry.network.handle.set_fault(Fault::QueueFull { times: 1 });
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01"})).await;
    scene.state("mine", "held").await;
    scene.report().await;
    scene.state("mine", "queued").await;
    scene.report().await;
    scene.state("mine", "sent").await;
    assert_eq!(scene.states("mine"), ["accepted", "held", "queued", "sent"]);
}

#[tokio::test]
async fn a_key_that_may_not_write_says_so_and_uplinks_flow() {
    let read_only = ["RIGHT_APPLICATION_TRAFFIC_READ", "RIGHT_APPLICATION_INFO", "RIGHT_APPLICATION_DEVICES_READ"];
    let mut scene =
        Scene::joined_with(|setup| setup.stack.applications[0].keys = vec![ApiKey::with_rights(read_only)]).await;
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01"})).await;
    let held = scene.state("mine", "held").await;
    assert!(held["reason"].as_str().unwrap().contains("not allowed"), "{held}");
    assert!(held["hint"].as_str().unwrap().contains("rights"), "{held}");
    scene.ferry.home.forget();
    scene.report().await;
    scene.ferry.home.on("ttn/lamp/uplink").await;
}

#[tokio::test]
async fn a_device_the_network_does_not_know_is_refused_in_its_words() {
    let mut scene = Scene::joined().await;
    scene.ferry.home.publish("ttn/ghost/downlink/push", r#"{"f_port": 1, "payload_hex": "01"}"#).await;
    let failed = |heard: &Heard| heard.topic == "ttn/ghost/downlink/state" && heard.json()["state"] == "failed";
    let step = scene.ferry.home.wait_for("a refusal", failed).await.json();
    assert!(step["reason"].as_str().unwrap().contains("not_found"), "{step}");
}

#[tokio::test]
async fn what_was_not_handed_over_waits_in_the_store_for_the_next_start() {
    let mut scene = Scene::unjoined_with(|_| {}).await;
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01"})).await;
    scene.state("mine", "held").await;
    let (ended, mut stage) = scene.ferry.stop().await;
    assert_eq!(ended, Ended::Stopped);
    assert_eq!(stage.home.all_on(STATE).pop().unwrap()["state"], "held");
    scene.ferry = Ferry::on(stage).await;
    scene.node.join(&scene.ferry.network.handle).await.unwrap();
    scene.state("mine", "queued").await;
    assert_eq!(scene.report().await.unwrap().payload, [1]);
    scene.state("mine", "sent").await;
    assert_eq!(scene.heard(), [(1, vec![1])]);
}
