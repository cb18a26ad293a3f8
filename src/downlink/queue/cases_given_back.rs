//! Single histories where the network leaves repeating to us, and gives back what it cannot send.

use jiff::SignedDuration;

use super::cases::{Bench, downlink, id, lamp, timeout};
use super::{Answer, Event, Request, Sighting};
use crate::model::{DownlinkEvent, DownlinkHappening, QueuedDownlink, State};
use crate::network::{DownlinkHistory, PushError};

const SENT: DownlinkHappening = DownlinkHappening::Sent { f_cnt: None };

#[test]
fn what_is_given_back_is_pushed_again_at_once_and_shows_nothing_of_it() {
    let mut bench = Bench::with_queued("one", false);
    bench.heard("one", DownlinkHappening::GivenBack);
    bench.pushed(Ok(()));
    bench.heard("one", SENT);
    assert_eq!(bench.states("one"), [State::Accepted, State::Queued, State::Sent]);
}

#[test]
fn what_is_given_back_before_the_answer_to_its_push_is_not_taken_for_queued() {
    let mut bench = Bench::new();
    bench.event(Event::Accept(downlink("one", false)));
    bench.heard("one", DownlinkHappening::GivenBack);
    bench.pushed(Ok(()));
    assert!(matches!(&bench.asked, Some(Request::Push(again)) if again.id == id("one")));
}

#[test]
fn what_is_given_back_clears_up_an_unclear_answer() {
    let mut bench = Bench::new();
    bench.event(Event::Accept(downlink("one", false)));
    bench.pushed(Err(timeout()));
    bench.heard("one", DownlinkHappening::GivenBack);
    bench.pushed(Ok(()));
    assert_eq!(bench.last("one"), Some(State::Queued));
}

#[test]
fn what_is_given_back_and_no_longer_wanted_or_over_is_not_pushed_again() {
    let mut bench = Bench::new();
    let end = bench.now + SignedDuration::from_secs(10);
    bench.event(Event::Accept(QueuedDownlink { expires_at: Some(end), ..downlink("one", false) }));
    bench.pushed(Ok(()));
    bench.pass(20);
    bench.heard("one", DownlinkHappening::GivenBack);
    assert_eq!((bench.last("one"), bench.asked.take()), (Some(State::Expired), None));
    bench.event(Event::Accept(downlink("two", false)));
    bench.pushed(Ok(()));
    bench.event(Event::Cancel(lamp(), id("two")));
    bench.heard("two", DownlinkHappening::GivenBack);
    assert_eq!(bench.last("two"), Some(State::Cancelled));
}

#[test]
fn attempts_that_the_network_does_not_make_are_made_here_and_counted() {
    let mut bench = Bench::new();
    bench.event(Event::Accept(QueuedDownlink { attempts: Some(2), ..downlink("one", true) }));
    for _ in 0..2 {
        bench.pushed(Ok(()));
        bench.heard("one", SENT);
        bench.restart();
        bench.looked(Ok(&[]));
        bench.heard("one", DownlinkHappening::NotRepeated);
    }
    use State::{Accepted, Failed, Nacked, Queued, Sent};
    assert_eq!(bench.states("one"), [Accepted, Queued, Sent, Nacked, Queued, Sent, Failed]);
    assert_eq!((bench.reason.as_str(), bench.asked), ("not acknowledged in 2 attempts", None));
}

#[test]
fn the_histories_word_counts_as_much_and_once() {
    let mut bench = Bench::with_queued("one", true);
    bench.heard("one", SENT);
    bench.pass(60);
    bench.event(Event::Blind(lamp().application));
    let Some(Request::Look(look)) = bench.asked.take() else { panic!("no look was asked for") };
    let event =
        DownlinkEvent { key: lamp(), id: Some(id("one")), happening: DownlinkHappening::NotRepeated, at: bench.now };
    let history = DownlinkHistory { events: vec![event.clone(), event], complete: false };
    let sighting = Sighting { history, connected: true, ..Sighting::default() };
    bench.event(Event::Answered(Answer::Looked(look.key, Ok(sighting))));
    assert_eq!(
        (bench.last("one"), bench.reason.as_str()),
        (Some(State::Nacked), "not acknowledged: attempt 2 of 8 follows")
    );
    bench.pushed(Ok(()));
}

#[test]
fn what_is_given_back_right_after_it_was_queued_is_not_overlooked_in_the_history() {
    let mut bench = Bench::with_queued("one", false);
    bench.heard("one", DownlinkHappening::Queued);
    let event =
        DownlinkEvent { key: lamp(), id: Some(id("one")), happening: DownlinkHappening::GivenBack, at: bench.now };
    bench.pass(60);
    bench.event(Event::Blind(lamp().application));
    let Some(Request::Look(look)) = bench.asked.take() else { panic!("no look was asked for") };
    let history = DownlinkHistory { events: vec![event], complete: false };
    let sighting = Sighting { history, connected: true, ..Sighting::default() };
    bench.event(Event::Answered(Answer::Looked(look.key, Ok(sighting))));
    bench.pushed(Ok(()));
    assert_eq!(bench.last("one"), Some(State::Queued));
}

#[test]
fn a_push_that_cannot_go_out_now_holds_its_device_alone_for_so_long() {
    let mut bench = Bench::new();
    bench.event(Event::Accept(downlink("one", false)));
    let retry_after = std::time::Duration::from_secs(10);
    bench.pushed(Err(PushError::NotNow { why: "a reason".into(), retry_after }));
    assert_eq!((bench.last("one"), bench.reason.as_str()), (Some(State::Held), "a reason"));
    bench.event(Event::Alive(lamp(), std::time::Duration::ZERO));
    assert_eq!(bench.asked, None);
    bench.pass(10);
    bench.pushed(Ok(()));
}
