//! How an entity leaves a device that stays.

use serde_json::{Map, Value, json};

use super::Announcement;

/// A component with nothing but its platform is removed (Home Assistant's MQTT documentation, "Removing a component").
pub fn between(before: &Announcement, after: &Announcement) -> Option<Announcement> {
    let (old, mut new) = (parsed(before)?, parsed(after)?);
    let kept = new.get_mut("components")?.as_object_mut()?;
    let gone: Vec<_> = components(&old)?.filter(|(id, platform)| is_gone(kept, id, platform)).collect();
    for (id, platform) in &gone {
        kept.insert((*id).to_owned(), json!({ "platform": platform }));
    }
    (before.topic == after.topic && !gone.is_empty())
        .then(|| Announcement { topic: after.topic.clone(), payload: Value::from(new).to_string().into() })
}

/// Whether it is not there any more, or something else is.
fn is_gone(kept: &Map<String, Value>, id: &str, platform: &str) -> bool {
    kept.get(id).and_then(|component| component.get("platform")?.as_str()) != Some(platform)
}

/// The components of a message, and what each is.
fn components(message: &Map<String, Value>) -> Option<impl Iterator<Item = (&str, &str)>> {
    let all = message.get("components")?.as_object()?;
    Some(all.iter().filter_map(|(id, component)| Some((id.as_str(), component.get("platform")?.as_str()?))))
}

fn parsed(announcement: &Announcement) -> Option<Map<String, Value>> {
    serde_json::from_slice(&announcement.payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(components: Value) -> Announcement {
        let payload = json!({ "components": components, "device": {} });
        Announcement { topic: "t".into(), payload: payload.to_string().into() }
    }

    #[test]
    fn what_is_gone_or_became_something_else_is_taken_away_first() {
        let sensor = json!({"platform": "sensor", "name": "A"});
        let before = message(json!({"a": sensor, "b": sensor, "c": sensor}));
        let after = message(json!({"a": sensor, "b": {"platform": "switch"}}));
        let between = between(&before, &after).unwrap();
        let bare = json!({"platform": "sensor"});
        assert_eq!(between.payload, message(json!({"a": sensor, "b": bare, "c": bare})).payload);
    }

    #[test]
    fn nothing_leaves_when_something_is_added() {
        let sensor = json!({"platform": "sensor"});
        assert_eq!(between(&message(json!({"a": sensor})), &message(json!({"a": sensor, "b": sensor}))), None);
    }
}
