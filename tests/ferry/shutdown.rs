//! How a bridge ends: what it has read is delivered first, within its grace period.

use std::os::unix::process::ExitStatusExt;

use serde_json::json;
use ttn_ferry::shutdown::Ended;

use crate::harness::{Ferry, Process, Stage};

/// A codec that takes its time, so that a stop finds uplinks on their way.
const SLOW: &str =
    "function decodeUplink(input) { for (var i = 0; i < 20000; i++); return {data: {n: input.bytes[0]}}; }";

#[tokio::test]
async fn what_was_read_is_delivered_before_the_end() {
    let ferry = Ferry::with(|setup| setup.add_codec("node", SLOW)).await;
    for f_cnt in 0..200 {
        ferry.network.up("node", f_cnt, &[f_cnt as u8]);
    }
    ferry.counted("some of it", |counts| counts.uplinks > 0).await;
    let (ended, mut stage) = ferry.stop().await;
    assert_eq!(ended, Ended::Stopped);
    let uplinks = stage.home.all_on("ttn/node/uplink");
    let order: Vec<_> = uplinks.iter().map(|uplink| uplink["f_cnt"].as_u64().unwrap()).collect();
    assert!(!order.is_empty());
    assert_eq!(order, (0..order.len() as u64).collect::<Vec<_>>());
    let newest = stage.home.retained("ttn/node").await.unwrap();
    assert_eq!(newest["link"]["f_cnt"], *order.last().unwrap(), "the state is as new as the last uplink");
    assert_eq!(stage.home.heard().last().unwrap().json(), json!({"state": "offline"}));
}

#[tokio::test]
async fn what_was_noticed_is_told_before_the_end() {
    let ferry = Ferry::start().await;
    for _ in 0..200 {
        ferry.network.publish("v3/app1/devices/node/up", "{");
    }
    ferry.counted("some of them", |counts| counts.unreadable > 0).await;
    let counters = ferry.counters.clone();
    let (_, mut stage) = ferry.stop().await;
    let events = stage.home.all_on("ttn/bridge/event");
    let told = events.iter().filter(|event| event["type"] == "unreadable").count();
    assert_eq!(told as u64, counters.snapshot().unreadable);
}

#[tokio::test]
async fn a_stop_waits_for_acknowledgements() {
    let mut ferry = Ferry::start().await;
    ferry.home.broker().withhold_acks(true).await.unwrap();
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/node/uplink").await;
    ferry.ask_to_stop().await;
    // It must not say farewell while something is open; what it does say shows that it is still there.
    ferry.home.broker().drop_connections().await.unwrap();
    ferry.home.forget();
    // The first unacknowledged message comes alone: one of them may have been why the connection ended.
    ferry.home.wait_for("anything again", |_| true).await;
    ferry.home.broker().withhold_acks(false).await.unwrap();
    ferry.home.on("ttn/node/uplink").await;
    let (ended, mut stage) = ferry.ended().await;
    assert_eq!(ended, Ended::Stopped);
    assert_eq!(stage.home.heard().last().unwrap().json(), json!({"state": "offline"}));
}

#[tokio::test]
async fn a_stop_while_home_is_away_does_not_wait_for_it_and_what_came_goes_after_the_next_start() {
    let mut stage = Stage::set(|setup| setup.grace = "5min").await;
    stage.home_goes().await;
    let mut ferry = Ferry::on(stage).await;
    ferry.network.subscribed().await;
    ferry.network.up("node", 1, b"x");
    ferry.counted("the uplink", |counts| counts.uplinks == 1).await;
    let (ended, mut stage) = ferry.stop().await;
    assert_eq!(ended, Ended::Stopped);
    stage.home_comes().await;
    let mut ferry = Ferry::on(stage).await;
    assert_eq!(ferry.home.on("ttn/node/uplink").await["f_cnt"], 1);
}

#[tokio::test]
async fn a_second_stop_ends_at_once() {
    let mut ferry = Ferry::with(|setup| setup.grace = "5min").await;
    ferry.home.broker().withhold_acks(true).await.unwrap();
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/node/uplink").await;
    ferry.ask_to_stop().await;
    ferry.ask_to_stop().await;
    assert_eq!(ferry.ended().await.0, Ended::Forced);
}

#[tokio::test]
async fn sigterm_in_the_middle_of_traffic_delivers_what_was_read_and_exits_with_0() {
    let mut stage = Stage::set(|setup| setup.add_codec("node", SLOW)).await;
    let process = Process::ferry(&stage.configuration());
    stage.network.subscribed().await;
    for f_cnt in 0..300 {
        stage.network.up("node", f_cnt, &[f_cnt as u8]);
    }
    stage.home.wait_for_many(10, "uplinks", |heard| heard.topic == "ttn/node/uplink").await;
    process.signal("TERM").await;
    let (status, said) = process.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
    let order: Vec<_> =
        stage.home.all_on("ttn/node/uplink").iter().map(|uplink| uplink["f_cnt"].as_u64().unwrap()).collect();
    assert_eq!(order, (0..order.len() as u64).collect::<Vec<_>>());
    assert_eq!(stage.home.heard().last().unwrap().json(), json!({"state": "offline"}));
    assert!(said.contains("Stopping: finishing what is under way.") && said.contains("Stopped."), "{said}");
}

#[tokio::test]
async fn a_second_signal_ends_the_drain_at_once() {
    let mut stage = Stage::set(|setup| setup.grace = "5min").await;
    let mut process = Process::ferry(&stage.configuration());
    stage.network.subscribed().await;
    stage.home.on("ttn/bridge/state").await;
    stage.home.broker().withhold_acks(true).await.unwrap();
    stage.network.up("node", 1, b"x");
    stage.home.on("ttn/node/uplink").await;
    process.signal("INT").await;
    process.says("Stopping").await;
    process.signal("TERM").await;
    let (status, said) = process.ended().await;
    assert_eq!((status.code(), status.signal()), (Some(1), None), "{said}");
    assert!(said.contains("Not finished in time"), "{said}");
}
