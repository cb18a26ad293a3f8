//! Gaps as a model: generated outages, answers, restarts and clocks.

use std::collections::{BTreeMap, HashMap};

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::model::DeviceId;

/// One turn of a history.
#[derive(Debug, Clone)]
enum Turn {
    /// Ended so many seconds ago, lasted so many.
    Outage {
        application: usize,
        ago: i64,
        lasted: i64,
    },
    FrameGap {
        application: usize,
        ago: i64,
    },
    Ask {
        application: usize,
        ago: i64,
    },
    Answer {
        application: usize,
        how: How,
    },
    /// The process is killed and starts again; nothing was heard for so long.
    Restart {
        heard_ago: i64,
        connects: bool,
    },
    /// Seconds; backwards too.
    Pass(i64),
}

#[derive(Debug, Clone, Copy)]
enum How {
    Storage { new: u64, misses: bool },
    Events { misses: bool },
    NotActivated { misses: bool },
    Unavailable,
}

fn turn() -> impl Strategy<Value = Turn> {
    let how = prop_oneof![
        3 => (0..4u64, any::<bool>()).prop_map(|(new, misses)| How::Storage { new, misses }),
        1 => any::<bool>().prop_map(|misses| How::Events { misses }),
        1 => any::<bool>().prop_map(|misses| How::NotActivated { misses }),
        3 => Just(How::Unavailable),
    ];
    let lasted = prop_oneof![6 => 0..600i64, 1 => 0..300_000i64, 1 => -4000..0i64];
    prop_oneof![
        4 => (0..2usize, 0..100i64, lasted).prop_map(|(application, ago, lasted)| Turn::Outage { application, ago, lasted }),
        3 => (0..2usize, 0..5000i64).prop_map(|(application, ago)| Turn::FrameGap { application, ago }),
        1 => (0..2usize, 0..100_000i64).prop_map(|(application, ago)| Turn::Ask { application, ago }),
        8 => (0..2usize, how).prop_map(|(application, how)| Turn::Answer { application, how }),
        1 => (0..100_000i64, any::<bool>()).prop_map(|(heard_ago, connects)| Turn::Restart { heard_ago, connects }),
        8 => prop_oneof![8 => 0..200i64, 2 => 0..40_000i64, 1 => -4000..0i64].prop_map(Turn::Pass),
    ]
}

/// An outage as the world knows it.
struct Silence {
    application: ApplicationName,
    from: Timestamp,
    to: Timestamp,
    settled: bool,
}

#[derive(Default)]
struct Book {
    found: u32,
    ends: u32,
    fetches: u32,
    /// Answers other than "no answer".
    answers: u32,
    lost_in_restarts: u32,
    failures: u32,
}

struct World {
    gaps: Gaps,
    now: Timestamp,
    saved: BTreeMap<u64, GapRow>,
    running: HashMap<ApplicationName, Fetch>,
    outages: Vec<Silence>,
    books: BTreeMap<u64, Book>,
    checks: HashMap<ApplicationName, Timestamp>,
    clock_moved: bool,
    most_fetches: u32,
}

fn name(application: usize) -> ApplicationName {
    ApplicationName::parse(["one", "two"][application]).unwrap()
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

impl World {
    fn new() -> Self {
        Self {
            gaps: Gaps::restore(RepairConfig::default(), Vec::new()).0,
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
            saved: BTreeMap::new(),
            running: HashMap::new(),
            outages: Vec::new(),
            books: BTreeMap::new(),
            checks: HashMap::new(),
            clock_moved: false,
            most_fetches: 0,
        }
    }

    fn handle(&mut self, event: Event) {
        let actions = self.gaps.handle(event, self.now);
        self.book(actions);
    }

    fn book(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Save(row) => drop(self.saved.insert(row.id, row)),
                Action::Forget(id) => {
                    assert!(self.saved.remove(&id).is_some(), "forgotten twice");
                    self.close(id);
                }
                Action::Tell(notice) => self.told(notice),
                Action::Fetch(fetch) => self.fetch(fetch),
            }
        }
        if let Some(due) = self.gaps.next_deadline() {
            assert!(due <= self.now + seconds(600), "a wait of {}", due.duration_since(self.now));
        }
        assert!(self.saved.len() <= 2 * (MOST_OUTAGES + 40), "{} open gaps", self.saved.len());
    }

    fn fetch(&mut self, fetch: Fetch) {
        let gap = self.gaps.applications[&fetch.application].gaps[&fetch.id].clone();
        assert!(fetch.ask.after < fetch.ask.before, "an empty span");
        if gap.kind == Kind::Check && gap.stage == Stage::First && gap.failures == 0 {
            let before = self.checks.insert(fetch.application.clone(), self.now);
            let early = before.is_some_and(|before| self.now < before + seconds(600));
            assert!(!early || self.clock_moved, "checks too close together");
        }
        self.books.entry(fetch.id).or_default().fetches += 1;
        assert!(self.running.insert(fetch.application.clone(), fetch).is_none(), "two fetches at a time");
    }

    fn told(&mut self, notice: Notice) {
        match notice {
            Notice::GapFound { id, .. } => self.books.entry(id).or_default().found += 1,
            Notice::GapRepaired { id, .. } => self.books.entry(id).or_default().ends += 1,
            Notice::GapLost { id, application, from, to, .. } => {
                self.books.entry(id).or_default().ends += 1;
                // Where a silence ended is a matter of opinion once the clock was set back.
                let ends = |it: &Silence| if self.clock_moved { it.from <= to } else { it.to <= to };
                let covered = |it: &&mut Silence| it.application == application && from <= it.from && ends(it);
                self.outages.iter_mut().filter(covered).for_each(|outage| outage.settled = true);
            }
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, application: &ApplicationName, how: How) {
        let Some(fetch) = self.running.remove(application) else { return };
        let (result, new, misses) = match how {
            How::Storage { new, misses } => (Ok(Source::Storage), new, misses),
            How::Events { misses } => (Ok(Source::Events), 0, misses),
            How::NotActivated { misses } => (Err(HistoryError::NotActivated), 0, misses),
            How::Unavailable => (Err(HistoryError::Unavailable("no".into())), 0, false),
        };
        let book = self.books.entry(fetch.id).or_default();
        match &result {
            Err(HistoryError::Unavailable(_)) => book.failures += 1,
            _ => book.answers += 1,
        }
        if !matches!(result, Err(HistoryError::Unavailable(_))) {
            // Where a silence ended is a matter of opinion once the clock was set back.
            let until = |it: &Silence| if self.clock_moved { it.from } else { it.to };
            let asked = |it: &&mut Silence| {
                it.application == *application && fetch.ask.after <= it.from && until(it) <= fetch.ask.before
            };
            self.outages.iter_mut().filter(asked).for_each(|outage| outage.settled = true);
        }
        let mut lost = LostFrames::default();
        if misses {
            lost.add("node", &DeviceId::parse("node").unwrap(), 1, 2);
        }
        let application = application.clone();
        self.handle(Event::Fetched(Fetched { id: fetch.id, application, result, new, lost }));
    }

    fn restart(&mut self, heard_ago: i64) {
        for (_, fetch) in self.running.drain() {
            self.books.entry(fetch.id).or_default().lost_in_restarts += 1;
        }
        self.checks.clear();
        self.gaps = Gaps::restore(RepairConfig::default(), self.saved.values().cloned().collect()).0;
        for application in [name(0), name(1)] {
            let heard_until = self.now - seconds(heard_ago);
            self.outages.push(Silence {
                application: application.clone(),
                from: heard_until,
                to: self.now,
                settled: false,
            });
            self.handle(Event::Restarted { application, heard_until });
        }
    }

    fn play(&mut self, turn: Turn) {
        match turn {
            Turn::Outage { application, ago, lasted } => {
                let (application, to) = (name(application), self.now - seconds(ago));
                let from = to - seconds(lasted);
                let (first, last) = (from.min(to), from.max(to));
                self.outages.push(Silence { application: application.clone(), from: first, to: last, settled: false });
                self.handle(Event::Outage(Outage { application, from, to, why: "a test" }));
            }
            Turn::FrameGap { application, ago } => {
                let after = self.now - seconds(ago);
                self.handle(Event::FrameGap { application: name(application), after });
            }
            Turn::Ask { application, ago } => {
                let span = Span { after: self.now - seconds(ago), before: self.now };
                if let Some((_, actions)) = self.gaps.ask(name(application), span, self.now) {
                    self.book(actions);
                }
            }
            Turn::Answer { application, how } => self.answer(&name(application), how),
            Turn::Restart { heard_ago, connects } => {
                self.restart(heard_ago);
                for application in 0..if connects { 2 } else { 0 } {
                    self.handle(Event::Connected(name(application)));
                }
            }
            Turn::Pass(by) => {
                self.clock_moved |= by < 0;
                self.now += seconds(by);
                self.handle(Event::Tick);
            }
        }
    }

    /// Everything is well from now on.
    fn settle(&mut self) {
        for application in [name(0), name(1)] {
            self.handle(Event::Connected(application));
        }
        for _ in 0..10_000 {
            for application in [name(0), name(1)] {
                self.answer(&application, How::Storage { new: 0, misses: false });
            }
            if self.running.is_empty() {
                let Some(due) = self.gaps.next_deadline() else { return };
                self.now = self.now.max(due);
                self.handle(Event::Tick);
            }
        }
        panic!("it never comes to rest");
    }

    fn check(&self) {
        assert!(self.saved.is_empty(), "{:?} are still open", self.saved);
        for outage in &self.outages {
            let Silence { application, from, to, settled } = outage;
            assert!(settled, "{application}: {from} to {to} was neither fetched nor told as lost");
        }
        assert!(self.books.is_empty(), "{:?} were told or fetched and never came to an end", self.books.keys());
    }

    /// A gap is over; its id may come again if the clock is set back and the process restarted.
    fn close(&mut self, id: u64) {
        let book = self.books.remove(&id).expect("it was fetched at least once");
        assert!(book.found <= 1, "gap {id} was found {} times", book.found);
        assert!(book.found == 0 || book.ends == 1, "gap {id} has {} ends", book.ends);
        assert!(book.ends <= 1 && book.answers <= 2, "gap {id}: {} ends, {} answers", book.ends, book.answers);
        assert_eq!(book.fetches, book.answers + book.failures + book.lost_in_restarts, "gap {id}");
        self.most_fetches = self.most_fetches.max(book.fetches);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_outage_is_fetched_or_told_as_lost_and_every_gap_ends_once(turns in prop::collection::vec(turn(), 1..80)) {
        let mut world = World::new();
        for turn in turns {
            world.play(turn);
        }
        world.settle();
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_network_that_never_answers_is_asked_a_bounded_number_of_times(outages in prop::collection::vec((0..2usize, 0..5000i64, 0..3000i64), 1..40)) {
        let mut world = World::new();
        for (application, wait, lasted) in outages {
            world.play(Turn::Outage { application, ago: 0, lasted });
            world.play(Turn::Pass(wait));
            world.play(Turn::Answer { application, how: How::Unavailable });
        }
        for _ in 0..20_000 {
            for application in 0..2 {
                world.play(Turn::Answer { application, how: How::Unavailable });
            }
            let Some(due) = world.gaps.next_deadline() else {
                if world.running.is_empty() {
                    break;
                }
                continue;
            };
            world.now = world.now.max(due);
            world.handle(Event::Tick);
        }
        world.check();
        let most = world.most_fetches;
        prop_assert!((100..300).contains(&most), "{most} fetches of one gap");
    }
}
