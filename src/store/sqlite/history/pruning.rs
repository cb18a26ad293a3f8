//! What is too old, or too much, goes in small bites: between two of them others can commit.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{History, LAST_TIME, MILLISECONDS_A_DAY, row_number};
use crate::store::config::StoreConfig;

/// What one bite deletes and looks at, at most.
const ROWS_A_BITE: usize = 500;
const DEVICES_A_BITE: usize = 50;
/// The size is not looked at while more than this is spooled, for then it cannot be told apart. No uplink is published
/// while the home broker is away, so the history does not grow meanwhile.
const MOST_SPOOLED: u64 = 16 << 20;

/// How much of the history is kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    age: Duration,
    /// Bytes of the file.
    size: u64,
}

/// One walk through all devices.
#[derive(Debug)]
pub struct Pass {
    /// What is older goes, in milliseconds since 1970 …
    cutoff: i64,
    /// … of devices that have something older than this: a device's page is written once a day, not each hour.
    worth: i64,
    /// The device to go on with.
    next: i64,
    /// What it leaves: its oldest and its newest.
    left: Option<(i64, i64)>,
    by_size: bool,
    has_deleted: bool,
}

impl From<&StoreConfig> for Retention {
    fn from(config: &StoreConfig) -> Self {
        Self { age: config.readings_age, size: config.readings_size }
    }
}

impl History {
    /// Whether no walk is under way.
    pub fn is_at_rest(&self) -> bool {
        self.pass.is_none()
    }

    /// Takes one bite, while so many bytes are spooled; nothing is too old if nobody knows what time it is. Returns whether
    /// there is more to do.
    pub fn prune(&mut self, connection: &Connection, now: Option<Timestamp>, spooled: u64) -> rusqlite::Result<bool> {
        let mut pass = match self.pass.take() {
            Some(pass) => pass,
            None => self.begin(connection, now, spooled)?,
        };
        let mut room = ROWS_A_BITE;
        for _ in 0..DEVICES_A_BITE {
            let Some((device, is_gone)) = next_device(connection, pass.next)? else {
                return self.end(connection, &pass, spooled);
            };
            room -= pass.visit(connection, (device, is_gone), room)?;
            if room == 0 {
                break;
            }
            pass.next = device + 1;
        }
        self.pass = Some(pass);
        Ok(true)
    }

    /// An uplink of this time was written.
    pub(super) fn note_written(&mut self, at: i64) {
        // A walk that has left nothing so far may have passed its device already.
        self.pass.iter_mut().for_each(|pass| pass.note_left((at, at)));
        self.left.iter_mut().for_each(|left| *left = (at.min(left.0), at.max(left.1)));
    }

    /// What is too much is a part of the time that there is something of, whatever time it is now; but no more than that
    /// part of what may be kept, for a single row may be of any time.
    fn begin(&self, connection: &Connection, now: Option<Timestamp>, spooled: u64) -> rusqlite::Result<Pass> {
        let age = i64::try_from(self.retention.age.as_millis()).unwrap_or(i64::MAX);
        let old = now.map_or(0, |now| now.as_millisecond().saturating_sub(age));
        let excess = match self.left {
            Some((oldest, newest)) if self.is_too_large(connection, spooled)? => {
                Some(oldest + ((newest - oldest).min(age) / 16).max(1))
            }
            _ => None,
        };
        let cutoff = excess.map_or(old, |excess| excess.max(old)).clamp(0, LAST_TIME);
        let worth = if excess.is_some() { cutoff } else { cutoff - (age / 30).min(MILLISECONDS_A_DAY) };
        Ok(Pass { cutoff, worth, next: 0, left: None, by_size: excess.is_some(), has_deleted: false })
    }

    /// Every device was looked at. If there is still too much, and it helps, another walk follows.
    fn end(&mut self, connection: &Connection, pass: &Pass, spooled: u64) -> rusqlite::Result<bool> {
        self.left = pass.left;
        let oldest = pass.left.map_or(pass.cutoff, |(oldest, _)| oldest);
        self.texts.prune(connection, oldest / MILLISECONDS_A_DAY)?;
        let helps = pass.has_deleted || (!pass.by_size && pass.left.is_some());
        Ok(helps && self.is_too_large(connection, spooled)?)
    }

    /// Nearly all of the file is history or spool. What is spooled takes a third more than its bytes.
    fn is_too_large(&self, connection: &Connection, spooled: u64) -> rusqlite::Result<bool> {
        let count =
            |what| connection.query_row(&format!("PRAGMA {what}"), [], |row| row.get::<_, u32>(0)).map(u64::from);
        let used = (count("page_count")? - count("freelist_count")?) * count("page_size")?;
        Ok(spooled <= MOST_SPOOLED && used > self.retention.size.saturating_add(spooled / 3 * 4))
    }
}

impl Pass {
    /// Deletes up to `room` rows of a device; all of one that was removed.
    fn visit(
        &mut self,
        connection: &Connection,
        (device, is_gone): (i64, bool),
        room: usize,
    ) -> rusqlite::Result<usize> {
        let Some((first, last)) = times(connection, device)? else {
            if is_gone {
                connection.execute("DELETE FROM uplink_devices WHERE n = ?", [device])?;
            }
            return Ok(0);
        };
        if first >= self.worth && !is_gone {
            self.note_left((first, last));
            return Ok(0);
        }
        let end = row_number(device, if is_gone { LAST_TIME } else { self.cutoff });
        let deleted = connection
            .prepare_cached(
                "DELETE FROM uplinks WHERE n IN (SELECT n FROM uplinks WHERE n >= ? AND n < ? ORDER BY n LIMIT ?)",
            )?
            .execute(params![row_number(device, 0), end, room as i64])?;
        self.has_deleted |= deleted > 0;
        if deleted < room && !is_gone {
            self.note_left((first.max(self.cutoff), last.max(self.cutoff)));
        }
        Ok(deleted)
    }

    fn note_left(&mut self, (first, last): (i64, i64)) {
        self.left = Some(self.left.map_or((first, last), |left| (left.0.min(first), left.1.max(last))));
    }
}

/// The first device from this number on, and whether it was removed.
fn next_device(connection: &Connection, from: i64) -> rusqlite::Result<Option<(i64, bool)>> {
    connection
        .prepare_cached("SELECT n, application IS NULL FROM uplink_devices WHERE n >= ? ORDER BY n LIMIT 1")?
        .query_row([from], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// When the oldest and the newest uplink of a device were.
fn times(connection: &Connection, device: i64) -> rusqlite::Result<Option<(i64, i64)>> {
    let one = |order: &str| {
        connection
            .prepare_cached(&format!("SELECT n FROM uplinks WHERE n >= ? AND n <= ? ORDER BY n {order} LIMIT 1"))?
            .query_row([row_number(device, 0), row_number(device, LAST_TIME)], |row| row.get::<_, i64>(0))
            .optional()
            .map(|n| n.map(|n| n & LAST_TIME))
    };
    Ok(one("ASC")?.zip(one("DESC")?))
}
