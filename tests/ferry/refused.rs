//! What a broker's access rules keep the bridge from publishing is noticed and said.

use crate::harness::{Ferry, Heard, Mosquitto, Stage};

#[tokio::test]
async fn with_mqtt_5_the_broker_says_what_it_refuses_and_it_is_told_once() {
    let mosquitto =
        Mosquitto::with_rights("topic read #\ntopic write ttn/bridge/#\ntopic write ttn/good/uplink\n").await;
    let mut ferry = Ferry::with(|setup| {
        setup.home_at = Some(mosquitto.address);
        setup.home = "mqtt_version = \"5\"".into();
    })
    .await;
    (0..5).for_each(|f_cnt| ferry.network.up("bad", f_cnt, b"x"));
    ferry.network.up("good", 1, b"x");
    ferry.home.on("ttn/good/uplink").await;
    let told = ferry.home.wait_for("the refusal", refused("ttn/bad/uplink")).await.json();
    assert_eq!(told["reason"], "not authorised", "{told}");
    assert!(told["hint"].as_str().unwrap().contains("ACL"), "{told}");
    // Nobody waits for what will never be taken.
    ferry.counted("everything settled", |counts| counts.waiting_at_home == 0 && counts.dropped >= 5).await;
    let times = ferry.home.heard().iter().filter(|heard| refused("ttn/bad/uplink")(heard)).count();
    assert_eq!(times, 1);
    assert!(!ferry.home.heard().iter().any(refused("ttn/good/uplink")));
}

#[tokio::test]
async fn with_mqtt_3_1_1_what_does_not_come_back_is_told_once_the_broker_acknowledged_what_came_later() {
    // Beside it a bridge whose broker takes everything, and for a little longer.
    let all = Mosquitto::with_rights("topic readwrite #\n").await;
    let mut free = reporting(&all).await;
    free.home.on("ttn/bridge/health").await;
    let rights = "topic read #\ntopic write ttn/bridge/event\ntopic write ttn/bridge/health\n";
    let some = Mosquitto::with_rights(rights).await;
    let mut ferry = reporting(&some).await;
    let told = ferry.home.wait_for("the refusal", refused("ttn/bridge/state")).await.json();
    assert!(told["reason"].as_str().unwrap().contains("ACL"), "{told}");
    assert!(told["hint"].as_str().unwrap().contains("ttn/#"), "{told}");
    free.home.publish("ttn/bridge/request/info", "").await;
    free.home.on("ttn/bridge/response/info").await;
    let alarms = free.home.heard().iter().filter(|heard| heard.text.contains("publish_refused")).count();
    assert_eq!(alarms, 0, "nothing was refused there");
}

/// A bridge that tells its health each second.
async fn reporting(mosquitto: &Mosquitto) -> Ferry {
    let stage = Stage::set(|setup| {
        setup.home_at = Some(mosquitto.address);
        setup.health_interval = "1s";
    });
    Ferry::on(stage.await).await
}

fn refused(topic: &str) -> impl Fn(&Heard) -> bool {
    move |heard| {
        let is_event = heard.topic == "ttn/bridge/event";
        is_event && heard.json()["type"] == "publish_refused" && heard.json()["topic"] == topic
    }
}
