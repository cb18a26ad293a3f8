//! `devices.toml` in the state folder: what was said of devices while the bridge ran. It counts over the file, key by key.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::Report;
use super::{Config, DeviceConfig, Environment, Problem, parse, store_folder};
use crate::model::DeviceKey;

const FILE: &str = "devices.toml";
const HEADER: &str = "# Written by ttn-ferry: what was said of devices while it ran. It counts over the configuration file, key by key.\n\n";

/// What the file in the state folder says, if there is one.
pub(super) struct Overlay {
    pub path: PathBuf,
    pub text: String,
    devices: Vec<DeviceConfig>,
    /// Which of its tables became part of which of the configuration's.
    placed: HashMap<usize, usize>,
}

/// The file, as it is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    #[serde(default)]
    device: Vec<DeviceConfig>,
}

/// The file, as it is changed.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Said {
    #[serde(default)]
    device: Vec<Map<String, Value>>,
}

/// Where the overlay of a configuration lies; `None` without a state folder.
pub fn overlay_path(config: &Config, environment: &dyn Environment) -> Option<PathBuf> {
    Some(store_folder(config, environment).ok()?.join(FILE))
}

impl Overlay {
    /// The overlay that lies in the state folder or, if `given`, this text in its place.
    ///
    /// # Errors
    /// It is no list of devices.
    pub fn find(config: &Config, given: Option<&str>, environment: &dyn Environment) -> Result<Option<Self>, Problem> {
        let Some(path) = overlay_path(config, environment) else { return Ok(None) };
        let text = match given {
            Some(text) => Ok(text.to_owned()),
            None => environment.read(&path),
        };
        let wrong = |problem: Problem| Problem { file: Some(path.clone()), ..problem };
        match text {
            Ok(text) => {
                let Tables { device } = parse::parse(&text).map_err(wrong)?;
                Ok(Some(Self { path, text, devices: device, placed: HashMap::new() }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrong(unreadable(&error))),
        }
    }

    /// Puts its word over that of the file. Devices of an application that is gone are passed over.
    pub fn lay_over(&mut self, config: &mut Config) {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let only = config.only_application().map(str::to_owned);
        for (number, mut said) in std::mem::take(&mut self.devices).into_iter().enumerate() {
            let whose = said.application.clone().or_else(|| only.clone());
            if !config.application.iter().any(|application| Some(application.name()) == whose.as_deref()) {
                continue;
            }
            said.app_s_key_file = said.app_s_key_file.map(|path| folder.join(path));
            let same = |device: &DeviceConfig| {
                device.id == said.id && device.application.as_ref().or(only.as_ref()) == whose.as_ref()
            };
            let index = config.device.iter().position(same).unwrap_or(config.device.len());
            match config.device.get_mut(index) {
                Some(device) => device.overrule(said),
                None => config.device.push(said),
            }
            self.placed.insert(index, number);
        }
    }

    /// The key of the configuration as it is called here, if it stands here.
    pub fn own_key(&self, key: &str) -> Option<String> {
        let (index, rest) = key.strip_prefix("device[")?.split_once(']')?;
        let own = format!("device[{}]{rest}", self.placed.get(&index.parse().ok()?)?);
        parse::find_line(&self.text, &own).map(|_| own)
    }

    /// Every key that stands here, as the configuration calls it, and its line.
    pub fn keys(&self) -> Vec<(String, usize)> {
        let by_table = |(key, line): (String, usize)| {
            let (number, rest) = key.strip_prefix("device[")?.split_once(']')?;
            let number: usize = number.parse().ok()?;
            let (index, _) = self.placed.iter().find(|(_, placed)| **placed == number)?;
            Some((format!("device[{index}]{rest}"), line))
        };
        parse::keys(&self.text).into_iter().filter_map(by_table).collect()
    }

    pub fn warn_of_strangers(&self, report: &mut Report) {
        let strangers = Tables::count(&self.text).saturating_sub(self.placed.len());
        if strangers > 0 {
            let message = format!("{strangers} devices in {} belong to no configured application", self.path.display());
            report.warn("", message, "they count again once their application is back, or take them out");
        }
    }
}

impl Tables {
    fn count(text: &str) -> usize {
        parse::parse::<Self>(text).map_or(0, |tables| tables.device.len())
    }
}

/// The text of an overlay in which these options of a device are changed; `null` takes one away, and inner tables are
/// gone through key by key (RFC 7396).
///
/// # Errors
/// The text is no overlay, or an option cannot stand in one.
pub fn changed_overlay(text: &str, device: &DeviceKey, options: &Map<String, Value>) -> Result<String, Problem> {
    let mut said = read(text)?;
    let (id, application) = (device.device.as_str(), device.application.as_str());
    said.device.retain(|table| table.get("id").is_some());
    let index = said.device.iter().position(|table| table["id"] == id && is_of(table, application));
    let mut table = index.map_or_else(Map::new, |index| said.device.remove(index));
    merge(&mut table, options);
    table.remove("id");
    table.remove("application");
    if !table.is_empty() {
        table.insert("id".into(), id.into());
        table.insert("application".into(), application.into());
        said.device.insert(index.unwrap_or(said.device.len()), table);
    }
    let unfit = |error: toml::ser::Error| Problem::of_text(format!("an option cannot be written down: {error}"));
    Ok(format!("{HEADER}{}", toml::to_string(&said).map_err(unfit)?))
}

/// What an overlay says of a device, by the keys of `[[device]]`.
///
/// # Errors
/// The text is no overlay.
pub fn overlaid_options(text: &str, device: &DeviceKey) -> Result<Map<String, Value>, Problem> {
    let (id, application) = (device.device.as_str(), device.application.as_str());
    let own = |table: &Map<String, Value>| table.get("id").is_some_and(|own| own == id) && is_of(table, application);
    let mut table = read(text)?.device.into_iter().find(own).unwrap_or_default();
    table.retain(|key, _| key != "id" && key != "application");
    Ok(table)
}

/// Writes an overlay so that there is always a whole one.
///
/// # Errors
/// The disk refuses it.
pub fn write_overlay(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(text.as_bytes())?;
    draft.as_file().sync_all()?;
    draft.persist(path)?;
    Ok(())
}

/// A table of a single application's device need not name it.
fn is_of(table: &Map<String, Value>, application: &str) -> bool {
    table.get("application").is_none_or(|own| own == application)
}

fn read(text: &str) -> Result<Said, Problem> {
    parse::parse(text)
}

fn merge(into: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => drop(into.remove(key)),
            Value::Object(inner) => {
                let mut table = into.remove(key).and_then(|old| old.as_object().cloned()).unwrap_or_default();
                merge(&mut table, inner);
                if !table.is_empty() {
                    into.insert(key.clone(), table.into());
                }
            }
            value => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

fn unreadable(error: &io::Error) -> Problem {
    let hint = "it holds what was said of devices while the bridge ran; this user must be able to read it";
    Problem { hint: hint.into(), ..Problem::of_text(format!("cannot be read: {error}")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{ApplicationName, DeviceId};

    fn node(id: &str) -> DeviceKey {
        DeviceKey::new(&ApplicationName::parse("app").unwrap(), DeviceId::parse(id).unwrap())
    }

    fn change(text: &str, id: &str, options: Value) -> String {
        changed_overlay(text, &node(id), options.as_object().unwrap()).unwrap()
    }

    #[test]
    fn options_are_added_changed_and_taken_away_key_by_key() {
        let one = change("", "node", json!({"retain": false, "home_assistant": {"t": {"name": "T", "icon": "x"}}}));
        let two = change(&one, "other", json!({"qos": 2, "id": "evil", "application": "evil"}));
        let three = change(&two, "node", json!({"retain": null, "home_assistant": {"t": {"icon": null}}}));
        let said = |text, id| Value::Object(overlaid_options(text, &node(id)).unwrap());
        assert_eq!(said(&three, "node"), json!({"home_assistant": {"t": {"name": "T"}}}));
        assert_eq!(said(&three, "other"), json!({"qos": 2}));
        let none = change(&three, "node", json!({"home_assistant": {"t": {"name": null}}}));
        assert!(none.starts_with(HEADER) && !none.contains("\"node\""), "{none}");
        assert!(change(&none, "other", json!({"qos": null})).trim_end().ends_with("device = []"));
    }

    #[test]
    fn what_is_written_is_there_as_a_whole_and_replaces_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        for text in ["a much longer text", "short"] {
            write_overlay(&path, text).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
