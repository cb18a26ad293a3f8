//! What the bridge does while one of its sides is away, and when it is back.

use std::collections::BTreeMap;

use serde_json::json;
use simulator::stack::{ApiKey, Fault, StackEvent};

use crate::harness::{Ferry, Heard, Home, Stage};

/// The counters of each device's uplinks, in the order in which home first heard them.
fn orders(all: &[Heard]) -> BTreeMap<String, Vec<u64>> {
    let mut orders = BTreeMap::<_, Vec<u64>>::new();
    for heard in all.iter().filter(|heard| heard.topic.ends_with("/uplink")) {
        let order = orders.entry(heard.topic.clone()).or_default();
        let f_cnt = heard.json()["f_cnt"].as_u64().unwrap();
        // A message whose acknowledgement was lost comes twice: that is QoS 1.
        if !order.contains(&f_cnt) {
            order.push(f_cnt);
        }
    }
    orders
}

fn publish_uplinks(ferry: &Ferry, counters: std::ops::Range<u32>) {
    for f_cnt in counters {
        for device in ["node-1", "node-2", "node-3"] {
            ferry.network.up(device, f_cnt, b"x");
        }
    }
}

async fn all_came(home: &mut Home, counters: std::ops::Range<u32>) {
    for device in ["node-1", "node-2", "node-3"] {
        let topic = format!("ttn/{device}/uplink");
        let last = counters.end - 1;
        home.wait_for(&topic, |heard| heard.topic == topic && heard.json()["f_cnt"] == last).await;
        let expected: Vec<_> = counters.clone().map(u64::from).collect();
        assert_eq!(orders(home.heard())[&topic], expected, "{topic}");
    }
}

#[tokio::test]
async fn nothing_is_delivered_before_the_broker_said_so() {
    let mut ferry = Ferry::start().await;
    ferry.home.broker().withhold_acks(true).await.unwrap();
    publish_uplinks(&ferry, 0..20);
    all_came(&mut ferry.home, 0..20).await;
    let (heard, during) = (ferry.home.heard().len() as u64, ferry.counters.snapshot());
    assert!(heard >= during.delivered + 60 && during.waiting_at_home >= 60, "{heard} heard: {during:?}");
    // The broker goes without a word: all of it must come again.
    ferry.home.forget();
    ferry.home.broker().drop_connections().await.unwrap();
    ferry.home.broker().withhold_acks(false).await.unwrap();
    all_came(&mut ferry.home, 0..20).await;
    ferry.counted("everything delivered", |counts| counts.waiting_at_home == 0).await;
}

#[tokio::test]
async fn what_comes_while_home_is_away_arrives_in_order_when_it_is_back() {
    let mut ferry = Ferry::start().await;
    publish_uplinks(&ferry, 0..5);
    all_came(&mut ferry.home, 0..5).await;
    ferry.counted("everything delivered", |counts| counts.waiting_at_home == 0).await;
    ferry.home_goes().await;
    publish_uplinks(&ferry, 5..60);
    // The network side does not feel it.
    ferry.counted("the uplinks to be taken in", |counts| counts.uplinks == 180).await;
    ferry.home.forget();
    ferry.home_comes().await;
    all_came(&mut ferry.home, 5..60).await;
    assert_eq!(ferry.home.on("ttn/bridge/state").await["state"], "online");
    assert_eq!(ferry.home.on("ttn/node-1").await["link"]["f_cnt"], 59);
    for what in ["info", "devices", "health"] {
        ferry.home.on(&format!("ttn/bridge/{what}")).await;
    }
    assert_eq!(ferry.counters.snapshot().dropped, 0);
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_of_traffic_loses_and_reorders_nothing() {
    let mut ferry = Ferry::start().await;
    for part in 0..4 {
        publish_uplinks(&ferry, part * 25..part * 25 + 25);
        ferry
            .home
            .wait_for("some of it", |heard| heard.topic == "ttn/node-2/uplink" && heard.json()["f_cnt"] == part * 25)
            .await;
        ferry.home.broker().drop_connections().await.unwrap();
    }
    all_came(&mut ferry.home, 0..100).await;
}

#[tokio::test]
async fn the_bridge_may_start_before_the_broker() {
    let mut stage = Stage::set(|_| {}).await;
    stage.home_goes().await;
    let mut ferry = Ferry::on(stage).await;
    ferry.network.subscribed().await;
    publish_uplinks(&ferry, 0..5);
    ferry.home_comes().await;
    all_came(&mut ferry.home, 0..5).await;
    assert_eq!(ferry.home.on("ttn/bridge/state").await["state"], "online");
}

#[tokio::test]
async fn a_lost_network_connection_comes_back_with_its_subscriptions() {
    let mut ferry = Ferry::start().await;
    ferry.network.handle.drop_connections();
    assert_eq!(ferry.home.event("network_lost").await["application"], "app1");
    let away =
        |heard: &Heard| heard.topic == "ttn/bridge/info" && heard.json()["applications"][0]["connected"] == false;
    ferry.home.wait_for("info that says so", away).await;
    ferry.home.forget();
    ferry.network.subscribed().await;
    publish_uplinks(&ferry, 0..3);
    all_came(&mut ferry.home, 0..3).await;
    ferry.home.event("network_connected").await;
    let well =
        |heard: &Heard| heard.topic == "ttn/bridge/info" && heard.json()["applications"][0]["degraded"] == json!([]);
    ferry.home.wait_for("info that says so", well).await;
}

#[tokio::test]
async fn a_refused_login_is_told_with_a_hint_and_tried_again() {
    let stage = Stage::set(|_| {}).await;
    stage.network.handle.set_fault(Fault::RefuseConnect);
    let mut ferry = Ferry::on(stage).await;
    let told = ferry.home.event("degraded").await;
    assert!(told["what"].as_str().unwrap().contains("not authorised (code 5)"), "{told}");
    assert!(told["hint"].as_str().unwrap().contains("API key"), "{told}");
    ferry
        .home
        .wait_for("info", |heard| heard.topic == "ttn/bridge/info" && heard.text.contains("not authorised"))
        .await;
    ferry.network.handle.clear_faults();
    ferry.network.subscribed().await;
    publish_uplinks(&ferry, 0..2);
    all_came(&mut ferry.home, 0..2).await;
}

#[tokio::test]
async fn one_application_away_does_not_hold_up_the_other() {
    let mut ferry = {
        let stage = Stage::set(|setup| {
            setup.add_application("other");
            // The second application's key opens nothing any more.
            setup.revoked = Some("other".into());
        })
        .await;
        Ferry::on(stage).await
    };
    ferry.network.wait_for("a subscription", |event| matches!(event, StackEvent::Subscribed { .. })).await;
    assert_eq!(ferry.home.event("degraded").await["application"], "other");
    publish_uplinks(&ferry, 0..3);
    all_came(&mut ferry.home, 0..3).await;
}

#[tokio::test]
async fn without_the_http_api_uplinks_flow_and_what_is_degraded_is_said_once() {
    let stage = Stage::set(|_| {}).await;
    stage.network.handle.set_fault(Fault::HttpStatus { status: 503, times: 1000 });
    let mut ferry = Ferry::on(stage).await;
    ferry.network.subscribed().await;
    let told = ferry.home.event("degraded").await;
    assert!(told["what"].as_str().unwrap().contains("HTTP API"), "{told}");
    assert!(told["hint"].as_str().unwrap().contains("uplinks go on"), "{told}");
    publish_uplinks(&ferry, 0..3);
    all_came(&mut ferry.home, 0..3).await;
    let says = |heard: &Heard| {
        let application = &heard.json()["applications"][0];
        application["connected"] == true && application["degraded"].to_string().contains("HTTP API")
    };
    ferry.home.wait_for("info that says so", |heard| heard.topic == "ttn/bridge/info" && says(heard)).await;
    let degraded = ferry.home.all_on("ttn/bridge/event").into_iter().filter(|event| event["type"] == "degraded");
    assert_eq!(degraded.count(), 1);
}

#[tokio::test]
async fn each_missing_right_is_named_on_bridge_info() {
    let rights = ["RIGHT_APPLICATION_TRAFFIC_READ", "RIGHT_APPLICATION_INFO"];
    let key = ApiKey::with_rights(rights);
    let mut ferry = Ferry::with(|setup| setup.stack.applications[0].keys = vec![key]).await;
    let says = |heard: &Heard| ["write downlinks", "list devices"].iter().all(|words| heard.text.contains(words));
    let info = ferry.home.wait_for("both", |heard| heard.topic == "ttn/bridge/info" && says(heard)).await.json();
    assert_eq!(info["applications"][0]["degraded"].as_array().unwrap().len(), 2, "{info}");
    assert!(ferry.home.event("degraded").await["hint"].as_str().unwrap().contains("right"));
}

#[tokio::test]
async fn a_home_broker_that_lost_its_memory_gets_every_state_again() {
    let mut ferry = Ferry::start().await;
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/node").await;
    ferry.counted("everything delivered", |counts| counts.uplinks == 1 && counts.waiting_at_home == 0).await;
    ferry.home_goes().await;
    ferry.home.forget();
    ferry.home_comes().await;
    assert_eq!(ferry.home.on("ttn/node").await["link"]["f_cnt"], 1);
}
