//! How often a device usually reports, learned from when it did.
//!
//! A gap is the time from one uplink to the next, divided by the frames that the counter says it spans. The usual gap is
//! the one in which most *time* goes by: a button pressed five times in ten seconds weighs ten seconds. Silences that
//! come again from day to day, as every night, are usual as well, whatever the device does by day.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::home::AvailabilityConfig;
use crate::model::Uplink;

/// Gaps that are remembered.
const GAPS: usize = 32;
/// Days that are remembered: two weeks have two weekends.
const DAYS: usize = 14;
/// Fewer gaps show no habit, nor do those of a shorter time: they may be of one button, pressed again and again.
const FEW: usize = 3;
const SHORT: u32 = 30 * 60;
/// With fewer days it is not known which silences are ordinary.
const FEW_DAYS: usize = 3;
/// Patience with a device that has no habit, or none that is known: one that reports once a day is not taken for gone.
const LONG: Duration = Duration::from_secs(25 * 3600);
/// A gap is not learned as any longer: a device that reports that rarely needs its interval configured.
const LONGEST: f64 = 31.0 * 24.0 * 3600.0;
/// Intervals in a row without an uplink that count as ordinary on a bad radio link; more is an outage of something.
const MOST_SPANNED: u32 = 5;

/// What is known of one device's habit. All gaps are in whole seconds, at least 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rhythm {
    newest: Option<Frame>,
    /// Oldest first.
    gaps: VecDeque<u32>,
    /// Days on which something was heard, oldest first.
    days: VecDeque<Day>,
    /// How long all gaps together were, in seconds.
    watched: u32,
}

/// An uplink, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Frame {
    at: Timestamp,
    session: Option<String>,
    f_cnt: u32,
}

/// The extremes of one day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Day {
    /// Days since 1970, UTC.
    day: i64,
    /// The longest gap that ended on it.
    longest: u32,
    /// The most intervals from one uplink to the next.
    spanned: u32,
}

/// What the gaps say together.
struct Habit {
    /// Half of the time went by in gaps that are at least as long.
    median: u32,
    /// Whether most of it went by in gaps about as long as the median. Of events that come by chance it is a third.
    is_regular: bool,
    longest: u32,
}

impl Rhythm {
    /// When the newest uplink was sent.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest.as_ref().map(|frame| frame.at)
    }

    /// Learns from an uplink, by the network's clock. One older than the newest teaches nothing.
    pub fn note(&mut self, uplink: &Uplink) {
        let frame = Frame::of(uplink);
        let Some(before) = &self.newest else { return self.newest = Some(frame) };
        let silence = frame.at.duration_since(before.at).as_secs_f64();
        if silence > 0.0 {
            let spanned = frame.intervals_since(before);
            let gap = (silence / f64::from(spanned.unwrap_or(1))).clamp(1.0, LONGEST).round() as u32;
            remember(&mut self.gaps, GAPS, gap);
            self.watched = self.watched.saturating_add(gap);
            // What began with a join, or another start of the device, is no silence it usually keeps.
            if let Some(spanned) = spanned {
                self.note_day(Day { day: frame.at.as_second().div_euclid(24 * 3600), longest: gap, spanned });
            }
        } else if uplink.backfilled {
            return;
        }
        // What is heard now is the newest: if it seems older, the network's clock was set back.
        self.newest = Some(frame);
    }

    /// How often it usually reports; `None` while that is not known, or if it has no habit.
    pub fn interval(&self) -> Option<Duration> {
        self.habit().filter(|habit| habit.is_regular).map(|habit| seconds(habit.median))
    }

    /// The silence after which it is gone.
    pub fn patience(&self, config: &AvailabilityConfig) -> Duration {
        let (factor, floor) = (config.factor, config.floor);
        let ordinary = self.ordinary(|day| day.longest);
        match self.habit() {
            Some(Habit { median, is_regular: true, .. }) => {
                let interval = median.max(ordinary).max(self.lately());
                let spanned = self.ordinary(|day| day.spanned.min(MOST_SPANNED));
                seconds(interval).mul_f64(factor.max(f64::from(spanned) + 0.5)).max(floor)
            }
            habit => {
                let longest = habit.map_or(0, |habit| habit.longest).max(ordinary);
                seconds(longest).mul_f64(factor).max(LONG).max(floor)
            }
        }
    }

    /// What all three last gaps reached: it reports more rarely now.
    fn lately(&self) -> u32 {
        self.gaps.iter().rev().take(FEW).min().copied().unwrap_or_default()
    }

    /// What at least two of the remembered days reached: one alone was an outage.
    fn ordinary(&self, of: impl Fn(&Day) -> u32) -> u32 {
        let mut days: Vec<_> = self.days.iter().map(of).collect();
        days.sort_unstable_by(|a, b| b.cmp(a));
        days.get(1).copied().unwrap_or_default()
    }

    /// Of the gaps without the longest eighth, which an outage may have made, once ordinary silences are known apart.
    fn habit(&self) -> Option<Habit> {
        let mut gaps: Vec<_> = self.gaps.iter().copied().collect();
        gaps.sort_unstable();
        let is_known = gaps.len() >= FEW && self.watched >= SHORT;
        if self.days.len() >= FEW_DAYS {
            gaps.truncate(gaps.len() - gaps.len() / 8);
        }
        let longest = *gaps.last()?;
        let total: u64 = gaps.iter().copied().map(u64::from).sum();
        let mut passed = 0;
        let median = gaps.iter().copied().find(|gap| {
            passed += u64::from(*gap);
            passed * 2 >= total
        })?;
        let alike = |gap: &u32| (0.8..=1.25).contains(&(f64::from(*gap) / f64::from(median)));
        let even: u64 = gaps.iter().copied().filter(alike).map(u64::from).sum();
        Some(Habit { median, is_regular: is_known && even * 5 >= total * 3, longest })
    }

    fn note_day(&mut self, new: Day) {
        match self.days.back_mut().filter(|day| day.day == new.day) {
            Some(day) => (day.longest, day.spanned) = (day.longest.max(new.longest), day.spanned.max(new.spanned)),
            None => remember(&mut self.days, DAYS, new),
        }
    }
}

impl Frame {
    fn of(uplink: &Uplink) -> Self {
        Self { at: uplink.at, session: uplink.session_key_id.clone(), f_cnt: uplink.f_cnt }
    }

    /// How many intervals the frame counter says went by; `None` if it was not counted on.
    fn intervals_since(&self, before: &Self) -> Option<u32> {
        let counts_on = self.session == before.session && self.f_cnt > before.f_cnt;
        counts_on.then(|| self.f_cnt - before.f_cnt)
    }
}

fn remember<T>(all: &mut VecDeque<T>, most: usize, new: T) {
    if all.len() >= most {
        all.pop_front();
    }
    all.push_back(new);
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

#[cfg(test)]
impl Rhythm {
    /// The frame counter that follows the newest uplink's.
    pub fn next_f_cnt(&self) -> u32 {
        self.newest.as_ref().map_or(0, |frame| frame.f_cnt + 1)
    }
}
