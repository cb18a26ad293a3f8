//! `[downlink]`: how many downlinks may be open, and what a device may use in a day.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::queue::{Allowance, Limits, Policy};

/// The limits of the downlink queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DownlinkConfig {
    /// Downlinks of one device that are handed to the network at once. Few keep expiry, order and cancelling with the
    /// bridge. 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub in_network: usize,
    /// Open downlinks of one device; more are refused. 1 to 10,000.
    #[schemars(range(min = 1, max = 10000))]
    pub per_device: usize,
    /// Open downlinks of all devices; more are refused. 1 to 1,000,000.
    #[schemars(range(min = 1, max = 1000000))]
    pub total: usize,
    /// Whether `…/set` asks the device to acknowledge. Costs no extra frame: the answer rides on its next uplink.
    pub confirm_set: bool,
    /// Transmissions of such a command at most. 1 to 32; The Things Network's fair use allows 10 downlinks a day.
    #[schemars(range(min = 1, max = 32))]
    pub set_attempts: u8,
    /// What is done when a device has used up its day: `warn`, `hold` (what is below priority `HIGH` waits for the next
    /// day) or `off`.
    pub fair_use: Policy,
    /// Downlinks a device may be sent in a day, repetitions included. 1 to 10,000.
    #[schemars(range(min = 1, max = 10000))]
    pub fair_use_downlinks: u32,
    /// Airtime a device's uplinks may take in a day. 1s to 24h.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub fair_use_airtime: Duration,
}

impl Default for DownlinkConfig {
    fn default() -> Self {
        let Limits { in_network, per_device, total } = Limits::default();
        let Allowance { policy, downlinks, airtime } = Allowance::default();
        Self {
            in_network,
            per_device,
            total,
            confirm_set: true,
            set_attempts: 3,
            fair_use: policy,
            fair_use_downlinks: downlinks,
            fair_use_airtime: airtime,
        }
    }
}

impl DownlinkConfig {
    pub fn limits(&self) -> Limits {
        Limits { in_network: self.in_network.max(1), per_device: self.per_device, total: self.total }
    }

    pub fn allowance(&self) -> Allowance {
        Allowance { policy: self.fair_use, downlinks: self.fair_use_downlinks, airtime: self.fair_use_airtime }
    }
}
