//! How much is asked of the network at once.

use std::collections::BTreeSet;

use super::cases::{Bench, downlink, id, lamp};
use super::{Action, Answer, Event, Request, Sighting};
use crate::model::{DeviceId, DeviceKey, QueuedDownlink};

#[test]
fn look_ups_go_out_a_few_at_once_and_keep_no_command_waiting() {
    let mut bench = Bench::new();
    let of = |device: usize| DeviceKey { device: DeviceId::parse(&format!("node-{device}")).unwrap(), ..lamp() };
    for device in 0..20 {
        bench.event(Event::Accept(QueuedDownlink { key: of(device), ..downlink(&format!("d{device}"), false) }));
        bench.answer_any();
    }
    bench.pass(120);
    let looks = |asked: &[Request]| asked.iter().filter(|request| matches!(request, Request::Look(_))).count();
    let asked = bench.everything_asked(Event::Blind(lamp().application));
    assert_eq!((asked.len(), looks(&asked)), (4, 4), "as many at once, of different devices");
    let devices: BTreeSet<_> = asked.iter().map(|request| request.key().device.clone()).collect();
    assert_eq!(devices.len(), 4);

    let pushed = bench.everything_asked(Event::Accept(downlink("new", false)));
    assert!(matches!(&pushed[..], [Request::Push(downlink)] if downlink.id == id("new")), "{pushed:?}");
    assert_eq!(bench.everything_asked(Event::Accept(downlink("newer", false))), [], "one push at a time");

    let sighting = Answer::Looked(asked[0].key().clone(), Ok(Sighting::default()));
    let next = bench.everything_asked(Event::Answered(sighting));
    assert_eq!((next.len(), looks(&next)), (1, 1), "the next device, once one is through");
    assert!(!devices.contains(&next[0].key().device));
}

impl Bench {
    /// Every request that follows from one event.
    fn everything_asked(&mut self, event: Event) -> Vec<Request> {
        let mut actions = self.machine.handle(event, self.now);
        actions.extend(self.machine.ask(self.now));
        let asked = actions.into_iter().filter_map(|action| match action {
            Action::Ask(request) => Some(request),
            _ => None,
        });
        asked.collect()
    }
}
