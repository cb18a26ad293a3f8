//! What Home Assistant is told: a device's fields and commands as entities, the entities as discovery messages.
//!
//! Pure: whoever calls it owns what was announced before, and when to tell it again.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use payload_codecs::metadata::{Command, Field};

use super::{Override, Settings};
use crate::model::{ApplicationName, DeviceKey, EndDeviceIds, HomeName, Shape, VersionIds};

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
pub fn device(_portrait: &Portrait, _place: &Place<'_>) -> Vec<Announcement> {
    Vec::new()
}

/// What is announced of the bridge itself.
pub fn bridge(_applications: &[ApplicationName], _place: &Place<'_>) -> Vec<Announcement> {
    Vec::new()
}

/// The first topic of [`bridge`]; `None` if discovery is off.
pub fn bridge_topic(place: &Place<'_>) -> Option<String> {
    bridge(&[], place).into_iter().next().map(|announcement| announcement.topic)
}
