//! The event history: what a stack happens to keep of its own events, at most a hundred an entity and ten minutes unless
//! configured otherwise (defaults of The Things Stack 3.32). Best effort.
//!
//! The answer is an event stream that begins with the history and then stays open for what happens now. Nothing marks
//! where the one ends; so the history is taken to be through when no event from before the stream's own start has come
//! for some seconds.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::api::{Api, ApiError};
use super::results::Results;
use crate::model::DeviceId;

/// How long no event of the past may come before there is none left.
const QUIET: Duration = Duration::from_secs(3);
/// The first event of every stream, with the server's own time.
const START: &str = "events.stream.start";

/// What an event stream tells of the past.
pub struct Events {
    results: Results,
    /// When the stream began by the server's clock; by ours until it says so.
    started: Timestamp,
    quiet: Duration,
}

/// One event.
#[derive(Debug)]
pub struct Event {
    pub name: String,
    pub at: Timestamp,
    /// The JSON it carries; empty if none.
    pub data: Bytes,
}

#[derive(Deserialize)]
struct EventJson<'a> {
    #[serde(default)]
    name: String,
    time: Option<Timestamp>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Events {
    /// Asks for events after `after` of the application with all its devices, or of one device; of these names, or all.
    pub async fn open(
        api: &Api,
        device: Option<&DeviceId>,
        names: &[&str],
        after: Timestamp,
    ) -> Result<Self, ApiError> {
        let application = json!({"application_id": api.application()});
        let entity = match device {
            Some(device) => json!({"device_ids": {"device_id": device, "application_ids": application}}),
            None => json!({"application_ids": application}),
        };
        let mut body = json!({"identifiers": [entity], "after": after.to_string()});
        if !names.is_empty() {
            body["names"] = Value::from(names);
        }
        let started = Timestamp::now();
        let response = api.open_with(api.events_url()?, &body).await?;
        let quiet = QUIET.min(api.patience());
        // The quiet ends the stream before a stall could.
        Ok(Self { results: Results::new(response, quiet * 2), started, quiet })
    }

    /// Whether the stack keeps a history at all: it warns if not.
    pub fn are_kept(&self) -> bool {
        self.results.header("x-warning").is_none()
    }

    /// When the stream began.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The next event of the past; `None` once there is none left.
    pub async fn next(&mut self) -> Result<Option<Event>, ApiError> {
        let deadline = Instant::now() + self.quiet;
        loop {
            let Ok(result) = tokio::time::timeout_at(deadline, self.results.next()).await else { return Ok(None) };
            let Some(result) = result? else { return Ok(None) };
            let event: EventJson<'_> = serde_json::from_slice(&result).map_err(ApiError::Unreadable)?;
            match (event.name.as_str(), event.time) {
                (START, Some(at)) => self.started = at,
                (_, Some(at)) if at < self.started => {
                    let data = event.data.map_or_else(Bytes::new, |data| result.slice_ref(data.get().as_bytes()));
                    return Ok(Some(Event { name: event.name, at, data }));
                }
                // What happens now comes through MQTT.
                _ => {}
            }
        }
    }
}
