//! `ttn-ferry downlink` against a running bridge, from the terminal to the node and back.

use serde_json::{Value, json};
use simulator::stack::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use ttn_ferry::shutdown::Ended;

use super::Scene;
use crate::harness::{Ferry, Process, Stage, ask, in_time};

/// A command that follows a downlink while the node reports.
fn following(scene: &Scene, arguments: &[&str]) -> Process {
    Process::ferry_that(arguments, &scene.ferry.configuration())
}

#[tokio::test]
async fn send_follows_a_command_until_the_node_acknowledged_it() {
    let mut scene = Scene::joined().await;
    let send = ["downlink", "send", "lamp", "led=true", "--confirmed", "--id", "mine", "--wait"];
    let mut send = following(&scene, &send);
    send.says("queued").await;
    scene.report().await;
    send.says("sent").await;
    scene.report().await;
    let (status, said) = send.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
    let words: Vec<_> = said.lines().map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(said.lines().next().unwrap(), "downlink mine for lamp: port 15, 01, confirmed");
    assert_eq!(words[1..], ["accepted", "queued", "sent", "acked"], "{said}");
    assert_eq!(scene.heard(), [(15, vec![1])]);
}

#[tokio::test]
async fn an_unconfirmed_downlink_ends_well_when_it_was_transmitted_and_json_is_a_step_a_line() {
    let mut scene = Scene::joined().await;
    let arguments = ["downlink", "send", "lamp", "--port", "1", "--hex", "0x01 0xff", "--wait=1h", "--json"];
    let mut send = following(&scene, &arguments);
    send.says("queued").await;
    scene.report().await;
    let (status, said) = send.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
    let steps: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let states: Vec<_> = steps.iter().map(|step| step["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["accepted", "queued", "sent"]);
    assert!(steps.iter().all(|step| step["id"] == steps[0]["id"] && step["at"].is_string()), "{said}");
    assert_eq!(scene.heard(), [(1, vec![1, 255])]);
}

#[tokio::test]
async fn a_downlink_that_fails_and_one_that_does_not_end_in_time_have_their_own_codes() {
    let mut scene = Scene::joined().await;
    scene.node.ignore_acks(true);
    let arguments =
        ["downlink", "send", "lamp", "--port", "1", "--text", "x", "--confirmed", "--attempts", "1", "--wait"];
    let mut send = following(&scene, &arguments);
    send.says("queued").await;
    for _ in 0..3 {
        scene.report().await;
    }
    let (status, said) = send.ended().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("failed: ") && said.contains("max_retries_reached"), "{said}");
    let told = scene.ferry.command(&["downlink", "send", "lamp", "led=true", "--id", "late", "--wait=1s"]).await;
    assert_eq!(told.code, Some(75), "{told:?}");
    assert!(told.err.contains("still open") && told.err.contains("hint: `ttn-ferry downlink show late`"), "{told:?}");
}

#[tokio::test]
async fn whoever_follows_a_downlink_follows_it_through_a_restart_of_the_bridge() {
    let Scene { ferry, mut node, lamp } = Scene::unjoined_with(|_| {}).await;
    let arguments = ["downlink", "send", "lamp", "--port", "1", "--hex", "07", "--wait"];
    let mut send = Process::ferry_that(&arguments, &ferry.configuration());
    send.says("held").await;
    let (ended, stage) = ferry.stop().await;
    assert_eq!(ended, Ended::Stopped);
    let mut ferry = Ferry::on(stage).await;
    ferry.network.subscribed().await;
    node.join(&ferry.network.handle.clone()).await.unwrap();
    send.says("queued").await;
    node.report(&ferry.network.handle.clone()).await.unwrap();
    let (status, said) = send.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
    assert_eq!(said.matches("accepted").count(), 1, "no step is told twice: {said}");
    assert_eq!(*lamp.heard.lock().unwrap(), [(1, vec![7])]);
}

#[tokio::test]
async fn a_refusal_says_why_and_what_to_do() {
    let scene = Scene::joined().await;
    let told = scene.ferry.command(&["downlink", "send", "lamp", "colour=1"]).await;
    assert_eq!((told.code, told.out.as_str()), (Some(1), ""), "{told:?}");
    assert!(told.err.starts_with("error: ") && told.err.contains("there are led"), "{told:?}");
    let told = scene.ferry.command(&["downlink", "send", "a/b", "led=true", "--json"]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert_eq!(told.json()["status"], 422);
    assert!(told.json()["hint"].is_string(), "{told:?}");
}

#[tokio::test]
async fn downlinks_are_listed_shown_and_cancelled() {
    let scene = Scene::unjoined_with(|_| {}).await;
    let none = scene.ferry.command(&["downlink", "list"]).await;
    assert_eq!((none.code, none.out.as_str(), none.err.as_str()), (Some(0), "", "no open downlinks\n"));
    for id in ["one", "two"] {
        let sent = scene.ferry.command(&["downlink", "send", "lamp", "led=true", "--id", id, "--json"]).await;
        assert_eq!((sent.code, &sent.json()["id"]), (Some(0), &json!(id)), "{sent:?}");
    }
    let listed = scene.ferry.command(&["downlink", "list", "lamp", "--json"]).await;
    let ids: Vec<_> = listed.json_lines().iter().map(|downlink| downlink["id"].clone()).collect();
    assert_eq!(ids, ["two", "one"], "newest first");
    let shown = scene.ferry.command(&["downlink", "show", "one"]).await;
    assert!(shown.out.starts_with("downlink one for lamp: port 15, 01\n"), "{shown:?}");
    assert_eq!(scene.ferry.command(&["downlink", "show", "one", "--json"]).await.json()["device"], "lamp");

    let cancelled = scene.ferry.command(&["downlink", "cancel", "one"]).await;
    assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
    assert!(cancelled.out.lines().last().unwrap().contains("cancelled"), "{cancelled:?}");
    let again = scene.ferry.command(&["downlink", "cancel", "one"]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("has reached its end"), "{again:?}");
    let left = scene.ferry.command(&["downlink", "list"]).await;
    assert!(left.out.starts_with("two ") && left.out.lines().count() == 1, "{left:?}");
    let all = scene.ferry.command(&["downlink", "list", "--all"]).await;
    assert_eq!(all.out.lines().count(), 2, "{all:?}");
    assert_eq!(scene.ferry.command(&["downlink", "show", "nobody"]).await.code, Some(1));
}

#[tokio::test]
async fn backfill_brings_home_what_was_missed() {
    let mut scene = Scene::joined().await;
    scene.ferry.network.handle.set_fault(Fault::DropSilently { times: 1 });
    scene.report().await;
    scene.ferry.home.forget();
    let told = scene.ferry.command(&["backfill", "--since", "1h"]).await;
    assert_eq!((told.code, told.out.as_str()), (Some(0), "app1: 1 uplink repaired\n"), "{told:?}");
    let uplink = scene.ferry.home.on("ttn/lamp/uplink").await;
    assert_eq!((&uplink["backfilled"], &uplink["f_cnt"]), (&json!(true), &json!(1)));
    let again = scene.ferry.command(&["backfill", "--application", "app1", "--since", "1h", "--json"]).await;
    assert_eq!((again.code, &again.json()["repaired"]), (Some(0), &json!(0)), "{again:?}");
    let empty = scene.ferry.command(&["backfill", "--since", "1h", "--until", "2h"]).await;
    assert_eq!(empty.code, Some(1), "{empty:?}");
    assert!(empty.err.contains("the span is empty"), "{empty:?}");
}

#[tokio::test]
async fn a_bridge_that_does_not_run_is_told_with_its_socket() {
    let stage = Stage::set(|_| {}).await;
    let told = stage.command(&["downlink", "list"]).await;
    assert_eq!((told.code, told.out.as_str()), (Some(69), ""), "{told:?}");
    let socket = stage.socket();
    assert!(told.err.contains(socket.to_str().unwrap()) && told.err.contains("systemctl status ttn-ferry"), "{told:?}");
}

#[tokio::test]
async fn whoever_waits_is_answered_with_the_news_and_at_once_when_the_bridge_stops() {
    let mut scene = Scene::unjoined_with(|_| {}).await;
    scene.push(json!({"id": "mine", "f_port": 1, "payload_hex": "01"})).await;
    scene.state("mine", "held").await;
    let waiting = |after: usize| {
        let path = format!("downlinks/mine?wait=60s&after_steps={after}");
        let socket = scene.ferry.socket();
        async move { ask(socket, "GET", &path, String::new()).await.2 }
    };
    let held = waiting(1).await;
    let steps = held["steps"].as_array().unwrap().len();
    let (queued, joined) = {
        let handle = scene.ferry.network.handle.clone();
        tokio::join!(waiting(steps), async { scene.node.join(&handle).await })
    };
    joined.unwrap();
    assert!(queued["steps"].as_array().unwrap().len() > steps, "{queued}");
    // Both questions go out at once, so that the second is there when the first is answered.
    let mut stream = UnixStream::connect(scene.ferry.socket()).await.unwrap();
    let questions = "GET /api/v1/health HTTP/1.1\r\nhost: ferry\r\n\r\n\
                     GET /api/v1/downlinks/mine?wait=60s HTTP/1.1\r\nhost: ferry\r\n\r\n";
    stream.write_all(questions.as_bytes()).await.unwrap();
    in_time("the first answer", stream.read_exact(&mut [0; 15])).await.unwrap();
    let (ended, _stage) = scene.ferry.stop().await;
    assert_eq!(ended, Ended::Stopped);
    let mut rest = String::new();
    in_time("the second answer", stream.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.contains("\"id\":\"mine\""), "{rest}");
}
