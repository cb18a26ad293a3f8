//! Names that cannot be wrong: parsed once at the edge, passed around as types.

use std::fmt;
use std::sync::Arc;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("the name is empty")]
    Empty,
    #[error("`{0}` has an empty level: no leading, trailing or double `/`")]
    EmptyLevel(String),
    #[error("`{0}` holds {1:?}, which MQTT reserves")]
    Reserved(String, char),
    #[error("`{0}` is no TTN id: 3 to 36 of a-z, 0-9 and single dashes inside")]
    NotAnId(String),
    #[error("`{0}` is one of the bridge's own topics")]
    Bridge(String),
    #[error("`{0}` has the level `{1}`, which the bridge uses below a device")]
    OwnLevel(String, String),
}

/// What stands below a device's name in the bridge's topics: a name with such a level would fall on another's topics.
const OWN_LEVELS: [&str; 5] = ["uplink", "event", "availability", "set", "downlink"];

/// The name one `[[application]]` of the configuration goes by: its id, unless two of them share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, schemars::JsonSchema)]
#[schemars(inline)]
pub struct ApplicationName(Arc<str>);

/// A device's id at TTN: `^[a-z0-9](?:[-]?[a-z0-9]){2,35}$`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, schemars::JsonSchema)]
#[schemars(inline)]
pub struct DeviceId(Arc<str>);

/// A device's name at home: one or more topic levels, safe to publish under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, schemars::JsonSchema)]
#[schemars(inline)]
pub struct HomeName(Arc<str>);

/// One device of one application: what every queue and table is keyed by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct DeviceKey {
    pub application: ApplicationName,
    pub device: DeviceId,
}

impl ApplicationName {
    /// Takes any text that can stand as one topic level.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        topic_level(text).map(|()| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DeviceId {
    /// Takes what TTN takes as an id, so that nothing else ever reaches a URL path or a topic.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        ttn_id(text).then(|| Self(text.into())).ok_or_else(|| InvalidName::NotAnId(clip(text)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl HomeName {
    /// The name of a device that nobody gave one: its id, which is always a clean topic level. Only one called `bridge`
    /// collides with the bridge's own topics.
    pub fn of_id(id: &DeviceId) -> Self {
        Self::parse(id.as_str())
            .or_else(|_| Self::parse(&format!("device-{id}")))
            .expect("a device id is one clean level")
    }

    /// Takes `/`-separated levels, none empty, without `+`, `#` or NUL, not below the bridge's own `bridge`, and none
    /// after the first that the bridge uses below a device.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        text.split('/').try_for_each(|level| match level {
            "" if text.is_empty() => Err(InvalidName::Empty),
            "" => Err(InvalidName::EmptyLevel(clip(text))),
            level => reserved(level).map_or(Ok(()), |c| Err(InvalidName::Reserved(clip(text), c))),
        })?;
        if text.split('/').next() == Some("bridge") {
            return Err(InvalidName::Bridge(clip(text)));
        }
        match text.split('/').skip(1).find(|level| OWN_LEVELS.contains(level)) {
            Some(level) => Err(InvalidName::OwnLevel(clip(text), level.into())),
            None => Ok(Self(text.into())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DeviceKey {
    pub fn new(application: &ApplicationName, device: DeviceId) -> Self {
        Self { application: application.clone(), device }
    }
}

/// Whether TTN would take `text` as the id of an application or a device.
pub fn ttn_id(text: &str) -> bool {
    (3..=36).contains(&text.len())
        && text
            .split('-')
            .all(|run| !run.is_empty() && run.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

fn topic_level(text: &str) -> Result<(), InvalidName> {
    match text {
        "" => Err(InvalidName::Empty),
        text if text.contains('/') => Err(InvalidName::Reserved(clip(text), '/')),
        text => reserved(text).map_or(Ok(()), |c| Err(InvalidName::Reserved(clip(text), c))),
    }
}

fn reserved(level: &str) -> Option<char> {
    level.chars().find(|c| matches!(c, '+' | '#' | '\0') || c.is_control())
}

/// What an error repeats of a stranger's text: enough to recognise it.
fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

macro_rules! shown_as_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    )*};
}
shown_as_text!(ApplicationName, DeviceId, HomeName);

/// What was written down once is checked again when it is read.
macro_rules! read_from_text {
    ($($name:ident),*) => {$(
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    )*};
}
read_from_text!(ApplicationName, DeviceId);

impl fmt::Display for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.application, self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn device_ids_are_what_ttn_takes() {
        for good in ["abc", "node-1", "eui-70b3d57ed0000001", &"a".repeat(36)] {
            assert!(DeviceId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "-abc", "abc-", "a--bc", "Abc", "a/b", "a+b", "a b", &"a".repeat(37)] {
            assert!(DeviceId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn home_names_may_have_levels_but_never_wildcards_or_the_bridges_own_topics() {
        for good in ["kitchen", "ground floor/kitchen", "Wohnzimmer/Südseite", "bridges/kitchen", "uplink"] {
            assert!(HomeName::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["", "/a", "a/", "a//b", "a/+", "#", "a\0", "a\nb", "bridge", "bridge/x", "kitchen/uplink", "a/set/b"]
        {
            assert!(HomeName::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_home_name_never_makes_a_wildcard(text in "\\PC{0,40}") {
            if let Ok(name) = HomeName::parse(&text) {
                prop_assert!(!name.as_str().contains(['+', '#', '\0']));
                prop_assert!(name.as_str().split('/').all(|level| !level.is_empty()));
            }
        }
    }
}
