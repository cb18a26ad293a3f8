//! One entity, before it is written in either form.

use serde_json::{Map, Value};

/// What sort of entity it is in Home Assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    Sensor,
    BinarySensor,
    DeviceTracker,
    Button,
    Number,
    Select,
    Switch,
    Text,
    Valve,
}

/// An entity of a device.
#[derive(Debug, Clone)]
pub struct Entity {
    pub component: Component,
    /// The path of its field, or its command: its identity within the device, and its name in overrides.
    pub path: String,
    /// What people read.
    pub name: String,
    /// The template to use if the user says that this text is a number.
    pub number: Option<String>,
    /// The keys of its own; those that all have are added when it is written.
    pub keys: Map<String, Value>,
}

impl Component {
    pub const ALL: [Self; 9] = [
        Self::Sensor,
        Self::BinarySensor,
        Self::DeviceTracker,
        Self::Button,
        Self::Number,
        Self::Select,
        Self::Switch,
        Self::Text,
        Self::Valve,
    ];

    /// As Home Assistant writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::BinarySensor => "binary_sensor",
            Self::DeviceTracker => "device_tracker",
            Self::Button => "button",
            Self::Number => "number",
            Self::Select => "select",
            Self::Switch => "switch",
            Self::Text => "text",
            Self::Valve => "valve",
        }
    }
}

impl Entity {
    pub fn new(component: Component, path: impl Into<String>, name: impl Into<String>) -> Self {
        Self { component, path: path.into(), name: name.into(), number: None, keys: Map::new() }
    }

    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.keys.insert(key.into(), value.into());
        self
    }

    /// The key only if there is something to say.
    pub fn with_some(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    pub fn diagnostic(self) -> Self {
        self.with("entity_category", "diagnostic")
    }

    /// Only for those who look for it.
    pub fn disabled(self) -> Self {
        self.with("enabled_by_default", false)
    }
}
