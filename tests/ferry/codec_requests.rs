//! Codecs by requests: which there are, what they are made of, tried on what was sent, saved where that is allowed.

use std::os::unix::fs::symlink;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{APP, Ferry, Setup, uplink};

const ONE: &str = "function decodeUplink(input) {\n  return {data: {answer: 1, bytes: input.bytes.length}};\n}";

fn editable(setup: &mut Setup) {
    setup.add_device("lamp", "codec = \"mbed/led-and-sensors\"");
    setup.add_codec("node", ONE);
    setup.more.push_str("\n[web]\nedit_codecs = true\n");
}

impl Ferry {
    /// Asks at both doors, which must say the same.
    async fn both(&mut self, method: &str, path: &str, request: &str, mut body: Value, in_path: Value) -> Value {
        let (status, _, told) =
            self.ask(method, path, if body == json!({}) { String::new() } else { body.to_string() }).await;
        let keys = body.as_object_mut().unwrap();
        keys.extend(in_path.as_object().unwrap().clone());
        keys.insert("transaction".into(), request.into());
        self.home.forget();
        self.home.publish(&format!("ttn/bridge/request/{request}"), body.to_string()).await;
        let heard = self.home.on(&format!("ttn/bridge/response/{request}")).await;
        match status.is_success() {
            true => assert_eq!(heard["data"], told, "{request}"),
            false => assert_eq!((&heard["error"], &heard["hint"]), (&told["detail"], &told["hint"]), "{request}"),
        }
        told
    }

    /// An uplink that came just now.
    pub fn up_now(&self, device: &str, f_cnt: u32, payload: &[u8]) {
        let mut message = uplink(f_cnt, payload);
        let now = Timestamp::now().to_string();
        message["received_at"] = now.as_str().into();
        let up = &mut message["uplink_message"];
        up["received_at"] = now.into();
        up["rx_metadata"] =
            json!([{"gateway_ids": {"gateway_id": "roof", "eui": "0102030405060708"}, "rssi": -97, "snr": 8.5}]);
        up["settings"] = json!({
            "data_rate": {"lora": {"bandwidth": 125_000, "spreading_factor": 7}},
            "frequency": "868100000",
        });
        up["consumed_airtime"] = "0.056576s".into();
        self.network.handle.publish_up(APP, device, &message);
    }
}

#[tokio::test]
async fn all_codecs_are_listed_with_who_has_them_and_each_shows_its_text() {
    let mut ferry = Ferry::with(editable).await;
    ferry.up_now("node", 1, &[7]);
    ferry.home.on("ttn/node/uplink").await;
    let listed = ferry.both("GET", "codecs", "codec/list", json!({}), json!({})).await;
    assert_eq!(listed["edit"], true);
    let codecs = listed["codecs"].as_array().unwrap();
    let named = |name: &str| codecs.iter().find(|codec| codec["name"] == name).unwrap_or_else(|| panic!("{name}"));
    let node = named("node");
    assert_eq!(
        (&node["source"], &node["devices"], &node["editable"]),
        (&json!("user"), &json!(["node"]), &json!(true))
    );
    let lamp = named("mbed/led-and-sensors");
    assert_eq!((&lamp["source"], &lamp["commands"][0]["field"]), (&json!("shipped"), &json!("led")));
    assert!(lamp["description"].is_string() && codecs.len() > 6, "{lamp}");

    let node = ferry.both("GET", "codecs/node/source", "codec/source", json!({}), json!({"name": "node"})).await;
    let shown =
        json!({"name": "node", "source": "user", "kind": "script", "text": ONE, "path": "node.js", "editable": true});
    assert_eq!(node, shown);
    let name = json!({"name": "mbed/led-and-sensors"});
    let lamp = ferry.both("GET", "codecs/mbed%2Fled-and-sensors/source", "codec/source", json!({}), name).await;
    assert_eq!((&lamp["source"], &lamp["editable"], lamp.get("path")), (&json!("shipped"), &json!(true), None));
    assert!(lamp["text"].as_str().unwrap().len() > 100, "{lamp}");
    for name in ["nobodys", "../node", "/etc/passwd"] {
        let path = format!("codecs/{}/source", name.replace('/', "%2F"));
        let problem = ferry.both("GET", &path, "codec/source", json!({}), json!({ "name": name })).await;
        assert_eq!(problem["status"], 404, "{name}: {problem}");
    }
}

#[tokio::test]
async fn a_codec_is_tried_on_what_was_sent_and_nothing_of_it_stays() {
    let mut ferry = Ferry::with(editable).await;
    for f_cnt in 1..=3 {
        ferry.up_now("node", f_cnt, &vec![7; f_cnt as usize]);
        ferry
            .home
            .wait_for("an uplink", |heard| heard.topic == "ttn/node/uplink" && heard.json()["f_cnt"] == f_cnt)
            .await;
    }
    let text = "function decodeUplink(input) {\n  console.log('hm');\n  if (input.bytes.length > 2) throw new Error('long');\n  \
                return {data: {temperature: 20 + input.bytes.length}};\n}";
    let wanted = json!({"device": "node", "text": text, "limit": 2});
    let told = ferry.both("POST", "codecs/try", "codec/try", wanted, json!({})).await;
    let tried = told["tried"].as_array().unwrap();
    assert_eq!(tried.len(), 2, "{told}");
    let (long, short) = (&tried[0], &tried[1]);
    assert_eq!(
        (&long["payload_hex"], &long["before"]),
        (&json!("070707"), &json!({"fields": {"answer": 1, "bytes": 3}}))
    );
    assert_eq!((&long["after"]["line"], &long["after"]["log"]), (&json!(3), &json!(["hm"])));
    assert!(long["after"]["error"].as_str().unwrap().contains("long"), "{long}");
    assert_eq!((&short["after"]["fields"], &short["after"]["warnings"]), (&json!({"temperature": 22}), &json!([])));
    ferry.home.forget();
    ferry.up_now("node", 4, &[7]);
    assert_eq!(ferry.home.on("ttn/node/uplink").await["fields"]["answer"], 1, "the old one is in use");
    let endless = json!({"device": "node", "text": "function decodeUplink() { for (;;) {} }", "limit": 1});
    let told = ferry.both("POST", "codecs/try", "codec/try", endless, json!({})).await;
    assert!(told["tried"][0]["after"]["error"].as_str().unwrap().contains("longer than"), "{told}");
}

#[tokio::test]
async fn a_text_is_tried_on_a_payload_with_the_entities_it_would_make() {
    let mut ferry = Ferry::with(editable).await;
    let text = "function decodeUplink(input) { return {data: {temperature: input.bytes[0], door_open: true}}; }";
    let wanted = json!({"text": text, "f_port": 1, "payload_hex": "15"});
    let told = ferry.both("POST", "codecs/test", "codec/test", wanted, json!({})).await;
    assert_eq!(told["fields"], json!({"temperature": 21, "door_open": true}));
    let entities = told["entities"].as_array().unwrap();
    let of =
        |field: &str| entities.iter().find(|entity| entity["field"] == field).unwrap_or_else(|| panic!("{told:#}"));
    assert_eq!((&of("temperature")["component"], &of("temperature")["unit"]), (&json!("sensor"), &json!("°C")));
    assert_eq!(of("temperature")["device_class"], "temperature");
    assert_eq!(of("door_open")["component"], "binary_sensor");
    let wanted = json!({"device": "lamp", "f_port": 15, "payload_hex": "08665f0ce401003c"});
    let told = ferry.both("POST", "codecs/test", "codec/test", wanted, json!({})).await;
    let components: Vec<_> = told["entities"].as_array().unwrap().iter().map(|it| &it["component"]).collect();
    assert!(components.contains(&&json!("switch")) && told["normalized"].is_array(), "{told}");
    let broken = json!({"text": "x = ", "kind": "table", "f_port": 1, "payload_hex": "15"});
    let told = ferry.both("POST", "codecs/test", "codec/test", broken, json!({})).await;
    assert!(told["error"].is_string() && told.get("entities").is_none(), "{told}");
}

#[tokio::test]
async fn a_codec_is_saved_and_used_at_once() {
    let mut ferry = Ferry::with(editable).await;
    ferry.up_now("node", 1, &[7]);
    ferry.home.on("ttn/node/uplink").await;
    let two = json!({"text": "function decodeUplink() { return {data: {answer: 2}}; }"});
    let (status, _, told) = ferry.ask("PUT", "codecs/node/source", two.to_string()).await;
    assert_eq!(status.as_u16(), 200, "{told}");
    assert_eq!((&told["path"], &told["devices"], told.get("error")), (&json!("node.js"), &json!(["node"]), None));
    ferry.home.forget();
    ferry.up_now("node", 2, &[7]);
    assert_eq!(ferry.home.on("ttn/node/uplink").await["fields"]["answer"], 2);
    let before = std::fs::read_to_string(ferry.folder().join("codecs/node.js")).unwrap();
    for text in ["function decodeUplink( {", "function decodeUplink() { for (;;) {} }", "for (;;) {}"] {
        let told = ferry
            .both("PUT", "codecs/node/source", "codec/save", json!({ "text": text }), json!({"name": "node"}))
            .await;
        assert_eq!((&told["status"], &told["hint"]), (&json!(422), &json!("nothing was replaced")), "{text}: {told}");
    }
    assert_eq!(std::fs::read_to_string(ferry.folder().join("codecs/node.js")).unwrap(), before);
}

#[tokio::test]
async fn nothing_is_saved_outside_the_folder_or_through_links_or_where_it_is_not_allowed() {
    let mut ferry = Ferry::with(editable).await;
    let outside = ferry.folder().join("victim.js");
    std::fs::write(&outside, "precious").unwrap();
    symlink(&outside, ferry.folder().join("codecs/linked.js")).unwrap();
    let text = json!({ "text": ONE });
    for (name, status) in
        [("../victim", 400), ("a/../../victim", 400), ("node.js", 400), (".hidden", 400), ("linked", 409)]
    {
        let path = format!("codecs/{}/source", name.replace('/', "%2F"));
        let told = ferry.both("PUT", &path, "codec/save", text.clone(), json!({ "name": name })).await;
        assert_eq!(told["status"], status, "{name}: {told}");
    }
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "precious");
    let mut closed = Ferry::with(|setup| setup.add_codec("node", ONE)).await;
    let told = closed.both("PUT", "codecs/node/source", "codec/save", text, json!({"name": "node"})).await;
    assert_eq!((&told["status"], &told["detail"]), (&json!(422), &json!("codecs may not be saved here")));
    let listed = closed.both("GET", "codecs", "codec/list", json!({}), json!({})).await;
    assert!(listed["edit"] == false && listed["codecs"].as_array().unwrap().iter().all(|it| it["editable"] == false));
}

#[tokio::test]
async fn one_device_tells_its_codec_and_why_what_it_used_and_what_was_set() {
    let mut ferry = Ferry::with(editable).await;
    ferry.up_now("node", 1, &[7]);
    ferry.home.on("ttn/node/uplink").await;
    ferry.ask("PATCH", "devices/node", r#"{"options": {"retain": false}}"#).await;
    let told = ferry.both("GET", "devices/node", "device", json!({}), json!({"device": "node"})).await;
    let listed = ferry.ask("GET", "devices", "").await.2;
    let entry = listed.as_array().unwrap().iter().find(|it| it["name"] == "node").unwrap();
    for (key, value) in entry.as_object().unwrap() {
        assert_eq!(&told[key], value, "{key}");
    }
    let choice = &told["codec_choice"];
    assert_eq!(
        (&choice["name"], &choice["source"], &choice["why"]),
        (&json!("node"), &json!("user"), &json!("codec folder"))
    );
    assert_eq!(told["options"], json!({"retain": false}));
    let usage = &told["usage"];
    assert_eq!(
        (&usage["downlinks"], &usage["downlinks_limit"], &usage["airtime_limit_s"]),
        (&json!(0), &json!(10), &json!(30.0))
    );
    ferry.up_now("lamp", 1, &[7]);
    ferry.home.on("ttn/lamp/uplink").await;
    let lamp = ferry.both("GET", "devices/lamp", "device", json!({}), json!({"device": "lamp"})).await;
    let others = lamp["codec_choice"]["others"].as_array().unwrap();
    assert_eq!(
        (&others[0]["why"], &others[0]["why_not"]),
        (&json!("codec folder"), &json!("there is none of that name"))
    );
    let missing = ferry.both("GET", "devices/nobody", "device", json!({}), json!({"device": "nobody"})).await;
    assert_eq!(missing["status"], 404, "{missing}");
}

#[tokio::test]
async fn the_configuration_is_shown_without_secrets() {
    let mut ferry = Ferry::with(editable).await;
    let told = ferry.both("GET", "config", "config/show", json!({}), json!({})).await;
    assert_eq!((&told["configuration"]["web"]["edit_codecs"], &told["needs_restart"]), (&json!(true), &json!([])));
    assert!(told["warnings"].is_array() && told["problems"] == json!([]), "{told}");
    assert!(!told.to_string().contains(ferry.network.key()), "{told}");
}
