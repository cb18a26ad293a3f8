//! Counters since start: what `bridge/info` and `bridge/health` show of the bridge, and `/metrics` of each application.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::durations::Durations;
use crate::model::{ApplicationName, State};

/// The counters of one bridge. Cheap to clone; every clone counts in the same place, and nobody ever waits for it.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// What belongs to no application, or to one that is not known.
    own: Numbers,
    applications: BTreeMap<ApplicationName, Numbers>,
    waiting_at_home: AtomicU64,
    spooled: AtomicU64,
    spooled_bytes: AtomicU64,
    codec_runs: Durations,
}

/// By [`Count`], and by the final [`State`] of downlinks.
#[derive(Debug, Default)]
struct Numbers {
    counts: [AtomicU64; Count::Command as usize + 1],
    downlinks: [AtomicU64; FINAL_STATES.len()],
    spooled: AtomicU64,
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub enum Count {
    /// Uplinks received, duplicates not counted.
    Uplink,
    /// Those of them that were fetched from the network's history.
    Backfilled,
    /// Uplinks that a codec of ours decoded.
    Decoded,
    /// Uplinks that went on raw because their codec failed.
    CodecError,
    /// Copies of uplinks received before.
    Duplicate,
    /// Frames that were missing before an uplink when it came; some come later.
    Missed,
    /// Frames told as lost: they will not come any more.
    Lost,
    /// Messages of the network that could not be understood.
    Unreadable,
    /// Messages that the home broker acknowledged.
    Delivered,
    /// Messages given up, for want of room or because nobody takes them.
    Dropped,
    /// Uplinks that the home has and the history does not.
    Unkept,
    /// Commands from home. Keep it the last: the number of counters is made from it.
    Command,
}

/// The states that a downlink ends in. An unconfirmed one ends with being sent.
pub(super) const FINAL_STATES: [State; 6] =
    [State::Sent, State::Acked, State::Failed, State::Expired, State::Superseded, State::Cancelled];

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Counters")]
pub struct Snapshot {
    pub uplinks: u64,
    pub decoded: u64,
    pub codec_errors: u64,
    pub duplicates: u64,
    pub unreadable: u64,
    pub delivered: u64,
    pub dropped: u64,
    pub commands: u64,
    /// Messages that wait for the home broker's acknowledgement now.
    pub waiting_at_home: u64,
    /// The network's messages that are on disk until the home broker acknowledged what became of them, and their bytes.
    pub spooled: u64,
    pub spooled_bytes: u64,
}

impl Counters {
    /// Of a bridge with these applications.
    pub fn of(applications: impl IntoIterator<Item = ApplicationName>) -> Self {
        let applications = applications.into_iter().map(|name| (name, Numbers::default())).collect();
        Self(Arc::new(Counts { applications, ..Counts::default() }))
    }

    /// Counts what belongs to no application.
    pub fn count(&self, what: Count) {
        self.0.own.add(what, 1);
    }

    pub fn count_for(&self, application: &ApplicationName, what: Count) {
        self.count_many_for(application, what, 1);
    }

    pub fn count_many_for(&self, application: &ApplicationName, what: Count, number: u64) {
        self.numbers(application).add(what, number);
    }

    /// A downlink reached its end.
    pub fn downlink_ended(&self, application: &ApplicationName, state: State) {
        if let Some(at) = FINAL_STATES.iter().position(|end| *end == state) {
            self.numbers(application).downlinks[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A codec worked on one uplink for so long.
    pub fn codec_ran(&self, took: Duration) {
        self.0.codec_runs.note(took);
    }

    /// `of`: how many of the messages are an application's.
    pub fn set_spooled(&self, messages: u64, bytes: u64, of: impl Fn(&ApplicationName) -> u64) {
        self.0.spooled.store(messages, Ordering::Relaxed);
        self.0.spooled_bytes.store(bytes, Ordering::Relaxed);
        self.0.applications.iter().for_each(|(name, its)| its.spooled.store(of(name), Ordering::Relaxed));
    }

    /// How many of the messages on disk are this application's.
    pub fn spooled_of(&self, application: &ApplicationName) -> u64 {
        self.0.applications.get(application).map_or(0, |its| its.spooled.load(Ordering::Relaxed))
    }

    /// The same of each application.
    pub(super) fn spooled(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.applications.iter().map(|(name, its)| (name.as_str(), its.spooled.load(Ordering::Relaxed)))
    }

    pub fn set_waiting_at_home(&self, messages: usize) {
        self.0.waiting_at_home.store(messages as u64, Ordering::Relaxed);
    }

    pub fn snapshot(&self) -> Snapshot {
        let sum = |what| self.0.applications.values().fold(self.own(what), |sum, its| sum + its.read(what));
        Snapshot {
            uplinks: sum(Count::Uplink),
            decoded: sum(Count::Decoded),
            codec_errors: sum(Count::CodecError),
            duplicates: sum(Count::Duplicate),
            unreadable: sum(Count::Unreadable),
            delivered: sum(Count::Delivered),
            dropped: sum(Count::Dropped),
            commands: sum(Count::Command),
            waiting_at_home: self.0.waiting_at_home.load(Ordering::Relaxed),
            spooled: self.0.spooled.load(Ordering::Relaxed),
            spooled_bytes: self.0.spooled_bytes.load(Ordering::Relaxed),
        }
    }

    /// What belongs to no application.
    pub(super) fn own(&self, what: Count) -> u64 {
        self.0.own.read(what)
    }

    /// The same of each application.
    pub fn of_each(&self, what: Count) -> impl Iterator<Item = (&str, u64)> {
        self.0.applications.iter().map(move |(name, numbers)| (name.as_str(), numbers.read(what)))
    }

    /// Downlinks of each application that ended, by how they did.
    pub(super) fn downlinks(&self) -> impl Iterator<Item = (&str, State, u64)> {
        self.0.applications.iter().flat_map(|(name, numbers)| {
            let ends = FINAL_STATES.into_iter().zip(&numbers.downlinks);
            ends.map(|(state, number)| (name.as_str(), state, number.load(Ordering::Relaxed)))
        })
    }

    pub(super) fn codec_runs(&self) -> &Durations {
        &self.0.codec_runs
    }

    fn numbers(&self, application: &ApplicationName) -> &Numbers {
        self.0.applications.get(application).unwrap_or(&self.0.own)
    }
}

impl Numbers {
    fn add(&self, what: Count, number: u64) {
        self.counts[what as usize].fetch_add(number, Ordering::Relaxed);
    }

    fn read(&self, what: Count) -> u64 {
        self.counts[what as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_for_an_application_is_its_own_and_in_the_sum() {
        let [garden, barn, stranger] = ["garden", "barn", "x"].map(|name| ApplicationName::parse(name).unwrap());
        let counters = Counters::of([garden.clone(), barn.clone()]);
        counters.count_for(&garden, Count::Uplink);
        counters.count_many_for(&barn, Count::Uplink, 2);
        counters.count_for(&stranger, Count::Uplink);
        counters.count(Count::Dropped);
        counters.downlink_ended(&barn, State::Acked);
        counters.downlink_ended(&barn, State::Held);
        counters.set_spooled(7, 700, |name| if *name == barn { 5 } else { 0 });
        assert_eq!([&garden, &barn, &stranger].map(|name| counters.spooled_of(name)), [0, 5, 0]);
        assert_eq!((counters.snapshot().uplinks, counters.snapshot().dropped), (4, 1));
        assert_eq!(counters.of_each(Count::Uplink).collect::<Vec<_>>(), [("barn", 2), ("garden", 1)]);
        let ended: Vec<_> = counters.downlinks().filter(|(.., number)| *number > 0).collect();
        assert_eq!(ended, [("barn", State::Acked, 1)], "`held` is no end");
    }

    #[test]
    fn every_state_that_can_be_final_is_counted() {
        for state in FINAL_STATES {
            assert!(state.is_final(false), "{state:?}");
        }
    }
}
