//! A store for the tests of those who use one: it works where it is asked, so that a paused clock stands still meanwhile,
//! and its disk can be full.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use super::batch::Batch;
use super::engine::{Engine, Result};
use super::error::EngineError;
use super::rows::{
    DownlinkFilter, DownlinkRow, Entry, EventFilter, EventRow, GatewayPage, GatewayPlace, Restored, Shed, SpoolStats,
    UplinkFilter, UplinkPage,
};
use super::sqlite::Sqlite;
use super::thread::Thread;
use super::writer::{Status, Writer};
use super::{Store, StoreConfig, assemble};
use crate::model::{DeviceKey, DownlinkId};
use crate::telemetry::Notices;

/// Whether the disk is full. Every clone is the same disk.
#[derive(Clone, Default)]
pub struct FullDisk(Arc<AtomicBool>);

impl FullDisk {
    pub fn set(&self, full: bool) {
        self.0.store(full, Ordering::Relaxed);
    }
}

pub fn open_here(file: &Path, disk: &FullDisk, notices: &Notices) -> (Store, Writer, Restored) {
    let config = StoreConfig::default();
    let (engine, restored) = Sqlite::open(file, &config).expect("the test made the folder");
    let status = Status { spool: restored.spool.clone(), failing: None };
    let thread = Thread::Here(Box::new(OnDisk { engine, disk: disk.clone() }));
    let (store, writer) = assemble(thread, config.commit_interval, notices.downgrade(), restored.next_seq - 1, status);
    (store, writer, restored)
}

struct OnDisk {
    engine: Sqlite,
    disk: FullDisk,
}

impl Engine for OnDisk {
    fn apply(&mut self, batch: &Batch) -> Result<()> {
        if self.disk.0.load(Ordering::Relaxed) {
            Err(EngineError::Full("no room".into()))
        } else {
            self.engine.apply(batch)
        }
    }

    fn spool(&self) -> SpoolStats {
        self.engine.spool()
    }

    fn after(&mut self, seq: u64, most: usize) -> Result<Vec<Entry>> {
        self.engine.after(seq, most)
    }

    fn shed(&mut self, after: u64, most_bytes: u64, older_than: Timestamp) -> Result<Shed> {
        self.engine.shed(after, most_bytes, older_than)
    }

    fn downlink(&mut self, id: &DownlinkId) -> Result<Option<DownlinkRow>> {
        self.engine.downlink(id)
    }

    fn downlinks(&mut self, wanted: &DownlinkFilter) -> Result<Vec<DownlinkRow>> {
        self.engine.downlinks(wanted)
    }

    fn uplinks(&mut self, wanted: &UplinkFilter) -> Result<UplinkPage> {
        self.engine.uplinks(wanted)
    }

    fn gateways(&mut self, devices: &[DeviceKey], since: Timestamp, place: GatewayPlace) -> Result<GatewayPage> {
        self.engine.gateways(devices, since, place)
    }

    fn events(&mut self, wanted: &EventFilter) -> Result<Vec<EventRow>> {
        self.engine.events(wanted)
    }

    fn events_since(&mut self, now: Timestamp) -> Result<Timestamp> {
        self.engine.events_since(now)
    }

    fn prune(&mut self, now: Option<Timestamp>) -> Result<bool> {
        self.engine.prune(now)
    }

    fn begin_copy(&mut self, target: std::fs::File) -> Result<()> {
        self.engine.begin_copy(target)
    }

    fn copy_on(&mut self) -> Result<bool> {
        self.engine.copy_on()
    }

    fn close(&mut self) -> Result<()> {
        self.engine.close()
    }
}
