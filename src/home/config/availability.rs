//! `[availability]`: when a silent device is offline.

use std::time::Duration;

use serde::Deserialize;

/// A device is offline once it was silent for `factor` times the interval it usually keeps, and never before `floor`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AvailabilityConfig {
    /// 1.5 to 100.
    pub factor: f64,
    /// 1s to 30 days.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub floor: Duration,
}

impl Default for AvailabilityConfig {
    fn default() -> Self {
        Self { factor: 3.0, floor: Duration::from_secs(10 * 60) }
    }
}
