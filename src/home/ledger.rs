//! The topics on which the home broker keeps something, and for whom: so that nothing stays there without a reason.
//!
//! A device is renamed, a template or the form of the states changes: what was retained under the old topics would stay
//! with the broker for ever, and come back to whoever subscribes. So each retained topic is noted when it is first
//! published on, survives a restart, and is emptied when it is not wanted any more.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::DeviceKey;

/// What a retained topic tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retained {
    /// The merged state.
    State,
    /// One field of it; levels of nested ones are joined by `/`.
    Field(String),
    Availability,
    /// The last step of a downlink.
    DownlinkState,
    /// What is under way to the device.
    DownlinkPending,
    /// An announcement of Home Assistant's discovery, with the components in it: `<platform> <id>`, joined by commas.
    Discovery(String),
    /// What the bridge tells of itself: `info`, `devices` …
    Bridge(String),
}

/// A retained topic as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    pub topic: String,
    /// The device it is about; none: the bridge itself.
    pub owner: Option<DeviceKey>,
    /// [`Retained`] as text.
    pub kind: String,
}

/// What changed since it was last kept on disk.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub noted: Vec<Noted>,
    pub cleared: Vec<String>,
}

/// The retained topics. Cheap to clone; every clone is the same ledger.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    topics: HashMap<String, (Option<DeviceKey>, Retained)>,
    /// The topics of each owner.
    owners: HashMap<Option<DeviceKey>, BTreeSet<String>>,
    /// Topics that read differently on disk.
    changed: BTreeSet<String>,
}

impl Ledger {
    /// The ledger as it was before the last start. A kind that is not known, of a newer version, is left as it is.
    pub fn restore(rows: impl IntoIterator<Item = Noted>) -> Self {
        let mut pages = Pages::default();
        for Noted { topic, owner, kind } in rows {
            if let Some(kind) = Retained::parse(&kind) {
                pages.put(&topic, owner.as_ref(), &kind);
            }
        }
        Self(Arc::new(Mutex::new(pages)))
    }

    /// Something is retained on this topic. Costs a look-up, unless it is news.
    pub fn note(&self, topic: &str, owner: Option<&DeviceKey>, kind: &Retained) {
        let mut pages = self.pages();
        let known = pages.topics.get(topic);
        if known.is_none_or(|(of, what)| of.as_ref() != owner || what != kind) {
            pages.put(topic, owner, kind);
            pages.changed.insert(topic.to_owned());
        }
    }

    /// Nothing is retained there any more. Returns whether something was, of this owner.
    pub fn forget(&self, topic: &str, owner: Option<&DeviceKey>) -> bool {
        let mut pages = self.pages();
        let was_there = pages.topics.get(topic).is_some_and(|(of, _)| of.as_ref() == owner);
        if was_there {
            pages.remove(topic);
            pages.changed.insert(topic.to_owned());
        }
        was_there
    }

    /// What is retained of a device or, without one, of the bridge; in the order of the topics.
    pub fn of(&self, owner: Option<&DeviceKey>) -> Vec<(String, Retained)> {
        let pages = self.pages();
        let topics = pages.owners.get(&owner.cloned()).into_iter().flatten();
        topics.filter_map(|topic| Some((topic.clone(), pages.topics.get(topic)?.1.clone()))).collect()
    }

    /// The devices of which something is retained.
    pub fn devices(&self) -> Vec<DeviceKey> {
        self.pages().owners.keys().flatten().cloned().collect()
    }

    /// What is to be kept on disk now.
    pub fn take_changes(&self) -> Changes {
        let mut pages = self.pages();
        let (mut changes, changed) = (Changes::default(), std::mem::take(&mut pages.changed));
        for topic in changed {
            match pages.topics.get(&topic) {
                Some((owner, kind)) => {
                    changes.noted.push(Noted { owner: owner.clone(), kind: kind.to_string(), topic });
                }
                None => changes.cleared.push(topic),
            }
        }
        changes
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A task that panicked while it held the lock left at worst one topic noted by half, which is noted again.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.noted.is_empty() && self.cleared.is_empty()
    }
}

impl Pages {
    fn put(&mut self, topic: &str, owner: Option<&DeviceKey>, kind: &Retained) {
        self.remove(topic);
        self.owners.entry(owner.cloned()).or_default().insert(topic.to_owned());
        self.topics.insert(topic.to_owned(), (owner.cloned(), kind.clone()));
    }

    fn remove(&mut self, topic: &str) {
        let Some((owner, _)) = self.topics.remove(topic) else { return };
        if let Some(topics) = self.owners.get_mut(&owner) {
            topics.remove(topic);
            if topics.is_empty() {
                self.owners.remove(&owner);
            }
        }
    }
}

impl Retained {
    fn parse(text: &str) -> Option<Self> {
        let rest = |prefix| text.strip_prefix(prefix).map(str::to_owned);
        match text {
            "state" => Some(Self::State),
            "availability" => Some(Self::Availability),
            "downlink/state" => Some(Self::DownlinkState),
            "downlink/pending" => Some(Self::DownlinkPending),
            "discovery" => Some(Self::Discovery(String::new())),
            _ => rest("discovery/")
                .map(Self::Discovery)
                .or_else(|| rest("field/").map(Self::Field))
                .or_else(|| rest("bridge/").map(Self::Bridge)),
        }
    }
}

impl fmt::Display for Retained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State => f.write_str("state"),
            Self::Field(path) => write!(f, "field/{path}"),
            Self::Availability => f.write_str("availability"),
            Self::DownlinkState => f.write_str("downlink/state"),
            Self::DownlinkPending => f.write_str("downlink/pending"),
            Self::Discovery(components) if components.is_empty() => f.write_str("discovery"),
            Self::Discovery(components) => write!(f, "discovery/{components}"),
            Self::Bridge(what) => write!(f, "bridge/{what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApplicationName, DeviceId};

    fn key(device: &str) -> DeviceKey {
        DeviceKey::new(&ApplicationName::parse("garden").unwrap(), DeviceId::parse(device).unwrap())
    }

    fn noted(topic: &str, owner: Option<DeviceKey>, kind: &str) -> Noted {
        Noted { topic: topic.into(), owner, kind: kind.into() }
    }

    #[test]
    fn a_topic_is_written_once_however_often_it_is_published_on() {
        let ledger = Ledger::default();
        ledger.note("ttn/lamp", Some(&key("lamp")), &Retained::State);
        let first = ledger.take_changes();
        assert_eq!(first.noted, [noted("ttn/lamp", Some(key("lamp")), "state")]);
        ledger.note("ttn/lamp", Some(&key("lamp")), &Retained::State);
        assert!(ledger.take_changes().is_empty());
        assert!(ledger.forget("ttn/lamp", Some(&key("lamp"))));
        assert_eq!(ledger.take_changes().cleared, ["ttn/lamp"]);
    }

    #[test]
    fn every_kind_comes_back_after_a_restart() {
        let kinds = [
            Retained::State,
            Retained::Field("soil/temperature/0".into()),
            Retained::Availability,
            Retained::DownlinkState,
            Retained::DownlinkPending,
            Retained::Discovery(String::new()),
            Retained::Discovery("sensor a,switch b".into()),
            Retained::Bridge("info".into()),
        ];
        let ledger = Ledger::default();
        for (number, kind) in kinds.iter().enumerate() {
            ledger.note(&number.to_string(), Some(&key("lamp")), kind);
        }
        let again = Ledger::restore(ledger.take_changes().noted);
        let restored = again.of(Some(&key("lamp"))).into_iter().map(|(_, kind)| kind).collect::<Vec<_>>();
        assert_eq!(restored, kinds);
        assert!(again.take_changes().is_empty(), "what was read need not be written");
    }

    #[test]
    fn a_topic_that_went_to_another_device_is_not_emptied_for_the_first() {
        let ledger = Ledger::restore([noted("ttn/lamp", Some(key("one-lamp")), "state")]);
        ledger.note("ttn/lamp", Some(&key("two-lamp")), &Retained::State);
        assert!(!ledger.forget("ttn/lamp", Some(&key("one-lamp"))));
        assert_eq!((ledger.of(Some(&key("one-lamp"))).len(), ledger.of(Some(&key("two-lamp"))).len()), (0, 1));
        assert_eq!(ledger.devices(), [key("two-lamp")]);
    }
}
