//! The merged state of each device: every field last known.
//!
//! A state is published at once, and then at most as often as the device's `throttle` allows: what changes in between is
//! merged and goes out when the time is over. No real node reports four times a second; a backlog after an outage does,
//! and then only the newest counts.
//!
//! States outlive the process: each is saved when it changes, but at most every [`SAVE`]. After a crash a device that
//! reported more than once within that time has a state that is older than what the broker got: that one is not published
//! until the device reports again, and what is fetched of older times never changes it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use super::link::Link;
use super::measured::Measured;
use crate::model::{DeviceKey, Shape, Uplink, extend_shape, extend_shape_by};

/// The longest time between two states of one device that can be asked for.
pub const LONGEST_THROTTLE: Duration = Duration::from_secs(3600);
/// The least time between two times that one device's state is saved.
const SAVE: Duration = Duration::from_secs(10);

/// The field that holds what the network says of a device's battery, in %.
const BATTERY: &str = "battery_percentage";

/// The states of all devices. Time comes in as an argument.
#[derive(Debug, Default)]
pub struct States {
    devices: HashMap<DeviceKey, State>,
    /// States that changed too soon after their last publication, by the time they may go.
    waiting: BTreeSet<(Instant, DeviceKey)>,
    /// Devices whose states changed within [`SAVE`] of being saved, and when they were last saved together.
    unsaved: Vec<DeviceKey>,
    saved: Option<Instant>,
}

/// What an uplink tells: decoded fields, and a list of normalised measurements.
#[derive(Debug, Default, Clone, Copy)]
pub struct Told<'a> {
    pub fields: Option<&'a RawValue>,
    pub measurements: Option<&'a RawValue>,
}

/// A state as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub last_seen: Timestamp,
    /// JSON for nobody but [`States`].
    pub body: String,
}

/// One device's fields, as last told.
#[derive(Debug, Default, Serialize)]
struct State {
    #[serde(flatten)]
    fields: BTreeMap<String, Box<RawValue>>,
    #[serde(skip_serializing_if = "Measured::is_empty")]
    normalized: Measured,
    last_seen: Option<Timestamp>,
    link: Link,
    /// Which fields were seen, and what they hold.
    #[serde(skip)]
    seen: Arc<Shape>,
    #[serde(skip)]
    published: Option<Instant>,
    #[serde(skip)]
    is_waiting: bool,
    #[serde(skip)]
    own: Own,
}

/// What a state remembers for itself.
#[derive(Debug, Default)]
struct Own {
    /// When the network had the newest uplink in it.
    received_at: Timestamp,
    /// When the network had the newest uplink that came before the last start.
    heard_until: Option<Timestamp>,
    /// What was saved is older than what the home got: it must not go again as it is.
    is_stale: bool,
    /// It should have gone, when nobody knew where to.
    is_held_back: bool,
    saved: Option<Instant>,
    is_changed: bool,
    is_listed: bool,
    is_news_seen: bool,
}

/// What of a state is saved.
#[derive(Serialize)]
struct Body<'a> {
    fields: &'a BTreeMap<String, Box<RawValue>>,
    #[serde(skip_serializing_if = "Measured::is_empty")]
    normalized: &'a Measured,
    link: &'a Link,
    /// The day that the airtime in `link` is of.
    airtime_day: i64,
    seen: &'a Shape,
    received_at: Timestamp,
}

/// The same as it is read back.
#[derive(Deserialize)]
struct Restored {
    fields: BTreeMap<String, Box<RawValue>>,
    #[serde(default)]
    normalized: Measured,
    link: Link,
    #[serde(default)]
    airtime_day: i64,
    seen: Option<Shape>,
    received_at: Timestamp,
}

impl States {
    /// Takes back a state saved before the last start. `heard_until` is when the network had the newest uplink received
    /// of this device. What cannot be read any more is forgotten: the device tells it anew.
    pub fn restore(&mut self, key: DeviceKey, kept: &Kept, heard_until: Option<Timestamp>) {
        let Ok(mut restored) = serde_json::from_str::<Restored>(&kept.body) else {
            return tracing::warn!(device = %key, "The saved state of a device cannot be read.");
        };
        let seen = restored.shape();
        let Restored { fields, normalized, mut link, airtime_day, received_at, .. } = restored;
        link.airtime_day = airtime_day;
        let is_stale = heard_until.is_some_and(|until| until > received_at);
        let own = Own { received_at, heard_until, is_stale, ..Own::default() };
        let last_seen = Some(kept.last_seen);
        self.devices.insert(key, State { fields, normalized, last_seen, link, seen, own, ..State::default() });
    }

    /// A device's state as it would be told, unless the home knows a newer one.
    pub fn told(&self, key: &DeviceKey) -> Option<Bytes> {
        self.devices.get(key).filter(|state| !state.own.is_stale).map(State::body)
    }

    /// The newest of every quantity that this device measured, as one normalised measurement.
    pub fn measured(&self, key: &DeviceKey) -> Option<Value> {
        self.devices.get(key).map(|state| state.normalized.as_value())
    }

    /// Which fields this device's decoded data had so far, and what they hold.
    pub fn seen(&self, key: &DeviceKey) -> Option<&Arc<Shape>> {
        self.devices.get(key).map(|state| &state.seen)
    }

    /// Whether the network has told of this device's battery, and its codec has not.
    pub fn tells_battery(&self, key: &DeviceKey) -> bool {
        let state = self.devices.get(key);
        state.is_some_and(|state| state.fields.contains_key(BATTERY) && !state.seen.contains_key(BATTERY))
    }

    /// The same as [`Self::seen`], if it is news since this was last asked.
    pub fn take_seen(&mut self, key: &DeviceKey) -> Option<Arc<Shape>> {
        let state = self.devices.get_mut(key)?;
        std::mem::take(&mut state.own.is_news_seen).then(|| state.seen.clone())
    }

    /// So many frames of this device never came, as far as is remembered since the start.
    pub fn note_lost(&mut self, key: &DeviceKey, frames: u64) {
        self.devices.entry(key.clone()).or_default().link.note_lost(frames);
    }

    /// Merges what an uplink tells. Returns the state if it is to be published now: `throttle` is the least time from the
    /// one before. One older than what is known changes nothing: the state only ever moves forward in time.
    pub fn merge(&mut self, uplink: &Uplink, told: Told<'_>, throttle: Duration, now: Instant) -> Option<Bytes> {
        let state = self.devices.entry(uplink.key.clone()).or_default();
        state.own.is_changed |= state.link.add_airtime(uplink);
        if state.last_seen.is_some_and(|seen| uplink.at < seen) || state.is_ahead_of(uplink) {
            return None;
        }
        state.take(uplink, told);
        let free_at = state.published.map_or(now, |published| published + throttle);
        if free_at <= now && !state.is_waiting {
            return Some(state.publish(now));
        }
        if !state.is_waiting {
            state.is_waiting = true;
            self.waiting.insert((free_at, uplink.key.clone()));
        }
        None
    }

    /// Nothing is remembered of a device any more.
    pub fn forget(&mut self, key: &DeviceKey) {
        self.devices.remove(key);
        self.waiting.retain(|(_, waiting)| waiting != key);
        self.unsaved.retain(|unsaved| unsaved != key);
    }

    /// The broker may have lost its memory: every state goes again.
    pub fn renew(&mut self, now: Instant) {
        let Self { devices, waiting, .. } = self;
        waiting.clear();
        for (key, state) in devices.iter_mut().filter(|(_, state)| !state.own.is_stale) {
            state.is_waiting = true;
            waiting.insert((now, key.clone()));
        }
    }

    /// It is this day now: states that told yesterday's airtime go again.
    pub fn begin_day(&mut self, today: Timestamp, now: Instant) {
        let Self { devices, waiting, .. } = self;
        for (key, state) in devices.iter_mut().filter(|(_, state)| !state.own.is_stale) {
            if state.link.begin_day(today) && !std::mem::replace(&mut state.is_waiting, true) {
                waiting.insert((now, key.clone()));
            }
        }
    }

    /// The state that was due could not go: nobody knows yet what its device is called.
    pub fn hold_back(&mut self, key: &DeviceKey) {
        if let Some(state) = self.devices.get_mut(key) {
            state.own.is_held_back = true;
        }
    }

    /// The state of this device goes now if it was held back.
    pub fn renew_one(&mut self, key: &DeviceKey, now: Instant) {
        let Some(state) = self.devices.get_mut(key) else { return };
        if std::mem::take(&mut state.own.is_held_back) && !state.is_waiting {
            state.is_waiting = true;
            self.waiting.insert((now, key.clone()));
        }
    }

    /// When the next waiting state may go.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// The next waiting state, if it may go by `now`.
    pub fn take_due(&mut self, now: Instant) -> Option<(DeviceKey, Bytes)> {
        let (_, key) = self.next_due().filter(|due| *due <= now).and_then(|_| self.waiting.pop_first())?;
        let state = self.devices.get_mut(&key)?;
        let body = state.publish(now);
        Some((key, body))
    }

    /// The state of this device, if it changed and may be saved by `now`; else it is saved with the others.
    pub fn take_unsaved_of(&mut self, key: &DeviceKey, now: Instant) -> Option<Kept> {
        let state = self.devices.get_mut(key).filter(|state| state.own.is_changed)?;
        if state.own.saved.is_none_or(|saved| saved + SAVE <= now) {
            return Some(state.save(now));
        }
        if !std::mem::replace(&mut state.own.is_listed, true) {
            self.unsaved.push(key.clone());
        }
        None
    }

    /// Whether the states that changed have waited long enough.
    pub fn saving_is_due(&self, now: Instant) -> bool {
        !self.unsaved.is_empty() && self.saved.is_none_or(|saved| saved + SAVE <= now)
    }

    /// Every state that changed and is not saved.
    pub fn take_unsaved(&mut self, now: Instant) -> Vec<(DeviceKey, Kept)> {
        self.saved = Some(now);
        let Self { devices, unsaved, .. } = self;
        let mut save = |key: DeviceKey| {
            let state = devices.get_mut(&key)?;
            state.own.is_listed = false;
            state.own.is_changed.then(|| state.save(now)).map(|kept| (key, kept))
        };
        unsaved.drain(..).filter_map(&mut save).collect()
    }
}

impl Restored {
    /// Earlier versions saved none.
    fn shape(&mut self) -> Arc<Shape> {
        let mut shape = Arc::new(self.seen.take().unwrap_or_default());
        if shape.is_empty() {
            for (name, value) in &self.fields {
                extend_shape_by(&mut shape, name, value.get());
            }
        }
        shape
    }
}

impl State {
    /// Takes over what an uplink tells. Fields called `last_seen`, `link` and `normalized` give way to the bridge's own;
    /// what is no JSON object has no fields.
    fn take(&mut self, uplink: &Uplink, Told { fields, measurements }: Told<'_>) {
        self.last_seen = Some(uplink.at);
        self.own.received_at = uplink.received_at.max(self.own.received_at);
        (self.own.is_changed, self.own.is_stale, self.own.is_held_back) = (true, false, false);
        self.link.take(uplink);
        if let Some(measurements) = measurements {
            self.normalized.take(measurements);
        }
        if let Some(fields) = fields {
            self.own.is_news_seen |= extend_shape(&mut self.seen, fields.get());
        }
        // A codec's own field of this name has the last word.
        if let Some(percent) = uplink.battery_percentage.and_then(|percent| to_raw_value(&percent).ok()) {
            self.fields.insert(BATTERY.to_owned(), percent);
        }
        let parsed = fields.map(|fields| serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(fields.get()));
        for (name, value) in parsed.and_then(Result::ok).into_iter().flatten() {
            if matches!(&*name, "last_seen" | "link" | "normalized") {
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

    /// Whether the home was told newer things before the last start, whatever was saved of them.
    fn is_ahead_of(&self, uplink: &Uplink) -> bool {
        uplink.backfilled && self.own.heard_until.is_some_and(|until| uplink.received_at <= until)
    }

    fn save(&mut self, now: Instant) -> Kept {
        (self.own.saved, self.own.is_changed) = (Some(now), false);
        let Self { fields, normalized, link, seen, own, .. } = &*self;
        let (airtime_day, received_at) = (link.airtime_day, own.received_at);
        let body = Body { fields, normalized, link, airtime_day, seen, received_at };
        let body = serde_json::to_string(&body).expect("a map with text keys serialises");
        Kept { last_seen: self.last_seen.unwrap_or_default(), body }
    }

    fn publish(&mut self, now: Instant) -> Bytes {
        (self.published, self.is_waiting) = (Some(now), false);
        self.body()
    }

    fn body(&self) -> Bytes {
        serde_json::to_vec(self).expect("a map with text keys serialises").into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOLD: Duration = Duration::from_millis(250);

    fn fields_only(fields: &RawValue) -> Told<'_> {
        Told { fields: Some(fields), measurements: None }
    }

    fn merge(states: &mut States, second: i64, fields: &str) -> Option<Value> {
        let fields = RawValue::from_string(fields.to_owned()).unwrap();
        let now = Instant::now();
        let held = states.merge(&Uplink::sample("node", 7, second), fields_only(&fields), HOLD, now);
        let rendered = held.or_else(|| states.take_due(now + 2 * HOLD).map(|(_, state)| state))?;
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
        let state = states.merge(&Uplink::sample("node", 7, 1), fields_only(&fields), HOLD, Instant::now()).unwrap();
        let text = std::str::from_utf8(&state).unwrap();
        assert!(text.contains("0.10000000000000000001") && !text.contains("mine"), "{text}");
    }

    /// The clock stands still: however slow the machine is, no time to save passes.
    #[tokio::test(start_paused = true)]
    async fn measurements_are_merged_and_outlive_the_process() {
        let mut states = States::default();
        for (second, measurements) in [(1, r#"[{"air": {"co2": 400}}]"#), (2, r#"[{"air": {"temperature": 20}}]"#)] {
            let measurements = RawValue::from_string(measurements.into()).unwrap();
            let told = Told { fields: None, measurements: Some(&measurements) };
            states.merge(&Uplink::sample("node", 7, second), told, HOLD, Instant::now());
            states.take_unsaved_of(&Uplink::sample("node", 7, second).key, Instant::now());
        }
        let mut states = restarted(&mut states, 2);
        let measured = json!({"air": {"co2": 400, "temperature": 20}});
        assert_eq!(states.measured(&Uplink::sample("node", 7, 1).key), Some(measured.clone()));
        let state = merge(&mut states, 3, r#"{"normalized": "mine"}"#).unwrap();
        assert_eq!(state["normalized"], measured);
    }

    #[test]
    fn of_a_burst_the_first_state_goes_at_once_and_the_last_when_the_hold_is_over() {
        let (mut states, start) = (States::default(), Instant::now());
        let merge = |states: &mut States, second: i64| {
            let fields = RawValue::from_string(format!(r#"{{"n": {second}}}"#)).unwrap();
            states.merge(&Uplink::sample("node", 7, second), fields_only(&fields), HOLD, start)
        };
        assert!(merge(&mut states, 1).is_some());
        assert!((2..5).all(|second| merge(&mut states, second).is_none()));
        assert_eq!(states.next_due(), Some(start + HOLD));
        assert_eq!(states.take_due(start), None);
        let (_, state) = states.take_due(start + HOLD).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&state).unwrap()["n"], 4);
        assert_eq!((states.next_due(), states.take_due(start + HOLD)), (None, None));
    }

    #[test]
    fn a_broker_without_its_memory_gets_every_state_again() {
        let mut states = States::default();
        merge(&mut states, 1, r#"{"a": 1}"#);
        let later = Instant::now() + 2 * HOLD;
        assert_eq!(states.take_due(later), None);
        states.renew(later);
        assert!(states.take_due(later).is_some_and(|(_, state)| state.starts_with(br#"{"a":1"#)));
        assert_eq!(states.take_due(later), None);
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The states after a restart, of what was saved of the node.
    fn restarted(states: &mut States, heard_until: i64) -> States {
        let (key, kept) = states.take_unsaved(Instant::now()).pop().unwrap();
        let mut again = States::default();
        again.restore(key, &kept, Some(second(heard_until)));
        again
    }

    /// The clock stands still: however slow the machine is, no time to save passes.
    #[tokio::test(start_paused = true)]
    async fn a_state_outlives_the_process_and_moves_on_from_where_it_was() {
        let mut states = States::default();
        merge(&mut states, 1, r#"{"a": 1}"#);
        let key = Uplink::sample("node", 7, 1).key;
        assert_eq!(states.take_unsaved_of(&key, Instant::now()).unwrap().last_seen, second(1), "the first one at once");
        merge(&mut states, 5, r#"{"b": 0.10}"#);
        assert_eq!(states.take_unsaved_of(&key, Instant::now()), None, "not that often");
        let mut states = restarted(&mut states, 5);
        assert_eq!(merge(&mut states, 4, r#"{"a": 0}"#), None, "it only moves forward");
        states.renew(Instant::now());
        let (_, told) = states.take_due(Instant::now()).unwrap();
        assert!(told.starts_with(br#"{"a":1,"b":0.10,"last_seen":"1970-01-01T00:00:05Z""#), "{told:?}");
    }

    /// The clock stands still: however slow the machine is, no time to save passes.
    #[tokio::test(start_paused = true)]
    async fn after_a_crash_a_state_that_is_older_than_what_was_told_waits_for_news() {
        let mut states = States::default();
        merge(&mut states, 1, r#"{"a": 1}"#);
        states.take_unsaved_of(&Uplink::sample("node", 7, 1).key, Instant::now());
        merge(&mut states, 2, r#"{"b": 1}"#);
        states.take_unsaved_of(&Uplink::sample("node", 7, 1).key, Instant::now());
        let mut states = restarted(&mut states, 9);
        states.renew(Instant::now());
        assert_eq!(states.take_due(Instant::now()), None);
        let fetched = Uplink { backfilled: true, ..*Uplink::sample("node", 3, 8) };
        assert_eq!(states.merge(&fetched, Told::default(), HOLD, Instant::now()), None, "the home knows newer things");
        assert_eq!(merge(&mut states, 10, r#"{"a": 2}"#).unwrap()["b"], 1);
    }

    #[test]
    fn a_state_held_back_goes_once_its_device_is_known() {
        let mut states = States::default();
        merge(&mut states, 1, r#"{"a": 1}"#);
        let (key, now) = (Uplink::sample("node", 7, 1).key, Instant::now());
        states.renew_one(&key, now);
        assert_eq!(states.take_due(now), None);
        states.hold_back(&key);
        states.renew_one(&key, now);
        assert!(states.take_due(now).is_some());
    }
}
