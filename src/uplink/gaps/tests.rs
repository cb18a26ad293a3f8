//! The rules one by one.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::*;
use crate::model::{DeviceId, Failure};

/// The gaps, a clock, and what would be in the store.
struct Rig {
    gaps: Gaps,
    now: Timestamp,
    saved: BTreeMap<u64, GapRow>,
    told: Vec<Notice>,
}

fn app() -> ApplicationName {
    ApplicationName::parse("app").unwrap()
}

fn at(second: i64) -> Timestamp {
    "2026-11-21T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn outage(from: i64, to: i64) -> Event {
    Event::Outage(Outage { application: app(), from: at(from), to: at(to), why: "the connection was lost" })
}

fn missing(device: &str) -> LostFrames {
    let mut lost = LostFrames::default();
    lost.add(device, &DeviceId::parse(device).unwrap(), 3, 4);
    lost
}

impl Rig {
    fn new() -> Self {
        let (gaps, _) = Gaps::restore(RepairConfig::default(), Vec::new());
        Self { gaps, now: at(0), saved: BTreeMap::new(), told: Vec::new() }
    }

    fn restart(&mut self) {
        let rows = self.saved.values().cloned().collect();
        let (gaps, unreadable) = Gaps::restore(RepairConfig::default(), rows);
        assert!(unreadable.is_empty());
        self.gaps = gaps;
    }

    /// The fetches an event starts.
    fn handle(&mut self, event: Event) -> Vec<Fetch> {
        let actions = self.gaps.handle(event, self.now);
        self.book(actions)
    }

    fn book(&mut self, actions: Vec<Action>) -> Vec<Fetch> {
        let mut fetches = Vec::new();
        for action in actions {
            match action {
                Action::Save(row) => drop(self.saved.insert(row.id, row)),
                Action::Forget(id) => assert!(self.saved.remove(&id).is_some()),
                Action::Tell(notice) => self.told.push(notice),
                Action::Fetch(fetch) => fetches.push(fetch),
            }
        }
        fetches
    }

    /// Sleeps until the next deadline and returns what is fetched then.
    fn next(&mut self) -> Fetch {
        self.now = self.now.max(self.gaps.next_deadline().expect("something to wait for"));
        let fetches = self.handle(Event::Tick);
        assert_eq!(fetches.len(), 1);
        fetches.into_iter().next().unwrap()
    }

    fn answer(&mut self, fetch: &Fetch, result: Result<Source, HistoryError>, new: u64, lost: LostFrames) {
        let (id, application) = (fetch.id, fetch.application.clone());
        assert!(self.handle(Event::Fetched(Fetched { id, application, result, new, lost })).is_empty());
    }

    fn is_idle(&self) -> bool {
        self.saved.is_empty() && self.gaps.next_deadline().is_none()
    }
}

#[test]
fn an_outage_is_fetched_twice_and_told_from_its_finding_to_its_end() {
    let mut rig = Rig::new();
    rig.now = at(30);
    assert!(rig.handle(outage(0, 30)).is_empty());
    assert!(rig.told.is_empty());
    let first = rig.next();
    assert_eq!((rig.now, first.ask.after), (at(35), at(-60)));
    assert!(first.ask.before >= at(35));
    assert!(matches!(&rig.told[..], [Notice::GapFound { from, to, .. }] if (*from, *to) == (at(0), at(30))));
    rig.answer(&first, Ok(Source::Storage), 7, LostFrames::default());
    rig.now = at(40);
    let second = rig.next();
    assert_eq!(rig.now, at(35 + 120));
    rig.answer(&second, Ok(Source::Storage), 1, LostFrames::default());
    assert!(matches!(rig.told[1], Notice::GapRepaired { repaired: 8, source: "storage", .. }));
    assert!(rig.is_idle() && rig.told.len() == 2);
}

#[test]
fn what_counters_miss_after_the_second_fetch_is_lost() {
    for (result, words) in [
        (Ok(Source::Storage), "never received"),
        (Ok(Source::Events), "event history"),
        (Err(HistoryError::NotActivated), "stores nothing"),
        (Err(HistoryError::Refused(Failure { name: "no".into(), message: "no rights".into() })), "no rights"),
    ] {
        let mut rig = Rig::new();
        rig.handle(outage(-10, 0));
        for _ in 0..2 {
            let fetch = rig.next();
            rig.answer(&fetch, result.clone(), 0, missing("node"));
        }
        let [_, Notice::GapLost { lost, reason, .. }] = &rig.told[..] else { panic!("{:?}", rig.told) };
        assert_eq!((lost.devices[0].frames[0], lost.frames()), ([3, 4], 2));
        assert!(reason.contains(words), "{reason}");
        assert!(rig.is_idle());
    }
}

#[test]
fn without_a_history_and_without_missing_counters_the_gap_still_ends() {
    let mut rig = Rig::new();
    rig.handle(outage(-10, 0));
    for _ in 0..2 {
        let fetch = rig.next();
        rig.answer(&fetch, Err(HistoryError::NotActivated), 0, LostFrames::default());
    }
    assert!(matches!(rig.told[1], Notice::GapRepaired { repaired: 0, source: "none", .. }));
}

#[test]
fn a_network_that_does_not_answer_is_asked_for_a_day_with_growing_waits() {
    let (mut rig, mut waits) = (Rig::new(), Vec::new());
    rig.handle(outage(-10, 0));
    let unavailable = || Err(HistoryError::Unavailable("connection refused".into()));
    while !rig.is_idle() {
        let before = rig.now;
        let fetch = rig.next();
        waits.push(rig.now.duration_since(before).as_secs());
        rig.answer(&fetch, unavailable(), 0, LostFrames::default());
    }
    assert_eq!(waits[..9], [5, 10, 20, 40, 80, 160, 320, 600, 600]);
    assert!((140..160).contains(&waits.len()), "{}", waits.len());
    assert!(rig.now > at(86_400) && rig.now < at(88_000));
    let [_, Notice::GapLost { reason, .. }] = &rig.told[..] else { panic!("{:?}", rig.told) };
    assert!(reason.contains("connection refused"), "{reason}");
}

#[test]
fn outages_that_follow_each_other_are_one_but_not_for_ever() {
    let mut rig = Rig::new();
    let mut fetched = None;
    for second in 0..120 {
        rig.now = at(second);
        fetched = fetched.or(rig.handle(outage(second - 1, second)).pop().map(|fetch| (second, fetch)));
    }
    let (when, fetch) = fetched.expect("a fetch amid it all");
    assert!((25..=31).contains(&when), "{when}");
    assert_eq!(rig.saved.len(), 2, "the one being fetched, and one that takes the others");
    assert!(fetch.ask.after <= at(-61));
}

#[test]
fn a_restart_asks_from_what_was_last_heard_until_it_is_connected() {
    let mut rig = Rig::new();
    rig.handle(Event::Restarted { application: app(), heard_until: at(-600) });
    assert_eq!(rig.gaps.next_deadline(), None);
    assert_eq!(rig.gaps.unconnected(), [app()]);
    // Ended before it was connected: what it heard meanwhile must not hide the gap.
    rig.restart();
    rig.now = at(100);
    rig.handle(Event::Restarted { application: app(), heard_until: at(50) });
    rig.handle(Event::Connected(app()));
    let fetch = rig.next();
    assert_eq!((rig.now, fetch.gap), (at(105), Span { after: at(-660), before: at(110) }));
    assert!(rig.gaps.unconnected().is_empty() && rig.saved.len() == 1);
}

#[test]
fn a_restart_in_the_middle_goes_on_and_tells_nothing_twice() {
    let mut rig = Rig::new();
    rig.handle(outage(-10, 0));
    let first = rig.next();
    rig.restart();
    assert_eq!(rig.next(), first, "its answer went with the process");
    rig.answer(&first, Ok(Source::Storage), 2, LostFrames::default());
    rig.restart();
    let second = rig.next();
    rig.answer(&second, Ok(Source::Storage), 1, LostFrames::default());
    assert!(matches!(rig.told[..], [Notice::GapFound { .. }, Notice::GapRepaired { repaired: 3, .. }]));
}

#[test]
fn what_is_older_than_the_network_keeps_is_not_asked_for_and_told() {
    let mut rig = Rig::new();
    rig.handle(outage(-3 * 86_400, 0));
    let first = rig.next();
    assert_eq!(first.ask.after, at(5 - 86_400));
    rig.answer(&first, Ok(Source::Storage), 5, LostFrames::default());
    let second = rig.next();
    rig.answer(&second, Ok(Source::Storage), 0, LostFrames::default());
    let Notice::GapLost { reason, repaired: 5, .. } = &rig.told[1] else { panic!("{:?}", rig.told) };
    assert!(reason.contains("2026-11-20T12:00:05Z"), "{reason}");
}

#[test]
fn a_check_is_quiet_unless_it_finds_something() {
    let mut rig = Rig::new();
    let gap = |after| Event::FrameGap { application: app(), after: at(after) };
    for after in [-100, -300, -200] {
        rig.handle(gap(after));
    }
    let check = rig.next();
    assert_eq!(check.ask.after, at(-360));
    rig.answer(&check, Ok(Source::Storage), 0, missing("node"));
    let again = rig.next();
    rig.answer(&again, Ok(Source::Storage), 0, missing("node"));
    assert!(rig.is_idle() && rig.told.is_empty());
    rig.handle(gap(100));
    let next = rig.next();
    assert_eq!(rig.now, at(5 + 600), "ten minutes after the one before");
    rig.answer(&next, Ok(Source::Storage), 2, LostFrames::default());
    assert!(matches!(rig.told[..], [Notice::GapRepaired { repaired: 2, .. }]));
    assert!(rig.is_idle(), "all is there: nothing to look for again");
}

#[test]
fn a_check_leaves_to_an_outage_what_that_will_bring_and_waits_for_it() {
    let mut rig = Rig::new();
    rig.handle(outage(-100, 0));
    rig.handle(Event::FrameGap { application: app(), after: at(-110) });
    assert_eq!(rig.saved.len(), 1);
    rig.handle(Event::FrameGap { application: app(), after: at(-1000) });
    let outage = rig.next();
    assert_eq!(outage.gap.after, at(-160));
    rig.answer(&outage, Err(HistoryError::Unavailable("no".into())), 0, LostFrames::default());
    let outage = rig.next();
    assert_eq!(outage.gap.after, at(-160), "once more, before the check");
    assert!(rig.handle(Event::Tick).is_empty(), "one at a time");
}

#[test]
fn what_somebody_asks_for_is_fetched_at_once_and_exactly() {
    let mut rig = Rig::new();
    let span = Span { after: at(-50_000_000), before: at(-100) };
    let (id, actions) = rig.gaps.ask(app(), span, rig.now).unwrap();
    let fetch = rig.book(actions).pop().unwrap();
    assert_eq!((fetch.id, fetch.ask), (id, Span { after: at(-50_000_060), before: at(-90) }));
    for _ in 1..MOST_ASKED {
        assert!(rig.gaps.ask(app(), span, rig.now).is_some());
    }
    assert!(rig.gaps.ask(app(), span, rig.now).is_none());
}

#[test]
fn a_clock_set_back_delays_nothing_for_long() {
    let mut rig = Rig::new();
    rig.handle(outage(-10, 0));
    rig.now = at(-3600);
    rig.handle(Event::Tick);
    assert!(rig.gaps.next_deadline().unwrap() <= at(-3600 + 600));
    let fetch = rig.next();
    assert!(fetch.ask.before > at(0), "what has really just come is asked for too");
}

#[test]
fn a_row_of_something_else_is_given_back() {
    let row = GapRow { id: 7, application: app(), body: "{}".into() };
    let (gaps, unreadable) = Gaps::restore(RepairConfig::default(), vec![row]);
    assert_eq!((gaps.next_deadline(), unreadable), (None, vec![7]));
}
