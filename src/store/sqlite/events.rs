//! What happened, by the number under which it was told: the newest, and no older than a month.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::value::{key, nanoseconds, signed, timestamp};
use crate::store::rows::{EventFilter, EventRow, Types};

/// Rows kept at most. Some more go when they do, so that it is seldom.
const MOST: i64 = 10_000;
const LEFT: i64 = 9_500;
/// How long they are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Returns how many there were.
pub fn write(connection: &Connection, events: &BTreeMap<u64, EventRow>) -> rusqlite::Result<i64> {
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?)")?;
    for EventRow { n, at, key, kind, body } in events.values() {
        let (application, device) = key.as_ref().map(|key| (key.application.as_str(), key.device.as_str())).unzip();
        put.execute(params![signed(*n), nanoseconds(*at), application, device, kind, body])?;
    }
    Ok(signed(events.len() as u64))
}

/// Deletes the oldest if there may be too many: `written` have come since the last time. Returns what that is now.
pub fn trim(connection: &Connection, written: i64) -> rusqlite::Result<i64> {
    if written <= MOST - LEFT {
        return Ok(written);
    }
    let last = "SELECT n FROM events ORDER BY n DESC LIMIT 1 OFFSET ?";
    connection.execute(&format!("DELETE FROM events WHERE n <= ({last})"), [LEFT])?;
    Ok(0)
}

pub fn prune(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let before = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
    connection.execute("DELETE FROM events WHERE at < ?", [nanoseconds(before)])?;
    Ok(())
}

/// Since when all are kept: the oldest went because of their age, or because they were too many.
pub fn since(connection: &Connection, now: Timestamp) -> rusqlite::Result<Timestamp> {
    let mut oldest = connection.prepare_cached("SELECT at FROM events ORDER BY n DESC LIMIT 1 OFFSET ?")?;
    let oldest = oldest.query_row([LEFT - 1], |row| timestamp(row, 0)).optional()?;
    Ok(oldest.unwrap_or(Timestamp::MIN).max(now.checked_sub(KEPT).unwrap_or(Timestamp::MIN)))
}

/// The number of the newest; 0 if there is none.
pub fn highest(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(n), 0) FROM events", [], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))
}

/// Newest first.
pub fn find(connection: &Connection, wanted: &EventFilter) -> rusqlite::Result<Vec<EventRow>> {
    let mut select = connection.prepare_cached(
        "SELECT n, at, application, device, type, body FROM events
         WHERE n > ?1 AND n < ?7 AND (?2 IS NULL OR application = ?2 AND device = ?3)
             AND (?4 IS NULL OR (type IN (SELECT value FROM json_each(?5))) = ?4)
         ORDER BY n DESC LIMIT ?6",
    )?;
    let (application, device) =
        wanted.device.as_ref().map(|key| (key.application.as_str(), key.device.as_str())).unzip();
    let (among, types) = match wanted.types {
        Types::Any => (None, &[][..]),
        Types::Only(types) => (Some(true), types),
        Types::Others(types) => (Some(false), types),
    };
    let types = format!("[{}]", types.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(","));
    let before = wanted.before.map_or(i64::MAX, signed);
    let asked = params![signed(wanted.after), application, device, among, types, signed(wanted.most as u64), before];
    select.query_map(asked, event)?.collect()
}

fn event(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    let is_devices = row.get::<_, Option<String>>(2)?.is_some();
    Ok(EventRow {
        n: row.get::<_, i64>(0)?.unsigned_abs(),
        at: timestamp(row, 1)?,
        key: is_devices.then(|| key(row, 2)).transpose()?,
        kind: row.get(4)?,
        body: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApplicationName, DeviceId, DeviceKey};
    use crate::store::sqlite::migrations;

    fn device(id: &str) -> DeviceKey {
        DeviceKey::new(&ApplicationName::parse("garden").unwrap(), DeviceId::parse(id).unwrap())
    }

    fn row(n: u64) -> EventRow {
        let key = [None, Some(device("lamp")), Some(device("soil"))][n as usize % 3].clone();
        let kind = ["join", "device_offline", "gap_found", "codec_error"][n as usize % 4].to_owned();
        EventRow { n, at: Timestamp::from_second(n as i64).unwrap(), key, kind, body: format!("{{\"n\":{n}}}") }
    }

    fn opened() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrations::migrate(&mut connection, migrations::ALL).unwrap();
        connection
    }

    fn put(connection: &Connection, numbers: impl Iterator<Item = u64>) -> i64 {
        write(connection, &numbers.map(|n| (n, row(n))).collect()).unwrap()
    }

    #[test]
    fn what_is_found_is_what_the_filter_takes_newest_first() {
        let connection = opened();
        put(&connection, 1..60);
        put(&connection, 50..60);
        let types: [Types; 3] = [Types::Any, Types::Only(&["join", "codec_error"]), Types::Others(&["join"])];
        for types in types {
            for device in [None, Some(device("lamp")), Some(device("nobody"))] {
                for (after, before, most) in
                    [(0, None, 100), (20, None, 100), (0, None, 7), (70, None, 5), (0, Some(40), 7), (20, Some(23), 9)]
                {
                    let wanted = EventFilter { after, before, device: device.clone(), types, most };
                    let taken: Vec<_> = (1..60).rev().map(row).filter(|row| wanted.takes(row)).take(most).collect();
                    assert_eq!(find(&connection, &wanted).unwrap(), taken, "{wanted:?}");
                }
            }
        }
        assert_eq!(highest(&connection).unwrap(), 59);
    }

    #[test]
    fn there_are_never_too_many_nor_too_old_ones() {
        let connection = opened();
        let (mut written, mut most) = (0, 0);
        for start in (0..12_000).step_by(100) {
            written = trim(&connection, written + put(&connection, start..start + 100)).unwrap();
            most = most.max(count(&connection));
        }
        assert!(most > LEFT && most <= MOST, "{most}");
        prune(&connection, Timestamp::from_second(11_990).unwrap() + KEPT).unwrap();
        assert_eq!(count(&connection), 10);
    }

    #[test]
    fn all_are_kept_since_the_oldest_of_so_many_and_a_month_at_most() {
        let connection = opened();
        let now = Timestamp::from_second(20_000).unwrap();
        put(&connection, 0..9_499);
        assert_eq!(since(&connection, now).unwrap(), now - KEPT, "none had to go yet");
        put(&connection, 9_499..9_600);
        assert_eq!(since(&connection, now).unwrap(), Timestamp::from_second(100).unwrap());
        let later = now + KEPT;
        assert_eq!(since(&connection, later).unwrap(), now, "what is older went");
    }

    fn count(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap()
    }
}
