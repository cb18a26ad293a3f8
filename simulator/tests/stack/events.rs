//! The event stream: its history, its present, and who may follow it.

use serde_json::{Value, json};
use simulator::stack::EventHistory;

use crate::client::EventStream;
use crate::scene::{APP, DEVICE, Scene};

/// A request about the application with these further fields.
fn about_application(further: Value) -> Value {
    let mut request = json!({"identifiers": [{"application_ids": {"application_id": APP}}]});
    request.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    request
}

async fn next(stream: &mut EventStream) -> Value {
    stream.next().await.expect("the stream stays open")
}

/// The names of the next events, of which the first is the start of the stream.
async fn names(stream: &mut EventStream, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(next(stream).await["name"].as_str().unwrap().to_owned());
    }
    names
}

#[tokio::test]
async fn the_life_of_a_downlink_can_be_read_afterwards() {
    let scene = Scene::start().await;
    let mut node = scene.joined_node().await;
    scene.push(json!({"f_port": 7, "frm_payload": "AQ==", "confirmed": true, "correlation_ids": ["mine"]})).await;
    node.report(&scene.handle).await.unwrap();
    node.report(&scene.handle).await.unwrap();
    let mut stream = scene.event_stream(about_application(json!({"tail": 100, "names": ["/as.down.*/"]}))).await;
    assert_eq!(next(&mut stream).await["name"], "events.stream.start");
    let expected = [
        ("as.down.data.receive", "ApplicationDownlink", ""),
        ("as.down.data.sent.forward", "ApplicationUp", "/downlink_sent"),
        ("as.down.data.ack.forward", "ApplicationUp", "/downlink_ack"),
    ];
    for (name, kind, downlink) in expected {
        let event = next(&mut stream).await;
        assert_eq!(event["name"], name);
        assert_eq!(event["data"]["@type"], format!("type.googleapis.com/ttn.lorawan.v3.{kind}"));
        let ids = event["data"].pointer(&format!("{downlink}/correlation_ids")).unwrap().as_array().unwrap();
        assert!(ids.contains(&json!("mine")), "{event}");
        assert_eq!(event["identifiers"][0]["device_ids"]["device_id"], DEVICE);
    }
}

#[tokio::test]
async fn a_refused_or_unacknowledged_downlink_has_its_events_too() {
    let scene = Scene::start().await;
    scene.push(json!({"f_port": 1, "frm_payload": "AQ=="})).await;
    let mut node = scene.joined_node().await;
    node.ignore_acks(true);
    scene.push(json!({"f_port": 1, "frm_payload": "AQ==", "confirmed": true})).await;
    node.report(&scene.handle).await.unwrap();
    node.report(&scene.handle).await.unwrap();
    let mut stream = scene.event_stream(about_application(json!({"tail": 100, "names": ["/^as.down/"]}))).await;
    let receive = "as.down.data.receive";
    let told = ["failed", "nack", "sent"].map(|step| format!("as.down.data.{step}.forward"));
    let expected = ["events.stream.start", receive, &told[0], receive, &told[2], &told[1], &told[2]];
    assert_eq!(names(&mut stream, 7).await, expected);
}

#[tokio::test]
async fn a_stream_goes_on_with_the_present_and_ends_with_the_stack() {
    let scene = Scene::start().await;
    let mut node = scene.joined_node().await;
    let request = about_application(json!({"after": "2020-01-01T00:00:00Z", "names": ["/as.up.*forward/"]}));
    let mut stream = scene.event_stream(request).await;
    assert_eq!(names(&mut stream, 2).await, ["events.stream.start", "as.up.join.forward"]);
    node.report(&scene.handle).await.unwrap();
    let up = next(&mut stream).await;
    assert_eq!(
        (up["name"].as_str(), &up["data"]["uplink_message"]["f_port"]),
        (Some("as.up.data.forward"), &json!(15))
    );
    scene.stack.stop().await;
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn without_a_bound_only_the_present_is_told() {
    let scene = Scene::start().await;
    let mut node = scene.joined_node().await;
    let device = json!({"device_ids": {"device_id": DEVICE, "application_ids": {"application_id": APP}}});
    let mut stream = scene.event_stream(json!({"identifiers": [device]})).await;
    assert_eq!(next(&mut stream).await["name"], "events.stream.start");
    node.report(&scene.handle).await.unwrap();
    assert_eq!(next(&mut stream).await["name"], "as.up.data.forward");
}

#[tokio::test]
async fn only_so_many_events_are_remembered_and_perhaps_none() {
    let few = EventHistory { per_entity: 2, ..EventHistory::default() };
    let scene = Scene::with(|config| config.events = Some(few)).await;
    (1..=3).for_each(|f_cnt| scene.handle.publish_up(APP, DEVICE, &json!({"uplink_message": {"f_cnt": f_cnt}})));
    let mut stream = scene.event_stream(about_application(json!({"tail": 10}))).await;
    next(&mut stream).await;
    assert_eq!(next(&mut stream).await["data"]["uplink_message"]["f_cnt"], 2);
    let forgetful = Scene::with(|config| config.events = None).await;
    forgetful.handle.publish_up(APP, DEVICE, &json!({"uplink_message": {}}));
    let mut stream = forgetful.event_stream(about_application(json!({"tail": 10}))).await;
    assert!(stream.head.iter().any(|line| line == "x-warning: Events storage is not enabled"), "{:?}", stream.head);
    next(&mut stream).await;
    forgetful.handle.publish_up(APP, DEVICE, &json!({"uplink_message": {"f_cnt": 7}}));
    assert_eq!(next(&mut stream).await["data"]["uplink_message"]["f_cnt"], 7);
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused() {
    let scene = Scene::start().await;
    let foreign = json!({"identifiers": [{"application_ids": {"application_id": "other"}}]});
    for (request, status) in [
        (json!({}), 400),
        (foreign, 403),
        (about_application(json!({"names": ["as.up"]})), 400),
        (about_application(json!({"after": "yesterday"})), 400),
    ] {
        let stream = scene.event_stream(request.clone()).await;
        assert!(stream.head[0].contains(&status.to_string()), "{request}: {:?}", stream.head);
    }
    assert_eq!(scene.api("POST /events", about_application(json!({}))).await.status, 400);
}
