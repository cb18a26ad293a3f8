//! `[availability]`: when a silent device is offline.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A device is offline once it was silent for `factor` times the interval it usually keeps, and never before `floor`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AvailabilityConfig {
    /// How often it may miss its interval. 1.5 to 100.
    #[schemars(range(min = 1.5, max = 100.0))]
    pub factor: f64,
    /// The least silence that makes a device offline. 1s to 720h.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub floor: Duration,
}

impl Default for AvailabilityConfig {
    fn default() -> Self {
        Self { factor: 3.0, floor: Duration::from_secs(10 * 60) }
    }
}
