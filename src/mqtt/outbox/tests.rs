//! What goes through an outbox: order, limits, and messages that end connections.

use super::*;
use proptest::prelude::*;

fn message(topic: &str, payload: &str, kind: Kind) -> Message {
    Message { kind, retain: kind == Kind::Latest, ..Message::new(topic, payload.to_owned()) }
}

/// Its number, at any quality of service.
fn numbered(number: u32, kind: Kind, qos: Qos) -> Message {
    Message { qos, ..message("t", &number.to_string(), kind) }
}

fn outbox(messages: usize, window: u16) -> Outbox {
    Outbox::new(Limits { messages, bytes: 1 << 20, window })
}

#[test]
fn a_newer_state_takes_the_place_of_one_still_waiting() {
    let mut outbox = outbox(10, 10);
    outbox.push(message("state", "1", Kind::Latest));
    outbox.push(message("state", "2", Kind::Latest));
    assert_eq!(outbox.take_next().unwrap().payload, "2");
    assert_eq!(outbox.take_next(), None);
}

#[test]
fn beyond_either_limit_the_oldest_messages_go() {
    let mut outbox = outbox(2, 10);
    let gone: Vec<_> = ["1", "2", "3"].map(|text| outbox.push(message("t", text, Kind::Each))).into();
    assert_eq!(gone, [0, 0, 1]);
    assert_eq!(outbox.push(message("t", &"x".repeat(1 << 20), Kind::Each)), 2);
    assert_eq!(outbox.take_next().unwrap().payload.len(), 1 << 20);
    assert!(outbox.push(message("t", "small", Kind::Each)) == 0 && outbox.waiting_each() == (0, 1));
}

#[test]
fn what_settles_an_uplink_is_never_shed() {
    let mut outbox = outbox(1, 10);
    for seq in 0..5 {
        outbox.push(message("t", "loose", Kind::Each));
        outbox.push(Message { receipt: Some(Receipt::Uplink(seq)), ..message("t", "uplink", Kind::Each) });
    }
    assert_eq!(outbox.waiting_each(), (5, 1));
    outbox.take_next().unwrap();
    assert_eq!(outbox.push(message("t", "loose", Kind::Each)), 1);
    outbox.lost();
    let taken: Vec<_> = std::iter::from_fn(|| {
        let message = outbox.take_next()?;
        outbox.written(1);
        outbox.acked(1);
        Some(message.payload)
    })
    .collect();
    assert_eq!(taken, ["uplink", "uplink", "uplink", "uplink", "uplink", "loose"]);
    assert_eq!((outbox.loose, outbox.loose_bytes), (0, 0));
}

#[test]
fn a_message_that_takes_down_every_connection_is_given_up_and_the_others_go_on() {
    let mut outbox = outbox(10, 10);
    for text in ["good", "poison", "better"] {
        outbox.push(message("t", text, Kind::Each));
    }
    let (mut delivered, mut given_up) = (Vec::new(), Vec::new());
    for packet in 0..100 {
        match outbox.take_next() {
            Some(message) if message.payload == "poison" => outbox.lost(),
            Some(_) => {
                outbox.written(packet);
                delivered.extend(outbox.acked(packet));
            }
            None => break,
        }
        given_up.extend(outbox.take_given_up());
    }
    assert_eq!(delivered.iter().map(|message| message.payload.clone()).collect::<Vec<_>>(), ["good", "better"]);
    assert_eq!(given_up.len(), 1);
    assert!(outbox.is_empty());
}

#[test]
fn a_broker_that_acknowledges_nothing_for_a_while_costs_no_message() {
    let mut outbox = outbox(10, 10);
    for text in ["1", "2", "3"] {
        outbox.push(message("t", text, Kind::Each));
    }
    for _ in 0..40 {
        while outbox.take_next().is_some() {}
        outbox.lost();
        assert_eq!(outbox.take_given_up(), None);
        assert_eq!(outbox.waiting_each(), (0, 3));
    }
    let mut delivered = Vec::new();
    for packet in 0..3 {
        delivered.extend(outbox.take_next().map(|message| message.payload));
        outbox.written(packet);
        outbox.acked(packet).unwrap();
    }
    assert_eq!(delivered, ["1", "2", "3"]);
}

#[test]
fn two_messages_that_no_broker_takes_do_not_block_the_way_for_ever() {
    let mut outbox = outbox(10, 10);
    for text in ["poison", "poison", "good"] {
        outbox.push(message("t", text, Kind::Each));
    }
    let mut given_up = 0;
    for packet in 0..500 {
        match outbox.take_next() {
            Some(message) if message.payload == "poison" => outbox.lost(),
            Some(_) => {
                outbox.written(packet);
                outbox.acked(packet);
            }
            None => break,
        }
        given_up += usize::from(outbox.take_given_up().is_some());
    }
    assert_eq!((given_up, outbox.waiting_each()), (2, (0, 0)));
}

#[test]
fn a_newer_state_inherits_the_suspicion_of_the_older() {
    let mut outbox = outbox(10, 10);
    for n in 0..100 {
        outbox.push(message("state", &n.to_string(), Kind::Latest));
        outbox.take_next().unwrap();
        outbox.lost();
        if outbox.take_given_up().is_some() {
            return;
        }
    }
    panic!("never given up");
}

#[test]
fn an_old_state_under_way_gives_way_to_a_newer_one_after_a_lost_connection() {
    let mut outbox = outbox(10, 10);
    outbox.push(message("state", "old", Kind::Latest));
    outbox.take_next().unwrap();
    outbox.push(message("state", "new", Kind::Latest));
    outbox.lost();
    assert_eq!(outbox.take_next().unwrap().payload, "new");
    assert!(outbox.take_next().is_none());
}

#[test]
fn states_get_their_share_while_messages_wait() {
    let mut outbox = outbox(100, 100);
    for n in 0..50 {
        outbox.push(message("t", &n.to_string(), Kind::Each));
    }
    outbox.push(message("state", "s", Kind::Latest));
    let place = (0..50).position(|_| outbox.take_next().unwrap().kind == Kind::Latest).unwrap();
    assert!(place < FAIR_SHARE as usize, "{place}");
}

#[test]
fn what_is_sent_at_most_once_is_delivered_when_it_is_written() {
    let mut outbox = outbox(10, 2);
    for (number, qos) in [(0, Qos::AtMostOnce), (1, Qos::AtLeastOnce), (2, Qos::AtMostOnce), (3, Qos::ExactlyOnce)] {
        outbox.push(numbered(number, Kind::Each, qos));
    }
    assert_eq!(std::iter::from_fn(|| outbox.take_next()).count(), 2);
    assert_eq!(outbox.written(0).unwrap().payload, "0");
    assert_eq!(outbox.take_next().unwrap().payload, "2");
    assert_eq!((outbox.written(7), outbox.under_way()), (None, 2));
    assert_eq!(outbox.written(0).unwrap().payload, "2");
    outbox.take_next().unwrap();
    outbox.written(8);
    assert_eq!(outbox.unreleased(), [8]);
    outbox.lost();
    assert_eq!(outbox.take_next().unwrap().payload, "1");
}

#[test]
fn a_broker_may_take_less_at_once_and_less_surely() {
    let mut outbox = outbox(10, 5);
    outbox.connected(Allowed { most_qos: Qos::AtLeastOnce, ..Allowed::all(2) });
    for number in 0..3 {
        outbox.push(numbered(number, Kind::Each, Qos::ExactlyOnce));
    }
    let taken: Vec<_> = std::iter::from_fn(|| outbox.take_next()).map(|message| message.qos).collect();
    assert_eq!(taken, [Qos::AtLeastOnce; 2]);
    outbox.lost();
    outbox.connected(Allowed::all(100));
    outbox.take_next().unwrap();
    outbox.written(1);
    outbox.acked(1).unwrap();
    assert_eq!(std::iter::from_fn(|| outbox.take_next()).count(), 2);
}

#[test]
fn nothing_goes_while_the_broker_holds_all_that_it_can_of_qos_2() {
    let mut outbox = outbox(10, 8);
    outbox.connected(Allowed { exactly_once: 2, ..Allowed::all(8) });
    for (number, qos) in [Qos::AtLeastOnce, Qos::ExactlyOnce, Qos::ExactlyOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]
        .into_iter()
        .enumerate()
    {
        outbox.push(numbered(number as u32, Kind::Each, qos));
    }
    let mut packets = 1..;
    for (taken, acked) in [(3, 1), (0, 2), (2, 3), (0, 5)] {
        let handed = std::iter::from_fn(|| outbox.take_next()).count();
        assert_eq!(handed, taken, "before {acked} is acknowledged");
        packets.by_ref().take(handed).for_each(|packet| drop(outbox.written(packet)));
        outbox.acked(acked).unwrap();
    }
}

#[test]
fn what_is_put_off_is_tried_again_in_its_order_and_keeps_nobody_from_leaving() {
    let mut outbox = outbox(10, 10);
    for number in 0..4 {
        outbox.push(Message {
            receipt: Some(Receipt::Uplink(number)),
            ..numbered(number as u32, Kind::Each, Qos::AtLeastOnce)
        });
    }
    for packet in 1..=3 {
        outbox.take_next().unwrap();
        outbox.written(packet);
        let refused = outbox.acked(packet).unwrap();
        outbox.put_off(refused);
    }
    assert!(!outbox.is_empty());
    assert_eq!(outbox.take_next().unwrap().payload, "3");
    assert_eq!((outbox.take_next(), outbox.len()), (None, 4));
    outbox.written(4);
    outbox.acked(4);
    assert!(outbox.is_empty() && outbox.len() == 3 && outbox.waiting_each() == (3, 0));
    outbox.try_again();
    let again: Vec<_> = std::iter::from_fn(|| outbox.take_next()).map(|message| message.payload).collect();
    assert_eq!(again, ["0", "1", "2"]);
}

#[test]
fn what_is_withdrawn_leaves_room_for_the_next() {
    let mut outbox = outbox(10, 1);
    for number in 0..2 {
        outbox.push(numbered(number, Kind::Each, Qos::AtLeastOnce));
    }
    outbox.take_next().unwrap();
    outbox.lost();
    assert_eq!(outbox.take_next().unwrap().payload, "0");
    outbox.withdraw();
    assert_eq!(outbox.take_next().unwrap().payload, "1");
    outbox.written(1);
    outbox.acked(1).unwrap();
    assert!(outbox.is_empty());
}

#[derive(Debug, Clone)]
enum Move {
    Push(Kind, Qos),
    Hand,
    Write,
    Ack(usize),
    Lose,
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![3 => Just(Kind::Each), 1 => Just(Kind::Latest)]
}

fn levels() -> impl Strategy<Value = Qos> {
    prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)]
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (kinds(), levels()).prop_map(|(kind, qos)| Move::Push(kind, qos)),
        4 => Just(Move::Hand),
        3 => Just(Move::Write),
        3 => (0usize..4).prop_map(Move::Ack),
        1 => Just(Move::Lose),
    ];
    proptest::collection::vec(one, 0..200)
}

proptest! {
    /// Whatever happens on the connection, each message is acknowledged at least once and, while the connection
    /// holds, first handed over in the order it came.
    #[test]
    fn nothing_is_lost_and_order_holds(moves in moves()) {
        let mut outbox = outbox(1000, 8);
        let (mut pushed, mut acked, mut open, mut written) = (0u32, Vec::new(), VecDeque::new(), Vec::new());
        let mut packet = 0u16;
        let mut last_handed: Option<u32> = None;
        let mut step = |outbox: &mut Outbox, one: Move| {
            match one {
                Move::Push(kind, qos) => {
                    outbox.push(numbered(pushed, kind, qos));
                    pushed += 1;
                }
                Move::Hand => if let Some(message) = outbox.take_next() {
                    if message.kind == Kind::Each {
                        let n: u32 = std::str::from_utf8(&message.payload).unwrap().parse().unwrap();
                        assert!(last_handed.is_none_or(|last| last < n), "{n} after {last_handed:?}");
                        last_handed = Some(n);
                    }
                    open.push_back(message);
                },
                Move::Write => if let Some(message) = open.pop_front() {
                    // As the library does: QoS 0 has no packet id.
                    if message.qos == Qos::AtMostOnce {
                        assert_eq!(outbox.written(0).as_ref(), Some(&message));
                        acked.push(message);
                    } else {
                        packet += 1;
                        assert_eq!(outbox.written(packet), None);
                        written.push((packet, message));
                    }
                },
                Move::Ack(at) => if !written.is_empty() {
                    let (packet, message) = written.remove(at % written.len());
                    assert_eq!(outbox.acked(packet).as_ref(), Some(&message));
                    acked.push(message);
                    acked.extend(outbox.take_given_up());
                },
                Move::Lose => {
                    let half = written.iter().filter(|(_, message)| message.qos == Qos::ExactlyOnce);
                    let mut half: Vec<_> = half.map(|(packet, _)| *packet).collect();
                    half.sort();
                    assert_eq!(outbox.unreleased(), half);
                    outbox.lost();
                    acked.extend(outbox.take_given_up());
                    open.clear();
                    written.clear();
                    last_handed = None;
                }
            }
        };
        let each = moves.iter().filter(|one| matches!(one, Move::Push(Kind::Each, _))).count();
        for one in moves {
            step(&mut outbox, one);
        }
        // Whatever is accused of ending connections waits for another one.
        step(&mut outbox, Move::Push(Kind::Each, Qos::AtLeastOnce));
        for _ in 0..3 * 200 {
            step(&mut outbox, Move::Hand);
            step(&mut outbox, Move::Write);
            step(&mut outbox, Move::Ack(0));
        }
        prop_assert!(outbox.is_empty());
        let mut delivered: Vec<_> = acked.iter().filter(|m| m.kind == Kind::Each).map(|m| m.payload.clone()).collect();
        delivered.sort();
        delivered.dedup();
        prop_assert_eq!(delivered.len(), each + 1);
    }
}
