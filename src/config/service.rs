//! `[log]` and `[service]`: the process itself.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::telemetry::LogFormat;

/// `[log]`: what the bridge writes to standard error, or to the journal under systemd.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,ttn_ferry::network=debug`.
    pub level: String,
    /// `text`, `json` (one object a line) or `journald` (facts as fields of the journal, which begin with `TTN_FERRY_`).
    /// `auto`: the journal if standard error leads there, else text.
    pub format: LogFormat,
}

/// `[service]`: the process itself.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceConfig {
    /// How long a stop may take before what is left is given up. 1s to 5min.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub grace: Duration,
    /// How often `bridge/health` is published. 1s to 1h.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub health_interval: Duration,
    /// Uplinks the bridge holds between the TTN socket and its decoders before it must drop. 100 to 1,000,000.
    #[schemars(range(min = 100, max = 1000000))]
    pub intake: usize,
    /// The Unix socket of the control API. Without it: in systemd's `RuntimeDirectory`, else in `$XDG_RUNTIME_DIR`, else
    /// in the folder of the store. `""`: none.
    #[schemars(example = &"control.sock")]
    pub socket: Option<PathBuf>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Auto }
    }
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), health_interval: Duration::from_secs(60), intake: 10_000, socket: None }
    }
}
