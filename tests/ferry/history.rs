//! What was published is kept: readings, reception and uplinks of the past, at each door the same, and whatever happens to
//! the process, each once.

use serde_json::{Value, json};

use crate::harness::{Ferry, Heard, Process, Stage, uplink};

const SCRIPT: &str = "function decodeUplink(input) {
  const byte = input.bytes[0];
  return {data: {count: byte, half: byte / 2, even: byte % 2 === 0, name: byte < 5 ? 'low' : 'high'}};
}";
const YEAR: &str = "from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z";

/// An uplink that two gateways heard.
fn heard(f_cnt: u32) -> Value {
    let mut message = uplink(f_cnt, &[f_cnt as u8]);
    let gateway = |id: &str, rssi: i32| json!({"gateway_ids": {"gateway_id": id}, "rssi": rssi, "snr": 7.5});
    message["uplink_message"]["rx_metadata"] = json!([gateway("roof", -60 - f_cnt as i32), gateway("far", -110)]);
    message["uplink_message"]["settings"] =
        json!({"data_rate": {"lora": {"bandwidth": 125_000, "spreading_factor": 7}}, "frequency": "868100000"});
    message["uplink_message"]["consumed_airtime"] = "0.061696s".into();
    message
}

/// The counters of the newest uplinks that are kept, oldest first.
async fn kept(stage: &Stage, device: &str) -> Vec<u64> {
    let (status, _, answer) = stage.ask("GET", &format!("devices/{device}/uplinks?limit=200"), "").await;
    assert_eq!(status.as_u16(), 200, "{answer}");
    answer["uplinks"].as_array().unwrap().iter().rev().map(|one| one["f_cnt"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_device_that_was_never_there_has_no_past_and_the_nearest_is_told() {
    let mut ferry = Ferry::with(|setup| setup.add_device("lamp", "")).await;
    ferry.network.up("lamp", 1, b"x");
    ferry.home.on("ttn/lamp/uplink").await;
    for path in ["", "/readings", "/radio", "/uplinks"] {
        let (status, _, problem) = ferry.ask("GET", &format!("devices/lmap{path}"), "").await;
        let told = (status.as_u16(), &problem["detail"], &problem["hint"]);
        assert_eq!(told, (404, &json!("no device is called `lmap`"), &json!("did you mean `lamp`?")), "{path}");
    }
}

#[tokio::test]
async fn what_was_published_is_answered_over_http_and_mqtt_alike() {
    let mut ferry = Ferry::with(|setup| {
        setup.add_codec("node", SCRIPT);
        setup.add_device("node", "friendly_name = \"hall/node\"");
    })
    .await;
    for f_cnt in [0, 1, 2, 5, 6, 9] {
        ferry.network.handle.publish_up("app1", "node", &heard(f_cnt));
    }
    ferry.home.wait_for_many(6, "all uplinks", |heard| heard.topic == "ttn/hall/node/uplink").await;

    let path = format!("devices/hall%2Fnode/readings?fields=count,even,name,link.rssi&{YEAR}");
    let (status, _, readings) = ferry.ask("GET", &path, "").await;
    assert_eq!(status.as_u16(), 200, "{readings}");
    assert_eq!(
        (&readings["device"], &readings["count"], &readings["sampled"]),
        (&json!("hall/node"), &json!(6), &json!(false))
    );
    let at = |all: &[i64]| json!(all.iter().map(|second| 1_767_225_600_000 + second * 1000).collect::<Vec<_>>());
    let series = &readings["series"];
    assert_eq!(
        series["count"],
        json!({"kind": "number", "at": at(&[0, 1, 2, 5, 6, 9]), "value": [0.0, 1.0, 2.0, 5.0, 6.0, 9.0]})
    );
    assert_eq!(
        series["even"],
        json!({"kind": "bool", "at": at(&[0, 1, 2, 5, 6, 9]), "value": [true, false, true, false, true, false]})
    );
    assert_eq!(series["name"], json!({"kind": "text", "at": at(&[0, 5]), "value": ["low", "high"]}));
    assert_eq!((&series["link.rssi"]["unit"], &series["link.rssi"]["value"][1]), (&json!("dBm"), &json!(-61.0)));
    let asked = json!({"device": "hall/node", "fields": ["count", "even", "name", "link.rssi"], "transaction": 1,
        "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z"});
    ferry.home.publish("ttn/bridge/request/readings", asked.to_string()).await;
    assert_eq!(ferry.home.on("ttn/bridge/response/readings").await["data"], readings);

    let span = ["--since", "2026-01-01T00:00:00Z", "--until", "2026-01-01T01:00:00Z"];
    let csv = ferry.command(&[&["readings", "hall/node", "half", "--csv"][..], &span].concat()).await;
    assert_eq!((csv.code, csv.out.lines().nth(2)), (Some(0), Some("2026-01-01T00:00:01Z,half,0.5,,")), "{csv:?}");
    let plot = ferry.command(&[&["readings", "node", "count", "name"][..], &span].concat()).await;
    assert!(plot.out.starts_with("count  9 at 2026-01-01T00:00:09Z, from 0 to 9\n"), "{plot:?}");
    assert!(plot.out.ends_with("\nname\n  2026-01-01T00:00:00Z  low\n  2026-01-01T00:00:05Z  high\n"), "{plot:?}");

    let (_, _, radio) = ferry.ask("GET", &format!("devices/node/radio?{YEAR}"), "").await;
    assert_eq!(
        (&radio["gateways"]["roof"]["count"], &radio["gateways"]["far"]["rssi"][0]),
        (&json!(6), &json!(-110.0))
    );
    assert_eq!(radio["lost"], json!({"at": at(&[5, 9]), "value": [2, 2]}));
    assert_eq!((&radio["spreading_factor"]["value"], &radio["airtime"]["value"]), (&json!([7]), &json!([0.370_176])));

    let (_, _, gateways) = ferry.ask("GET", "gateways?from=2026-01-01T00:00:00Z", "").await;
    let roof = &gateways["gateways"][1];
    assert_eq!((&roof["id"], &roof["uplinks"], &roof["best_rssi"]), (&json!("roof"), &json!(6), &json!(-60.0)));
    assert_eq!((&roof["devices"], &roof["last_seen"]), (&json!(["hall/node"]), &json!("2026-01-01T00:00:09Z")));

    let (_, _, page) = ferry.ask("GET", "devices/node/uplinks?limit=4", "").await;
    let published = ferry.home.all_on("ttn/hall/node/uplink");
    assert_eq!(page["uplinks"], json!(published.iter().rev().take(4).collect::<Vec<_>>()), "as it was published");
    let (_, _, rest) = ferry.ask("GET", &format!("devices/node/uplinks?before={}", page["next"]), "").await;
    assert_eq!(rest["uplinks"], json!(published.iter().rev().skip(4).collect::<Vec<_>>()));
    assert_eq!(rest["next"], Value::Null);
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let mut ferry = Ferry::start().await;
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/node/uplink").await;
    for (path, status, words) in [
        ("devices/a+b/readings", 404, "is called `a+b`"),
        ("devices/node/readings?from=yesterday", 400, "`from` is `yesterday`"),
        ("devices/node/readings?points=5", 400, "from 10 to 5000"),
        ("devices/node/readings?fild=x", 400, "`fild` is no key"),
        ("devices/node/radio?from=1h&to=2h", 400, "not later"),
        ("gateways?from=x", 400, "`from` is `x`"),
    ] {
        let (got, _, problem) = ferry.ask("GET", path, "").await;
        assert_eq!(got.as_u16(), status, "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{path}: {problem}");
    }
    let (_, _, nothing) = ferry.ask("GET", "devices/node/readings?to=2025-01-01T00:00:00Z", "").await;
    assert_eq!((&nothing["count"], &nothing["series"]), (&json!(0), &json!({})));
}

#[tokio::test]
async fn a_removed_device_and_a_retention_of_nothing_leave_no_readings() {
    let mut ferry = Ferry::start().await;
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/node/uplink").await;
    assert_eq!(kept(&ferry, "node").await, [1]);
    let (status, _, answer) = ferry.ask("DELETE", "devices/node", "").await;
    assert_eq!(status.as_u16(), 200, "{answer}");
    ferry.home.wait_for("an empty state", |heard| heard.topic == "ttn/node" && heard.text.is_empty()).await;
    ferry.network.up("node", 2, b"x");
    ferry
        .home
        .wait_for("the next uplink", |heard| heard.topic == "ttn/node/uplink" && heard.json()["f_cnt"] == 2)
        .await;
    assert_eq!(kept(&ferry, "node").await, [2]);

    let mut ferry = Ferry::with(|setup| setup.store = "readings_age = \"0s\"".into()).await;
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/node/uplink").await;
    assert_eq!(kept(&ferry, "node").await, [0; 0]);
}

#[tokio::test]
async fn a_bridge_that_is_killed_again_and_again_keeps_each_uplink_once() {
    let mut stage = Stage::set(|setup| setup.home = "in_flight = 1000".into()).await;
    let mut last = 0;
    for round in 1..=4_u32 {
        let process = Process::ferry(&stage.configuration());
        stage.network.subscribed().await;
        stage.home.on("ttn/bridge/state").await;
        stage.home.broker().withhold_acks(round % 2 == 1).await.unwrap();
        stage.home.forget();
        // The network sends what came before once more: what was read then is known.
        (0..round * 40).for_each(|f_cnt| stage.network.up("node", f_cnt, b"x"));
        let enough = u64::from(last + 7 * round);
        let some = |heard: &Heard| heard.topic == "ttn/node/uplink" && heard.json()["f_cnt"].as_u64() >= Some(enough);
        stage.home.wait_for("some of them", some).await;
        process.signal("KILL").await;
        process.ended().await;
        last = round * 40;
    }
    stage.home.broker().withhold_acks(false).await.unwrap();
    stage.home.forget();
    let _process = Process::ferry(&stage.configuration());
    stage.network.subscribed().await;
    (0..161).for_each(|f_cnt| stage.network.up("node", f_cnt, b"x"));
    let all = |heard: &Heard| heard.topic == "ttn/node/uplink" && heard.json()["f_cnt"] == 160;
    stage.home.wait_for("the last", all).await;
    assert_eq!(kept(&stage, "node").await, (0..161).collect::<Vec<_>>());
}
