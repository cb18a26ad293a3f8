//! examples/mqttjs: the demo's nodes, heard and commanded by Node, and by a page over a WebSocket.

use std::path::Path;

use super::demo::Demo;
use super::folder::Folder;
use super::mosquitto::Mosquitto;
use super::runtime;

#[tokio::test]
async fn watch_prints_the_readings_of_every_device() {
    let Some((folder, _demo)) = set().await else { return };
    let mut watching = folder.run("node watch.js");
    for reading in [" living-room battery=", " mbed-node led=", " greenhouse analog_in_4=", " tracker analog_in_2="] {
        watching.says(reading).await;
    }
}

#[tokio::test]
async fn command_follows_a_command_until_the_node_has_it() {
    let Some((folder, _demo)) = set().await else { return };
    let (status, said) = folder.run("node command.js").ended().await;
    let steps: Vec<_> = said.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!((status.code(), &steps[..]), (Some(0), &["accepted", "queued", "sent", "acked"][..]), "{said}");
}

#[tokio::test]
async fn command_says_why_a_command_is_refused() {
    let Some((folder, _demo)) = set().await else { return };
    let (status, said) = folder.run_line("node command.js living-room lamp=true mqtt://localhost:1884").ended().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("failed") && said.contains("there are led, interval"), "{said}");
}

#[tokio::test]
async fn the_page_shows_values_and_sends_commands_over_a_websocket() {
    let Some(modules) = runtime::node_modules() else { return };
    let folder = with(&modules, Folder::of("mqttjs"));
    let mosquitto = Mosquitto::of(&folder).await;
    let _demo = Demo::at(mosquitto.port).await;
    let browser = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/runtimes/browse.js");
    let url = format!("ws://127.0.0.1:{}", mosquitto.websocket);
    let line = format!("node {browser} '{}' '{}' {url}", folder.path.display(), modules.display());
    let (status, said) = folder.run_line(&line).ended().await;
    let shown: Vec<_> = said.lines().collect();
    let [connected, values, step] = shown[..] else { panic!("{said}") };
    assert!(status.success() && connected == format!("Connected to {url}"), "{said}");
    assert!(values.contains("humidity") && values.contains("interval60"), "{said}");
    assert!(step.contains(": acked"), "{said}");
}

async fn set() -> Option<(Folder, Demo)> {
    let modules = runtime::node_modules()?;
    let demo = Demo::start().await;
    Some((with(&modules, Folder::of("mqttjs")).instead("1884", demo.port), demo))
}

/// The packages are not in the example's folder, but where `scripts/example-tools` put them.
fn with(modules: &Path, folder: Folder) -> Folder {
    folder.instead("node ", format!("env NODE_PATH='{}' node ", modules.display()))
}
