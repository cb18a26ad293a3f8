//! Requests to the bridge over MQTT: each has an answer, the same as at the control socket, and none holds up another.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;
use ttn_ferry::control::REQUESTS;
use ttn_ferry::shutdown::Ended;

use crate::harness::{Ferry, Heard, Home, Mosquitto, Process, Setup, Stage, in_time};

const LAMP: &str = "codec = \"mbed/led-and-sensors\"";

fn lamp(setup: &mut Setup) {
    setup.add_device("lamp", LAMP);
}

impl Home {
    /// The whole answer to a request, told from others by its transaction.
    async fn answer(&mut self, request: &str, mut body: Value) -> Value {
        let transaction = format!("{request} {}", self.heard().len());
        body["transaction"] = transaction.as_str().into();
        self.publish(&format!("ttn/bridge/request/{request}"), body.to_string()).await;
        self.response(request, &transaction).await
    }

    async fn response(&mut self, request: &str, transaction: &str) -> Value {
        let topic = format!("ttn/bridge/response/{request}");
        let wanted = |heard: &Heard| heard.topic == topic && heard.json()["transaction"] == transaction;
        self.wait_for(&format!("the answer to {request}"), wanted).await.json()
    }

    /// The data of an answer, which must be a good one.
    async fn ask(&mut self, request: &str, body: Value) -> Value {
        let mut answer = self.answer(request, body).await;
        assert_eq!(answer["status"], "ok", "{request}: {answer}");
        answer["data"].take()
    }

    /// The error of an answer and its hint.
    async fn refused(&mut self, request: &str, body: Value) -> (String, String) {
        let answer = self.answer(request, body).await;
        assert_eq!((&answer["status"], answer.get("data")), (&json!("error"), None), "{request}: {answer}");
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        (text("error"), text("hint"))
    }
}

#[tokio::test]
async fn every_request_there_is_has_an_answer() {
    let mut ferry = Ferry::start().await;
    for request in REQUESTS.iter().map(|request| request.name) {
        let answer = ferry.home.answer(request, json!({})).await;
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(!error.contains("there is no request"), "{request}: {answer}");
        let (error, _) = ferry.home.refused(request, json!({"nonsense": 1})).await;
        assert!(error.contains("nonsense") || request == "downlink/send", "{request}: {error}");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_with_what_was_probably_meant() {
    let mut ferry = Ferry::start().await;
    let (error, hint) = ferry.home.refused("downlink/lst", json!({})).await;
    assert_eq!(error, "there is no request `downlink/lst`");
    assert_eq!(hint, "did you mean `downlink/list`?");
    let (error, hint) = ferry.home.refused("downlink/list", json!({"opne": true})).await;
    assert_eq!((error.as_str(), hint.as_str()), ("`opne` is no key of this request", "did you mean `open`?"));
    let long = json!({ "level": "x".repeat(256 << 10), "transaction": "long" }).to_string();
    for (body, words) in [("{", "cannot be read"), ("[]", "cannot be read"), (long.as_str(), "at most 262144 are read")]
    {
        ferry.home.forget();
        ferry.home.publish("ttn/bridge/request/log/level", body.to_owned()).await;
        let answer = ferry.home.on("ttn/bridge/response/log/level").await;
        assert!(answer["error"].as_str().unwrap().contains(words), "{answer}");
    }
}

#[tokio::test]
async fn a_downlink_lives_its_life_by_requests() {
    let mut ferry = Ferry::with(lamp).await;
    let later = json!({"device": "lamp", "fields": {"led": true}, "id": "mine", "not_before": "2099-01-01T00:00:00Z"});
    let sent = ferry.home.ask("downlink/send", later).await;
    assert_eq!((&sent["id"], &sent["payload_hex"], &sent["open"]), (&json!("mine"), &json!("0101"), &json!(true)));
    let listed = ferry.home.ask("downlink/list", json!({"device": "lamp", "open": true})).await;
    assert_eq!(listed["downlinks"][0]["id"], "mine");
    assert_eq!(ferry.home.ask("downlink/show", json!({"id": "mine"})).await["id"], "mine");
    assert_eq!(ferry.home.ask("downlink/cancel", json!({"id": "mine"})).await["state"], "cancelled");
    let (error, _) = ferry.home.refused("downlink/cancel", json!({"id": "mine"})).await;
    assert!(error.contains("has reached its end"), "{error}");
    for id in ["one", "two"] {
        let later =
            json!({"device": "lamp", "f_port": 1, "payload_hex": "01", "id": id, "not_before": "2099-01-01T00:00:00Z"});
        ferry.home.ask("downlink/send", later).await;
    }
    let cleared = ferry.home.ask("downlink/clear", json!({"device": "lamp"})).await;
    let mut ids: Vec<_> = cleared["downlinks"].as_array().unwrap().iter().map(|one| one["id"].to_string()).collect();
    ids.sort();
    assert_eq!(ids, ["\"one\"", "\"two\""], "{cleared}");
    assert_eq!(ferry.home.ask("downlink/list", json!({"open": true})).await, json!({"downlinks": []}));
    let (error, hint) = ferry.home.refused("downlink/send", json!({"device": "lamp", "fports": 1})).await;
    assert_eq!((error.as_str(), hint.as_str()), ("`fports` is no key of a downlink", "did you mean `f_port`?"));
}

#[tokio::test]
async fn who_waits_for_news_holds_up_nobody_and_is_answered_at_the_stop() {
    let mut ferry = Ferry::with(lamp).await;
    let later = json!({"device": "lamp", "fields": {"led": true}, "id": "mine", "not_before": "2099-01-01T00:00:00Z"});
    ferry.home.ask("downlink/send", later).await;
    let show = json!({"id": "mine", "wait": "60s", "transaction": "patient"}).to_string();
    ferry.home.publish("ttn/bridge/request/downlink/show", show).await;
    ferry.home.ask("health", json!({})).await;
    assert!(ferry.home.all_on("ttn/bridge/response/downlink/show").is_empty());
    ferry.ask_to_stop().await;
    let (ended, mut stage) = ferry.ended().await;
    assert_eq!(ended, Ended::Stopped);
    assert_eq!(stage.home.response("downlink/show", "patient").await["data"]["open"], true);
}

#[tokio::test]
async fn more_requests_than_there_is_room_for_are_refused_and_room_comes_back() {
    let mut ferry = Ferry::with(lamp).await;
    let later = json!({"device": "lamp", "fields": {"led": true}, "id": "mine", "not_before": "2099-01-01T00:00:00Z"});
    ferry.home.ask("downlink/send", later).await;
    for number in 0..65 {
        let show = json!({"id": "mine", "wait": "60s", "transaction": number}).to_string();
        ferry.home.publish("ttn/bridge/request/downlink/show", show).await;
    }
    let answer = ferry.home.on("ttn/bridge/response/downlink/show").await;
    assert_eq!((&answer["error"], &answer["transaction"]), (&json!("too many requests at once"), &json!(64)));
    // The socket is another door.
    let (status, ..) = ferry.ask("DELETE", "downlinks/mine", "").await;
    assert_eq!(status.as_u16(), 200);
    let topic = "ttn/bridge/response/downlink/show";
    ferry.home.wait_for_many(65, "all answers", |heard| heard.topic == topic).await;
    ferry.home.ask("health", json!({})).await;
}

#[tokio::test]
async fn a_codec_is_tried_on_a_payload_and_on_a_command() {
    let mut ferry = Ferry::with(|setup| {
        lamp(setup);
        setup.add_codec(
            "own",
            "function decodeUplink(input) {\n  console.log('hm');\n  return {data: {x: input.nope.y}};\n}",
        );
    })
    .await;
    let uplink = json!({"device": "lamp", "f_port": 15, "payload_hex": "08 66 5f 0c e4 01 00 3c"});
    let decoded = ferry.home.ask("codec/test", uplink).await;
    let fields = json!({"temperature": 21.5, "humidity": 47.5, "battery": 3.3, "led": true, "interval": 60});
    assert_eq!((&decoded["fields"], &decoded["warnings"]), (&fields, &json!([])));
    assert_eq!(decoded["normalized"][0]["battery"], 3.3);
    assert_eq!((&decoded["codec"], &decoded["chosen_by"]), (&json!("mbed/led-and-sensors"), &json!("configuration")));
    let command = json!({"codec": "mbed/led-and-sensors", "fields": {"led": true}});
    let encoded = ferry.home.ask("codec/test", command).await;
    assert_eq!((&encoded["payload_hex"], &encoded["f_port"]), (&json!("0101"), &json!(15)));
    let failing = ferry.home.ask("codec/test", json!({"codec": "own", "f_port": 1, "payload_base64": "AQ=="})).await;
    assert_eq!((&failing["line"], &failing["console"], failing.get("fields")), (&json!(3), &json!(["hm"]), None));
    assert!(failing["error"].is_string(), "{failing}");
    assert!(ferry.home.all_on("ttn/lamp/uplink").is_empty(), "nothing is published");
}

#[tokio::test]
async fn what_a_codec_cannot_be_tried_on_is_said() {
    let mut ferry = Ferry::with(lamp).await;
    for (body, words) in [
        (json!({"f_port": 1, "payload_hex": "01"}), "names no codec"),
        (json!({"device": "lamp", "codec": "cayenne-lpp", "f_port": 1, "payload_hex": "01"}), "names no codec"),
        (json!({"device": "lamp"}), "nothing to try"),
        (json!({"device": "lamp", "f_port": 1, "payload_hex": "01", "fields": {}}), "several things at once"),
        (json!({"device": "lamp", "payload_hex": "01"}), "`f_port` is missing"),
        (json!({"device": "lamp", "f_port": 1, "payload_hex": "0"}), "cannot be read"),
        (json!({"device": "lamp", "f_port": 0, "fields": {}}), "port"),
        (json!({"device": "unheard-of", "f_port": 1, "payload_hex": "01"}), "no codec is known"),
        (json!({"codec": "nobodys", "f_port": 1, "payload_hex": "01"}), "neither shipped nor in the codec folder"),
        (json!({"codec": "/etc/passwd", "f_port": 1, "payload_hex": "01"}), "neither shipped nor in the codec folder"),
        (json!({"codec": "../codecs", "f_port": 1, "payload_hex": "01"}), "neither shipped nor in the codec folder"),
    ] {
        let (error, _) = ferry.home.refused("codec/test", body.clone()).await;
        assert!(error.contains(words), "{body}: {error}");
    }
}

#[tokio::test]
async fn codecs_are_looked_at_when_somebody_asks() {
    let good = |answer: &str| format!("function decodeUplink() {{ return {{data: {{answer: '{answer}'}}}}; }}");
    let mut ferry = Ferry::with(|setup| setup.add_codec("node", &good("one"))).await;
    ferry.network.up("node", 1, &[7]);
    assert_eq!(ferry.home.on("ttn/node/uplink").await["fields"]["answer"], "one");
    let file = ferry.folder().join("codecs/node.js");
    std::fs::write(&file, "function decodeUplink( {").unwrap();
    let looked = ferry.home.ask("codec/reload", json!({})).await;
    assert_eq!(looked["reloaded"], json!([]));
    assert!(looked["broken"]["node"].is_string(), "{looked}");
    std::fs::write(&file, good("two")).unwrap();
    let looked = ferry.home.ask("codec/reload", json!({})).await;
    assert_eq!(looked["broken"], json!({}), "{looked}");
    ferry.home.forget();
    ferry.network.up("node", 2, &[7]);
    assert_eq!(ferry.home.on("ttn/node/uplink").await["fields"]["answer"], "two");
}

#[tokio::test]
async fn the_log_level_changes_while_the_bridge_runs() {
    let mut stage = Stage::set(|setup| setup.log = "warn").await;
    let mut process = Process::ferry(&stage.configuration());
    stage.network.subscribed().await;
    stage.home.on("ttn/bridge/state").await;
    assert_eq!(stage.home.ask("log/level", json!({})).await, json!({"level": "warn"}));
    let (error, hint) = stage.home.refused("log/level", json!({"level": "inof"})).await;
    assert!(error == "`inof` is no level" && hint.contains("info"), "{error}: {hint}");
    assert_eq!(stage.home.ask("log/level", json!({"level": "info"})).await, json!({"level": "info"}));
    process.says("The log level was changed").await;
    assert!(!process.said().contains("Network connected"), "{}", process.said());
    let (status, _, told) = stage.ask("PUT", "log/level", r#"{"level": "ttn_ferry=debug,warn"}"#).await;
    assert_eq!(status.as_u16(), 200, "{told}");
    assert!(told["level"].as_str().unwrap().contains("ttn_ferry=debug"), "{told}");
    let module = json!({"module": "ttn_ferry::network", "level": "trace"});
    let told = stage.home.ask("log/level", module).await;
    assert_eq!(told["modules"], json!({"ttn_ferry::network": "trace"}));
    let told = stage.home.ask("log/level", json!({"level": "warn"})).await;
    assert_eq!(told, json!({"level": "warn", "modules": {"ttn_ferry::network": "trace"}}));
    let (error, hint) = stage.home.refused("log/level", json!({"module": "net work", "level": "info"})).await;
    assert!(error == "`net work` is no module" && hint.contains("ttn_ferry::network"), "{error}: {hint}");
    let told = stage.home.ask("log/level", json!({"module": "ttn_ferry::network", "level": null})).await;
    assert_eq!(told, json!({"level": "warn"}));
    process.signal("TERM").await;
    process.ended().await;
}

#[tokio::test]
async fn a_retained_request_is_ignored_and_that_is_said() {
    let mut stage = Stage::set(|_| {}).await;
    stage.home.publish_retained("ttn/bridge/request/downlink/list", r#"{"transaction":"old"}"#).await;
    let mut process = Process::ferry(&stage.configuration());
    process.says("Retained request ignored").await;
    stage.home.on("ttn/bridge/state").await;
    stage.home.ask("downlink/list", json!({})).await;
    assert_eq!(stage.home.all_on("ttn/bridge/response/downlink/list").len(), 1);
    process.signal("TERM").await;
    process.ended().await;
}

#[tokio::test]
async fn a_device_gets_a_name_and_options_by_requests_at_each_door() {
    let mut ferry = Ferry::start().await;
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/node/uplink").await;
    let renamed = ferry.home.ask("device/rename", json!({"from": "node", "to": "hall/lamp"})).await;
    assert_eq!(renamed, json!({"from": "node", "to": "hall/lamp"}));
    ferry.network.up("node", 2, b"x");
    ferry.home.on("ttn/hall/lamp/uplink").await;
    let (status, _, told) = ferry.ask("POST", "devices/hall%2Flamp/rename", r#"{"to": "lamp"}"#).await;
    assert_eq!((status.as_u16(), told), (200, json!({"from": "hall/lamp", "to": "lamp"})));
    let options = json!({"device": "lamp", "options": {"retain": false}});
    let told = ferry.home.ask("device/options", options).await;
    assert_eq!(told["options"], json!({"friendly_name": "lamp", "retain": false}), "{told}");
    let (status, _, told) = ferry.ask("PATCH", "devices/node", r#"{"options": {"retain": null}}"#).await;
    assert_eq!((status.as_u16(), &told["options"]), (200, &json!({"friendly_name": "lamp"})), "{told}");
    let (error, hint) = ferry.home.refused("device/options", json!({"device": "lamp", "options": {"retian": 1}})).await;
    assert!(error.contains("retian") && hint.contains("retain"), "{error}: {hint}");
    let (status, _, told) = ferry.ask("DELETE", "devices/lamp", "").await;
    assert_eq!(status.as_u16(), 200, "{told}");
    let (error, _) = ferry.home.refused("device/rename", json!({"device": "a+b", "to": "c"})).await;
    assert!(error.contains("a+b"), "{error}");
}

#[tokio::test]
async fn a_configuration_is_checked_and_read_again_by_requests_at_each_door() {
    let mut ferry = Ferry::start().await;
    let nothing_new = json!({"changed": [], "needs_restart": []});
    assert_eq!(ferry.home.ask("config/reload", json!({})).await, nothing_new);
    let (status, _, told) = ferry.ask("POST", "config/reload", "").await;
    assert_eq!((status.as_u16(), told), (200, nothing_new));
    let text = ferry.toml().replace("[home]", "[home]\nbase_topc = \"x\"");
    let checked = ferry.home.ask("config/check", json!({ "text": text })).await;
    let problem = &checked["problems"][0];
    assert_eq!((&checked["valid"], &problem["key"]), (&json!(false), &json!("home.base_topc")), "{checked}");
    assert_eq!(problem["hint"], "did you mean `base_topic`?");
    let (status, _, told) = ferry.ask("POST", "config/check", "").await;
    assert_eq!((status.as_u16(), &told["valid"]), (200, &json!(true)), "{told}");
    assert!(ferry.home.all_on("ttn/bridge/event").iter().all(|event| event["type"] != "configuration_broken"));
}

#[tokio::test]
async fn the_control_socket_answers_the_same() {
    let mut ferry = Ferry::with(lamp).await;
    let test = json!({"device": "lamp", "f_port": 15, "payload_hex": "08665f0ce401003c"});
    let (status, _, told) = ferry.ask("POST", "codecs/test", test.to_string()).await;
    assert_eq!((status.as_u16(), told), (200, ferry.home.ask("codec/test", test).await));
    let (status, _, told) = ferry.ask("POST", "codecs/reload", "").await;
    assert_eq!((status.as_u16(), told), (200, json!({"reloaded": [], "broken": {}})));
    let (status, _, told) = ferry.ask("GET", "log/level", "").await;
    assert_eq!((status.as_u16(), told), (200, json!({"level": null})), "the tests' process has no log");
    let (status, _, told) = ferry.ask("DELETE", "downlinks?device=lamp", "").await;
    assert_eq!((status.as_u16(), told), (200, json!({"downlinks": []})));
    for (method, path, body, wanted) in [
        ("PUT", "log/level", r#"{"level": "loud"}"#, 400),
        ("PUT", "log/level", r#"{"levle": "info"}"#, 400),
        ("DELETE", "downlinks", "", 400),
        ("DELETE", "downlinks?device=a%2Bb", "", 404),
        ("POST", "codecs/test", "{}", 400),
        ("POST", "codecs/reload", r#"{"codec": "lamp"}"#, 400),
    ] {
        let (status, _, problem) = ferry.ask(method, path, body).await;
        assert_eq!(status.as_u16(), wanted, "{method} {path} {body}: {problem}");
    }
}

/// `mosquitto_rr` asks once and prints the first answer on its own topic.
#[tokio::test]
async fn with_mqtt_5_the_answer_comes_where_the_asker_wants_it_with_what_tells_it_from_others() {
    let mosquitto = Mosquitto::start().await;
    let (host, port) = (mosquitto.address.ip().to_string(), mosquitto.address.port().to_string());
    let mut ferry = Ferry::with(|setup| {
        setup.home_at = Some(mosquitto.address);
        setup.home = "mqtt_version = \"5\"".into();
    })
    .await;
    let mut asker = Command::new("mosquitto_rr");
    asker.args(["-V", "5", "-q", "1", "-h", &host, "-p", &port, "-W", "15"]);
    asker.args(["-t", "ttn/bridge/request/log/level", "-e", "my/answers", "-D", "publish", "correlation-data", "42"]);
    asker.args(["-m", r#"{"transaction": 7}"#, "-F", "%D %p"]).kill_on_drop(true);
    let told = in_time("an answer", asker.output()).await.expect("these tests need mosquitto-clients");
    let told = String::from_utf8(told.stdout).unwrap();
    let answer = r#"{"status":"ok","data":{"level":null},"transaction":7}"#;
    assert_eq!(told.trim(), format!("42 {answer}"));
    assert_eq!(ferry.home.on("ttn/bridge/response/log/level").await, serde_json::from_str::<Value>(answer).unwrap());

    let mut liar = Command::new("mosquitto_rr");
    liar.args(["-V", "5", "-q", "1", "-h", &host, "-p", &port, "-W", "15", "-t", "ttn/bridge/request/info"]);
    liar.args(["-e", "ttn/lamp/set", "-m", "{}"]).stdout(Stdio::null()).kill_on_drop(true);
    let _liar = liar.spawn().unwrap();
    ferry.home.on("ttn/bridge/response/info").await;
    ferry.home.ask("health", json!({})).await;
    assert!(ferry.home.all_on("ttn/lamp/set").is_empty(), "the bridge commands nobody");
}
