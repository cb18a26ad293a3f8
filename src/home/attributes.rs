//! The fields of a state as messages of their own: one topic for each value, and only when it changed.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;

use crate::model::DeviceKey;

/// Levels of objects and lists that are taken apart. What lies deeper is told as JSON.
const MOST_LEVELS: usize = 8;
/// Topics that one device gets at most. What a codec decodes beyond them is in the state only.
const MOST_FIELDS: usize = 250;

/// The values last told, field by field.
#[derive(Debug, Default)]
pub struct Attributes {
    devices: HashMap<DeviceKey, HashMap<String, Told>>,
}

#[derive(Debug)]
struct Told {
    /// None: whatever it is, it is to be told again.
    value: Option<Box<str>>,
    /// Whether it can have a topic of its own.
    is_free: bool,
}

/// What is to be told of a state.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Paths and their values.
    pub changed: Vec<(String, String)>,
    /// The state has other fields than it had.
    pub others: bool,
}

impl Attributes {
    /// What changed in a state since this device's last one. `is_free` is asked once for each field: whether its topic
    /// is nothing else's.
    pub fn news(&mut self, key: &DeviceKey, state: &[u8], is_free: impl Fn(&str) -> bool) -> News {
        let known = self.devices.entry(key.clone()).or_default();
        let (mut news, fields) = (News::default(), fields(state));
        let before = known.len();
        known.retain(|path, _| fields.contains_key(path));
        news.others = known.len() < before || fields.len() > known.len();
        for (path, value) in fields {
            let told = known.entry(path.clone()).or_insert_with(|| {
                let is_free = is_free(&path);
                if !is_free {
                    tracing::warn!(device = %key, field = path, "A field has no topic of its own: something else is called like it.");
                }
                Told { value: None, is_free }
            });
            if told.is_free && told.value.as_deref() != Some(&value) {
                told.value = Some(value.as_str().into());
                news.changed.push((path, value));
            }
        }
        news
    }

    /// Whether the device's last state had this field.
    pub fn has(&self, key: &DeviceKey, path: &str) -> bool {
        self.devices.get(key).is_some_and(|known| known.contains_key(path))
    }

    /// Every value is told again.
    pub fn renew(&mut self) {
        self.devices.values_mut().flat_map(HashMap::values_mut).for_each(|told| told.value = None);
    }

    /// Topics changed: everything is to be looked at anew, of one device or of all.
    pub fn forget(&mut self, key: Option<&DeviceKey>) {
        match key {
            Some(key) => drop(self.devices.remove(key)),
            None => self.devices.clear(),
        }
    }
}

/// The values in a state by their paths: levels of objects by name, of lists by number, joined by `/`. A text stands
/// without quotes, a number with all its digits. A place stands there as a whole as well: a map needs both coordinates in
/// one message.
fn fields(state: &[u8]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if let Ok(state) = serde_json::from_slice::<&RawValue>(state) {
        take_apart("", &parts(state.get(), 0), 0, &mut found);
    }
    found
}

fn take_apart(path: &str, members: &[(String, &RawValue)], level: usize, found: &mut BTreeMap<String, String>) {
    if found.len() >= MOST_FIELDS {
        return;
    }
    for (name, value) in members {
        // A level is a level: the name of a field adds none.
        let name = name.replace('/', "_");
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        let parts = parts(value.get(), level + 1);
        if !parts.is_empty() {
            take_apart(&path, &parts, level + 1, found);
        }
        if (parts.is_empty() || is_place(&parts)) && found.len() < MOST_FIELDS {
            found.insert(path, bare(value.get()));
        }
    }
}

fn is_place(parts: &[(String, &RawValue)]) -> bool {
    ["latitude", "longitude"].iter().all(|wanted| parts.iter().any(|(name, _)| name == wanted))
}

/// What an object or a list holds; nothing if it is told as a whole.
fn parts(json: &str, level: usize) -> Vec<(String, &RawValue)> {
    match json.as_bytes().first() {
        _ if level >= MOST_LEVELS => Vec::new(),
        Some(b'{') => {
            serde_json::from_str::<BTreeMap<String, &RawValue>>(json).map_or_else(|_| Vec::new(), Vec::from_iter)
        }
        Some(b'[') => {
            let values = serde_json::from_str::<Vec<&RawValue>>(json).unwrap_or_default();
            values.into_iter().enumerate().map(|(number, value)| (number.to_string(), value)).collect()
        }
        _ => Vec::new(),
    }
}

fn bare(json: &str) -> String {
    let text = json.starts_with('"').then(|| serde_json::from_str(json).ok()).flatten();
    text.unwrap_or_else(|| json.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApplicationName, DeviceId};

    fn key() -> DeviceKey {
        DeviceKey::new(&ApplicationName::parse("garden").unwrap(), DeviceId::parse("lamp").unwrap())
    }

    fn told(attributes: &mut Attributes, state: &str) -> Vec<(String, String)> {
        attributes.news(&key(), state.as_bytes(), |path| path != "uplink").changed
    }

    fn pair(path: &str, value: &str) -> (String, String) {
        (path.into(), value.into())
    }

    #[test]
    fn every_value_has_a_path_and_stands_bare() {
        let state = r#"{"a": {"b": 0.10000000000000000001, "c/d": "x \"y\""}, "l": [1, {"z": true}], "n": null,
            "e": {}, "": "nameless", "last_seen": "2026-11-21T00:00:00Z"}"#;
        let expected = [
            pair("", "nameless"),
            pair("a/b", "0.10000000000000000001"),
            pair("a/c_d", "x \"y\""),
            pair("e", "{}"),
            pair("l/0", "1"),
            pair("l/1/z", "true"),
            pair("last_seen", "2026-11-21T00:00:00Z"),
            pair("n", "null"),
        ];
        assert_eq!(told(&mut Attributes::default(), state), expected);
    }

    #[test]
    fn a_place_is_told_as_a_whole_too() {
        let state = r#"{"gps": {"fix": {"latitude": 1.5, "longitude": null}, "latitude": 2}}"#;
        let expected = [
            pair("gps/fix", r#"{"latitude": 1.5, "longitude": null}"#),
            pair("gps/fix/latitude", "1.5"),
            pair("gps/fix/longitude", "null"),
            pair("gps/latitude", "2"),
        ];
        assert_eq!(told(&mut Attributes::default(), state), expected);
    }

    #[test]
    fn only_what_changed_is_told_until_everything_is_to_be_told_again() {
        let mut attributes = Attributes::default();
        assert_eq!(told(&mut attributes, r#"{"a":1,"b":2}"#).len(), 2);
        assert_eq!(told(&mut attributes, r#"{"a":1,"b":3}"#), [pair("b", "3")]);
        assert_eq!(told(&mut attributes, r#"{"a":1,"b":3}"#), []);
        attributes.renew();
        assert_eq!(told(&mut attributes, r#"{"a":1,"b":3}"#).len(), 2);
    }

    #[test]
    fn a_field_that_is_gone_is_noticed_and_one_without_a_topic_is_left_out() {
        let mut attributes = Attributes::default();
        let news = |attributes: &mut Attributes, state: &str| {
            attributes.news(&key(), state.as_bytes(), |path| path != "uplink")
        };
        assert_eq!(
            news(&mut attributes, r#"{"a":{"x":1},"uplink":1}"#),
            News { changed: vec![pair("a/x", "1")], others: true }
        );
        assert!(!news(&mut attributes, r#"{"a":{"x":2},"uplink":2}"#).others);
        assert!(news(&mut attributes, r#"{"a":5}"#).others);
        assert!(attributes.has(&key(), "a") && !attributes.has(&key(), "a/x"));
    }

    #[test]
    fn what_is_deep_or_long_stays_within_bounds() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let [(path, value)] = &told(&mut Attributes::default(), &deep)[..] else { panic!("one field") };
        assert_eq!((path.split('/').count(), value.starts_with("[[")), (MOST_LEVELS, true));
        let long = format!("{{\"a\":[{}0]}}", "0,".repeat(10_000));
        assert_eq!(told(&mut Attributes::default(), &long).len(), MOST_FIELDS);
    }
}
