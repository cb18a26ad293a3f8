//! The request about the log's level.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::{Kind, Problem};
use crate::telemetry::{LogError, LogLevel};

/// Answers what is logged, and changes it until the next start or reload.
#[derive(Debug, Clone)]
pub struct Log(pub LogLevel);

/// What shall be logged.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// A level or a filter; without it nothing changes.
    level: Option<String>,
}

/// What is logged.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Logged {
    /// A level or a filter; `null`: the log of this process is not the bridge's.
    level: Option<String>,
}

impl Log {
    /// # Errors
    /// It is no level, or the log is not the bridge's.
    pub fn level(&self, wanted: Wanted) -> Result<Logged, Problem> {
        if let Some(level) = wanted.level {
            self.0.set(&level).map_err(problem)?;
            tracing::info!(level, "The log level was changed by a request.");
        }
        Ok(Logged { level: self.0.now() })
    }
}

fn problem(error: LogError) -> Problem {
    let kind = match &error {
        LogError::NoLevel(_) => Kind::Malformed,
        LogError::NotOurs => Kind::Refused,
    };
    Problem::new(kind, error.to_string()).hint(error.hint())
}
