//! What the user wants told otherwise: keys over ours, and the rules they keep.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::entity::{Component, Entity};
use super::{classes, schema};
use crate::home::Override;

/// The name under which the device itself is described.
const DEVICE: &str = "device";
/// Keys that identify an entity: changed ones would leave the old entity behind for ever.
const FIXED: [&str; 4] = ["device", "origin", "platform", "unique_id"];
/// How alike two names must be for one to be suggested, from 0 to 1.
const ALIKE: f64 = 0.6;

/// One thing wrong in a device's `home_assistant` table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidOverride {
    /// Below `home_assistant`: `temperature.unit_of_measurement`.
    pub key: String,
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// What is wrong with these overrides, as far as can be told without knowing what sort of entity each concerns.
pub fn check_overrides(overrides: &BTreeMap<String, Override>) -> Vec<InvalidOverride> {
    overrides.iter().flat_map(|(name, wanted)| check(name, wanted)).collect()
}

/// The entity as the user wants it; `None` if he does not.
pub fn apply(mut entity: Entity, overrides: &BTreeMap<String, Override>) -> Option<Entity> {
    match overrides.get(&entity.path).filter(|_| entity.path != DEVICE) {
        Some(Override::Removed(value)) if is_null(value) => None,
        Some(Override::Keys(keys)) => {
            let known = schema::keys(entity.component);
            let required = schema::required(entity.component);
            for (key, value) in keys.iter().filter(|(key, _)| known.contains(&key.as_str())) {
                let is_kept = FIXED.contains(&key.as_str()) || (is_null(value) && required.contains(&key.as_str()));
                if !is_kept {
                    merge_one(&mut entity.keys, key, value);
                }
            }
            if says_number(keys) && !keys.contains_key("value_template") {
                entity.keys.extend(entity.number.take().map(|template| ("value_template".to_owned(), template.into())));
            }
            Some(entity)
        }
        _ => Some(entity),
    }
}

/// The device as the user wants it.
pub fn apply_to_device(device: &mut Map<String, Value>, overrides: &BTreeMap<String, Override>) {
    let Some(Override::Keys(keys)) = overrides.get(DEVICE) else { return };
    for (key, value) in keys.iter().filter(|(key, _)| schema::DEVICE.contains(&key.as_str()) && *key != "identifiers") {
        merge_one(device, key, value);
    }
}

fn check(name: &str, wanted: &Override) -> Vec<InvalidOverride> {
    let keys = match wanted {
        Override::Keys(keys) => keys,
        Override::Removed(value) if is_null(value) && name != DEVICE => return Vec::new(),
        Override::Removed(_) => {
            let hint = "a table of keys, or \"null\" for no such entity (the device itself stays)";
            return vec![invalid(name.into(), "this is no table of keys".into(), hint.into())];
        }
    };
    let known = known_keys(name);
    let mut problems: Vec<_> = keys.keys().filter_map(|key| check_key(name, key, &known)).collect();
    if name != DEVICE {
        problems.extend(check_class(name, keys));
    }
    problems
}

fn known_keys(name: &str) -> BTreeSet<&'static str> {
    match name {
        DEVICE => schema::DEVICE.into_iter().filter(|key| *key != "identifiers").collect(),
        _ => Component::ALL.into_iter().flat_map(schema::keys).filter(|key| !FIXED.contains(key)).collect(),
    }
}

fn check_key(name: &str, key: &str, known: &BTreeSet<&'static str>) -> Option<InvalidOverride> {
    if known.contains(key) {
        return None;
    }
    let at = format!("{name}.{key}");
    if FIXED.contains(&key) || key == "identifiers" {
        let hint = "Home Assistant knows the entity by it: leave it out";
        return Some(invalid(at, format!("`{key}` is not to be changed"), hint.into()));
    }
    let likeness = |known: &&&str| strsim::normalized_damerau_levenshtein(key, known);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let hint = match nearest.filter(|name| likeness(name) >= ALIKE) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("known here: {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
    };
    Some(invalid(at, format!("Home Assistant knows no `{key}` here"), hint))
}

/// A device class that no entity has, or not with the unit that stands beside it.
fn check_class(name: &str, keys: &Map<String, Value>) -> Option<InvalidOverride> {
    let class = keys.get("device_class")?.as_str().filter(|class| *class != "null")?;
    let unit = keys.get("unit_of_measurement").and_then(Value::as_str).filter(|unit| *unit != "null");
    let all: BTreeSet<_> = Component::ALL.into_iter().flat_map(classes::names).collect();
    let at = format!("{name}.device_class");
    if !all.contains(class) {
        let likeness = |known: &&&str| strsim::normalized_damerau_levenshtein(class, known);
        let nearest = all.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let hint = nearest.map(|nearest| format!("did you mean `{nearest}`?")).unwrap_or_default();
        return Some(invalid(at, format!("there is no device class `{class}`"), hint));
    }
    let unit = unit.filter(|unit| !classes::has_unit(class, Some(unit)))?;
    let message = format!("Home Assistant does not take the unit `{unit}` with the class `{class}`");
    Some(invalid(at, message, "another unit, or device_class = \"null\"".into()))
}

fn merge_one(keys: &mut Map<String, Value>, key: &str, value: &Value) {
    if is_null(value) {
        keys.remove(key);
    } else {
        keys.insert(key.into(), value.clone());
    }
}

/// Whether a sensor with these keys may hold numbers only: Home Assistant logs an error for another state.
fn says_number(keys: &Map<String, Value>) -> bool {
    let says = |key: &str| keys.get(key).is_some_and(|value| !is_null(value));
    let class = keys.get("device_class").and_then(Value::as_str);
    let is_word = class.is_some_and(|class| ["enum", "timestamp"].contains(&class));
    !is_word && ["device_class", "state_class", "unit_of_measurement"].into_iter().any(says)
}

/// TOML has no null and writes it as a text.
fn is_null(value: &Value) -> bool {
    value.is_null() || value == "null"
}

fn invalid(key: String, message: String, hint: String) -> InvalidOverride {
    InvalidOverride { key, message, hint }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(name: &str, wanted: Value) -> Vec<(String, String)> {
        let overrides = BTreeMap::from([(name.to_owned(), serde_json::from_value(wanted).unwrap())]);
        check_overrides(&overrides).into_iter().map(|problem| (problem.key, problem.hint)).collect()
    }

    #[test]
    fn an_unknown_key_gets_the_nearest_name() {
        let problems = checked("led", json!({"icn": "mdi:led-on", "icon": "mdi:led-on"}));
        assert_eq!(problems, [("led.icn".into(), "did you mean `icon`?".into())]);
        let problems = checked("device", json!({"modl": "A", "suggested_area": "Garden", "icon": "x"}));
        assert_eq!(problems[1], ("device.modl".into(), "did you mean `model`?".into()));
        assert!(problems[0].1.starts_with("known here: configuration_url"), "{problems:?}");
    }

    #[test]
    fn what_can_be_told_without_the_entity_is_told() {
        assert!(checked("a", json!("null")).is_empty());
        assert!(checked("a", json!({"device_class": "null", "unit_of_measurement": "null", "name": "A"})).is_empty());
        assert_eq!(checked("a", json!(5)).len(), 1);
        assert_eq!(checked("device", json!("null")).len(), 1);
        assert_eq!(checked("a", json!({"unique_id": "x"})).len(), 1);
        assert_eq!(checked("a", json!({"device_class": "temprature"}))[0].1, "did you mean `temperature`?");
        assert_eq!(checked("a", json!({"device_class": "temperature", "unit_of_measurement": "V"})).len(), 1);
        assert!(checked("a", json!({"device_class": "temperature", "unit_of_measurement": "C"})).is_empty());
    }
}
