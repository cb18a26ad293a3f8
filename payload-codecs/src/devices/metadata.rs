//! What a `device.toml` says.

use serde::Deserialize;

use crate::metadata::{Command, Field};

/// A whole `device.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metadata {
    pub name: String,
    pub vendor: String,
    pub description: String,
    pub payload_reference: String,
    pub engine: Engine,
    #[serde(rename = "match")]
    pub matches: Option<Match>,
    /// Empty for a table, which says itself what its fields and commands are.
    #[serde(default)]
    pub fields: Vec<Field>,
    #[serde(default)]
    pub commands: Vec<Command>,
}

impl Metadata {
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

/// What reads the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Engine {
    #[serde(rename = "javascript")]
    JavaScript,
    #[serde(rename = "table")]
    Table,
    #[serde(rename = "cayenne-lpp")]
    CayenneLpp,
}

/// How The Things Network's device repository names the device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// `version_ids.brand_id` of an uplink.
    pub brand_id: String,
    /// `version_ids.model_id` of an uplink.
    pub model_id: String,
}
