//! Ranges of numbers and durations, and the log filter.

use std::fmt::Debug;
use std::time::Duration;

use crate::config::Config;
use crate::config::error::Report;
use crate::telemetry::LogLevel;

/// More threads than any machine this runs on has use for.
const MAX_THREADS: usize = 64;

pub fn check(config: &Config, report: &mut Report) {
    let Config { home, downlink, codecs, service, repair, .. } = config;
    let (ms, s, min) = (Duration::from_millis, Duration::from_secs, |n: u64| Duration::from_secs(n * 60));
    within(report, "home.in_flight", home.in_flight, (1, 1000), "1 to 1000 messages");
    within(report, "downlink.in_network", downlink.in_network, (1, 100), "1 to 100 downlinks");
    within(report, "downlink.per_device", downlink.per_device, (1, 10_000), "1 to 10000 downlinks");
    within(report, "downlink.total", downlink.total, (1, 1_000_000), "1 to 1000000 downlinks");
    within(report, "downlink.set_attempts", downlink.set_attempts, (1, 32), "1 to 32 transmissions");
    within(
        report,
        "downlink.fair_use_downlinks",
        downlink.fair_use_downlinks,
        (1, 10_000),
        "1 to 10000 downlinks a day",
    );
    within(
        report,
        "downlink.fair_use_airtime",
        downlink.fair_use_airtime,
        (s(1), min(24 * 60)),
        "\"1s\" to \"24h\" a day",
    );
    within(report, "repair.retention", repair.retention, (min(10), min(366 * 24 * 60)), "\"10min\" to \"366d\"");
    within(report, "repair.fetch_after", repair.fetch_after, (s(0), min(5)), "\"0s\" to \"5min\"");
    within(report, "repair.fetch_again_after", repair.fetch_again_after, (s(0), min(10)), "\"0s\" to \"10min\"");
    within(report, "codecs.refresh", codecs.refresh, (min(10), min(30 * 24 * 60)), "\"10min\" to \"30d\"");
    within(report, "codecs.time_limit", codecs.time_limit, (ms(1), s(10)), "\"1ms\" to \"10s\"");
    within(report, "codecs.memory_limit", codecs.memory_limit, (1 << 20, 256 << 20), "1048576 to 268435456 bytes");
    within(report, "codecs.threads", codecs.threads, (0, MAX_THREADS), "0 to 64; 0 chooses by itself");
    within(report, "service.grace", service.grace, (s(1), min(5)), "\"1s\" to \"5min\"");
    within(report, "service.health_interval", service.health_interval, (s(1), min(60)), "\"1s\" to \"1h\"");
    within(report, "service.intake", service.intake, (100, 1_000_000), "100 to 1000000 messages");
    log_level(&config.log.level, report);
}

pub fn within<T: PartialOrd + Debug>(report: &mut Report, key: &str, value: T, (least, most): (T, T), range: &str) {
    if value < least || value > most {
        report.error(key, format!("{value:?} is out of range"), format!("from {range}"));
    }
}

fn log_level(level: &str, report: &mut Report) {
    if let Err(error) = LogLevel::check(level) {
        report.error("log.level", &error, error.hint());
    }
}
