//! `[home_assistant]`: how devices are announced to Home Assistant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How devices are announced to Home Assistant, and to whatever else reads its MQTT discovery.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HomeAssistantConfig {
    /// `"device"`: one message a device, for Home Assistant 2024.11 and newer. `"entity"`: one for each entity, for older
    /// ones, openHAB and Domoticz. `"off"`.
    pub discovery: Discovery,
    /// Home Assistant's discovery prefix.
    pub prefix: String,
    /// Where Home Assistant says `online` when it has started.
    pub status_topic: String,
}

/// The form of the announcement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Discovery {
    #[default]
    Device,
    Entity,
    Off,
}

impl Default for HomeAssistantConfig {
    fn default() -> Self {
        Self {
            discovery: Discovery::default(),
            prefix: "homeassistant".into(),
            status_topic: "homeassistant/status".into(),
        }
    }
}
