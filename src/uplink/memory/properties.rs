//! Generated histories of a device: sessions, re-joins, counters that begin again, losses on the way, copies, backfills
//! and restarts. Every uplink is new exactly once, and what is stored is what is remembered.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

/// The store, as far as runs go.
#[derive(Debug, Default)]
struct Stored(BTreeMap<(DeviceKey, String, u32, u32), Run>);

impl Stored {
    fn apply(&mut self, changes: Vec<RunChange>) {
        for change in changes {
            match change {
                RunChange::Put(key, run) => {
                    self.0.insert((key, run.session.clone(), run.epoch, run.first), run);
                }
                RunChange::Remove(key, session, epoch, first) => {
                    assert!(self.0.remove(&(key, session, epoch, first)).is_some(), "removed what was not there");
                }
            }
        }
    }

    fn runs(&self) -> Vec<(DeviceKey, Run)> {
        self.0.iter().map(|((key, ..), run)| (key.clone(), run.clone())).collect()
    }
}

/// A memory with its store beside it, restarted at will.
#[derive(Default)]
struct World {
    memory: Memory,
    stored: Stored,
}

impl World {
    fn note(&mut self, uplink: &Uplink) -> What {
        let noted = self.memory.note(uplink);
        assert_eq!(noted.what == What::Duplicate, noted.changes.is_empty());
        self.stored.apply(noted.changes);
        let mut remembered: Vec<_> = self.memory.devices.values().flat_map(|device| device.runs()).cloned().collect();
        remembered.sort_by(|a, b| (&a.session, a.epoch, a.first).cmp(&(&b.session, b.epoch, b.first)));
        assert!(self.stored.0.values().eq(&remembered), "the store and the memory differ");
        noted.what
    }

    fn restart(&mut self) {
        self.memory = Memory::restore(self.stored.runs());
    }
}

fn frame(session: &str, f_cnt: u32, second: i64) -> Uplink {
    Uplink { session_key_id: Some(session.into()), ..*Uplink::sample("node", f_cnt, second) }
}

fn is_new(what: What) -> bool {
    what != What::Duplicate
}

/// Lives of a device: how many frames each has, its first counter, seconds between frames, whether it joined before.
fn lives(again: bool) -> impl Strategy<Value = Vec<Uplink>> {
    let life = (1usize..25, prop_oneof![Just(0u32), Just(1), 0u32..2000], 5i64..4000, any::<bool>());
    proptest::collection::vec(life, 1..5).prop_map(move |lives| {
        let (mut all, mut second, mut session) = (Vec::new(), 0, 0);
        for (frames, first, pace, joined) in lives {
            session += i32::from(joined || !again);
            // A device that begins again begins at its beginning.
            let first = if joined || !again { first } else { 0 };
            for n in 0..frames as u32 {
                second += pace;
                all.push(frame(&format!("s{session}"), first + n, second));
            }
        }
        all
    })
}

proptest! {
    /// In any order whatever, as long as no counter begins again within its session.
    #[test]
    fn every_uplink_is_new_exactly_once(
        all in lives(false),
        order in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..150),
    ) {
        let (mut world, mut seen) = (World::default(), vec![false; all.len()]);
        let rest = (0..all.len()).map(|index| (index, false));
        for (index, restart) in order.iter().map(|(at, restart)| (at.index(all.len()), *restart)).chain(rest) {
            if restart {
                world.restart();
            }
            let new = is_new(world.note(&all[index]));
            prop_assert_eq!(new, !std::mem::replace(&mut seen[index], true), "{:?}", all[index]);
        }
        prop_assert!(world.memory.missing(&all[0].key.application, everything()).is_empty());
    }

    /// Counters that begin again too. What was missed comes oldest first, mixed with what is heard; the frames around a
    /// new beginning are heard (one in the middle of an outage is seen only if a later counter contradicts it).
    #[test]
    fn a_counter_that_begins_again_is_no_copy(
        all in lives(true),
        events in proptest::collection::vec((0u8..10, any::<bool>(), any::<prop::sample::Index>()), 100),
    ) {
        let (mut world, mut seen) = (World::default(), BTreeMap::new());
        for (at, uplink) in all.iter().enumerate() {
            let (what, restart, back) = &events[at];
            if *restart {
                world.restart();
            }
            let begins = |at: usize| all.get(at).is_some_and(|uplink| uplink.f_cnt == 0);
            // 0 to 3: it is not heard. 8 and 9: all since some earlier one is fetched.
            let from = match what {
                0..4 if !begins(at) && !begins(at + 1) => continue,
                0..8 => at,
                _ => back.index(at + 1),
            };
            for old in &all[from..=at] {
                check(&mut world, &mut seen, old)?;
            }
            prop_assert!(!is_new(world.note(uplink)));
        }
        for uplink in &all {
            check(&mut world, &mut seen, uplink)?;
        }
        let known: Vec<_> = all.iter().map(|uplink| id(&world.memory, uplink)).collect();
        world.restart();
        prop_assert!(all.iter().map(|uplink| id(&world.memory, uplink)).eq(known.iter().cloned()));
        let distinct: std::collections::BTreeSet<_> = known.iter().collect();
        prop_assert_eq!(distinct.len(), all.len());
    }

    /// A device so full of holes that runs are forgotten: nothing is taken for new again, and the newest always is new.
    #[test]
    fn what_is_forgotten_does_not_come_again(steps in proptest::collection::vec(2u32..5, 1..200), restart in 0usize..200) {
        let (mut world, mut counter, mut all) = (World::default(), 0, Vec::new());
        for (at, step) in steps.iter().enumerate() {
            counter += step;
            all.push(frame("s", counter, i64::from(counter) * 60));
            prop_assert!(is_new(world.note(&all[at])));
            if at == restart {
                world.restart();
            }
            prop_assert!(world.stored.0.len() <= 64);
        }
        for uplink in &all {
            prop_assert_eq!(world.note(uplink), What::Duplicate);
        }
    }
}

fn check(world: &mut World, seen: &mut BTreeMap<Timestamp, String>, uplink: &Uplink) -> Result<(), TestCaseError> {
    let new = is_new(world.note(uplink));
    let id = id(&world.memory, uplink);
    match seen.get(&uplink.at) {
        Some(known) => prop_assert!(!new && *known == id, "{id} was {known}"),
        None => prop_assert!(new, "{} at {} was taken for a copy", id, uplink.at),
    }
    seen.insert(uplink.at, id);
    Ok(())
}

fn id(memory: &Memory, uplink: &Uplink) -> String {
    let session = uplink.session_key_id.as_deref().unwrap_or_default();
    match memory.look(uplink).began_again {
        true => format!("{session}/{}/{}", uplink.f_cnt, uplink.at),
        false => format!("{session}/{}", uplink.f_cnt),
    }
}

fn everything() -> Span {
    Span { after: Timestamp::MIN, before: Timestamp::MAX }
}

#[test]
fn holes_are_counted_when_they_open_and_named_until_they_close() {
    let mut memory = Memory::default();
    let note = |memory: &mut Memory, f_cnt| memory.note(&frame("s", f_cnt, i64::from(f_cnt) * 100)).what;
    assert_eq!(note(&mut memory, 1), What::New { missing_before: 0 });
    assert_eq!(note(&mut memory, 5), What::New { missing_before: 3 });
    assert_eq!(note(&mut memory, 3), What::New { missing_before: 0 }, "late");
    let application = frame("s", 0, 0).key.application;
    let holes = |memory: &Memory, after, before| -> Vec<_> {
        let span =
            Span { after: Timestamp::from_second(after).unwrap(), before: Timestamp::from_second(before).unwrap() };
        memory.missing(&application, span).iter().map(|hole| (hole.first, hole.last)).collect()
    };
    assert_eq!(holes(&memory, 0, 1000), [(2, 2), (4, 4)]);
    assert_eq!(holes(&memory, 320, 1000), [(4, 4)]);
    assert_eq!(holes(&memory, 0, 250), [(2, 2)]);
    assert_eq!(memory.look(&frame("s", 5, 500)), Known { began_again: false, missing_before: 1 });
    note(&mut memory, 2);
    note(&mut memory, 4);
    assert_eq!(holes(&memory, 0, 1000), []);
    assert_eq!(memory.heard_until(&application), Some(Timestamp::from_second(500).unwrap()));
}

#[test]
fn the_last_counter_there_is_has_none_after_it() {
    let mut memory = Memory::default();
    assert_eq!(memory.note(&frame("s", 1, 1)).what, What::New { missing_before: 0 });
    assert_eq!(memory.note(&frame("s", u32::MAX, 2)).what, What::New { missing_before: u32::MAX - 2 });
    assert_eq!(memory.note(&frame("s", 0, 3600)).what, What::New { missing_before: 0 });
    assert!(memory.look(&frame("s", 0, 3600)).began_again);
}

#[test]
fn simulated_uplinks_are_told_apart_by_counter_and_time() {
    let mut world = World::default();
    let simulated = |f_cnt, second| Uplink { session_key_id: None, simulated: true, ..frame("s", f_cnt, second) };
    for (f_cnt, second) in [(0, 10), (0, 20), (7, 20), (0, 15)] {
        assert!(is_new(world.note(&simulated(f_cnt, second))), "{f_cnt} at {second}");
    }
    world.restart();
    for (f_cnt, second) in [(0, 10), (0, 20), (7, 20), (0, 15)] {
        assert_eq!(world.note(&simulated(f_cnt, second)), What::Duplicate, "{f_cnt} at {second}");
        assert!(!world.memory.look(&simulated(f_cnt, second)).began_again, "the id has the time already");
    }
    assert!(world.memory.missing(&simulated(0, 0).key.application, everything()).is_empty());
    assert!(is_new(world.note(&frame("s", 0, 10))), "the same counter in a session");
}

#[test]
fn a_copy_whose_time_is_told_otherwise_is_one_all_the_same() {
    let mut memory = Memory::default();
    let shifted = |f_cnt, second, by: i64| {
        let uplink = frame("s", f_cnt, second);
        Uplink { at: uplink.at + SignedDuration::from_millis(by), ..uplink }
    };
    for (f_cnt, second) in [(1, 100), (2, 200), (3, 300), (9, 400)] {
        assert!(is_new(memory.note(&frame("s", f_cnt, second)).what));
    }
    for (f_cnt, second) in [(1, 100), (2, 200), (3, 300), (9, 400)] {
        for by in [-300, 300] {
            assert_eq!(memory.note(&shifted(f_cnt, second, by)).what, What::Duplicate, "{f_cnt} {by}");
        }
    }
    assert!(is_new(memory.note(&shifted(1, 401, 0)).what), "it began again");
}

#[test]
fn a_gateways_clock_that_is_a_little_off_opens_no_epoch() {
    let mut memory = Memory::default();
    for (f_cnt, second) in [(5, 100), (6, 90), (8, 150), (7, 151)] {
        let uplink = frame("s", f_cnt, second);
        assert!(is_new(memory.note(&uplink).what));
        assert!(!memory.look(&uplink).began_again, "{f_cnt}");
    }
    let at = Timestamp::from_second(0).unwrap() + SignedDuration::from_secs(151);
    assert_eq!(memory.device_heard_until(&frame("s", 0, 0).key), Some(at));
}

#[test]
fn what_is_lost_is_counted_until_it_is_fetched_and_stays_counted_when_it_is_forgotten() {
    let mut world = World::default();
    let key = frame("s", 0, 0).key;
    for (f_cnt, lost) in [(0, 0), (5, 4), (2, 3), (6, 3), (3, 2)] {
        world.note(&frame("s", f_cnt, f_cnt.into()));
        assert_eq!(world.memory.lost(&key), lost, "after {f_cnt}");
    }
    world.restart();
    assert_eq!(world.memory.lost(&key), 2);
    // Far more holes than runs are remembered.
    for f_cnt in (10..210).step_by(2) {
        world.note(&frame("s", f_cnt, f_cnt.into()));
    }
    assert_eq!(world.memory.lost(&key), 2 + 3 + 99);
    world.note(&frame("another", 100, 300));
    assert_eq!(world.memory.lost(&key), 2 + 3 + 99, "a new session begins anew");
}
