//! Fields → entities: what the codec says of them, what the network normalised, what their names tell, in this order.

use std::borrow::Cow;
use std::collections::BTreeMap;

use payload_codecs::metadata::{Field, FieldKind};
use payload_codecs::normalized;

use super::entity::{Component, Entity};
use super::known::Meaning;
use super::sources::Sources;
use super::templates::Look;
use super::{Portrait, names};
use crate::model::ValueKind;

/// First levels of a state that are the bridge's own: a codec's fields of that name are not in it.
const RESERVED: [&str; 3] = ["last_seen", "link", "normalized"];
/// What the two coordinates of a place are called when they stand beside each other.
const COORDINATES: [(&str, &str); 4] = [("latitude", "longitude"), ("lat", "lon"), ("lat", "lng"), ("lat", "long")];

/// An entity for each field, but for those that a command shows.
pub fn entities(portrait: &Portrait, sources: &Sources<'_>) -> Vec<Entity> {
    let mut fields = seen(portrait);
    let places = if sources.state().is_some() { places(&mut fields) } else { apart(&mut fields) };
    let quantities = quantities(portrait);
    let mut entities = Vec::new();
    for (path, kind) in &fields {
        match declared(portrait, path) {
            Some(field) => entities.push(entity(&field, Some(*kind), path, sources)),
            None if *kind == ValueKind::Null => {}
            None => entities.push(guessed(path, *kind, &fields, &quantities, sources)),
        }
    }
    entities.extend(places.iter().filter_map(|place| place.tracker(sources)));
    entities.extend(quantities.iter().map(|field| entity(field, None, &field.name, sources)));
    entities
}

/// The decoded fields that are in the state and no command's.
fn seen(portrait: &Portrait) -> BTreeMap<&str, ValueKind> {
    let is_ours = |path: &str| {
        let first = path.split('.').next().unwrap_or_default();
        RESERVED.contains(&first) || (portrait.battery && path == super::diagnostics::BATTERY)
    };
    let is_command = |path: &str| portrait.commands.iter().any(|command| command.field == path);
    let seen = portrait.seen.iter().map(|(path, kind)| (path.as_str(), *kind));
    seen.filter(|(path, _)| !is_ours(path) && !is_command(path)).collect()
}

/// What the codec says of a field. One of which it says no more than that it is there tells nothing.
fn declared<'a>(portrait: &'a Portrait, path: &str) -> Option<Cow<'a, Field>> {
    let exact = portrait.fields.iter().find(|field| field.name == path);
    let field = exact.or_else(|| portrait.fields.iter().find(|field| field.describes(path)))?;
    if field.name == path {
        return Some(Cow::Borrowed(field)).filter(|_| !is_mute(field));
    }
    let channel = path.rsplit('_').next().unwrap_or_default();
    let friendly_name = field.friendly_name.as_ref().map(|name| format!("{name} {channel}"));
    Some(Cow::Owned(Field { friendly_name, ..field.clone() })).filter(|_| !is_mute(field))
}

fn is_mute(field: &Field) -> bool {
    let Field { kind, unit, device_class, state_class, diagnostic, friendly_name, .. } = field;
    *kind == FieldKind::Sensor
        && !diagnostic
        && [unit, device_class, state_class, friendly_name].iter().all(|it| it.is_none())
}

/// What was measured and none of the codec's own fields shows.
fn quantities(portrait: &Portrait) -> Vec<Field> {
    let measured = portrait.measured.iter().filter_map(|path| normalized::find(path));
    let unshown = measured.filter(|quantity| !portrait.fields.iter().any(|field| quantity.is_shown_by(field)));
    let mut fields: Vec<_> = unshown.filter_map(normalized::Quantity::field).collect();
    // Latitude and longitude are one.
    fields.dedup_by(|a, b| a.name == b.name);
    fields
}

/// A field as the codec or the network's normalisation describes it.
fn entity(field: &Field, seen: Option<ValueKind>, path: &str, sources: &Sources<'_>) -> Entity {
    let name = field.friendly_name.clone().unwrap_or_else(|| names::of_path(path));
    let is_flag = field.kind == FieldKind::BinarySensor || seen == Some(ValueKind::Bool);
    let (topic, look) = sources.value(path);
    let entity = match field.kind {
        FieldKind::Tracker => tracker(path, name, topic, look.position("latitude", "longitude")),
        _ if is_flag => flag(path, name, topic, &look, seen.is_none_or(|kind| kind == ValueKind::Text))
            .with_some("device_class", field.device_class.clone()),
        _ => described_sensor(field, seen, path, name, (topic, look)),
    };
    if field.diagnostic { entity.diagnostic() } else { entity }
}

fn described_sensor(
    field: &Field,
    seen: Option<ValueKind>,
    path: &str,
    name: String,
    (topic, look): (String, Look),
) -> Entity {
    let is_time = field.device_class.as_deref() == Some("timestamp");
    let is_word = is_time || field.device_class.as_deref() == Some("enum");
    let says_number = !is_word && [&field.device_class, &field.state_class, &field.unit].iter().any(|it| it.is_some());
    let options =
        path.strip_prefix("normalized.").and_then(normalized::find).and_then(|quantity| match quantity.kind {
            normalized::Kind::Choice(options) => Some(options),
            _ => None,
        });
    let template = match options {
        Some(options) => look.one_of(options),
        None if is_time => look.time(),
        None if says_number || seen == Some(ValueKind::Number) => look.number(),
        None => look.text(),
    };
    let number = Some(look.number()).filter(|_| options.is_none());
    Entity { number, ..sensor(path, name, topic, template) }
        .with_some("options", options)
        .with_some("device_class", field.device_class.clone())
        .with_some("unit_of_measurement", field.unit.clone())
        .with_some("state_class", field.state_class.clone())
}

/// A field of which nobody says anything but its name.
fn guessed(
    path: &str,
    kind: ValueKind,
    fields: &BTreeMap<&str, ValueKind>,
    quantities: &[Field],
    sources: &Sources<'_>,
) -> Entity {
    let meaning = Meaning::of(path, kind);
    let (topic, look) = sources.value(path);
    let name = names::of_path(path);
    let entity = if kind == ValueKind::Place {
        tracker(path, name, topic, look.position("latitude", "longitude"))
    } else if meaning.is_binary {
        flag(path, name, topic, &look, kind == ValueKind::Text)
    } else {
        let is_number = matches!(kind, ValueKind::Number | ValueKind::Binary) || meaning.unit.is_some();
        let template = if is_number { look.number() } else { look.text() };
        Entity { number: Some(look.number()), ..sensor(path, name, topic, template) }
    };
    let entity = entity
        .with_some("device_class", meaning.device_class)
        .with_some("unit_of_measurement", meaning.unit)
        .with_some("state_class", meaning.state_class);
    let entity = if meaning.diagnostic { entity.diagnostic() } else { entity };
    if is_shown(&meaning, fields, quantities) { entity.disabled() } else { entity }
}

/// Whether it is the only field of its class, and the network normalised one quantity of that class: most probably this.
fn is_shown(meaning: &Meaning, fields: &BTreeMap<&str, ValueKind>, quantities: &[Field]) -> bool {
    let Some(class) = meaning.device_class else { return false };
    let normalised = quantities.iter().filter(|field| field.device_class.as_deref() == Some(class));
    // Reading all names anew for each field is what an announcement costs most: only where it matters.
    let of_class = fields.iter().filter(|(path, kind)| Meaning::of(path, **kind).device_class == Some(class));
    normalised.count() == 1 && of_class.count() == 1
}

fn sensor(path: &str, name: String, topic: String, template: String) -> Entity {
    Entity::new(Component::Sensor, path, name).with("state_topic", topic).with("value_template", template)
}

fn flag(path: &str, name: String, topic: String, look: &Look, is_text: bool) -> Entity {
    Entity::new(Component::BinarySensor, path, name)
        .with("state_topic", topic)
        .with("value_template", look.flag(is_text, ["ON", "OFF", "None"]))
}

fn tracker(path: &str, name: String, topic: String, template: String) -> Entity {
    Entity::new(Component::DeviceTracker, path, name)
        .with("json_attributes_topic", topic)
        .with("json_attributes_template", template)
        .with("source_type", "gps")
}

/// Coordinates that stand beside each other among other fields.
struct FlatPlace {
    /// The path of the object they stand in; empty for the state itself.
    object: String,
    latitude: String,
    longitude: String,
}

/// Takes the coordinates that belong together out of the fields.
fn places(fields: &mut BTreeMap<&str, ValueKind>) -> Vec<FlatPlace> {
    let mut places = Vec::new();
    if fields.remove("").is_some() {
        places.push(FlatPlace { object: String::new(), latitude: "latitude".into(), longitude: "longitude".into() });
        fields.retain(|path, _| !matches!(*path, "latitude" | "longitude"));
    }
    let paths: Vec<_> = fields.keys().copied().collect();
    for path in paths {
        let Some((place, longitude)) = partner(path, fields) else { continue };
        fields.remove(path);
        fields.retain(|other, _| *other != longitude);
        places.push(place);
    }
    places
}

/// Without a message that holds both, coordinates in the state itself are two numbers.
fn apart(fields: &mut BTreeMap<&str, ValueKind>) -> Vec<FlatPlace> {
    if fields.remove("").is_some() {
        fields.extend([("latitude", ValueKind::Number), ("longitude", ValueKind::Number)]);
    }
    Vec::new()
}

/// The place whose latitude this is, and the path of its longitude.
fn partner(path: &str, fields: &BTreeMap<&str, ValueKind>) -> Option<(FlatPlace, String)> {
    let is_number = |path: &str| matches!(fields.get(path), Some(ValueKind::Number | ValueKind::Binary));
    let (object, latitude) = path.rsplit_once('.').unwrap_or(("", path));
    let stem_of = |ending: &str| {
        let at = latitude.len().checked_sub(ending.len()).filter(|at| latitude.is_char_boundary(*at))?;
        latitude[at..].eq_ignore_ascii_case(ending).then(|| &latitude[..at])
    };
    COORDINATES.iter().filter(|_| is_number(path)).find_map(|(north, east)| {
        let wanted = format!("{}{east}", stem_of(north)?);
        let parallel = fields.keys().find(|other| {
            let (parent, name) = other.rsplit_once('.').unwrap_or(("", other));
            parent == object && name.eq_ignore_ascii_case(&wanted) && is_number(other)
        })?;
        let longitude = parallel.rsplit('.').next().unwrap_or(parallel).to_owned();
        let place = FlatPlace { object: object.into(), latitude: latitude.into(), longitude };
        Some((place, (*parallel).to_owned()))
    })
}

impl FlatPlace {
    /// Its tracker, if one message holds both coordinates.
    fn tracker(&self, sources: &Sources<'_>) -> Option<Entity> {
        let topic = sources.state()?;
        let levels = self.object.split('.').filter(|level| !level.is_empty());
        let template = Look::into(levels).position(&self.latitude, &self.longitude);
        let path =
            if self.object.is_empty() { self.latitude.clone() } else { format!("{}.{}", self.object, self.latitude) };
        Some(tracker(&path, "Position".into(), topic, template))
    }
}
