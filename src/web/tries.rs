//! How often a wrong secret may be tried: from one address, and altogether.
//!
//! Nobody is locked out for long: a try is due again after [`PER_ADDRESS`] or, when many addresses try at once, after
//! [`ALTOGETHER`]; and that second limit does not count for an address from which somebody has come in before.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

/// Five wrong tries at once, then one every ten seconds.
const PER_ADDRESS: Pace = Pace { every: Duration::from_secs(10), at_once: 5 };
/// Thirty wrong tries at once, then one every second.
const ALTOGETHER: Pace = Pace { every: Duration::from_secs(1), at_once: 30 };
/// Addresses that are remembered for having had the right one.
const MOST_KNOWN: usize = 64;

/// Counts wrong tries.
#[derive(Debug, Default)]
pub struct Tries {
    /// By address; with the time at which all is forgotten. [`ALTOGETHER`] bounds how many there can be.
    wrong: HashMap<IpAddr, Instant>,
    altogether: Option<Instant>,
    known: HashSet<IpAddr>,
}

/// So many at once, and one more after each interval.
struct Pace {
    every: Duration,
    at_once: u32,
}

impl Tries {
    /// Takes a try of a secret, if one is due, and says whether it was right.
    ///
    /// # Errors
    /// None is due: how long until one is. `is_right` was not asked.
    pub fn take(&mut self, from: IpAddr, now: Instant, is_right: impl FnOnce() -> bool) -> Result<bool, Duration> {
        let from = network(from);
        let wait = PER_ADDRESS.wait(self.wrong.get(&from).copied(), now);
        let crowd = if self.known.contains(&from) { Duration::ZERO } else { ALTOGETHER.wait(self.altogether, now) };
        let wait = wait.max(crowd);
        if !wait.is_zero() {
            return Err(wait);
        }
        let is_right = is_right();
        if is_right {
            self.was_right(from)
        } else {
            self.was_wrong(from, now)
        }
        Ok(is_right)
    }

    fn was_right(&mut self, from: IpAddr) {
        self.wrong.remove(&from);
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(from);
    }

    fn was_wrong(&mut self, from: IpAddr, now: Instant) {
        self.wrong.retain(|_, forgotten| *forgotten > now);
        let forgotten = PER_ADDRESS.after_one_more(self.wrong.get(&from).copied(), now);
        self.wrong.insert(from, forgotten);
        self.altogether = Some(ALTOGETHER.after_one_more(self.altogether, now));
    }
}

impl Pace {
    /// How long until one is due, where all is forgotten at that time.
    fn wait(&self, forgotten: Option<Instant>, now: Instant) -> Duration {
        let debt = forgotten.map_or(Duration::ZERO, |forgotten| forgotten.saturating_duration_since(now));
        debt.saturating_sub(self.every * (self.at_once - 1))
    }

    fn after_one_more(&self, forgotten: Option<Instant>, now: Instant) -> Instant {
        forgotten.map_or(now, |forgotten| forgotten.max(now)) + self.every
    }
}

/// A home has a whole network of IPv6 addresses (RFC 6177): whoever has one of them has all.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn one_address_has_five_tries_and_then_one_in_ten_seconds_and_others_are_not_held_up() {
        let (mut tries, start) = (Tries::default(), Instant::now());
        for _ in 0..5 {
            assert_eq!(tries.take(address(1), start, || false), Ok(false));
        }
        assert_eq!(tries.take(address(1), start, || panic!("it must not be looked at")), Err(10 * S));
        assert_eq!(tries.take(address(1), start + 4 * S, || true), Err(6 * S), "not even the right one");
        assert_eq!(tries.take(address(2), start, || true), Ok(true));
        assert_eq!(tries.take(address(1), start + 10 * S, || false), Ok(false));
        assert_eq!(tries.take(address(1), start + 10 * S, || false), Err(10 * S));
        assert_eq!(tries.take(address(1), start + 20 * S, || true), Ok(true), "and the right one wipes the slate");
        assert_eq!(tries.take(address(1), start + 20 * S, || false), Ok(false));
        assert_eq!(tries.take(address(1), start + 20 * S, || false), Ok(false));
    }

    #[test]
    fn a_crowd_has_thirty_tries_and_then_one_a_second_and_who_came_in_before_is_not_held_up() {
        let (mut tries, start) = (Tries::default(), Instant::now());
        assert_eq!(tries.take(address(0), start, || true), Ok(true));
        for number in 1..=30 {
            assert_eq!(tries.take(address(number), start, || false), Ok(false));
        }
        assert_eq!(tries.take(address(31), start, || true), Err(S));
        assert_eq!(tries.take(address(0), start, || true), Ok(true));
        assert_eq!(tries.take(address(31), start + S, || true), Ok(true));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let (mut tries, start) = (Tries::default(), Instant::now());
        for number in 0..5_u128 {
            let address = Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + number);
            assert_eq!(tries.take(address.into(), start, || false), Ok(false));
        }
        let same: IpAddr = "2001:db8::ffff".parse().unwrap();
        assert!(tries.take(same, start, || true).is_err());
        assert!(tries.take("2001:db8:0:1::1".parse().unwrap(), start, || true).is_ok());
    }

    #[test]
    fn what_is_remembered_of_the_world_is_bounded() {
        let (mut tries, start) = (Tries::default(), Instant::now());
        for number in 0..100_000 {
            let is_right = number % 50 == 0;
            tries.take(address(number), start + S * (number / 20), || is_right).ok();
        }
        assert!(tries.wrong.len() <= 200 && tries.known.len() <= MOST_KNOWN, "{}", tries.wrong.len());
    }
}
