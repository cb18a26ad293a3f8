//! The clock of this machine beside the network's: one without a battery starts with the time at which it was switched off.
//!
//! The network names its time with each message and each answer. Where the two differ by more than a little, its time is
//! used for whatever cannot be taken back; and the difference is told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{Notice, Notices, WeakNotices};

/// Clocks that differ by less agree: a message may have been under way for so long.
const APART: SignedDuration = SignedDuration::from_mins(5);
/// How often in a row they have to disagree to be told: a single message may have been held up.
const IN_A_ROW: u32 = 2;

/// What time it is, as far as the network tells. Cheap to clone: all clones know the same.
#[derive(Debug, Clone, Default)]
pub struct NetworkClock {
    known: Arc<Mutex<Known>>,
    notices: Option<WeakNotices>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// The network's time, and when it was that.
    heard: Option<(Timestamp, Instant)>,
    /// How often in a row the clocks were found to disagree.
    apart: u32,
}

impl NetworkClock {
    /// One that tells when the clocks begin to disagree, and when they agree again.
    pub fn telling(notices: &Notices) -> Self {
        Self { notices: Some(notices.downgrade()), ..Self::default() }
    }

    /// The network has just said what time it is.
    pub fn heard(&self, at: Timestamp) {
        self.note(at, true);
    }

    /// It had a message at this time: it is no earlier now, but may be later.
    pub fn passed(&self, at: Timestamp) {
        self.note(at, false);
    }

    fn note(&self, at: Timestamp, is_now: bool) {
        let notice = self.lock().hear((at, is_now), (Timestamp::now(), Instant::now()));
        if let (Some(notice), Some(notices)) = (notice, &self.notices) {
            notices.tell(notice);
        }
    }

    /// The time here; or the network's, if the two were more than five minutes apart when it last told.
    pub fn now(&self) -> Timestamp {
        self.lock().best((Timestamp::now(), Instant::now()))
    }

    /// For what goes because it is old: the earlier of the two, so that either may be ahead. None before the network has told
    /// its time.
    pub fn confirmed(&self) -> Option<Timestamp> {
        let network = self.lock().network(Instant::now());
        network.map(|network| network.min(Timestamp::now()))
    }

    /// Never held over an await, nor over anything that may panic.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Returns what is to be told of it. A step back by little is an answer that was longer under way.
    fn hear(&mut self, (at, is_now): (Timestamp, bool), (here, instant): (Timestamp, Instant)) -> Option<Notice> {
        let network = match self.network(instant) {
            Some(steady) if at < steady && !is_now => return None,
            Some(steady) if steady.duration_since(at) < APART => steady.max(at),
            _ => at,
        };
        self.heard = Some((network, instant));
        let ahead = here.duration_since(network);
        let was_told = self.apart >= IN_A_ROW;
        self.apart = if ahead.abs() < APART { 0 } else { self.apart.saturating_add(1) };
        match (was_told, self.apart) {
            (false, IN_A_ROW..) => Some(Notice::ClockWrong { ahead_s: ahead.as_secs(), hint: HINT.into() }),
            (true, 0) => Some(Notice::ClockRight),
            _ => None,
        }
    }

    fn network(&self, instant: Instant) -> Option<Timestamp> {
        let (at, when) = self.heard?;
        let passed = SignedDuration::try_from(instant.saturating_duration_since(when)).unwrap_or(SignedDuration::MAX);
        Some(at.checked_add(passed).unwrap_or(Timestamp::MAX))
    }

    /// Where they agreed, ours counts, however far apart they seem now: the steady clock stands still while the machine
    /// sleeps.
    fn best(&self, (here, instant): (Timestamp, Instant)) -> Timestamp {
        self.network(instant).filter(|_| self.apart > 0).unwrap_or(here)
    }
}

const HINT: &str = "let the system set its clock: `timedatectl set-ntp true` (systemd-timesyncd); without a battery for the \
                    clock, fake-hwclock or an RTC module keeps it from starting far off";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// What is told when the network names these times while the clock here shows those, all within a moment.
    fn told(times: &[(i64, i64)]) -> Vec<Option<Notice>> {
        let (mut known, instant) = (Known::default(), Instant::now());
        times.iter().map(|(network, here)| known.hear((at(*network), true), (at(*here), instant))).collect()
    }

    #[test]
    fn clocks_that_disagree_are_told_once_and_again_when_they_agree() {
        let wrong = |ahead_s| Some(Notice::ClockWrong { ahead_s, hint: HINT.into() });
        let day = 24 * 3600;
        assert_eq!(told(&[(0, 0), (1, -200), (2, 250)]), [None, None, None]);
        assert_eq!(
            told(&[(0, day), (1, day), (2, day), (3, 3), (4, -day), (5, -day)]),
            [None, wrong(day - 1), None, Some(Notice::ClockRight), None, wrong(-day - 5)]
        );
        assert_eq!(told(&[(0, 0), (-400, 0), (0, 0), (-400, 0)]), [None, None, None, None], "held up, each alone");
    }

    #[tokio::test(start_paused = true)]
    async fn the_networks_time_goes_on_and_counts_where_the_clocks_disagree() {
        let (clock, system) = (NetworkClock::default(), Timestamp::now());
        assert_eq!(clock.confirmed(), None);
        assert!(clock.now() >= system);
        let month = SignedDuration::from_hours(30 * 24);
        for network in [system - month, system + month] {
            let clock = NetworkClock::default();
            clock.heard(network);
            tokio::time::advance(Duration::from_secs(3600)).await;
            assert_eq!(clock.now(), network + SignedDuration::from_hours(1));
            let confirmed = clock.confirmed().unwrap();
            assert!(confirmed <= clock.now() && confirmed <= Timestamp::now(), "nothing is old by one of them alone");
            assert!(confirmed >= network.min(system));
        }
        clock.heard(system - SignedDuration::from_secs(30));
        assert!(clock.now() >= system, "they agree");
    }

    #[test]
    fn a_machine_that_slept_goes_by_its_own_clock() {
        let (mut known, instant) = (Known::default(), Instant::now());
        known.hear((at(0), true), (at(1), instant));
        let morning = (at(8 * 3600), instant);
        assert_eq!(known.best(morning), at(8 * 3600), "the steady clock has stood still");
        assert_eq!(known.hear((at(8 * 3600), true), morning), None);
    }

    #[test]
    fn the_networks_time_never_runs_back_a_little() {
        let (mut known, instant) = (Known::default(), Instant::now());
        let mut heard = |network| {
            known.hear((at(network), true), (at(9_000_000), instant));
            known.best((at(9_000_000), instant))
        };
        assert_eq!([heard(100), heard(90), heard(110)], [at(100), at(100), at(110)]);
        assert_eq!(heard(-1000), at(-1000), "it was set");
    }

    #[test]
    fn a_message_of_long_ago_says_nothing_of_the_time() {
        let (mut known, now) = (Known::default(), (at(0), Instant::now()));
        assert_eq!(known.hear((at(1), true), now), None);
        for late in [-9000, -8000, -7000] {
            assert_eq!(known.hear((at(late), false), now), None);
        }
        assert_eq!(known.best(now), at(0));
        assert_eq!(known.hear((at(9000), false), now), None);
        assert!(known.hear((at(9001), false), now).is_some(), "one that comes before its time says something");
    }
}
