//! The fair-use guard: what each device used of its day, against what a community network lets it use. Pure.
//!
//! The Things Network's Sandbox allows a device 30 s of uplink airtime and 10 downlinks a day on average, and counts
//! retries and the network's own answers as downlinks. What is counted here: the airtime of the uplinks that were heard,
//! and every transmission that was reported, ours or anybody's. Answers that carry MAC commands only are not reported.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::item::Why;
use crate::model::{DeviceKey, Priority};

const EPOCH: Date = Date::constant(1970, 1, 1);
/// Days of a device that are remembered: with a clock that is set, one that seemed over may go on.
const DAYS: usize = 3;

/// What is done when a device has used up its day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Told once a day.
    #[default]
    Warn,
    /// Told, and downlinks below priority `HIGH` wait for the next day.
    Hold,
    Off,
}

/// What a device may use in a day, and what is done beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub policy: Policy,
    pub downlinks: u32,
    pub airtime: Duration,
}

/// Which part of the day's allowance is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    Downlinks,
    Airtime,
}

/// What one device used on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Days since 1970, UTC.
    pub day: i32,
    pub airtime: Duration,
    pub downlinks: u32,
}

/// Everybody's day.
#[derive(Debug)]
pub struct FairUse {
    allowance: Allowance,
    /// By their days.
    devices: HashMap<DeviceKey, BTreeMap<i32, Today>>,
    changed: BTreeSet<(DeviceKey, i32)>,
}

#[derive(Debug, Clone, Copy)]
struct Today {
    usage: Usage,
    /// A transmission is reported once more now and then.
    last_sent: Option<Timestamp>,
}

impl Exceeded {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Downlinks => "downlinks",
            Self::Airtime => "airtime",
        }
    }
}

impl Usage {
    /// The day it was used on, UTC.
    pub fn date(&self) -> Date {
        jiff::Span::new().try_days(self.day).and_then(|span| EPOCH.checked_add(span)).unwrap_or(EPOCH)
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Self { policy: Policy::default(), downlinks: 10, airtime: Duration::from_secs(30) }
    }
}

impl FairUse {
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, devices: HashMap::new(), changed: BTreeSet::new() }
    }

    /// Goes on from what the store kept, whatever day it may be by the clock at a start.
    pub fn restore(&mut self, used: impl IntoIterator<Item = (DeviceKey, Usage)>) {
        for (key, usage) in used {
            self.devices.entry(key).or_default().insert(usage.day, Today { usage, last_sent: None });
        }
    }

    /// An uplink was heard. Tells if it was the one that used up the day.
    pub fn heard(&mut self, key: &DeviceKey, airtime: Duration, now: Timestamp) -> Option<(Exceeded, Usage)> {
        if self.allowance.policy == Policy::Off || airtime.is_zero() {
            return None;
        }
        let limit = self.allowance.airtime;
        let today = self.today(key, now);
        let before = today.usage.airtime;
        today.usage.airtime = before.saturating_add(airtime);
        let usage = today.usage;
        if usage.airtime.as_secs() > before.as_secs() {
            self.changed.insert((key.clone(), usage.day));
        }
        (before <= limit && usage.airtime > limit).then_some((Exceeded::Airtime, usage))
    }

    /// A downlink was transmitted; `at` by the network's clock. Tells if it was the last of the day.
    pub fn sent(&mut self, key: &DeviceKey, at: Timestamp, now: Timestamp) -> Option<(Exceeded, Usage)> {
        if self.allowance.policy == Policy::Off {
            return None;
        }
        let limit = self.allowance.downlinks;
        let today = self.today(key, now);
        if today.last_sent.is_some_and(|last| last >= at) {
            return None;
        }
        today.last_sent = Some(at);
        today.usage.downlinks = today.usage.downlinks.saturating_add(1);
        let usage = today.usage;
        self.changed.insert((key.clone(), usage.day));
        (usage.downlinks == limit).then_some((Exceeded::Downlinks, usage))
    }

    /// What a device has used of today, and of how much; nothing if that is not counted.
    pub fn of(&self, key: &DeviceKey, now: Timestamp) -> Option<(Usage, Allowance)> {
        let unused = Usage { day: day(now), airtime: Duration::ZERO, downlinks: 0 };
        (self.allowance.policy != Policy::Off).then(|| (self.used(key, unused.day).unwrap_or(unused), self.allowance))
    }

    /// Why downlinks of this device wait for the next day, those that are not urgent.
    pub fn holds(&self, key: &DeviceKey, now: Timestamp) -> Option<Why> {
        let Allowance { policy, downlinks, airtime } = self.allowance;
        if policy != Policy::Hold {
            return None;
        }
        let usage = self.used(key, day(now))?;
        let reason = if usage.downlinks >= downlinks {
            format!("fair use: the device's {downlinks} downlinks of today are used up")
        } else if usage.airtime > airtime {
            format!("fair use: the device's {} s of airtime of today are used up", airtime.as_secs())
        } else {
            return None;
        };
        Some(Why::reason(reason).hint("it goes out after midnight UTC; priority HIGH and HIGHEST go at once"))
    }

    /// When a new day begins, if anybody waits for that.
    pub fn next_day(&self, now: Timestamp) -> Option<Timestamp> {
        let date = now.to_zoned(TimeZone::UTC).date();
        let midnight = date.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
        (self.allowance.policy == Policy::Hold).then_some(midnight)
    }

    /// What the store has to keep that it does not have yet.
    pub fn take_changes(&mut self) -> Vec<(DeviceKey, Usage)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().filter_map(|(key, day)| self.used(&key, day).map(|usage| (key, usage))).collect()
    }

    fn used(&self, key: &DeviceKey, day: i32) -> Option<Usage> {
        self.devices.get(key)?.get(&day).map(|today| today.usage)
    }

    fn today(&mut self, key: &DeviceKey, now: Timestamp) -> &mut Today {
        let day = day(now);
        let days = self.devices.entry(key.clone()).or_default();
        let last_sent = days.values().filter_map(|today| today.last_sent).max();
        if days.len() >= DAYS && !days.contains_key(&day) {
            days.pop_first();
        }
        let new = Today { usage: Usage { day, airtime: Duration::ZERO, downlinks: 0 }, last_sent };
        days.entry(day).or_insert(new)
    }
}

/// Whether a day that is used up lets a downlink go out all the same.
pub fn urgent(priority: Priority) -> bool {
    priority >= Priority::High
}

/// Days since 1970, UTC.
fn day(now: Timestamp) -> i32 {
    (now.to_zoned(TimeZone::UTC).date() - EPOCH).get_days()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApplicationName, DeviceId};

    fn key() -> DeviceKey {
        DeviceKey::new(&ApplicationName::parse("my-app").unwrap(), DeviceId::parse("lamp").unwrap())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn guard(policy: Policy) -> FairUse {
        FairUse::new(Allowance { policy, downlinks: 2, ..Allowance::default() })
    }

    #[test]
    fn the_last_downlink_of_the_day_is_told_once_and_the_next_day_is_a_new_one() {
        let mut guard = guard(Policy::Hold);
        let now = at("2026-11-21T12:00:00Z");
        assert_eq!(guard.sent(&key(), at("2026-11-21T12:00:00Z"), now), None);
        assert_eq!(guard.sent(&key(), at("2026-11-21T12:00:00Z"), now), None, "the same report again");
        assert_eq!(guard.holds(&key(), now), None);
        let (exceeded, usage) = guard.sent(&key(), at("2026-11-21T12:00:01Z"), now).unwrap();
        assert_eq!((exceeded, usage.downlinks, usage.day), (Exceeded::Downlinks, 2, 20_778));
        assert!(guard.holds(&key(), now).unwrap().reason.unwrap().contains("2 downlinks"));
        assert_eq!(guard.sent(&key(), at("2026-11-21T12:00:02Z"), now), None, "told already");
        assert_eq!(guard.next_day(now), Some(at("2026-11-22T00:00:00Z")));
        assert_eq!(guard.holds(&key(), at("2026-11-22T00:00:00Z")), None);
    }

    #[test]
    fn airtime_is_added_up_and_saved_by_the_second() {
        let mut guard = guard(Policy::Hold);
        let now = at("2026-11-21T12:00:00Z");
        for _ in 0..60 {
            assert_eq!(guard.heard(&key(), Duration::from_millis(500), now), None);
        }
        assert_eq!(guard.take_changes().len(), 1);
        let (exceeded, usage) = guard.heard(&key(), Duration::from_millis(500), now).unwrap();
        assert_eq!((exceeded, usage.airtime), (Exceeded::Airtime, Duration::from_millis(30_500)));
        assert_eq!(guard.take_changes(), [], "no new second yet");
        assert!(guard.holds(&key(), now).unwrap().reason.unwrap().contains("30 s"));
    }

    #[test]
    fn a_restart_goes_on_with_the_same_day_and_does_not_tell_again() {
        let now = at("2026-11-21T12:00:00Z");
        let usage = Usage { day: day(now), airtime: Duration::ZERO, downlinks: 2 };
        let mut guard = guard(Policy::Hold);
        guard.restore([(key(), usage)]);
        assert!(guard.holds(&key(), now).is_some());
        assert_eq!(guard.sent(&key(), now, now), None);
        let mut tomorrow = FairUse::new(guard.allowance);
        tomorrow.restore([(key(), usage)]);
        assert_eq!(tomorrow.take_changes(), []);
        assert!(tomorrow.holds(&key(), at("2026-11-22T12:00:00Z")).is_none());
    }

    #[test]
    fn a_clock_that_is_wrong_for_a_while_takes_nothing_of_the_day() {
        let (wrong, now) = (at("1970-01-01T00:05:00Z"), at("2026-11-21T12:00:00Z"));
        let mut guard = guard(Policy::Hold);
        guard.restore([(key(), Usage { day: day(now), airtime: Duration::ZERO, downlinks: 1 })]);
        assert_eq!(guard.sent(&key(), at("2026-11-21T11:59:00Z"), wrong), None);
        let (_, usage) = guard.sent(&key(), now, now).expect("the second of the day");
        assert_eq!((usage.downlinks, usage.day), (2, day(now)));
        let kept: Vec<_> = guard.take_changes().into_iter().map(|(_, usage)| (usage.day, usage.downlinks)).collect();
        assert_eq!(kept, [(0, 1), (day(now), 2)]);
        assert!(guard.holds(&key(), wrong).is_none() && guard.holds(&key(), now).is_some());
    }

    #[test]
    fn warn_holds_nothing_and_off_counts_nothing() {
        let now = at("2026-11-21T12:00:00Z");
        for policy in [Policy::Warn, Policy::Off] {
            let mut guard = guard(policy);
            let told = (0..5).filter_map(|second| guard.sent(&key(), at(&format!("2026-11-21T12:00:0{second}Z")), now));
            assert_eq!(told.count(), usize::from(policy == Policy::Warn));
            assert_eq!((guard.holds(&key(), now), guard.next_day(now)), (None, None));
        }
    }
}
