//! The devices this crate ships: their codecs, and what their fields and commands are.
//!
//! Each comes from a folder `payload-codecs/devices/<vendor>/<model>/` with a `device.toml` (the types below), a `codec.js`
//! or a `codec.toml` (a table) unless a built-in engine reads the payload, and an `examples.json` that the tests run. `build.rs` finds the folders.

mod description;
mod metadata;

use std::sync::{Arc, OnceLock};

pub use description::{Description, DescriptionError};
pub use metadata::Match;
use metadata::{Engine, Metadata};

use crate::codec::Source;
use crate::metadata::{Command, Field};
use crate::table::Table;

/// A shipped device.
#[derive(Debug)]
pub struct Device {
    /// The folder's name: `vendor/model`, such as `mbed/led-and-sensors`.
    pub id: &'static str,
    /// What people call the device.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Where the payload's layout is published.
    pub payload_reference: String,
    /// How The Things Network names it in an uplink's `version_ids`; `None` if it is in no device repository.
    pub matches: Option<Match>,
    /// What the decoded fields are.
    pub fields: Vec<Field>,
    /// What the device can be told.
    pub commands: Vec<Command>,
    /// The examples its codec is tested with, as the text of `examples.json`.
    pub examples: &'static str,
    /// The text of its `codec.js` or `codec.toml`; none if a built-in engine reads the payload.
    pub text: Option<&'static str>,
    source: Source,
}

impl Device {
    /// Its codec, ready to be loaded.
    pub fn source(&self) -> Source {
        self.source.clone()
    }

    /// What is known of a decoded field, by its full name (`position.latitude`, `temperature_3`).
    pub fn field(&self, name: &str) -> Option<&Field> {
        let exact = self.fields.iter().find(|field| field.name == name);
        exact.or_else(|| self.fields.iter().find(|field| field.covers(name)))
    }

    /// What is known of a command field.
    pub fn command(&self, field: &str) -> Option<&Command> {
        self.commands.iter().find(|command| command.field == field)
    }

    fn from_folder(folder: &Folder) -> Result<Self, String> {
        let mut metadata = Metadata::parse(folder.description).map_err(|cause| format!("{}: {cause}", folder.id))?;
        let source = folder.source(metadata.engine)?;
        if let Source::Table { table, .. } = &source {
            if !(metadata.fields.is_empty() && metadata.commands.is_empty()) {
                return Err(format!("{}: fields and commands stand in codec.toml", folder.id));
            }
            (metadata.fields, metadata.commands) = (table.fields(), table.commands());
        }
        Ok(Self {
            id: folder.id,
            name: metadata.name,
            vendor: metadata.vendor,
            description: metadata.description,
            payload_reference: metadata.payload_reference,
            matches: metadata.matches,
            fields: metadata.fields,
            commands: metadata.commands,
            examples: folder.examples,
            text: folder.codec,
            source,
        })
    }
}

/// The device with this id (`vendor/model`).
pub fn find(id: &str) -> Option<&'static Device> {
    all().iter().find(|device| device.id == id)
}

/// The device that an uplink's `version_ids` name.
pub fn find_by_version_ids(brand_id: &str, model_id: &str) -> Option<&'static Device> {
    all().iter().find(|device| {
        device.matches.as_ref().is_some_and(|matches| matches.brand_id == brand_id && matches.model_id == model_id)
    })
}

/// Every shipped device, sorted by id.
pub fn all() -> &'static [Device] {
    static DEVICES: OnceLock<Vec<Device>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let parsed: Result<Vec<_>, _> = FOLDERS.iter().map(Device::from_folder).collect();
        parsed.expect("every embedded device.toml parses: the tests parse them all")
    })
}

/// A device folder as `build.rs` embeds it.
struct Folder {
    id: &'static str,
    description: &'static str,
    codec: Option<&'static str>,
    examples: &'static str,
}

impl Folder {
    fn source(&self, engine: Engine) -> Result<Source, String> {
        let name = || Arc::from(self.id);
        match (engine, self.codec) {
            (Engine::JavaScript, Some(script)) => Ok(Source::JavaScript { name: name(), script: Arc::from(script) }),
            (Engine::Table, Some(table)) => {
                let table = Table::parse(table).map_err(|cause| format!("{}/codec.toml: {cause}", self.id))?;
                Ok(Source::Table { name: name(), table: Arc::new(table) })
            }
            (Engine::JavaScript | Engine::Table, None) => Err(format!("{}: its codec is missing", self.id)),
            (Engine::CayenneLpp, _) => Ok(Source::CayenneLpp),
        }
    }
}

const FOLDERS: &[Folder] = include!(concat!(env!("OUT_DIR"), "/device_folders.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_parses_and_has_fields() {
        assert!(all().len() >= 6, "only {} device folders found", all().len());
        for device in all() {
            assert!(!device.fields.is_empty(), "{} names no fields", device.id);
            assert!(device.payload_reference.contains("://"), "{} cites no payload description", device.id);
        }
    }

    #[test]
    fn a_field_of_a_channel_is_found_by_its_pattern() {
        let lpp = find("generic/cayenne-lpp").unwrap();
        assert_eq!(lpp.field("temperature_3").unwrap().unit.as_deref(), Some("°C"));
        assert!(lpp.field("temperature_x").is_none());
        assert!(lpp.field("nonsense").is_none());
    }

    #[test]
    fn a_device_is_found_by_the_ids_the_network_gives_it() {
        assert_eq!(find_by_version_ids("dragino", "lht65n").unwrap().id, "dragino/lht65n");
        assert!(find_by_version_ids("dragino", "unheard-of").is_none());
    }

    #[test]
    fn a_tables_fields_and_commands_stand_in_the_table_alone() {
        let led = find("mbed/led-and-sensors").unwrap();
        let names: Vec<_> = led.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["temperature", "humidity", "battery", "led", "interval"]);
        assert_eq!(led.command("interval").unwrap().f_port, Some(15));
        let folder = FOLDERS.iter().find(|folder| folder.id == led.id).unwrap();
        let twice = format!("{}\n[[fields]]\nname = \"led\"", folder.description);
        let refused = Device::from_folder(&Folder { description: twice.leak(), ..*folder }).unwrap_err();
        assert_eq!(refused, "mbed/led-and-sensors: fields and commands stand in codec.toml");
        let refused = Device::from_folder(&Folder { codec: Some("uplink = 1"), ..*folder }).unwrap_err();
        assert!(refused.starts_with("mbed/led-and-sensors/codec.toml: line 1: "), "{refused}");
        assert!(Device::from_folder(&Folder { codec: None, ..*folder }).is_err());
    }
}
