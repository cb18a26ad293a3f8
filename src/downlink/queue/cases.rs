//! Single histories of the queue that the generated ones do not tell apart: each ends in the step it should.

use jiff::{SignedDuration, Timestamp};

use super::{Action, Allowance, Answer, Event, Limits, Machine, Policy, Request, Sighting};
use crate::model::{
    ApplicationName, DeviceId, DeviceKey, DownlinkEvent, DownlinkHappening, DownlinkId, FPort, Failure, Priority,
    QueuedDownlink, State,
};
use crate::network::{Budget, DownlinkHistory, PushError};

/// The queue, its clock, the request under way and the steps shown.
pub(super) struct Bench {
    pub(super) machine: Machine,
    pub(super) now: Timestamp,
    pub(super) asked: Option<Request>,
    steps: Vec<(String, State)>,
    /// The reason of the last step.
    pub(super) reason: String,
    pub(super) stored: std::collections::BTreeMap<DownlinkId, String>,
}

pub(super) fn lamp() -> DeviceKey {
    DeviceKey::new(&ApplicationName::parse("my-app").unwrap(), DeviceId::parse("lamp").unwrap())
}

pub(super) fn id(name: &str) -> DownlinkId {
    DownlinkId::parse(name).unwrap()
}

pub(super) fn downlink(name: &str, confirmed: bool) -> QueuedDownlink {
    QueuedDownlink {
        id: id(name),
        key: lamp(),
        f_port: FPort::new(1).unwrap(),
        payload: vec![1],
        fields: None,
        confirmed,
        priority: Priority::Normal,
        attempts: None,
        expires_at: None,
        not_before: None,
        supersedes: None,
    }
}

pub(super) fn timeout() -> PushError {
    PushError::Unknown("timeout".into())
}

fn failure(name: &str) -> Failure {
    Failure { name: name.into(), message: "some text".into() }
}

impl Bench {
    pub(super) fn new() -> Self {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        Self::with(Allowance::default(), now)
    }

    pub(super) fn with(allowance: Allowance, now: Timestamp) -> Self {
        let mut machine = Machine::new(Limits::default(), allowance);
        machine.time_is_known();
        Self { machine, now, asked: None, steps: Vec::new(), reason: String::new(), stored: Default::default() }
    }

    /// One downlink lies in the network's queue.
    pub(super) fn with_queued(name: &str, confirmed: bool) -> Self {
        let mut bench = Self::new();
        bench.event(Event::Accept(downlink(name, confirmed)));
        bench.pushed(Ok(()));
        bench
    }

    pub(super) fn event(&mut self, event: Event) {
        let mut actions = self.machine.handle(event, self.now);
        actions.extend(self.machine.ask(self.now));
        for item in self.machine.take_changes(self.now) {
            self.stored.insert(item.id().clone(), serde_json::to_string(&item).unwrap());
        }
        for action in actions {
            match action {
                Action::Publish(_, step, _) => {
                    self.steps.push((step.id.to_string(), step.state));
                    self.reason = step.reason.unwrap_or_default();
                }
                Action::Ask(request) => self.asked = Some(request),
                Action::Warn(..) => {}
            }
        }
    }

    pub(super) fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.event(Event::Tick);
    }

    pub(super) fn heard(&mut self, name: &str, happening: DownlinkHappening) {
        self.event(Event::Heard { key: lamp(), id: id(name), happening, at: self.now });
    }

    pub(super) fn pushed(&mut self, result: Result<(), PushError>) {
        let Some(Request::Push(downlink)) = self.asked.take() else { panic!("no push was asked for") };
        self.event(Event::Answered(Answer::Pushed(lamp(), downlink.id, result.map(|()| Budget::default()))));
    }

    pub(super) fn looked(&mut self, result: Result<&[&str], PushError>) {
        self.looked_with(result, false);
    }

    pub(super) fn looked_with(&mut self, result: Result<&[&str], PushError>, complete: bool) {
        let Some(Request::Look(lookup)) = self.asked.take() else { panic!("no look was asked for") };
        let history = DownlinkHistory { events: Vec::new(), complete };
        let sighting = |names: &[&str]| Sighting {
            waiting: names.iter().map(|name| id(name)).collect(),
            history,
            history_silent: false,
            connected: true,
        };
        self.event(Event::Answered(Answer::Looked(lookup.key, result.map(sighting))));
    }

    /// The request under way ends well.
    pub(super) fn answer_any(&mut self) -> Request {
        let request = self.asked.take().expect("a request is under way");
        let key = request.key().clone();
        self.event(Event::Answered(match &request {
            Request::Push(downlink) => Answer::Pushed(key, downlink.id.clone(), Ok(Budget::default())),
            Request::Look(_) => Answer::Looked(key, Ok(Sighting::default())),
            Request::Withdraw(_, ids) => Answer::Withdrawn(key, ids.clone(), Ok(ids.clone())),
        }));
        request
    }

    pub(super) fn withdrawn(&mut self, result: Result<&[&str], PushError>) {
        let Some(Request::Withdraw(key, ids)) = self.asked.take() else { panic!("no withdrawal was asked for") };
        let result = result.map(|names| names.iter().map(|name| id(name)).collect());
        self.event(Event::Answered(Answer::Withdrawn(key, ids, result)));
    }

    pub(super) fn states(&self, name: &str) -> Vec<State> {
        self.steps.iter().filter(|(of, _)| of == name).map(|(_, state)| *state).collect()
    }

    pub(super) fn last(&self, name: &str) -> Option<State> {
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
        bench.event(Event::Alive(lamp(), std::time::Duration::ZERO));
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
    assert_eq!(bench.last("one"), Some(State::Held), "the report that it was sent may still be on its way");
    bench.pass(75);
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
        bench.looked_with(Ok(&[]), true);
        bench.pass(20);
        bench.looked_with(Ok(&[]), true);
    }
    assert_eq!(bench.last("set"), Some(State::Sent));
    bench.pushed(Ok(()));
    for _ in 0..3 {
        assert_eq!(bench.last("set"), Some(State::Sent));
        bench.event(Event::Alive(lamp(), std::time::Duration::ZERO));
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
    bench.event(Event::Alive(lamp(), std::time::Duration::ZERO));
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
    looked.event(Event::Alive(lamp(), std::time::Duration::ZERO));
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

#[test]
fn a_push_that_was_under_way_when_the_process_died_is_looked_up_before_anything_else() {
    let mut bench = Bench::new();
    bench.event(Event::Accept(downlink("one", false)));
    bench.pass(60);
    bench.restart();
    bench.looked(Ok(&["one"]));
    assert_eq!(bench.last("one"), Some(State::Queued));

    let mut gone = Bench::new();
    gone.event(Event::Accept(downlink("one", false)));
    gone.restart();
    assert_eq!(gone.asked, None, "the network may still be about to act on it");
    gone.pass(25);
    gone.looked(Ok(&[]));
    gone.pass(20);
    gone.looked(Ok(&[]));
    assert_eq!(gone.last("one"), Some(State::Failed));
    assert!(gone.reason.contains("may or may not be sent"), "{}", gone.reason);
}

#[test]
fn a_complete_history_tells_that_a_push_never_arrived() {
    let mut bench = Bench::new();
    bench.event(Event::Accept(downlink("one", false)));
    bench.pass(60);
    bench.restart();
    bench.looked_with(Ok(&[]), true);
    bench.pass(20);
    bench.looked_with(Ok(&[]), true);
    bench.pushed(Ok(()));
    assert_eq!(bench.last("one"), Some(State::Queued));
}

/// What a gateway is about to send is in no queue any more, and in no history yet.
#[test]
fn what_is_on_its_way_to_a_gateway_while_it_is_looked_up_is_not_pushed_again() {
    for restarts in [false, true] {
        let mut bench = Bench::new();
        bench.event(Event::Accept(downlink("one", false)));
        match restarts {
            false => bench.pushed(Err(timeout())),
            true => bench.restart(),
        }
        bench.pass(25);
        bench.event(Event::Alive(lamp(), std::time::Duration::ZERO));
        bench.looked_with(Ok(&[]), true);
        assert_eq!(bench.asked, None, "a second transmission");
        bench.pass(16);
        bench.heard("one", DownlinkHappening::Sent { f_cnt: None });
        assert_eq!((bench.last("one"), bench.machine.depth()), (Some(State::Sent), 0));
    }
}

#[test]
fn what_the_network_dropped_unheard_is_not_taken_for_sent() {
    let mut bench = Bench::with_queued("one", false);
    bench.pass(120);
    bench.event(Event::Blind(lamp().application));
    let Some(Request::Look(lookup)) = bench.asked.take() else { panic!("no look was asked for") };
    let happening = DownlinkHappening::Dropped(failure("no_device_session"));
    let event = DownlinkEvent { key: lamp(), id: Some(id("one")), happening, at: bench.now };
    let history = DownlinkHistory { events: vec![event], complete: true };
    let sighting = Sighting { history, connected: true, ..Sighting::default() };
    bench.event(Event::Answered(Answer::Looked(lookup.key, Ok(sighting))));
    assert_eq!(bench.last("one"), Some(State::Held));
    for _ in 0..2 {
        bench.pass(20);
        bench.looked_with(Ok(&[]), true);
    }
    bench.pushed(Ok(()));
    assert_eq!(bench.last("one"), Some(State::Queued));
}

#[test]
fn what_the_network_had_is_looked_up_after_a_restart_and_after_missed_reports() {
    let mut restarted = Bench::with_queued("one", false);
    restarted.pass(60);
    restarted.restart();
    restarted.looked(Ok(&[]));
    assert_eq!(restarted.states("one"), [State::Accepted, State::Queued, State::Sent]);

    let mut blind = Bench::with_queued("one", false);
    blind.pass(30);
    blind.event(Event::Blind(lamp().application));
    blind.looked(Ok(&[]));
    assert_eq!(blind.last("one"), Some(State::Queued), "its report may be on its way");
    blind.pass(30);
    blind.looked(Ok(&[]));
    assert_eq!(blind.last("one"), Some(State::Sent));
}

#[test]
fn without_missed_reports_an_unclear_push_is_looked_up_twice_and_pushed_again() {
    let mut bench = Bench::new();
    bench.event(Event::Accept(downlink("one", false)));
    bench.pushed(Err(timeout()));
    bench.pass(10);
    bench.looked(Ok(&[]));
    assert_eq!(bench.asked, None, "a dead stream shows late");
    bench.pass(75);
    bench.looked(Ok(&[]));
    assert!(matches!(bench.asked, Some(Request::Push(_))));
}

#[test]
fn missed_reports_and_an_unclear_push_together_are_not_pushed_again() {
    let mut bench = Bench::new();
    bench.event(Event::Accept(downlink("one", false)));
    bench.pushed(Err(timeout()));
    bench.pass(10);
    bench.looked(Ok(&[]));
    bench.event(Event::Blind(lamp().application));
    bench.pass(75);
    bench.looked(Ok(&[]));
    assert_eq!((bench.last("one"), bench.asked), (Some(State::Failed), None));
}

#[test]
fn a_confirmed_one_that_was_sent_is_never_pushed_again() {
    let mut bench = Bench::with_queued("one", true);
    bench.heard("one", DownlinkHappening::Sent { f_cnt: None });
    bench.heard("one", DownlinkHappening::Nacked { attempt: Some(2) });
    bench.heard("one", DownlinkHappening::Dropped(failure("no_device_session")));
    bench.pass(10);
    bench.looked_with(Ok(&[]), true);
    assert_eq!((bench.last("one"), bench.asked), (Some(State::Failed), None));
}

#[test]
fn a_minute_without_a_word_is_told_once() {
    let mut bench = Bench::new();
    bench.event(Event::Accept(downlink("one", false)));
    bench.pushed(Err(timeout()));
    for _ in 0..12 {
        bench.pass(10);
        if bench.asked.is_some() {
            bench.looked(Err(timeout()));
        }
    }
    assert_eq!(bench.states("one"), [State::Accepted, State::Held, State::Held]);
    assert_eq!(bench.reason, "no word from the network since 2026-11-21T12:00:00Z");
}

#[test]
fn a_spent_budget_holds_the_pushes_of_the_whole_application_and_no_looks() {
    let mut bench = Bench::with_queued("one", false);
    bench.event(Event::Accept(downlink("two", false)));
    let Some(Request::Push(two)) = bench.asked.take() else { panic!("no push was asked for") };
    let spent = Budget { available: Some(0), wait: std::time::Duration::from_secs(30) };
    bench.event(Event::Answered(Answer::Pushed(lamp(), two.id, Ok(spent))));
    let other = DeviceKey::new(&lamp().application, DeviceId::parse("node-2").unwrap());
    bench.event(Event::Accept(QueuedDownlink { key: other, ..downlink("three", false) }));
    assert_eq!((bench.last("three"), bench.asked.take()), (Some(State::Held), None));
    bench.event(Event::Blind(lamp().application));
    bench.looked(Ok(&["one", "two"]));
    assert_eq!(bench.asked, None);
    bench.pass(30);
    assert!(matches!(&bench.asked, Some(Request::Push(downlink)) if downlink.id == id("three")));
}

#[test]
fn a_day_that_is_used_up_holds_what_is_not_urgent_until_midnight() {
    let now = "2026-11-21T23:59:00Z".parse().unwrap();
    let mut bench = Bench::with(Allowance { policy: Policy::Hold, downlinks: 1, ..Allowance::default() }, now);
    bench.event(Event::Transmitted { key: lamp(), at: now });
    bench.event(Event::Accept(downlink("one", false)));
    assert_eq!((bench.last("one"), bench.asked.take()), (Some(State::Held), None));
    assert!(bench.reason.starts_with("fair use"), "{}", bench.reason);
    bench.event(Event::Accept(QueuedDownlink { priority: Priority::High, ..downlink("urgent", false) }));
    bench.pushed(Ok(()));
    assert_eq!(bench.asked, None);
    assert_eq!(bench.machine.next_deadline(bench.now), Some("2026-11-22T00:00:00Z".parse().unwrap()));
    bench.pass(60);
    bench.pushed(Ok(()));
    assert_eq!(bench.last("one"), Some(State::Queued));
}

#[test]
fn waits_go_on_over_a_restart_from_when_they_began() {
    let mut bench = Bench::new();
    let end = bench.now + SignedDuration::from_secs(100);
    let early = bench.now + SignedDuration::from_secs(50);
    let late = QueuedDownlink { expires_at: Some(end), not_before: Some(end), ..downlink("late", false) };
    bench.event(Event::Accept(late));
    bench.event(Event::Accept(QueuedDownlink { not_before: Some(early), ..downlink("early", false) }));
    bench.pass(40);
    bench.restart();
    assert_eq!(bench.machine.next_deadline(bench.now), Some(early));
    bench.pass(10);
    bench.pushed(Ok(()));
    bench.pass(50);
    assert_eq!((bench.last("early"), bench.last("late")), (Some(State::Queued), Some(State::Expired)));
}
