//! Questions about the past: what was read, how it was heard, and by which gateways. All are answered from the uplinks that
//! the store keeps.
//!
//! The uplinks of a long time are read a page after the other, so that neither the store nor anybody else waits long.

mod gateways;
mod radio;
mod readings;
mod samples;
mod scope;
mod series;
mod uplinks;

use std::sync::{Arc, Mutex};

use jiff::Timestamp;

pub use gateways::{Gateways, WantedGateways};
pub use radio::{Radio, WantedRadio};
pub use readings::{Readings, WantedReadings};
pub use uplinks::{Uplinks, WantedUplinks};

use super::problem::{Kind, Problem};
use crate::downlink::{Desk, nobody};
use crate::model::{DeviceKey, Directory, HomeName, UplinkRecord};
use crate::store::{Store, StoreError, UplinkFilter, UplinkPage};
use scope::Scope;

/// Uplinks read at once.
const PAGE: usize = 500;

/// Answers from the history. Cheap to clone.
#[derive(Debug, Clone)]
pub struct History {
    store: Store,
    desk: Desk,
    directory: Arc<Mutex<Directory>>,
}

impl History {
    /// `desk` knows the devices by their names.
    pub fn new(store: Store, desk: Desk, directory: Arc<Mutex<Directory>>) -> Self {
        Self { store, desk, directory }
    }

    /// The newest uplinks of a device, newest first: no more than so many, all before this place.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn newest(&self, key: &DeviceKey, before: i64, most: usize) -> Result<UplinkPage, Problem> {
        let wanted = UplinkFilter { device: key.clone(), from: 0, before, newest_first: true, most };
        self.store.uplinks(wanted).await.map_err(unreadable)
    }

    /// Shows every uplink of a device in this time, oldest first. Returns how many there were.
    async fn each(&self, scope: &Scope, mut visit: impl FnMut(UplinkRecord)) -> Result<u64, Problem> {
        let (mut count, mut from) = (0, scope.from.as_millisecond());
        let before = scope.to.as_millisecond().saturating_add(1);
        loop {
            let wanted = UplinkFilter { device: scope.key.clone(), from, before, newest_first: false, most: PAGE };
            let page = self.store.uplinks(wanted).await.map_err(unreadable)?;
            count += page.uplinks.len() as u64;
            page.uplinks.into_iter().for_each(|(_, uplink)| visit(uplink));
            match page.next {
                Some(next) => from = next,
                None => return Ok(count),
            }
        }
    }

    fn find(&self, device: &str, application: Option<&str>) -> Result<(DeviceKey, HomeName), Problem> {
        let found = self.desk.find(device, application);
        let key = found.map_err(|refusal| Problem::of(Kind::Unknown, refusal))?;
        let directory = Directory::lock(&self.directory);
        match directory.find(&key) {
            Some(known) => Ok((key, known.name.clone())),
            // It could be somebody's id; nothing is kept of who is not known.
            None => Err(Problem::of(Kind::Unknown, nobody(device, application, &directory))),
        }
    }

    fn scope(
        &self,
        (device, application): (&str, Option<&str>),
        (from, to): (Option<&str>, Option<&str>),
        points: Option<usize>,
    ) -> Result<Scope, Problem> {
        let (key, name) = self.find(device, application)?;
        Scope::new(key, name, (from, to), points, Timestamp::now())
    }
}

fn unreadable(error: StoreError) -> Problem {
    Problem::new(Kind::Unavailable, error.to_string()).hint("the log tells what is wrong with the disk")
}
