//! The history: each uplink as it was published, a short row each.
//!
//! A row's number is its device's number and its time, so that the uplinks of one device lie together and in their order:
//! thirty days of one are read in one go, and a commit touches one page for each device in it.

mod packed;
mod pruning;
mod reading;
mod texts;

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use self::packed::Packed;
use self::pruning::Pass;
pub use self::pruning::Retention;
pub use self::reading::{gateways, uplinks};
use self::texts::Texts;
use crate::model::{DeviceKey, UplinkRecord};
use crate::store::batch::Batch;
use crate::store::sqlite::value::nanoseconds;

/// Bits of a row's number that are its time, in milliseconds since 1970: enough until the year 2248. The rest is the
/// device's: a million of them.
const TIME_BITS: u32 = 43;
const LAST_TIME: i64 = (1 << TIME_BITS) - 1;
const LAST_DEVICE: i64 = (1 << (63 - TIME_BITS)) - 1;
const MILLISECONDS_A_DAY: i64 = 24 * 3600 * 1000;

/// Writes and prunes the history; remembers what it would else have to read for each row.
#[derive(Debug)]
pub struct History {
    retention: Retention,
    devices: HashMap<DeviceKey, i64>,
    texts: Texts,
    pass: Option<Pass>,
    /// The oldest and the newest uplink that the last pass has left, with those written since.
    left: Option<(i64, i64)>,
}

impl History {
    pub fn new(retention: Retention) -> Self {
        Self { retention, devices: HashMap::new(), texts: Texts::default(), pass: None, left: None }
    }

    /// Writes what a batch says: first the devices to forget, then uplinks.
    pub fn write(&mut self, connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
        for key in &batch.forgotten {
            self.forget(connection, key)?;
        }
        batch.uplinks.iter().try_for_each(|record| self.keep(connection, record))
    }

    /// A transaction was not committed: the numbers that it gave may be given again.
    pub fn rolled_back(&mut self) {
        self.devices.clear();
        self.texts.forget();
    }

    fn keep(&mut self, connection: &Connection, record: &UplinkRecord) -> rusqlite::Result<()> {
        let at = milliseconds(record.at);
        let Some(device) = self.number(connection, &record.key)? else { return Ok(()) };
        let Packed { owner, form, gateways, values } = Packed::of(record);
        let day = at / MILLISECONDS_A_DAY;
        let (owner, form) = (self.texts.number(connection, &owner, day)?, self.texts.number(connection, &form, day)?);
        let mut heard = Vec::new();
        for (gateway, rssi, snr) in gateways {
            reading::push_heard(&mut heard, (self.texts.number(connection, &gateway, day)?, rssi, snr));
        }
        let exact = nanoseconds(record.at);
        let Some(at) = place(connection, (device, at), (owner, record.f_cnt, exact))? else { return Ok(()) };
        let mut put = connection.prepare_cached("INSERT OR REPLACE INTO uplinks VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
        let n = row_number(device, at);
        put.execute(params![n, beyond(exact, at), owner, form, record.f_cnt, heard, &record.payload[..], values])?;
        self.note_written(at);
        Ok(())
    }

    /// The number of a device; a new one gets one. None: there are too many.
    fn number(&mut self, connection: &Connection, key: &DeviceKey) -> rusqlite::Result<Option<i64>> {
        if let Some(number) = self.devices.get(key) {
            return Ok(Some(*number));
        }
        let number = match find(connection, key)? {
            Some(number) => number,
            None => {
                connection
                    .prepare_cached("INSERT INTO uplink_devices (application, device) VALUES (?, ?)")?
                    .execute([key.application.as_str(), key.device.as_str()])?;
                connection.last_insert_rowid()
            }
        };
        self.devices.insert(key.clone(), number);
        Ok((number <= LAST_DEVICE).then_some(number))
    }

    /// Its rows are deleted little by little.
    fn forget(&mut self, connection: &Connection, key: &DeviceKey) -> rusqlite::Result<()> {
        self.devices.remove(key);
        connection
            .prepare_cached(
                "UPDATE uplink_devices SET application = NULL, device = NULL WHERE application = ? AND device = ?",
            )?
            .execute([key.application.as_str(), key.device.as_str()])?;
        Ok(())
    }
}

/// The number of a row.
fn row_number(device: i64, at: i64) -> i64 {
    device << TIME_BITS | at.clamp(0, LAST_TIME)
}

fn milliseconds(at: Timestamp) -> i64 {
    at.as_millisecond().clamp(0, LAST_TIME)
}

/// The number of a device that has one.
fn find(connection: &Connection, key: &DeviceKey) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT n FROM uplink_devices WHERE application = ? AND device = ?")?
        .query_row([key.application.as_str(), key.device.as_str()], |row| row.get(0))
        .optional()
}

/// Where an uplink is, or belongs: at its time, or behind others of the same millisecond. `own` is what makes it the same
/// one: whose it is, its counter, and its exact time.
fn place(
    connection: &Connection,
    (device, at): (i64, i64),
    (owner, f_cnt, exact): (i64, u32, i64),
) -> rusqlite::Result<Option<i64>> {
    let mut select = connection.prepare_cached("SELECT owner, f_cnt, nanoseconds FROM uplinks WHERE n = ?")?;
    for at in at..=LAST_TIME {
        let there =
            select.query_row([row_number(device, at)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
        if there.is_none_or(|there| there == (owner, f_cnt, beyond(exact, at))) {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// What a place in milliseconds leaves of a time in nanoseconds.
fn beyond(exact: i64, place: i64) -> i64 {
    exact.saturating_sub(place.saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests;
