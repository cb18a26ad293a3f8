//! Codecs that did not come back rest before they run again, longer each time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

const FIRST_REST: Duration = Duration::from_secs(60);
const LONGEST_REST: Duration = Duration::from_secs(3600);
/// How long after a rest its length is remembered.
const FORGETTING: Duration = Duration::from_secs(24 * 3600);
/// Threads that may be lost to codecs before no script runs any more: each holds its memory until the process ends.
const MOST_ABANDONED: usize = 4;
/// A codec that comes back so soon after it was given up was slow, or its machine busy, rather than stuck.
const SOON: Duration = Duration::from_secs(1);
/// Time-outs in a row after which a codec rests.
const TIME_OUTS_IN_A_ROW: u32 = 3;

/// Which codecs rest, and how many threads are lost. Pure: time is an argument.
#[derive(Debug, Default)]
pub struct Quarantine {
    resting: HashMap<usize, Rest>,
    /// Time-outs in a row, by codec.
    time_outs: HashMap<usize, u32>,
    abandoned: usize,
}

#[derive(Debug)]
struct Rest {
    until: Instant,
    length: Duration,
}

impl Quarantine {
    /// Whether a codec may run now.
    pub fn admits(&self, codec: usize, now: Instant) -> bool {
        self.resting.get(&codec).is_none_or(|rest| now >= rest.until)
    }

    /// Whether too many threads are lost for any codec to run.
    pub fn is_exhausted(&self) -> bool {
        self.abandoned >= MOST_ABANDONED
    }

    /// A codec did not come back, and its thread is lost. Returns how long it rests.
    pub fn abandoned(&mut self, codec: usize, now: Instant) -> Duration {
        self.abandoned += 1;
        self.rest(codec, now)
    }

    /// A thread that was given up came back after all, and ends: it is not lost. A codec that came back soon does not rest
    /// for it; it counts as one that ran into its limit.
    pub fn came_back(&mut self, codec: usize, now: Instant) {
        self.abandoned = self.abandoned.saturating_sub(1);
        if let Some(rest) = self.resting.get_mut(&codec).filter(|rest| now + rest.length <= rest.until + SOON) {
            *rest = Rest { until: now, length: rest.length / 2 };
            self.note(codec, true, now);
        }
    }

    /// A codec came back. One that keeps running into its limit rests too: it costs its lane the whole limit each time.
    pub fn note(&mut self, codec: usize, timed_out: bool, now: Instant) {
        if !timed_out {
            self.time_outs.remove(&codec);
            return;
        }
        let count = self.time_outs.entry(codec).or_default();
        *count += 1;
        if *count >= TIME_OUTS_IN_A_ROW {
            self.time_outs.remove(&codec);
            self.rest(codec, now);
        }
    }

    /// A codec that has behaved for long enough since its last rest begins anew.
    fn rest(&mut self, codec: usize, now: Instant) -> Duration {
        self.resting.retain(|_, rest| now < rest.until + FORGETTING);
        let before = self.resting.get(&codec).map(|rest| rest.length);
        let length = before.map_or(FIRST_REST, |length| (length * 2).min(LONGEST_REST));
        self.resting.insert(codec, Rest { until: now + length, length });
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_and_end() {
        let (mut quarantine, now) = (Quarantine::default(), Instant::now());
        assert!(quarantine.admits(1, now));
        assert_eq!(quarantine.abandoned(1, now), FIRST_REST);
        assert!(!quarantine.admits(1, now) && quarantine.admits(2, now));
        assert!(quarantine.admits(1, now + FIRST_REST));
        assert_eq!(quarantine.abandoned(1, now), FIRST_REST * 2);
        assert_eq!(quarantine.abandoned(1, now + 3 * FORGETTING), FIRST_REST);
    }

    #[test]
    fn time_outs_in_a_row_earn_a_rest_and_a_good_answer_clears_them() {
        let (mut quarantine, now) = (Quarantine::default(), Instant::now());
        for timed_out in [true, true, false, true, true] {
            quarantine.note(7, timed_out, now);
        }
        assert!(quarantine.admits(7, now));
        quarantine.note(7, true, now);
        assert!(!quarantine.admits(7, now) && !quarantine.is_exhausted());
    }

    #[test]
    fn lost_threads_are_bounded_and_those_that_come_back_are_not_lost() {
        let (mut quarantine, now) = (Quarantine::default(), Instant::now());
        (0..MOST_ABANDONED).for_each(|codec| {
            quarantine.abandoned(codec, now);
        });
        assert!(quarantine.is_exhausted());
        quarantine.came_back(0, now + FIRST_REST);
        assert!(!quarantine.is_exhausted());
        assert!(!quarantine.admits(0, now), "that was too late for its rest");
    }

    #[test]
    fn one_that_comes_back_soon_was_slow_and_rests_only_if_it_is_again_and_again() {
        let (mut quarantine, now) = (Quarantine::default(), Instant::now());
        for _ in 1..TIME_OUTS_IN_A_ROW {
            assert_eq!(quarantine.abandoned(7, now), FIRST_REST, "no rest was had");
            quarantine.came_back(7, now + SOON);
            assert!(quarantine.admits(7, now + SOON));
        }
        quarantine.abandoned(7, now);
        quarantine.came_back(7, now + SOON);
        assert!(!quarantine.admits(7, now + SOON) && !quarantine.is_exhausted());
    }
}
