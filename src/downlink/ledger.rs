//! The flow's pages in the store: what changes in the queue is kept there before anything is done about it.

use std::time::Duration;

use jiff::Timestamp;

use super::queue::{Item, Usage};
use super::refusal::Refusal;
use crate::model::{DeviceKey, DownlinkId};
use crate::store::{DownlinkFilter, DownlinkRow, Store, StoreError, UsageRow};

/// A disk that does not answer is known as failing a little earlier (the store's own limit is 10 s); then it refuses at
/// once.
const KEPT_WITHIN: Duration = Duration::from_secs(12);

/// Keeps downlinks.
pub struct Ledger {
    store: Store,
    /// Newer than what the disk has, because it could not be written. No more than were open when it began to fail:
    /// meanwhile no command is accepted.
    unsaved: Vec<Item>,
}

impl Ledger {
    pub fn new(store: Store) -> Self {
        Self { store, unsaved: Vec::new() }
    }

    /// Keeps what changed, with what could not be kept before. If it cannot be written now, it is tried with the next
    /// change.
    ///
    /// # Errors
    /// Why it is not on the disk yet.
    pub async fn keep(&mut self, changes: Vec<Item>) -> Result<(), String> {
        for item in changes {
            self.remember(item);
        }
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let result = self.write(&self.unsaved).await;
        if result.is_ok() {
            self.unsaved.clear();
        }
        result.map_err(|error| error.to_string())
    }

    /// Keeps what a command does, or nothing of it.
    ///
    /// # Errors
    /// Why the command cannot be accepted.
    pub async fn keep_command(&mut self, changes: &[Item], now: Timestamp) -> Result<(), Refusal> {
        let Err(error) = self.write(changes).await else {
            self.unsaved.retain(|old| !changes.iter().any(|new| new.id() == old.id()));
            return Ok(());
        };
        let refusal = Refusal::new(format!("it cannot be stored: {error}"))
            .hint("make room on the disk, or see why it cannot be written; then send it again")
            .passes();
        if error == Unwritten::Late {
            // Perhaps it is written after all: then this is what becomes of it.
            let fresh = changes.iter().filter(|item| item.created_at == item.updated_at);
            let refused: Vec<_> = fresh.map(|item| item.refused(&refusal.reason, now)).collect();
            refused.into_iter().for_each(|item| self.remember(item));
        }
        Err(refusal)
    }

    /// Whether something is not on the disk that should be.
    pub fn behind(&self) -> bool {
        !self.unsaved.is_empty()
    }

    pub async fn keep_usage(&self, used: Vec<(DeviceKey, Usage)>) {
        if !used.is_empty() {
            self.store.save_usage(used.into_iter().map(usage_row).collect()).await;
        }
    }

    /// The home has this step. If it is the last of a finished downlink, it need not be told again after a restart.
    pub async fn told(&self, id: &DownlinkId, number: u32) {
        let Ok(Some(mut item)) = find(&self.store, id).await else { return };
        item.told(number);
        if item.ended() && item.untold().is_none() {
            // If this fails, the step is told twice.
            self.write(&[item]).await.ok();
        }
    }

    /// A downlink that is not open any more, as long as it is remembered.
    pub async fn finished(&self, id: &DownlinkId) -> Result<Option<Item>, StoreError> {
        let unsaved = self.unsaved.iter().find(|item| item.id() == id);
        match unsaved {
            Some(item) => Ok(Some(item.clone())),
            None => find(&self.store, id).await,
        }
    }

    /// The newest downlinks of a device; none if the store cannot be read.
    pub async fn newest(&self, device: &DeviceKey, most: usize) -> Vec<Item> {
        newest(&self.store, Some(device.clone()), most).await.unwrap_or_default()
    }

    async fn write(&self, items: &[Item]) -> Result<(), Unwritten> {
        if items.is_empty() {
            return Ok(());
        }
        let rows = items.iter().map(row).collect();
        let saved = tokio::time::timeout(KEPT_WITHIN, self.store.save_downlinks(rows)).await;
        saved.map_err(|_| Unwritten::Late)?.map_err(Unwritten::Refused)
    }

    fn remember(&mut self, item: Item) {
        match self.unsaved.iter_mut().find(|old| old.id() == item.id()) {
            Some(old) => *old = item,
            None => self.unsaved.push(item),
        }
    }
}

/// Why rows are not on the disk.
#[derive(Debug, PartialEq, thiserror::Error)]
enum Unwritten {
    #[error(transparent)]
    Refused(StoreError),
    #[error("the disk does not answer")]
    Late,
}

/// A downlink that the store remembers.
pub async fn find(store: &Store, id: &DownlinkId) -> Result<Option<Item>, StoreError> {
    Ok(store.downlink(id).await?.and_then(item))
}

/// The newest downlinks that the store remembers, newest first.
pub async fn newest(store: &Store, device: Option<DeviceKey>, most: usize) -> Result<Vec<Item>, StoreError> {
    let wanted = DownlinkFilter { device, open_only: false, most };
    Ok(store.downlinks(&wanted).await?.into_iter().filter_map(item).collect())
}

/// A row as it was kept. One that cannot be read stays in the store, and is said.
pub fn item(row: DownlinkRow) -> Option<Item> {
    serde_json::from_str(&row.body)
        .inspect_err(|error| tracing::error!(id = %row.id, %error, "A stored downlink cannot be read."))
        .ok()
}

/// What an open downlink becomes that was restored from a backup, given as it was kept: whoever had the store after the
/// backup was made may have sent it.
pub fn resumed(body: &str) -> String {
    let resumed = serde_json::from_str(body).ok().and_then(|item: Item| serde_json::to_string(&item.resumed()).ok());
    // One that cannot be read is said when it is to be used.
    resumed.unwrap_or_else(|| body.to_owned())
}

pub fn usage(row: UsageRow) -> (DeviceKey, Usage) {
    let UsageRow { key, day, airtime_ms, downlinks } = row;
    (key, Usage { day, airtime: Duration::from_millis(airtime_ms.into()), downlinks })
}

fn row(item: &Item) -> DownlinkRow {
    DownlinkRow {
        id: item.id().clone(),
        key: item.downlink.key.clone(),
        open: !item.ended(),
        told: item.ended() && item.untold().is_none(),
        updated: item.updated_at,
        body: serde_json::to_string(item).expect("our own types have string keys and always serialise"),
    }
}

fn usage_row((key, usage): (DeviceKey, Usage)) -> UsageRow {
    let airtime_ms = u32::try_from(usage.airtime.as_millis()).unwrap_or(u32::MAX);
    UsageRow { key, day: usage.day, airtime_ms, downlinks: usage.downlinks }
}
