//! The HTTP face: who may, what errors look like, limits, faults.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::stack::{ApiKey, Device, Fault, Formatter, Formatters, Rate, RepositoryCodec, VersionIds};
use tokio::io::AsyncReadExt;

use crate::client::{begin_request, request};
use crate::scene::{APP, DEVICE, Scene, topics};

const PUSH: &str = "/api/v3/as/applications/app1/devices/dev1/down/push";

fn item() -> Value {
    json!({"f_port": 1, "frm_payload": "AQ==", "correlation_ids": ["mine"]})
}

#[tokio::test]
async fn a_wrong_authorization_has_an_error_of_its_own_kind() {
    let scene = Scene::start().await;
    let stranger = format!("Bearer {}", ApiKey::with_all_rights().key);
    let basic = format!("Basic {}", scene.key.key);
    let expected = [
        (None, 403, "pkg/auth/rights:no_application_rights"),
        (Some("Bearer nonsense"), 400, "pkg/auth:token"),
        (Some(stranger.as_str()), 401, "pkg/identityserver:token_not_found"),
        (Some(basic.as_str()), 401, "pkg/identityserver:unsupported_authorization"),
    ];
    for (authorization, status, error) in expected {
        let answer = request(scene.stack.http_addr(), &format!("POST {PUSH}"), authorization, "{}").await;
        assert_eq!((answer.status, answer.error().as_str()), (status, error));
        assert_eq!(answer.body["code"], answer.body["details"][0]["code"]);
    }
}

#[tokio::test]
async fn a_missing_right_is_403() {
    let scene = Scene::with_key(&["RIGHT_APPLICATION_INFO"]).await;
    for line in [
        "POST /as/applications/app1/devices/dev1/down/push",
        "GET /as/applications/app1/devices/dev1/down",
        "GET /applications/app1/devices",
        "GET /as/applications/app1/link",
        "GET /applications/app2",
    ] {
        assert_eq!(scene.api(line, Value::Null).await.status, 403, "{line}");
    }
}

#[tokio::test]
async fn a_push_is_queued_and_listed_with_its_correlation_ids() {
    let scene = Scene::start().await;
    scene.joined_node().await;
    let answer = scene.push(item()).await;
    assert_eq!((answer.status, &answer.body), (200, &json!({})));
    assert_eq!(answer.header("x-request-id").map(str::len), Some(32));
    let list = scene.api("GET /as/applications/app1/devices/dev1/down", Value::Null).await;
    let listed = &list.body["downlinks"][0];
    assert_eq!(listed["frm_payload"], "AQ==");
    let ids: Vec<_> = listed["correlation_ids"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(ids[0].starts_with("as:downlink:") && ids[1] == "mine", "{ids:?}");
    assert!(ids[2].starts_with("rpc:/ttn.lorawan.v3.AppAs/DownlinkQueuePush:"), "{ids:?}");
    let replace = "POST /as/applications/app1/devices/dev1/down/replace";
    assert_eq!(scene.api(replace, json!({})).await.status, 200);
    assert_eq!(scene.api("GET /as/applications/app1/devices/dev1/down", Value::Null).await.body, json!({}));
}

#[tokio::test]
async fn refused_pushes_name_their_error_and_only_late_ones_are_published() {
    let scene = Scene::start().await;
    let before_join = scene.push(item()).await;
    assert_eq!((before_join.status, before_join.error().as_str()), (400, "pkg/applicationserver:no_device_session"));
    scene.joined_node().await;
    let long = |bytes: usize| "AAAA".repeat(bytes / 3);
    let expected = [
        (json!({"frm_payload": "AQ=="}), "pkg/applicationserver:no_f_port", 1),
        (json!({"f_port": 1}), "pkg/applicationserver:no_payload", 0),
        (json!({"f_port": 224, "frm_payload": "AQ=="}), "pkg/errors:validation", 0),
        (json!({"f_port": 1, "frm_payload": long(243)}), "pkg/networkserver:application_downlink_too_long", 1),
        (json!({"f_port": 1, "frm_payload": long(258)}), "pkg/errors:validation", 0),
        (json!({"f_port": 1, "frm_payload": "AQ==", "priority": "normal"}), "-:-", 0),
    ];
    for (item, error, events) in expected {
        let mut told = scene.handle.events();
        let answer = scene.push(item.clone()).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, error), "{item}");
        assert_eq!(topics(&mut told), vec!["down/failed"; events], "{item}");
    }
    let unknown = "POST /as/applications/app1/devices/nobody/down/push";
    let answer = scene.api(unknown, json!({"downlinks": [item()]})).await;
    assert_eq!((answer.status, answer.error().as_str()), (404, "pkg/deviceregistry:device_not_found"));
}

#[tokio::test]
async fn a_full_queue_is_429_without_rate_headers() {
    let scene = Scene::with(|config| config.queue_capacity = 1).await;
    scene.joined_node().await;
    assert_eq!(scene.push(item()).await.status, 200);
    let full = scene.push(item()).await;
    assert_eq!((full.status, full.error().as_str()), (429, "pkg/networkserver:downlink_queue_capacity"));
    assert_eq!(full.header("x-rate-limit-retry"), None);
}

#[tokio::test]
async fn the_rate_limit_shows_in_headers_of_successes_and_refusals() {
    let limit = Rate { per_minute: 10, burst: 1 };
    let scene = Scene::with(|config| config.rate.http_downlinks = Some(limit)).await;
    scene.joined_node().await;
    let first = scene.push(item()).await;
    assert_eq!((first.status, first.header("x-rate-limit-limit")), (200, Some("10")));
    assert_eq!(first.header("x-rate-limit-retry"), Some("0"));
    let second = scene.push(item()).await;
    assert_eq!((second.status, second.error().as_str()), (429, "pkg/ratelimit:rate_limit_exceeded"));
    assert_eq!(second.header("x-rate-limit-retry"), Some("6"));
    assert_eq!(second.header("x-rate-limit-available"), Some("0"));
    assert_eq!(scene.handle.queue(APP, DEVICE).len(), 1);
}

#[tokio::test]
async fn faults_strike_as_often_as_asked() {
    let scene = Scene::start().await;
    scene.joined_node().await;
    scene.handle.set_fault(Fault::HttpStatus { status: 503, times: 2 });
    scene.handle.set_fault(Fault::RateLimited { retry: Duration::from_secs(3), times: 1 });
    scene.handle.set_fault(Fault::QueueFull { times: 1 });
    let mut answers = Vec::new();
    for _ in 0..5 {
        let answer = scene.push(item()).await;
        answers.push((answer.status, answer.header("x-rate-limit-retry").map(str::to_owned)));
    }
    let expected = [(503, None), (503, None), (429, Some("3".into())), (429, None), (200, None)];
    assert_eq!(answers, expected);
    let logged: Vec<_> = scene.handle.http_requests().iter().map(|request| request.status).collect();
    assert_eq!(logged, [503, 503, 429, 429, 200].map(Some));
    assert_eq!(scene.handle.http_requests()[0].path, PUSH);
    scene.handle.set_fault(Fault::IdentityServerDown);
    assert_eq!(scene.push(item()).await.status, 503);
}

#[tokio::test]
async fn a_request_can_go_unanswered_before_or_after_it_acted() {
    let scene = Scene::start().await;
    scene.joined_node().await;
    let body = json!({"downlinks": [item()]}).to_string();
    let authorization = format!("Bearer {}", scene.key.key);
    for (fault, queued) in [(Fault::SilentBeforeActing { times: 1 }, 0), (Fault::SilentAfterActing { times: 1 }, 1)] {
        scene.handle.set_fault(fault);
        let mut events = scene.handle.events();
        let line = format!("POST {PUSH}");
        let mut socket = begin_request(scene.stack.http_addr(), &line, Some(&authorization), &body).await;
        while !matches!(events.recv().await.unwrap(), simulator::stack::StackEvent::Http(ref seen) if seen.status.is_none())
        {
        }
        assert_eq!(scene.handle.queue(APP, DEVICE).len(), queued);
        let answer = tokio::time::timeout(Duration::from_millis(20), socket.read_u8()).await;
        assert!(answer.is_err(), "an answer came");
    }
}

#[tokio::test]
async fn a_key_can_find_out_what_it_is() {
    let scene = Scene::with(|config| config.applications[0].tenant = Some("ttn".into())).await;
    let info = scene.api("GET /auth_info", Value::Null).await.body;
    assert_eq!(info["api_key"]["entity_ids"]["application_ids"]["application_id"], APP);
    assert_eq!(info["api_key"]["api_key"]["rights"], json!(scene.key.rights));
    assert_eq!(scene.api("GET /applications/app1/rights", Value::Null).await.body, json!({"rights": scene.key.rights}));
    let mqtt = scene.api("GET /as/applications/app1/mqtt-connection-info", Value::Null).await.body;
    assert_eq!(mqtt, json!({"public_address": scene.stack.mqtt_addr().to_string(), "username": "app1@ttn"}));
    let application = scene.api("GET /applications/app1?field_mask=name", Value::Null).await.body;
    assert_eq!(application["ids"]["application_id"], APP);
}

#[tokio::test]
async fn devices_come_in_pages_with_the_fields_that_were_asked_for() {
    let scene = Scene::start().await;
    for number in 2..=5 {
        let device = Device::new(format!("dev{number}"), [number; 8], [0; 8], [0; 16]);
        scene.handle.register(APP, device).unwrap();
    }
    let page = |page| format!("GET /applications/app1/devices?limit=2&page={page}&field_mask=name,version_ids");
    let first = scene.api(&page(1), Value::Null).await;
    assert_eq!(first.header("x-total-count"), Some("5"));
    let listed = first.body["end_devices"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!((&listed[0]["name"], &listed[1].get("name")), (&json!("The first"), &None));
    assert_eq!(listed[0]["ids"]["dev_eui"], "70B3D57ED0000001");
    assert_eq!(listed[0].get("locations"), None);
    assert_eq!(scene.api(&page(3), Value::Null).await.body["end_devices"].as_array().unwrap().len(), 1);
    assert_eq!(scene.api(&page(4), Value::Null).await.body, json!({}));
    let foreign = scene.api("GET /applications/app1/devices?field_mask=formatters", Value::Null).await;
    assert_eq!((foreign.status, foreign.error().as_str()), (400, "pkg/errors:field_mask_paths"));
}

#[tokio::test]
async fn what_was_never_set_or_is_not_served_is_404() {
    let scene = Scene::start().await;
    for path in ["/as/applications/app1/link", "/as/applications/app1/devices/nobody", "/as/applications/app1/webhooks"]
    {
        assert_eq!(scene.api(&format!("GET {path}"), Value::Null).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_simulated_uplink_is_published_as_such() {
    let scene = Scene::start().await;
    let mut listener = scene.listener().await;
    let settings =
        json!({"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7}}, "frequency": "868000000"});
    let uplink = json!({"f_port": 1, "frm_payload": "AQ==", "settings": settings});
    let line = "POST /as/applications/app1/devices/dev1/up/simulate";
    assert_eq!(scene.api(line, json!({"uplink_message": uplink})).await.status, 200);
    let (topic, message) = listener.message().await;
    assert_eq!(topic, "v3/app1/devices/dev1/up");
    assert_eq!((&message["simulated"], &message["uplink_message"]), (&json!(true), &uplink));
    assert_eq!(scene.api(line, json!({"uplink_message": {"f_port": 1}})).await.status, 400);
}

#[tokio::test]
async fn formatters_typed_into_the_console_are_told_of_the_device_and_of_the_application() {
    let scene = Scene::start().await;
    let device = "GET /as/applications/app1/devices/dev1?field_mask=formatters,version_ids";
    assert_eq!(scene.api(device, Value::Null).await.body.get("formatters"), None);
    let typed = Formatters { up: Formatter::JavaScript("function decodeUplink() {}".into()), down: Formatter::None };
    scene.handle.set_formatters(APP, DEVICE, Some(typed.clone())).unwrap();
    let told = scene.api(device, Value::Null).await.body;
    let shown = json!({"up_formatter": "FORMATTER_JAVASCRIPT", "up_formatter_parameter": "function decodeUplink() {}"});
    assert_eq!(told["formatters"], shown);
    scene.handle.set_default_formatters(APP, Some(typed)).unwrap();
    let link = "GET /as/applications/app1/link?field_mask=default_formatters";
    assert_eq!(scene.api(link, Value::Null).await.body, json!({"default_formatters": shown}));
    assert!(scene.handle.set_formatters(APP, "nobody", None).is_err());
}

#[tokio::test]
async fn the_device_repository_tells_the_script_of_a_product_or_what_it_does_not_know() {
    let scene = Scene::start().await;
    let ids = |firmware: &str| VersionIds {
        brand_id: "acme".into(),
        model_id: "thermo".into(),
        firmware_version: firmware.into(),
        band_id: "EU_863_870".into(),
        ..VersionIds::default()
    };
    let script = "function decodeUplink() {}";
    let codec = RepositoryCodec {
        version_ids: ids("1.0"),
        codec_id: "thermo-codec".into(),
        decoder: Some(script.into()),
        encoder: None,
    };
    scene.handle.publish_codec(codec);
    let path = |rest: &str| format!("GET /dr/applications/app1/brands/{rest}");
    let answer = scene.api(&path("acme/models/thermo/1.0/EU_863_870/formatters/uplink/decoder"), Value::Null).await;
    let told = json!({"formatter": "FORMATTER_JAVASCRIPT", "formatter_parameter": script, "codec_id": "thermo-codec"});
    assert_eq!((answer.status, answer.body), (200, told));
    for (rest, name) in [
        ("acme/models/other/1.0/EU_863_870/formatters/uplink/decoder", "model_not_found"),
        ("acme/models/thermo/2.0/EU_863_870/formatters/uplink/decoder", "firmware_version_not_found"),
        ("acme/models/thermo/1.0/US_902_928/formatters/uplink/decoder", "no_profile_for_band"),
        ("acme/models/thermo/1.0/EU_863_870/formatters/downlink/encoder", "no_encoder"),
    ] {
        let answer = scene.api(&path(rest), Value::Null).await;
        let expected = format!("pkg/devicerepository/store/remote:{name}");
        assert_eq!((answer.status, answer.error()), (404, expected), "{rest}");
    }
    let foreign = "GET /dr/applications/app2/brands/acme/models/thermo/1.0/EU_863_870/formatters/uplink/decoder";
    assert_eq!(scene.api(foreign, Value::Null).await.status, 403);
}
