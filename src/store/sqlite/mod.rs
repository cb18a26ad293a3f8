//! The engine on SQLite: one file, one connection, nobody else on it.
//!
//! | table | one row for each | goes when |
//! |---|---|---|
//! | `spool` | message of the network on its way | the home has what became of it, or it is shed |
//! | `runs` | unbroken run of frame counters | old, and not its device's newest |
//! | `states` | device | when it is removed |
//! | `downlinks` | downlink | finished, told, and older than `history` |
//! | `usage` | device and day | the day is past |
//! | `gaps` | span in which messages may be missing | settled |
//! | `notes` | device of which its network server has something to remember | never |
//! | `availability` | device that was heard | when it is removed |
//! | `retained` | topic on which the home broker keeps something | it is emptied |
//! | `uplinks` | uplink, as it was published | older than `readings_age`, or beyond `readings_size` |
//! | `uplink_devices`, `uplink_texts` | device with uplinks; what many of them have in common | the last of its uplinks went |
//! | `events` | thing that happened | 30 days old, or 10,000 are newer |

mod backup;
mod copying;
mod events;
mod history;
mod migrations;
mod opening;
mod restore;
mod spool;
mod tables;
mod value;

pub use backup::{Backup, Resumed, carried_overlay, check, seal, settle};
pub use opening::{log_beside, look, make_folder};

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use self::history::History;
use super::batch::Batch;
use super::config::{StoreConfig, Sync};
use super::engine::{Engine, Result};
use super::error::{EngineError, OpenError};
use super::rows::{
    DownlinkFilter, DownlinkRow, Entry, EventFilter, EventRow, GatewayPage, GatewayPlace, Restored, Shed, SpoolStats,
    UplinkFilter, UplinkPage,
};
use crate::model::{DeviceKey, DownlinkId};

/// A run of frame counters that old tells no duplicate any more, unless it is its device's newest: no network keeps
/// anything to send again for so long. A little more than `[repair] retention` may be.
const RUNS_KEPT: SignedDuration = SignedDuration::from_hours(367 * 24);

/// A store in a file of SQLite.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    spool: SpoolStats,
    sync: Sync,
    /// How long a finished downlink is kept.
    downlinks_kept: Duration,
    history: History,
    /// Events written since there were surely not too many.
    events: i64,
    /// After the connection, and so dropped after it.
    copying: copying::Copying,
}

impl Sqlite {
    /// Opens `file`, or makes it.
    pub fn open(file: &Path, config: &StoreConfig) -> std::result::Result<(Self, Restored), OpenError> {
        let connection = opening::open(file, config.sync)?;
        let restored = restore::restore(&connection).map_err(|error| OpenError::unusable(file, error))?;
        let history = History::new(config.into());
        let (spool, sync) = (restored.spool.clone(), config.sync);
        let copying = copying::Copying::default();
        let engine =
            Self { connection, spool, sync, downlinks_kept: config.history, history, events: i64::MAX / 2, copying };
        Ok((engine, restored))
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if batch.is_empty() {
            migrations::rewrite_version(&transaction)?;
        }
        // What is deleted first leaves its pages to what comes.
        let mut spool = self.spool.clone();
        spool::delete(&transaction, &batch.delivered, &mut spool)?;
        spool::insert(&transaction, batch.records.values(), &mut spool)?;
        tables::write(&transaction, batch)?;
        self.history.write(&transaction, batch)?;
        let events = events::trim(&transaction, self.events + events::write(&transaction, &batch.events)?)?;
        transaction.commit()?;
        (self.spool, self.events) = (spool, events);
        Ok(())
    }
}

impl Engine for Sqlite {
    /// Commands are few and must not be carried out twice, nor a frame counter be used twice: a power failure must not take
    /// one back, whatever `sync` says.
    fn apply(&mut self, batch: &Batch) -> Result<()> {
        self.copying.end_if_abandoned(&self.connection)?;
        let precious = self.sync == Sync::Normal && !(batch.downlinks.is_empty() && batch.notes.is_empty());
        if precious {
            self.connection.pragma_update(None, "synchronous", "FULL")?;
        }
        let result = self.write(batch);
        if result.is_err() {
            self.history.rolled_back();
        }
        if precious {
            self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        }
        result
    }

    fn spool(&self) -> SpoolStats {
        self.spool.clone()
    }

    fn after(&mut self, seq: u64, most: usize) -> Result<Vec<Entry>> {
        Ok(spool::after(&self.connection, seq, most)?)
    }

    fn shed(&mut self, after: u64, most_bytes: u64, older_than: Timestamp) -> Result<Shed> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut spool = self.spool.clone();
        let shed = spool::shed(&transaction, after, most_bytes, older_than, &mut spool)?;
        transaction.commit()?;
        self.spool = spool;
        Ok(shed)
    }

    fn downlink(&mut self, id: &DownlinkId) -> Result<Option<DownlinkRow>> {
        Ok(tables::downlink(&self.connection, id)?)
    }

    fn downlinks(&mut self, wanted: &DownlinkFilter) -> Result<Vec<DownlinkRow>> {
        Ok(tables::downlinks(&self.connection, wanted)?)
    }

    fn uplinks(&mut self, wanted: &UplinkFilter) -> Result<UplinkPage> {
        Ok(history::uplinks(&self.connection, wanted)?)
    }

    fn gateways(&mut self, devices: &[DeviceKey], since: Timestamp, place: GatewayPlace) -> Result<GatewayPage> {
        Ok(history::gateways(&self.connection, devices, since, place)?)
    }

    fn prune(&mut self, now: Option<Timestamp>) -> Result<bool> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(now) = now.filter(|_| self.history.is_at_rest()) {
            let kept = SignedDuration::try_from(self.downlinks_kept).unwrap_or(SignedDuration::MAX);
            let finished_before = now.checked_sub(kept).unwrap_or(Timestamp::MIN);
            let received_before = now.checked_sub(RUNS_KEPT).unwrap_or(Timestamp::MIN);
            tables::prune(&transaction, now, finished_before, received_before)?;
            events::prune(&transaction, now)?;
        }
        let more = self.history.prune(&transaction, now, self.spool.bytes)?;
        transaction.commit()?;
        Ok(more)
    }

    fn events(&mut self, wanted: &EventFilter) -> Result<Vec<EventRow>> {
        Ok(events::find(&self.connection, wanted)?)
    }

    fn events_since(&mut self, now: Timestamp) -> Result<Timestamp> {
        Ok(events::since(&self.connection, now)?)
    }

    fn begin_copy(&mut self, target: File) -> Result<()> {
        self.copying.begin(&self.connection, target)
    }

    fn copy_on(&mut self) -> Result<bool> {
        self.copying.go_on(&self.connection)
    }

    fn close(&mut self) -> Result<()> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        let unreadable = matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
        );
        let code = error.sqlite_error_code();
        let cause = Box::new(error);
        match code {
            Some(ErrorCode::DiskFull) => Self::Full(cause),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Torn(cause),
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Disk(cause),
            _ if unreadable => Self::Torn(cause),
            _ => Self::Other(cause),
        }
    }
}

#[cfg(test)]
mod tests;
