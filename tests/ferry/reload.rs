//! A configuration that changes while the bridge runs: in its file, by requests, for good and for bad.

use std::fs;

use serde_json::{Value, json};
use tokio::net::UnixDatagram;

use crate::harness::{APP, Ferry, Process, Stage, in_time, uplink};

impl Stage {
    /// Writes the configuration anew, with these changes of its text.
    fn rewrite(&self, changes: &[(&str, &str)], more: &str) {
        let mut text = self.toml().to_owned();
        for (old, new) in changes {
            assert!(text.contains(old), "{old} is not in\n{text}");
            text = text.replace(old, new);
        }
        fs::write(self.configuration(), format!("{text}\n{more}")).unwrap();
    }

    /// The answer to a request that must be granted.
    async fn granted(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, _, answer) = self.ask(method, path, body.to_string()).await;
        assert!(status.is_success(), "{method} {path} {body}: {answer}");
        answer
    }

    /// What is wrong with a request, and what to do about it.
    async fn refused(&self, method: &str, path: &str, body: Value) -> String {
        let (status, _, answer) = self.ask(method, path, body.to_string()).await;
        assert!(status.is_client_error(), "{method} {path} {body}: {answer}");
        format!("{} ({})", answer["detail"].as_str().unwrap(), answer["hint"].as_str().unwrap_or_default())
    }

    async fn info(&self) -> Value {
        self.ask("GET", "info", "").await.2
    }
}

impl Ferry {
    async fn is_cleared(&mut self, topic: &str) {
        self.home.wait_for("a cleared topic", |heard| heard.topic == topic && heard.text.is_empty()).await;
    }
}

#[tokio::test]
async fn what_a_file_says_anew_counts_at_once_and_the_rest_waits_for_a_restart() {
    let mut ferry = Ferry::with(|setup| {
        setup.add_codec("mine", "function decodeUplink() { return {data: {from: 'mine'}}; }");
        setup.add_device("node", "qos = 1");
    })
    .await;
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/node").await;
    ferry.home.forget();
    ferry.rewrite(
        &[("qos = 1", "friendly_name = \"hall/lamp\"\ncodec = \"mine\""), ("grace = \"15s\"", "grace = \"20s\"")],
        "[[device]]\nid = \"other\"\nfriendly_name = \"shed\"",
    );
    let reloaded = ferry.granted("POST", "config/reload", json!({})).await;
    assert_eq!(reloaded["needs_restart"], json!(["service.grace"]), "{reloaded}");
    let changed = reloaded["changed"].to_string();
    assert!(changed.contains("device[app1/node].codec") && changed.contains("device[app1/other].id"), "{changed}");
    ferry.is_cleared("ttn/node").await;
    assert!(ferry.home.on("ttn/hall/lamp").await["last_seen"].is_string(), "the state moved with its device");
    assert_eq!(ferry.home.event("device_renamed").await["to"], "hall/lamp");
    assert_eq!(ferry.home.event("configuration_reloaded").await["needs_restart"], json!(["service.grace"]));
    assert_eq!(ferry.info().await["needs_restart"], json!(["service.grace"]));
    ferry.network.up("node", 2, b"x");
    assert_eq!(ferry.home.on("ttn/hall/lamp/uplink").await["fields"]["from"], "mine");
    ferry.rewrite(&[], "");
    let back = ferry.granted("POST", "config/reload", json!({})).await;
    assert_eq!(back["needs_restart"], json!([]), "it is again as it was started: {back}");
    ferry.is_cleared("ttn/hall/lamp").await;
}

#[tokio::test]
async fn a_file_that_changes_is_read_by_itself_and_a_broken_one_changes_nothing() {
    let mut ferry = Ferry::with(|setup| setup.add_device("node", "friendly_name = \"lamp\"")).await;
    ferry.rewrite(&[("friendly_name = \"lamp\"", "friendly_nam = \"hall\"")], "");
    let broken = ferry.home.event("configuration_broken").await;
    let problem = &broken["problems"][0];
    assert_eq!(
        (&problem["key"], &problem["hint"]),
        (&json!("device[0].friendly_nam"), &json!("did you mean `friendly_name`?"))
    );
    assert!(problem["line"].as_u64() > Some(1) && broken["file"].as_str().unwrap().ends_with("ttn-ferry.toml"));
    assert_eq!(ferry.info().await["configuration_problems"][0]["key"], "device[0].friendly_nam");
    let refused = ferry.refused("POST", "config/reload", json!({})).await;
    assert!(refused.contains("unknown key `friendly_nam`") && refused.contains("did you mean"), "{refused}");
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/lamp/uplink").await;
    ferry.rewrite(&[("friendly_name = \"lamp\"", "friendly_name = \"hall\"")], "");
    assert_eq!(ferry.home.event("device_renamed").await["to"], "hall");
    assert_eq!(ferry.info().await.get("configuration_problems"), None);
}

#[tokio::test]
async fn what_is_said_of_a_device_by_requests_counts_over_the_file_and_outlives_a_restart() {
    let mut ferry = Ferry::with(|setup| setup.add_device("node", "friendly_name = \"lamp\"\nretain = false")).await;
    ferry.network.up("other", 1, b"x");
    ferry.home.on("ttn/other").await;
    let options = json!({"options": {"qos": 2, "home_assistant": {"led": {"name": "Light"}}}});
    let said = ferry.granted("PATCH", "devices/lamp", options).await;
    assert_eq!(said["options"]["home_assistant"]["led"]["name"], "Light");
    let renamed = ferry.granted("POST", "devices/other/rename", json!({"to": "garden/soil"})).await;
    assert_eq!(renamed, json!({"from": "other", "to": "garden/soil"}));
    ferry.is_cleared("ttn/other").await;
    ferry.home.on("ttn/garden/soil").await;

    let overlay = fs::read_to_string(ferry.folder().join("store/devices.toml")).unwrap();
    assert!(overlay.contains("garden/soil") && overlay.starts_with("# Written by ttn-ferry"), "{overlay}");
    let shown = ferry.command(&["config", "show"]).await.out;
    assert!(shown.contains("device[0].qos = 2  # devices.toml line"), "{shown}");
    let (_, stage) = ferry.stop().await;
    let mut ferry = Ferry::on(stage).await;
    ferry.network.subscribed().await;
    ferry.home.forget();
    ferry.network.up("other", 2, b"x");
    ferry.home.on("ttn/garden/soil/uplink").await;

    let said = ferry.granted("PATCH", "devices/lamp", json!({"options": {"qos": null}})).await;
    assert_eq!(said["options"], json!({"home_assistant": {"led": {"name": "Light"}}}));
    ferry.granted("POST", "devices/garden%2Fsoil/rename", json!({})).await;
    ferry.is_cleared("ttn/garden/soil").await;
    ferry.home.on("ttn/other").await;
}

#[tokio::test]
async fn what_cannot_be_said_of_a_device_is_refused_and_changes_nothing() {
    let mut ferry = Ferry::with(|setup| setup.add_device("node", "friendly_name = \"lamp\"")).await;
    ferry.network.up("other", 1, b"x");
    ferry.home.on("ttn/other").await;
    for (method, path, body, why) in [
        ("PATCH", "devices/lamp", json!({"options": {"qso": 2}}), "did you mean `qos`?"),
        ("PATCH", "devices/lamp", json!({"options": {"qos": 7}}), "QoS 7"),
        ("PATCH", "devices/lamp", json!({"options": {"interval": "0s"}}), "from \"1s\""),
        (
            "PATCH",
            "devices/lamp",
            json!({"options": {"app_s_key_file": "/etc/shadow"}}),
            "in the configuration file only",
        ),
        ("PATCH", "devices/lamp", json!({"options": {"codec": "/etc/passwd"}}), "no path"),
        ("PATCH", "devices/lamp", json!({"options": {"codec": "nowhere"}}), "nowhere"),
        ("POST", "devices/lamp/rename", json!({"to": "other"}), "is the name of app1/other"),
        ("POST", "devices/lamp/rename", json!({"to": "a+b"}), "'+'"),
        ("POST", "devices/nobody+/rename", json!({"to": "x"}), "nobody+"),
        ("DELETE", "devices/lamp", Value::Null, "take its [[device]] out"),
    ] {
        let refused = ferry.refused(method, path, body.clone()).await;
        assert!(refused.contains(why), "{method} {path} {body}: {refused}");
    }
    assert!(!ferry.folder().join("store/devices.toml").exists(), "nothing was written down");
    let checked = ferry.granted("POST", "config/check", json!({"text": "[home]\nurll = 'x'"})).await;
    assert_eq!((&checked["valid"], &checked["problems"][0]["line"]), (&json!(false), &json!(2)), "{checked}");
    let checked = ferry.granted("POST", "config/check", json!({})).await;
    assert_eq!((&checked["valid"], &checked["changed"]), (&json!(true), &json!([])), "{checked}");
}

#[tokio::test]
async fn a_device_that_is_forgotten_leaves_nothing_behind_and_comes_back_as_a_new_one() {
    let mut ferry = Ferry::start().await;
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/node").await;
    ferry.granted("POST", "devices/node/rename", json!({"to": "lamp"})).await;
    ferry.home.on("ttn/lamp").await;
    ferry.granted("DELETE", "devices/lamp", Value::Null).await;
    ferry.is_cleared("ttn/lamp").await;
    assert_eq!(ferry.home.event("device_removed").await["device_id"], "node");
    assert_eq!(ferry.ask("GET", "devices", "").await.2, json!([]));
    ferry.home.forget();
    ferry.network.up("node", 2, b"x");
    ferry.home.on("ttn/node/uplink").await;
}

#[tokio::test]
async fn what_a_forgotten_device_told_is_forgotten_too_also_after_a_restart() {
    let script = "function decodeUplink(input) { return { data: input.fPort === 7 ? {old: 1} : {young: 2} }; }";
    let mut ferry = Ferry::with(|setup| setup.add_codec("node", script)).await;
    let on_port_7 = |ferry: &Ferry, f_cnt| {
        let mut up = uplink(f_cnt, b"x");
        up["uplink_message"]["f_port"] = json!(7);
        ferry.network.handle.publish_up(APP, "node", &up);
    };
    on_port_7(&ferry, 1);
    assert_eq!(ferry.home.on("ttn/node").await["old"], 1);
    ferry.granted("DELETE", "devices/node", Value::Null).await;
    ferry.is_cleared("ttn/node").await;
    ferry.home.forget();
    ferry.network.up("node", 2, b"x");
    let state = ferry.home.on("ttn/node").await;
    assert_eq!((&state["young"], state.get("old")), (&json!(2), None), "{state}");
    ferry.granted("DELETE", "devices/node", Value::Null).await;
    ferry.is_cleared("ttn/node").await;
    let (_, stage) = ferry.stop().await;
    let mut ferry = Ferry::on(stage).await;
    ferry.network.subscribed().await;
    ferry.home.forget();
    on_port_7(&ferry, 3);
    let state = ferry.home.on("ttn/node").await;
    assert_eq!((&state["old"], state.get("young")), (&json!(1), None), "{state}");
}

#[tokio::test]
async fn what_was_said_of_devices_and_cannot_be_read_is_not_written_over() {
    let mut ferry = Ferry::with(|setup| setup.add_device("node", "friendly_name = \"lamp\"")).await;
    let overlay = ferry.folder().join("store/devices.toml");
    fs::write(&overlay, b"# not text: \xff").unwrap();
    assert_eq!(ferry.home.event("configuration_broken").await["problems"][0]["line"], 1);
    let refused = ferry.refused("PATCH", "devices/lamp", json!({"options": {"qos": 1}})).await;
    assert!(refused.contains("devices.toml cannot be read"), "{refused}");
    assert_eq!(fs::read(&overlay).unwrap(), b"# not text: \xff");
    fs::remove_file(&overlay).unwrap();
    ferry.granted("PATCH", "devices/lamp", json!({"options": {"qos": 1}})).await;
}

#[tokio::test]
async fn a_longer_name_makes_room_for_those_that_the_network_gives() {
    let mut ferry = Ferry::with(|setup| setup.add_device("node", "friendly_name = \"lamp\"")).await;
    ferry.rewrite(&[("friendly_name = \"lamp\"", "friendly_name = \"house/ground/lamp\"")], "");
    ferry.granted("POST", "config/reload", json!({})).await;
    let mut named = uplink(1, b"x");
    named["uplink_message"]["attributes"] = json!({"ferry-name": "house/ground/bell"});
    ferry.network.handle.publish_up(APP, "other", &named);
    ferry.home.on("ttn/house/ground/bell/uplink").await;
}

#[tokio::test]
async fn a_hangup_reads_the_file_again_and_the_service_manager_is_told() {
    let stage = Stage::set(|setup| setup.log = "info").await;
    let told = stage.folder().join("notify");
    let manager = UnixDatagram::bind(&told).unwrap();
    let mut process = Process::ferry_under(&told, &stage.configuration());
    process.says("Started.").await;
    stage.rewrite(&[("level = \"info\"", "level = \"warn\"")], "");
    process.signal("HUP").await;
    let mut heard = String::new();
    in_time("the end of the reload", async {
        let mut words = [0; 4096];
        while heard.rfind("RELOADING=1").is_none_or(|at| !heard[at..].contains("READY=1")) {
            let length = manager.recv(&mut words).await.unwrap();
            heard.push_str(&String::from_utf8_lossy(&words[..length]));
        }
    })
    .await;
    assert!(heard.contains("MONOTONIC_USEC="), "{heard}");
    process.signal("TERM").await;
    let (status, said) = process.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!said.contains("Stopped."), "the log is quieter from then on: {said}");
}
