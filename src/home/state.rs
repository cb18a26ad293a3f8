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
