//! The queue as a model: generated histories of commands, answers, reports, time, restarts and lost connections, against a
//! network that keeps count.

use proptest::prelude::*;

use super::Event;
use super::item::Place;
use super::world::{Acts, Crash, How, World, device};
use crate::model::State;

/// One turn of a history. Numbers pick among what there is.
#[derive(Debug, Clone)]
pub enum Turn {
    Accept {
        device: usize,
        urgent: bool,
        confirmed: bool,
        expires: Option<u16>,
        not_before: Option<u16>,
        key: Option<u8>,
    },
    Replace {
        device: usize,
    },
    Cancel {
        which: usize,
    },
    Clear {
        device: usize,
    },
    /// The request under way of a device ends; a look-up also brings so much of the network's history.
    Answer {
        device: usize,
        how: How,
        history: Option<u8>,
    },
    /// The device sends an uplink: what it was sent is acknowledged or not, and the next downlink goes out.
    Uplink {
        device: usize,
        acknowledges: bool,
        transmits: bool,
        refused_by_gateway: bool,
    },
    /// The network loses the session and drops what it had.
    LoseSession {
        device: usize,
    },
    /// The network gives back what waits for the device whose downlinks it cannot encrypt.
    GiveBack,
    Report {
        which: usize,
        again: bool,
    },
    LoseReport {
        which: usize,
    },
    /// The stream of an application dies, and nobody notices at first.
    GoDeaf {
        application: usize,
    },
    Reconnect {
        application: usize,
    },
    /// The process dies, at the next thing that happens, and comes back; the network may act on what was under way.
    Crash {
        crash: Crash,
        acts: Acts,
    },
    /// Nothing can be written from now on, or again.
    Disk {
        works: bool,
    },
    /// Seconds, also backwards.
    Pass(i16),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    prop::collection::vec(turn(), 1..120)
}

fn turn() -> impl Strategy<Value = Turn> {
    let how = prop_oneof![
        4 => Just(How::Well), 1 => Just(How::Refused), 1 => Just(How::NoSession), 1 => Just(How::RateLimited),
        1 => Just(How::Spent), 1 => Just(How::QueueFull), 1 => Just(How::Forbidden), 2 => Just(How::Unclear(Acts::Now)),
        2 => Just(How::Unclear(Acts::Never)), 1 => Just(How::Unclear(Acts::Later)),
    ];
    let time = || prop::option::weighted(0.2, 0u16..600);
    let accept =
        (0..3usize, prop::bool::weighted(0.2), any::<bool>(), time(), time(), prop::option::weighted(0.3, 0u8..2));
    let crash = prop_oneof![Just(Crash::BeforeCommit), Just(Crash::BeforeActing), Just(Crash::AfterActing)];
    let acts = prop_oneof![Just(Acts::Never), Just(Acts::Now), Just(Acts::Later)];
    let commands = prop_oneof![
        6 => accept.prop_map(|(device, urgent, confirmed, expires, not_before, key)| Turn::Accept { device, urgent, confirmed, expires, not_before, key }),
        1 => (0..3usize).prop_map(|device| Turn::Replace { device }),
        2 => any::<usize>().prop_map(|which| Turn::Cancel { which }),
        1 => (0..3usize).prop_map(|device| Turn::Clear { device }),
    ];
    let network = prop_oneof![
        8 => (0..3usize, how, prop::option::of(0u8..4)).prop_map(|(device, how, history)| Turn::Answer { device, how, history }),
        4 => (0..3usize, any::<bool>(), any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(device, acknowledges, transmits, refused_by_gateway)| Turn::Uplink { device, acknowledges, transmits, refused_by_gateway }),
        1 => (0..3usize).prop_map(|device| Turn::LoseSession { device }),
        2 => Just(Turn::GiveBack),
        5 => (any::<usize>(), any::<bool>()).prop_map(|(which, again)| Turn::Report { which, again }),
        1 => any::<usize>().prop_map(|which| Turn::LoseReport { which }),
    ];
    let trouble = prop_oneof![
        2 => (0..2usize).prop_map(|application| Turn::GoDeaf { application }),
        4 => (0..2usize).prop_map(|application| Turn::Reconnect { application }),
        2 => (crash, acts).prop_map(|(crash, acts)| Turn::Crash { crash, acts }),
        1 => prop::bool::weighted(0.7).prop_map(|works| Turn::Disk { works }),
    ];
    prop_oneof![
        10 => commands, 19 => network, 4 => trouble,
        3 => (0i16..400).prop_map(Turn::Pass), 2 => (0i16..20).prop_map(Turn::Pass), 1 => (-3600i16..0).prop_map(Turn::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_sent_twice_and_everything_accepted_reaches_one_end(turns in turns()) {
        let mut world = World::new();
        for turn in &turns {
            world.turn(turn);
        }
        world.settle();
        for (id, known) in world.accepted() {
            prop_assert!(known.end.is_some(), "{} is still open: {:?}", id, world.machine.find(id));
        }
        prop_assert_eq!(world.machine.depth(), 0);
    }

    #[test]
    fn a_stop_ends_nothing_but_what_was_taken_back_and_what_was_open_goes_on_after_it(turns in turns()) {
        let mut world = World::new();
        for turn in &turns {
            world.turn(turn);
        }
        world.event(Event::Tick);
        let open = world.machine.items().filter(|item| !matches!(item.place(), Place::Withdrawn(_))).count();
        world.event(Event::Stop);
        prop_assert_eq!(world.machine.depth(), open);
        for device in 0..3 {
            world.answer(device, How::Well, None);
        }
        prop_assert!(world.under_way.is_empty(), "nothing more is asked");
        world.disk_works();
        world.restart(Acts::Never);
        world.settle();
        for (id, known) in world.accepted() {
            prop_assert!(known.end.is_some(), "{} is still open: {:?}", id, world.machine.find(id));
        }
    }
}

/// The same model, with nothing that can go wrong but an unclear answer: then nothing is given up for want of knowledge.
#[test]
fn with_the_stream_up_an_unclear_push_is_never_given_up() {
    for (acts, expected) in [(Acts::Never, State::Sent), (Acts::Now, State::Sent), (Acts::Later, State::Sent)] {
        let mut world = World::new();
        let accept =
            Turn::Accept { device: 0, urgent: false, confirmed: false, expires: None, not_before: None, key: None };
        world.turn(&accept);
        world.answer(0, How::Unclear(acts), None);
        for _ in 0..20 {
            world.turn(&Turn::Pass(10));
            world.answer(0, How::Well, None);
        }
        world.settle();
        let ends: Vec<_> = world.accepted().map(|(_, known)| known.end).collect();
        assert_eq!(ends, [Some(expected)], "{acts:?}");
        assert_eq!(world.on_air(&device(0)), 1);
    }
}

/// A network that leaves repeating to us gives a downlink back again and again, and tells each time twice.
#[test]
fn what_is_given_back_is_pushed_until_it_goes_out_and_goes_out_once() {
    for confirmed in [false, true] {
        let mut world = World::new();
        world.turn(&Turn::Accept { device: 1, urgent: false, confirmed, expires: None, not_before: None, key: None });
        for _ in 0..3 {
            world.answer(1, How::Well, None);
            world.turn(&Turn::GiveBack);
            for again in [true, true, false, false] {
                world.turn(&Turn::Report { which: 1, again });
            }
        }
        world.settle();
        let ends: Vec<_> = world.accepted().map(|(_, known)| known.end).collect();
        assert_eq!(ends, [Some(if confirmed { State::Acked } else { State::Sent })]);
        assert_eq!((world.on_air(&device(1)), world.pushes(&device(1))), (1, 4));
    }
}

/// The history that random ones hardly ever hit on: the answer and every report are lost to a stream that seems to hold.
#[test]
fn a_look_through_a_stream_that_died_unnoticed_is_not_believed() {
    let mut world = World::new();
    let accept =
        Turn::Accept { device: 0, urgent: false, confirmed: false, expires: None, not_before: None, key: None };
    let uplink = Turn::Uplink { device: 0, acknowledges: false, transmits: true, refused_by_gateway: false };
    for turn in [accept, Turn::GoDeaf { application: 0 }] {
        world.turn(&turn);
    }
    world.answer(0, How::Unclear(Acts::Now), None);
    world.turn(&uplink);
    world.turn(&Turn::Pass(20));
    // What follows panics if it is pushed again.
    world.answer(0, How::Well, None);
    world.settle();
    let ends: Vec<_> = world.accepted().map(|(_, known)| known.end).collect();
    assert_eq!((ends, world.on_air(&device(0))), (vec![Some(State::Failed)], 1));
}
