//! What the home may ask for, how it may write it, and what is refused.

use serde_json::{Value, json};
use simulator::stack::StackEvent;
use ttn_ferry::shutdown::Ended;

use super::{STATE, Scene};
use crate::harness::{APP, Heard};

#[tokio::test]
async fn a_command_goes_through_the_codec_to_the_led_and_shows_in_the_next_report() {
    let mut scene = Scene::joined().await;
    for (number, (topic, payload, led)) in [
        ("ttn/lamp/set", r#"{"led": true}"#, true),
        ("ttn/lamp/set/led", "false", false),
        ("ttn/lamp/led/set", "true", true),
    ]
    .into_iter()
    .enumerate()
    {
        scene.ferry.home.forget();
        scene.ferry.home.publish(topic, payload).await;
        let step = scene.ferry.home.on(STATE).await;
        let id = step["id"].as_str().unwrap().to_owned();
        scene.state(&id, "queued").await;
        scene.report().await;
        scene.state(&id, "sent").await;
        assert_eq!(scene.states(&id), ["accepted", "queued", "sent"], "{topic}");
        assert_eq!(scene.heard()[number], (15, vec![u8::from(led)]), "{topic}");
        assert_eq!(scene.lamp.example.lock().unwrap().led(), led);
        scene.report().await;
        let words = if led { "LED on" } else { "LED off" };
        let told = |heard: &Heard| heard.topic == "ttn/lamp" && heard.text.contains(words);
        scene.ferry.home.wait_for("the LED in a report", told).await;
        scene.state(&id, "acked").await;
    }
    let last = scene.ferry.home.retained(STATE).await.unwrap();
    assert_eq!(last["state"], "acked");
}

#[tokio::test]
async fn bytes_are_pushed_as_hex_base64_and_text_and_arrive_in_their_order() {
    let mut scene = Scene::joined().await;
    let list = json!([
        {"f_port": 1, "payload_hex": "01 FF"},
        {"f_port": 2, "payload_base64": "Av8="},
        {"f_port": 223, "payload_text": "three"},
        {"f_port": 4, "payload_hex": "00".repeat(242), "id": "last"},
    ]);
    scene.push(list).await;
    scene.state("last", "accepted").await;
    let mut reports = 0;
    while scene.heard().len() < 4 {
        reports += 1;
        assert!(reports < 200, "{:?}", scene.heard());
        if scene.report().await.is_none() {
            // The bridge hands over two at a time, and the next when it heard that one left.
            scene.ferry.network.wait_for("a push", |event| matches!(event, StackEvent::Http(_))).await;
        }
    }
    assert_eq!(scene.heard(), [(1, vec![1, 255]), (2, vec![2, 255]), (223, b"three".to_vec()), (4, vec![0; 242])]);
    scene.state("last", "sent").await;
}

#[tokio::test]
async fn what_waits_can_be_cancelled_replaced_and_cleared() {
    let mut scene = Scene::joined().await;
    let numbered = |id: &str, byte: u8| json!({"id": id, "f_port": 1, "payload_hex": hex::encode([byte])});
    scene.push(json!([numbered("a", 1), numbered("b", 2), numbered("c", 3), numbered("d", 4)])).await;
    scene.state("b", "queued").await;
    scene.ferry.home.publish("ttn/lamp/downlink/cancel", r#"{"id": "c"}"#).await;
    scene.state("c", "cancelled").await;
    scene.ferry.home.publish("ttn/lamp/downlink/cancel", "c").await;
    // Its end stays its end: the answer has an id of its own.
    let refused =
        |heard: &Heard| heard.topic == STATE && heard.json()["reason"] == "cannot cancel: `c` is cancelled already";
    assert_ne!(scene.ferry.home.wait_for("the refusal", refused).await.json()["id"], "c");
    scene.ferry.home.publish("ttn/lamp/downlink/replace", json!([numbered("e", 5)]).to_string()).await;
    scene.state("d", "cancelled").await;
    scene.state("e", "queued").await;
    assert_eq!(scene.report().await.unwrap().payload, [5]);
    scene.state("e", "sent").await;
    assert_eq!(scene.ferry.network.handle.queue(APP, "lamp"), [Value::Null; 0]);
    scene.push(numbered("f", 6)).await;
    scene.state("f", "queued").await;
    scene.ferry.home.publish("ttn/lamp/downlink/clear", "").await;
    let emptied = |event: &StackEvent| matches!(event, StackEvent::Http(request) if request.body.ends_with(b"[]}"));
    scene.ferry.network.wait_for("the network's queue to be emptied", emptied).await;
    scene.ferry.network.wait_for("it again", emptied).await;
    assert_eq!(scene.report().await, None);
    // A report that it had left a moment before could still come; the end of the bridge ends that wait.
    let lamp = scene.lamp.clone();
    let (ended, mut stage) = scene.ferry.stop().await;
    assert_eq!(ended, Ended::Stopped);
    for id in ["a", "b", "f"] {
        let steps = stage.home.all_on(STATE);
        let last = steps.iter().rfind(|step| step["id"] == id).unwrap();
        assert_eq!(last["state"], "cancelled", "{id}");
    }
    assert_eq!(*lamp.heard.lock().unwrap(), [(1, vec![5])]);
}

#[tokio::test]
async fn every_refusal_says_why_and_nothing_reaches_the_network() {
    let mut scene = Scene::joined_with(|setup| setup.add_device("bare", "")).await;
    scene.ferry.network.up("bare", 1, b"x");
    scene.ferry.home.on("ttn/bare/uplink").await;
    let ok = |more: Value| {
        let mut downlink = json!({"f_port": 1, "payload_hex": "01"});
        downlink.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        downlink.to_string()
    };
    let push = "lamp/downlink/push";
    for (topic, payload, words) in [
        (push, ok(json!({"f_port": 0})), "1 to 223"),
        (push, ok(json!({"f_port": 224})), "1 to 223"),
        (push, ok(json!({"f_port": "1"})), "f_port"),
        (push, json!({"payload_hex": "01"}).to_string(), "`f_port` is missing"),
        (push, ok(json!({"payload_hex": "00".repeat(243)})), "243 bytes"),
        (push, ok(json!({"payload_hex": ""})), "empty"),
        (push, ok(json!({"payload_hex": "0x1"})), "`payload_hex` is malformed"),
        (push, json!({"f_port": 1, "payload_base64": "***"}).to_string(), "`payload_base64` is malformed"),
        (push, ok(json!({"payload_text": "x"})), "at once"),
        (push, json!({"f_port": 1}).to_string(), "no payload"),
        (push, ok(json!({"priority": "high"})), "spelled exactly"),
        (push, ok(json!({"confirm": true})), "did you mean `confirmed`?"),
        (push, ok(json!({"confirmed": "yes"})), "true or false"),
        (push, ok(json!({"attempts": 3})), "without `confirmed`"),
        (push, ok(json!({"expires_in": "soon"})), "expires_in"),
        (push, ok(json!({"id": "a b"})), "does not fit"),
        (push, json!({"fields": {"led": "on"}}).to_string(), "led must be true or false"),
        (push, "{".into(), "not the JSON it should be"),
        (push, "[]".into(), "holds 0 downlinks"),
        (push, "\u{0}".into(), "not the JSON"),
        ("lamp/set", r#"{"leed": true}"#.into(), "there are led"),
        ("lamp/set", "ON".into(), "…/set/<field>"),
        ("lamp/set", String::new(), "empty"),
        ("lamp/set", format!("{{\"led\":\"{}\"}}", "x".repeat(300_000)), "at most"),
        ("lamp/set/led", "perhaps".into(), "led must be true or false"),
        ("lamp/downlink/clear", "all".into(), "empty payload"),
        ("bare/set", r#"{"led": true}"#.into(), "no codec is known for this device"),
        ("no such/lamp/set", r#"{"led": true}"#.into(), "no device is called"),
    ] {
        scene.ferry.home.forget();
        scene.ferry.home.publish(&format!("ttn/{topic}"), payload.clone()).await;
        let step = scene.ferry.home.wait_for(words, |heard| heard.topic.ends_with("/downlink/state")).await.json();
        let told = format!("{} {}", step["reason"], step["hint"]);
        assert_eq!(step["state"], "failed", "{topic} {payload}: {step}");
        assert!(told.contains(words), "{topic} {payload}: {step}");
    }
    assert_eq!(scene.report().await, None);
    let pushes = scene.ferry.network.handle.http_requests();
    assert!(!pushes.iter().any(|request| request.path.contains("/down/")), "{pushes:?}");
}

#[tokio::test]
async fn an_id_in_use_is_refused_and_the_first_downlink_lives_on() {
    let mut scene = Scene::joined().await;
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01"})).await;
    scene.state("mine", "queued").await;
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "02"})).await;
    let refused = |step: &Value| step["reason"].as_str().is_some_and(|reason| reason.contains("still open"));
    scene.ferry.home.wait_for("a refusal", |heard| heard.topic == STATE && refused(&heard.json())).await;
    scene.report().await;
    scene.state("mine", "sent").await;
    assert_eq!(scene.heard(), [(1, vec![1])]);
}

#[tokio::test]
async fn a_retained_command_is_ignored() {
    let mut scene = Scene::joined().await;
    scene.ferry.home_goes().await;
    scene.ferry.home.forget();
    scene.ferry.home_comes().await;
    // Before the bridge is back: to it this is what the broker kept, not what somebody says now.
    scene.ferry.home.publish_retained("ttn/lamp/set", r#"{"led": true}"#).await;
    scene.ferry.home.on("ttn/bridge/state").await;
    scene.push(json!({"id": "live", "f_port": 1, "payload_hex": "05"})).await;
    scene.state("live", "queued").await;
    while scene.report().await.is_some() {}
    assert_eq!(scene.heard(), [(1, vec![5])]);
}

#[tokio::test]
async fn a_newer_value_supersedes_one_that_waits_and_one_can_expire() {
    let mut scene = Scene::unjoined_with(|_| {}).await;
    for (id, byte) in [("old", "01"), ("new", "02")] {
        scene.push(json!({"id": id, "f_port": 1, "payload_hex": byte, "supersedes": "level"})).await;
        scene.state(id, "accepted").await;
    }
    scene.state("old", "superseded").await;
    scene.push(json!({"id": "short", "f_port": 1, "payload_hex": "03", "expires_in": 0.5})).await;
    scene.state("short", "expired").await;
    scene.node.join(&scene.ferry.network.handle.clone()).await.unwrap();
    scene.state("new", "queued").await;
    while scene.report().await.is_none() {}
    assert_eq!(scene.heard(), [(1, vec![2])]);
}
