//! What the next commit will write: the newest word on every row, and nothing that has cancelled itself.
//!
//! Every change is absolute (put this row, delete that one), so a batch may be applied twice: a commit that failed
//! half-way is simply tried again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::engine::MOST_BYTES;
use super::rows::{DownlinkRow, Entry, GapRow, Run, RunChange, StateRow, UsageRow};
use crate::model::{DeviceKey, DownlinkId};

/// A run's device, session, epoch and first counter.
pub type RunKey = (DeviceKey, String, u32, u32);

/// Changes that are committed together.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Batch {
    pub records: BTreeMap<u64, Entry>,
    pub delivered: BTreeSet<u64>,
    /// None: the run is forgotten.
    pub runs: HashMap<RunKey, Option<Run>>,
    pub states: HashMap<DeviceKey, StateRow>,
    pub usage: HashMap<(DeviceKey, i32), UsageRow>,
    /// None: the gap is closed.
    pub gaps: BTreeMap<u64, Option<GapRow>>,
    /// In the order of their first saving, which is their age.
    pub downlinks: Vec<DownlinkRow>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
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
        self.states.extend(rows);
    }

    pub fn save_usage(&mut self, rows: Vec<UsageRow>) {
        self.usage.extend(rows.into_iter().map(|row| ((row.key.clone(), row.day), row)));
    }

    pub fn save_gaps(&mut self, rows: Vec<GapRow>, closed: Vec<u64>) {
        self.gaps.extend(rows.into_iter().map(|row| (row.id, Some(row))));
        self.gaps.extend(closed.into_iter().map(|id| (id, None)));
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
        self.save_downlinks(newer.downlinks);
        cancelled
    }
}
