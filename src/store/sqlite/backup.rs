//! Backups: a store in one file, with what lies beside it carried in a table of its own; and how one becomes a store
//! again without taking back what the world has seen since.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{migrations, opening, restore};
use crate::store::config::Sync;
use crate::store::error::OpenError;

/// Texts by the names of their files. It is in backups only: that it is there says that the rest has not been done yet.
const CARRIED: &str = "CREATE TABLE carried (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID";
/// What was said of devices while the bridge ran.
const OVERLAY: &str = "devices.toml";

/// Messages that wait here and not in the backup come after those of the backup.
const SPOOL: &str = "
INSERT INTO main.spool (seq, application, device, at, backfilled, topic, body)
SELECT (SELECT coalesce(max(seq), 0) FROM main.spool) + row_number() OVER (ORDER BY seq),
    application, device, at, backfilled, topic, body
FROM here.spool WHERE (application, device, at) NOT IN (SELECT application, device, at FROM main.spool)";
/// A command is not carried out again because an old word on it came back.
const DOWNLINKS: &str = "
INSERT INTO main.downlinks (id, application, device, open, told, updated, body)
SELECT id, application, device, open, told, updated, body FROM here.downlinks AS ours
WHERE NOT EXISTS (SELECT 1 FROM main.downlinks AS theirs WHERE theirs.id = ours.id AND theirs.updated > ours.updated)
ORDER BY n
ON CONFLICT (id) DO UPDATE SET application = excluded.application, device = excluded.device,
    open = excluded.open, told = excluded.told, updated = excluded.updated, body = excluded.body";
/// What was sent was sent.
const USAGE: &str = "
INSERT INTO main.usage (application, device, day, airtime_ms, downlinks)
SELECT application, device, day, airtime_ms, downlinks FROM here.usage WHERE true
ON CONFLICT (application, device, day) DO UPDATE SET airtime_ms = max(airtime_ms, excluded.airtime_ms),
    downlinks = max(downlinks, excluded.downlinks)";
/// The home broker keeps what it keeps.
const RETAINED: &str = "
INSERT OR IGNORE INTO main.retained (topic, application, device, kind)
SELECT topic, application, device, kind FROM here.retained";
/// Of devices that the backup does not know.
const NOTES: &str = "
INSERT OR IGNORE INTO main.notes (application, device, body) SELECT application, device, body FROM here.notes";

/// What rows of a backup become that the store cannot look into, because the world may have gone on without it.
#[derive(Clone, Copy)]
pub struct Resumed<'a> {
    /// What a network server's note on a device is to be: the backup's, given it and the one here, if there is one.
    pub note: &'a dyn Fn(&str, Option<&str>) -> String,
    /// What an open downlink is to be that the store here knows nothing of.
    pub downlink: &'a dyn Fn(&str) -> String,
}

/// A backup that was checked, open to become a store.
pub struct Backup {
    connection: Connection,
    file: PathBuf,
}

/// Makes the copy of a store a backup, which carries this overlay.
///
/// # Errors
/// It is no store, or the disk fails.
pub fn seal(file: &Path, overlay: &str) -> Result<(), OpenError> {
    let sealed = |error: rusqlite::Error| OpenError::unusable(file, error);
    let connection = connect(file).map_err(sealed)?;
    let carry = || {
        connection.execute_batch("DROP TABLE IF EXISTS carried")?;
        connection.execute_batch(CARRIED)?;
        connection.execute("INSERT INTO carried VALUES (?, ?)", [OVERLAY, overlay])?;
        one_file(&connection)
    };
    carry().map_err(sealed)
}

/// Checks a file that may be a backup and belongs to nobody else: that it is ours and whole, and that every row can be read.
/// Brings it to the newest version. Returns how many devices it knows.
///
/// # Errors
/// It is not.
pub fn check(file: &Path) -> Result<usize, OpenError> {
    let foreign = |what| OpenError::Foreign { file: file.to_owned(), what };
    let mut connection = opening::open_given(file)?;
    let unusable = |error: rusqlite::Error| OpenError::unusable(file, error);
    if migrations::version(&connection).map_err(unusable)? == 0 {
        return Err(foreign("a database without tables"));
    }
    opening::check_whole(file, &connection, u64::MAX)?;
    migrations::migrate(&mut connection, migrations::ALL).map_err(unusable)?;
    if shape(&connection).map_err(unusable)? != expected_shape().map_err(unusable)? {
        return Err(foreign("a database with other tables"));
    }
    let found = restore::restore(&connection).map_err(unusable)?;
    // The plain copy of a store carries nothing.
    let made = connection.execute_batch(&CARRIED.replacen("TABLE", "TABLE IF NOT EXISTS", 1));
    made.and_then(|()| one_file(&connection)).map_err(unusable)?;
    Ok(found.states.len())
}

/// What a backup that [`check`] found good carries of `devices.toml`, if it does.
///
/// # Errors
/// The disk fails.
pub fn carried_overlay(file: &Path) -> Result<Option<String>, OpenError> {
    Backup::open(file)?.overlay()
}

impl Backup {
    /// Opens a backup that [`check`] found good.
    pub fn open(file: &Path) -> Result<Self, OpenError> {
        let connection = connect(file).map_err(|error| OpenError::unusable(file, error))?;
        Ok(Self { connection, file: file.to_owned() })
    }

    /// The overlay it carries; `None` if it carries none, or that was seen to.
    pub fn overlay(&self) -> Result<Option<String>, OpenError> {
        let read = || {
            if !self.is_fresh()? {
                return Ok(None);
            }
            let sql = "SELECT body FROM carried WHERE name = ?";
            self.connection.query_row(sql, [OVERLAY], |row| row.get(0)).optional()
        };
        read().map_err(|error| OpenError::unusable(&self.file, error))
    }

    /// Takes over what the store `here`, which nobody has open, knows better, and ends as a store. Once.
    pub fn become_store(mut self, here: Option<&Path>, resumed: Resumed<'_>) -> Result<(), OpenError> {
        self.take_over(here, resumed).map_err(|error| OpenError::unusable(&self.file, error))
    }

    fn take_over(&mut self, here: Option<&Path>, resumed: Resumed<'_>) -> rusqlite::Result<()> {
        if !self.is_fresh()? {
            return Ok(());
        }
        let attached = here.is_some();
        if let Some(here) = here {
            self.connection.execute("ATTACH ? AS here", [here.to_string_lossy()])?;
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (application, device, theirs, ours) in notes(&transaction, attached)? {
            let put = "UPDATE main.notes SET body = ? WHERE application = ? AND device = ?";
            transaction.execute(put, params![(resumed.note)(&theirs, ours.as_deref()), application, device])?;
        }
        for (n, body) in unknown_downlinks(&transaction, attached)? {
            let put = "UPDATE main.downlinks SET body = ? WHERE n = ?";
            transaction.execute(put, params![(resumed.downlink)(&body), n])?;
        }
        if attached {
            [SPOOL, DOWNLINKS, USAGE, RETAINED, NOTES].iter().try_for_each(|sql| transaction.execute_batch(sql))?;
        }
        transaction.execute_batch("DROP TABLE main.carried")?;
        transaction.commit()
    }

    fn is_fresh(&self) -> rusqlite::Result<bool> {
        self.connection.table_exists(Some("main"), "carried")
    }
}

/// Application, device, the backup's note and the one here.
type Note = (String, String, String, Option<String>);

/// Every note of the backup, with the one here on the same device.
fn notes(connection: &Connection, attached: bool) -> rusqlite::Result<Vec<Note>> {
    let sql = if attached {
        "SELECT application, device, theirs.body, ours.body
         FROM main.notes AS theirs LEFT JOIN here.notes AS ours USING (application, device)"
    } else {
        "SELECT application, device, body, NULL FROM main.notes"
    };
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    connection.prepare(sql)?.query_map([], row)?.collect()
}

/// The open downlinks of the backup that nothing is known of here: their numbers and what is kept of them.
fn unknown_downlinks(connection: &Connection, attached: bool) -> rusqlite::Result<Vec<(i64, String)>> {
    let unknown = if attached { "AND id NOT IN (SELECT id FROM here.downlinks)" } else { "" };
    let sql = format!("SELECT n, body FROM main.downlinks WHERE open {unknown}");
    connection.prepare(&sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// For a file that is no running store: nothing stays beside it, and nobody else comes in meanwhile.
fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = opening::connect(file)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn one_file(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "DELETE")
}

/// Everything that is defined in it but what a backup carries.
fn shape(connection: &Connection) -> rusqlite::Result<Vec<(String, String, Option<String>)>> {
    let sql = "SELECT type, name, sql FROM sqlite_schema
               WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!' AND (type, name) <> ('table', 'carried') ORDER BY type, name";
    connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

fn expected_shape() -> rusqlite::Result<Vec<(String, String, Option<String>)>> {
    let mut fresh = Connection::open_in_memory()?;
    migrations::migrate(&mut fresh, migrations::ALL)?;
    shape(&fresh)
}

/// Opens the store at `file` and closes it so that all of it is in the one file. Returns whether it is of use: one that is
/// damaged, not ours, or of a newer version is not.
///
/// # Errors
/// Somebody has it open, or the disk fails.
pub fn settle(file: &Path) -> Result<bool, OpenError> {
    let settled = opening::open(file, Sync::Full).and_then(|connection| {
        let close = || {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
            one_file(&connection)
        };
        close().map_err(|error| OpenError::unusable(file, error))
    });
    match settled {
        Ok(()) => Ok(true),
        Err(error) if error.is_permanent() => {
            tracing::warn!(%error, "Nothing is taken over from the store that is replaced.");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
