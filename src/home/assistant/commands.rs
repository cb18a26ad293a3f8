//! What a device can be told → entities that tell it.
//!
//! A command takes minutes on LoRaWAN: the state is what the device last reported in the field of the same name, never what
//! was asked for, which stands in the attribute `pending` until the network knows what became of it.

use payload_codecs::metadata::{Command, CommandValue};
use serde_json::{Value, json};

use super::entity::{Component, Entity};
use super::sources::Sources;
use super::templates::Look;
use super::{Portrait, classes, known, names};
use crate::model::ValueKind;

/// The finest step Home Assistant takes.
const FINEST_STEP: f64 = 0.001;
/// The longest text it takes.
const LONGEST_TEXT: u64 = 255;

/// A JSON text: a bare `12` or `true` would be taken for a number or a flag.
const AS_TEXT: &str = "{{ value | tojson }}";

/// An entity for each command that has a topic of its own.
pub fn entities(portrait: &Portrait, sources: &Sources<'_>) -> Vec<Entity> {
    let commands = portrait.commands.iter().filter(|command| is_topic_level(&command.field));
    commands.map(|command| with_pending(entity(command, portrait, sources), command, sources)).collect()
}

fn entity(command: &Command, portrait: &Portrait, sources: &Sources<'_>) -> Entity {
    let seen = portrait.seen.get(&command.field).copied();
    let (topic, look) = sources.value(&command.field);
    match &command.value {
        CommandValue::Button {} => new(Component::Button, command, sources).with("payload_press", "true"),
        CommandValue::Boolean {} => flag(command, seen, sources, &look).with("state_topic", topic),
        CommandValue::Number { min, max, step, unit } => {
            let number = number(command, [*min, *max, *step], unit.as_deref(), sources, &look);
            number.with("state_topic", topic)
        }
        CommandValue::Select { options } if !options.is_empty() => new(Component::Select, command, sources)
            .with("options", json!(options))
            .with("command_template", AS_TEXT)
            .with("state_topic", topic)
            .with("value_template", look.one_of(options)),
        CommandValue::Select { .. } | CommandValue::Text {} => {
            // A text entity has no "unknown": as long as nothing is reported, it listens where nothing is said.
            let topic = if seen.is_some() { topic } else { sources.silence(&command.field) };
            new(Component::Text, command, sources)
                .with("max", LONGEST_TEXT)
                .with("command_template", AS_TEXT)
                .with("state_topic", topic)
                .with("value_template", look.text_or(""))
        }
    }
}

fn flag(command: &Command, seen: Option<ValueKind>, sources: &Sources<'_>, look: &Look) -> Entity {
    let is_text = seen == Some(ValueKind::Text);
    let is_valve = command.field.to_ascii_lowercase().contains("valve");
    if is_valve {
        // Older ones warn of any other text but an empty one.
        return new(Component::Valve, command, sources)
            .with("payload_open", "true")
            .with("payload_close", "false")
            .with("value_template", look.flag(is_text, ["open", "closed", ""]));
    }
    new(Component::Switch, command, sources)
        .with("payload_on", "true")
        .with("payload_off", "false")
        .with("value_template", look.flag(is_text, ["true", "false", "None"]))
}

fn number(
    command: &Command,
    [min, max, step]: [f64; 3],
    unit: Option<&str>,
    sources: &Sources<'_>,
    look: &Look,
) -> Entity {
    let unit = unit.map(classes::canonical).filter(|unit| !unit.is_empty());
    let class = unit.as_deref().and_then(|unit| known::class_in(&command.field, unit));
    let number = new(Component::Number, command, sources)
        .with("mode", "box")
        .with("step", tidy(if step.is_finite() { step.abs().max(FINEST_STEP) } else { 1.0 }))
        .with_some("unit_of_measurement", unit)
        .with_some("device_class", class);
    if min < max {
        let number = number.with("min", tidy(min)).with("max", tidy(max));
        return number.with("value_template", look.number_between(min, max));
    }
    number.with("value_template", look.number())
}

fn new(component: Component, command: &Command, sources: &Sources<'_>) -> Entity {
    let name = command.friendly_name.clone().unwrap_or_else(|| names::of_path(&command.field));
    Entity::new(component, &command.field, name).with("command_topic", sources.command(&command.field))
}

fn with_pending(entity: Entity, command: &Command, sources: &Sources<'_>) -> Entity {
    entity
        .with("json_attributes_topic", sources.downlink("pending"))
        .with("json_attributes_template", Look::into(["fields", &command.field]).pending())
}

/// Whether the name can stand in a topic that is published to.
fn is_topic_level(field: &str) -> bool {
    !field.is_empty() && !field.contains(['/', '+', '#']) && !field.chars().any(char::is_control)
}

/// A whole number without a fraction, as people write it.
fn tidy(number: f64) -> Value {
    let is_whole = number.fract() == 0.0 && number.abs() < 1e15;
    if is_whole { json!(number as i64) } else { json!(number) }
}
