//! `[store]`: how often it commits, and how much it keeps.

use std::time::Duration;

use super::limits::within;
use crate::config::StoreConfig;
use crate::config::error::Report;

pub fn check(store: &StoreConfig, report: &mut Report) {
    let (s, days) = (Duration::from_secs, |n: u64| Duration::from_secs(n * 24 * 3600));
    within(report, "store.commit_interval", store.commit_interval, (s(0), s(1)), "\"0s\" to \"1s\"");
    within(report, "store.spool_size", store.spool_size, (1 << 20, 1 << 50), "\"1MiB\" upwards");
    within(report, "store.spool_age", store.spool_age, (s(60), days(366)), "\"1min\" to \"366d\"");
    within(report, "store.history", store.history, (s(60), days(3660)), "\"1min\" to \"3660d\"");
    within(report, "store.readings_age", store.readings_age, (s(0), days(3660)), "\"0s\" to \"3660d\"");
    within(report, "store.readings_size", store.readings_size, (1 << 20, 1 << 50), "\"1MiB\" upwards");
}
