//! What the next commit will write: the newest word on every row, and nothing that has cancelled itself.
//!
//! Every change is absolute (put this row, delete that one), so a batch may be applied twice: a commit that failed
//! half-way is simply tried again.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use jiff::Timestamp;

use super::engine::MOST_BYTES;
use super::rows::{DownlinkRow, Entry, EventRow, GapRow, RetainedRow, Run, RunChange, StateRow, UsageRow};
use crate::model::{ApplicationName, DeviceKey, DownlinkId, UplinkRecord};

/// A run's device, session, epoch and first counter.
pub type RunKey = (DeviceKey, String, u32, u32);

/// Uplinks for the history that are not written, at most: more only come together while the disk fails. Then the oldest
/// are not kept.
const MOST_UPLINKS: usize = 10_000;
/// What happened and is not written, at most: more only comes together while the disk fails.
const MOST_EVENTS: usize = 2_000;

/// Changes that are committed together.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    pub records: BTreeMap<u64, Entry>,
    pub delivered: BTreeSet<u64>,
    /// None: the run is forgotten.
    pub runs: HashMap<RunKey, Option<Run>>,
    /// None: nothing is remembered of the device.
    pub states: HashMap<DeviceKey, Option<StateRow>>,
    pub usage: HashMap<(DeviceKey, i32), UsageRow>,
    /// None: the gap is closed.
    pub gaps: BTreeMap<u64, Option<GapRow>>,
    pub notes: HashMap<DeviceKey, String>,
    /// None: the same.
    pub availability: HashMap<DeviceKey, Option<String>>,
    /// By topic. None: nothing is kept there any more.
    pub retained: BTreeMap<String, Option<RetainedRow>>,
    /// By their numbers.
    pub events: BTreeMap<u64, EventRow>,
    /// In the order of their first saving, which is their age.
    pub downlinks: Vec<DownlinkRow>,
    /// Devices whose history goes, before what of it is in `uplinks` comes.
    pub forgotten: BTreeSet<DeviceKey>,
    /// For the history, in the order in which they were published.
    pub uplinks: VecDeque<UplinkRecord>,
    /// What made way in it. To be told once this batch is written: nothing of it is.
    pub unkept: Unkept,
}

/// Uplinks that the history will not have, by application: how many, and when the first and the last of them were.
pub type Unkept = BTreeMap<ApplicationName, (u64, Timestamp, Timestamp)>;

impl Batch {
    pub fn is_empty(&self) -> bool {
        // Each by its name: whatever is added is asked for here too.
        #[rustfmt::skip]
        let Self {
            records, delivered, runs, states, usage, gaps, notes, availability, retained, events, downlinks, forgotten, uplinks,
            unkept: _,
        } = self;
        let rows = [records.len(), delivered.len(), runs.len(), states.len(), usage.len(), gaps.len(), notes.len()];
        let others =
            [availability.len(), retained.len(), events.len(), downlinks.len(), forgotten.len(), uplinks.len()];
        rows.into_iter().chain(others).all(|count| count == 0)
    }

    pub fn record(&mut self, entry: Entry) {
        self.records.insert(entry.seq, entry);
    }

    /// Forgets the entry if it is not written yet, and gives it back; else it will be deleted.
    pub fn deliver(&mut self, seq: u64) -> Option<Entry> {
        let pending = self.records.remove(&seq);
        if pending.is_none() {
            self.delivered.insert(seq);
        }
        pending
    }

    pub fn note(&mut self, changes: Vec<RunChange>) {
        for change in changes {
            match change {
                RunChange::Put(key, run) => {
                    self.runs.insert((key, run.session.clone(), run.epoch, run.first), Some(run));
                }
                RunChange::Remove(key, session, epoch, first) => {
                    self.runs.insert((key, session, epoch, first), None);
                }
            }
        }
    }

    pub fn save_states(&mut self, rows: Vec<(DeviceKey, StateRow)>) {
        self.states.extend(rows.into_iter().map(|(key, row)| (key, Some(row))));
    }

    pub fn save_availability(&mut self, rows: Vec<(DeviceKey, String)>) {
        self.availability.extend(rows.into_iter().map(|(key, row)| (key, Some(row))));
    }

    pub fn forget(&mut self, key: DeviceKey) {
        self.states.insert(key.clone(), None);
        self.availability.insert(key.clone(), None);
        self.uplinks.retain(|uplink| uplink.key != key);
        self.forgotten.insert(key);
    }

    pub fn keep_uplink(&mut self, uplink: UplinkRecord) {
        if self.uplinks.len() >= MOST_UPLINKS {
            self.uplinks
                .pop_front()
                .into_iter()
                .for_each(|oldest| self.give_up(&oldest.key.application, (1, oldest.at, oldest.at)));
        }
        self.uplinks.push_back(uplink);
    }

    fn give_up(&mut self, application: &ApplicationName, (count, oldest, newest): (u64, Timestamp, Timestamp)) {
        let all = self.unkept.entry(application.clone()).or_insert((0, oldest, newest));
        *all = (all.0 + count, all.1.min(oldest), all.2.max(newest));
    }

    pub fn save_usage(&mut self, rows: Vec<UsageRow>) {
        self.usage.extend(rows.into_iter().map(|row| ((row.key.clone(), row.day), row)));
    }

    pub fn save_gaps(&mut self, rows: Vec<GapRow>, closed: Vec<u64>) {
        self.gaps.extend(rows.into_iter().map(|row| (row.id, Some(row))));
        self.gaps.extend(closed.into_iter().map(|id| (id, None)));
    }

    pub fn save_retained(&mut self, rows: Vec<RetainedRow>, cleared: Vec<String>) {
        self.retained.extend(rows.into_iter().map(|row| (row.topic.clone(), Some(row))));
        self.retained.extend(cleared.into_iter().map(|topic| (topic, None)));
    }

    pub fn keep_event(&mut self, row: EventRow) {
        self.events.insert(row.n, row);
        if self.events.len() > MOST_EVENTS {
            self.events.pop_first();
        }
    }

    pub fn save_downlinks(&mut self, rows: Vec<DownlinkRow>) {
        let mut at: HashMap<DownlinkId, usize> =
            self.downlinks.iter().enumerate().map(|(index, row)| (row.id.clone(), index)).collect();
        for row in rows {
            match at.get(&row.id) {
                Some(index) => self.downlinks[*index] = row,
                None => {
                    at.insert(row.id.clone(), self.downlinks.len());
                    self.downlinks.push(row);
                }
            }
        }
    }

    /// What [`super::engine::Engine::after`] would have found if the entries of this batch were written already.
    pub fn add_to(&self, found: Vec<Entry>, seq: u64, most: usize) -> Vec<Entry> {
        let cut = found.len() >= most || found.iter().map(Entry::bytes).sum::<u64>() >= MOST_BYTES;
        let last = found.last().filter(|_| cut).map_or(u64::MAX, |entry| entry.seq);
        let mut all: BTreeMap<u64, Entry> = found.into_iter().map(|entry| (entry.seq, entry)).collect();
        let unwritten = self.records.range(seq.saturating_add(1)..).filter(|(seq, _)| **seq <= last);
        all.extend(unwritten.map(|(seq, entry)| (*seq, entry.clone())));
        let mut bytes = 0;
        let fits = |entry: &Entry| {
            let before = bytes;
            bytes += entry.bytes();
            before < MOST_BYTES
        };
        all.into_values().take(most).take_while(fits).collect()
    }

    /// Takes over what was gathered after this batch; gives back the entries that cancelled themselves.
    pub fn absorb(&mut self, newer: Self) -> Vec<Entry> {
        let cancelled = newer.delivered.into_iter().filter_map(|seq| self.deliver(seq)).collect();
        self.records.extend(newer.records);
        self.runs.extend(newer.runs);
        self.states.extend(newer.states);
        self.usage.extend(newer.usage);
        self.gaps.extend(newer.gaps);
        self.notes.extend(newer.notes);
        self.availability.extend(newer.availability);
        self.retained.extend(newer.retained);
        self.save_downlinks(newer.downlinks);
        self.uplinks.retain(|uplink| !newer.forgotten.contains(&uplink.key));
        self.forgotten.extend(newer.forgotten);
        newer.uplinks.into_iter().for_each(|uplink| self.keep_uplink(uplink));
        newer.unkept.into_iter().for_each(|(application, lost)| self.give_up(&application, lost));
        newer.events.into_values().for_each(|row| self.keep_event(row));
        cancelled
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::model::DeviceId;

    #[derive(Debug, Clone)]
    enum Operation {
        Record,
        /// One of those recorded so far, counted from the newest.
        Deliver(usize),
        Put(u32, u32),
        Remove(u32),
        State(u8),
        Usage(i32, u32),
        Gap(u64),
        Close(u64),
        Note(u8),
        Availability(u8),
        Uplink(u8, u8),
        Forget,
        Downlink(u8, bool),
        Event,
        /// The gathered batch goes to the disk.
        Begin,
        /// It arrives, twice perhaps; or it does not, and is gathered again.
        End {
            works: bool,
            twice: bool,
        },
    }

    fn operation() -> impl Strategy<Value = Operation> {
        use Operation::*;
        prop_oneof![
            4 => Just(Record),
            3 => (0..6_usize).prop_map(Deliver),
            1 => (0..4_u32, 0..9_u32).prop_map(|(first, last)| Put(first, last)),
            1 => (0..4_u32).prop_map(Remove),
            1 => any::<u8>().prop_map(State),
            1 => (0..3_i32, any::<u32>()).prop_map(|(day, used)| Usage(day, used)),
            1 => (0..3_u64).prop_map(Gap),
            1 => (0..3_u64).prop_map(Close),
            1 => any::<u8>().prop_map(Note),
            1 => any::<u8>().prop_map(Availability),
            2 => (0..4_u8, any::<u8>()).prop_map(|(id, told)| Uplink(id, told)),
            1 => Just(Forget),
            1 => (0..4_u8, any::<bool>()).prop_map(|(id, open)| Downlink(id, open)),
            1 => Just(Event),
            2 => Just(Begin),
            2 => (any::<bool>(), any::<bool>()).prop_map(|(works, twice)| End { works, twice }),
        ]
    }

    fn key() -> DeviceKey {
        DeviceKey::new(&ApplicationName::parse("garden").unwrap(), DeviceId::parse("soil-1").unwrap())
    }

    fn entry(seq: u64) -> Entry {
        let DeviceKey { application, device } = key();
        let (topic, payload, at) = (Bytes::new(), Bytes::from(vec![0; 100]), Timestamp::UNIX_EPOCH);
        Entry { seq, application, device, topic, payload, at, backfilled: false }
    }

    fn uplink(id: u8, told: u8) -> UplinkRecord {
        let mut record = UplinkRecord::sample("soil-1", u32::from(id), 0);
        record.key = key();
        record.warnings = vec![told.to_string()];
        record
    }

    fn gather(batch: &mut Batch, operation: &Operation, newest: u64) {
        let at = Timestamp::UNIX_EPOCH;
        match operation.clone() {
            Operation::Record => batch.record(entry(newest)),
            Operation::Deliver(back) => drop(batch.deliver(newest.saturating_sub(back as u64))),
            Operation::Put(first, last) => {
                let session = "a".to_owned();
                let run = Run { session, epoch: 0, first, last, first_at: at, last_at: at, received_at: at };
                batch.note(vec![RunChange::Put(key(), run)]);
            }
            Operation::Remove(first) => batch.note(vec![RunChange::Remove(key(), "a".into(), 0, first)]),
            Operation::State(n) => {
                batch.save_states(vec![(key(), StateRow { last_seen: at, body: n.to_string() })]);
            }
            Operation::Usage(day, used) => {
                batch.save_usage(vec![UsageRow { key: key(), day, airtime_ms: used, downlinks: 0 }]);
            }
            Operation::Gap(id) => {
                let application = key().application;
                batch.save_gaps(vec![GapRow { id, application, body: newest.to_string() }], vec![]);
            }
            Operation::Note(n) => drop(batch.notes.insert(key(), n.to_string())),
            Operation::Availability(n) => batch.save_availability(vec![(key(), n.to_string())]),
            Operation::Uplink(id, told) => batch.keep_uplink(uplink(id, told)),
            Operation::Forget => batch.forget(key()),
            Operation::Event => {
                let (kind, body) = ("join".into(), newest.to_string());
                batch.keep_event(EventRow { n: newest, at, key: Some(key()), kind, body });
            }
            Operation::Close(id) => batch.save_gaps(vec![], vec![id]),
            Operation::Downlink(id, open) => {
                let id = DownlinkId::parse(&id.to_string()).unwrap();
                let body = newest.to_string();
                batch.save_downlinks(vec![DownlinkRow { id, key: key(), open, told: false, updated: at, body }]);
            }
            Operation::Begin | Operation::End { .. } => {}
        }
    }

    /// What is on the disk, in the simplest words.
    #[derive(Debug, Default, PartialEq)]
    struct Disk {
        entries: BTreeMap<u64, Entry>,
        runs: HashMap<RunKey, Run>,
        states: HashMap<DeviceKey, StateRow>,
        usage: HashMap<(DeviceKey, i32), UsageRow>,
        gaps: BTreeMap<u64, GapRow>,
        downlinks: Vec<DownlinkRow>,
        notes: HashMap<DeviceKey, String>,
        availability: HashMap<DeviceKey, String>,
        /// What each uplink tells, by its id.
        uplinks: HashMap<(DeviceKey, String), Vec<String>>,
        events: BTreeMap<u64, EventRow>,
    }

    impl Disk {
        fn apply(&mut self, batch: &Batch) {
            self.entries.extend(batch.records.clone());
            self.entries.retain(|seq, _| !batch.delivered.contains(seq));
            self.runs.extend(batch.runs.iter().filter_map(|(key, run)| Some((key.clone(), run.clone()?))));
            self.runs.retain(|key, _| batch.runs.get(key) != Some(&None));
            self.states.extend(batch.states.iter().filter_map(|(key, row)| Some((key.clone(), row.clone()?))));
            self.states.retain(|key, _| batch.states.get(key) != Some(&None));
            self.usage.extend(batch.usage.clone());
            self.notes.extend(batch.notes.clone());
            self.events.extend(batch.events.clone());
            self.availability
                .extend(batch.availability.iter().filter_map(|(key, row)| Some((key.clone(), row.clone()?))));
            self.availability.retain(|key, _| batch.availability.get(key) != Some(&None));
            self.gaps.extend(batch.gaps.iter().filter_map(|(id, gap)| Some((*id, gap.clone()?))));
            self.gaps.retain(|id, _| batch.gaps.get(id) != Some(&None));
            self.uplinks.retain(|(key, _), _| !batch.forgotten.contains(key));
            let told = |row: &UplinkRecord| ((row.key.clone(), row.id.clone()), row.warnings.clone());
            self.uplinks.extend(batch.uplinks.iter().map(told));
            for row in &batch.downlinks {
                match self.downlinks.iter_mut().find(|known| known.id == row.id) {
                    Some(known) => *known = row.clone(),
                    None => self.downlinks.push(row.clone()),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn batches_that_fail_and_come_twice_leave_what_single_operations_would(
            operations in prop::collection::vec(operation(), 0..120)
        ) {
            let (mut one_by_one, mut grouped) = (Disk::default(), Disk::default());
            let (mut pending, mut under_way) = (Batch::default(), None::<Batch>);
            let mut newest = 0;
            for operation in operations.iter().chain([&Operation::End { works: true, twice: false }]) {
                newest += u64::from(matches!(operation, Operation::Record));
                let mut single = Batch::default();
                gather(&mut single, operation, newest);
                let is_change = !matches!(operation, Operation::Begin | Operation::End { .. });
                prop_assert_eq!(single.is_empty(), !is_change);
                one_by_one.apply(&single);
                gather(&mut pending, operation, newest);
                match operation {
                    Operation::Begin if under_way.is_none() => under_way = Some(std::mem::take(&mut pending)),
                    Operation::End { works, twice } => if let Some(mut batch) = under_way.take() {
                        if *works {
                            grouped.apply(&batch);
                            if *twice {
                                grouped.apply(&batch);
                            }
                        } else {
                            batch.absorb(std::mem::take(&mut pending));
                            pending = batch;
                        }
                    },
                    _ => {}
                }
            }
            grouped.apply(&pending);
            prop_assert_eq!(grouped, one_by_one);
        }
    }

    #[test]
    fn what_is_not_written_is_read_in_its_place_and_jumps_over_nothing() {
        let mut batch = Batch::default();
        [3, 5, 8].into_iter().for_each(|seq| batch.record(entry(seq)));
        let seqs = |found: &[u64], most| -> Vec<u64> {
            let found = found.iter().map(|seq| entry(*seq)).collect();
            batch.add_to(found, 2, most).into_iter().map(|entry| entry.seq).collect()
        };
        assert_eq!(seqs(&[4, 6], 10), [3, 4, 5, 6, 8]);
        assert_eq!(seqs(&[4, 6], 2), [3, 4], "there may be a 7 that was not read");
        assert_eq!(seqs(&[], 2), [3, 5]);
        let long = Entry { payload: Bytes::from(vec![0; MOST_BYTES as usize]), ..entry(4) };
        let cut: Vec<_> = batch.add_to(vec![long], 2, 10).into_iter().map(|entry| entry.seq).collect();
        assert_eq!(cut, [3, 4]);
    }
}
