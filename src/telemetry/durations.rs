//! How long something took, by classes: a histogram that never waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the classes, in seconds. A table takes microseconds, a script about a millisecond, and none may
/// take longer than its limit, which is 100 ms unless the configuration says otherwise.
const BOUNDS: [f64; 9] = [0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0];

/// Durations by class.
#[derive(Debug, Default)]
pub struct Durations {
    /// The last class has no bound.
    classes: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Durations {
    pub fn note(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let class = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Their sum in seconds.
    pub fn sum(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64()
    }

    /// Upper bounds in seconds, and how many were in each class.
    pub fn classes(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        bounds.zip(&self.classes).map(|(bound, class)| (bound, class.load(Ordering::Relaxed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_first_class_that_holds_it() {
        let durations = Durations::default();
        for micros in [100, 101, 999, 60_000_000] {
            durations.note(Duration::from_micros(micros));
        }
        let counts: Vec<_> = durations.classes().into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert!((durations.sum() - 60.0012).abs() < 1e-9, "{}", durations.sum());
    }
}
