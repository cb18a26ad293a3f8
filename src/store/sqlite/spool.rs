//! The spool: messages of the network on their way.

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::value::{application, device, nanoseconds, signed, timestamp};
use crate::model::ApplicationName;
use crate::store::engine::MOST_BYTES;
use crate::store::rows::{Entry, Shed, SpoolStats};

/// Adds the entries that are not there yet.
pub fn insert<'a>(
    connection: &Connection,
    entries: impl Iterator<Item = &'a Entry>,
    spool: &mut SpoolStats,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached("INSERT OR IGNORE INTO spool VALUES (?, ?, ?, ?, ?, ?, ?)")?;
    for entry in entries {
        let added = insert.execute(params![
            signed(entry.seq),
            entry.application.as_str(),
            entry.device.as_str(),
            nanoseconds(entry.at),
            entry.backfilled,
            &entry.topic[..],
            &entry.payload[..],
        ])?;
        if added > 0 {
            spool.entries += 1;
            spool.bytes += entry.bytes();
            spool.oldest.get_or_insert(entry.at);
            *spool.applications.entry(entry.application.clone()).or_default() += 1;
        }
    }
    Ok(())
}

/// Deletes the entries that are there.
pub fn delete<'a>(
    connection: &Connection,
    seqs: impl IntoIterator<Item = &'a u64>,
    spool: &mut SpoolStats,
) -> rusqlite::Result<()> {
    let mut delete = connection
        .prepare_cached("DELETE FROM spool WHERE seq = ? RETURNING application, length(topic) + length(body)")?;
    let before = spool.entries;
    for seq in seqs {
        let deleted = |row: &Row<'_>| Ok((application(row, 0)?, row.get::<_, i64>(1)?.unsigned_abs()));
        if let Some((application, bytes)) = delete.query_row([signed(*seq)], deleted).optional()? {
            less(spool, &application, (1, bytes));
        }
    }
    if spool.entries < before {
        spool.oldest = oldest(connection)?;
    }
    Ok(())
}

/// Entries with a higher seq, in its order.
pub fn after(connection: &Connection, seq: u64, most: usize) -> rusqlite::Result<Vec<Entry>> {
    let mut select = connection.prepare_cached(
        "SELECT seq, application, device, at, backfilled, topic, body FROM spool WHERE seq > ? ORDER BY seq LIMIT ?",
    )?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    let mut rows = select.query(params![signed(seq), signed(most as u64)])?;
    while bytes < MOST_BYTES
        && let Some(row) = rows.next()?
    {
        let entry = entry(row)?;
        bytes += entry.bytes();
        entries.push(entry);
    }
    Ok(entries)
}

/// Deletes the oldest entries with a higher seq than `after`, as far as there is too much or they are too old.
pub fn shed(
    connection: &Connection,
    after: u64,
    most_bytes: u64,
    older_than: Timestamp,
    spool: &mut SpoolStats,
) -> rusqlite::Result<Shed> {
    let mut shed = Shed::default();
    let mut select = connection.prepare_cached(
        "SELECT seq, at, length(topic) + length(body), application FROM spool WHERE seq > ? ORDER BY seq",
    )?;
    let mut rows = select.query([signed(after)])?;
    while let Some(row) = rows.next()? {
        let (at, bytes) = (timestamp(row, 1)?, row.get::<_, i64>(2)?.unsigned_abs());
        if spool.bytes.saturating_sub(shed.bytes) <= most_bytes && at >= older_than {
            break;
        }
        shed.last = Some(row.get::<_, i64>(0)?.unsigned_abs());
        shed.entries += 1;
        shed.bytes += bytes;
        shed.span = Some((shed.span.map_or(at, |(first, _)| first), at));
        let of_it = shed.applications.entry(application(row, 3)?).or_insert((0, at, at));
        (of_it.0, of_it.2) = (of_it.0 + 1, at);
    }
    if let Some(last) = shed.last {
        let mut delete = connection.prepare_cached("DELETE FROM spool WHERE seq > ? AND seq <= ?")?;
        delete.execute([signed(after), signed(last)])?;
        shed.applications.iter().for_each(|(application, (entries, ..))| less(spool, application, (*entries, 0)));
        spool.bytes = spool.bytes.saturating_sub(shed.bytes);
        spool.oldest = oldest(connection)?;
    }
    Ok(shed)
}

/// Counts what is there, and the highest seq. Reads through the whole spool, but not its long messages.
pub fn measure(connection: &Connection) -> rusqlite::Result<(SpoolStats, u64)> {
    let mut spool = SpoolStats { oldest: oldest(connection)?, ..SpoolStats::default() };
    let mut select = connection.prepare("SELECT application, length(topic) + length(body) FROM spool")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        spool.entries += 1;
        spool.bytes += row.get::<_, i64>(1)?.unsigned_abs();
        // A damaged one shows when it is its turn.
        application(row, 0).into_iter().for_each(|name| *spool.applications.entry(name).or_default() += 1);
    }
    let highest = connection.query_row("SELECT ifnull(max(seq), 0) FROM spool", [], |row| row.get::<_, i64>(0))?;
    Ok((spool, highest.unsigned_abs()))
}

fn oldest(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let mut select = connection.prepare_cached("SELECT at FROM spool ORDER BY seq LIMIT 1")?;
    select.query_row([], |row| timestamp(row, 0)).optional()
}

fn less(spool: &mut SpoolStats, application: &ApplicationName, (entries, bytes): (u64, u64)) {
    spool.entries = spool.entries.saturating_sub(entries);
    spool.bytes = spool.bytes.saturating_sub(bytes);
    if let Some(own) = spool.applications.get_mut(application) {
        *own = own.saturating_sub(entries);
    }
    spool.applications.retain(|_, own| *own > 0);
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        seq: row.get::<_, i64>(0)?.unsigned_abs(),
        application: application(row, 1)?,
        device: device(row, 2)?,
        at: timestamp(row, 3)?,
        backfilled: row.get(4)?,
        topic: Bytes::copy_from_slice(row.get_ref(5)?.as_blob()?),
        payload: Bytes::copy_from_slice(row.get_ref(6)?.as_blob()?),
    })
}
