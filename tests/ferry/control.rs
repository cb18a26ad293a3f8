//! The control API on its socket: what it answers, what it refuses, and how it ends.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use ttn_ferry::shutdown::Ended;

use crate::harness::{Ferry, Process, Stage, in_time};

#[tokio::test]
async fn info_health_and_devices_are_what_the_topics_show() {
    let mut ferry = Ferry::start().await;
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/node/uplink").await;
    let (status, media, devices) = ferry.ask("GET", "devices", "").await;
    assert_eq!((status.as_u16(), media.as_str()), (200, "application/json"));
    assert_eq!(devices[0]["name"], "node");
    let (_, _, info) = ferry.ask("GET", "info", "").await;
    assert_eq!(info["applications"][0]["name"], "app1");
    assert!(!info.to_string().contains(ferry.network.key()));
    let (_, _, health) = ferry.ask("GET", "health", "").await;
    assert_eq!(health["counters"]["uplinks"], 1);
}

#[tokio::test]
async fn what_cannot_be_done_is_told_as_problem_details() {
    let ferry = Ferry::start().await;
    for (method, path, body, status) in [
        ("GET", "nothing", "", 404),
        ("PUT", "downlinks", "{}", 405),
        ("DELETE", "info", "", 405),
        ("POST", "downlinks", "", 400),
        ("POST", "downlinks", "[]", 400),
        ("POST", "downlinks", "{}", 400),
        ("POST", "downlinks", r#"{"device": 7, "fields": {}}"#, 400),
        ("POST", "downlinks", r#"{"device": "a+b", "f_port": 1, "payload_hex": "01"}"#, 422),
        ("POST", "downlinks", r#"{"device": "node", "f_port": 1}"#, 422),
        ("POST", "downlinks", r#"{"device": "node", "fport": 1, "payload_hex": "01"}"#, 422),
        ("GET", "downlinks?opne=true", "", 400),
        ("GET", "downlinks?limit=many", "", 400),
        ("GET", "downlinks/nobody", "", 404),
        ("GET", "downlinks/a%20b", "", 400),
        ("GET", "downlinks/nobody?wait=soon", "", 400),
        ("DELETE", "downlinks/nobody", "", 404),
        ("POST", "backfill", "{}", 400),
        ("POST", "backfill", r#"{"since": "yesterday"}"#, 400),
        ("POST", "backfill", r#"{"application": "other", "since": "2026-11-21T06:00:00Z"}"#, 404),
    ] {
        let (got, media, problem) = ferry.ask(method, path, body).await;
        assert_eq!(got.as_u16(), status, "{method} {path} {body}: {problem}");
        assert_eq!(media, "application/problem+json", "{method} {path}");
        assert_eq!(problem["status"], status, "{problem}");
        let kind = match status {
            400 => "/problems/malformed",
            404 if path != "nothing" => "/problems/unknown",
            422 => "/problems/refused",
            _ => "about:blank",
        };
        assert_eq!(problem["type"], kind, "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    }
}

#[tokio::test]
async fn with_several_applications_a_backfill_names_one() {
    let ferry = Ferry::with(|setup| setup.add_application("app2")).await;
    let (status, _, problem) = ferry.ask("POST", "backfill", r#"{"since": "2026-11-21T06:00:00Z"}"#).await;
    assert_eq!((status.as_u16(), &problem["hint"]), (400, &json!("give `application`: one of app1, app2")));
    let told = ferry.command(&["backfill", "--since", "2h"]).await;
    assert_eq!((told.code, told.out.as_str()), (Some(1), ""), "{told:?}");
    assert!(told.err.contains("several applications") && told.err.contains("hint: "), "{told:?}");
}

#[tokio::test]
async fn a_body_beyond_all_measure_is_refused() {
    let ferry = Ferry::start().await;
    let body = json!({"device": "node", "payload_text": "x".repeat(1 << 20)}).to_string();
    let (status, _, problem) = ferry.ask("POST", "downlinks", body).await;
    assert_eq!(status.as_u16(), 413, "{problem}");
}

#[tokio::test]
async fn where_all_connections_are_taken_the_one_that_asked_nothing_for_longest_makes_way() {
    let ferry = Ferry::start().await;
    let mut idle = Vec::new();
    for _ in 0..64 {
        idle.push(speak(&ferry, b"GET /api/v1/health HTTP/1.1\r\n").await);
    }
    let mut next = speak(&ferry, b"GET /api/v1/health HTTP/1.1\r\nhost: ferry\r\nconnection: close\r\n\r\n").await;
    assert_eq!(&read(&mut next).await, b"HTTP/1.1 200 OK");
    let first = in_time("the end of the first", idle[0].read_u8()).await;
    assert!(first.is_err(), "it was cut off: {first:?}");
    idle[1].write_all(b"host: ferry\r\n\r\n").await.unwrap();
    assert_eq!(&read(&mut idle[1]).await, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn the_socket_is_for_owner_and_group_and_goes_with_the_bridge() {
    let ferry = Ferry::start().await;
    let socket = ferry.socket();
    let metadata = std::fs::metadata(&socket).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    let (ended, _stage) = ferry.stop().await;
    assert_eq!(ended, Ended::Stopped);
    assert!(!socket.exists());
}

#[tokio::test]
async fn who_never_ends_a_question_does_not_hold_up_a_stop() {
    let ferry = Ferry::start().await;
    let mut slow = speak(&ferry, b"POST /api/v1/downlinks HTTP/1.1\r\nhost: ferry\r\ncontent-length: 9\r\n\r\n{").await;
    let (status, ..) = ferry.ask("GET", "health", "").await;
    assert_eq!(status.as_u16(), 200);
    let (ended, _stage) = ferry.stop().await;
    assert_eq!(ended, Ended::Stopped);
    // Cut or answered: either way it is over.
    let mut rest = Vec::new();
    in_time("the end of the connection", slow.read_to_end(&mut rest)).await.ok();
}

#[tokio::test]
async fn a_second_bridge_leaves_the_firsts_socket_alone_and_says_so() {
    let ferry = Ferry::start().await;
    let other = ferry.toml().replace("path = \"store\"", "path = \"other store\"");
    let configuration = ferry.configuration().with_file_name("other.toml");
    std::fs::write(&configuration, other).unwrap();
    let (status, said) = Process::ferry(&configuration).ended().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("another bridge") && said.contains("hint:"), "{said}");
    let (status, ..) = ferry.ask("GET", "health", "").await;
    assert_eq!(status.as_u16(), 200);
}

#[tokio::test]
async fn a_bridge_that_was_killed_leaves_a_socket_that_the_next_one_replaces() {
    let mut stage = Stage::set(|_| {}).await;
    let process = Process::ferry(&stage.configuration());
    stage.network.subscribed().await;
    stage.home.on("ttn/bridge/state").await;
    process.signal("KILL").await;
    process.ended().await;
    assert!(stage.socket().exists());
    let told = stage.command(&["downlink", "list"]).await;
    assert_eq!(told.code, Some(69), "{told:?}");
    let ferry = Ferry::on(stage).await;
    let (status, ..) = ferry.ask("GET", "health", "").await;
    assert_eq!(status.as_u16(), 200);
}

async fn speak(ferry: &Ferry, words: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(ferry.socket()).await.unwrap();
    stream.write_all(words).await.unwrap();
    stream
}

async fn read(stream: &mut UnixStream) -> [u8; 15] {
    let mut line = [0; 15];
    in_time("an answer", stream.read_exact(&mut line)).await.unwrap();
    line
}

/// The lines of `/metrics` that are numbers.
async fn metrics(ferry: &Ferry) -> (String, Vec<String>) {
    let mut stream = UnixStream::connect(ferry.socket()).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: ferry\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    in_time("metrics", stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.into(), body.lines().filter(|line| line.starts_with("ttn_ferry_")).map(str::to_owned).collect())
}

#[tokio::test]
async fn metrics_count_by_application_and_grow_with_no_device() {
    let mut ferry = Ferry::start().await;
    ferry.network.up("node-0", 1, b"x");
    ferry.home.on("ttn/node-0/uplink").await;
    let (head, few) = metrics(&ferry).await;
    assert!(head.contains("200 OK") && head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(few.contains(&"ttn_ferry_uplinks_total{application=\"app1\"} 1".to_owned()), "{few:#?}");
    assert!(few.contains(&"ttn_ferry_application_connected{application=\"app1\"} 1.0".to_owned()), "{few:#?}");
    for device in 1..40 {
        ferry.network.up(&format!("node-{device}"), 1, b"x");
    }
    ferry.home.on("ttn/node-39/uplink").await;
    let (_, many) = metrics(&ferry).await;
    assert!(many.contains(&"ttn_ferry_uplinks_total{application=\"app1\"} 40".to_owned()), "{many:#?}");
    assert_eq!((few.len(), many.iter().any(|line| line.contains("node"))), (many.len(), false), "{many:#?}");
}

#[tokio::test]
async fn metrics_of_each_device_are_there_where_they_are_wanted() {
    let mut ferry = Ferry::with(|setup| {
        setup.add_codec("node", "function decodeUplink(input) { return {data: {level: input.bytes[0], open: true}}; }");
        setup.more.push_str("[web]\nmetrics_per_device = true\n");
    })
    .await;
    ferry.network.up("node", 1, &[42]);
    ferry.home.on("ttn/node").await;
    let (_, lines) = metrics(&ferry).await;
    for line in [
        r#"ttn_ferry_device_field{application="app1",device="node",field="level"} 42.0"#,
        r#"ttn_ferry_device_field{application="app1",device="node",field="open"} 1.0"#,
    ] {
        assert!(lines.contains(&line.to_owned()), "{line}: {lines:#?}");
    }
    let seen = lines.iter().any(|line| line.starts_with("ttn_ferry_device_last_seen_timestamp_seconds{"));
    assert!(seen && lines.iter().all(|line| !line.contains("last_seen\"")), "{lines:#?}");
}
