//! `[codecs]`: where a user's codecs lie, and what a codec may use.

use std::path::PathBuf;
use std::time::Duration;

use payload_codecs::Limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where codecs are looked for and how they are held in check.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CodecsConfig {
    /// Folder of the user's own codecs: `<name>.js`, `<name>.toml` (a table), or a folder `<name>/` with `codec.js` or
    /// `codec.toml` and perhaps a `device.toml`. A name is a device's id, `<brand>/<model>`, or whatever a `codec = …` or
    /// an attribute `ferry-codec` says. Without it: `codecs` beside the configuration, if that is there at the start. What changes in it
    /// is used without a restart.
    #[schemars(example = &"codecs")]
    pub folder: Option<PathBuf>,
    /// A clone of <https://github.com/TheThingsNetwork/lorawan-devices>, for devices whose brand and model the network
    /// knows. What changes in it is used without a restart.
    #[schemars(example = &"lorawan-devices")]
    pub device_repository: Option<PathBuf>,
    /// How long the network's own payload formatter of a device counts before it is asked for again. 10min to 30d.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub refresh: Duration,
    /// Time for one message. 1ms to 10s; The Things Network gives 100ms.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub time_limit: Duration,
    /// Memory of one codec in bytes. 1 MiB to 256 MiB.
    #[schemars(range(min = 1048576, max = 268435456))]
    pub memory_limit: usize,
    /// Threads that run codecs, up to 64. 0: one for each processor, 4 at most.
    #[schemars(range(min = 0, max = 64))]
    pub threads: usize,
}

impl CodecsConfig {
    /// What one call of a codec may use.
    pub fn limits(&self) -> Limits {
        Limits { time: self.time_limit, memory: self.memory_limit, ..Limits::default() }
    }
}

impl Default for CodecsConfig {
    fn default() -> Self {
        Self {
            folder: None,
            device_repository: None,
            refresh: Duration::from_secs(24 * 3600),
            time_limit: Duration::from_millis(100),
            memory_limit: 8 << 20,
            threads: 0,
        }
    }
}
