//! `[[application]]`: one application at The Things Network or any other Things Stack.

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// One application to bridge.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplicationConfig {
    /// The application id in the console.
    #[schemars(example = &"my-app")]
    pub id: String,
    /// How the bridge calls it, if two applications have the same id.
    #[schemars(example = &"garden")]
    pub name: Option<String>,
    /// Tenant: `ttn` on The Things Network; empty for a stack without tenants.
    #[serde(default = "ttn_tenant")]
    pub tenant: String,
    /// Cluster: `eu1`, `nam1`, `au1` …
    #[schemars(example = &"eu1")]
    pub cluster: Option<String>,
    /// Instead of a cluster: `mqtts://host[:8883]` or `mqtt://host[:1883]`.
    #[schemars(example = &"mqtts://tts.example.org")]
    pub mqtt_url: Option<String>,
    /// Instead of a cluster: `https://host[:port]`, with or without `/api/v3`.
    #[schemars(example = &"https://tts.example.org")]
    pub api_url: Option<String>,
    /// The host of the Identity Server if it is another one: `https://eu1.cloud.thethings.network` for all of TTN.
    #[schemars(example = &"https://eu1.cloud.thethings.network")]
    pub identity_url: Option<String>,
    /// PEM file with the CA to trust instead of the public ones.
    #[schemars(example = &"ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// The API key, best left out: see `api_key_file`.
    #[serde(default, skip_serializing)]
    #[schemars(with = "Option<String>", example = &"NNSXS...")]
    pub api_key: Option<SecretString>,
    /// File that holds the API key and nothing else. Without it: `TTN_FERRY_API_KEY_<NAME>`, `TTN_FERRY_API_KEY`, or
    /// the systemd credential `api-key-<name>` or `api-key`.
    #[schemars(example = &"ttn-ferry.key")]
    pub api_key_file: Option<PathBuf>,
    /// The codec for devices that have none of their own.
    #[schemars(example = &"mbed/led-and-sensors")]
    pub codec: Option<String>,
    /// Keys with which a Join Server wraps the session keys of devices whose payloads the network cannot read.
    #[serde(default)]
    #[schemars(example = serde_json::json!([{ "label": "as/mykek", "key_file": "kek.key" }]))]
    pub kek: Vec<KekConfig>,
}

/// A key encryption key (RFC 3394) for session keys.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KekConfig {
    /// The label that the Join Server gives it: `as/mykek`. The network names it beside each wrapped key.
    #[schemars(example = &"as/mykek")]
    pub label: String,
    /// File that holds the key and nothing else: 32, 48 or 64 hexadecimal digits. Without it: `TTN_FERRY_KEK_<LABEL>`, or
    /// the systemd credential `kek-<label>`, with dashes for all that cannot stand in a file's name.
    #[schemars(example = &"kek.key")]
    pub key_file: Option<PathBuf>,
    #[serde(skip)]
    pub key: Option<SecretString>,
}

impl ApplicationConfig {
    /// How the bridge calls it: its `name`, else its id.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

fn ttn_tenant() -> String {
    "ttn".into()
}
