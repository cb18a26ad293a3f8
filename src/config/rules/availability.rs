//! `[availability]`, and what devices say of theirs.

use std::time::Duration;

use super::limits::within;
use crate::config::Config;
use crate::config::error::Report;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub fn check(config: &Config, report: &mut Report) {
    let second = Duration::from_secs(1);
    within(report, "availability.factor", config.availability.factor, (1.5, 100.0), "1.5 to 100 intervals");
    within(report, "availability.floor", config.availability.floor, (second, 30 * DAY), "\"1s\" to \"720h\"");
    for (index, device) in config.device.iter().enumerate() {
        let at = |key: &str| format!("device[{index}].{key}");
        let of_interval = device.interval.unwrap_or(second);
        within(report, &at("interval"), of_interval, (second, 366 * DAY), "\"1s\" to \"8784h\"");
        let of_silence = device.offline_after.unwrap_or_default();
        within(report, &at("offline_after"), of_silence, (Duration::ZERO, 366 * DAY), "\"0s\" (never) to \"8784h\"");
    }
}
