//! What was sent while nobody listened: fetched from the network's history, or told as lost.

use jiff::Timestamp;
use serde_json::{Value, json};
use simulator::stack::{Batching, Fault, StackEvent};

use crate::harness::{APP, Ferry, Heard, Setup, Stage, uplink};

const DEVICES: [&str; 2] = ["node-1", "node-2"];

/// The waits of a day, in a second or two.
fn impatient(setup: &mut Setup) {
    setup.more = "[repair]\nfetch_after = \"100ms\"\nfetch_again_after = \"2s\"\n".into();
}

/// Uplinks of this moment.
fn up(stage: &Stage, counters: impl IntoIterator<Item = u32>) {
    for f_cnt in counters {
        for device in DEVICES {
            let (mut message, now) = (uplink(f_cnt, b"x"), Timestamp::now().to_string());
            message["end_device_ids"] = json!({ "device_id": device, "application_ids": { "application_id": APP } });
            message["received_at"] = json!(now);
            message["uplink_message"]["received_at"] = json!(now);
            stage.network.handle.publish_up(APP, device, &message);
        }
    }
}

/// Each device's uplinks: counter and whether it was backfilled, as they came.
async fn came(ferry: &mut Ferry, device: &str, count: usize) -> Vec<(u64, bool)> {
    let topic = format!("ttn/{device}/uplink");
    let heard = ferry.home.wait_for_many(count, &topic, |heard| heard.topic == topic).await;
    let fact = |heard: &Heard| (heard.json()["f_cnt"].as_u64().unwrap(), heard.json()["backfilled"] == true);
    heard.iter().map(fact).collect()
}

async fn all_come(ferry: &mut Ferry, expected: &[(u64, bool)]) {
    for device in DEVICES {
        assert_eq!(came(ferry, device, expected.len()).await, expected, "{device}");
    }
}

/// The connection is gone, and nobody gets in until [`comes_back`].
async fn goes_away(ferry: &mut Ferry) {
    ferry.network.handle.set_fault(Fault::RefuseConnect);
    ferry.network.handle.drop_connections();
    ferry.home.event("network_lost").await;
}

async fn comes_back(ferry: &mut Ferry) {
    ferry.network.handle.clear_faults();
    ferry.network.subscribed().await;
}

fn told(ferry: &mut Ferry, kind: &str) -> Vec<Value> {
    ferry.home.all_on("ttn/bridge/event").into_iter().filter(|event| event["type"] == kind).collect()
}

#[tokio::test]
async fn uplinks_sent_while_the_connection_was_cut_arrive_backfilled() {
    let mut ferry = Ferry::with(impatient).await;
    up(&ferry, 1..3);
    all_come(&mut ferry, &[(1, false), (2, false)]).await;
    goes_away(&mut ferry).await;
    up(&ferry, 3..6);
    comes_back(&mut ferry).await;
    all_come(&mut ferry, &[(1, false), (2, false), (3, true), (4, true), (5, true)]).await;
    let (found, repaired) = (ferry.home.event("gap_found").await, ferry.home.event("gap_repaired").await);
    assert_eq!(repaired["id"], found["id"], "{repaired}");
    assert_eq!((&repaired["repaired"], &repaired["source"]), (&json!(6), &json!("storage")));
    assert!(told(&mut ferry, "gap_lost").is_empty());
    assert_eq!(ferry.counters.snapshot().uplinks, 10, "copies do not count");
}

#[tokio::test]
async fn without_storage_and_events_the_loss_is_told_with_devices_and_counters() {
    let mut ferry = Ferry::with(|setup| {
        impatient(setup);
        setup.stack.storage.active = false;
        setup.stack.events = None;
        setup.add_device("node-1", "friendly_name = \"kitchen\"");
    })
    .await;
    up(&ferry, 1..3);
    ferry.home.on("ttn/kitchen/uplink").await;
    ferry.counted("the first uplinks", |counts| counts.uplinks == 4).await;
    goes_away(&mut ferry).await;
    up(&ferry, 3..6);
    comes_back(&mut ferry).await;
    up(&ferry, [6]);
    let lost = ferry.home.event("gap_lost").await;
    let device = |name, id| json!({ "device": name, "device_id": id, "frames": [[3, 5]], "count": 3 });
    assert_eq!(lost["devices"], json!([device("kitchen", "node-1"), device("node-2", "node-2")]), "{lost}");
    assert_eq!((lost["id"].clone(), &lost["repaired"]), (ferry.home.event("gap_found").await["id"].clone(), &json!(0)));
    assert!(lost["reason"].as_str().unwrap().contains("stores nothing"), "{lost}");
}

#[tokio::test]
async fn uplinks_sent_while_the_bridge_was_not_running_arrive_after_its_start() {
    let mut ferry = Ferry::with(impatient).await;
    up(&ferry, 1..3);
    all_come(&mut ferry, &[(1, false), (2, false)]).await;
    let (_, mut stage) = ferry.stop().await;
    up(&stage, 3..6);
    stage.home.forget();
    let mut ferry = Ferry::on(stage).await;
    all_come(&mut ferry, &[(3, true), (4, true), (5, true)]).await;
    let found = ferry.home.event("gap_found").await;
    assert!(found["why"].as_str().unwrap().contains("not running"), "{found}");
    assert_eq!(ferry.home.event("gap_repaired").await["repaired"], 6);
}

#[tokio::test]
async fn what_the_network_stores_late_comes_with_the_second_fetch() {
    let mut ferry = Ferry::with(|setup| {
        impatient(setup);
        setup.stack.storage.batching = Batching::UntilFlushed;
        setup.stack.events = None;
    })
    .await;
    up(&ferry, 1..3);
    all_come(&mut ferry, &[(1, false), (2, false)]).await;
    goes_away(&mut ferry).await;
    up(&ferry, 3..5);
    comes_back(&mut ferry).await;
    let stored = |event: &StackEvent| matches!(event, StackEvent::Http(request) if request.path.contains("/storage/"));
    ferry.network.wait_for("the first fetch", stored).await;
    ferry.network.handle.flush_storage();
    all_come(&mut ferry, &[(1, false), (2, false), (3, true), (4, true)]).await;
    assert_eq!(ferry.home.event("gap_repaired").await["repaired"], 4);
}
