//! What was announced of one device, and what is to be said so that Home Assistant has what it should.
//!
//! - A topic that is not wanted any more is emptied, and nothing new is announced for a while: Home Assistant takes its
//!   time to forget, and would take the same entity on another topic for a second one.
//! - If all topics are others than before (another form, another prefix), the entities move: Home Assistant is asked to
//!   keep them, told of the new topics, and then the old ones are emptied (its documentation of MQTT discovery,
//!   "Migration"). It takes its time over each: what comes too early it calls a conflict and drops (seen in 2026.2).
//! - In one message for a whole device, a component that is left out stays. One that is named with nothing but its
//!   platform goes; then the message without it follows.
//! - Two announcements on one topic are a while apart: Home Assistant drops what comes for entities that it is still
//!   making of the one before.
//!
//! Time comes in as an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::home::assistant::Announcement;

/// What Home Assistant needs to forget, or to make, what it was told of.
pub const PAUSE: Duration = Duration::from_secs(2);
/// Asks Home Assistant to keep the entities of a topic for the one that will announce them next.
const MIGRATE: &[u8] = br#"{"migrate_discovery":true}"#;

/// What was announced of one device, or of the bridge.
#[derive(Debug, Default)]
pub struct Record {
    topics: BTreeMap<String, Told>,
    /// Topics whose entities were asked to move, and are not announced elsewhere yet.
    moving: BTreeSet<String>,
    /// Topics whose entities have moved, still to be emptied.
    left: BTreeSet<String>,
    /// Nothing is said before.
    not_before: Option<Instant>,
}

/// What was announced on one topic.
#[derive(Debug, Default)]
struct Told {
    /// Of the payload; none if it must be said again.
    hash: Option<u64>,
    /// The components in it, as `<platform> <id>`.
    components: Box<[Box<str>]>,
    /// It was said before the start.
    is_restored: bool,
}

/// The components of an announcement as [`Record::restore`] takes them.
type Components = String;

/// What is to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Announce(Announcement, Components),
    /// Empty this topic.
    Retract(String),
}

impl Record {
    /// What is known to be on these topics, though not what exactly.
    pub fn restore(topics: impl IntoIterator<Item = (String, Components)>) -> Self {
        let told = |components: Components| {
            let components = components.split(',').filter(|component| !component.is_empty()).map(Into::into).collect();
            Told { hash: None, components, is_restored: true }
        };
        let topics = topics.into_iter().map(|(topic, components)| (topic, told(components))).collect();
        Self { topics, ..Self::default() }
    }

    /// Too little is known of the device to say that something of it is gone which was there before the start.
    pub fn keep_restored(&mut self) {
        self.topics.values_mut().filter(|told| told.is_restored).for_each(|told| told.components = Box::default());
    }

    /// Whether something was announced since the start.
    pub fn is_said(&self) -> bool {
        self.topics.values().any(|told| !told.is_restored)
    }

    /// Nobody may have heard what was said: all of it is said again.
    pub fn renew(&mut self) {
        self.topics.values_mut().for_each(|told| told.hash = None);
    }

    /// Until when nothing is said, if that is still to come.
    pub fn waits_until(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|until| *until > now)
    }

    /// Whether nothing is announced, and nothing is left to be emptied.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.moving.is_empty() && self.left.is_empty()
    }

    /// What is to be said now so that this is announced; whether more is to be said after a pause. Not to be asked
    /// before [`Self::waits_until`].
    pub fn next(&mut self, wanted: Vec<Announcement>, now: Instant) -> (Vec<Step>, bool) {
        let topics: BTreeSet<_> = wanted.iter().map(|announcement| announcement.topic.clone()).collect();
        let left = std::mem::take(&mut self.left);
        let mut steps: Vec<_> = left.difference(&topics).cloned().map(Step::Retract).collect();
        let gone: Vec<_> = self.topics.keys().filter(|topic| !topics.contains(*topic)).cloned().collect();
        let moves = !gone.is_empty() && !wanted.is_empty() && gone.len() == self.topics.len();
        for topic in &gone {
            self.topics.remove(topic);
        }
        if moves {
            steps.extend(gone.iter().map(|topic| announce(topic, MIGRATE)));
            self.moving.extend(gone);
            self.not_before = Some(now + PAUSE);
            return (steps, true);
        } else if !gone.is_empty() {
            steps.extend(gone.into_iter().map(Step::Retract));
            let more = wanted.iter().any(|announcement| self.is_news(announcement));
            self.not_before = Some(now + PAUSE);
            return (steps, more);
        }
        self.left = std::mem::take(&mut self.moving).difference(&topics).cloned().collect();
        let (said, mut more) = (steps.len(), !self.left.is_empty());
        for announcement in wanted {
            more |= self.say(announcement, &mut steps);
        }
        if steps.len() > said || more {
            self.not_before = Some(now + PAUSE);
        }
        (steps, more)
    }

    fn is_news(&self, announcement: &Announcement) -> bool {
        let told = self.topics.get(&announcement.topic).and_then(|told| told.hash);
        told != Some(hash(&announcement.payload))
    }

    /// Whether it has to be said once more, without what goes.
    fn say(&mut self, announcement: Announcement, steps: &mut Vec<Step>) -> bool {
        if !self.is_news(&announcement) {
            return false;
        }
        let Announcement { topic, payload } = announcement;
        let components = components(&payload);
        let told = self.topics.entry(topic.clone()).or_default();
        let gone: Vec<_> = told.components.iter().filter(|old| !components.contains(old)).cloned().collect();
        let noted = components.join(",");
        *told = Told { hash: gone.is_empty().then(|| hash(&payload)), components, is_restored: false };
        let payload = if gone.is_empty() { payload } else { without(&payload, &gone) };
        steps.push(Step::Announce(Announcement { topic, payload }, noted));
        !gone.is_empty()
    }
}

fn announce(topic: &str, payload: &'static [u8]) -> Step {
    Step::Announce(Announcement { topic: topic.to_owned(), payload: Bytes::from_static(payload) }, Components::new())
}

fn hash(payload: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(payload);
    hasher.finish()
}

/// The components of an announcement that has some, as `<platform> <id>`.
fn components(payload: &Bytes) -> Box<[Box<str>]> {
    #[derive(Deserialize)]
    struct Component {
        platform: String,
    }
    #[derive(Deserialize)]
    struct Announced {
        #[serde(default)]
        components: BTreeMap<String, Component>,
    }
    // What is no announcement of a device has none.
    let announced = serde_json::from_slice::<Announced>(payload).map(|it| it.components).unwrap_or_default();
    announced.into_iter().map(|(id, Component { platform })| format!("{platform} {id}").into()).collect()
}

/// The announcement with these components marked to go. One that is there again on another platform comes afterwards.
fn without(payload: &Bytes, gone: &[Box<str>]) -> Bytes {
    let Ok(mut announced) = serde_json::from_slice::<Value>(payload) else { return payload.clone() };
    for (platform, id) in gone.iter().filter_map(|component| component.split_once(' ')) {
        announced["components"][id] = json!({ "platform": platform });
    }
    announced.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(components: &[(&str, &str)]) -> Announcement {
        let components: BTreeMap<_, _> =
            components.iter().map(|(id, platform)| (id, json!({"platform": platform, "unique_id": id}))).collect();
        let payload = json!({ "components": components }).to_string().into();
        Announcement { topic: "ha/device/node/config".into(), payload }
    }

    fn entity(topic: &str) -> Announcement {
        Announcement { topic: topic.into(), payload: format!(r#"{{"unique_id":"{topic}"}}"#).into() }
    }

    /// Everything that is said until there is nothing more to say: the steps of each time, a pause in between.
    fn said(record: &mut Record, wanted: &[Announcement]) -> Vec<Vec<String>> {
        let (mut now, mut all) = (Instant::now() + 10 * PAUSE, Vec::new());
        loop {
            let (steps, more) = record.next(wanted.to_vec(), now);
            all.push(steps.iter().map(shown).collect());
            if !more {
                return all;
            }
            assert_eq!(record.waits_until(now), Some(now + PAUSE));
            now += PAUSE;
        }
    }

    fn restored(components: &str) -> Record {
        Record::restore([("ha/device/node/config".to_owned(), components.to_owned())])
    }

    fn shown(step: &Step) -> String {
        match step {
            Step::Retract(topic) => format!("- {topic}"),
            Step::Announce(Announcement { topic, payload }, _) if payload == MIGRATE => format!("> {topic}"),
            Step::Announce(announcement, _) => {
                let components = components(&announcement.payload).join(", ");
                format!("+ {} {components}", announcement.topic).trim_end().to_owned()
            }
        }
    }

    #[test]
    fn the_same_is_said_once_and_again_when_asked_to() {
        let mut record = Record::default();
        let wanted = [device(&[("a", "sensor")])];
        assert_eq!(said(&mut record, &wanted), [["+ ha/device/node/config sensor a"]]);
        assert_eq!(said(&mut record, &wanted), [[""; 0]]);
        record.renew();
        assert_eq!(said(&mut record, &wanted), [["+ ha/device/node/config sensor a"]]);
    }

    #[test]
    fn a_component_that_goes_is_marked_and_then_left_out() {
        let mut record = Record::default();
        said(&mut record, &[device(&[("a", "sensor"), ("b", "sensor")])]);
        let (steps, more) = record.next(vec![device(&[("a", "sensor"), ("b", "switch")])], Instant::now());
        let [Step::Announce(Announcement { payload, .. }, noted)] = &steps[..] else { panic!("{steps:?}") };
        let components = &serde_json::from_slice::<Value>(payload).unwrap()["components"];
        assert_eq!((&components["b"], more), (&json!({"platform": "sensor"}), true));
        assert_eq!((&components["a"]["unique_id"], noted.as_str()), (&json!("a"), "sensor a,switch b"));
        let next = said(&mut record, &[device(&[("a", "sensor"), ("b", "switch")])]);
        assert_eq!(next, [["+ ha/device/node/config sensor a, switch b"]]);
    }

    #[test]
    fn an_entity_that_changes_its_topic_is_retracted_before_it_is_announced_again() {
        let mut record = Record::default();
        said(&mut record, &[entity("ha/sensor/n/a/config"), entity("ha/sensor/n/b/config")]);
        let steps = said(&mut record, &[entity("ha/sensor/n/a/config"), entity("ha/switch/n/b/config")]);
        assert_eq!(steps, [["- ha/sensor/n/b/config"], ["+ ha/switch/n/b/config"]]);
    }

    #[test]
    fn another_form_is_a_migration_also_from_what_was_announced_before_the_start() {
        let mut record = restored("");
        let steps = said(&mut record, &[entity("ha/sensor/n/a/config"), entity("ha/sensor/n/b/config")]);
        let there = vec!["+ ha/sensor/n/a/config", "+ ha/sensor/n/b/config"];
        assert_eq!(steps, [vec!["> ha/device/node/config"], there, vec!["- ha/device/node/config"]]);
        let back = said(&mut record, &[device(&[("a", "sensor")])]);
        let asked = vec!["> ha/sensor/n/a/config", "> ha/sensor/n/b/config"];
        let emptied = vec!["- ha/sensor/n/a/config", "- ha/sensor/n/b/config"];
        assert_eq!(back, [asked, vec!["+ ha/device/node/config sensor a"], emptied]);
    }

    #[test]
    fn who_changes_his_mind_in_the_middle_of_a_migration_loses_nothing() {
        let mut record = restored("");
        let now = Instant::now();
        record.next(vec![entity("ha/sensor/n/a/config")], now);
        assert_eq!(said(&mut record, &[device(&[("a", "sensor")])]), [["+ ha/device/node/config sensor a"]]);
        record.next(vec![entity("ha/sensor/n/a/config")], now + 20 * PAUSE);
        record.next(vec![entity("ha/sensor/n/a/config")], now + 21 * PAUSE);
        let steps = said(&mut record, &[device(&[("a", "sensor")])]);
        let back = vec!["+ ha/device/node/config sensor a"];
        assert_eq!(steps, [vec!["> ha/sensor/n/a/config"], back, vec!["- ha/sensor/n/a/config"]]);
    }

    #[test]
    fn a_component_that_went_while_the_bridge_was_off_is_taken_back_if_enough_is_known() {
        let wanted = [device(&[("a", "sensor")])];
        let whole = vec!["+ ha/device/node/config sensor a"];
        let marked = vec!["+ ha/device/node/config sensor a, sensor b"];
        assert_eq!(said(&mut restored("sensor a,sensor b"), &wanted), [marked, whole.clone()]);
        let mut unsure = restored("sensor a,sensor b");
        unsure.keep_restored();
        assert!(!unsure.is_said());
        assert_eq!(said(&mut unsure, &wanted), [whole]);
        assert!(unsure.is_said());
    }

    #[test]
    fn what_is_not_wanted_at_all_is_emptied() {
        let mut record = restored("");
        assert_eq!(said(&mut record, &[]), [["- ha/device/node/config"]]);
        assert!(record.is_empty());
    }
}
