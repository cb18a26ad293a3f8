//! What happened to the bridge and to devices: the newest from the hub, the older from the store.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::problem::{Kind as Sort, Problem};
use crate::downlink::Desk;
use crate::home::live::{Filter, Follower, Frame, Kind, Live, Piece};
use crate::model::{ApplicationName, DeviceId, Directory};
use crate::store::{EventFilter, EventRow, Store, StoreError, Types};

/// What happens to devices and is kept; of notices all are.
const OF_DEVICES: &[&str] = &["join", "lost_frames", "codec_error"];
/// Events in one list, unless the request says otherwise, and at most.
const USUAL: usize = 100;
const MOST: usize = 1_000;
/// What is said of an event by itself: its data does not say it again.
const OWN_KEYS: [&str; 8] = ["event", "at", "kind", "type", "name", "device", "application", "device_id"];

/// Answers requests about what happened. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Events {
    live: Live,
    store: Store,
    desk: Desk,
}

/// Keeps in the store what happens.
#[derive(Debug)]
pub struct Chronicle {
    follower: Follower,
    store: Store,
}

/// Which events are asked for.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// About the device of this name at home or id at the network.
    pub device: Option<String>,
    pub application: Option<String>,
    /// Without it, both.
    pub kind: Option<Whose>,
    /// Only what came after the event of this number.
    pub after: u64,
    /// Only what came before the event of this number: the last of an earlier answer.
    pub before: Option<u64>,
    /// The newest so many: 100 unless given, 1,000 at most.
    pub limit: Option<usize>,
}

/// Whose events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "EventKind")]
pub enum Whose {
    /// Notices of the bridge, those about devices too.
    Bridge,
    /// Of devices: `join`, `lost_frames`, `codec_error`.
    Event,
}

/// Events, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Events")]
pub struct EventList {
    events: Vec<Event>,
    /// All that happened since then is kept; of what happened before, some is or none.
    since: Timestamp,
}

/// Something that happened.
#[derive(Debug, Serialize, JsonSchema)]
struct Event {
    /// The number under which it was told.
    event: u64,
    at: Timestamp,
    kind: Whose,
    /// What happened: as in `bridge/event`, or the name of a device's event.
    r#type: String,
    /// What the device is called now.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<ApplicationName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<DeviceId>,
    /// What else there is to say of it.
    #[serde(flatten)]
    data: BTreeMap<String, Box<RawValue>>,
}

impl Events {
    /// `desk` knows the devices by their names.
    pub fn new(live: Live, store: Store, desk: Desk) -> Self {
        Self { live, store, desk }
    }

    /// Keeps what is told from now on.
    pub fn chronicle(&self) -> Chronicle {
        let filter = Filter { kinds: vec![Kind::Event, Kind::Bridge], devices: Vec::new() };
        Chronicle { follower: self.live.follow(filter, None), store: self.store.clone() }
    }

    /// What happened, newest first.
    ///
    /// # Errors
    /// The device is not known, or the store cannot be read.
    pub async fn list(&self, wanted: Wanted) -> Result<EventList, Problem> {
        let Wanted { device, application, kind, after, before, limit } = wanted;
        let device = device.map(|device| self.desk.find(&device, application.as_deref())).transpose();
        let device = device.map_err(|refusal| Problem::of(Sort::Unknown, refusal))?;
        let types = match kind {
            None => Types::Any,
            Some(Whose::Event) => Types::Only(OF_DEVICES),
            Some(Whose::Bridge) => Types::Others(OF_DEVICES),
        };
        let most = limit.unwrap_or(USUAL).min(MOST);
        let rows = self.newest(EventFilter { after, before, device, types, most }).await?;
        let since = self.store.events_since().await.map_err(unreadable)?;
        Ok(EventList { events: rows.into_iter().map(|row| self.show(row)).collect(), since })
    }

    /// The newest that are asked for, newest first. What the hub has is looked at first: what leaves it meanwhile is in
    /// the store by then.
    pub async fn newest(&self, wanted: EventFilter) -> Result<Vec<EventRow>, Problem> {
        let most = wanted.most;
        let recent = self.live.recent(|frame| frame.number > wanted.after && is_kept(frame.kind));
        let recent = recent.iter().filter_map(|frame| row(frame)).filter(|row| wanted.takes(row));
        let mut all: BTreeMap<_, _> = recent.map(|row| (row.n, row)).collect();
        let stored = self.store.events(wanted).await.map_err(unreadable)?;
        all.extend(stored.into_iter().map(|row| (row.n, row)));
        Ok(all.into_values().rev().take(most).collect())
    }

    /// Events say who a device was; what it is called now is looked up.
    fn show(&self, EventRow { n, at, key, kind: r#type, body }: EventRow) -> Event {
        let mut data: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&body).unwrap_or_default();
        let own = OWN_KEYS.map(|key| data.remove(key));
        let [_, when, .., called, application, _] = &own;
        let name = key
            .as_ref()
            .and_then(|key| Directory::lock(self.desk.directory()).find(key).map(|device| device.name.to_string()));
        Event {
            event: n,
            at: read(when).unwrap_or(at),
            kind: if OF_DEVICES.contains(&r#type.as_str()) { Whose::Event } else { Whose::Bridge },
            r#type,
            device: name.or_else(|| read(called)),
            application: key
                .as_ref()
                .map(|key| key.application.clone())
                .or_else(|| read(application).and_then(|name: String| ApplicationName::parse(&name).ok())),
            device_id: key.map(|key| key.device),
            data,
        }
    }
}

impl Chronicle {
    /// What there is to keep next. May be dropped at any time.
    pub async fn next(&mut self) -> Piece {
        self.follower.next().await
    }

    /// Keeps it.
    pub async fn keep(&self, piece: Piece) {
        match piece {
            Piece::Frame(frame) => {
                if let Some(row) = row(&frame) {
                    self.store.keep_event(row).await;
                }
            }
            Piece::Missed { from, to } => tracing::info!(from, to, "More happened than could be kept."),
        }
    }

    /// Keeps what is left, when nothing happens any more.
    pub async fn finish(mut self) {
        while let Some(piece) = self.follower.take() {
            self.keep(piece).await;
        }
    }
}

fn is_kept(kind: Kind) -> bool {
    matches!(kind, Kind::Event | Kind::Bridge)
}

/// How it is kept, if it is.
fn row(frame: &Frame) -> Option<EventRow> {
    #[derive(Deserialize)]
    struct Called {
        #[serde(alias = "name")]
        r#type: String,
    }
    let data = frame.data.as_deref()?;
    let Called { r#type: kind } = serde_json::from_slice(data).ok()?;
    let body = String::from_utf8(data.to_vec()).ok()?;
    let is_wanted = frame.kind == Kind::Bridge || OF_DEVICES.contains(&kind.as_str());
    is_wanted.then(|| EventRow { n: frame.number, at: frame.at, key: frame.key().cloned(), kind, body })
}

fn read<T: serde::de::DeserializeOwned>(raw: &Option<Box<RawValue>>) -> Option<T> {
    serde_json::from_str(raw.as_ref()?.get()).ok()
}

fn unreadable(error: StoreError) -> Problem {
    Problem::new(Sort::Unavailable, error.to_string()).hint("the log tells what is wrong with the disk")
}
