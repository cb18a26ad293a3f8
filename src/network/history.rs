//! What a network may still know of a time in which we heard nothing, and how its patience is measured.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{DownlinkEvent, Failure};

/// A span of the network's own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub after: Timestamp,
    pub before: Timestamp,
}

/// Where missed messages came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "HistorySource")]
pub enum Source {
    /// The network's storage: everything within its retention.
    Storage,
    /// The network's event history: as much as it happened to keep.
    Events,
}

/// Why missed messages cannot be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Nothing is stored for this application; what to do about it is told by the network's side, once.
    #[error("the network stores nothing for this application")]
    NotActivated,
    /// It may work later.
    #[error("no answer: {0}")]
    Unavailable(String),
    /// It will not work later either.
    #[error("refused: {}", .0.message)]
    Refused(Failure),
}

/// What a network's history has of the downlinks to one device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DownlinkHistory {
    /// Oldest first. What stands here happened, whether or not it is all.
    pub events: Vec<DownlinkEvent>,
    /// The history surely reaches back to the time that was asked for: what is not in it did not happen.
    pub complete: bool,
}

/// What the network told of its patience along with an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Pushes it takes at this moment; `None` if it has no limit.
    pub available: Option<u64>,
    /// How long to wait before the next one if none is left.
    pub wait: Duration,
}
