//! The HTTP client against a scripted server on loopback: what goes over the wire, and what each answer is taken for.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, Response};
use serde_json::json;

use super::scripted::{answer, client, error, server};
use super::{ApiError, Downlinks};
use crate::model::{ApplicationName, DeviceId, DeviceKey, DownlinkId, FPort, Priority, QueuedDownlink};
use crate::network::{Budget, PushError};
use crate::telemetry::NetworkClock;

fn node() -> DeviceId {
    DeviceId::parse("node-1").unwrap()
}

fn downlink(id: &str) -> QueuedDownlink {
    QueuedDownlink {
        id: DownlinkId::parse(id).unwrap(),
        key: DeviceKey::new(&ApplicationName::parse("my-app").unwrap(), node()),
        f_port: FPort::new(15).unwrap(),
        payload: vec![0xbe, 0xef],
        fields: None,
        confirmed: false,
        priority: Priority::Normal,
        attempts: None,
        expires_at: None,
        not_before: None,
        supersedes: None,
    }
}

async fn push_result(response: Response<Body>) -> Result<(), PushError> {
    let server = server(vec![response]).await;
    Downlinks::new(server.api.clone()).push(&node(), &[downlink("one")]).await.map(drop)
}

#[tokio::test]
async fn a_push_carries_the_downlink_our_id_and_the_key() {
    let server = server(vec![answer(200, json!({}))]).await;
    let confirmed =
        QueuedDownlink { confirmed: true, attempts: Some(3), priority: Priority::AboveNormal, ..downlink("two") };
    Downlinks::new(server.api.clone()).push(&node(), &[downlink("one"), confirmed]).await.unwrap();
    let seen = server.script.seen.lock().unwrap();
    assert_eq!(seen[0].line, "POST /api/v3/as/applications/my-app/devices/node-1/down/push");
    assert_eq!(seen[0].headers["authorization"], "Bearer NNSXS.SECRET");
    assert_eq!(seen[0].headers["user-agent"], format!("ttn-ferry/{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(
        seen[0].body,
        json!({"downlinks": [
            {"f_port": 15, "frm_payload": "vu8=", "priority": "NORMAL", "correlation_ids": ["ferry:one"]},
            {"f_port": 15, "frm_payload": "vu8=", "confirmed": true, "priority": "ABOVE_NORMAL", "correlation_ids": ["ferry:two"],
             "confirmed_retry": {"attempt": 1, "max_attempts": 3}},
        ]})
    );
}

#[tokio::test]
async fn what_is_wrong_with_the_downlink_itself_is_refused_for_good() {
    let permanent = [
        error(400, "pkg/applicationserver", "no_payload"),
        error(400, "pkg/applicationserver", "no_f_port"),
        error(400, "pkg/errors", "validation"),
        error(400, "pkg/networkserver", "application_downlink_too_long"),
        error(400, "pkg/networkserver", "downlink_expired"),
        error(400, "pkg/applicationserver", "downlink_max_retries_invalid"),
        error(409, "pkg/messageprocessors/javascript", "output_errors"),
        error(409, "pkg/scripting/javascript", "script"),
        error(404, "pkg/deviceregistry", "device_not_found"),
        answer(400, json!({"code": 3, "message": "invalid character 'x' looking for beginning of value"})),
    ];
    for response in permanent {
        let result = push_result(response).await;
        assert!(matches!(&result, Err(PushError::Refused(failure)) if !failure.name.is_empty()), "{result:?}");
    }
}

#[tokio::test]
async fn a_push_that_is_taken_tells_what_the_network_will_take_next() {
    let limited = |available: u64| {
        let mut taken = answer(200, json!({}));
        for (name, value) in [("limit", 60), ("available", available), ("reset", 30), ("retry", 0)] {
            taken.headers_mut().insert(format!("x-rate-limit-{name}").parse::<HeaderName>().unwrap(), value.into());
        }
        taken
    };
    let server = server(vec![limited(2), limited(0), answer(200, json!({}))]).await;
    let downlinks = Downlinks::new(server.api.clone());
    for (available, wait) in [(Some(2), 0), (Some(0), 1), (None, 0)] {
        let budget = downlinks.push(&node(), &[downlink("one")]).await.unwrap();
        assert_eq!(budget, Budget { available, wait: Duration::from_secs(wait) });
    }
}

#[tokio::test]
async fn a_refusal_keeps_the_networks_name_and_sentence() {
    let Err(PushError::Refused(failure)) =
        push_result(error(400, "pkg/networkserver", "application_downlink_too_long")).await
    else {
        panic!("not refused")
    };
    assert_eq!((failure.name.as_str(), failure.message.as_str()), ("application_downlink_too_long", "it is <so>"));
    let unknown = push_result(error(404, "pkg/deviceregistry", "device_not_found")).await;
    assert!(matches!(&unknown, Err(PushError::Refused(failure)) if failure.name == "device_not_found"), "{unknown:?}");
}

#[tokio::test]
async fn a_device_without_session_is_told_apart() {
    let all = [
        error(400, "pkg/applicationserver", "no_device_session"),
        error(404, "pkg/networkserver", "unknown_session"),
        error(400, "pkg/networkserver", "unknown_session"),
        error(404, "pkg/networkserver", "unknown_mac_state"),
        error(400, "pkg/networkserver", "unknown_mac_state"),
    ];
    for response in all {
        assert_eq!(push_result(response).await, Err(PushError::NoSession));
    }
}

#[tokio::test]
async fn both_kinds_of_429_are_told_apart() {
    let mut limited = error(429, "pkg/ratelimit", "rate_limit_exceeded");
    limited.headers_mut().insert("x-rate-limit-retry", "7".parse().unwrap());
    assert_eq!(push_result(limited).await, Err(PushError::RateLimited { retry_after: Duration::from_secs(7) }));
    let silent = push_result(answer(429, json!({}))).await;
    assert_eq!(silent, Err(PushError::RateLimited { retry_after: Duration::from_secs(10) }));
    assert_eq!(
        push_result(error(429, "pkg/networkserver", "downlink_queue_capacity")).await,
        Err(PushError::QueueFull)
    );
}

#[tokio::test]
async fn a_key_without_rights_is_told_apart() {
    let all = [
        error(401, "pkg/identityserver", "unauthenticated"),
        error(403, "pkg/auth/rights", "no_application_rights"),
        error(400, "pkg/auth", "token"),
    ];
    for response in all {
        let result = push_result(response).await;
        assert!(matches!(result, Err(PushError::Forbidden(_))), "{result:?}");
    }
}

#[tokio::test]
async fn what_leaves_open_whether_the_network_acted_is_unknown() {
    let all = [
        error(500, "pkg/errors", "internal"),
        answer(502, json!({})),
        answer(503, json!({})),
        error(504, "pkg/errors", "deadline_exceeded"),
        error(409, "pkg/redis", "aborted"),
        answer(404, json!("nothing here")),
        answer(302, json!({})),
    ];
    for response in all {
        let result = push_result(response).await;
        assert!(matches!(result, Err(PushError::Unknown(_))), "{result:?}");
    }
}

#[tokio::test]
async fn no_answer_in_time_and_no_server_at_all_are_unknown() {
    let server = server(Vec::new()).await;
    let silent = Downlinks::new(server.api.clone()).push(&node(), &[downlink("one")]).await;
    assert!(matches!(silent, Err(PushError::Unknown(_))), "{silent:?}");
    // Nobody listens on a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = Downlinks::new(client(&format!("http://127.0.0.1:{port}"))).push(&node(), &[downlink("one")]).await;
    let Err(PushError::Unknown(why)) = nobody else { panic!("{nobody:?}") };
    assert!(why.contains("onnection refused") && !why.contains("SECRET"), "{why}");
}

#[tokio::test]
async fn the_queue_lists_ours_among_others() {
    let queue = json!({"downlinks": [
        {"f_port": 1, "frm_payload": "AQ==", "correlation_ids": ["as:downlink:01M7", "ferry:one"]},
        {"f_port": 1, "frm_payload": "AQ=="},
        {"f_port": 1, "correlation_ids": ["ferry:not an id", "my-corr-1"]},
        {"f_port": 1, "correlation_ids": ["ferry:two"]},
    ]});
    let server = server(vec![answer(200, queue), answer(200, json!({}))]).await;
    let downlinks = Downlinks::new(server.api.clone());
    let waiting = downlinks.waiting(&node()).await.unwrap();
    assert_eq!(waiting.iter().map(DownlinkId::as_str).collect::<Vec<_>>(), ["one", "two"]);
    assert!(downlinks.waiting(&node()).await.unwrap().is_empty());
    assert_eq!(server.script.seen.lock().unwrap()[0].line, "GET /api/v3/as/applications/my-app/devices/node-1/down");
}

#[tokio::test]
async fn ours_are_withdrawn_only_where_nothing_else_waits() {
    let (one, two) = (DownlinkId::parse("one").unwrap(), DownlinkId::parse("two").unwrap());
    let ours = json!({"downlinks": [{"correlation_ids": ["ferry:one"]}]});
    let foreign = json!({"downlinks": [{"correlation_ids": ["ferry:one"]}, {"f_port": 1}]});
    let script = vec![answer(200, ours), answer(200, json!({})), answer(200, foreign), answer(200, json!({}))];
    let server = server(script).await;
    let downlinks = Downlinks::new(server.api.clone());
    let ids = [one.clone(), two];
    assert_eq!(downlinks.withdraw(&node(), &ids).await, Ok(vec![one]));
    assert_eq!(downlinks.withdraw(&node(), &ids).await, Ok(vec![]));
    assert_eq!(downlinks.withdraw(&node(), &ids).await, Ok(vec![]), "nothing waits any more");
    let seen = server.script.seen.lock().unwrap();
    let lines: Vec<_> = seen.iter().map(|seen| seen.line.rsplit('/').next().unwrap()).collect();
    assert_eq!(lines, ["down", "replace", "down", "down"]);
    assert_eq!(seen[1].body, json!({"downlinks": []}));
}

#[tokio::test]
async fn rights_are_asked_of_the_identity_server() {
    let server =
        server(vec![answer(200, json!({"rights": ["RIGHT_APPLICATION_TRAFFIC_READ"]})), error(401, "pkg/auth", "x")])
            .await;
    assert_eq!(server.api.rights().await.unwrap(), ["RIGHT_APPLICATION_TRAFFIC_READ"]);
    assert!(matches!(server.api.rights().await, Err(ApiError::Refused(refusal)) if refusal.status == 401));
    assert_eq!(server.script.seen.lock().unwrap()[0].line, "GET /api/v3/applications/my-app/rights");
}

#[tokio::test]
async fn devices_come_page_by_page() {
    let device = |id: &str| {
        json!({"ids": {"device_id": id, "dev_eui": "70B3D57ED0000001"}, "name": "Lamp",
        "attributes": {"ferry-name": "hall/lamp"}, "version_ids": {"brand_id": "acme", "model_id": "x"}})
    };
    let mut first = answer(200, json!({"end_devices": [device("node-1"), device("BAD ID")]}));
    first.headers_mut().insert("x-total-count", "1001".parse().unwrap());
    let server =
        server(vec![first, answer(200, json!({"end_devices": [device("node-2")]})), answer(200, json!({}))]).await;
    let devices = server.api.devices().await.unwrap();
    assert_eq!(devices.iter().map(|device| device.id.as_str()).collect::<Vec<_>>(), ["node-1", "node-2"]);
    assert_eq!(devices[0].version_ids.as_ref().unwrap().brand_id, "acme");
    assert_eq!(devices[0].attributes["ferry-name"], "hall/lamp");
    let seen = server.script.seen.lock().unwrap();
    assert!(
        seen[1].line.contains("/applications/my-app/devices?field_mask=") && seen[1].line.ends_with("page=2"),
        "{}",
        seen[1].line
    );
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_no_answer() {
    let server = server(vec![Response::new(Body::from("<html>"))]).await;
    assert!(matches!(server.api.rights().await, Err(ApiError::Unreadable(_))));
}

#[tokio::test]
async fn an_answer_tells_the_networks_time_whatever_else_it_says() {
    let date = HeaderName::from_static("date");
    for status in [200, 403] {
        let mut told = answer(status, json!({}));
        told.headers_mut().insert(date.clone(), "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        let server = server(vec![told]).await;
        let clock = NetworkClock::default();
        server.api.clone().setting(clock.clone()).rights().await.ok();
        assert!(clock.now().to_string().starts_with("1994-11-06T08:49:3"), "{status}: {}", clock.now());
    }
}
