//! A span of waiting that a clock set back cannot stretch.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Waits from one moment to a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    since: Timestamp,
    pub until: Timestamp,
}

impl Wait {
    pub fn new(since: Timestamp, span: Duration) -> Self {
        let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        Self { since, until: since.checked_add(span).unwrap_or(Timestamp::MAX) }
    }

    /// Whether the wait has ended. A clock that shows less than at its beginning was set back: nobody knows how long it
    /// lasted, so it counts as over.
    pub fn over(&self, now: Timestamp) -> bool {
        now >= self.until || now < self.since
    }

    /// Whether so much time has surely passed since it began.
    pub fn lasted(&self, span: Duration, now: Timestamp) -> bool {
        now >= Self::new(self.since, span).until
    }

    /// The same wait from the beginning, if the clock was set back since: for what must not be too early.
    pub fn restarted(self, now: Timestamp) -> Self {
        match now < self.since {
            true => Self::new(now, Duration::try_from(self.until.duration_since(self.since)).unwrap_or_default()),
            false => self,
        }
    }
}
