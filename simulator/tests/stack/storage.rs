//! The Storage Integration: what is kept, who may read it, paging, the delay, activation.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::nodes::Report;
use simulator::stack::{Batching, PublishedUplink, StorageConfig};

use crate::scene::{APP, DEVICE, Scene};

const UPLINKS: &str = "/packages/storage/uplink_message";

/// Publishes an uplink of a device that was received so many seconds ago.
fn publish(scene: &Scene, device: &str, f_cnt: u32, seconds_ago: i64) {
    let received_at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds_ago);
    let uplink = json!({"session_key_id": "AQ==", "f_port": 1, "f_cnt": f_cnt});
    let message = json!({"received_at": received_at.to_string(), "uplink_message": uplink});
    scene.handle.publish_up(APP, device, &message);
}

fn counters(messages: &[Value]) -> Vec<u64> {
    messages.iter().map(|message| message["uplink_message"]["f_cnt"].as_u64().unwrap()).collect()
}

/// Every page of a query.
async fn all(scene: &Scene, query: &str) -> Vec<Value> {
    let (mut answer, mut messages) = scene.stored(&format!("{UPLINKS}?{query}")).await;
    while let Some(token) = answer.header("x-continuation-token") {
        let (next, more) = scene.stored(&format!("{UPLINKS}?continuation_token={token}")).await;
        assert!(!more.is_empty(), "a token that leads nowhere");
        messages.extend(more);
        answer = next;
    }
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    messages
}

#[tokio::test]
async fn whatever_nobody_heard_is_stored_as_it_was_published() {
    let scene = Scene::start().await;
    let mut node = scene.joined_node().await;
    node.send(&scene.handle, Report::unconfirmed(2, *b"\xf0")).await.unwrap();
    let settings = json!({"data_rate": {"lora": {"bandwidth": 125000}}, "frequency": "868000000"});
    let simulated = json!({"uplink_message": {"f_port": 1, "frm_payload": "AQ==", "settings": settings}});
    let answer = scene.api("POST /as/applications/app1/devices/dev1/up/simulate", simulated).await;
    assert_eq!(answer.status, 200);
    let (answer, uplinks) = scene.stored(UPLINKS).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.header("x-continuation-token"), None);
    assert_eq!(uplinks.len(), 2);
    assert_eq!(uplinks[0]["uplink_message"]["frm_payload"], "8A==");
    assert_eq!(uplinks[1]["simulated"], true);
    let joins = scene.stored("/devices/dev1/packages/storage/join_accept").await.1;
    assert_eq!(joins.len(), 1);
    assert_eq!(joins[0]["join_accept"]["session_key_id"], uplinks[0]["uplink_message"]["session_key_id"]);
    for everything in ["/packages/storage", "/packages/storage/"] {
        assert_eq!(scene.stored(everything).await.1.len(), 3);
    }
    assert_eq!(scene.stored("/devices/other/packages/storage/uplink_message").await.1, [json!(null); 0]);
}

#[tokio::test]
async fn pages_follow_each_other_by_token_alone() {
    let scene = Scene::with(|config| config.storage.page = 2).await;
    for f_cnt in 1..=5 {
        publish(&scene, DEVICE, f_cnt, 60 - i64::from(f_cnt));
    }
    assert_eq!(counters(&all(&scene, "limit=100").await), [1, 2, 3, 4, 5]);
    assert_eq!(counters(&all(&scene, "order=-received_at&limit=1").await), [5, 4, 3, 2, 1]);
    let times: Vec<_> = all(&scene, "").await.iter().map(|up| up["received_at"].as_str().unwrap().to_owned()).collect();
    let between = format!("after={}&before={}", times[0], times[4]);
    assert_eq!(counters(&all(&scene, &between).await), [2, 3, 4]);
    for wrong in ["after=yesterday", "limit=many", "order=f_cnt", "last=10m", "continuation_token=x"] {
        assert_eq!(scene.stored(&format!("{UPLINKS}?{wrong}")).await.0.status, 400, "{wrong}");
    }
    assert_eq!(scene.stored("/packages/storage/weather").await.0.status, 400);
}

#[tokio::test]
async fn messages_show_up_with_their_batch() {
    let scene = Scene::with(|config| config.storage.batching = Batching::UntilFlushed).await;
    publish(&scene, DEVICE, 1, 0);
    assert!(all(&scene, "").await.is_empty());
    scene.handle.flush_storage();
    publish(&scene, DEVICE, 2, 0);
    assert_eq!(counters(&all(&scene, "").await), [1]);
    let slow = Scene::with(|config| config.storage.batching = Batching::Delay(Duration::from_secs(3600))).await;
    publish(&slow, DEVICE, 1, 0);
    assert!(all(&slow, "").await.is_empty());
}

#[tokio::test]
async fn a_day_later_messages_are_gone() {
    let scene = Scene::start().await;
    publish(&scene, DEVICE, 1, 24 * 3600 + 60);
    publish(&scene, DEVICE, 2, 23 * 3600);
    assert_eq!(counters(&all(&scene, "").await), [2]);
}

#[tokio::test]
async fn a_count_names_every_device() {
    let scene = Scene::start().await;
    for (device, f_cnt) in [("dev1", 1), ("dev1", 2), ("dev2", 1)] {
        publish(&scene, device, f_cnt, 1);
    }
    let count = scene.api("GET /as/applications/app1/packages/storage/uplink_message/count", Value::Null).await;
    assert_eq!(count.body, json!({"count": {"dev1": 2, "dev2": 1}}));
}

#[tokio::test]
async fn without_activation_nothing_is_stored_and_reading_is_404() {
    let scene =
        Scene::with(|config| config.storage = StorageConfig { active: false, ..StorageConfig::default() }).await;
    let associations = "/as/applications/app1/packages/associations";
    publish(&scene, DEVICE, 1, 1);
    assert_eq!(scene.stored(UPLINKS).await.0.status, 404);
    assert_eq!(scene.api(&format!("GET {associations}"), Value::Null).await.body, json!({}));
    let activate =
        json!({"default": {"package_name": "storage-integration"}, "field_mask": {"paths": ["package_name"]}});
    assert_eq!(scene.api(&format!("PUT {associations}/100"), activate.clone()).await.status, 200);
    publish(&scene, DEVICE, 2, 1);
    assert_eq!(counters(&all(&scene, "").await), [2]);
    let known = scene.api(&format!("GET {associations}"), Value::Null).await.body;
    assert_eq!(known["defaults"][0]["package_name"], "storage-integration");
    assert_eq!(known["defaults"][0]["ids"]["f_port"], 100);
    assert_eq!(scene.api(&format!("PUT {associations}/101"), activate).await.status, 200);
    publish(&scene, DEVICE, 3, 1);
    assert_eq!(counters(&all(&scene, "").await), [2, 3, 3]);
    for port in [100, 101] {
        assert_eq!(scene.api(&format!("DELETE {associations}/{port}"), Value::Null).await.status, 200);
        assert_eq!(scene.api(&format!("GET {associations}/{port}"), Value::Null).await.status, 404);
    }
    assert_eq!(scene.stored(UPLINKS).await.0.status, 404);
}

#[tokio::test]
async fn reading_needs_its_right_and_the_right_accept_header() {
    let scene = Scene::with_key(&["RIGHT_APPLICATION_INFO"]).await;
    assert_eq!(scene.stored(UPLINKS).await.0.status, 403);
    let associations = scene.api("GET /as/applications/app1/packages/associations", Value::Null).await;
    assert_eq!(associations.status, 403);
    let reader = Scene::with_key(&["RIGHT_APPLICATION_TRAFFIC_READ"]).await;
    assert_eq!(reader.stored(UPLINKS).await.0.status, 200);
    let line = format!("GET /as/applications/app1{UPLINKS}");
    assert_eq!(reader.api(&line, Value::Null).await.status, 400);
}

#[tokio::test]
async fn distinct_uplinks_are_counted_whoever_heard_them() {
    let scene = Scene::start().await;
    for (device, f_cnt) in [("dev1", 1), ("dev1", 2), ("dev1", 2), ("dev2", 1)] {
        publish(&scene, device, f_cnt, 1);
    }
    let of = |device: &str, f_cnt| PublishedUplink {
        device_id: device.into(),
        session_key_id: "AQ==".into(),
        f_cnt,
        received_at: None,
    };
    assert_eq!(scene.handle.published_uplinks(APP), [of("dev1", 1), of("dev1", 2), of("dev2", 1)]);
    assert!(scene.handle.published_uplinks("other").is_empty());
}
