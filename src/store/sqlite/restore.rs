//! What a start finds. Reading it walks through every table, so damage shows here.

use rusqlite::{Connection, Row};

use super::tables::downlink_row;
use super::value::{application, key, timestamp};
use super::{events, spool};
use crate::model::DeviceKey;
use crate::store::rows::{GapRow, Restored, RetainedRow, Run, StateRow, UsageRow};

const RUNS: &str = "SELECT application, device, session, epoch, first, last, first_at, last_at, received_at FROM runs";
const STATES: &str = "SELECT application, device, last_seen, body FROM states";
const DOWNLINKS: &str = "SELECT id, application, device, open, told, updated, body FROM downlinks
                         WHERE open OR NOT told ORDER BY n";
const USAGE: &str = "SELECT application, device, day, airtime_ms, downlinks FROM usage";
const NOTES: &str = "SELECT application, device, body FROM notes";
const AVAILABILITY: &str = "SELECT application, device, body FROM availability";
const RETAINED: &str = "SELECT topic, kind, application, device FROM retained";
const GAPS: &str = "SELECT id, application, body FROM gaps";

pub fn restore(connection: &Connection) -> rusqlite::Result<Restored> {
    let (spool, highest) = spool::measure(connection)?;
    Ok(Restored {
        runs: all(connection, RUNS, run)?,
        states: all(connection, STATES, state)?,
        downlinks: all(connection, DOWNLINKS, downlink_row)?,
        usage: all(connection, USAGE, usage)?,
        gaps: all(connection, GAPS, gap)?,
        notes: all(connection, NOTES, |row| Ok((key(row, 0)?, row.get(2)?)))?,
        availability: all(connection, AVAILABILITY, |row| Ok((key(row, 0)?, row.get(2)?)))?.into_iter().collect(),
        retained: all(connection, RETAINED, retained)?,
        last_event: events::highest(connection)?,
        next_seq: highest + 1,
        spool,
    })
}

fn all<T>(connection: &Connection, sql: &str, read: fn(&Row<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], read)?.collect()
}

fn run(row: &Row<'_>) -> rusqlite::Result<(DeviceKey, Run)> {
    let run = Run {
        session: row.get(2)?,
        epoch: row.get(3)?,
        first: row.get(4)?,
        last: row.get(5)?,
        first_at: timestamp(row, 6)?,
        last_at: timestamp(row, 7)?,
        received_at: timestamp(row, 8)?,
    };
    Ok((key(row, 0)?, run))
}

fn state(row: &Row<'_>) -> rusqlite::Result<(DeviceKey, StateRow)> {
    Ok((key(row, 0)?, StateRow { last_seen: timestamp(row, 2)?, body: row.get(3)? }))
}

fn usage(row: &Row<'_>) -> rusqlite::Result<UsageRow> {
    Ok(UsageRow { key: key(row, 0)?, day: row.get(2)?, airtime_ms: row.get(3)?, downlinks: row.get(4)? })
}

fn gap(row: &Row<'_>) -> rusqlite::Result<GapRow> {
    let id = row.get::<_, i64>(0)?.unsigned_abs();
    Ok(GapRow { id, application: application(row, 1)?, body: row.get(2)? })
}

fn retained(row: &Row<'_>) -> rusqlite::Result<RetainedRow> {
    let is_devices = row.get::<_, Option<String>>(2)?.is_some();
    let owner = is_devices.then(|| key(row, 2)).transpose()?;
    Ok(RetainedRow { topic: row.get(0)?, owner, kind: row.get(1)? })
}
