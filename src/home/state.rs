//! The merged state of each device: every field last known.
//!
//! A state is published at once, and then at most every [`HOLD`]: what changes in between is merged and goes out when
//! the time is over. No real node reports that often; a backlog after an outage does, and then only the newest counts.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::model::{DeviceKey, Uplink};

/// The least time between two states of one device.
pub const HOLD: Duration = Duration::from_millis(250);

/// The states of all devices. Time comes in as an argument.
#[derive(Debug, Default)]
pub struct States {
    devices: HashMap<DeviceKey, State>,
    /// States that changed within [`HOLD`] of their last publication, by the time they may go.
    waiting: VecDeque<(Instant, DeviceKey)>,
}

/// One device's fields, as last told.
#[derive(Debug, Default, Serialize)]
struct State {
    #[serde(flatten)]
    fields: BTreeMap<String, Box<RawValue>>,
    last_seen: Option<Timestamp>,
    link: Link,
    #[serde(skip)]
    published: Option<Instant>,
    #[serde(skip)]
    is_waiting: bool,
}

/// How well the last uplink was heard.
#[derive(Debug, Default, Serialize)]
struct Link {
    #[serde(skip_serializing_if = "Option::is_none")]
    rssi: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snr: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spreading_factor: Option<u8>,
    gateways: usize,
    #[serde(skip_serializing_if = "String::is_empty")]
    best_gateway: String,
    f_cnt: u32,
}

impl States {
    /// Merges an uplink's fields. Returns the state if it is to be published now. One older than what is known changes
    /// nothing: the state only ever moves forward in time.
    pub fn merge(&mut self, uplink: &Uplink, fields: Option<&RawValue>, now: Instant) -> Option<Bytes> {
        let state = self.devices.entry(uplink.key.clone()).or_default();
        if state.last_seen.is_some_and(|seen| uplink.at < seen) {
            return None;
        }
        state.take(uplink, fields);
        let free_at = state.published.map_or(now, |published| published + HOLD);
        if free_at <= now && !state.is_waiting {
            return Some(state.publish(now));
        }
        if !state.is_waiting {
            state.is_waiting = true;
            self.waiting.push_back((free_at, uplink.key.clone()));
        }
        None
    }

    /// When the next waiting state may go.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, _)| *due)
    }

    /// The next waiting state, if it may go by `now`.
    pub fn take_due(&mut self, now: Instant) -> Option<(DeviceKey, Bytes)> {
        let (_, key) = self.waiting.pop_front_if(|(due, _)| *due <= now)?;
        let state = self.devices.get_mut(&key)?;
        let body = state.publish(now);
        Some((key, body))
    }
}

impl State {
    /// Takes over what an uplink tells. Fields called `last_seen` and `link` give way to the bridge's own; what is no
    /// JSON object has no fields.
    fn take(&mut self, uplink: &Uplink, fields: Option<&RawValue>) {
        self.last_seen = Some(uplink.at);
        self.link.take(uplink);
        let parsed = fields.map(|fields| serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(fields.get()));
        for (name, value) in parsed.and_then(Result::ok).into_iter().flatten() {
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

    fn publish(&mut self, now: Instant) -> Bytes {
        (self.published, self.is_waiting) = (Some(now), false);
        serde_json::to_vec(self).expect("a map with text keys serialises").into()
    }
}

impl Link {
    fn take(&mut self, uplink: &Uplink) {
        let best = uplink.radio.best();
        self.rssi = best.map(|gateway| gateway.rssi);
        self.snr = best.map(|gateway| gateway.snr);
        self.spreading_factor = uplink.radio.data_rate.spreading_factor;
        self.gateways = uplink.radio.gateways.len();
        self.best_gateway.clear();
        self.best_gateway.push_str(best.map_or("", |gateway| &gateway.id));
        self.f_cnt = uplink.f_cnt;
    }
}
