//! Random trouble for downlink requests over HTTP, the same for the same seed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Fault;

/// How long a planned refusal by the rate limit asks to wait.
const RETRY: Duration = Duration::from_secs(1);

/// Statuses of planned failures.
const STATUSES: [u16; 4] = [500, 502, 503, 504];

/// A kind of trouble a plan may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpFault {
    /// Answered 500, 502, 503 or 504; nothing is done.
    StatusBeforeActing,
    /// Answered 500, 502, 503 or 504, although it is done.
    StatusAfterActing,
    /// No answer; nothing is done.
    SilentBeforeActing,
    /// No answer, although it is done.
    SilentAfterActing,
    /// 429 `rate_limit_exceeded`, to wait for 1 s. Push and replace only.
    RateLimited,
    /// 429 `downlink_queue_capacity`. Push and replace only.
    QueueFull,
}

/// Which troubles strike push, replace and list requests, and how often. Each request is one throw of the dice, in the
/// order in which requests arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultPlan {
    seed: u64,
    weights: Vec<(HttpFault, u16)>,
}

impl FaultPlan {
    /// A plan that does nothing yet.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, weights: Vec::new() }
    }

    /// Lets `fault` strike so many of a thousand requests. What all faults together have beyond a thousand is ignored.
    pub fn with(mut self, fault: HttpFault, per_mille: u16) -> Self {
        self.weights.push((fault, per_mille));
        self
    }
}

/// A plan being carried out.
#[derive(Debug)]
pub struct Dice {
    weights: Vec<(HttpFault, u16)>,
    random: fastrand::Rng,
    struck: BTreeMap<HttpFault, u64>,
}

impl Dice {
    pub fn new(plan: FaultPlan) -> Self {
        Self { weights: plan.weights, random: fastrand::Rng::with_seed(plan.seed), struck: BTreeMap::new() }
    }

    /// No further request is struck.
    pub fn stop(&mut self) {
        self.weights.clear();
    }

    /// What strikes the next request.
    pub fn throw(&mut self, lists: bool) -> Option<Fault> {
        let mut pips = self.random.u16(..1_000);
        let status = self.random.choice(STATUSES).expect("there are statuses");
        let (kind, _) = *self.weights.iter().find(|(_, weight)| {
            let hit = pips < *weight;
            pips = pips.saturating_sub(*weight);
            hit
        })?;
        let fault = match kind {
            HttpFault::StatusBeforeActing => Fault::HttpStatus { status, times: 1 },
            HttpFault::StatusAfterActing => Fault::StatusAfterActing { status, times: 1 },
            HttpFault::SilentBeforeActing => Fault::SilentBeforeActing { times: 1 },
            HttpFault::SilentAfterActing => Fault::SilentAfterActing { times: 1 },
            HttpFault::RateLimited if !lists => Fault::RateLimited { retry: RETRY, times: 1 },
            HttpFault::QueueFull if !lists => Fault::QueueFull { times: 1 },
            HttpFault::RateLimited | HttpFault::QueueFull => return None,
        };
        *self.struck.entry(kind).or_default() += 1;
        Some(fault)
    }

    pub fn struck(&self) -> BTreeMap<HttpFault, u64> {
        self.struck.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throws(seed: u64, lists: bool) -> (Vec<Option<Fault>>, BTreeMap<HttpFault, u64>) {
        let plan = FaultPlan::seeded(seed)
            .with(HttpFault::StatusAfterActing, 100)
            .with(HttpFault::SilentBeforeActing, 200)
            .with(HttpFault::QueueFull, 300);
        let mut dice = Dice::new(plan);
        ((0..10_000).map(|_| dice.throw(lists)).collect(), dice.struck())
    }

    #[test]
    fn faults_strike_about_as_often_as_planned_and_alike_for_the_same_seed() {
        let (faults, struck) = throws(1, false);
        let near = |fault, expected: u64| assert!(struck[&fault].abs_diff(expected) < 200, "{struck:?}");
        near(HttpFault::StatusAfterActing, 1_000);
        near(HttpFault::SilentBeforeActing, 2_000);
        near(HttpFault::QueueFull, 3_000);
        assert_eq!(faults.iter().flatten().count() as u64, struck.values().sum::<u64>());
        assert_eq!(throws(1, false).0, faults);
        assert_ne!(throws(2, false).0, faults);
    }

    #[test]
    fn a_list_is_never_refused_for_a_full_queue() {
        let (_, struck) = throws(1, true);
        assert_eq!(struck.get(&HttpFault::QueueFull), None);
        assert!(struck.contains_key(&HttpFault::SilentBeforeActing));
    }
}
