//! The bridge as a device of its own, which the others are reached through.

use serde_json::{Map, Value, json};

use super::Place;
use super::entity::{Component, Entity};
use super::templates::Look;
use crate::model::ApplicationName;

/// The first is always there, whatever the applications.
pub fn entities(applications: &[ApplicationName], place: &Place<'_>) -> Vec<Entity> {
    let topic = place.settings.topics.of_bridge("health");
    let sensor = |path: &str, name: &str| {
        Entity::new(Component::Sensor, path, name)
            .with("state_topic", topic.as_str())
            .with("value_template", Look::into([path]).number())
            .with("state_class", "measurement")
            .diagnostic()
    };
    let memory = sensor("memory_bytes", "Memory").with("device_class", "data_size").with("unit_of_measurement", "B");
    let uptime = sensor("uptime_s", "Uptime").with("device_class", "duration").with("unit_of_measurement", "s");
    let mut entities = vec![
        sensor("spool", "Uplinks waiting for the broker"),
        sensor("queue", "Waiting downlinks"),
        memory,
        uptime.disabled(),
    ];
    entities.extend(applications.iter().map(|application| connection(application, &topic)));
    entities
}

/// What Home Assistant shows of the bridge.
pub fn device(place: &Place<'_>) -> Map<String, Value> {
    let identifiers = json!([super::ids::bridge(place.bridge)]);
    let told = [
        ("identifiers", identifiers),
        ("name", place.bridge.into()),
        ("manufacturer", "ttn-ferry".into()),
        ("model", "The Things Network bridge".into()),
        ("sw_version", place.version.into()),
    ];
    let page = place.settings.page().map(|page| ("configuration_url", page.as_str().into()));
    told.into_iter().chain(page).map(|(key, value)| (key.to_owned(), value)).collect()
}

fn connection(application: &ApplicationName, topic: &str) -> Entity {
    let look = Look::into_named("applications", application.as_str(), "connected");
    Entity::new(Component::BinarySensor, format!("applications.{application}"), format!("{application} connected"))
        .with("state_topic", topic)
        .with("value_template", look.flag(false, ["ON", "OFF", "None"]))
        .with("device_class", "connectivity")
        .diagnostic()
}
