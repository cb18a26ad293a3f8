//! The merged state of each device: every field last known.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::{DeviceKey, Uplink};

/// The states of all devices.
#[derive(Debug, Default)]
pub struct States(HashMap<DeviceKey, State>);

/// One device's fields, as last told.
#[derive(Debug, Default)]
struct State {
    fields: BTreeMap<String, Box<RawValue>>,
    last_seen: Option<Timestamp>,
}

/// How well the last uplink was heard.
#[derive(Debug, Serialize)]
struct Link<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rssi: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snr: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spreading_factor: Option<u8>,
    gateways: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    best_gateway: Option<&'a str>,
    f_cnt: u32,
}

#[derive(Serialize)]
struct Rendered<'a> {
    #[serde(flatten)]
    fields: &'a BTreeMap<String, Box<RawValue>>,
    last_seen: Timestamp,
    link: Link<'a>,
}

impl States {
    /// Merges an uplink's fields and renders the new state; `None` if the uplink is older than what is known: the state
    /// only ever moves forward in time. Fields called `last_seen` and `link` give way to the bridge's own.
    pub fn merge(&mut self, uplink: &Uplink, fields: Option<&RawValue>) -> Option<Bytes> {
        let state = self.0.entry(uplink.key.clone()).or_default();
        if state.last_seen.is_some_and(|seen| uplink.at < seen) {
            return None;
        }
        state.last_seen = Some(uplink.at);
        if let Some(fields) = fields {
            state.take(fields);
        }
        let best = uplink.radio.best();
        let link = Link {
            rssi: best.map(|gateway| gateway.rssi),
            snr: best.map(|gateway| gateway.snr),
            spreading_factor: uplink.radio.data_rate.spreading_factor,
            gateways: uplink.radio.gateways.len(),
            best_gateway: best.map(|gateway| gateway.id.as_str()),
            f_cnt: uplink.f_cnt,
        };
        let rendered = Rendered { fields: &state.fields, last_seen: uplink.at, link };
        Some(serde_json::to_vec(&rendered).expect("a map with text keys serialises").into())
    }
}

impl State {
    /// Takes over the fields of one uplink. What is no JSON object has none.
    fn take(&mut self, fields: &RawValue) {
        let Ok(fields) = serde_json::from_str::<BTreeMap<std::borrow::Cow<'_, str>, &RawValue>>(fields.get()) else {
            return;
        };
        for (name, value) in fields {
            if matches!(&*name, "last_seen" | "link") {
                continue;
            }
            match self.fields.get_mut(&*name) {
                Some(known) => *known = value.to_owned(),
                None => {
                    self.fields.insert(name.into_owned(), value.to_owned());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn merge(states: &mut States, second: i64, fields: &str) -> Option<Value> {
        let fields = RawValue::from_string(fields.to_owned()).unwrap();
        let rendered = states.merge(&Uplink::sample("node", 7, second), Some(&fields))?;
        Some(serde_json::from_slice(&rendered).unwrap())
    }

    #[test]
    fn fields_not_told_again_keep_their_last_value() {
        let mut states = States::default();
        merge(&mut states, 1, r#"{"a": 1, "b": {"x": 1}}"#);
        let state = merge(&mut states, 2, r#"{"b": {"y": 2}, "c": null}"#).unwrap();
        assert_eq!((&state["a"], &state["b"], &state["c"]), (&json!(1), &json!({"y": 2}), &Value::Null));
        assert_eq!((&state["last_seen"], &state["link"]["f_cnt"]), (&json!("1970-01-01T00:00:02Z"), &json!(7)));
    }

    #[test]
    fn an_older_uplink_changes_nothing_and_one_of_the_same_moment_counts() {
        let mut states = States::default();
        merge(&mut states, 5, r#"{"a": 1}"#);
        assert_eq!(merge(&mut states, 4, r#"{"a": 0, "old": 1}"#), None);
        let state = merge(&mut states, 5, r#"{"b": 2}"#).unwrap();
        assert_eq!((&state["a"], &state["b"], state.get("old")), (&json!(1), &json!(2), None));
    }

    #[test]
    fn numbers_keep_their_digits_and_the_bridges_own_fields_their_meaning() {
        let mut states = States::default();
        let fields = r#"{"exact": 0.10000000000000000001, "last_seen": "mine", "link": "mine"}"#;
        let fields = RawValue::from_string(fields.into()).unwrap();
        let state = states.merge(&Uplink::sample("node", 7, 1), Some(&fields)).unwrap();
        let text = std::str::from_utf8(&state).unwrap();
        assert!(text.contains("0.10000000000000000001") && !text.contains("mine"), "{text}");
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        let mut states = States::default();
        let state = merge(&mut states, 1, "[1, 2]").unwrap();
        assert_eq!(state.as_object().unwrap().len(), 2, "{state}");
    }
}
