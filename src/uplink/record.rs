//! The first step: has this uplink been here before? What has not goes to the disk before anybody sees it.

use std::collections::HashMap;

use jiff::Timestamp;

use super::memory::{Known, Memory, What};
use super::repair::RepairHandle;
use crate::model::{ApplicationName, Uplink};
use crate::network::{Content, RawMessage, Span, Tally};
use crate::store::{Entry, RunChange};
use crate::telemetry::{Count, Counters};

/// Knows what was received, and what that makes of a message.
pub struct Record {
    memory: Memory,
    counters: Counters,
    /// Told of frames that are missing.
    repair: RepairHandle,
    /// Backfilled uplinks that were new, since the last fetch was accounted for.
    fetched: HashMap<ApplicationName, u64>,
}

impl Record {
    pub fn new(memory: Memory, counters: Counters, repair: RepairHandle) -> Self {
        Self { memory, counters, repair, fetched: HashMap::new() }
    }

    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// What is to be stored of a message, with `seq` as its number; nothing of a copy. It did not come before the network had
    /// it, whatever the clock here says: else it would soon look too old.
    pub fn take(&mut self, raw: RawMessage, content: &Content, seq: u64) -> Option<(Entry, Vec<RunChange>)> {
        let (key, changes) = match content {
            Content::Uplink(uplink) => (&uplink.key, self.note(uplink)?),
            Content::Join(join) => (&join.key, Vec::new()),
            Content::Location(location) => (&location.key, Vec::new()),
            Content::Service(data) => (&data.key, Vec::new()),
        };
        let (application, device) = (key.application.clone(), key.device.clone());
        let RawMessage { topic, payload, at, backfilled } = raw;
        let at = came_at(content).map_or(at, |came_at| at.max(came_at));
        Some((Entry { seq, application, device, topic, payload, at, backfilled }, changes))
    }

    /// Gives an uplink whose counter began again within its session an id of its own, which no copy of it ever changes:
    /// the time follows. Returns how many frames right before it are missing.
    pub fn identify(&self, uplink: &mut Uplink) -> u32 {
        let Known { began_again, missing_before } = self.memory.look(uplink);
        if began_again {
            uplink.id = format!("{}/{}", uplink.id, uplink.at);
        }
        missing_before
    }

    /// What came of a fetch that has wholly arrived.
    pub fn tally(&mut self, application: &ApplicationName, span: Span) -> Tally {
        let new = self.fetched.remove(application).unwrap_or_default();
        Tally { new, missing: self.memory.missing(application, span) }
    }

    fn note(&mut self, uplink: &Uplink) -> Option<Vec<RunChange>> {
        let (noted, application) = (self.memory.note(uplink), &uplink.key.application);
        if noted.what == What::Duplicate {
            self.counters.count_for(application, Count::Duplicate);
            return None;
        }
        self.counters.count_for(application, Count::Uplink);
        if uplink.backfilled {
            self.counters.count_for(application, Count::Backfilled);
            *self.fetched.entry(application.clone()).or_default() += 1;
        } else if let What::New { missing_before: missing @ 1.. } = noted.what {
            self.counters.count_many_for(application, Count::Missed, missing.into());
            if let Some(after) = self.memory.hole_begins(uplink) {
                self.repair.frame_gap(application.clone(), after);
            }
        }
        Some(noted.changes)
    }
}

fn came_at(content: &Content) -> Option<Timestamp> {
    match content {
        Content::Uplink(uplink) => uplink.came_at(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record() -> Record {
        Record::new(Memory::default(), Counters::default(), RepairHandle::deaf())
    }

    fn take(record: &mut Record, uplink: Box<Uplink>) -> Option<(Entry, Vec<RunChange>)> {
        let raw = RawMessage {
            topic: Bytes::from_static(b"topic"),
            payload: Bytes::from_static(b"{}"),
            at: Timestamp::UNIX_EPOCH,
            backfilled: uplink.backfilled,
        };
        record.take(raw, &Content::Uplink(uplink), 7)
    }

    #[test]
    fn a_copy_is_not_stored_and_is_counted() {
        let mut record = record();
        let (entry, changes) = take(&mut record, Uplink::sample("node", 1, 1)).unwrap();
        assert_eq!((entry.seq, entry.device.as_str(), changes.len()), (7, "node", 1));
        assert!(take(&mut record, Uplink::sample("node", 1, 1)).is_none());
        let counts = record.counters.snapshot();
        assert_eq!((counts.uplinks, counts.duplicates), (1, 1));
    }

    #[test]
    fn what_comes_while_the_clock_here_is_behind_is_no_older_than_the_network_says() {
        let mut record = record();
        let uplink = |f_cnt, backfilled| Box::new(Uplink { backfilled, ..*Uplink::sample("node", f_cnt, 5) });
        let received_at = uplink(1, false).received_at;
        assert!(received_at > Timestamp::UNIX_EPOCH);
        assert_eq!(take(&mut record, uplink(1, false)).unwrap().0.at, received_at);
        assert_eq!(take(&mut record, uplink(2, true)).unwrap().0.at, Timestamp::UNIX_EPOCH, "fetched just now");
        let simulated = Box::new(Uplink { simulated: true, ..*uplink(3, false) });
        assert_eq!(take(&mut record, simulated).unwrap().0.at, Timestamp::UNIX_EPOCH, "it may name any time");
    }

    #[test]
    fn a_counter_that_begins_again_has_an_id_of_its_own() {
        let (mut record, mut ids) = (record(), Vec::new());
        for (f_cnt, second) in [(0, 1), (1, 2), (0, 10), (1, 11)] {
            take(&mut record, Uplink::sample("node", f_cnt, second)).unwrap();
            let mut uplink = Uplink::sample("node", f_cnt, second);
            record.identify(&mut uplink);
            ids.push(uplink.id);
        }
        let again = |f_cnt, second| format!("app/node/s/{f_cnt}/1970-01-01T00:00:{second}Z");
        assert_eq!(ids, ["app/node/s/0".into(), "app/node/s/1".into(), again(0, 10), again(1, 11)]);
    }

    #[test]
    fn frames_missing_before_a_live_uplink_are_told_with_when_they_began_to_be() {
        let (handle, mut told) = RepairHandle::overheard();
        let mut record = Record::new(Memory::default(), Counters::default(), handle);
        for (f_cnt, second, backfilled) in [(1, 10, false), (2, 20, false), (5, 50, false), (9, 90, true)] {
            take(&mut record, Box::new(Uplink { backfilled, ..*Uplink::sample("node", f_cnt, second) }));
        }
        assert_eq!(told.next(), Timestamp::from_second(20).ok());
        assert_eq!(told.next(), None, "a fetch is no reason for another one");
    }

    #[test]
    fn a_fetch_is_accounted_for_once() {
        let mut record = record();
        take(&mut record, Uplink::sample("node", 1, 10));
        take(&mut record, Uplink::sample("node", 5, 50));
        for f_cnt in 2..4 {
            let fetched = Uplink { backfilled: true, ..*Uplink::sample("node", f_cnt, i64::from(f_cnt) * 10) };
            take(&mut record, Box::new(fetched));
        }
        let application = Uplink::sample("node", 1, 0).key.application;
        let span = Span { after: Timestamp::UNIX_EPOCH, before: Timestamp::MAX };
        let tally = record.tally(&application, span);
        assert_eq!((tally.new, tally.missing.len(), tally.missing[0].first), (2, 1, 4));
        assert_eq!(record.tally(&application, span).new, 0);
    }
}
