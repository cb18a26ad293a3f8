//! What a stranger may send: each bad message is told, and the next good one arrives.

use serde_json::{Value, json};
use simulator::wire::QoS;

use crate::harness::{APP, Ferry, Process, Stage, uplink};

/// Bad messages of `node`, and what is said of each.
fn bad_messages() -> Vec<(String, &'static str)> {
    let with = |field: &str, value: Value| {
        let mut message = uplink(1, b"x");
        message["uplink_message"][field] = value;
        message.to_string()
    };
    vec![
        (String::new(), "JSON"),
        ("{\"uplink_message\":{".into(), "JSON"),
        ("\u{0}\u{1}".into(), "JSON"),
        ("[]".into(), "no content of a known kind"),
        ("{}".into(), "no content of a known kind"),
        (json!({"uplink_message": 7}).to_string(), "JSON"),
        (with("f_port", json!(300)), "f_port"),
        (with("f_port", json!("two")), "JSON"),
        (with("f_cnt", json!(-1)), "JSON"),
        (with("f_cnt", json!(1_u64 << 40)), "f_cnt"),
        (with("frm_payload", json!("***")), "frm_payload"),
        (with("frm_payload", json!({"a": 1})), "JSON"),
        (with("rx_metadata", json!("none")), "JSON"),
        (with("received_at", json!("yesterday")), "JSON"),
        (json!({"uplink_message": {}, "filler": "x".repeat(1 << 20)}).to_string(), "more than any uplink can be"),
        (format!("{}{}", "{\"a\":".repeat(200), "}".repeat(200)), "JSON"),
    ]
}

#[tokio::test]
async fn a_message_that_cannot_be_understood_is_told_and_the_next_one_arrives() {
    let mut ferry = Ferry::start().await;
    for (number, (message, why)) in bad_messages().into_iter().enumerate() {
        ferry.home.forget();
        ferry.network.publish(&format!("v3/{APP}/devices/node/up"), message.clone());
        ferry.network.up("node", 10 + number as u32, b"good");
        let told = ferry.home.event("unreadable").await;
        let shown: String = message.chars().take(80).collect();
        assert!(told["reason"].as_str().unwrap().contains(why), "{shown}: {told}");
        assert_eq!((&told["application"], &told["topic"]), (&json!(APP), &json!("v3/app1/devices/node/up")));
        assert_eq!(ferry.home.on("ttn/node/uplink").await["payload_hex"], hex::encode("good"), "{shown}");
    }
    assert_eq!(ferry.counters.snapshot().unreadable, bad_messages().len() as u64);
    ferry.home.publish("ttn/bridge/request/info", "").await;
    let info = ferry.home.on("ttn/bridge/response/info").await;
    assert_eq!(info["data"]["counters"]["unreadable"], bad_messages().len());
}

#[tokio::test]
async fn topics_with_surprises_are_told_and_never_reach_home() {
    let mut ferry = Ferry::start().await;
    for device in ["Node", "no", "a--b", "-ab", "node 1", "n\u{1}ode", "$sys", &"n".repeat(37), "südseite"] {
        ferry.home.forget();
        ferry.network.handle.publish_up(APP, device, &uplink(1, b"bad"));
        let told = ferry.home.event("unreadable").await;
        assert!(told["reason"].as_str().unwrap().contains("not one of this application's"), "{device}: {told}");
    }
    ferry.network.up("node", 1, b"good");
    ferry.home.on("ttn/node/uplink").await;
    let uplinks = ferry.home.heard().iter().filter(|heard| heard.topic.ends_with("/uplink")).count();
    assert_eq!(uplinks, 1);
}

#[tokio::test]
async fn a_topic_that_no_server_may_send_ends_at_worst_the_connection() {
    let mut ferry = Ferry::start().await;
    for device in ["+", "#", "no+de", "no\u{0}de"] {
        ferry.network.handle.publish_up(APP, device, &uplink(1, b"bad"));
    }
    // Whether these end the connection is the client library's affair; that the bridge goes on is ours.
    for f_cnt in 1.. {
        ferry.network.up("node", f_cnt, b"good");
        let came = ferry.home.wait_for("an uplink", |heard| heard.topic == "ttn/node/uplink");
        if tokio::time::timeout(std::time::Duration::from_millis(200), came).await.is_ok() {
            break;
        }
        assert!(f_cnt < 100, "the bridge never came back");
    }
    assert!(ferry.home.heard().iter().all(|heard| !heard.topic.contains(['+', '#', '\0'])));
}

#[tokio::test]
async fn a_message_beyond_all_measure_is_told_and_costs_nothing_else() {
    let mut ferry = Ferry::start().await;
    ferry.network.publish("v3/app1/devices/node/up", vec![b' '; 5 << 20]);
    ferry.network.up("node", 1, b"good");
    ferry.home.event("unreadable").await;
    ferry.home.on("ttn/node/uplink").await;
}

#[tokio::test]
async fn a_huge_retained_message_on_a_command_topic_does_not_end_the_home_connection() {
    let mut ferry = Ferry::start().await;
    ferry.home.publish_retained("ttn/node/set", vec![b' '; 5 << 20]).await;
    ferry.home.broker().drop_connections().await.unwrap();
    ferry.home.forget();
    ferry.network.up("node", 1, b"good");
    ferry.home.on("ttn/node/uplink").await;
    ferry.counted("everything delivered", |counts| counts.uplinks == 1 && counts.waiting_at_home == 0).await;
}

#[tokio::test]
async fn an_answer_that_no_broker_can_take_is_given_up_and_told() {
    let mut ferry = Ferry::start().await;
    // The request's topic just fits into MQTT; the answer's is one byte longer.
    let command = "x".repeat(65_535 - "ttn/bridge/request/".len());
    ferry.home.publish(&format!("ttn/bridge/request/{command}"), "{}").await;
    ferry.network.up("node", 1, b"good");
    ferry.home.on("ttn/node/uplink").await;
    assert_eq!(ferry.home.event("undeliverable").await["reason"], "its topic is longer than MQTT allows");
}

#[tokio::test]
async fn ids_in_a_body_count_for_nothing_against_the_topics() {
    let mut ferry = Ferry::start().await;
    let mut message = uplink(1, b"x");
    message["end_device_ids"] = json!({"device_id": "somebody-else", "application_ids": {"application_id": "theirs"}});
    ferry.network.handle.publish_up(APP, "node", &message);
    let told = ferry.home.on("ttn/node/uplink").await;
    assert_eq!((&told["device_id"], &told["application"]), (&json!("node"), &json!(APP)));
}

#[tokio::test]
async fn a_device_called_bridge_cannot_take_the_bridges_topics() {
    let mut ferry = Ferry::start().await;
    ferry.network.up("bridge", 1, b"x");
    assert_eq!(ferry.home.on("ttn/device-bridge/uplink").await["device_id"], "bridge");
    assert_eq!(ferry.home.all_on("ttn/bridge/uplink").len(), 0);
}

#[tokio::test]
async fn a_codec_may_return_any_field_name_without_touching_the_topics() {
    let script =
        "function decodeUplink() { return {data: {'a/b': 1, '#': 2, '': 3, '__proto__x': 4, 'last_seen': 5}}; }";
    let mut ferry = Ferry::with(|setup| setup.add_codec("node", script)).await;
    ferry.network.up("node", 1, b"x");
    let state = ferry.home.on("ttn/node").await;
    assert_eq!((&state["a/b"], &state["#"], &state[""]), (&json!(1), &json!(2), &json!(3)));
    assert_eq!(state["last_seen"], "2026-01-01T00:00:01Z", "the bridge's own comes first");
}

#[tokio::test]
async fn bad_requests_are_answered_and_odd_ones_do_no_harm() {
    let mut ferry = Ferry::start().await;
    for (request, body, words) in [
        ("nonsense", "", "there is no request `nonsense`"),
        ("info", "{", "cannot be read"),
        ("health", "\u{1}", "cannot be read"),
    ] {
        ferry.home.publish(&format!("ttn/bridge/request/{request}"), body).await;
        let answer = ferry.home.on(&format!("ttn/bridge/response/{request}")).await;
        assert_eq!(answer["status"], "error");
        assert!(answer["error"].as_str().unwrap().contains(words), "{answer}");
    }
    ferry.home.broker().publish("ttn/bridge/request/info", vec![0xff; 100_000], QoS::AtMostOnce, false).await.unwrap();
    let long = format!("ttn/bridge/request/{}", "x".repeat(2000));
    ferry.home.publish(&long, "[1]").await;
    let answer = ferry.home.wait_for("an answer", |heard| heard.topic.starts_with("ttn/bridge/response/xxx")).await;
    assert!(answer.json()["error"].as_str().unwrap().len() < 200, "{}", answer.text);
}

#[tokio::test]
async fn what_is_told_at_home_is_logged_too() {
    let mut stage = Stage::set(|setup| setup.add_codec("failing", "throw new Error('at once');")).await;
    let mut process = Process::ferry(&stage.configuration());
    stage.network.subscribed().await;
    stage.network.publish("v3/app1/devices/node/up", "{");
    stage.network.up("failing", 1, b"x");
    process.says("Message cannot be understood.").await;
    process.says("Codec failed; the uplink goes on raw.").await;
    stage.home.on("ttn/failing/event/codec_error").await;
}
