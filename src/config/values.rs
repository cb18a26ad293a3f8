//! The values of a configuration by their keys: to be shown, and to be compared with another one's.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::Config;

/// Keys whose values are told to nobody at home: they lead to secrets, or to places on the disk.
const PRIVATE: [&str; 5] = ["username", "kek", "socket", "path", "device"];

/// One value in effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// `application[0].cluster`.
    pub key: String,
    /// `None`: it is a secret, and there is one.
    pub value: Option<Value>,
    /// Where it was found: `line 4`, `devices.toml line 2`, `environment TTN_FERRY_API_KEY`, `default` …
    pub from: String,
}

/// By what one configuration differs from another. Applications and devices go by their names here:
/// `device[my-app/soil-1].qos`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(pub Vec<String>);

impl Config {
    /// What may be shown to anyone at home: no secret, no path to one, nothing about devices, of which there is a list.
    pub fn public(&self) -> Value {
        let mut tree = json!(self);
        prune(&mut tree);
        tree
    }

    /// Every value in effect and where it comes from; secrets only by being there.
    pub fn shown(&self) -> Vec<Shown> {
        let from = |key: &str| self.sources.places.get(key).cloned().unwrap_or_else(|| "default".into());
        let plain = self.values().into_iter().map(|(key, value)| Shown { from: from(&key), value: Some(value), key });
        let secret = self.secrets().into_iter().map(|(key, _)| Shown { from: from(&key), value: None, key });
        plain.chain(secret).collect()
    }

    /// By what `other` differs.
    pub fn changes_to(&self, other: &Self) -> Changes {
        let (old, new) = (self.by_name(), other.by_name());
        let all = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
        let mut changed: Vec<_> = all.filter(|key| old.get(*key) != new.get(*key)).cloned().collect();
        changed.sort();
        Changes(changed)
    }

    /// The application's name, if there is only one.
    pub fn only_application(&self) -> Option<&str> {
        if let [only] = &self.application[..] { Some(only.name()) } else { None }
    }

    fn values(&self) -> BTreeMap<String, Value> {
        let mut values = BTreeMap::new();
        flatten(&json!(self), String::new(), &mut values);
        values
    }

    fn secrets(&self) -> Vec<(String, &SecretString)> {
        let applications = self.application.iter().enumerate().flat_map(|(index, application)| {
            let own = application.api_key.as_ref().map(|key| (format!("application[{index}].api_key"), key));
            let keks = application.kek.iter().enumerate().filter_map(move |(number, kek)| {
                Some((format!("application[{index}].kek[{number}].key"), kek.key.as_ref()?))
            });
            own.into_iter().chain(keks)
        });
        let home = self.home.password.as_ref().map(|password| ("home.password".to_owned(), password));
        let web = [("web.password", &self.web.password), ("web.token", &self.web.token)];
        let web = web.into_iter().filter_map(|(key, secret)| Some((key.to_owned(), secret.as_ref()?)));
        let devices = self.device.iter().enumerate();
        let devices =
            devices.filter_map(|(index, it)| Some((format!("device[{index}].app_s_key"), it.app_s_key.as_ref()?)));
        applications.chain(home).chain(web).chain(devices).collect()
    }

    /// Values and secrets, with names in the place of numbers. It stays in here.
    fn by_name(&self) -> BTreeMap<String, Value> {
        let secrets = self.secrets().into_iter().map(|(key, secret)| (key, secret.expose_secret().into()));
        let mut values = self.values();
        for (key, print) in &self.sources.files {
            // A file is another one when something else is in it.
            values.entry(key.clone()).and_modify(|path| *path = json!([path, print]));
        }
        values.into_iter().chain(secrets).map(|(key, value)| (self.named(&key), value)).collect()
    }

    fn named(&self, key: &str) -> String {
        let numbered = key.split_once('[').and_then(|(table, rest)| Some((table, rest.split_once(']')?)));
        let Some((table, (index, rest))) = numbered else { return key.to_owned() };
        let index: usize = index.parse().unwrap_or(usize::MAX);
        let name = match table {
            "application" => self.application.get(index).map(|application| application.name().to_owned()),
            "device" => self.device.get(index).map(|device| {
                let application = device.application.as_deref().or(self.only_application()).unwrap_or_default();
                format!("{application}/{}", device.id)
            }),
            _ => None,
        };
        name.map_or_else(|| key.to_owned(), |name| format!("{table}[{name}]{rest}"))
    }
}

impl Changes {
    /// Those that count only after a restart.
    pub fn needing_restart(&self) -> Vec<String> {
        self.0.iter().filter(|key| !counts_at_once(key)).cloned().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.as_ref().map_or_else(|| "(set)".to_owned(), ToString::to_string);
        write!(f, "{} = {value}  # {}", self.key, self.from)
    }
}

/// Whether a reload applies a change of this key: what neither a connection, the store nor a thread was made with.
pub(super) fn counts_at_once(key: &str) -> bool {
    let (table, rest) = key.split_once('.').unwrap_or((key, ""));
    // A name in brackets may hold dots.
    let last = key.rsplit("].").next().unwrap_or(rest);
    match table.split('[').next().unwrap_or(table) {
        "home_assistant" | "availability" => true,
        "home" => {
            let template = rest.ends_with("_topic") && rest != "base_topic";
            template || ["output", "retain", "qos", "throttle", "expiry"].contains(&rest)
        }
        "device" => !["app_s_key", "app_s_key_file"].contains(&last),
        "application" => last == "codec",
        _ => ["log.level", "service.health_interval", "web.tls_cert_file", "web.tls_key_file"].contains(&key),
    }
}

/// Leaves by their keys; what is not set or empty is none.
fn flatten(value: &Value, key: String, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Null => {}
        Value::Object(map) => {
            for (name, value) in map {
                flatten(value, if key.is_empty() { name.clone() } else { format!("{key}.{name}") }, into);
            }
        }
        Value::Array(all) if all.iter().all(Value::is_object) => {
            for (index, value) in all.iter().enumerate() {
                flatten(value, format!("{key}[{index}]"), into);
            }
        }
        leaf => drop(into.insert(key, leaf.clone())),
    }
}

fn prune(value: &mut Value) {
    let is_public = |key: &str, value: &Value| !value.is_null() && !key.ends_with("_file") && !PRIVATE.contains(&key);
    match value {
        Value::Object(map) => {
            *map = std::mem::take(map).into_iter().filter(|(key, value)| is_public(key, value)).collect::<Map<_, _>>();
            map.values_mut().for_each(prune);
        }
        Value::Array(all) => all.iter_mut().for_each(prune),
        _ => {}
    }
}
