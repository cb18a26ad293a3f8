//! What a `device.toml` beside somebody's own codec says: as much of the shipped folders' form as its owner cares for.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::metadata::Engine;
use crate::metadata::{Command, Field};

/// Fields and commands of a device that is not shipped.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    engine: Option<Engine>,
    /// What the decoded fields are.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// What the device can be told.
    #[serde(default)]
    pub commands: Vec<Command>,
    /// For people, and taken so that a shipped folder can be copied as it is.
    #[serde(rename = "name")]
    _name: Option<IgnoredAny>,
    #[serde(rename = "vendor")]
    _vendor: Option<IgnoredAny>,
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "payload_reference")]
    _payload_reference: Option<IgnoredAny>,
    #[serde(rename = "match")]
    _matches: Option<IgnoredAny>,
}

/// A `device.toml` that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DescriptionError {
    message: String,
    /// Where, counted from 1.
    pub line: Option<u32>,
}

impl Description {
    /// Reads a `device.toml`.
    ///
    /// # Errors
    /// It is no TOML, or says something that nobody understands.
    pub fn parse(text: &str) -> Result<Self, DescriptionError> {
        toml::from_str(text).map_err(|error: toml::de::Error| DescriptionError {
            message: error.message().replace('\n', ", "),
            line: error.span().and_then(|span| line_at(text, span.start)),
        })
    }

    /// Whether it asks for Cayenne LPP, which needs no file of its own.
    pub fn is_cayenne_lpp(&self) -> bool {
        self.engine == Some(Engine::CayenneLpp)
    }
}

fn line_at(text: &str, offset: usize) -> Option<u32> {
    let before = text.as_bytes().get(..offset)?;
    u32::try_from(before.iter().filter(|byte| **byte == b'\n').count() + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shipped_folders_description_can_be_copied() {
        let text = include_str!("../../devices/dragino/lht65n/device.toml");
        let description = Description::parse(text).unwrap();
        assert!(description.fields.len() > 2 && !description.is_cayenne_lpp());
    }

    #[test]
    fn everything_may_be_left_out_and_nothing_misspelt() {
        assert!(Description::parse("").unwrap().fields.is_empty());
        assert!(Description::parse("engine = 'cayenne-lpp'").unwrap().is_cayenne_lpp());
        let error = Description::parse("\n[[fields]]\nname = 'a'\nunits = 'V'\n").unwrap_err();
        assert_eq!(error.line, Some(4));
        assert!(error.to_string().contains("units"), "{error}");
    }
}
