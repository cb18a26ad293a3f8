//! Entities as discovery messages, in either form.
//!
//! In both, an entity is known by the same two ids: the device's, and its own within the device. Home Assistant then knows
//! that it is the same entity when one form takes the other's place.

use serde_json::{Map, Value, json};

use super::entity::Entity;
use super::templates::AVAILABILITY;
use super::{Announcement, Place, classes, ids, names};
use crate::home::Discovery;

/// A device with its entities, ready to be announced.
pub struct Sheet<'a> {
    /// Its identifier.
    pub id: String,
    /// What people call it.
    pub name: &'a str,
    pub device: Map<String, Value>,
    /// Each of these topics must say `online`.
    pub availability: Vec<String>,
    pub entities: Vec<Entity>,
}

impl Sheet<'_> {
    pub fn announce(self, place: &Place<'_>) -> Vec<Announcement> {
        match place.settings.home_assistant.discovery {
            Discovery::Device => vec![self.whole(place)],
            Discovery::Entity => self.entities.iter().map(|entity| self.one(entity, place)).collect(),
            Discovery::Off => Vec::new(),
        }
    }

    fn whole(&self, place: &Place<'_>) -> Announcement {
        let components: Map<_, _> = self.entities.iter().map(|entity| self.component(entity)).collect();
        let mut root = self.shared(place);
        root.insert("components".into(), components.into());
        announcement(format!("{}/device/{}/config", place.settings.home_assistant.prefix, self.id), root)
    }

    fn component(&self, entity: &Entity) -> (String, Value) {
        let mut keys = self.keys(entity, Discovery::Device);
        keys.insert("platform".into(), entity.component.as_str().into());
        (ids::entity(&entity.path), keys.into())
    }

    fn one(&self, entity: &Entity, place: &Place<'_>) -> Announcement {
        let mut keys = self.keys(entity, Discovery::Entity);
        // All that versions before 2025.10 know; later ones warn if it stands alone.
        keys.entry("object_id").or_insert(self.readable(entity).into());
        for (key, value) in self.shared(place) {
            keys.entry(key).or_insert(value);
        }
        let (prefix, component) = (&place.settings.home_assistant.prefix, entity.component.as_str());
        announcement(format!("{prefix}/{component}/{}/{}/config", self.id, ids::entity(&entity.path)), keys)
    }

    /// What an entity has in both forms.
    fn keys(&self, entity: &Entity, form: Discovery) -> Map<String, Value> {
        let mut keys = entity.keys.clone();
        classes::settle(&mut keys, entity.component, form);
        keys.entry("name").or_insert(names::beside(self.name, &entity.name).into());
        keys.insert("unique_id".into(), format!("{}_{}", self.id, ids::entity(&entity.path)).into());
        let readable = format!("{}.{}", entity.component.as_str(), self.readable(entity));
        keys.entry("default_entity_id").or_insert(readable.into());
        keys
    }

    /// What all entities have in common.
    fn shared(&self, place: &Place<'_>) -> Map<String, Value> {
        let available = |topic: &String| json!({ "topic": topic, "value_template": AVAILABILITY });
        let availability: Vec<_> = self.availability.iter().map(available).collect();
        let mut shared = Map::new();
        shared.insert("availability".into(), availability.into());
        shared.insert("availability_mode".into(), "all".into());
        shared.insert("device".into(), self.device.clone().into());
        shared.insert("origin".into(), json!({ "name": "ttn-ferry", "sw_version": place.version }));
        // Commands must not get lost between Home Assistant and the broker.
        shared.insert("qos".into(), 1.into());
        shared
    }

    /// What an entity is called in Home Assistant's automations, as long as nobody renames it there.
    fn readable(&self, entity: &Entity) -> String {
        let short = entity.path.strip_prefix("link.").filter(|short| !self.has_called(short));
        ids::slug(&format!("{} {}", self.name, short.unwrap_or(&entity.path)))
    }

    /// Whether a field is called like this: Home Assistant would number one of the two.
    fn has_called(&self, path: &str) -> bool {
        self.entities.iter().any(|entity| entity.path.eq_ignore_ascii_case(path))
    }
}

fn announcement(topic: String, payload: Map<String, Value>) -> Announcement {
    let payload = serde_json::to_vec(&payload).expect("a map with text keys serialises");
    Announcement { topic, payload: payload.into() }
}
