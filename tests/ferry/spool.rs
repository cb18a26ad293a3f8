//! What was read from the network survives everything but a disk that is too small, and that is told.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use serde_json::{Value, json};

use crate::harness::{Ferry, Heard, Home, Network, Process, Stage};

const DEVICES: [&str; 3] = ["node-1", "node-2", "node-3"];

fn publish(network: &Network, counters: Range<u32>, payload: &[u8]) {
    for f_cnt in counters {
        for device in DEVICES {
            network.up(device, f_cnt, payload);
        }
    }
}

fn is_uplink(heard: &Heard) -> bool {
    heard.topic.ends_with("/uplink")
}

/// Every uplink heard, by its id; one that came again must be the same.
fn by_id(all: &[Heard]) -> HashMap<String, Value> {
    let mut known = HashMap::new();
    for uplink in all.iter().filter(|heard| is_uplink(heard)).map(Heard::json) {
        let id = uplink["id"].as_str().unwrap().to_owned();
        if let Some(before) = known.insert(id, uplink.clone()) {
            assert_eq!(before, uplink, "two uplinks share an id");
        }
    }
    known
}

/// The counters of each device, in the order in which home first heard them.
fn orders(all: &[Heard]) -> BTreeMap<String, Vec<u64>> {
    let mut orders = BTreeMap::<_, Vec<u64>>::new();
    for heard in all.iter().filter(|heard| is_uplink(heard)) {
        let (order, f_cnt) = (orders.entry(heard.topic.clone()).or_default(), heard.json()["f_cnt"].as_u64().unwrap());
        if order.last().is_none_or(|last| *last < f_cnt) {
            order.push(f_cnt);
        }
    }
    orders
}

/// Waits for the last of them; then all are there, and each device's in order.
async fn all_came(home: &mut Home, counters: Range<u32>) {
    for device in DEVICES {
        let (topic, last) = (format!("ttn/{device}/uplink"), counters.end - 1);
        home.wait_for(&topic, |heard| heard.topic == topic && heard.json()["f_cnt"] == last).await;
        let expected: Vec<_> = counters.clone().map(u64::from).collect();
        assert_eq!(orders(home.heard())[&topic], expected, "{topic}");
    }
}

#[tokio::test]
async fn more_than_memory_holds_waits_on_disk_and_comes_in_order() {
    let mut ferry = Ferry::start().await;
    ferry.home_goes().await;
    publish(&ferry.network, 0..800, b"x");
    ferry.counted("all of it on disk", |counts| counts.spooled == 2400).await;
    let (_, _, told) = ferry.ask("GET", "applications", "").await;
    assert_eq!((&told["backlog"], &told["applications"][0]["backlog"]), (&json!(2400), &json!(2400)), "{told}");
    ferry.home.forget();
    ferry.home_comes().await;
    // What arrives now overtakes nothing.
    publish(&ferry.network, 800..810, b"x");
    all_came(&mut ferry.home, 0..810).await;
    ferry.counted("an empty spool", |counts| counts.spooled == 0).await;
    let counts = ferry.counters.snapshot();
    assert_eq!((counts.uplinks, counts.duplicates, counts.dropped, counts.spooled_bytes), (2430, 0, 0, 0));
    assert_eq!(by_id(ferry.home.heard()).len(), 2430);
}

#[tokio::test]
async fn a_killed_bridge_delivers_after_its_restart_what_it_had_read() {
    let mut stage = Stage::set(|setup| {
        setup.home = "in_flight = 1000".into();
        setup.health_interval = "1s";
    })
    .await;
    let process = Process::ferry(&stage.configuration());
    stage.network.subscribed().await;
    stage.home.on("ttn/bridge/state").await;
    stage.home.broker().withhold_acks(true).await.unwrap();
    publish(&stage.network, 0..250, b"x");
    let full = |heard: &Heard| heard.topic == "ttn/bridge/health" && heard.json()["spool"] == 750;
    stage.home.wait_for("a full spool", full).await;
    process.signal("KILL").await;
    process.ended().await;
    let before = by_id(stage.home.heard());
    stage.home.forget();
    stage.home.broker().withhold_acks(false).await.unwrap();

    let _process = Process::ferry(&stage.configuration());
    stage.network.subscribed().await;
    all_came(&mut stage.home, 0..250).await;
    let after = by_id(stage.home.heard());
    assert_eq!(after.len(), 750);
    assert!(before.iter().all(|(id, uplink)| after[id] == *uplink), "a copy is known by its id");
    let empty = |heard: &Heard| heard.topic == "ttn/bridge/health" && heard.json()["spool"] == 0;
    stage.home.wait_for("an empty spool", empty).await;

    // The network sends all of it once more: copies, although the bridge was restarted.
    stage.home.forget();
    publish(&stage.network, 0..251, b"x");
    all_came(&mut stage.home, 250..251).await;
    assert_eq!(by_id(stage.home.heard()).len(), 3);
}

#[tokio::test]
async fn nothing_acknowledged_comes_again_after_a_restart() {
    let mut ferry = Ferry::start().await;
    publish(&ferry.network, 0..50, b"x");
    all_came(&mut ferry.home, 0..50).await;
    let (_, mut stage) = ferry.stop().await;
    stage.home.forget();
    let mut ferry = Ferry::on(stage).await;
    ferry.network.subscribed().await;
    publish(&ferry.network, 49..51, b"x");
    all_came(&mut ferry.home, 50..51).await;
    assert_eq!(ferry.counters.snapshot().duplicates, 3);
    assert_eq!(ferry.home.heard().iter().filter(|heard| is_uplink(heard)).count(), 3);
}

#[tokio::test]
async fn a_spool_that_is_full_gives_up_the_oldest_and_tells_which() {
    let mut ferry = Ferry::with(|setup| setup.store = "spool_size = \"1MiB\"".into()).await;
    ferry.home_goes().await;
    publish(&ferry.network, 0..1200, &[7; 240]);
    ferry.counted("the spool to overflow", |counts| counts.uplinks == 3600 && counts.dropped > 0).await;
    ferry.counted("room again", |counts| counts.spooled > 0 && counts.spooled_bytes <= 1 << 20).await;
    ferry.home.forget();
    ferry.home_comes().await;
    ferry
        .home
        .wait_for("the newest", |heard| heard.topic == "ttn/node-3/uplink" && heard.json()["f_cnt"] == 1199)
        .await;
    let told = ferry.home.event("spool_shed").await;
    assert!(told["application"] == "app1" && told["oldest"].as_str() <= told["newest"].as_str(), "{told}");
    let events = ferry.home.all_on("ttn/bridge/event");
    let shed =
        events.iter().filter(|event| event["type"] == "spool_shed").map(|event| event["count"].as_u64().unwrap());
    let (came, shed) = (by_id(ferry.home.heard()).len() as u64, shed.sum::<u64>());
    assert_eq!((came + shed, ferry.counters.snapshot().dropped), (3600, shed));
    let order = &orders(ferry.home.heard())["ttn/node-1/uplink"];
    assert!(
        order[0] == 0 && order.last() == Some(&1199) && order.len() < 1200,
        "what was under way came, then the rest"
    );
    let newest = |heard: &Heard| heard.topic == "ttn/node-1" && heard.json()["link"]["f_cnt"] == 1199;
    ferry.home.wait_for("the newest state", newest).await;
}

#[tokio::test]
async fn states_outlive_the_bridge_and_a_home_broker_without_memory_gets_them() {
    let mut ferry = Ferry::with(|setup| setup.add_device("node", "friendly_name = \"kitchen\"")).await;
    ferry.network.up("node", 7, b"x");
    ferry.home.on("ttn/kitchen").await;
    ferry.counted("all of it delivered", |counts| counts.uplinks == 1 && counts.waiting_at_home == 0).await;
    let (_, mut stage) = ferry.stop().await;
    stage.home_goes().await;
    stage.home.forget();
    stage.home_comes().await;
    let mut ferry = Ferry::on(stage).await;
    let state = ferry.home.on("ttn/kitchen").await;
    assert_eq!((&state["link"]["f_cnt"], &state["last_seen"]), (&7.into(), &"2026-01-01T00:00:07Z".into()));
    ferry.network.subscribed().await;
    ferry.home.forget();
    // An older one does not move it back.
    ferry.network.up("node", 3, b"x");
    ferry.network.up("node", 8, b"x");
    assert_eq!(ferry.home.on("ttn/kitchen").await["link"]["f_cnt"], 8);
}
