//! Which keys Home Assistant's MQTT discovery knows, and for which entity (version 2026.9; `object_id` until 2026.3).
//!
//! It drops a whole device's message for one unknown key at the root or in `device` or `origin`, and what it does not know
//! of an entity in silence: a typing error would be found by nobody.

use super::entity::Component;

/// At the root of a device's message.
#[cfg(test)]
pub const ROOT: [&str; 14] = [
    "availability",
    "availability_mode",
    "availability_template",
    "availability_topic",
    "command_topic",
    "components",
    "device",
    "encoding",
    "message_expiry_interval",
    "origin",
    "payload_available",
    "payload_not_available",
    "qos",
    "state_topic",
];

/// In `device`.
pub const DEVICE: [&str; 12] = [
    "configuration_url",
    "connections",
    "hw_version",
    "identifiers",
    "manufacturer",
    "model",
    "model_id",
    "name",
    "serial_number",
    "suggested_area",
    "sw_version",
    "via_device",
];

/// In `origin`.
#[cfg(test)]
pub const ORIGIN: [&str; 3] = ["name", "support_url", "sw_version"];

/// In every entity.
const COMMON: [&str; 24] = [
    "availability",
    "availability_mode",
    "availability_template",
    "availability_topic",
    "default_entity_id",
    "device",
    "enabled_by_default",
    "encoding",
    "entity_category",
    "entity_picture",
    "group",
    "icon",
    "json_attributes_template",
    "json_attributes_topic",
    "message_expiry_interval",
    "name",
    "object_id",
    "origin",
    "payload_available",
    "payload_not_available",
    "platform",
    "qos",
    "unique_id",
    "visible_by_default",
];

const READ: [&str; 2] = ["state_topic", "value_template"];
const WRITTEN: [&str; 5] = ["command_template", "command_topic", "optimistic", "retain", "state_topic"];

/// Every key that such an entity can have.
pub fn keys(component: Component) -> Vec<&'static str> {
    let (shared, own): (&[_], &[_]) = match component {
        Component::Sensor => (
            &READ,
            &[
                "device_class",
                "expire_after",
                "force_update",
                "last_reset_value_template",
                "options",
                "state_class",
                "suggested_display_precision",
                "unit_of_measurement",
            ],
        ),
        Component::BinarySensor => {
            (&READ, &["device_class", "expire_after", "force_update", "off_delay", "payload_off", "payload_on"])
        }
        Component::DeviceTracker => (&READ, &["payload_home", "payload_not_home", "payload_reset", "source_type"]),
        Component::Button => (&["command_topic"], &["command_template", "device_class", "payload_press", "retain"]),
        Component::Number => (
            &WRITTEN,
            &["device_class", "max", "min", "mode", "payload_reset", "step", "unit_of_measurement", "value_template"],
        ),
        Component::Select => (&WRITTEN, &["options", "value_template"]),
        Component::Switch => {
            (&WRITTEN, &["device_class", "payload_off", "payload_on", "state_off", "state_on", "value_template"])
        }
        Component::Text => (&WRITTEN, &["max", "min", "mode", "pattern", "value_template"]),
        Component::Valve => (
            &WRITTEN,
            &[
                "device_class",
                "payload_close",
                "payload_open",
                "payload_stop",
                "position_closed",
                "position_open",
                "reports_position",
                "state_closed",
                "state_closing",
                "state_open",
                "state_opening",
                "value_template",
            ],
        ),
    };
    COMMON.iter().chain(shared).chain(own).copied().collect()
}

/// Without which Home Assistant refuses it.
pub fn required(component: Component) -> &'static [&'static str] {
    match component {
        Component::Sensor | Component::BinarySensor => &["unique_id", "state_topic"],
        Component::DeviceTracker => &["unique_id", "json_attributes_topic"],
        Component::Select => &["unique_id", "command_topic", "options"],
        Component::Button | Component::Number | Component::Switch | Component::Text | Component::Valve => {
            &["unique_id", "command_topic"]
        }
    }
}
