//! The rate limiter of The Things Stack: the generic cell rate algorithm, with time as an argument.

use std::collections::HashMap;
use std::time::Duration;

use super::config::Rate;

/// One limiter for many keys, all under the same [`Rate`].
#[derive(Debug, Default)]
pub struct RateLimiter {
    /// Per key the theoretical arrival time: when its bucket will be empty again.
    empty_at: HashMap<String, Duration>,
}

/// What the limiter answers, in the terms of the `X-Rate-Limit-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// Requests a minute.
    pub limit: u32,
    /// Requests that would pass right now.
    pub available: u32,
    /// Until the bucket is empty again.
    pub reset: Duration,
    /// Until one more request passes; zero if this one did.
    pub retry: Duration,
}

impl RateLimiter {
    /// Asks for one request of `key` at `now` (any monotonic time).
    pub fn ask(&mut self, key: &str, rate: Rate, now: Duration) -> Verdict {
        let interval = Duration::from_secs(60) / rate.per_minute.max(1);
        let tolerance = interval * rate.burst.max(1);
        let empty_at = self.empty_at.get(key).copied().unwrap_or(now).max(now);
        let after = empty_at + interval;
        let allowed = after <= now + tolerance;
        let held = if allowed { after } else { empty_at };
        self.empty_at.insert(key.to_owned(), held);
        let room = (now + tolerance).saturating_sub(held);
        Verdict {
            allowed,
            limit: rate.per_minute,
            available: u32::try_from(room.as_nanos() / interval.as_nanos().max(1)).unwrap_or(u32::MAX),
            reset: held - now,
            retry: if allowed { Duration::ZERO } else { after - (now + tolerance) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_A_MINUTE: Rate = Rate { per_minute: 10, burst: 2 };

    #[test]
    fn a_burst_passes_then_one_request_each_interval() {
        let mut limiter = RateLimiter::default();
        let mut ask = |seconds| limiter.ask("app", TEN_A_MINUTE, Duration::from_secs(seconds));
        assert!(ask(0).allowed && ask(0).allowed);
        let refused = ask(0);
        assert!(!refused.allowed);
        assert_eq!(refused.retry, Duration::from_secs(6));
        assert_eq!(refused.available, 0);
        assert!(!ask(5).allowed);
        assert!(ask(6).allowed);
        assert!(!ask(6).allowed);
    }

    #[test]
    fn keys_do_not_share_a_bucket() {
        let mut limiter = RateLimiter::default();
        let rate = Rate { per_minute: 1, burst: 1 };
        assert!(limiter.ask("one", rate, Duration::ZERO).allowed);
        assert!(limiter.ask("two", rate, Duration::ZERO).allowed);
        assert!(!limiter.ask("one", rate, Duration::ZERO).allowed);
    }
}
