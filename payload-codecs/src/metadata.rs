//! What a device's fields and commands are to a home: names, units, classes, ranges.

use serde::{Deserialize, Serialize};

/// What a decoded field is. Units and classes are Home Assistant's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name in the decoded data, levels joined by dots; a `*` at the end stands for a channel's number.
    pub name: String,
    /// What people call it; without one, its name.
    pub friendly_name: Option<String>,
    /// Whether it is a measurement, a yes or no, or a place.
    #[serde(default)]
    pub kind: FieldKind,
    /// The unit of the value.
    pub unit: Option<String>,
    /// Home Assistant's `device_class` for a sensor or binary sensor.
    pub device_class: Option<String>,
    /// Home Assistant's `state_class`: `measurement`, `total` …
    pub state_class: Option<String>,
    /// Whether it is about the device rather than about the world (a battery, a firmware).
    #[serde(default)]
    pub diagnostic: bool,
}

impl Field {
    /// Whether this is the field of that name, or a pattern such as `temperature_*` that stands for it.
    pub fn describes(&self, name: &str) -> bool {
        self.name == name || self.covers(name)
    }

    /// Whether a pattern such as `temperature_*` stands for this name.
    pub(crate) fn covers(&self, name: &str) -> bool {
        let channel = self.name.strip_suffix('*').and_then(|prefix| name.strip_prefix(prefix));
        channel.is_some_and(|channel| !channel.is_empty() && channel.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

/// What sort of thing a field shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// A number or a text.
    #[default]
    Sensor,
    /// A JSON boolean, or 0 and 1, or the texts `open` and `closed`.
    BinarySensor,
    /// An object with `latitude` and `longitude` in degrees.
    Tracker,
}

/// One thing the device can be told.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The key in the command's data, as the codec's encoder reads it.
    pub field: String,
    /// What people call it; without one, its field.
    pub friendly_name: Option<String>,
    /// The `FPort` it goes out on, if not the one the codec names.
    pub f_port: Option<u8>,
    /// What values it takes.
    pub value: CommandValue,
}

/// What values a command takes.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum CommandValue {
    /// `true` or `false`: a switch.
    Boolean {},
    /// A number.
    Number {
        /// The least value taken.
        min: f64,
        /// The greatest value taken.
        max: f64,
        /// The difference between neighbouring values.
        #[serde(default = "one")]
        step: f64,
        /// The value's unit.
        unit: Option<String>,
    },
    /// One of these texts.
    Select {
        /// The texts.
        options: Vec<String>,
    },
    /// Any text.
    Text {},
    /// No choice, it just happens; its value is `true`.
    Button {},
}

fn one() -> f64 {
    1.0
}
