//! The seam: what keeps the rows. SQLite today; whatever else implements this works behind the same [`super::Store`].

use std::fs::File;

use jiff::Timestamp;

use super::batch::Batch;
use super::error::EngineError;
use super::rows::{
    DownlinkFilter, DownlinkRow, Entry, EventFilter, EventRow, GatewayPage, GatewayPlace, Shed, SpoolStats,
    UplinkFilter, UplinkPage,
};
use crate::model::{DeviceKey, DownlinkId};

/// What one reading of entries brings at most, in bytes: memory stays flat however much there is to read back.
pub const MOST_BYTES: u64 = 1 << 20;

pub type Result<T> = std::result::Result<T, EngineError>;

/// Keeps rows. Its calls block, one at a time, on the store's own thread.
pub trait Engine: Send {
    /// Commits all of it or nothing. Applying the same batch twice is the same as once. An empty one writes something
    /// all the same: that is how a store that failed learns that it works again.
    fn apply(&mut self, batch: &Batch) -> Result<()>;

    /// What is in the spool after the last commit. Costs nothing.
    fn spool(&self) -> SpoolStats;

    /// Entries with a higher seq, in its order: at most as many as wanted, and no more once they have [`MOST_BYTES`].
    fn after(&mut self, seq: u64, most: usize) -> Result<Vec<Entry>>;

    /// Deletes entries with a higher seq than `after`, oldest first: while all entries together have more than
    /// `most_bytes`, and on while they are older than `older_than`.
    fn shed(&mut self, after: u64, most_bytes: u64, older_than: Timestamp) -> Result<Shed>;

    fn downlink(&mut self, id: &DownlinkId) -> Result<Option<DownlinkRow>>;

    /// Newest first, by the order in which they were first saved.
    fn downlinks(&mut self, wanted: &DownlinkFilter) -> Result<Vec<DownlinkRow>>;

    /// Uplinks of the history: at most as many as wanted, and no more once they have [`MOST_BYTES`].
    fn uplinks(&mut self, wanted: &UplinkFilter) -> Result<UplinkPage>;

    /// The gateways that heard devices since then, from this place on, as far as some of their uplinks tell, the newest
    /// first.
    fn gateways(&mut self, devices: &[DeviceKey], since: Timestamp, place: GatewayPlace) -> Result<GatewayPage>;

    /// Deletes some of what is of no use any more at this time; if nobody knows the time, only what is too much. Returns
    /// whether there is more: it is to be called again after a moment in which others have their turn.
    fn prune(&mut self, now: Option<Timestamp>) -> Result<bool>;

    /// What happened, newest first.
    fn events(&mut self, wanted: &EventFilter) -> Result<Vec<EventRow>>;

    /// Since when all that happened is kept, at this time.
    fn events_since(&mut self, now: Timestamp) -> Result<Timestamp>;

    /// Begins a copy of all that is committed now into `target`, in the place of one that is under way.
    fn begin_copy(&mut self, target: File) -> Result<()>;

    /// Copies the next piece, which takes no longer than a commit may wait. Returns whether there is more.
    fn copy_on(&mut self) -> Result<bool>;

    /// Leaves the file as small and whole as possible. Nothing is called after it.
    fn close(&mut self) -> Result<()>;
}
