//! What a codec's fields and commands would be in Home Assistant: for people who write codecs.

use payload_codecs::metadata::{Command, Field};
use payload_codecs::normalized;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::entity::Entity;
use super::{Place, Portrait, of_codec, overrides};
use crate::home::measured::Measured;
use crate::model::{ApplicationName, DeviceId, DeviceKey, HomeName, extend_shape};

/// An entity as it would be announced, without where its value stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Entity")]
pub struct Preview {
    /// `sensor`, `binary_sensor`, `switch` …
    component: &'static str,
    /// The path of its field, or its command.
    field: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_class: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_class: Option<Value>,
    /// `diagnostic` or `config`; none for what the device is there for.
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<Value>,
    /// Whether it is there without being switched on first.
    enabled: bool,
}

impl Portrait {
    /// A device of which nothing is known but one reading of its codec.
    pub fn of_reading(
        key: Option<DeviceKey>,
        (fields, commands): (Vec<Field>, Vec<Command>),
        (data, measurements): (&RawValue, Option<&RawValue>),
    ) -> Self {
        let key = key.unwrap_or_else(nobody);
        let mut measured = Measured::default();
        measurements.into_iter().for_each(|list| measured.take(list));
        let mut seen = Default::default();
        extend_shape(&mut seen, data.get());
        Self {
            name: HomeName::of_id(&key.device),
            key,
            network: String::new(),
            ids: Default::default(),
            version_ids: None,
            codec: None,
            console: None,
            battery: false,
            area: None,
            fields,
            commands,
            measured: normalized::found_in(&measured.as_value()).into_iter().map(|quantity| quantity.path).collect(),
            seen: (*seen).clone(),
            overrides: Default::default(),
        }
    }
}

/// The entities of a device's fields and commands; what every device has is left out.
pub fn preview(portrait: &Portrait, place: &Place<'_>) -> Vec<Preview> {
    let all = of_codec(portrait, place).into_iter();
    all.filter_map(|entity| overrides::apply(entity, &portrait.overrides)).map(Preview::of).collect()
}

impl Preview {
    fn of(Entity { component, path, name, mut keys, .. }: Entity) -> Self {
        Self {
            component: component.as_str(),
            field: path,
            name,
            unit: keys.remove("unit_of_measurement"),
            device_class: keys.remove("device_class"),
            state_class: keys.remove("state_class"),
            category: keys.remove("entity_category"),
            enabled: keys.get("enabled_by_default") != Some(&Value::Bool(false)),
        }
    }
}

/// A device that is none.
fn nobody() -> DeviceKey {
    let application = ApplicationName::parse("application").expect("it is a clean level");
    DeviceKey::new(&application, DeviceId::parse("device").expect("it is an id"))
}
