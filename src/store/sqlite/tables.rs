//! The other tables: runs, states, fair use, gaps, downlinks, notes, availability, retained
//! topics.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::value::{downlink_id, key, nanoseconds, signed, timestamp};
use crate::model::DownlinkId;
use crate::store::batch::Batch;
use crate::store::rows::{DownlinkFilter, DownlinkRow};

pub fn write(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    write_runs(connection, batch)?;
    write_states(connection, batch)?;
    write_usage(connection, batch)?;
    write_gaps(connection, batch)?;
    write_downlinks(connection, batch)?;
    write_notes(connection, batch)?;
    write_availability(connection, batch)?;
    write_retained(connection, batch)
}

fn write_runs(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    let mut remove = connection.prepare_cached(
        "DELETE FROM runs WHERE application = ? AND device = ? AND session = ? AND epoch = ? AND first = ?",
    )?;
    for ((key, session, epoch, first), run) in &batch.runs {
        let (application, device) = (key.application.as_str(), key.device.as_str());
        match run {
            Some(run) => put.execute(params![
                application,
                device,
                session,
                epoch,
                first,
                run.last,
                nanoseconds(run.first_at),
                nanoseconds(run.last_at),
                nanoseconds(run.received_at),
            ])?,
            None => remove.execute(params![application, device, session, epoch, first])?,
        };
    }
    Ok(())
}

fn write_states(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?)")?;
    let mut forget = connection.prepare_cached("DELETE FROM states WHERE application = ? AND device = ?")?;
    for (key, state) in &batch.states {
        let (application, device) = (key.application.as_str(), key.device.as_str());
        match state {
            Some(state) => put.execute(params![application, device, nanoseconds(state.last_seen), state.body])?,
            None => forget.execute([application, device])?,
        };
    }
    Ok(())
}

fn write_usage(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?, ?)")?;
    for row in batch.usage.values() {
        let (application, device) = (row.key.application.as_str(), row.key.device.as_str());
        put.execute(params![application, device, row.day, row.airtime_ms, row.downlinks])?;
    }
    Ok(())
}

fn write_gaps(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO gaps VALUES (?, ?, ?)")?;
    let mut close = connection.prepare_cached("DELETE FROM gaps WHERE id = ?")?;
    for (id, gap) in &batch.gaps {
        match gap {
            Some(gap) => put.execute(params![signed(*id), gap.application.as_str(), gap.body])?,
            None => close.execute([signed(*id)])?,
        };
    }
    Ok(())
}

/// A row that is there keeps its number, and so its place among the others.
fn write_downlinks(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO downlinks (id, application, device, open, told, updated, body) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET application = excluded.application, device = excluded.device,
             open = excluded.open, told = excluded.told, updated = excluded.updated, body = excluded.body",
    )?;
    for row in &batch.downlinks {
        put.execute(params![
            row.id.as_str(),
            row.key.application.as_str(),
            row.key.device.as_str(),
            row.open,
            row.told,
            nanoseconds(row.updated),
            row.body,
        ])?;
    }
    Ok(())
}

fn write_notes(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)")?;
    for (key, body) in &batch.notes {
        put.execute(params![key.application.as_str(), key.device.as_str(), body])?;
    }
    Ok(())
}

fn write_availability(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO availability VALUES (?, ?, ?)")?;
    let mut forget = connection.prepare_cached("DELETE FROM availability WHERE application = ? AND device = ?")?;
    for (key, body) in &batch.availability {
        let (application, device) = (key.application.as_str(), key.device.as_str());
        match body {
            Some(body) => put.execute(params![application, device, body])?,
            None => forget.execute([application, device])?,
        };
    }
    Ok(())
}

fn write_retained(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO retained VALUES (?, ?, ?, ?)")?;
    let mut forget = connection.prepare_cached("DELETE FROM retained WHERE topic = ?")?;
    for (topic, row) in &batch.retained {
        match row {
            Some(row) => {
                let (application, device) =
                    row.owner.as_ref().map(|key| (key.application.as_str(), key.device.as_str())).unzip();
                put.execute(params![topic, application, device, row.kind])?
            }
            None => forget.execute([topic])?,
        };
    }
    Ok(())
}

pub fn downlink(connection: &Connection, id: &DownlinkId) -> rusqlite::Result<Option<DownlinkRow>> {
    let mut select = connection
        .prepare_cached("SELECT id, application, device, open, told, updated, body FROM downlinks WHERE id = ?")?;
    select.query_row([id.as_str()], downlink_row).optional()
}

pub fn downlinks(connection: &Connection, wanted: &DownlinkFilter) -> rusqlite::Result<Vec<DownlinkRow>> {
    let mut select = connection.prepare_cached(
        "SELECT id, application, device, open, told, updated, body FROM downlinks
         WHERE (?1 IS NULL OR application = ?1 AND device = ?2) AND (open OR NOT ?3) ORDER BY n DESC LIMIT ?4",
    )?;
    let application = wanted.device.as_ref().map(|key| key.application.as_str());
    let device = wanted.device.as_ref().map(|key| key.device.as_str());
    let asked = params![application, device, wanted.open_only, signed(wanted.most as u64)];
    select.query_map(asked, downlink_row)?.collect()
}

pub fn downlink_row(row: &Row<'_>) -> rusqlite::Result<DownlinkRow> {
    Ok(DownlinkRow {
        id: downlink_id(row, 0)?,
        key: key(row, 1)?,
        open: row.get(3)?,
        told: row.get(4)?,
        updated: timestamp(row, 5)?,
        body: row.get(6)?,
    })
}

/// Deletes what is finished and old. The day before `now` is kept, for clocks that do not agree.
pub fn prune(
    connection: &Connection,
    now: Timestamp,
    finished_before: Timestamp,
    received_before: Timestamp,
) -> rusqlite::Result<()> {
    let yesterday = now.as_second().div_euclid(24 * 3600) - 1;
    connection
        .execute("DELETE FROM downlinks WHERE NOT open AND told AND updated < ?", [nanoseconds(finished_before)])?;
    connection.execute("DELETE FROM usage WHERE day < ?", [yesterday])?;
    connection.execute(
        "DELETE FROM runs WHERE received_at < ? AND EXISTS (
             SELECT 1 FROM runs AS newer WHERE newer.application = runs.application
                 AND newer.device = runs.device AND newer.received_at > runs.received_at)",
        [nanoseconds(received_before)],
    )?;
    Ok(())
}
