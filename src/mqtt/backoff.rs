//! How long to wait between two connections: doubling, capped, with jitter.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Waiting times that double from `first` to `cap`, each with up to as much again of jitter: many bridges whose
/// network restarted do not come back in the same second.
#[derive(Debug)]
pub struct Backoff {
    builder: ExponentialBuilder,
    waits: ExponentialBackoff,
    cap: Duration,
}

impl Backoff {
    pub fn new(first: Duration, cap: Duration) -> Self {
        let builder =
            ExponentialBuilder::new().with_min_delay(first).with_max_delay(cap).with_jitter().without_max_times();
        Self { builder, waits: builder.build(), cap }
    }

    /// The next wait. Never more than the cap.
    pub fn next_wait(&mut self) -> Duration {
        self.waits.next().unwrap_or(self.cap).min(self.cap)
    }

    /// After a connection that lasted: begin again with short waits.
    pub fn reset(&mut self) {
        self.waits = self.builder.build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_start_again_after_a_reset() {
        let (first, cap) = (Duration::from_secs(1), Duration::from_secs(60));
        let mut backoff = Backoff::new(first, cap);
        let waits: Vec<_> = (0..50).map(|_| backoff.next_wait()).collect();
        assert!(waits[0] >= first && waits[0] <= first * 2, "{:?}", waits[0]);
        assert!(waits.iter().all(|wait| *wait <= cap));
        assert_eq!(waits[49], cap);
        backoff.reset();
        assert!(backoff.next_wait() <= first * 2);
    }
}
