//! Whether the read loop keeps turning: a second that lasts much longer is one in which nothing was read.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

const BEAT: Duration = Duration::from_secs(1);
/// How late a beat may come: what the server's own buffers hold until then is not lost.
const STALL: Duration = Duration::from_secs(5);

/// Beats once a second, unless the process is suspended or its thread held up.
pub struct Pulse {
    interval: Interval,
    last: Moment,
}

/// A moment on both clocks: the machine's stands still while it is suspended, the world's may be set.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub at: Timestamp,
    pub instant: Instant,
}

impl Pulse {
    pub fn start() -> Self {
        let mut interval = interval(BEAT);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, last: Moment::now() }
    }

    /// Waits for the next beat. May be dropped at any time.
    pub async fn next(&mut self) -> Moment {
        self.interval.tick().await;
        Moment::now()
    }

    /// Since when nothing was read, if this beat came too late.
    pub fn stalled_since(&mut self, beat: Moment) -> Option<Timestamp> {
        let lasted = std::mem::replace(&mut self.last, beat).until(beat);
        (lasted >= BEAT + STALL).then(|| beat.at - lasted)
    }
}

impl Moment {
    pub fn now() -> Self {
        Self { at: Timestamp::now(), instant: Instant::now() }
    }

    /// How long it is to a later moment, by the clock that saw more of it.
    pub fn until(self, later: Self) -> Duration {
        let by_world = Duration::try_from(later.at.duration_since(self.at)).unwrap_or_default();
        by_world.max(later.instant.duration_since(self.instant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Since how many seconds nothing was read, for a beat this much later on the world's clock and on the machine's.
    async fn stalled(by_world: i64, by_machine: u64) -> Option<i64> {
        let mut pulse = Pulse::start();
        let start = pulse.last;
        let at = start.at + jiff::SignedDuration::from_secs(by_world);
        let beat = Moment { at, instant: start.instant + Duration::from_secs(by_machine) };
        let since = pulse.stalled_since(beat)?;
        assert_eq!(pulse.stalled_since(beat), None, "it is told once");
        Some(at.duration_since(since).as_secs())
    }

    #[tokio::test]
    async fn a_beat_in_time_is_no_stall() {
        assert_eq!(stalled(1, 1).await, None);
        assert_eq!(stalled(5, 5).await, None);
    }

    #[tokio::test]
    async fn a_suspended_machine_and_a_held_thread_are_stalls_and_a_clock_set_back_hides_none() {
        assert_eq!(stalled(3600, 1).await, Some(3600), "suspended");
        assert_eq!(stalled(7, 7).await, Some(7), "held up");
        assert_eq!(stalled(-3600, 7).await, Some(7), "held up while the clock was set back");
        assert_eq!(stalled(-3600, 1).await, None);
    }
}
