//! The network's own payload formatters, run by the bridge: fetched, used, kept over a restart.

use serde_json::{Value, json};
use simulator::stack::{
    ALL_RIGHTS, ApiKey, Device, Fault, Formatter, Formatters, RepositoryCodec, StackEvent, VersionIds,
};
use ttn_ferry::shutdown::Ended;

use crate::harness::{APP, Ferry, Setup, Stage, in_time, uplink};

/// Typed into the console.
const UP: &str = "function decodeUplink(input) {
  if (input.bytes.length !== 2) {
    return {errors: ['two bytes are expected']};
  }
  return {data: {temperature: ((input.bytes[0] << 8) | input.bytes[1]) / 100}, warnings: ['made up']};
}";
const DOWN: &str = "function encodeDownlink(input) { return {bytes: [input.data.led ? 1 : 0], fPort: 7}; }";

fn device(id: &str) -> Device {
    Device::new(id, [7; 8], [1; 8], [7; 16])
}

fn javascript(up: &str, down: &str) -> Formatters {
    Formatters { up: Formatter::JavaScript(up.into()), down: Formatter::JavaScript(down.into()) }
}

/// A bridge before a network on which `node` is registered, with what was typed into its console.
async fn with_formatters(formatters: Formatters, change: impl FnOnce(&mut Setup)) -> Ferry {
    let stage = Stage::set(change).await;
    stage.network.handle.register(APP, device("node")).unwrap();
    stage.network.handle.set_formatters(APP, "node", Some(formatters)).unwrap();
    started(stage).await
}

async fn started(stage: Stage) -> Ferry {
    let mut ferry = Ferry::on(stage).await;
    ferry.network.subscribed().await;
    ferry
}

/// Waits until the device has a codec, and tells which.
async fn codec_of(ferry: &mut Ferry, device: &str) -> Value {
    let of_device = |devices: &Value| {
        let listed = devices.as_array().unwrap().iter().find(|listed| listed["device_id"] == device);
        listed.map(|listed| listed["codec"].clone()).filter(|codec| codec["chosen_by"] == "network's formatter")
    };
    let told = ferry.home.wait_for("the network's formatter", |heard| {
        heard.topic == "ttn/bridge/devices" && of_device(&heard.json()).is_some()
    });
    of_device(&told.await.json()).unwrap()
}

/// Requests whose path contains this.
fn asked(ferry: &Ferry, part: &str) -> usize {
    ferry.network.handle.http_requests().iter().filter(|request| request.path.contains(part)).count()
}

#[tokio::test]
async fn a_script_typed_into_the_console_gives_the_networks_own_result_and_its_errors_show() {
    let mut ferry = with_formatters(javascript(UP, DOWN), |_| {}).await;
    let codec = codec_of(&mut ferry, "node").await;
    assert_eq!(codec["name"], "ttn/app1/node");
    let mut message = uplink(1, &[0x08, 0x66]);
    let made = json!({"temperature": 21.5});
    message["uplink_message"]["decoded_payload"] = made.clone();
    ferry.network.handle.publish_up(APP, "node", &message);
    let told = ferry.home.on("ttn/node/uplink").await;
    assert_eq!((&told["fields"], &told["codec"]), (&made, &json!("ttn/app1/node")));
    assert_eq!(told["warnings"], json!(["made up"]));
    // The network keeps to itself what its script says of this one.
    ferry.network.up("node", 2, &[1]);
    let error = ferry.home.on("ttn/node/event/codec_error").await;
    assert_eq!((&error["codec"], &error["payload_hex"]), (&json!("ttn/app1/node"), &json!("01")));
    assert!(error["error"].as_str().unwrap().contains("two bytes are expected"), "{error}");
    // And where it made something of it nevertheless, nothing is lost.
    ferry.home.forget();
    let mut message = uplink(3, &[1]);
    message["uplink_message"]["decoded_payload"] = made.clone();
    ferry.network.handle.publish_up(APP, "node", &message);
    let told = ferry.home.on("ttn/node/uplink").await;
    assert_eq!((&told["fields"], told["codec_error"].is_string()), (&made, true), "{told}");
}

#[tokio::test]
async fn a_command_is_encoded_by_the_networks_script() {
    let mut ferry = with_formatters(javascript(UP, DOWN), |_| {}).await;
    codec_of(&mut ferry, "node").await;
    let sent = ferry.command(&["downlink", "send", "node", "led=true", "--json"]).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!((&sent.json()["payload_hex"], &sent.json()["f_port"]), (&json!("01"), &json!(7)));
}

#[tokio::test]
async fn a_formatter_for_downlinks_only_leaves_uplinks_to_the_network() {
    let formatters = Formatters { up: Formatter::None, down: Formatter::JavaScript(DOWN.into()) };
    let mut ferry = with_formatters(formatters, |_| {}).await;
    codec_of(&mut ferry, "node").await;
    ferry.network.up("node", 1, &[1]);
    let told = ferry.home.on("ttn/node/uplink").await;
    assert_eq!((told.get("fields"), told.get("codec_error")), (None, None), "{told}");
    let sent = ferry.command(&["downlink", "send", "node", "led=false", "--json"]).await;
    assert_eq!((sent.code, &sent.json()["payload_hex"]), (Some(0), &json!("00")), "{sent:?}");
}

#[tokio::test]
async fn what_was_fetched_works_after_a_restart_without_the_networks_api() {
    let mut ferry = with_formatters(javascript(UP, DOWN), |_| {}).await;
    codec_of(&mut ferry, "node").await;
    let (ended, stage) = ferry.stop().await;
    assert_eq!(ended, Ended::Stopped);
    stage.network.handle.set_fault(Fault::HttpStatus { status: 503, times: u32::MAX });
    let mut ferry = started(stage).await;
    ferry.home.forget();
    ferry.network.up("node", 1, &[0x08, 0x66]);
    let told = ferry.home.on("ttn/node/uplink").await;
    assert_eq!((&told["fields"]["temperature"], &told["codec"]), (&json!(21.5), &json!("ttn/app1/node")));
}

#[tokio::test]
async fn a_product_gets_the_script_of_the_device_repository() {
    let version_ids = VersionIds {
        brand_id: "acme".into(),
        model_id: "thermo".into(),
        firmware_version: "1.0".into(),
        band_id: "EU_863_870".into(),
        ..VersionIds::default()
    };
    let stage = Stage::set(|_| {}).await;
    let network = &stage.network.handle;
    let registered = Device { version_ids: Some(version_ids.clone()), ..device("node") };
    network.register(APP, registered).unwrap();
    let default = Formatters { up: Formatter::Repository, down: Formatter::Repository };
    network.set_default_formatters(APP, Some(default)).unwrap();
    let (decoder, encoder) = (Some(UP.to_owned()), None);
    network.publish_codec(RepositoryCodec { version_ids, codec_id: "thermo-codec".into(), decoder, encoder });
    let mut ferry = started(stage).await;
    assert_eq!(codec_of(&mut ferry, "node").await["name"], "ttn/acme/thermo");
    ferry.network.up("node", 1, &[0x08, 0x66]);
    assert_eq!(ferry.home.on("ttn/node/uplink").await["fields"]["temperature"], 21.5);
}

#[tokio::test]
async fn a_missing_right_is_told_once_and_uplinks_go_on() {
    let rights = ALL_RIGHTS.into_iter().filter(|right| !right.ends_with("SETTINGS_BASIC"));
    let stage = Stage::set(|setup| setup.stack.applications[0].keys = vec![ApiKey::with_rights(rights)]).await;
    for id in ["one", "two"] {
        stage.network.handle.register(APP, Device { dev_eui: [id.as_bytes()[0]; 8], ..device(id) }).unwrap();
    }
    let mut events = stage.network.handle.events();
    let mut ferry = started(stage).await;
    let degraded = ferry.home.event("degraded").await;
    assert!(degraded["what"].as_str().unwrap().contains("default payload formatter"), "{degraded}");
    in_time("a question about the second device", async {
        let about_two = |path: &str| path.contains("/devices/two?field_mask=formatters");
        while !matches!(events.recv().await.unwrap(), StackEvent::Http(ref request) if about_two(&request.path)) {}
    })
    .await;
    ferry.network.up("two", 1, &[1]);
    ferry.home.on("ttn/two/uplink").await;
    assert_eq!(asked(&ferry, "/link"), 1);
    let told = ferry.home.all_on("ttn/bridge/event");
    assert_eq!(told.iter().filter(|event| event["type"] == "degraded").count(), 1, "{told:?}");
    let (_, _, info) = ferry.ask("GET", "info", "").await;
    assert_eq!(info["applications"][0]["degraded"], json!([degraded["what"]]));
}

#[tokio::test]
async fn a_device_with_a_codec_of_ours_is_not_asked_for() {
    let own = |setup: &mut Setup| setup.add_device("node", "codec = \"cayenne-lpp\"");
    let mut ferry = with_formatters(javascript(UP, DOWN), own).await;
    ferry.network.handle.register(APP, Device { dev_eui: [8; 8], ..device("zone") }).unwrap();
    ferry.network.handle.set_formatters(APP, "zone", Some(javascript(UP, DOWN))).unwrap();
    ferry.network.up("node", 1, &hex::decode("03670110").unwrap());
    assert_eq!(ferry.home.on("ttn/node/uplink").await["codec"], "cayenne-lpp");
    // One that came later and has none is settled: the other would have been before it.
    ferry.network.up("zone", 1, &[0x08, 0x66]);
    codec_of(&mut ferry, "zone").await;
    assert_eq!(asked(&ferry, "/devices/node?"), 0);
}

#[tokio::test]
async fn the_command_line_lists_devices_with_their_codecs() {
    let mut ferry = with_formatters(javascript(UP, DOWN), |setup| {
        setup.add_device("lamp", "codec = \"mbed/led-and-sensors\"\nfriendly_name = \"hall/lamp\"");
    })
    .await;
    codec_of(&mut ferry, "node").await;
    ferry.network.up("lamp", 1, &hex::decode("0834640ce401003c").unwrap());
    ferry.home.on("ttn/hall/lamp/uplink").await;
    let listed = ferry.command(&["devices"]).await;
    assert_eq!((listed.code, listed.err.as_str()), (Some(0), ""), "{listed:?}");
    let lines: Vec<_> = listed.out.lines().collect();
    assert_eq!(lines.len(), 2, "{listed:?}");
    assert!(lines[0].starts_with("hall/lamp  app1/lamp"), "{listed:?}");
    assert!(lines[0].contains("mbed/led-and-sensors (configuration)") && lines[0].contains(" fields"), "{listed:?}");
    assert!(lines[1].contains("0707070707070707  ttn/app1/node (network's formatter)"), "{listed:?}");
    assert!(lines[1].ends_with("never heard"), "{listed:?}");
    ferry.network.up("raw-one", 1, &[1]);
    ferry.home.on("ttn/raw-one/uplink").await;
    let listed = ferry.command(&["devices"]).await;
    assert!(listed.out.lines().any(|line| line.contains("app1/raw-one") && line.contains("no codec")), "{listed:?}");
    assert!(listed.err.starts_with("hint: where there is no codec: "), "{listed:?}");
    let json = ferry.command(&["devices", "--json"]).await.json_lines();
    assert_eq!((json.len(), &json[1]["codec"]["chosen_by"]), (3, &json!("network's formatter")));
}
