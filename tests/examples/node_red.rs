//! examples/node-red: the flow in a Node-RED without an editor, beside the demo.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::demo::Demo;
use super::folder::Folder;
use super::process::Process;
use super::runtime;

/// No editor and no telemetry: nothing but the flow runs.
const SETTINGS: &str = "module.exports = { httpAdminRoot: false, httpNodeRoot: false, flowFile: \"deployed.json\",
    credentialSecret: false, telemetry: { enabled: false } };";

#[tokio::test]
async fn the_flow_shows_readings_and_switches_the_led_when_it_is_cold() {
    let Some(modules) = runtime::node_modules() else { return };
    let demo = Demo::start().await;
    let example = Folder::of("node-red").instead("mosquitto_pub ", format!("mosquitto_pub -p {} ", demo.port));
    let folder = TempDir::new().unwrap();
    let mut flow = start(&example, &modules, folder.path(), demo.port).await;
    for device in ["living-room", "mbed-node", "greenhouse", "tracker"] {
        flow.says(&format!("topic: '{device}'")).await;
    }
    assert!(!flow.said().contains("[debug:steps]"), "nobody commanded yet: {}", flow.said());

    let (status, said) = example.run("mosquitto_pub").ended().await;
    assert!(status.success(), "{said}");
    flow.says("[debug:steps] acked").await;
    assert!(!flow.said().contains("[error]"), "{}", flow.said());
}

/// Node-RED with the example's flow, connected.
async fn start(example: &Folder, modules: &Path, folder: &Path, port: u16) -> Process {
    let flow = fs::read_to_string(example.path.join("flow.json")).unwrap();
    let broker = "\"broker\": \"localhost\",\n    \"port\": \"1883\"";
    assert!(flow.contains(broker), "another broker: {flow}");
    let flow = flow.replace(broker, &format!("\"broker\": \"127.0.0.1\",\n    \"port\": \"{port}\""));
    // What the debug panel shows goes to the terminal.
    fs::write(folder.join("deployed.json"), flow.replace("\"console\": false", "\"console\": true")).unwrap();
    fs::write(folder.join("settings.js"), SETTINGS).unwrap();
    let (red, folder) = (modules.join("node-red/red.js"), folder.display());
    let line = format!("node '{}' --userDir '{folder}' --settings '{folder}/settings.js'", red.display());
    let mut process = example.run_line(&line);
    process.says("Connected to broker").await;
    process
}
