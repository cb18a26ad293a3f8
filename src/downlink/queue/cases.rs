//! Single histories of the queue that the generated ones do not tell apart: each ends in the step it should.

use jiff::{SignedDuration, Timestamp};

use super::{Action, Answer, Event, Limits, Machine, Request};
use crate::model::{
    ApplicationName, DeviceId, DeviceKey, DownlinkHappening, DownlinkId, FPort, Failure, Priority, QueuedDownlink,
    State,
};
use crate::network::PushError;

/// The queue, its clock, the request under way and the steps shown.
struct Bench {
    machine: Machine,
    now: Timestamp,
    asked: Option<Request>,
    steps: Vec<(String, State)>,
}

fn lamp() -> DeviceKey {
    DeviceKey::new(&ApplicationName::parse("my-app").unwrap(), DeviceId::parse("lamp").unwrap())
}

fn id(name: &str) -> DownlinkId {
    DownlinkId::parse(name).unwrap()
}

fn downlink(name: &str, confirmed: bool) -> QueuedDownlink {
    QueuedDownlink {
        id: id(name),
        key: lamp(),
        f_port: FPort::new(1).unwrap(),
        payload: vec![1],
        confirmed,
        priority: Priority::Normal,
        attempts: None,
        expires_at: None,
        not_before: None,
        supersedes: None,
    }
}

fn timeout() -> PushError {
    PushError::Unknown("timeout".into())
}

fn failure(name: &str) -> Failure {
    Failure { name: name.into(), message: "some text".into() }
}

impl Bench {
    fn new() -> Self {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        Self { machine: Machine::new(Limits::default()), now, asked: None, steps: Vec::new() }
    }

    /// One downlink lies in the network's queue.
    fn with_queued(name: &str, confirmed: bool) -> Self {
        let mut bench = Self::new();
        bench.event(Event::Accept(downlink(name, confirmed)));
        bench.pushed(Ok(()));
        bench
    }

    fn event(&mut self, event: Event) {
        for action in self.machine.handle(event, self.now) {
            match action {
                Action::Publish(_, step) => self.steps.push((step.id.to_string(), step.state)),
                Action::Ask(request) => self.asked = Some(request),
            }
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.event(Event::Tick);
    }

    fn heard(&mut self, name: &str, happening: DownlinkHappening) {
        self.event(Event::Heard { key: lamp(), id: id(name), happening, at: self.now });
    }

    fn pushed(&mut self, result: Result<(), PushError>) {
        let Some(Request::Push(downlink)) = self.asked.take() else { panic!("no push was asked for") };
        self.event(Event::Answered(Answer::Pushed(lamp(), downlink.id, result)));
    }

    fn looked(&mut self, result: Result<&[&str], PushError>) {
        let Some(Request::Look(key)) = self.asked.take() else { panic!("no look was asked for") };
        let result = result.map(|names| names.iter().map(|name| id(name)).collect());
        self.event(Event::Answered(Answer::Looked(key, result)));
    }

    fn withdrawn(&mut self, result: Result<&[&str], PushError>) {
        let Some(Request::Withdraw(key, ids)) = self.asked.take() else { panic!("no withdrawal was asked for") };
        let result = result.map(|names| names.iter().map(|name| id(name)).collect());
        self.event(Event::Answered(Answer::Withdrawn(key, ids, result)));
    }

    fn states(&self, name: &str) -> Vec<State> {
        self.steps.iter().filter(|(of, _)| of == name).map(|(_, state)| *state).collect()
    }

    fn last(&self, name: &str) -> Option<State> {
        self.states(name).pop()
    }
}

#[test]
fn a_refusal_that_passes_is_no_end_whichever_of_answer_and_event_comes_first() {
    for event_first in [true, false] {
        let mut bench = Bench::new();
        bench.event(Event::Accept(downlink("one", false)));
        let event = DownlinkHappening::Dropped(failure("downlink_queue_capacity"));
        if event_first {
            bench.heard("one", event);
            bench.pushed(Err(PushError::QueueFull));
        } else {
            bench.pushed(Err(PushError::QueueFull));
            bench.heard("one", event);
        }
        bench.event(Event::Alive(lamp()));
        bench.pushed(Ok(()));
        assert_eq!(bench.states("one"), [State::Accepted, State::Held, State::Queued]);
    }
}

#[test]
fn a_cancel_without_a_clear_answer_is_looked_up() {
    let mut bench = Bench::with_queued("one", false);
    bench.event(Event::Cancel(lamp(), id("one")));
    bench.withdrawn(Err(timeout()));
    bench.pass(10);
    bench.looked(Ok(&[]));
    assert_eq!(bench.last("one"), Some(State::Cancelled));
    assert_eq!(bench.machine.depth(), 0);
}

#[test]
fn a_cancel_that_did_not_act_is_tried_again() {
    let mut bench = Bench::with_queued("one", false);
    bench.event(Event::Cancel(lamp(), id("one")));
    bench.withdrawn(Err(timeout()));
    bench.pass(10);
    bench.looked(Ok(&["one"]));
    bench.withdrawn(Ok(&["one"]));
    bench.pass(20);
    assert_eq!(bench.last("one"), Some(State::Cancelled));
}

#[test]
fn a_cancel_that_is_not_allowed_now_is_tried_again_later() {
    let limited = PushError::RateLimited { retry_after: std::time::Duration::from_secs(300) };
    for error in [limited, PushError::Forbidden(failure("no_application_rights"))] {
        let mut bench = Bench::with_queued("one", false);
        bench.event(Event::Cancel(lamp(), id("one")));
        bench.withdrawn(Err(error));
        assert_eq!(bench.asked, None);
        bench.pass(300);
        bench.withdrawn(Ok(&["one"]));
        bench.pass(20);
        assert_eq!(bench.last("one"), Some(State::Cancelled));
    }
}

#[test]
fn looks_for_another_downlink_do_not_give_up_one_whose_device_sleeps() {
    let mut bench = Bench::with_queued("set", true);
    bench.heard("set", DownlinkHappening::Sent { f_cnt: None });
    bench.event(Event::Accept(downlink("sibling", false)));
    for _ in 0..5 {
        bench.pushed(Err(timeout()));
        bench.pass(400);
        bench.looked(Ok(&[]));
    }
    assert_eq!(bench.last("set"), Some(State::Sent));
    bench.pushed(Ok(()));
    for _ in 0..3 {
        assert_eq!(bench.last("set"), Some(State::Sent));
        bench.event(Event::Alive(lamp()));
        bench.pass(60);
        bench.looked(Ok(&["sibling"]));
    }
    assert_eq!(bench.last("set"), Some(State::Failed));
}

#[test]
fn a_look_for_another_downlink_does_not_stand_for_the_one_that_is_due_later() {
    let mut bench = Bench::with_queued("one", false);
    bench.event(Event::Accept(downlink("sibling", false)));
    bench.pushed(Err(timeout()));
    bench.event(Event::Alive(lamp()));
    bench.pass(10);
    bench.looked(Ok(&["one", "sibling"]));
    bench.pass(50);
    bench.looked(Ok(&["sibling"]));
    assert_eq!(bench.last("one"), Some(State::Sent), "{:?}", bench.steps);
}

#[test]
fn a_device_deleted_at_the_network_ends_what_the_network_had() {
    let gone = || PushError::Refused(failure("device_not_found"));
    let mut looked = Bench::with_queued("one", true);
    looked.event(Event::Alive(lamp()));
    looked.pass(60);
    looked.looked(Err(gone()));
    assert_eq!((looked.last("one"), looked.machine.depth()), (Some(State::Failed), 0));

    let mut withdrawn = Bench::with_queued("one", false);
    withdrawn.event(Event::Accept(downlink("two", false)));
    withdrawn.pushed(Ok(()));
    withdrawn.event(Event::Cancel(lamp(), id("one")));
    withdrawn.withdrawn(Err(gone()));
    assert_eq!((withdrawn.last("one"), withdrawn.last("two")), (Some(State::Cancelled), Some(State::Failed)));
    assert_eq!(withdrawn.machine.depth(), 0);
}
