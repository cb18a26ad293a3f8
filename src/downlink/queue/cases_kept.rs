//! Single histories of downlinks that were kept for longer than they seem: by a clock that was wrong, or in a backup.

use jiff::SignedDuration;

use super::cases::{Bench, downlink};
use super::{Allowance, Event, Item, Limits, Machine};
use crate::downlink::resumed;
use crate::model::{QueuedDownlink, State};
use crate::network::PushError;

impl Bench {
    /// The process dies and comes back.
    pub(super) fn restart(&mut self) {
        self.restart_without_time();
        self.machine.time_is_known();
        self.event(Event::Tick);
    }

    /// And so far only its own clock tells what time it is.
    pub(super) fn restart_without_time(&mut self) {
        let items: Vec<Item> = self.stored.values().map(|row| serde_json::from_str(row).unwrap()).collect();
        self.machine = Machine::new(Limits::default(), Allowance::default());
        self.machine.restore(items, [], self.now);
        self.asked = None;
        self.event(Event::Tick);
    }
}

#[test]
fn what_was_accepted_by_a_clock_that_was_ahead_expires_when_it_should() {
    let mut bench = Bench::new();
    let (right, ahead) = (bench.now, SignedDuration::from_hours(24 * 365));
    bench.now = right + ahead;
    let end = bench.now + SignedDuration::from_secs(100);
    let late = QueuedDownlink { expires_at: Some(end), not_before: Some(end), ..downlink("late", false) };
    bench.event(Event::Accept(late));
    bench.now = right;
    bench.event(Event::Tick);
    bench.restart();
    bench.pass(99);
    assert_eq!(bench.last("late"), Some(State::Held));
    bench.pass(1);
    assert_eq!(bench.last("late"), Some(State::Expired));
}

#[test]
fn a_clock_that_is_wrong_at_a_start_takes_nothing_of_the_time_that_is_left() {
    for hours in [-1, 9000] {
        let mut bench = Bench::new();
        let (right, hour) = (bench.now, SignedDuration::from_hours(1));
        bench.event(Event::Accept(QueuedDownlink { expires_at: Some(right + hour), ..downlink("one", false) }));
        bench.pushed(Err(PushError::NoSession));
        bench.now = right + hours * hour;
        bench.restart_without_time();
        assert!(bench.asked.is_none() && bench.machine.waits_for_time(), "it may be later than it seems");
        bench.event(Event::Accept(downlink("two", false)));
        bench.pushed(Err(PushError::NoSession));
        bench.now = right;
        bench.machine.time_is_known();
        bench.pass(3599);
        assert_eq!(bench.last("one"), Some(State::Held), "{hours}");
        bench.pass(1);
        assert_eq!(bench.last("one"), Some(State::Expired), "{hours}");
    }
}

#[test]
fn what_waited_in_a_backup_is_pushed_only_if_the_network_surely_never_had_it() {
    for (complete, end) in [(true, State::Queued), (false, State::Failed)] {
        let mut bench = Bench::new();
        bench.event(Event::Accept(downlink("one", false)));
        bench.pushed(Err(PushError::NoSession));
        bench.stored.values_mut().for_each(|body| *body = resumed(body));
        bench.pass(3600);
        bench.restart();
        bench.looked_with(Ok(&[]), complete);
        bench.pass(20);
        bench.looked_with(Ok(&[]), complete);
        if complete {
            bench.pushed(Ok(()));
        }
        assert_eq!(bench.last("one"), Some(end), "{}", bench.reason);
    }
}
