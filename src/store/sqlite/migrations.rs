//! The tables, version by version. A version that was ever released is never changed: another is added.

use rusqlite::{Connection, TransactionBehavior};

/// What leads from each version to the next; the first makes an empty file version 1.
pub const ALL: &[&str] = &[VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5, VERSION_6];

/// Rows that are written with every message are short and in few tables, for each page they touch is written whole.
/// `n` numbers downlinks in the order of their acceptance.
const VERSION_1: &str = "
CREATE TABLE spool (
    seq INTEGER PRIMARY KEY,
    application TEXT NOT NULL,
    device TEXT NOT NULL,
    at INTEGER NOT NULL,
    backfilled INTEGER NOT NULL,
    topic BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE runs (
    application TEXT NOT NULL,
    device TEXT NOT NULL,
    session TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (application, device, session, epoch, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE states (
    application TEXT NOT NULL,
    device TEXT NOT NULL,
    last_seen INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (application, device)
) STRICT, WITHOUT ROWID;
CREATE TABLE downlinks (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    application TEXT NOT NULL,
    device TEXT NOT NULL,
    open INTEGER NOT NULL,
    told INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE TABLE usage (
    application TEXT NOT NULL,
    device TEXT NOT NULL,
    day INTEGER NOT NULL,
    airtime_ms INTEGER NOT NULL,
    downlinks INTEGER NOT NULL,
    PRIMARY KEY (application, device, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE gaps (
    id INTEGER PRIMARY KEY,
    application TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
";

/// What network servers note of devices: with end-to-end encryption, sessions and frame counters.
const VERSION_2: &str = "
CREATE TABLE notes (
    application TEXT NOT NULL,
    device TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (application, device)
) STRICT, WITHOUT ROWID;
";

/// On which topics the home broker keeps something, so that they can be emptied when it is of no use any more. What is
/// about no device is the bridge's own.
const VERSION_3: &str = "
CREATE TABLE retained (
    topic TEXT PRIMARY KEY,
    application TEXT,
    device TEXT,
    kind TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// How often each device reports, and whether it is there.
const VERSION_4: &str = "
CREATE TABLE availability (
    application TEXT NOT NULL,
    device TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (application, device)
) STRICT, WITHOUT ROWID;
";

/// Uplinks as they were published. `n` is the device's number and the time, so that those of one device lie together in
/// their order; what many have in common is a text that they refer to. A device that was removed has a number only, until
/// its uplinks are gone.
const VERSION_5: &str = "
CREATE TABLE uplink_devices (
    n INTEGER PRIMARY KEY,
    application TEXT,
    device TEXT,
    UNIQUE (application, device)
) STRICT;
CREATE TABLE uplink_texts (
    n INTEGER PRIMARY KEY,
    day INTEGER NOT NULL,
    body TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE uplinks (
    n INTEGER PRIMARY KEY,
    nanoseconds INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    form INTEGER NOT NULL,
    f_cnt INTEGER NOT NULL,
    gateways BLOB NOT NULL,
    payload BLOB NOT NULL,
    told TEXT NOT NULL
) STRICT;
";

/// What happened. `n` is the number under which it was told; what is about no device is the bridge's own.
const VERSION_6: &str = "
CREATE TABLE events (
    n INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    application TEXT,
    device TEXT,
    type TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
";

/// The version of the tables; 0 for an empty file.
pub fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings the tables to the newest version, each step whole or not at all.
pub fn migrate(connection: &mut Connection, all: &[&str]) -> rusqlite::Result<()> {
    let from = version(connection)?;
    for (to, step) in (1_u32..).zip(all).skip(from as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", to)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Writes something that changes nothing.
pub fn rewrite_version(connection: &Connection) -> rusqlite::Result<()> {
    let version = version(connection)?;
    connection.pragma_update(None, "user_version", version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_an_older_version_keeps_its_rows() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &[VERSION_1]).unwrap();
        connection.execute("INSERT INTO gaps VALUES (7, 'garden', '{}')", []).unwrap();
        let second = "ALTER TABLE gaps ADD COLUMN found INTEGER NOT NULL DEFAULT 3";
        migrate(&mut connection, &[VERSION_1, second]).unwrap();
        migrate(&mut connection, &[VERSION_1, second]).unwrap();
        assert_eq!(version(&connection).unwrap(), 2);
        let row: (i64, i64) =
            connection.query_row("SELECT id, found FROM gaps", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(row, (7, 3));
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        let half = "CREATE TABLE new (a INTEGER); INSERT INTO nowhere VALUES (1);";
        assert!(migrate(&mut connection, &[VERSION_1, half]).is_err());
        assert_eq!(version(&connection).unwrap(), 1);
        assert!(connection.prepare("SELECT * FROM new").is_err());
    }
}
