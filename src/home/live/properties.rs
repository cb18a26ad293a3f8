//! Nothing is lost unsaid: for any sequence of things told, slow reading, filters and resumes.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::ring::{MOST_BYTES, MOST_FRAMES};
use super::*;
use crate::model::{ApplicationName, DeviceId};

#[derive(Debug, Clone)]
enum Act {
    /// So many frames, of these kinds and devices in turn, each of so many bytes.
    Tell {
        frames: usize,
        bytes: usize,
    },
    /// The client reads so many pieces at most.
    Read(usize),
    Filter(Filter),
    /// It goes away and comes back with the last number it had, or with one that is so much older or newer.
    Resume(i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let amounts = prop_oneof![8 => 0..30_usize, 1 => 0..2 * MOST_FRAMES];
    let bytes = prop_oneof![8 => Just(2_usize), 1 => 0..MOST_BYTES / 3];
    let kinds = prop::collection::vec(0..KINDS.len(), 0..3);
    let filter = (kinds, prop::collection::vec(0..DEVICES.len(), 0..3)).prop_map(|(kinds, devices)| Filter {
        kinds: kinds.into_iter().map(|kind| KINDS[kind]).collect(),
        devices: devices.into_iter().map(|device| DEVICES[device].to_owned()).collect(),
    });
    let act = prop_oneof![
        4 => (amounts, bytes).prop_map(|(frames, bytes)| Act::Tell { frames: if bytes > 1000 { frames.min(5) } else { frames }, bytes }),
        4 => (0..60_usize).prop_map(Act::Read),
        1 => filter.prop_map(Act::Filter),
        1 => prop_oneof![3 => Just(0), 1 => -3000..50_i64].prop_map(Act::Resume),
    ];
    prop::collection::vec(act, 0..25)
}

const KINDS: [Kind; 3] = [Kind::State, Kind::Uplink, Kind::Bridge];
const DEVICES: [&str; 3] = ["lamp", "soil", "door"];

fn whom(number: usize) -> Whom {
    match DEVICES.get(number % 4) {
        Some(name) => {
            let key = DeviceKey::new(&ApplicationName::parse("garden").unwrap(), DeviceId::parse(name).unwrap());
            Whom::Device(key, HomeName::parse(name).unwrap())
        }
        None => Whom::Bridge,
    }
}

/// What a client should have: `owed` and not yet told of, one way or the other.
struct Client {
    follower: Follower,
    filter: Filter,
    /// The last number it heard of, or was told to have missed.
    last: u64,
    owed: BTreeSet<u64>,
}

impl Client {
    fn read(&mut self) -> Result<bool, TestCaseError> {
        match self.follower.take() {
            Some(Piece::Frame(frame)) => {
                prop_assert!(frame.number > self.last, "{} after {}", frame.number, self.last);
                prop_assert!(self.filter.lets_pass(&frame));
                prop_assert_eq!(self.owed.pop_first(), Some(frame.number), "in order, and exactly once");
                self.last = frame.number;
                Ok(true)
            }
            Some(Piece::Missed { from, to }) => {
                prop_assert!(from <= to && to >= self.last);
                prop_assert!(self.owed.first().is_none_or(|first| from <= *first), "{:?} from {from}", self.owed);
                self.owed.retain(|owed| *owed > to);
                self.last = to;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

proptest! {
    #[test]
    fn a_client_gets_every_frame_in_order_once_or_is_told_of_a_span_that_covers_it(acts in acts(), first in 1..5_000_u64) {
        let live = Live::starting_at(first);
        let mut told = Vec::new();
        let mut client = Client {
            follower: live.follow(Filter::default(), None),
            filter: Filter::default(),
            last: first - 1,
            owed: BTreeSet::new(),
        };
        for act in acts.into_iter().chain([Act::Read(usize::MAX)]) {
            match act {
                Act::Tell { frames, bytes } => for _ in 0..frames {
                    let data = Bytes::from(format!("\"{}\"", "x".repeat(bytes)));
                    let about = (KINDS[told.len() % 3], whom(told.len()));
                    let number = live.tell(about.0, about.1.clone(), Some(data));
                    let frame = Frame::new(number, about, Timestamp::UNIX_EPOCH, None);
                    if client.filter.lets_pass(&frame) {
                        client.owed.insert(number);
                    }
                    told.push(frame);
                }
                Act::Read(most) => for _ in 0..most {
                    if !client.read()? {
                        prop_assert!(client.owed.is_empty(), "nothing more comes, and {:?} is owed", client.owed);
                        break;
                    }
                }
                Act::Filter(filter) => {
                    client.follower.set_filter(filter.clone());
                    // What is told already and not read is asked of the new one.
                    let unread = client.follower.next;
                    let wanted = told.iter().filter(|it: &&Frame| it.number >= unread && filter.lets_pass(it));
                    client.owed = wanted.map(|frame| frame.number).collect();
                    client.filter = filter;
                }
                Act::Resume(shift) => {
                    let after = client.last.saturating_add_signed(shift);
                    client.follower = live.follow(client.filter.clone(), Some(after));
                    // One from the future is from another bridge: it is told, and goes on from now.
                    client.last = after.min(live.window().0);
                    let wanted = told.iter().filter(|it: &&Frame| it.number > after && client.filter.lets_pass(it));
                    client.owed = wanted.map(|frame| frame.number).collect();
                    let from_future = after > live.window().0;
                    if from_future {
                        let told = matches!(client.follower.take(), Some(Piece::Missed { .. }));
                        prop_assert!(told);
                    }
                }
            }
            let (newest, oldest) = live.window();
            prop_assert!(newest + 1 - oldest <= MOST_FRAMES as u64);
        }
    }
}

#[test]
fn what_is_kept_is_bounded_by_bytes_and_one_is_always_kept() {
    let live = Live::default();
    let long = |bytes: usize| Some(Bytes::from(format!("\"{}\"", "x".repeat(bytes))));
    for _ in 0..20 {
        live.tell(Kind::Uplink, Whom::Bridge, long(MOST_BYTES / 16));
    }
    let (newest, oldest) = live.window();
    assert_eq!((newest, newest + 1 - oldest), (20, 7), "each counts twice: its text may be made");
    live.tell(Kind::Uplink, Whom::Bridge, long(MOST_BYTES));
    assert_eq!(live.window(), (21, 21));
}

#[test]
fn a_frame_is_made_once_for_all_and_says_whom_it_is_about() {
    let live = Live::starting_at(7);
    let Whom::Device(key, name) = whom(0) else { panic!("a device") };
    let device = Subject { key: &key, name: &name };
    live.tell_newest(Kind::State, device, &Bytes::from_static(br#"{"a":1.10}"#));
    live.tell(Kind::Devices, Whom::Bridge, None);
    let frames = live.recent(|_| true);
    let at = frames[0].at;
    let text = format!(
        r#"{{"event":7,"kind":"state","device":"lamp","application":"garden","device_id":"lamp","at":"{at}","data":{{"a":1.10}}}}"#
    );
    assert_eq!(frames[0].text(), text);
    assert_eq!(frames[0].text().as_ptr(), frames[0].text().as_ptr());
    assert_eq!(frames[1].text(), format!(r#"{{"event":8,"kind":"devices","at":"{}"}}"#, frames[1].at));
}

#[test]
fn what_is_told_again_is_no_news_but_under_another_name_it_is() {
    let live = Live::default();
    let Whom::Device(key, name) = whom(0) else { panic!("a device") };
    let (state, other) = (Bytes::from_static(br#"{"a":1}"#), HomeName::parse("hall/lamp").unwrap());
    live.restore(key.clone(), state.clone());
    assert_eq!(live.newest_of([&key])[0].state.as_ref(), Some(&state), "before anybody was told");
    for name in [&name, &name, &other] {
        live.tell_newest(Kind::State, Subject { key: &key, name }, &state);
    }
    assert_eq!(live.window().0, 2);
    live.forget(&key);
    assert_eq!(live.newest_of([&key])[0].state, None);
}

#[test]
fn numbers_rise_over_a_restart_whatever_the_clock_says() {
    let now: Timestamp = "2026-11-21T06:00:00Z".parse().unwrap();
    assert_eq!(Live::first_number(now, 0), 1_795_240_800_000_000);
    assert_eq!(Live::first_number(now, u64::MAX / 2), u64::MAX / 2 + 1);
    assert_eq!(Live::first_number(Timestamp::MIN, 7), 8);
}
