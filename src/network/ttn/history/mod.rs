//! What The Things Stack still knows of a time in which the bridge did not listen.
//!
//! - [`storage`]: the Storage Integration, where it is activated.
//! - [`events`]: else the event history, where the stack keeps one.
//! - [`results`]: how both are answered.

mod events;
mod results;
mod storage;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use self::events::{Event, Events};
use self::storage::Storage;
use super::api::{Api, ApiError};
use super::downlinks::failure;
use super::messages::our_id;
use super::refusal::Refusal;
use super::topics::TtnTopics;
use crate::model::DeviceId;
use crate::network::{HistoryError, RawMessage, Source, Span};
use crate::telemetry::with_causes;

/// An uplink on its way to the application, with the whole message.
const FORWARDED_UPLINK: &str = "as.up.data.forward";
/// A downlink that was pushed, and one that the Network Server took into its queue, with the downlink itself.
const PUSHED: [&str; 2] = ["as.down.data.receive", "as.down.data.forward"];
/// All that happens to downlinks, at the Application Server.
const DOWNLINKS: &str = "as.down.data.";
/// An entity's history that is surely not full, and a time that it surely covers then: a little less than the defaults
/// of The Things Stack 3.32, a hundred events and ten minutes.
const SURELY_NOT_FULL: usize = 90;
const SURELY_COVERED: SignedDuration = SignedDuration::from_mins(9);
/// How far before the wanted time is asked for events whose presence shows how far back the history reaches.
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(15);
/// How far our clock and the server's may be apart.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(1);

/// The history of one application.
#[derive(Clone)]
pub struct History {
    api: Api,
    topics: TtnTopics,
}

/// What the event history tells of the downlinks to one device.
#[derive(Debug, Default)]
pub struct TracedDownlinks {
    /// The messages that tell what became of downlinks, oldest first.
    pub messages: Vec<RawMessage>,
    pub complete: bool,
}

/// Why a fetch stopped before its end.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("the bridge is stopping")]
    NobodyListens,
}

impl History {
    pub fn new(api: Api, topics: TtnTopics) -> Self {
        Self { api, topics }
    }

    /// Delivers the uplinks of the span to `out`, from storage if there is one, else from the event history.
    pub async fn missed(
        &self,
        span: Span,
        device: Option<&DeviceId>,
        out: mpsc::Sender<RawMessage>,
    ) -> Result<Source, HistoryError> {
        let delivery = Delivery { topics: &self.topics, out };
        let refused = match self.stored(span, device, &delivery).await {
            Ok(true) => return Ok(Source::Storage),
            Ok(false) => None,
            Err(Stop::Api(ApiError::Refused(refusal))) if is_final(&refusal) => Some(refusal),
            Err(stop) => return Err(stop.into()),
        };
        match self.kept_as_events(span, device, &delivery).await {
            Ok(true) => Ok(Source::Events),
            Err(Stop::Api(ApiError::Refused(refusal))) if !is_final(&refusal) => Err(unavailable(&refusal)),
            Ok(false) | Err(Stop::Api(ApiError::Refused(_))) => Err(match refused {
                Some(refusal) if matches!(refusal.status, 401 | 403) => HistoryError::Refused(failure(*refusal)),
                _ => HistoryError::NotActivated,
            }),
            Err(stop) => Err(stop.into()),
        }
    }

    /// What the event history has of downlinks to `device` since then, and from shortly before.
    pub async fn downlinks(&self, device: &DeviceId, since: Timestamp) -> Result<TracedDownlinks, ApiError> {
        let since = since - CLOCK_TOLERANCE;
        let mut events = match Events::open(&self.api, Some(device), &[], since - LOOK_BACK).await {
            Err(ApiError::Refused(refusal)) if is_final(&refusal) => return Ok(TracedDownlinks::default()),
            events => events?,
        };
        let (mut traced, mut count, mut oldest) = (TracedDownlinks::default(), 0, None::<Timestamp>);
        while let Some(event) = events.next().await? {
            count += 1;
            oldest = Some(oldest.map_or(event.at, |oldest| oldest.min(event.at)));
            if event.at >= since && event.name.starts_with(DOWNLINKS) {
                traced.messages.extend(self.about_downlink(device, event));
            }
        }
        traced.messages.sort_by_key(|message| message.at);
        traced.complete = events.are_kept() && reaches_back(since, events.started(), count, oldest);
        Ok(traced)
    }

    /// Whether there is a storage; what it has is delivered. One that answers with nothing may just not be activated.
    async fn stored(&self, span: Span, device: Option<&DeviceId>, delivery: &Delivery<'_>) -> Result<bool, Stop> {
        let found = Storage::of(&self.api, device)?.fetch(span, delivery).await?;
        // A key may be able to read the storage and not to see whether it is activated: then its answer counts.
        Ok(found > 0 || self.api.stores_messages().await.unwrap_or(true))
    }

    /// Whether there is an event history; what it has is delivered.
    async fn kept_as_events(
        &self,
        span: Span,
        device: Option<&DeviceId>,
        delivery: &Delivery<'_>,
    ) -> Result<bool, Stop> {
        let mut events = Events::open(&self.api, device, &[FORWARDED_UPLINK], span.after).await?;
        let kept = events.are_kept();
        while let Some(event) = events.next().await? {
            if event.name == FORWARDED_UPLINK && event.at <= span.before {
                delivery.deliver(event.data).await?;
            }
        }
        Ok(kept)
    }

    /// The event's message in the form in which it would have come by MQTT.
    fn about_downlink(&self, device: &DeviceId, event: Event) -> Option<RawMessage> {
        let payload = match event.name.as_str() {
            name if PUSHED.contains(&name) => queued(&event.data)?,
            _ => event.data,
        };
        let told = serde_json::from_slice::<Head<'_>>(&payload).is_ok_and(|head| head.end_device_ids.is_some());
        let topic = Bytes::from(self.topics.of_device(device.as_str(), "down/history"));
        told.then_some(RawMessage { topic, payload, at: event.at, backfilled: true })
    }
}

/// Where fetched messages go.
struct Delivery<'a> {
    topics: &'a TtnTopics,
    out: mpsc::Sender<RawMessage>,
}

impl Delivery<'_> {
    /// Hands an uplink on as if MQTT had brought it; waits for room. Returns when the Application Server had it.
    async fn deliver(&self, payload: Bytes) -> Result<Option<Timestamp>, Stop> {
        let (topic, received_at) = match serde_json::from_slice(&payload) {
            Ok(Head { end_device_ids: Some(Ids { device_id: Some(device) }), received_at }) => {
                (Bytes::from(self.topics.of_device(&device, "up")), received_at)
            }
            // Asked for again it would be the same.
            _ => {
                tracing::warn!("A message of the network's history names no device; passed over.");
                return Ok(None);
            }
        };
        let message = RawMessage { topic, payload, at: Timestamp::now(), backfilled: true };
        self.out.send(message).await.map_err(|_| Stop::NobodyListens)?;
        Ok(received_at)
    }
}

/// As much of a message as is needed to hand it on.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    end_device_ids: Option<Ids<'a>>,
    received_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Ids<'a> {
    #[serde(borrow)]
    device_id: Option<Cow<'a, str>>,
}

/// The report that a downlink of ours is in the network's queue, made of the downlink. One that was pushed and then
/// refused has the report of its failure behind this one.
fn queued(downlink: &[u8]) -> Option<Bytes> {
    #[derive(Default, Deserialize, Serialize)]
    #[serde(default)]
    struct Downlink {
        correlation_ids: Vec<String>,
        /// With end-to-end encryption these two say which push of it is meant.
        session_key_id: Option<String>,
        f_cnt: Option<serde_json::Value>,
    }
    let downlink: Downlink = serde_json::from_slice(downlink).ok()?;
    our_id(&downlink.correlation_ids)?;
    let report = serde_json::json!({"end_device_ids": {}, "downlink_queued": downlink});
    Some(Bytes::from(report.to_string()))
}

/// Whether a history that begins with `oldest` surely has everything since then: it reaches further back, or what it
/// keeps is neither too much nor too old to be kept. An empty one may be none at all.
fn reaches_back(since: Timestamp, started: Timestamp, count: usize, oldest: Option<Timestamp>) -> bool {
    let covered = (1..SURELY_NOT_FULL).contains(&count) && started.duration_since(since) <= SURELY_COVERED;
    covered || oldest.is_some_and(|oldest| oldest < since)
}

/// Whether the same request would be refused again: there is no such thing here, or not for this key.
fn is_final(refusal: &Refusal) -> bool {
    matches!(refusal.status, 400..=499 | 501) && !matches!(refusal.status, 408 | 429)
}

fn unavailable(refusal: &Refusal) -> HistoryError {
    HistoryError::Unavailable(refusal.to_string())
}

impl From<Stop> for HistoryError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Api(ApiError::Refused(refusal)) if is_final(&refusal) => Self::Refused(failure(*refusal)),
            stop => Self::Unavailable(with_causes(&stop)),
        }
    }
}
