//! `[repair]`: when the network is asked for what was missed, and how far back.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How missed messages are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RepairConfig {
    /// How long the network keeps messages: a day on The Things Network, more on paid plans. 10min to 366d.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub retention: Duration,
    /// How long after a gap's end it is fetched: the network writes its storage in batches. Up to 5min.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub fetch_after: Duration,
    /// How long after that it is fetched once more, for late batches; then it is told what is lost. Up to 10min.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub fetch_again_after: Duration,
}

impl Default for RepairConfig {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(24 * 3600),
            fetch_after: Duration::from_secs(5),
            fetch_again_after: Duration::from_secs(120),
        }
    }
}
