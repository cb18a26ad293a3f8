//! What is fetched of the network's history, against scripted answers.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures_util::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::scripted::{Server, answer, error, server};
use super::super::topics::TtnTopics;
use super::{History, reaches_back};
use crate::model::DeviceId;
use crate::network::{HistoryError, RawMessage, Source, Span};

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn span() -> Span {
    Span { after: time(0), before: time(1000) }
}

/// An uplink as the storage has it, received in this second.
fn uplink(second: i64) -> Value {
    json!({
        "end_device_ids": {"device_id": "node-1", "application_ids": {}},
        "received_at": time(second).to_string(),
        "uplink_message": {"f_cnt": second, "f_port": 1, "frm_payload": "AQ=="},
    })
}

fn result(content: &Value) -> String {
    format!("{}\n\n", json!({"result": content}))
}

fn page(seconds: impl IntoIterator<Item = i64>, token: Option<&str>) -> Response<Body> {
    let body: String = seconds.into_iter().map(|second| result(&uplink(second))).collect();
    let mut page = Response::new(Body::from(body));
    if let Some(token) = token {
        page.headers_mut().insert("x-continuation-token", token.parse().unwrap());
    }
    page
}

/// An answer of these pieces that then stays open for ever.
fn stays_open(pieces: Vec<String>) -> Response<Body> {
    let pieces = stream::iter(pieces).map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
    Response::new(Body::from_stream(pieces.chain(stream::pending())))
}

/// An event stream: its start in this second, then these.
fn events(started: i64, events: &[(&str, i64, Value)]) -> Response<Body> {
    let start = json!({"name": "events.stream.start", "time": time(started).to_string()});
    let event = |(name, at, data): &(&str, i64, Value)| {
        result(&json!({"name": name, "time": time(*at).to_string(), "data": data, "unique_id": "x"}))
    };
    stays_open(std::iter::once(result(&start)).chain(events.iter().map(event)).collect())
}

fn not_kept() -> Response<Body> {
    let mut answer = events(500, &[]);
    answer.headers_mut().insert("x-warning", "Events storage is not enabled".parse().unwrap());
    answer
}

fn not_found() -> Response<Body> {
    error(404, "routes", "not_found")
}

fn rate_limited(retry: &'static str) -> Response<Body> {
    let mut limited = error(429, "pkg/ratelimit", "rate_limit_exceeded");
    limited.headers_mut().insert("x-rate-limit-retry", retry.parse().unwrap());
    limited
}

fn activated() -> Response<Body> {
    answer(200, json!({"defaults": [{"package_name": "storage-integration"}]}))
}

fn history(server: &Server) -> History {
    History::new(server.api.clone(), TtnTopics::new("my-app@ttn"))
}

/// What came of a fetch: its end, the counters of the uplinks it brought, and the requests it made.
async fn fetch(answers: Vec<Response<Body>>) -> (Result<Source, HistoryError>, Vec<i64>, Vec<String>) {
    let server = server(answers).await;
    let (out, mut fetched) = mpsc::channel(1000);
    let end = history(&server).missed(span(), None, out).await;
    let mut counters = Vec::new();
    while let Some(RawMessage { topic, payload, backfilled, .. }) = fetched.recv().await {
        assert_eq!((&topic[..], backfilled), (&b"v3/my-app@ttn/devices/node-1/up"[..], true));
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        counters.push(payload["uplink_message"]["f_cnt"].as_i64().unwrap());
    }
    let seen = server.script.seen.lock().unwrap();
    (end, counters, seen.iter().map(|seen| seen.line.clone()).collect())
}

#[tokio::test]
async fn pages_are_followed_by_their_tokens_to_the_end() {
    let (end, counters, lines) =
        fetch(vec![page(0..10, Some("a+b")), page(10..20, Some("c")), page(20..25, None)]).await;
    assert_eq!((end, counters), (Ok(Source::Storage), (0..25).collect()));
    let stored = "GET /api/v3/as/applications/my-app/packages/storage/uplink_message?";
    let queries: Vec<_> = lines.iter().map(|line| line.strip_prefix(stored).unwrap()).collect();
    assert_eq!(
        queries[0],
        "after=2026-09-21T14%3A13%3A20Z&before=2026-09-21T14%3A30%3A00Z&order=received_at&limit=1000"
    );
    assert_eq!(queries[1..], ["continuation_token=a%2Bb", "continuation_token=c"]);
}

#[tokio::test]
async fn an_end_in_the_future_is_not_asked_for() {
    let server = server(vec![page([1], None)]).await;
    let (out, _fetched) = mpsc::channel(10);
    let until_later = Span { before: Timestamp::now() + SignedDuration::from_hours(2), ..span() };
    history(&server).missed(until_later, None, out).await.unwrap();
    let line = server.script.seen.lock().unwrap()[0].line.clone();
    assert!(line.contains("after=") && !line.contains("before="), "{line}");
}

#[tokio::test]
async fn a_token_behind_the_last_page_ends_with_an_empty_page() {
    let (end, counters, lines) = fetch(vec![page(0..3, Some("a")), page([], Some("a"))]).await;
    assert_eq!((end, counters, lines.len()), (Ok(Source::Storage), vec![0, 1, 2], 2));
}

#[tokio::test]
async fn one_device_is_asked_for_by_its_path_and_accept_names_a_stream() {
    let server = server(vec![page([1], None)]).await;
    let (out, mut fetched) = mpsc::channel(10);
    let node = DeviceId::parse("node-1").unwrap();
    history(&server).missed(span(), Some(&node), out).await.unwrap();
    assert!(fetched.recv().await.is_some());
    let seen = server.script.seen.lock().unwrap();
    assert!(seen[0].line.contains("/my-app/devices/node-1/packages/storage/uplink_message?"), "{}", seen[0].line);
    assert_eq!(seen[0].headers["accept"], "text/event-stream");
    assert_eq!(seen[0].headers["authorization"], "Bearer NNSXS.SECRET");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_breaks_off_is_asked_for_again_from_there() {
    let broken_in_a_message = Response::new(Body::from(result(&uplink(1)) + r#"{"result":{"end_dev"#));
    let turned_into_an_error = Response::new(Body::from(
        result(&uplink(1)) + &result(&uplink(2)) + r#"{"error":{"code":14,"message":"gone","details":[]}}"#,
    ));
    let stalled = stays_open(vec![result(&uplink(2)), result(&uplink(3))]);
    let (end, counters, lines) =
        fetch(vec![broken_in_a_message, turned_into_an_error, stalled, page(3..6, None)]).await;
    assert_eq!((end, counters), (Ok(Source::Storage), vec![1, 1, 2, 2, 3, 3, 4, 5]));
    let just_before = |second| (time(second) - SignedDuration::from_millis(1)).to_string().replace(':', "%3A");
    for (line, second) in lines[1..].iter().zip([1, 2, 3]) {
        assert!(line.contains(&just_before(second)), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_get_on_is_given_up() {
    let broken = || Response::new(Body::from(r#"{"error":{"message":"gone"}}"#));
    let (end, _, lines) = fetch(vec![broken(), broken(), broken()]).await;
    assert!(matches!(&end, Err(HistoryError::Unavailable(why)) if why.contains("gone")), "{end:?}");
    assert_eq!(lines.len(), 3);
    let (end, _, lines) = fetch(vec![answer(503, json!({})), page([1], None)]).await;
    assert_eq!((end, lines.len()), (Ok(Source::Storage), 2), "it gets on again");
    let (end, ..) = fetch(Vec::new()).await;
    assert!(matches!(end, Err(HistoryError::Unavailable(_))), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_or_a_token_that_is_refused_does_not_end_the_fetch() {
    let invalid = || error(400, "pkg/errors", "validation");
    let (end, counters, lines) = fetch(vec![invalid(), page([1, 2], Some("a")), invalid(), page([2, 3], None)]).await;
    assert_eq!((end, counters), (Ok(Source::Storage), vec![1, 2, 2, 3]));
    assert!(lines[0].ends_with("&limit=1000") && lines[1].ends_with("&order=received_at"), "{lines:?}");
    let (end, _, lines) = fetch(vec![page([1], Some("a")), invalid(), invalid(), invalid()]).await;
    assert!(matches!(end, Err(HistoryError::Unavailable(_))), "a part is not all: {end:?}");
    assert_eq!(lines.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_waited_for_as_told_if_that_is_not_too_long() {
    let before = tokio::time::Instant::now();
    let (end, counters, _) = fetch(vec![rate_limited("40"), page([1], None)]).await;
    assert_eq!((end, counters), (Ok(Source::Storage), vec![1]));
    assert!((40..50).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());
    let (end, ..) = fetch(vec![rate_limited("3600")]).await;
    assert!(matches!(end, Err(HistoryError::Unavailable(_))), "{end:?}");
}

#[tokio::test]
async fn a_message_without_a_device_is_passed_over() {
    let body = result(&json!({"received_at": time(1).to_string()})) + &result(&json!({"end_device_ids": 7}));
    let (end, counters, _) = fetch(vec![Response::new(Body::from(body + &result(&uplink(2))))]).await;
    assert_eq!((end, counters), (Ok(Source::Storage), vec![2]));
}

#[tokio::test]
async fn an_activated_storage_with_nothing_in_it_is_an_answer() {
    let (end, counters, lines) = fetch(vec![page([], None), activated()]).await;
    assert_eq!((end, counters), (Ok(Source::Storage), vec![]));
    assert_eq!(lines[1], "GET /api/v3/as/applications/my-app/packages/associations");
    let unseen = error(403, "pkg/auth/rights", "no_application_rights");
    assert_eq!(fetch(vec![page([], None), unseen]).await.0, Ok(Source::Storage));
}

#[tokio::test]
async fn without_storage_the_event_history_is_read_until_it_is_through() {
    let name = "as.up.data.forward";
    let past = [(name, 1, uplink(1)), (name, 2, uplink(2)), ("as.up.data.drop", 3, json!({}))];
    let now = [(name, 600, uplink(600)), (name, 4, uplink(4)), (name, 601, uplink(601))];
    let all = [&past[..], &now[..]].concat();
    for storage in [vec![not_found()], vec![page([], None), answer(200, json!({}))]] {
        let (end, counters, lines) = fetch(storage.into_iter().chain([events(500, &all)]).collect()).await;
        assert_eq!((end, counters), (Ok(Source::Events), vec![1, 2, 4]), "what is live comes by itself");
        assert_eq!(lines.last().unwrap(), "POST /api/v3/events");
    }
}

#[tokio::test]
async fn events_that_never_end_do_not_hold_the_fetch() {
    let start = json!({"name": "events.stream.start", "time": time(500).to_string()});
    let live = stream::unfold(501, |second| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let event = json!({"name": "as.up.data.forward", "time": time(second).to_string(), "data": uplink(second)});
        Some((Ok::<_, std::io::Error>(Bytes::from(result(&event))), second + 1))
    });
    let first = stream::iter([Ok(Bytes::from(result(&start)))]);
    let (end, counters, _) = fetch(vec![not_found(), Response::new(Body::from_stream(first.chain(live)))]).await;
    assert_eq!((end, counters), (Ok(Source::Events), vec![]));
}

#[tokio::test]
async fn the_event_history_is_asked_for_by_span_entity_and_name() {
    let server = server(vec![not_found(), events(500, &[])]).await;
    let (out, _fetched) = mpsc::channel(10);
    let node = DeviceId::parse("node-1").unwrap();
    history(&server).missed(span(), Some(&node), out).await.unwrap();
    let seen = server.script.seen.lock().unwrap();
    let device = json!({"device_ids": {"device_id": "node-1", "application_ids": {"application_id": "my-app"}}});
    let body = json!({"identifiers": [device], "names": ["as.up.data.forward"], "after": "2026-09-21T14:13:20Z"});
    assert_eq!((&seen[1].body, &seen[1].headers["accept"]), (&body, &"text/event-stream".parse().unwrap()));
}

#[tokio::test]
async fn with_neither_there_is_no_history() {
    for end in [not_kept(), not_found()] {
        assert_eq!(fetch(vec![not_found(), end]).await.0, Err(HistoryError::NotActivated));
    }
    let trouble = fetch(vec![not_found(), answer(503, json!({}))]).await.0;
    assert!(matches!(trouble, Err(HistoryError::Unavailable(_))), "{trouble:?}");
    let forbidden = || error(403, "pkg/auth/rights", "no_application_rights");
    let refused = fetch(vec![forbidden(), forbidden()]).await.0;
    assert!(
        matches!(&refused, Err(HistoryError::Refused(failure)) if failure.name == "no_application_rights"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_flow_that_is_gone_ends_the_fetch() {
    let server = server(vec![page([1], None)]).await;
    let (out, fetched) = mpsc::channel(1);
    drop(fetched);
    let end = history(&server).missed(span(), None, out).await;
    assert!(matches!(end, Err(HistoryError::Unavailable(_))), "{end:?}");
}

/// Messages about downlinks of `node-1` that the event history gives for a time since second 100, and whether that is all.
async fn traced(answer: Response<Body>) -> (Vec<Value>, bool) {
    let server = server(vec![answer]).await;
    let traced = history(&server).downlinks(&DeviceId::parse("node-1").unwrap(), time(100)).await.unwrap();
    let json = |message: &RawMessage| serde_json::from_slice(&message.payload).unwrap();
    (traced.messages.iter().map(json).collect(), traced.complete)
}

#[tokio::test]
async fn the_event_history_tells_what_became_of_a_downlink() {
    let ours =
        json!({"f_port": 1, "f_cnt": 5, "session_key_id": "AaH7", "correlation_ids": ["as:downlink:x", "ferry:one"]});
    let sent = json!({"end_device_ids": {"device_id": "node-1"}, "downlink_sent": ours});
    let (told, complete) = traced(events(
        500,
        &[
            ("ns.up.data.receive", 20, json!({})),
            ("as.down.data.sent.forward", 120, sent.clone()),
            ("as.down.data.receive", 110, ours.clone()),
            ("as.down.data.forward", 111, ours),
            ("as.down.data.forward", 112, json!({"f_port": 9})),
            ("as.down.data.drop", 113, json!({"name": "x"})),
        ],
    ))
    .await;
    assert!(complete, "there is an event from before");
    assert_eq!(told.len(), 3, "{told:?}");
    for pushed in &told[..2] {
        let pushed = &pushed["downlink_queued"];
        assert_eq!(pushed["correlation_ids"][1], "ferry:one");
        assert_eq!((&pushed["f_cnt"], &pushed["session_key_id"]), (&json!(5), &json!("AaH7")), "which push it is");
    }
    assert_eq!(told[2], sent);
}

#[tokio::test]
async fn no_history_is_an_incomplete_one() {
    for none in [not_kept(), events(500, &[]), not_found()] {
        assert_eq!(traced(none).await, (vec![], false));
    }
}

#[test]
fn a_history_is_complete_only_if_it_surely_reaches_back() {
    let reaches = |started, count, oldest: Option<i64>| reaches_back(time(100), time(started), count, oldest.map(time));
    assert!(reaches(100_000, 100, Some(99)), "an older event is there");
    assert!(!reaches(100_000, 10, Some(101)), "too long ago");
    assert!(!reaches(200, 100, Some(101)), "full: older ones may have been pushed out");
    assert!(reaches(200, 10, Some(101)), "neither full nor long ago");
    assert!(!reaches(200, 0, None), "nothing proves that anything is kept");
}
