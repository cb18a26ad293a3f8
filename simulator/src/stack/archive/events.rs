//! The event history: a short memory of what happened to each application and device, and those who follow it live.
//!
//! An event is remembered with its device and with its application, each with a bound of its own, so that one busy
//! device pushes the others out of the application's memory (observed on The Things Stack 3.32).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::super::config::EventHistory;
use super::super::messages::{ApplicationDownlink, EndDeviceIds, correlation_id};
use super::message::{Kind, Message};

/// Events a follower may fall behind before it misses some.
const BUFFER: usize = 4_096;

/// Whose events: an application's, its devices' included, or one device's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entity {
    pub application: String,
    pub device: Option<String>,
}

/// Which past events to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Since {
    /// Events later than this.
    pub after: Option<Timestamp>,
    /// At most so many, the latest ones.
    pub tail: Option<usize>,
}

/// Something that happened.
#[derive(Debug)]
pub struct Event {
    pub name: &'static str,
    time: Timestamp,
    unique_id: String,
    /// Order of publication.
    number: u64,
    application: String,
    device: String,
    detail: Detail,
}

/// What happened, kept as it is at hand: most events are never asked for.
#[derive(Debug)]
enum Detail {
    /// A whole ApplicationUp.
    Forwarded(Bytes),
    /// A downlink as it was asked for.
    Received { ids: EndDeviceIds, downlink: Box<ApplicationDownlink> },
}

/// All events there still are, and a channel for those to come.
#[derive(Debug)]
pub struct Events {
    limits: Option<EventHistory>,
    remembered: HashMap<Entity, VecDeque<Arc<Event>>>,
    next_number: u64,
    live: broadcast::Sender<Arc<Event>>,
}

impl Events {
    pub fn new(limits: Option<EventHistory>) -> Self {
        Self { limits, remembered: HashMap::new(), next_number: 0, live: broadcast::Sender::new(BUFFER) }
    }

    /// Whether the stack remembers any events; otherwise it only tells the present.
    pub fn are_stored(&self) -> bool {
        self.limits.is_some()
    }

    /// Remembers an event and tells the followers.
    pub fn publish(&mut self, mut event: Event) {
        event.number = self.next_number;
        self.next_number += 1;
        let event = Arc::new(event);
        for entity in event.entities() {
            self.remember(entity, event.clone());
        }
        // Nobody has to follow.
        drop(self.live.send(event));
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.live.subscribe()
    }

    /// What is remembered of these, oldest first. Nothing if neither bound is given: then only the present counts.
    pub fn past(&self, entities: &[Entity], since: &Since) -> Vec<Arc<Event>> {
        let Some(limits) = self.limits.filter(|_| *since != Since::default()) else { return Vec::new() };
        let age = SignedDuration::try_from(limits.age).unwrap_or(SignedDuration::MAX);
        let oldest = Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN);
        let after = since.after.unwrap_or(Timestamp::MIN).max(oldest);
        let known = entities.iter().filter_map(|entity| self.remembered.get(entity)).flatten();
        let mut events: Vec<_> = known.filter(|event| event.time > after).cloned().collect();
        events.sort_by_key(|event| event.number);
        events.dedup_by_key(|event| event.number);
        let surplus = events.len().saturating_sub(since.tail.unwrap_or(usize::MAX));
        events.split_off(surplus)
    }

    fn remember(&mut self, entity: Entity, event: Arc<Event>) {
        let Some(limits) = self.limits else { return };
        let events = self.remembered.entry(entity).or_default();
        events.push_back(event);
        if events.len() > limits.per_entity {
            events.pop_front();
        }
    }
}

impl Event {
    /// The event of a message that was handed to the subscribers; `None` for kinds without one.
    pub fn forwarded(message: &Message) -> Option<Self> {
        let name = match message.kind {
            Kind::UplinkMessage => "as.up.data.forward",
            Kind::JoinAccept => "as.up.join.forward",
            Kind::DownlinkSent => "as.down.data.sent.forward",
            Kind::DownlinkAck => "as.down.data.ack.forward",
            Kind::DownlinkNack => "as.down.data.nack.forward",
            Kind::DownlinkFailed => "as.down.data.failed.forward",
            _ => return None,
        };
        let detail = Detail::Forwarded(message.body.clone());
        Some(Self::new(name, message.application.clone(), message.device.clone(), detail))
    }

    /// A downlink was asked for, whatever becomes of it.
    pub fn received(ids: &EndDeviceIds, downlink: ApplicationDownlink) -> Self {
        let (application, device) = (ids.application_ids.application_id.clone(), ids.device_id.clone());
        let detail = Detail::Received { ids: ids.clone(), downlink: Box::new(downlink) };
        Self::new("as.down.data.receive", application, device, detail)
    }

    /// Whether one of these entities is meant.
    pub fn concerns(&self, entities: &[Entity]) -> bool {
        self.entities().iter().any(|entity| entities.contains(entity))
    }

    /// As the event stream shows it.
    pub fn json(&self) -> Value {
        let (identifiers, data, correlation_ids) = match &self.detail {
            Detail::Forwarded(body) => {
                let message: Value = serde_json::from_slice(body).unwrap_or_default();
                let (ids, correlation_ids) = (message["end_device_ids"].clone(), message["correlation_ids"].clone());
                (ids, typed("ApplicationUp", message), correlation_ids)
            }
            Detail::Received { ids, downlink } => {
                (json!(ids), typed("ApplicationDownlink", json!(downlink)), json!(downlink.correlation_ids))
            }
        };
        json!({
            "name": self.name,
            "time": format!("{:.9}", self.time),
            "identifiers": [{"device_ids": identifiers}],
            "data": data,
            "correlation_ids": correlation_ids,
            "origin": "look-alike",
            "visibility": {"rights": ["RIGHT_APPLICATION_TRAFFIC_READ"]},
            "unique_id": self.unique_id,
        })
    }

    fn new(name: &'static str, application: String, device: String, detail: Detail) -> Self {
        Self { name, time: Timestamp::now(), unique_id: unique_id(), number: 0, application, device, detail }
    }

    fn entities(&self) -> [Entity; 2] {
        let application = || self.application.clone();
        let device = Entity { application: application(), device: Some(self.device.clone()) };
        [Entity { application: application(), device: None }, device]
    }
}

/// The first event of every stream.
pub fn stream_start(entities: &[Entity]) -> Value {
    let identifiers: Vec<Value> = entities.iter().map(Entity::json).collect();
    json!({
        "name": "events.stream.start",
        "time": format!("{:.9}", Timestamp::now()),
        "identifiers": identifiers,
        "origin": "look-alike",
        "unique_id": unique_id(),
    })
}

impl Entity {
    fn json(&self) -> Value {
        let application = json!({"application_id": self.application});
        match &self.device {
            None => json!({"application_ids": application}),
            Some(device) => json!({"device_ids": {"device_id": device, "application_ids": application}}),
        }
    }
}

/// A message inside another one names its type.
fn typed(name: &str, mut message: Value) -> Value {
    if let Some(fields) = message.as_object_mut() {
        fields.insert("@type".into(), format!("type.googleapis.com/ttn.lorawan.v3.{name}").into());
    }
    message
}

/// A bare ULID.
fn unique_id() -> String {
    correlation_id("").split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(device: &str) -> Event {
        let topic = format!("v3/app/devices/{device}/up");
        Event::forwarded(&Message::read(&topic, &Bytes::from("{}")).unwrap()).unwrap()
    }

    fn entity(device: Option<&str>) -> [Entity; 1] {
        [Entity { application: "app".into(), device: device.map(str::to_owned) }]
    }

    #[test]
    fn a_busy_device_pushes_others_out_of_the_applications_memory_only() {
        let mut events = Events::new(Some(EventHistory { per_entity: 2, ..EventHistory::default() }));
        ["quiet", "busy", "busy", "busy"].iter().for_each(|device| events.publish(up(device)));
        let since = Since { tail: Some(10), after: None };
        let devices = |entities: &[Entity]| {
            events.past(entities, &since).iter().map(|event| event.device.clone()).collect::<Vec<_>>()
        };
        assert_eq!(devices(&entity(None)), ["busy", "busy"]);
        assert_eq!(devices(&entity(Some("quiet"))), ["quiet"]);
        assert_eq!(devices(&[entity(None), entity(Some("quiet"))].concat()), ["quiet", "busy", "busy"]);
        let last = events.past(&entity(None), &Since { tail: Some(1), after: None });
        assert_eq!(last.len(), 1);
    }

    #[test]
    fn without_a_bound_or_without_a_store_there_is_no_past() {
        let mut stored = Events::new(Some(EventHistory::default()));
        stored.publish(up("dev"));
        assert!(stored.past(&entity(None), &Since::default()).is_empty());
        let since = Since { after: Some(Timestamp::MIN), tail: None };
        assert_eq!(stored.past(&entity(None), &since).len(), 1);
        let mut forgetful = Events::new(None);
        forgetful.publish(up("dev"));
        assert!(forgetful.past(&entity(None), &since).is_empty());
    }
}
