//! What a script says of its fields in `getHaDeviceInfo`, as scripts written for ChirpStack's bridge to Home Assistant do.
//!
//! It returns `{device, entities}`; an entity is called something and has an `entity_conf` with the keys of Home
//! Assistant's discovery. Its `value_template` says which field it shows: `{{ value_json.object.temperature | float }}`. One
//! that computes with the field, or shows something else than a field, says nothing that we could use: its unit would be
//! that of the result.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::metadata::{Field, FieldKind};

/// What stands before a field in a template: ChirpStack's messages have the decoded fields in `object`.
const OBJECT: &str = "value_json.object.";
/// Filters that leave a value what it is.
const HARMLESS: [&str; 5] = ["float", "int", "round", "string", "default"];
/// Classes that only a binary sensor has.
const BINARY: [&str; 18] = [
    "carbon_monoxide",
    "cold",
    "connectivity",
    "door",
    "garage_door",
    "heat",
    "light",
    "lock",
    "motion",
    "occupancy",
    "opening",
    "plug",
    "presence",
    "problem",
    "smoke",
    "tamper",
    "vibration",
    "window",
];

#[derive(Deserialize)]
struct Entity {
    #[serde(default)]
    integration: Option<String>,
    entity_conf: Map<String, Value>,
}

/// The fields that are described; what cannot be understood is left out.
pub(super) fn fields(info: &Value) -> Vec<Field> {
    let entities = info.get("entities").and_then(Value::as_object);
    entities.into_iter().flat_map(Map::values).filter_map(field).collect()
}

fn field(entity: &Value) -> Option<Field> {
    let Entity { integration, entity_conf: conf } = Entity::deserialize(entity).ok()?;
    let text = |key: &str| conf.get(key).and_then(Value::as_str).map(str::to_owned);
    let class = text("device_class");
    let kind = match integration.as_deref() {
        Some("binary_sensor") => FieldKind::BinarySensor,
        Some("sensor") => FieldKind::Sensor,
        Some(_) => return None,
        None if class.as_deref().is_some_and(|class| BINARY.contains(&class)) => FieldKind::BinarySensor,
        None => FieldKind::Sensor,
    };
    let name = shown(conf.get("value_template")?.as_str()?)?;
    // On and off by other values than ours would be shown the wrong way round, or not at all.
    if kind == FieldKind::BinarySensor && !is_plain_switch(&conf) {
        return Some(Field { name, friendly_name: text("name"), ..Field::default() });
    }
    Some(Field {
        name,
        friendly_name: text("name"),
        kind,
        unit: text("unit_of_measurement"),
        device_class: class,
        state_class: text("state_class"),
        diagnostic: text("entity_category").as_deref() == Some("diagnostic"),
    })
}

/// The path of the field that a template shows as it is.
fn shown(template: &str) -> Option<String> {
    let inner = template.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim().replace(['(', ')'], " ");
    let mut parts = inner.split('|').map(str::trim);
    let path = parts.next()?.strip_prefix(OBJECT)?;
    let is_path = !path.is_empty() && path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
    (is_path && parts.all(is_harmless)).then(|| path.to_owned())
}

/// A filter and its numbers: whatever else stands there computes.
fn is_harmless(filter: &str) -> bool {
    let mut words = filter.split_whitespace();
    let is_number = |word: &str| word.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b','));
    words.next().is_some_and(|name| HARMLESS.contains(&name)) && words.all(is_number)
}

/// Whether on and off are true and false, or one and zero.
fn is_plain_switch(conf: &Map<String, Value>) -> bool {
    let is = |key: &str, usual: [&str; 3]| {
        let value = conf.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_lowercase));
        value.is_none_or(|value| usual.contains(&value.as_str()))
    };
    is("payload_on", ["1", "true", "open"]) && is("payload_off", ["0", "false", "closed"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Limits, Source, load};

    #[test]
    fn a_template_shows_a_field_only_if_it_leaves_it_what_it_is() {
        for (template, path) in [
            ("{{ value_json.object.humidity | float }}", Some("humidity")),
            ("{{ (value_json.object.env.temp | float) | round(1) }}", Some("env.temp")),
            ("{{value_json.object.Exti_pin_level}}", Some("Exti_pin_level")),
            ("{{ (value_json.object.current | float) / 1000 }}", None),
            ("{{ value_json.rxInfo[-1].rssi | int }}", None),
            ("{{ value_json.batteryLevel | int }}", None),
            ("{{ 'home' if (value_json.object.sats | int) > 0 else 'not_home' }}", None),
            ("on", None),
        ] {
            assert_eq!(shown(template).as_deref(), path, "{template}");
        }
    }

    #[test]
    fn what_home_assistant_would_be_told_is_what_our_fields_say() {
        let conf = |extra: Value| {
            let mut conf = json!({"value_template": "{{ value_json.object.x }}"});
            conf.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            fields(&json!({"entities": {"x": {"entity_conf": conf}}})).pop().unwrap()
        };
        let warm =
            conf(json!({"device_class": "temperature", "unit_of_measurement": "°C", "entity_category": "diagnostic"}));
        let (class, unit) = (warm.device_class.as_deref(), warm.unit.as_deref());
        assert_eq!(
            (class, unit, warm.kind, warm.diagnostic),
            (Some("temperature"), Some("°C"), FieldKind::Sensor, true)
        );
        assert_eq!(
            conf(json!({"device_class": "door", "payload_on": 1, "payload_off": 0})).kind,
            FieldKind::BinarySensor
        );
        let inverse = conf(json!({"device_class": "door", "payload_on": "Low", "payload_off": "High"}));
        assert_eq!((inverse.kind, inverse.device_class), (FieldKind::Sensor, None));
    }

    #[test]
    fn a_script_is_asked_and_one_that_fails_says_nothing() {
        let said = |script: &str| {
            let source = Source::JavaScript { name: "test".into(), script: script.into() };
            load(&source, &Limits::default()).unwrap().fields()
        };
        let script = r#"function decodeUplink() { return {data: {}}; } function getHaDeviceInfo() { return {
            device: {manufacturer: "Acme"},
            entities: {a: {entity_conf: {value_template: "{{ value_json.object.a | float }}", unit_of_measurement: "%"}}}
        }; }"#;
        assert_eq!(said(script)[0].unit.as_deref(), Some("%"));
        assert_eq!(said("function decodeUplink() {} function getHaDeviceInfo() { throw 1; }"), []);
        assert_eq!(said("function decodeUplink() {}"), []);
    }

    #[test]
    fn what_is_no_description_describes_nothing() {
        for info in [json!(null), json!({"entities": 5}), json!({"entities": {"x": 1, "y": {"entity_conf": {}}}})] {
            assert_eq!(fields(&info), [], "{info}");
        }
    }
}
