//! Messages that come late: they piled up on the way, and a server that drops what piles up may have dropped others.
//!
//! How late a message is cannot be read off two clocks that may differ by hours. So lags are compared with one another:
//! a message is late if its lag is much longer than the shortest of the last minute or two. A clock that is set looks like
//! that for two minutes at most, a long silence makes a new beginning; a network with so little traffic drops nothing.

use jiff::{SignedDuration, Timestamp};

use super::{Outage, Outages};
use crate::model::ApplicationName;

/// How much longer than the shortest lag is late.
const LATE: SignedDuration = SignedDuration::from_secs(10);
/// Lags are remembered for one to two times this.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);
/// The least time between two notes: each makes others look after their messages too, and late ones come in crowds. What
/// is fetched around a gap makes up for its end being told so much too early.
const BETWEEN_NOTES: SignedDuration = SignedDuration::from_secs(1);

/// Watches one application's messages and notes an outage while they are late.
#[derive(Debug)]
pub struct Late {
    application: ApplicationName,
    outages: Outages,
    lags: Lags,
    /// When the last outage was noted, and since when it was.
    noted: Option<(Timestamp, Timestamp)>,
}

/// The shortest lags of this window and of the one before.
#[derive(Debug, Default)]
struct Lags {
    since: Option<Timestamp>,
    shortest: Option<SignedDuration>,
    shortest_before: Option<SignedDuration>,
}

impl Late {
    pub fn new(application: ApplicationName, outages: Outages) -> Self {
        Self { application, outages, lags: Lags::default(), noted: None }
    }

    /// Looks at a message that left our socket at `at`, by our clock, and that the network had at `received_at`, by its
    /// clock.
    pub(super) fn look(&mut self, at: Timestamp, received_at: Timestamp) {
        let late = self.lags.beyond_shortest(at, at.duration_since(received_at));
        let from = at - late.max(SignedDuration::ZERO);
        let covers =
            |(noted, since): (Timestamp, Timestamp)| since <= from && at.duration_since(noted).abs() < BETWEEN_NOTES;
        if late > LATE && !self.noted.is_some_and(covers) {
            self.noted = Some((at, from));
            let application = self.application.clone();
            self.outages.note(Outage { application, from, to: at, why: "messages came late" });
        }
    }
}

impl Lags {
    /// How much longer this lag is than the shortest so far.
    fn beyond_shortest(&mut self, at: Timestamp, lag: SignedDuration) -> SignedDuration {
        match self.since.map(|since| at.duration_since(since)) {
            Some(age) if age >= SignedDuration::ZERO && age < WINDOW => {}
            age => {
                let follows = age.is_some_and(|age| age < WINDOW * 2);
                self.shortest_before = self.shortest.take().filter(|_| follows);
                self.since = Some(at);
            }
        }
        let shortest = [self.shortest, self.shortest_before].into_iter().flatten().min();
        self.shortest = Some(self.shortest.map_or(lag, |shortest| shortest.min(lag)));
        shortest.map_or(SignedDuration::ZERO, |shortest| lag - shortest)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// What is noted, in seconds, of messages with these (our clock, the network's clock).
    fn noted(messages: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let outages = Outages::default();
        let mut late = Late::new(ApplicationName::parse("my-app").unwrap(), outages.clone());
        let time = |second| Timestamp::from_second(1_800_000_000 + second).unwrap();
        messages.iter().for_each(|(at, received)| late.look(time(*at), time(*received)));
        let second = |time: Timestamp| time.as_second() - 1_800_000_000;
        let all = outages.next().now_or_never().unwrap_or_default();
        all.into_iter().map(|outage| (second(outage.from), second(outage.to))).collect()
    }

    #[test]
    fn what_piled_up_is_noted_from_when_the_network_had_it() {
        assert_eq!(noted(&[(100, 100), (130, 105), (130, 118), (131, 125), (132, 132)]), [(105, 130)]);
    }

    #[test]
    fn a_crowd_of_late_messages_is_noted_once_a_second() {
        let outages = Outages::default();
        let mut late = Late::new(ApplicationName::parse("my-app").unwrap(), outages.clone());
        let time = |millis: i64| Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap();
        late.look(time(0), time(0));
        let mut notes = Vec::new();
        for n in 0..2000 {
            late.look(time(30_000 + n), time(10_000 + 5 * n));
            notes.extend(outages.next().now_or_never().unwrap_or_default());
        }
        assert_eq!(notes.len(), 2);
        assert_eq!((notes[0].from, notes[0].to), (time(10_000), time(30_000)));
    }

    #[test]
    fn clocks_that_differ_are_no_lateness() {
        for apart in [-7200, -30, 30, 7200] {
            assert_eq!(noted(&[(apart, 0), (apart + 9, 5), (apart + 100, 99)]), []);
            assert_eq!(noted(&[(apart, 0), (apart + 20, 5)]), [(apart + 5, apart + 20)]);
        }
    }

    #[test]
    fn a_clock_that_is_set_disturbs_for_two_minutes_at_most() {
        assert_eq!(noted(&[(0, 0), (3600, 1), (3601, 2), (3700, 101)]), []);
        assert_eq!(noted(&[(0, 0), (-3600, 1), (-3599, 2), (-3500, 101)]), []);
        let steps: Vec<_> = (0..300).map(|n| if n < 10 { (n, n) } else { (n + 30, n) }).collect();
        let noted = noted(&steps);
        assert_eq!(noted.len(), 1);
        assert!(noted[0].1 <= 160, "{noted:?}");
    }

    #[test]
    fn a_message_after_a_long_silence_is_a_new_beginning() {
        assert_eq!(noted(&[(0, 0), (500, 480), (501, 481)]), []);
    }
}
