//! What is announced, held against Home Assistant's rules.

mod announced;
mod properties;
mod rendered;

use std::collections::BTreeMap;

use serde_json::Value;

use super::entity::Component;
use super::*;
use crate::home::{AvailabilityConfig, Discovery, HomeAssistantConfig, HomeConfig, Output};
use crate::model::{DeviceId, ValueKind};

/// The settings with nothing configured but these.
fn settings(form: Discovery, output: Output) -> Settings {
    let home = HomeConfig { output, ..HomeConfig::default() };
    let assistant = HomeAssistantConfig { discovery: form, ..HomeAssistantConfig::default() };
    Settings::new(&home, &assistant, AvailabilityConfig::default(), [], 1).unwrap()
}

fn place(settings: &Settings) -> Place<'_> {
    Place { settings, bridge: "ttn-ferry", version: "1.2.3" }
}

/// A device about which nothing is known.
fn stranger(device: &str) -> Portrait {
    let application = ApplicationName::parse("app").unwrap();
    Portrait {
        key: DeviceKey::new(&application, DeviceId::parse(device).unwrap()),
        name: HomeName::parse(device).unwrap(),
        network: "eu1".into(),
        ids: EndDeviceIds::default(),
        version_ids: None,
        codec: None,
        console: None,
        battery: false,
        area: None,
        fields: Vec::new(),
        commands: Vec::new(),
        measured: BTreeSet::new(),
        seen: Shape::new(),
        overrides: BTreeMap::new(),
    }
}

/// A device with a shipped codec, that has sent these fields.
fn shipped(codec: &str, seen: &[(&str, ValueKind)]) -> Portrait {
    let device = devices::find(codec).expect("it is shipped");
    Portrait {
        codec: Some(codec.into()),
        fields: device.fields.clone(),
        commands: device.commands.clone(),
        seen: shape(seen),
        ..stranger("node")
    }
}

fn shape(seen: &[(&str, ValueKind)]) -> Shape {
    seen.iter().map(|(path, kind)| ((*path).to_owned(), *kind)).collect()
}

/// The entities of a device's one message, by their ids.
fn components(portrait: &Portrait) -> Map<String, Value> {
    let settings = settings(Discovery::Device, Output::Json);
    let [announcement] = &device(portrait, &place(&settings))[..] else { panic!("one message") };
    let root: Value = serde_json::from_slice(&announcement.payload).unwrap();
    root["components"].as_object().unwrap().clone()
}

fn parsed(announcement: &Announcement) -> Map<String, Value> {
    serde_json::from_slice(&announcement.payload).unwrap()
}
