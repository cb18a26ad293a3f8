//! What a table's fields and commands are to a home.

use std::collections::HashSet;

use serde_json::Value;

use super::scale::Scalar;
use super::{Field, Find, Flag, Message, Part, Table, Type};
use crate::metadata::{self, Command, CommandValue, FieldKind};

impl Table {
    /// What the fields of its uplinks are. Lists have none: a home shows single values.
    pub fn fields(&self) -> Vec<metadata::Field> {
        let mut fields = Vec::new();
        for message in &self.uplink {
            add_fields(&message.fields, "", &mut fields);
            for part in &message.parts {
                fields.extend(part.name.as_ref().map(|name| part.metadata(name)));
                add_fields(&part.fields, "", &mut fields);
            }
        }
        let mut seen = HashSet::new();
        fields.retain(|field| seen.insert(field.name.clone()));
        fields
    }

    /// What the device can be told with a single field.
    pub fn commands(&self) -> Vec<Command> {
        let mut commands: Vec<_> = self.downlink.iter().flat_map(Message::commands).collect();
        let mut seen = HashSet::new();
        commands.retain(|command| seen.insert(command.field.clone()));
        commands
    }
}

/// Adds what these fields are; the names of those in groups begin with `prefix`.
fn add_fields(fields: &[Field], prefix: &str, all: &mut Vec<metadata::Field>) {
    let shown_as_place = |field: &Field| !prefix.is_empty() && is_place(fields) && is_coordinate(field);
    for field in fields.iter().filter(|field| field.repeat.is_none() && !shown_as_place(field)) {
        let full = |name: &str| format!("{prefix}{name}");
        match &field.name {
            Some(name) if field.type_.is_none() => {
                all.extend(is_place(&field.fields).then(|| place(field, full(name))));
                add_fields(&field.fields, &full(&format!("{name}.")), all);
            }
            Some(name) => all.push(field.metadata(full(name))),
            None => {}
        }
        all.extend(field.flags.iter().flatten().map(|flag| flag.metadata(full(&flag.name))));
        all.extend(field.find.iter().flatten().map(|find| find.metadata(full(&find.name))));
    }
}

/// Whether a group of these fields is what a home shows on a map.
fn is_place(fields: &[Field]) -> bool {
    fields.iter().filter(|field| is_coordinate(field)).count() == 2
}

fn is_coordinate(field: &Field) -> bool {
    matches!(field.name.as_deref(), Some("latitude" | "longitude"))
}

fn place(field: &Field, name: String) -> metadata::Field {
    metadata::Field { kind: FieldKind::Tracker, ..field.metadata(name) }
}

impl Field {
    fn metadata(&self, name: String) -> metadata::Field {
        let is_boolean = matches!(self.type_, Some(Type::Boolean(_)));
        metadata::Field {
            name,
            friendly_name: self.friendly_name.clone(),
            kind: if is_boolean { FieldKind::BinarySensor } else { FieldKind::Sensor },
            unit: self.unit.clone(),
            device_class: self.device_class.clone().or_else(|| self.values.is_some().then(|| "enum".to_owned())),
            state_class: self.state_class.clone(),
            diagnostic: self.diagnostic,
        }
    }

    /// What the field's keys take as commands.
    fn commands(&self) -> Vec<Command> {
        let own = self.name.iter().zip(self.command_value()).map(|(name, value)| Command {
            field: name.clone(),
            friendly_name: self.friendly_name.clone(),
            f_port: None,
            value,
        });
        own.chain(self.flags.iter().flatten().map(Flag::command)).collect()
    }

    fn command_value(&self) -> Option<CommandValue> {
        match (self.type_?, &self.values) {
            (Type::Boolean(_), _) => Some(CommandValue::Boolean {}),
            (Type::Text(_), _) => Some(CommandValue::Text {}),
            (Type::Bytes(_), _) => None,
            (_, Some(values)) => Some(CommandValue::Select { options: values.values().cloned().collect() }),
            (type_, None) => {
                let (min, max) = Scalar { field: self, type_ }.range()?;
                let step = self.scale.unwrap_or(1.0).abs();
                Some(CommandValue::Number { min: min.as_f64()?, max: max.as_f64()?, step, unit: self.unit.clone() })
            }
        }
    }
}

impl Flag {
    fn metadata(&self, name: String) -> metadata::Field {
        metadata::Field {
            name,
            friendly_name: self.friendly_name.clone(),
            kind: FieldKind::BinarySensor,
            device_class: self.device_class.clone(),
            diagnostic: self.diagnostic,
            ..metadata::Field::default()
        }
    }

    fn command(&self) -> Command {
        let (field, friendly_name) = (self.name.clone(), self.friendly_name.clone());
        Command { field, friendly_name, f_port: None, value: CommandValue::Boolean {} }
    }
}

impl Find {
    fn metadata(&self, name: String) -> metadata::Field {
        let is_boolean = self.words.as_ref().is_some_and(|words| words.values().all(Value::is_boolean));
        metadata::Field {
            name,
            friendly_name: self.friendly_name.clone(),
            kind: if is_boolean { FieldKind::BinarySensor } else { FieldKind::Sensor },
            unit: self.unit.clone(),
            device_class: self.device_class.clone(),
            state_class: self.state_class.clone(),
            diagnostic: self.diagnostic,
        }
    }
}

impl Part {
    /// What a part without fields is: something that happened, or can be made to.
    fn metadata(&self, name: &str) -> metadata::Field {
        let (name, friendly_name) = (name.to_owned(), self.friendly_name.clone());
        metadata::Field { name, friendly_name, kind: FieldKind::BinarySensor, ..metadata::Field::default() }
    }

    fn command(&self, name: &str) -> Command {
        let (field, friendly_name) = (name.to_owned(), self.friendly_name.clone());
        Command { field, friendly_name, f_port: None, value: CommandValue::Button {} }
    }
}

impl Message {
    /// What can be sent with one key alone.
    fn commands(&self) -> Vec<Command> {
        let of_fields =
            self.fields.iter().chain(self.parts.iter().flat_map(|part| &part.fields)).flat_map(Field::commands);
        let of_parts = self.parts.iter().filter_map(|part| Some(part.command(part.name.as_ref()?)));
        let alone = |command: &Command| self.missing(&|key| key == command.field).is_none();
        let f_port = self.port.0.first().copied();
        of_fields.chain(of_parts).filter(alone).map(|command| Command { f_port, ..command }).collect()
    }
}
