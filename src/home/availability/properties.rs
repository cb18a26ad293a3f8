//! Generated histories: who keeps a rhythm is never offline, who stops is soon.

use proptest::prelude::*;

use super::tests::{FACTOR, FLOOR, World};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// One frame of a device that reports regularly.
#[derive(Debug, Clone, Copy)]
struct Sent {
    /// How late or early it is, in thousandths of the interval.
    jitter: i64,
    lost: bool,
    /// The device started anew before it.
    joins: bool,
    /// Somebody presses a button right after it, so many times.
    presses: u32,
}

fn sent() -> impl Strategy<Value = Sent> {
    let joins = prop::bool::weighted(0.02);
    let presses = prop_oneof![9 => Just(0_u32), 1 => 1..6_u32];
    (-100..=100_i64, prop::bool::weighted(0.2), joins, presses).prop_map(|(jitter, lost, joins, presses)| Sent {
        jitter,
        lost,
        joins,
        presses,
    })
}

/// No two in a row are lost: it takes more than `factor` frames to be gone.
fn history() -> impl Strategy<Value = Vec<Sent>> {
    prop::collection::vec(sent(), 20..150).prop_map(|mut all| {
        for n in 1..all.len() {
            all[n].lost &= !all[n - 1].lost;
        }
        all[0].lost = false;
        all
    })
}

/// Plays a history of a device with this interval; returns whether it was ever offline, and when it was heard last.
fn play(world: &mut World, interval: u64, history: &[Sent]) -> (bool, u64) {
    let (mut ever_offline, mut last, mut session, mut f_cnt) = (false, 0, 0, 0);
    for (n, sent) in history.iter().enumerate() {
        if sent.joins {
            (session, f_cnt) = (session + 1, 0);
        }
        let late = interval as i64 * sent.jitter / 1000;
        let at = ((n as u64 + 1) * interval).checked_add_signed(late).unwrap();
        if !sent.lost {
            ever_offline |= !world.is_online_until(at) && n > 0;
            world.up(at, session, f_cnt);
            last = at;
        }
        f_cnt += 1;
        for press in (1..=u64::from(sent.presses)).filter(|_| !sent.lost) {
            last = at + 2 * press;
            world.up(last, session, f_cnt);
            f_cnt += 1;
        }
    }
    (ever_offline, last)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_device_that_keeps_its_rhythm_is_never_offline_and_one_that_stops_soon_is(
        interval in 120..8 * HOUR, history in history(),
    ) {
        let mut world = World::new();
        let (ever_offline, last) = play(&mut world, interval, &history);
        prop_assert!(!ever_offline, "an interval of {interval} s");
        // Two neighbours differ by a fifth of the interval at most.
        let limit = (FACTOR * 1.2 * interval as f64) as u64 + FLOOR;
        prop_assert!(world.is_online_until(last + interval * 2));
        prop_assert!(!world.is_online_until(last + limit), "an interval of {interval} s");
    }

    #[test]
    fn silent_nights_and_weekends_are_learned(
        interval in 5 * 60..HOUR, evening in 17..24_u64, weekends: bool, jitters in prop::collection::vec(-100..=100_i64, 50),
    ) {
        let (mut world, mut f_cnt, mut flapped) = (World::new(), 0, Vec::new());
        let mut jitters = jitters.into_iter().cycle();
        for day in 0..28 {
            if weekends && day % 7 >= 5 {
                continue;
            }
            let mut at = day * DAY + 6 * HOUR;
            while at < day * DAY + evening * HOUR {
                if !world.is_online_until(at) {
                    flapped.push(day);
                }
                world.up(at, 0, f_cnt);
                f_cnt += 1;
                at += interval.checked_add_signed(interval as i64 * jitters.next().unwrap_or_default() / 1000).unwrap();
            }
        }
        // The first morning is the first time at all; two nights, and two weekends, make it a habit.
        let learned = if weekends { 15 } else { 3 };
        prop_assert!(flapped.iter().all(|day| *day < learned), "{flapped:?}");
    }

    #[test]
    fn whatever_comes_breaks_nothing_and_whoever_is_heard_is_there(
        all in prop::collection::vec((any::<u32>(), 0..3_u32, 0..20_u32, any::<bool>(), 0..100_000_u64), 1..60),
    ) {
        let (mut world, mut now) = (World::new(), 0);
        for (at, session, f_cnt, backfilled, passes) in all {
            now += passes;
            world.is_online_until(now);
            world.up_at(now, i64::from(at), session, f_cnt, backfilled);
            prop_assert!(backfilled || world.is_online_until(now));
            prop_assert!(world.patience() >= FLOOR);
        }
    }
}
