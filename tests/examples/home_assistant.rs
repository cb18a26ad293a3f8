//! examples/home-assistant: what its dashboard and automations name is what the demo's devices are announced as.

use std::collections::BTreeSet;
use std::fs;

use super::demo::Demo;
use super::folder::Folder;

/// What stands before the dot of an entity of ours.
const DOMAINS: [&str; 5] = ["binary_sensor", "device_tracker", "number", "sensor", "switch"];

#[tokio::test]
async fn every_entity_it_names_is_announced() {
    let folder = Folder::of("home-assistant");
    let texts = ["configuration.yaml", "lorawan-dashboard.yaml"]
        .map(|file| fs::read_to_string(folder.path.join(file)).unwrap());
    let named: BTreeSet<_> = texts.iter().flat_map(|text| entities(text)).collect();
    assert!(named.len() > 15, "only {named:?} were found");
    let demo = Demo::start().await;
    let mut announced = folder.run_line(&format!("mosquitto_sub -p {} -t 'homeassistant/#'", demo.port));
    for entity in named {
        announced.says(&format!("\"default_entity_id\":\"{entity}\"")).await;
    }
}

/// The entities that a file names; `switch.turn_on` is an action.
fn entities(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.contains("service:"));
    let domain = |word: &str| word.split_once('.').map(|(domain, _)| DOMAINS.contains(&domain));
    lines.flat_map(str::split_whitespace).filter(move |word| domain(word) == Some(true))
}
