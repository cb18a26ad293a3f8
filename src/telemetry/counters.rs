//! Counters since start: what `bridge/info` and `bridge/health` show.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// The counters of one bridge. Cheap to clone; every clone counts in the same place.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    uplinks: AtomicU64,
    decoded: AtomicU64,
    codec_errors: AtomicU64,
    duplicates: AtomicU64,
    unreadable: AtomicU64,
    delivered: AtomicU64,
    dropped: AtomicU64,
    commands: AtomicU64,
    waiting_at_home: AtomicU64,
    spooled: AtomicU64,
    spooled_bytes: AtomicU64,
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub enum Count {
    /// Uplinks received, duplicates not counted.
    Uplink,
    /// Uplinks that a codec of ours decoded.
    Decoded,
    /// Uplinks that went on raw because their codec failed.
    CodecError,
    /// Copies of uplinks received before.
    Duplicate,
    /// Messages of the network that could not be understood.
    Unreadable,
    /// Messages that the home broker acknowledged.
    Delivered,
    /// Messages given up, for want of room or because nobody takes them.
    Dropped,
    /// Commands from home.
    Command,
}

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
    pub fn count(&self, what: Count) {
        self.count_many(what, 1);
    }

    pub fn count_many(&self, what: Count, number: u64) {
        self.of(what).fetch_add(number, Ordering::Relaxed);
    }

    pub fn set_spooled(&self, messages: u64, bytes: u64) {
        self.0.spooled.store(messages, Ordering::Relaxed);
        self.0.spooled_bytes.store(bytes, Ordering::Relaxed);
    }

    pub fn set_waiting_at_home(&self, messages: usize) {
        self.0.waiting_at_home.store(messages as u64, Ordering::Relaxed);
    }

    pub fn snapshot(&self) -> Snapshot {
        let read = |what| self.of(what).load(Ordering::Relaxed);
        Snapshot {
            uplinks: read(Count::Uplink),
            decoded: read(Count::Decoded),
            codec_errors: read(Count::CodecError),
            duplicates: read(Count::Duplicate),
            unreadable: read(Count::Unreadable),
            delivered: read(Count::Delivered),
            dropped: read(Count::Dropped),
            commands: read(Count::Command),
            waiting_at_home: self.0.waiting_at_home.load(Ordering::Relaxed),
            spooled: self.0.spooled.load(Ordering::Relaxed),
            spooled_bytes: self.0.spooled_bytes.load(Ordering::Relaxed),
        }
    }

    fn of(&self, what: Count) -> &AtomicU64 {
        match what {
            Count::Uplink => &self.0.uplinks,
            Count::Decoded => &self.0.decoded,
            Count::CodecError => &self.0.codec_errors,
            Count::Duplicate => &self.0.duplicates,
            Count::Unreadable => &self.0.unreadable,
            Count::Delivered => &self.0.delivered,
            Count::Dropped => &self.0.dropped,
            Count::Command => &self.0.commands,
        }
    }
}
