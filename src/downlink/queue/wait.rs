//! A span of waiting that a clock set back cannot stretch.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Waits from one moment to a later one.
#[derive(Debug, Clone, Copy)]
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
}
