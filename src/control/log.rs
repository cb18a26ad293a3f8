//! The request about the log's level.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::{Kind, Problem};
use crate::telemetry::{LogError, LogLevel};

/// Answers what is logged, and changes it: until the next start, and the level also until the configuration's changes.
#[derive(Debug, Clone)]
pub struct Log(pub LogLevel);

/// What shall be logged.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// A level or a filter; with a module, its level, and `null` or nothing takes that away.
    level: Option<String>,
    /// The path of a module, such as `ttn_ferry::network`.
    module: Option<String>,
}

/// What is logged.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Logged {
    /// A level or a filter; `null`: the log of this process is not the bridge's.
    level: Option<String>,
    /// Modules that have levels of their own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    modules: BTreeMap<String, String>,
}

impl Log {
    /// # Errors
    /// It is no level or no module, or the log is not the bridge's.
    pub fn level(&self, wanted: Wanted) -> Result<Logged, Problem> {
        match (wanted.module, wanted.level) {
            (Some(module), level) => {
                self.0.set_module(&module, level.as_deref()).map_err(problem)?;
                tracing::info!(module, level, "The log level of a module was changed by a request.");
            }
            (None, Some(level)) => {
                self.0.set(&level).map_err(problem)?;
                tracing::info!(level, "The log level was changed by a request.");
            }
            (None, None) => {}
        }
        Ok(Logged { level: self.0.now(), modules: self.0.modules() })
    }
}

fn problem(error: LogError) -> Problem {
    let kind = match &error {
        LogError::NoLevel(_) | LogError::NoModule(_) => Kind::Malformed,
        LogError::TooMany | LogError::NoJournal(_) | LogError::NotOurs => Kind::Refused,
    };
    Problem::new(kind, error.to_string()).hint(error.hint())
}
