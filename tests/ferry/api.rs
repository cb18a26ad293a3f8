//! The API is what its description says: every operation is asked, and its answer held against its own schema.

use std::collections::BTreeSet;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::{Value, json};

use crate::harness::{Ferry, Setup, in_time};
use crate::web::visit;

/// Each operation that answers with JSON, and how it is asked so that it does: in this order.
const ASKED: &[(&str, &str, &str)] = &[
    ("openapi", "openapi.json", ""),
    ("info", "info", ""),
    ("health", "health", ""),
    ("devices", "devices", ""),
    ("states", "states", ""),
    ("device", "devices/lamp", ""),
    ("readings", "devices/lamp/readings?fields=temperature,link.rssi&from=30d&points=10", ""),
    ("radio", "devices/lamp/radio", ""),
    ("uplinks", "devices/lamp/uplinks?limit=2", ""),
    ("gateways", "gateways", ""),
    ("applications", "applications", ""),
    ("gaps", "gaps?limit=10", ""),
    ("events", "events?limit=10", ""),
    ("device_options", "devices/lamp", r#"{"options": {"retain": false}}"#),
    ("device_rename", "devices/lamp/rename", r#"{"to": "hall/lamp"}"#),
    (
        "downlink_send",
        "downlinks",
        r#"{"device": "hall/lamp", "fields": {"led": true}, "id": "mine", "not_before": "2099-01-01T00:00:00Z"}"#,
    ),
    ("downlink_list", "downlinks?device=hall/lamp&open=true&limit=5", ""),
    ("downlink_show", "downlinks/mine?wait=1ms&after_steps=0", ""),
    ("downlink_cancel", "downlinks/mine", ""),
    ("downlink_clear", "downlinks?device=hall%2Flamp", ""),
    ("backfill", "backfill", r#"{"since": "2026-11-21T06:00:00Z"}"#),
    ("codec_list", "codecs", ""),
    ("codec_source", "codecs/own/source", ""),
    ("codec_save", "codecs/own/source", r#"{"text": "function decodeUplink() { return {data: {answer: 2}}; }"}"#),
    ("codec_reload", "codecs/reload", ""),
    ("codec_test", "codecs/test", r#"{"device": "hall/lamp", "f_port": 15, "payload_hex": "08665f0ce401003c"}"#),
    ("codec_try", "codecs/try", r#"{"device": "own", "text": "function decodeUplink() { return {data: {}}; }"}"#),
    ("config_show", "config", ""),
    ("config_check", "config/check", ""),
    ("config_reload", "config/reload", ""),
    ("log_level_show", "log/level", ""),
    ("log_level", "log/level", "{}"),
    ("device_remove", "devices/own", ""),
];

fn scene(setup: &mut Setup) {
    setup.add_device("lamp", "codec = \"mbed/led-and-sensors\"");
    setup.add_codec("own", "function decodeUplink() { return {data: {answer: 1}}; }");
    setup.more.push_str("\n[web]\nedit_codecs = true\n");
}

/// The document, with objects closed that its types leave open: so a member that no type names is found.
fn closed(document: &Value) -> Value {
    let mut closed = document.clone();
    for schema in closed["components"]["schemas"].as_object_mut().unwrap().values_mut() {
        if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
            schema["unevaluatedProperties"] = false.into();
        }
    }
    closed
}

struct Described {
    document: Value,
    schemas: Schemas,
    compiler: Compiler,
}

impl Described {
    async fn by(ferry: &Ferry) -> Self {
        let (status, media, document) = ferry.ask("GET", "openapi.json", "").await;
        assert_eq!((status.as_u16(), media.as_str()), (200, "application/json"));
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource("http://ferry/openapi.json", closed(&document)).unwrap();
        Self { document, schemas: Schemas::new(), compiler }
    }

    /// Its path, its method, its status when it succeeds.
    fn operation(&self, id: &str) -> (String, String, u16) {
        let all = self.document["paths"].as_object().unwrap().iter();
        let mut all = all.flat_map(|(path, methods)| {
            methods.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
        });
        let (path, method, operation) = all.find(|(.., operation)| operation["operationId"] == id).expect(id);
        let status = operation["responses"].as_object().unwrap().keys().find(|key| key.starts_with('2')).unwrap();
        (path.clone(), method.clone(), status.parse().unwrap())
    }

    fn schema(&mut self, pointer: &str) -> SchemaIndex {
        let place = format!("http://ferry/openapi.json#{pointer}");
        self.compiler.compile(&place, &mut self.schemas).unwrap_or_else(|error| panic!("{place}: {error:#}"))
    }

    fn check(&mut self, pointer: &str, answer: &Value) {
        let schema = self.schema(pointer);
        if let Err(error) = self.schemas.validate(answer, schema) {
            panic!("{pointer}: {error:#}\n{answer:#}");
        }
    }
}

fn escaped(path: &str) -> String {
    path.replace('~', "~0").replace('/', "~1")
}

#[tokio::test]
async fn every_operation_answers_as_it_is_described() {
    let mut ferry = Ferry::with(scene).await;
    for (device, payload) in [("lamp", &hex::decode("08665f0ce401003c").unwrap()[..]), ("own", &[7])] {
        ferry.up_now(device, 1, payload);
        ferry.home.on(&format!("ttn/{device}/uplink")).await;
    }
    let mut described = Described::by(&ferry).await;
    for (id, path, body) in ASKED {
        let (template, method, status) = described.operation(id);
        let (got, media, answer) = ferry.ask(&method.to_uppercase(), path, *body).await;
        assert_eq!((got.as_u16(), media.as_str()), (status, "application/json"), "{id}: {answer}");
        let place =
            format!("/paths/{}/{method}/responses/{status}/content/application~1json/schema", escaped(&template));
        described.check(&place, &answer);
    }
}

#[tokio::test]
async fn logging_in_and_out_is_answered_as_it_is_described() {
    let ferry = Ferry::with(|setup| {
        setup.secrets.push(("web.password".into(), "three plain words".into()));
        setup.more += "[web]\nlisten = \"127.0.0.1:0\"\npassword_file = \"web.password\"\n";
    })
    .await;
    let mut described = Described::by(&ferry).await;
    let login = json!({ "password": "three plain words" });
    described.check("/paths/~1api~1v1~1session/post/requestBody/content/application~1json/schema", &login);
    for (id, body) in
        [("session", String::new()), ("session_open", login.to_string()), ("session_close", String::new())]
    {
        let (path, method, status) = described.operation(id);
        let asked = visit(ferry.page.unwrap(), &method.to_uppercase(), &path).body(body);
        let answer = in_time("an answer", asked.send()).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{id}");
        let answer = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        described.check(
            &format!("/paths/~1api~1v1~1session/{method}/responses/200/content/application~1json/schema"),
            &answer,
        );
    }
}

#[tokio::test]
async fn every_operation_refuses_a_key_it_does_not_know_as_it_is_described() {
    let ferry = Ferry::with(scene).await;
    let mut described = Described::by(&ferry).await;
    for (id, path, _) in ASKED.iter().filter(|(id, ..)| *id != "openapi") {
        let (_, method, _) = described.operation(id);
        let path = path.split('?').next().unwrap();
        let (status, media, problem) = ferry.ask(&method.to_uppercase(), &format!("{path}?nonsense=1"), "").await;
        let wanted = if *id == "downlink_send" { 400..=422 } else { 400..=400 };
        assert!(wanted.contains(&status.as_u16()), "{id}: {problem}");
        assert_eq!(media, "application/problem+json");
        described.check("/components/responses/Problem/content/application~1problem+json/schema", &problem);
        assert!(problem["detail"].as_str().unwrap().contains("nonsense") || *id == "downlink_send", "{id}: {problem}");
    }
}

#[tokio::test]
async fn every_operation_that_answers_with_json_is_asked() {
    let ferry = Ferry::start().await;
    let Described { document, .. } = Described::by(&ferry).await;
    let all = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let gives_json = |operation: &&Value| {
        let responses = operation["responses"].as_object().unwrap();
        responses.iter().any(|(status, it)| status.starts_with('2') && it["content"].get("application/json").is_some())
    };
    let described: BTreeSet<_> = all
        .filter(gives_json)
        .filter(|it| it["tags"] != json!(["session"]))
        .map(|it| it["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(described, ASKED.iter().map(|(id, ..)| *id).collect());
}

#[tokio::test]
async fn what_http_itself_is_asked_is_answered_as_http_wants() {
    let ferry = Ferry::start().await;
    let answer = ferry.speak("HEAD /api/v1/info HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = ferry.speak("PUT /api/v1/downlinks HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("\r\nallow: "), "{answer}");
    for method in ["GET", "HEAD", "POST", "DELETE"] {
        let allow = answer.lines().find(|line| line.starts_with("allow: ")).unwrap();
        assert!(allow.contains(method), "{allow}");
    }
    let order =
        json!({"device": "node", "f_port": 1, "payload_hex": "00", "id": "mine", "not_before": "2099-01-01T00:00:00Z"});
    let order = format!("content-length: {}\r\n\r\n{order}", order.to_string().len());
    let answer = ferry
        .speak(&format!("POST /api/v1/downlinks HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{order}"))
        .await;
    assert!(answer.starts_with("HTTP/1.1 201 ") && answer.contains("\r\nlocation: downlinks/mine\r\n"), "{answer}");
    let form = "content-type: application/x-www-form-urlencoded\r\ncontent-length: 2\r\n\r\n{}";
    let answer = ferry
        .speak(&format!("POST /api/v1/downlinks HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{form}"))
        .await;
    assert!(answer.starts_with("HTTP/1.1 415 ") && answer.contains("application/json"), "{answer}");
    let html = "GET /api/v1/info HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: text/html\r\n\r\n";
    let answer = ferry.speak(html).await;
    assert!(answer.starts_with("HTTP/1.1 406 "), "{answer}");
    // As Telegraf asks: all that it names, and nothing else.
    let text = "accept: application/vnd.google.protobuf;q=0.7,text/plain;version=0.0.4;q=0.3\r\n\r\n";
    let answer = ferry.speak(&format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{text}")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("content-type: text/plain"), "{answer}");
    let (status, _, problem) = ferry.ask("GET", "devices/", "").await;
    assert_eq!((status.as_u16(), &problem["hint"]), (404, &json!("without the `/` at its end: /api/v1/devices")));
    let (status, _, problem) = ferry.ask("GET", "downlinks?limit=1&limit=2", "").await;
    assert_eq!((status.as_u16(), &problem["detail"]), (400, &json!("`limit` is given twice")));
    let (status, _, problem) = ferry.ask("GET", "downlinks?opne=true", "").await;
    assert_eq!((status.as_u16(), &problem["hint"]), (400, &json!("did you mean `open`?")));
    let (status, _, problem) = ferry.ask("DELETE", &format!("devices/{}/uplinks", "x".repeat(9000)), "").await;
    assert!(status == 405 && problem["detail"].as_str().unwrap().len() < 200, "{problem}");
    let (status, _, problem) = ferry.ask("GET", "info?transaction=1", "").await;
    assert_eq!((status.as_u16(), &problem["hint"]), (400, &json!("it takes no key")));
    let (status, _, problem) = ferry.ask("GET", "log/level?level=debug", "").await;
    assert_eq!((status.as_u16(), &problem["detail"]), (400, &json!("`level` is no key of this request")));
}
