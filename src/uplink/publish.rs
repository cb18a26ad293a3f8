//! The last step: one message per uplink, the device's new state, and what went wrong on the way.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use jiff::Timestamp;
use payload_codecs::normalized;
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::decode::Reading;
use crate::home::{Attributes, Home, Kept, Output, States, Told, Topics};
use crate::model::{Device, DeviceKey, Directory, HomeName, Receipt, Subject, Uplink, UplinkRecord};
use crate::store::{StateRow, Store};

/// Publishes what the other steps made.
pub struct Publish {
    pub home: Home,
    pub states: States,
    pub attributes: Attributes,
    pub directory: Arc<Mutex<Directory>>,
    /// Marked when the list of devices reads differently.
    pub devices_changed: watch::Sender<()>,
}

/// The body of `<device>/event/codec_error`.
#[derive(Serialize)]
struct CodecErrorBody<'a> {
    at: Timestamp,
    uplink: &'a str,
    codec: Option<&'a str>,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    f_port: Option<u8>,
    payload_hex: String,
}

impl Publish {
    /// The uplink itself is the last of the messages that each count: its acknowledgement settles them all.
    pub async fn uplink(&mut self, uplink: &Uplink, name: &HomeName, reading: Reading, store: &Store) {
        let now = Instant::now();
        let error = reading.fault.as_ref().map(ToString::to_string);
        if let Some(error) = &error {
            self.codec_error(uplink, name, &reading, error).await;
        }
        let record = record(uplink, reading, error);
        let body = serde_json::to_vec(&record.body(name)).expect("text keys always serialise");
        let (fields, measurements) = (record.fields.clone(), record.normalized.clone());
        // Before the home has it: it is on disk no later than its entry in the spool is gone, whenever the process ends.
        store.keep_uplink(record).await;
        let subject = Subject { key: &uplink.key, name };
        self.home.uplink(subject, body.into(), uplink.spooled.map(Receipt::Uplink)).await;
        let told = Told { fields: fields.as_deref(), measurements: measurements.as_deref() };
        let throttle = self.home.settings().now().options(&uplink.key).throttle;
        if let Some(state) = self.states.merge(uplink, told, throttle, now) {
            self.state(subject, &state).await;
        }
        if measurements.is_some() {
            self.note_measured(&uplink.key);
        }
        self.note_seen(uplink);
        if let Some(kept) = self.states.take_unsaved_of(&uplink.key, now) {
            store.save_states(vec![(uplink.key.clone(), row(kept))]).await;
        }
    }

    /// Takes back a device's state saved before the last start.
    pub fn restore(&mut self, key: DeviceKey, StateRow { last_seen, body }: StateRow, heard_until: Option<Timestamp>) {
        self.states.restore(key.clone(), &Kept { last_seen, body }, heard_until);
        if let Some(state) = self.states.told(&key) {
            self.home.live().restore(key.clone(), state);
        }
        self.note_measured(&key);
        let mut directory = Directory::lock(&self.directory);
        if let Some(seen) = self.states.seen(&key) {
            directory.note_seen(&key, seen.clone());
        }
        if self.states.tells_battery(&key) {
            directory.note_battery(&key);
        }
    }

    /// The list of devices names what each has measured so far.
    fn note_measured(&self, key: &DeviceKey) {
        let Some(measured) = self.states.measured(key) else { return };
        let paths = normalized::found_in(&measured).into_iter().map(|quantity| quantity.path).collect();
        if Directory::lock(&self.directory).note_measured(key, paths) {
            self.devices_changed.send_replace(());
        }
    }

    /// What is announced of a device follows the fields it has told.
    fn note_seen(&mut self, uplink: &Uplink) {
        let seen = self.states.take_seen(&uplink.key);
        let battery = uplink.battery_percentage.is_some() && self.states.tells_battery(&uplink.key);
        if seen.is_none() && !battery {
            return;
        }
        let mut directory = Directory::lock(&self.directory);
        let mut is_news = battery && directory.note_battery(&uplink.key);
        if let Some(seen) = seen {
            directory.note_seen(&uplink.key, seen);
            is_news = true;
        }
        if is_news {
            self.devices_changed.send_replace(());
        }
    }

    /// Every state goes again, for a broker that has just come.
    pub fn renew_states(&mut self) {
        self.attributes.renew();
        self.states.renew(Instant::now());
    }

    /// What states tell of today is today's.
    pub fn begin_day(&mut self) {
        self.states.begin_day(Timestamp::now(), Instant::now());
    }

    /// Every state goes again, under other topics or in another form.
    pub fn topics_changed(&mut self) {
        self.attributes.forget(None);
        self.renew_states();
    }

    /// A device was removed: nothing is remembered of it.
    pub fn forget(&mut self, key: &DeviceKey) {
        self.home.live().forget(key);
        self.attributes.forget(Some(key));
        self.states.forget(key);
    }

    /// A device goes by another name: its state goes again, under that one.
    pub fn renamed(&mut self, key: &DeviceKey) {
        self.attributes.forget(Some(key));
        self.states.hold_back(key);
        self.states.renew_one(key, Instant::now());
    }

    /// A state goes now if it was held back.
    pub fn renew_state(&mut self, key: &DeviceKey) {
        self.states.renew_one(key, Instant::now());
    }

    /// A state could not be told: its device is not known yet.
    pub fn hold_back(&mut self, key: &DeviceKey) {
        self.states.hold_back(key);
    }

    /// Saves every state that changed and is not saved.
    pub async fn save_states(&mut self, store: &Store) {
        let unsaved = self.states.take_unsaved(Instant::now());
        if !unsaved.is_empty() {
            store.save_states(unsaved.into_iter().map(|(key, kept)| (key, row(kept))).collect()).await;
        }
    }

    /// Whether states that changed have waited long enough.
    pub fn saving_is_due(&self, now: Instant) -> bool {
        self.states.saving_is_due(now)
    }

    /// Resolves when a held-back state may go; never while none is.
    pub async fn state_due(&self) {
        match self.states.next_due() {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// The next held-back state that may go by `now`.
    pub fn take_due(&mut self, now: Instant) -> Option<(DeviceKey, Bytes)> {
        self.states.take_due(now)
    }

    /// A state in the form that is wanted: as one object, a topic for each field, or both.
    pub async fn state(&mut self, device: Subject<'_>, state: &Bytes) {
        let output = self.home.settings().now().options(device.key).output;
        self.home.state(device, state.clone()).await;
        if output != Output::Json {
            self.fields(device, state).await;
        }
    }

    /// Fields that the state has no more are taken from the broker: a value that became an object, for one.
    async fn fields(&mut self, device: Subject<'_>, state: &Bytes) {
        let settings = self.home.settings().now();
        let is_free = |path: &str| {
            settings
                .topics
                .free_field(device, path)
                .is_some_and(|topic| !is_anothers(&self.directory, &settings.topics, (device, path), &topic))
        };
        let news = self.attributes.news(device.key, state, is_free);
        for (path, value) in news.changed {
            self.home.field(device, &path, value.into()).await;
        }
        if news.others {
            self.home.keep_fields(device, |path| self.attributes.has(device.key, path)).await;
        }
    }

    /// So many frames of this device never came.
    pub fn note_lost(&mut self, key: &DeviceKey, frames: u64) {
        self.states.note_lost(key, frames);
    }

    /// Frames of this session that never came: their counters end just before this uplink's.
    pub async fn lost_frames(&self, uplink: &Uplink, name: &HomeName, missing: u32) {
        tracing::warn!(device = %name, missing, f_cnt = uplink.f_cnt, "Frames of a device are missing.");
        let body = json!({ "at": uplink.at, "missing": missing, "before_f_cnt": uplink.f_cnt });
        self.home.event(Subject { key: &uplink.key, name }, "lost_frames", &body, None).await;
    }

    async fn codec_error(&self, uplink: &Uplink, name: &HomeName, reading: &Reading, error: &str) {
        tracing::warn!(device = %name, codec = reading.codec, error, "Codec failed; the uplink goes on raw.");
        let body = CodecErrorBody {
            at: uplink.at,
            uplink: &uplink.id,
            codec: reading.codec.as_deref(),
            error,
            line: reading.fault.as_ref().and_then(crate::codecs::Fault::line),
            f_port: uplink.f_port,
            payload_hex: hex::encode(&uplink.payload),
        };
        self.home.event(Subject { key: &uplink.key, name }, "codec_error", &body, None).await;
    }
}

/// Whether a field's topic is one of another device, which is called like the beginning of its path: those of `lamp/a`
/// are where `lamp`'s field `a` would be.
fn is_anothers(directory: &Mutex<Directory>, topics: &Topics, (own, path): (Subject<'_>, &str), topic: &str) -> bool {
    let directory = Directory::lock(directory);
    let mut ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.any(|end| {
        let Some(Device { key, name, .. }) = directory.by_name(&format!("{}/{}", own.name, &path[..end])) else {
            return false;
        };
        let (other, rest) = (Subject { key, name }, path[end..].strip_prefix('/'));
        topics.tells(other, topic) || rest.is_some_and(|rest| topics.field(other, rest) == *topic)
    })
}

fn row(Kept { last_seen, body }: Kept) -> StateRow {
    StateRow { last_seen, body }
}

fn record(uplink: &Uplink, reading: Reading, error: Option<String>) -> UplinkRecord {
    UplinkRecord {
        key: uplink.key.clone(),
        id: uplink.id.clone(),
        ids: uplink.ids.clone(),
        at: uplink.at,
        f_port: uplink.f_port,
        f_cnt: uplink.f_cnt,
        payload: uplink.payload.clone(),
        fields: reading.fields,
        normalized: reading.measurements,
        codec: reading.codec,
        codec_error: error,
        warnings: reading.warnings,
        confirmed: uplink.confirmed,
        encrypted: uplink.encrypted,
        simulated: uplink.simulated,
        backfilled: uplink.backfilled,
        radio: uplink.radio.clone(),
        locations: uplink.locations.clone(),
        battery_percentage: uplink.battery_percentage,
    }
}
