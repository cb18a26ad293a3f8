//! The whole bridge over each way to a broker and in both versions of MQTT: uplinks arrive, a command goes back, and the
//! broker's death in between loses nothing.

use serde_json::json;

use crate::harness::{Doors, Ferry, Heard, Mosquitto, Process, Setup, Stage, password};

#[tokio::test]
async fn over_tcp() {
    for version in VERSIONS {
        carries(version, Doors::plain, |_| String::new()).await;
    }
}

#[tokio::test]
async fn over_tls_with_a_client_certificate() {
    for version in VERSIONS {
        carries(version, Doors::tls, |doors| doors.trust() + &doors.identity()).await;
    }
}

#[tokio::test]
async fn over_a_websocket() {
    for version in VERSIONS {
        carries(version, Doors::web, |_| String::new()).await;
    }
}

#[tokio::test]
async fn over_a_websocket_with_tls_and_a_client_certificate() {
    for version in VERSIONS {
        carries(version, Doors::web_tls, |doors| doors.trust() + &doors.identity()).await;
    }
}

#[tokio::test]
async fn over_a_unix_socket() {
    for version in VERSIONS {
        carries(version, Doors::socket, |_| String::new()).await;
    }
}

#[tokio::test]
async fn exactly_once() {
    for version in VERSIONS {
        carries(version, Doors::plain, |_| "qos = 2\nexpiry = \"1h\"\n".into()).await;
    }
}

#[tokio::test]
async fn check_tells_what_the_way_is_and_what_is_missing_on_it() {
    let doors = Doors::open().await;
    for (way, lines, code, told) in [
        (doors.tls(), doors.trust() + &doors.identity(), 0, "MQTT 5"),
        (doors.tls(), doors.trust(), 1, "client_cert_file"),
        (doors.web_tls(), doors.trust() + &doors.identity(), 0, "as ferry"),
        (doors.web(), String::new(), 0, "homeassistant/ttn_ferry_check: acknowledged, and came back"),
        (doors.socket(), String::new(), 0, "socket"),
        (doors.plain().replace("mqtt", "ws"), String::new(), 1, "WebSocket"),
    ] {
        let stage = Stage::set(|setup| through(setup, &doors, &way, "5", &lines)).await;
        let (status, said) = Process::ferry_that(&["check", "--connect"], &stage.configuration()).ended().await;
        assert_eq!(status.code(), Some(code), "{way}: {said}");
        assert!(said.contains(told), "{way}: {said}");
    }
}

const VERSIONS: [&str; 2] = ["3.1.1", "5"];

fn through(setup: &mut Setup, doors: &Doors, url: &str, version: &str, lines: &str) {
    setup.home_at = Some(doors.mosquitto.address);
    setup.home_url = Some(url.to_owned());
    setup.home = format!("mqtt_version = \"{version}\"\nusername = \"ferry\"\n{lines}");
    setup.home_password = Some(password());
}

async fn carries(version: &str, url: impl Fn(&Doors) -> String, lines: impl Fn(&Doors) -> String) {
    let doors = Doors::open().await;
    let (url, lines) = (url(&doors), lines(&doors));
    let mut ferry = Ferry::with(|setup| through(setup, &doors, &url, version, &lines)).await;
    for f_cnt in 0..100 {
        ferry.network.up("node", f_cnt, b"x");
    }
    assert_eq!(arrived(&mut ferry, 99).await, (0..100).collect::<Vec<_>>(), "{url} {version}");
    ferry.counted("everything acknowledged", |counts| counts.waiting_at_home == 0).await;
    command(&mut ferry).await;
    let (place, open_again) = doors.kill().await;
    for f_cnt in 100..150 {
        ferry.network.up("node", f_cnt, b"x");
    }
    ferry.counted("the uplinks", |counts| counts.uplinks == 150).await;
    let _doors = open_again(Mosquitto::again(place).await);
    ferry.home.reconnect().await;
    assert_eq!(arrived(&mut ferry, 149).await, (100..150).collect::<Vec<_>>(), "{url} {version}");
    command(&mut ferry).await;
}

/// The counters of all uplinks up to this one.
async fn arrived(ferry: &mut Ferry, last: u64) -> Vec<u64> {
    let is_last = |heard: &Heard| heard.topic == "ttn/node/uplink" && heard.json()["f_cnt"] == last;
    ferry.home.wait_for("the last uplink", is_last).await;
    ferry.home.all_on("ttn/node/uplink").iter().map(|uplink| uplink["f_cnt"].as_u64().unwrap()).collect()
}

async fn command(ferry: &mut Ferry) {
    // Whoever hears `online` may send commands.
    assert_eq!(ferry.home.on("ttn/bridge/state").await["state"], "online");
    ferry.home.forget();
    ferry.home.publish("ttn/node/downlink/push", json!({"f_port": 1, "payload_hex": "01"}).to_string()).await;
    // Steps of the one before may come in between.
    let accepted = |heard: &Heard| heard.topic == "ttn/node/downlink/state" && heard.json()["state"] == "accepted";
    ferry.home.wait_for("the answer", accepted).await;
}
