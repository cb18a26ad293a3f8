//! The flow and its store: what a kill leaves, what the home is told again, and the handle for those who ask inside.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::rig::{id, lamp, start, start_with};
use crate::downlink::queue::Policy;
use crate::downlink::{DownlinkConfig, Filter};
use crate::home::Verb;
use crate::model::{DownlinkEvent, DownlinkHappening, State};
use crate::mqtt::Ack;
use crate::network::{PushError, Tracked};
use crate::telemetry::{NetworkClock, Notice};

fn sent() -> DownlinkHappening {
    DownlinkHappening::Sent { f_cnt: Some(1) }
}

fn everything() -> Filter {
    Filter { device: None, application: None, open_only: false, most: 100 }
}

#[tokio::test(start_paused = true)]
async fn what_waits_survives_a_kill_with_its_order_and_its_times() {
    let mut flow = start([PushError::NoSession]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "held"]).await;
    flow.push("two", r#","expires_in":"30m""#).await;
    flow.push("three", r#","priority":"HIGH""#).await;
    flow.expect("two", &["accepted", "held"]).await;
    flow.expect("three", &["accepted", "held"]).await;
    flow.server.script.lock().unwrap().push_back(PushError::NoSession);
    let mut flow = flow.kill_and_restart().await;
    for name in ["one", "two", "three"] {
        flow.expect(name, &["held"]).await;
    }
    assert_eq!(flow.queue.count(), 3);
    tokio::time::sleep(Duration::from_secs(1800)).await;
    flow.expect("two", &["expired"]).await;
    flow.alive().await;
    flow.expect("three", &["queued"]).await;
    flow.expect("one", &["queued"]).await;
    assert_eq!(flow.pushes(), ["one", "three", "three", "one"]);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_expired_while_the_bridge_was_off_waits_for_the_networks_time() {
    let mut flow = start([PushError::NoSession]);
    flow.push("one", r#","expires_in":"30m""#).await;
    flow.expect("one", &["accepted", "held"]).await;
    flow.network = NetworkClock::default();
    let mut flow = flow.kill_and_restart().await;
    flow.expect("one", &["held", "held"]).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(flow.pushes(), ["one"], "it may be days later than the clock says");
    flow.push("two", "").await;
    flow.expect("two", &["accepted", "queued"]).await;
    flow.network.heard(Timestamp::now());
    flow.expect("one", &["queued"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_push_that_was_under_way_is_found_in_the_networks_queue_and_not_repeated() {
    let mut flow = start([]);
    flow.server.gate.forget_permits(1);
    flow.push("one", "").await;
    flow.expect("one", &["accepted"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(flow.pushes(), ["one"]);
    flow.server.waiting.lock().unwrap().push(id("one"));
    let mut flow = flow.kill_and_restart().await;
    flow.expect("one", &["accepted", "queued"]).await;
    assert_eq!(flow.pushes(), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_was_under_way_and_is_in_the_history_ends_as_that_tells() {
    let mut flow = start([]);
    flow.server.gate.forget_permits(1);
    flow.push("one", "").await;
    flow.expect("one", &["accepted"]).await;
    let event = DownlinkEvent { key: lamp(), id: Some(id("one")), happening: sent(), at: Timestamp::UNIX_EPOCH };
    flow.server.history.lock().unwrap().events.push(event);
    let mut flow = flow.kill_and_restart().await;
    flow.expect("one", &["accepted", "sent"]).await;
    assert_eq!((flow.pushes(), flow.queue.count()), (vec!["one".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn a_push_that_was_under_way_and_left_no_trace_is_given_up_with_the_reason() {
    let mut flow = start([]);
    flow.server.gate.forget_permits(1);
    flow.push("one", "").await;
    flow.expect("one", &["accepted"]).await;
    let mut flow = flow.kill_and_restart().await;
    flow.expect("one", &["accepted"]).await;
    let (_, state, reason) = flow.step().await;
    assert!(state == "failed" && reason.contains("may or may not be sent"), "{state}: {reason}");
    assert_eq!(flow.pushes(), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_again_after_a_restart_until_the_home_has_it() {
    let mut flow = start([]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "queued"]).await;
    flow.report(Some(id("one")), sent()).await;
    flow.expect("one", &["sent"]).await;
    let mut flow = flow.kill_and_restart().await;
    flow.expect("one", &["sent"]).await;
    flow.acknowledge().await;
    flow.push("two", "").await;
    flow.expect("two", &["accepted", "queued"]).await;
    let mut flow = flow.kill_and_restart().await;
    flow.expect("two", &["queued"]).await;
}

#[tokio::test(start_paused = true)]
async fn missed_reports_are_looked_up_once_the_stream_is_back() {
    let mut flow = start([]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "queued"]).await;
    let event = DownlinkEvent { key: lamp(), id: Some(id("one")), happening: sent(), at: Timestamp::UNIX_EPOCH };
    flow.server.history.lock().unwrap().events.push(event);
    let application = lamp().application;
    flow.tracked.send(Tracked::Blind { application, since: Timestamp::UNIX_EPOCH }).await.unwrap();
    assert_eq!(flow.step().await, ("one".into(), "sent".into(), String::new()));
}

#[tokio::test(start_paused = true)]
async fn an_id_is_taken_once_as_long_as_its_downlink_is_remembered() {
    let mut flow = start([]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "queued"]).await;
    flow.report(Some(id("one")), sent()).await;
    flow.expect("one", &["sent"]).await;
    let mut flow = flow.kill_and_restart().await;
    flow.expect("one", &["sent"]).await;
    flow.push("one", "").await;
    let (other, state, reason) = flow.step().await;
    assert_ne!(other, "one");
    assert_eq!((state.as_str(), reason.as_str()), ("failed", "id `one` was used before: that downlink is sent"));
    flow.send("ttn/lamp/downlink/cancel", "one").await;
    let (other, state, reason) = flow.step().await;
    assert_ne!(other, "one", "its end stays its end");
    assert_eq!((state.as_str(), reason.as_str()), ("failed", "cannot cancel: `one` is sent already"));
}

#[tokio::test(start_paused = true)]
async fn without_a_store_commands_are_refused_and_what_is_open_is_followed() {
    let mut flow = start([]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "queued"]).await;
    flow.writer.abort();
    (&mut flow.writer).await.ok();
    flow.push("two", "").await;
    let (_, state, reason) = flow.step().await;
    assert!(state == "failed" && reason.starts_with("it cannot be stored"), "{state}: {reason}");
    flow.report(Some(id("one")), sent()).await;
    flow.expect("one", &["sent"]).await;
    assert_eq!((flow.pushes(), flow.queue.count()), (vec!["one".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn on_a_full_disk_nothing_is_accepted_nothing_is_pushed_and_the_rest_goes_on() {
    let mut flow = start([]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "queued"]).await;
    flow.push("two", r#","not_before":"2026-11-21T12:00:30Z""#).await;
    flow.expect("two", &["accepted", "held"]).await;
    flow.disk.set(true);
    for verb in ["push", "replace"] {
        flow.send(&format!("ttn/lamp/downlink/{verb}"), r#"{"id":"three","f_port":1,"payload_hex":"01"}"#).await;
        let (_, state, reason) = flow.step().await;
        assert!(state == "failed" && reason.contains("the disk is full"), "{state}: {reason}");
    }
    let body = Bytes::from_static(br#"{"f_port":1,"payload_hex":"01"}"#);
    assert!(flow.desk.ask("lamp", None, Verb::Push, body).await.unwrap_err().passes, "nothing is wrong with it");
    flow.report(Some(id("one")), sent()).await;
    flow.expect("one", &["sent"]).await;
    assert_eq!(flow.queue.count(), 1, "what would have been replaced is still there");
    let (which, state, reason) = flow.step().await;
    assert_eq!((which.as_str(), state.as_str()), ("two", "held"));
    assert!(reason.contains("cannot be stored"), "{reason}");
    assert_eq!(flow.pushes(), ["one"]);
    flow.disk.set(false);
    flow.expect("two", &["queued"]).await;
    flow.push("three", "").await;
    flow.expect("three", &["accepted", "queued"]).await;
    let mut flow = flow.kill_and_restart().await;
    flow.expect("one", &["sent"]).await;
    assert_eq!(flow.pushes(), ["one", "two", "three"]);
}

#[tokio::test(start_paused = true)]
async fn the_desk_takes_the_same_commands_and_answers_when_they_are_stored() {
    let mut flow = start([PushError::NoSession]);
    let body = Bytes::from_static(br#"{"id":"one","f_port":7,"payload_hex":"01ff","confirmed":true,"attempts":2}"#);
    let accepted = flow.desk.ask("lamp", None, Verb::Push, body.clone()).await.unwrap();
    let view = &accepted[0];
    assert_eq!((view.id.as_str(), view.device.as_str(), view.device_id.as_str()), ("one", "lamp", "node-1"));
    assert_eq!((view.state, view.open, view.payload_hex.as_str()), (State::Accepted, true, "01FF"));
    assert_eq!((view.f_port, view.confirmed, view.attempts), (7, true, Some(2)));
    flow.expect("one", &["accepted", "held"]).await;
    let refusal = flow.desk.ask("node-1", Some("my-app"), Verb::Push, body).await.unwrap_err();
    assert_eq!(refusal.reason, "id `one` belongs to a downlink that is still open");
    let refusal = flow.desk.ask("Nobody", None, Verb::Clear, Bytes::new()).await.unwrap_err();
    assert!(refusal.reason.contains("no device is called") && refusal.hint.is_some());
    let mut changes = flow.desk.changes();
    changes.mark_unchanged();
    let view = flow.desk.cancel(&id("one")).await.unwrap();
    assert_eq!((view.state, view.open), (State::Cancelled, false));
    changes.changed().await.unwrap();
    flow.expect("one", &["cancelled"]).await;
    assert_eq!(flow.desk.cancel(&id("one")).await.unwrap_err().reason, "cannot cancel: `one` is cancelled already");
    assert_eq!(flow.desk.cancel(&id("two")).await.unwrap_err().reason, "no downlink has the id `two`");
}

#[tokio::test(start_paused = true)]
async fn the_desk_shows_what_is_open_and_what_is_finished() {
    let mut flow = start([]);
    for name in ["one", "two"] {
        flow.push(name, "").await;
        flow.expect(name, &["accepted", "queued"]).await;
    }
    flow.report(Some(id("one")), sent()).await;
    flow.expect("one", &["sent"]).await;
    let ids = |views: Vec<crate::downlink::DownlinkView>| views.iter().map(|v| v.id.to_string()).collect::<Vec<_>>();
    let open = Filter { open_only: true, ..everything() };
    assert_eq!(ids(flow.desk.list(&open).await.unwrap()), ["two"]);
    let mut all = ids(flow.desk.list(&everything()).await.unwrap());
    all.sort();
    assert_eq!(all, ["one", "two"]);
    let of_lamp = Filter { device: Some("lamp".into()), most: 1, ..everything() };
    assert_eq!(flow.desk.list(&of_lamp).await.unwrap().len(), 1);
    let elsewhere = Filter { application: Some("other".into()), ..everything() };
    assert!(flow.desk.list(&elsewhere).await.unwrap().is_empty());
    let one = flow.desk.show(&id("one")).await.unwrap().unwrap();
    let states: Vec<_> = one.steps.iter().map(|step| step.state).collect();
    assert_eq!((states, one.open), (vec![State::Accepted, State::Queued, State::Sent], false));
    assert_eq!(flow.desk.show(&id("three")).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_day_that_is_used_up_is_told_once_and_remembered_over_a_restart() {
    let config = DownlinkConfig { fair_use: Policy::Hold, fair_use_downlinks: 1, ..DownlinkConfig::default() };
    let mut flow = start_with([], config);
    flow.alive_for(Duration::from_millis(1500)).await;
    flow.report(None, sent()).await;
    let Some(Notice::FairUse { device, exceeded, downlinks, airtime_s, day, .. }) = flow.notices.recv().await else {
        panic!("no notice");
    };
    assert_eq!((device.as_str(), exceeded, downlinks, airtime_s), ("lamp", "downlinks", 1, 1));
    assert_eq!(day.to_string(), "2026-11-21");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut flow = flow.kill_and_restart().await;
    flow.push("one", "").await;
    flow.expect("one", &["accepted"]).await;
    let (_, state, reason) = flow.step().await;
    assert!(state == "held" && reason.starts_with("fair use"), "{state}: {reason}");
    flow.push("urgent", r#","priority":"HIGH""#).await;
    flow.expect("urgent", &["accepted", "queued"]).await;
    assert_eq!(flow.pushes(), ["urgent"]);
    assert!(flow.notices.try_recv().is_err());
    tokio::time::sleep(Duration::from_secs(12 * 3600)).await;
    flow.expect("one", &["queued"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_the_broker_sends_again_is_taken_once() {
    let (topic, on) = ("ttn/lamp/set", r#"{"led":true}"#);
    let mut flow = start([]);
    flow.send_with(topic, on, Ack::on_lost_connection(7, false)).await;
    let (first, ..) = flow.step().await;
    flow.expect(&first, &["queued"]).await;

    let mut flow = flow.kill_and_restart().await;
    flow.expect(&first, &["queued"]).await;
    // Stored before the process died, and not acknowledged.
    flow.send_with(topic, on, Ack::on_lost_connection(7, true)).await;
    // Sent before, and never stored: another packet, another payload.
    flow.send_with(topic, on, Ack::on_lost_connection(8, true)).await;
    let (second, state, _) = flow.step().await;
    assert_eq!(state, "accepted");
    flow.expect(&second, &["queued"]).await;
    flow.send_with(topic, r#"{"led":false}"#, Ack::on_lost_connection(7, true)).await;
    let (third, state, _) = flow.step().await;
    assert_eq!(state, "accepted");

    // One that reached its end since is known as well.
    flow.report(Some(id(&second)), DownlinkHappening::Acked).await;
    flow.expect(&second, &["acked"]).await;
    flow.expect(&third, &["queued"]).await;
    flow.send_with(topic, on, Ack::on_lost_connection(8, true)).await;
    flow.report(Some(id(&first)), DownlinkHappening::Acked).await;
    flow.expect(&first, &["acked"]).await;
    assert_eq!(flow.pushes(), [first, second, third]);
}

#[tokio::test(start_paused = true)]
async fn a_wanted_restart_tells_no_step_that_the_home_has() {
    let mut flow = start([]);
    flow.push("one", "").await;
    flow.expect("one", &["accepted", "queued"]).await;
    flow.acknowledge().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    flow.stop.cancel();
    // Whoever tells of reports ends before the flow does.
    flow.tracked = tokio::sync::mpsc::channel(1).0;
    (&mut flow.task).await.unwrap();
    let mut flow = flow.kill_and_restart().await;
    flow.push("two", "").await;
    flow.expect("two", &["accepted", "queued"]).await;
}

/// An endpoint for the history that never answers, as behind a proxy that holds event streams back.
#[tokio::test(start_paused = true)]
async fn a_history_that_never_answers_does_not_keep_a_downlink_open_for_ever() {
    let mut flow = start([PushError::Unknown("timeout".into())]);
    flow.server.history_hangs.store(true, std::sync::atomic::Ordering::Relaxed);
    flow.push("one", "").await;
    let all = async {
        loop {
            let (_, state, reason) = flow.step().await;
            if state == "queued" {
                return;
            }
            assert!(["accepted", "held"].contains(&state.as_str()), "{state}: {reason}");
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), all).await.expect("it ends within the hour");
}
