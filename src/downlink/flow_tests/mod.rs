//! The whole flow on a paused clock: commands in, a scripted network, steps out.

mod restarts;
mod rig;

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::DownlinkConfig;
use crate::model::{DownlinkHappening, DownlinkId, Failure};
use crate::network::PushError;
use rig::{id, lamp, start, start_with};

fn sent() -> DownlinkHappening {
    DownlinkHappening::Sent { f_cnt: Some(1) }
}

#[tokio::test(start_paused = true)]
async fn a_set_is_accepted_queued_sent_and_acknowledged() {
    let mut flow = start([]);
    flow.send("ttn/lamp/set", r#"{"led":true}"#).await;
    let (id, state, _) = flow.step().await;
    assert_eq!(state, "accepted");
    flow.expect(&id, &["queued"]).await;
    let pushed = flow.server.pushed.lock().unwrap()[0].clone();
    assert_eq!((pushed.payload, pushed.f_port.value()), (vec![1], 2));
    assert_eq!((pushed.confirmed, pushed.attempts), (true, Some(3)));
    assert_eq!((flow.queue.count(), flow.queue.of(&lamp())[0].id.to_string()), (1, id.clone()));
    flow.report(Some(DownlinkId::parse(&id).unwrap()), sent()).await;
    flow.report(Some(DownlinkId::parse(&id).unwrap()), DownlinkHappening::Acked).await;
    flow.expect(&id, &["sent", "acked"]).await;
    assert_eq!(flow.queue.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_port_that_neither_codec_nor_command_names_is_one() {
    let mut flow = start([]);
    for (topic, payload) in
        [("ttn/lamp/set/led", "\"no port\""), ("ttn/lamp/downlink/push", r#"{"fields":{"led":"no port"},"f_port":9}"#)]
    {
        flow.send(topic, payload).await;
        for expected in ["accepted", "queued"] {
            let (_, state, reason) = flow.step().await;
            assert_eq!(state, expected, "{reason}");
        }
    }
    let ports: Vec<_> = flow.server.pushed.lock().unwrap().iter().map(|downlink| downlink.f_port.value()).collect();
    assert_eq!(ports, [1, 9]);
}

#[tokio::test(start_paused = true)]
async fn a_set_that_need_not_be_confirmed_ends_when_it_is_sent() {
    let mut flow = start_with([], DownlinkConfig { confirm_set: false, ..DownlinkConfig::default() });
    flow.send("ttn/lamp/set", r#"{"led":true}"#).await;
    let (id, _, _) = flow.step().await;
    flow.expect(&id, &["queued"]).await;
    assert!(!flow.server.pushed.lock().unwrap()[0].confirmed);
    flow.report(Some(DownlinkId::parse(&id).unwrap()), sent()).await;
    flow.expect(&id, &["sent"]).await;
    assert_eq!(flow.queue.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_downlink_is_followed_to_its_acknowledgement() {
    let mut flow = start([]);
    flow.push("one", r#","confirmed":true,"attempts":2"#).await;
    flow.expect("one", &["accepted", "queued"]).await;
    flow.report(Some(id("one")), DownlinkHappening::Queued).await;
    for happening in [sent(), sent(), DownlinkHappening::Nacked { attempt: Some(2) }, sent(), DownlinkHappening::Acked]
    {
        flow.report(Some(id("one")), happening).await;
    }
    flow.expect("one", &["sent", "nacked", "sent", "acked"]).await;
    assert_eq!(flow.pushes(), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_network_drops_ends_with_its_reason() {
    let mut flow = start([]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "queued"]).await;
    let failure = Failure { name: "transmission".into(), message: "gateway said TOO_LATE".into() };
    flow.report(Some(id("one")), DownlinkHappening::Failed(failure)).await;
    assert_eq!(flow.step().await, ("one".into(), "failed".into(), "gateway said TOO_LATE (transmission)".into()));
}

#[tokio::test(start_paused = true)]
async fn every_refusal_says_why() {
    let failure = Failure { name: "application_downlink_too_long".into(), message: "too long".into() };
    let mut flow = start([PushError::Refused(failure)]);
    let cases = [
        ("ttn/lamp/set", "ON", "not the JSON"),
        ("ttn/lamp/set", r#"{"colour":1}"#, "no codec is known"),
        ("ttn/lamp/set/led", "long", "the payload is 300 bytes"),
        ("ttn/lamp/led/set", "port", "f_port 224 is out of range"),
        ("ttn/lamp/downlink/push", r#"[{"fields":{"led":true}},{"fields":{}}]"#, "downlink 2 of the list: no codec"),
        (
            "ttn/lamp/downlink/push",
            r#"[{"id":"a","fields":{"led":true}},{"id":"a","fields":{"led":true}}]"#,
            "`a` is used twice",
        ),
        ("ttn/lamp/downlink/cancel", "nobody", "no open downlink"),
    ];
    for (topic, payload, expected) in cases {
        flow.send(topic, payload).await;
        let (_, state, reason) = flow.step().await;
        assert!(state == "failed" && reason.contains(expected), "{topic} {payload}: {state} {reason}");
    }
    assert_eq!(flow.pushes(), [""; 0], "nothing of a refused command leaves the house");
    flow.push("one", "").await;
    flow.expect("one", &["accepted"]).await;
    assert_eq!(flow.step().await, ("one".into(), "failed".into(), "too long (application_downlink_too_long)".into()));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_device_is_answered_under_the_name_that_was_written() {
    let mut flow = start([]);
    flow.send("ttn/Not A Device/set", "{}").await;
    let (topic, step) = flow.message().await;
    assert_eq!((topic.as_str(), step["state"].as_str()), ("ttn/Not A Device/downlink/state", Some("failed")));
    assert!(step["reason"].as_str().unwrap().contains("no device is called") && step["hint"].is_string());
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_still_open_is_refused_and_the_open_one_goes_on() {
    let mut flow = start([]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "queued"]).await;
    flow.push("one", "").await;
    let (other, state, reason) = flow.step().await;
    assert_ne!(other, "one");
    assert_eq!((state.as_str(), reason.as_str()), ("failed", "id `one` belongs to a downlink that is still open"));
    flow.report(Some(id("one")), sent()).await;
    flow.expect("one", &["sent"]).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_session_it_is_held_until_the_device_is_heard() {
    let mut flow = start([PushError::NoSession]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "held"]).await;
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    assert_eq!(flow.pushes(), ["one"]);
    flow.alive().await;
    flow.expect("one", &["queued"]).await;
    assert_eq!(flow.pushes(), ["one", "one"]);
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_make_the_whole_application_wait() {
    let mut flow = start([PushError::RateLimited { retry_after: Duration::from_secs(30) }]);
    let began = Instant::now();
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "held"]).await;
    flow.send("ttn/node-2/downlink/push", r#"{"id":"two","f_port":1,"payload_hex":"01"}"#).await;
    for expected in ["accepted", "held"] {
        assert_eq!(flow.message().await.1["state"], expected);
    }
    flow.expect("one", &["queued"]).await;
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!(flow.message().await.1["state"], "queued");
}

#[tokio::test(start_paused = true)]
async fn a_key_without_rights_is_told_and_tried_again_slowly() {
    let failure = Failure { name: "no_application_rights".into(), message: "no rights".into() };
    let mut flow = start([PushError::Forbidden(failure)]);
    let began = Instant::now();
    flow.push("one", "").await;
    flow.expect("one", &["accepted"]).await;
    let (_, step) = flow.message().await;
    assert_eq!((step["state"].as_str(), step["reason"].as_str()), (Some("held"), Some("not allowed: no rights")));
    assert!(step["hint"].as_str().unwrap().contains("API key"));
    flow.expect("one", &["queued"]).await;
    assert_eq!(began.elapsed().as_secs(), 300);
}

#[tokio::test(start_paused = true)]
async fn an_unclear_outcome_is_looked_up_and_not_doubled() {
    let mut flow = start([PushError::Unknown("timeout".into())]);
    flow.server.waiting.lock().unwrap().push(id("one"));
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "held", "queued"]).await;
    assert_eq!((flow.pushes(), *flow.server.looks.lock().unwrap()), (vec!["one".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn an_unclear_outcome_is_pushed_again_once_it_is_surely_not_there() {
    let mut flow = start([PushError::Unknown("timeout".into())]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "held", "held", "queued"]).await;
    assert_eq!((flow.pushes(), *flow.server.looks.lock().unwrap()), (vec!["one".to_owned(); 2], 2));
}

#[tokio::test(start_paused = true)]
async fn a_history_that_reaches_back_far_enough_tells_as_soon_as_it_can_hold_every_report() {
    let mut flow = start([PushError::Unknown("timeout".into())]);
    flow.server.history.lock().unwrap().complete = true;
    flow.push("one", "").await;
    let began = tokio::time::Instant::now();
    flow.expect("one", &["accepted", "held", "queued"]).await;
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!((flow.pushes(), *flow.server.looks.lock().unwrap()), (vec!["one".to_owned(); 2], 2));
}

#[tokio::test(start_paused = true)]
async fn a_report_settles_an_unclear_outcome_without_a_look() {
    let mut flow = start([PushError::Unknown("timeout".into())]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "held"]).await;
    flow.report(Some(id("one")), sent()).await;
    flow.expect("one", &["sent"]).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!((flow.pushes(), *flow.server.looks.lock().unwrap()), (vec!["one".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_handed_over_in_time_expires() {
    let mut flow = start([PushError::NoSession]);
    let began = Instant::now();
    flow.push("one", r#","expires_in":"30m""#).await;
    flow.expect("one", &["accepted", "held", "expired"]).await;
    assert_eq!(began.elapsed().as_secs(), 1800);
    flow.alive().await;
    flow.push("two", "").await;
    flow.expect("two", &["accepted", "queued"]).await;
    assert_eq!(flow.pushes(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn the_newest_of_a_key_supersedes_those_that_wait() {
    let mut flow = start([PushError::NoSession]);
    flow.push("one", r#","supersedes":"led""#).await;
    flow.expect("one", &["accepted", "held"]).await;
    flow.push("two", r#","supersedes":"led""#).await;
    flow.expect("two", &["accepted"]).await;
    flow.expect("one", &["superseded"]).await;
    flow.expect("two", &["held"]).await;
    flow.alive().await;
    flow.expect("two", &["queued"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_to_wait_until_a_time_waits_until_then() {
    let mut flow = start([]);
    let began = Instant::now();
    flow.push("one", r#","not_before":"2026-11-21T13:00:00Z""#).await;
    flow.expect("one", &["accepted", "held", "queued"]).await;
    assert_eq!(began.elapsed().as_secs(), 3600);
}

#[tokio::test(start_paused = true)]
async fn at_most_so_many_are_handed_over_at_once_and_urgent_ones_first() {
    let mut flow = start([]);
    for name in ["one", "two"] {
        flow.push(name, "").await;
        flow.expect(name, &["accepted", "queued"]).await;
    }
    flow.push("three", "").await;
    flow.push("four", r#","priority":"HIGH""#).await;
    flow.expect("three", &["accepted"]).await;
    flow.expect("four", &["accepted"]).await;
    flow.report(Some(id("one")), sent()).await;
    flow.expect("one", &["sent"]).await;
    flow.expect("four", &["queued"]).await;
    assert_eq!(flow.pushes(), ["one", "two", "four"]);
}

#[tokio::test(start_paused = true)]
async fn clear_takes_back_what_it_can_and_always_answers() {
    let mut flow = start_with([], DownlinkConfig { in_network: 1, ..DownlinkConfig::default() });
    flow.send("ttn/lamp/downlink/clear", "").await;
    let (_, state, reason) = flow.step().await;
    assert_eq!((state.as_str(), reason.as_str()), ("cancelled", "nothing was waiting"));
    flow.server.waiting.lock().unwrap().push(id("one"));
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "queued"]).await;
    flow.push("two", "").await;
    flow.expect("two", &["accepted"]).await;
    flow.send("ttn/lamp/downlink/clear", "{}").await;
    flow.expect("two", &["cancelled"]).await;
    flow.expect("one", &["cancelled"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_taken_back_says_so_and_goes_on() {
    let mut flow = start([]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "queued"]).await;
    flow.send("ttn/lamp/downlink/cancel", "one").await;
    let answer = ("one".into(), "queued".into(), "cannot cancel: already handed to the network".into());
    assert_eq!(flow.step().await, answer);
    flow.report(Some(id("one")), sent()).await;
    flow.expect("one", &["sent"]).await;
}

#[tokio::test(start_paused = true)]
async fn replace_drops_what_waits_and_sends_what_it_brings() {
    let mut flow = start([PushError::NoSession]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "held"]).await;
    flow.send("ttn/lamp/downlink/replace", r#"{"id":"two","f_port":1,"payload_hex":"02"}"#).await;
    flow.expect("one", &["cancelled"]).await;
    flow.expect("two", &["accepted", "held"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_left_the_networks_queue_without_a_report_does_not_block_the_device() {
    let mut flow = start_with([], DownlinkConfig { in_network: 1, ..DownlinkConfig::default() });
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "queued"]).await;
    flow.push("two", "").await;
    flow.expect("two", &["accepted"]).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    flow.alive().await;
    let (which, state, reason) = flow.step().await;
    assert_eq!((which.as_str(), state.as_str()), ("one", "sent"));
    assert!(reason.contains("no report"), "{reason}");
    flow.expect("two", &["queued"]).await;
}

#[tokio::test(start_paused = true)]
async fn reports_are_tracked_while_a_push_hangs_and_others_downlinks_are_ignored() {
    let mut flow = start([]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "queued"]).await;
    let closed = flow.server.gate.forget_permits(1);
    assert_eq!(closed, 1);
    flow.push("two", "").await;
    flow.expect("two", &["accepted"]).await;
    flow.report(None, DownlinkHappening::Acked).await;
    flow.report(Some(id("somebody-elses")), DownlinkHappening::Acked).await;
    flow.report(Some(id("one")), sent()).await;
    flow.expect("one", &["sent"]).await;
    flow.server.gate.add_permits(1);
    flow.expect("two", &["queued"]).await;
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_a_downlink_is_refused() {
    let mut flow = start_with([PushError::NoSession], DownlinkConfig { per_device: 1, ..DownlinkConfig::default() });
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "held"]).await;
    flow.push("two", "").await;
    assert_eq!(
        flow.step().await,
        ("two".into(), "failed".into(), "more than the limit of 1 open downlinks for one device".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_that_does_not_fit_is_refused_whole() {
    let two = r#"[{"id":"a","f_port":1,"payload_hex":"01"},{"id":"b","f_port":1,"payload_hex":"01"}]"#;
    let mut flow = start_with([PushError::NoSession], DownlinkConfig { per_device: 2, ..DownlinkConfig::default() });
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "held"]).await;
    flow.send("ttn/lamp/downlink/push", two).await;
    let (which, state, reason) = flow.step().await;
    assert!(state == "failed" && reason.contains("limit of 2") && !["a", "b"].contains(&&*which), "{which} {reason}");
    assert_eq!(flow.queue.count(), 1);
    flow.send("ttn/lamp/downlink/replace", two).await;
    flow.expect("one", &["cancelled"]).await;
    flow.expect("a", &["accepted"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_push_under_way_and_the_rest_stays_in_the_store() {
    let mut flow = start([]);
    flow.server.gate.forget_permits(1);
    flow.push("one", "").await;
    flow.push("two", "").await;
    flow.expect("one", &["accepted"]).await;
    flow.expect("two", &["accepted"]).await;
    flow.stop.cancel();
    tokio::time::sleep(Duration::from_millis(1)).await;
    flow.server.gate.add_permits(1);
    flow.expect("one", &["queued"]).await;
    flow.report(Some(id("one")), sent()).await;
    flow.expect("one", &["sent"]).await;
    let closed = std::mem::replace(&mut flow.tracked, tokio::sync::mpsc::channel(1).0);
    drop(closed);
    (&mut flow.task).await.unwrap();
    assert_eq!(flow.pushes(), ["one"]);
    let mut flow = flow.kill_and_restart().await;
    flow.expect("one", &["sent"]).await;
    flow.expect("two", &["accepted", "queued"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_pending_is_told_until_the_device_has_it_also_over_a_restart() {
    let mut flow = start([]);
    flow.expect_pending(&json!({"queue": 0, "fields": {}})).await;
    flow.send("ttn/lamp/set", r#"{"led":true}"#).await;
    flow.expect_pending(&json!({"queue": 1, "fields": {"led": true}})).await;
    flow.push("raw", "").await;
    flow.expect_pending(&json!({"queue": 2, "fields": {"led": true}})).await;
    flow.send("ttn/lamp/set/led", "false").await;
    flow.expect_pending(&json!({"queue": 3, "fields": {"led": false}})).await;
    let mut flow = flow.kill_and_restart().await;
    flow.expect_pending(&json!({"queue": 3, "fields": {"led": false}})).await;
    flow.send("ttn/lamp/downlink/clear", "").await;
    for downlink in flow.queue.of(&lamp()) {
        flow.report(Some(downlink.id.clone()), sent()).await;
        flow.report(Some(downlink.id), DownlinkHappening::Acked).await;
    }
    flow.expect_pending(&json!({"queue": 0, "fields": {}})).await;
}
