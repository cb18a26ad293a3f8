//! What Home Assistant is told: a device's fields and commands as entities, the entities as discovery messages.
//!
//! Pure: whoever calls it owns what was announced before, and when to tell it again.
//!
//! - What becomes an entity: [`fields`], [`commands`], [`diagnostics`], and of the bridge itself [`bridge`](mod@bridge).
//! - What a name, a unit or a class means: [`known`], [`classes`].
//! - How a value is taken out of a message: [`sources`] (which), [`templates`] (how).
//! - How it is written: [`form`], [`ids`]; which keys there are: [`schema`]; what the user changes: [`overrides`].

mod bridge;
mod classes;
mod commands;
mod diagnostics;
mod entity;
mod fields;
mod form;
mod ids;
mod known;
mod names;
mod overrides;
mod preview;
mod schema;
mod sources;
mod templates;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use payload_codecs::devices;
use payload_codecs::metadata::{Command, Field};
use serde_json::{Map, Value};

use entity::Entity;
use form::Sheet;
use sources::Sources;

use super::{Override, Settings};
use crate::model::{ApplicationName, DeviceKey, EndDeviceIds, HomeName, Shape, VersionIds};

pub use overrides::{InvalidOverride, check_overrides};
pub use preview::{Preview, preview};

/// All of a device that its announcement is made from.
#[derive(Debug, Clone)]
pub struct Portrait {
    pub key: DeviceKey,
    pub name: HomeName,
    /// Where its application lives (cluster and tenant): the same application and device ids may live elsewhere too.
    pub network: String,
    pub ids: EndDeviceIds,
    pub version_ids: Option<VersionIds>,
    /// The codec's name: `vendor/model` of a shipped one tells who made the device.
    pub codec: Option<String>,
    /// Its page in the network's console.
    pub console: Option<String>,
    /// The network tells its battery in percent: the state has a `battery_percentage`.
    pub battery: bool,
    /// The room it is in: the user's word for it.
    pub area: Option<String>,
    /// What the codec says of its fields.
    pub fields: Vec<Field>,
    /// What the codec says the device can be told.
    pub commands: Vec<Command>,
    /// Paths of the normalised measurements seen so far.
    pub measured: BTreeSet<&'static str>,
    /// The decoded fields seen so far.
    pub seen: Shape,
    /// `[[device]]`'s `home_assistant`.
    pub overrides: BTreeMap<String, Override>,
}

/// Where the announcement is made.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub settings: &'a Settings,
    /// What tells this bridge from others on the same broker: its MQTT client id.
    pub bridge: &'a str,
    /// This program's version.
    pub version: &'a str,
}

/// One retained discovery message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    pub topic: String,
    pub payload: Bytes,
}

/// What is announced of one device: one message in the device form, one for each entity in the other, none if discovery
/// is off. Equal portraits give equal bytes.
pub fn device(portrait: &Portrait, place: &Place<'_>) -> Vec<Announcement> {
    let sources = Sources::new(portrait, place);
    let mut all = diagnostics::entities(portrait, &sources);
    all.extend(of_codec(portrait, place));
    let sheet = Sheet {
        id: ids::device(portrait),
        name: portrait.name.as_str(),
        device: describe(portrait, place),
        availability: vec![place.settings.topics.of_bridge("state"), sources.availability()],
        entities: all.into_iter().filter_map(|entity| overrides::apply(entity, &portrait.overrides)).collect(),
    };
    sheet.announce(place)
}

/// What its codec makes of a device: its commands and its fields.
fn of_codec(portrait: &Portrait, place: &Place<'_>) -> Vec<Entity> {
    let sources = Sources::new(portrait, place);
    // A command may be called like something that is told of every device.
    let told = diagnostics::entities(portrait, &sources);
    let mut paths: BTreeSet<_> = told.into_iter().map(|entity| entity.path).collect();
    let mut all = commands::entities(portrait, &sources);
    all.extend(fields::entities(portrait, &sources));
    all.retain(|entity| paths.insert(entity.path.clone()));
    all
}

/// What is announced of the bridge itself.
pub fn bridge(applications: &[ApplicationName], place: &Place<'_>) -> Vec<Announcement> {
    let sheet = Sheet {
        id: ids::bridge(place.bridge),
        name: place.bridge,
        device: bridge::device(place),
        availability: vec![place.settings.topics.of_bridge("state")],
        entities: bridge::entities(applications, place),
    };
    sheet.announce(place)
}

/// The first topic of [`bridge()`], whatever the applications; `None` if discovery is off.
pub fn bridge_topic(place: &Place<'_>) -> Option<String> {
    bridge(&[], place).into_iter().next().map(|announcement| announcement.topic)
}

/// What Home Assistant shows of a device.
fn describe(portrait: &Portrait, place: &Place<'_>) -> Map<String, Value> {
    let version = portrait.version_ids.clone().unwrap_or_default();
    let shipped = portrait.codec.as_deref().and_then(devices::find);
    let shipped = shipped.or_else(|| devices::find_by_version_ids(&version.brand_id, &version.model_id));
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let told = [
        ("name", some(portrait.name.to_string())),
        ("manufacturer", shipped.map(|device| device.vendor.clone()).or(some(version.brand_id))),
        ("model", shipped.map(|device| device.name.clone()).or(some(version.model_id))),
        ("hw_version", some(version.hardware_version)),
        ("sw_version", some(version.firmware_version)),
        ("serial_number", portrait.ids.dev_eui.clone()),
        ("suggested_area", portrait.area.clone()),
        ("configuration_url", place.settings.page_of(&portrait.name).or(portrait.console.clone())),
        ("via_device", some(ids::bridge(place.bridge))),
    ];
    let told = told.into_iter().filter_map(|(key, value)| Some((key.to_owned(), Value::from(value?))));
    let mut device: Map<_, _> = told.collect();
    device.insert("identifiers".into(), vec![ids::device(portrait)].into());
    overrides::apply_to_device(&mut device, &portrait.overrides);
    device
}
