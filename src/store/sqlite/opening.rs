//! Opening the file: only if it is ours, whole, of a version we know, and nobody else's at the moment.
//!
//! A file that is refused is left as it is, byte for byte, and so is the write-ahead log beside it: it is looked at
//! before SQLite is let near it, and SQLite is told to tidy nothing up when it closes.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::migrations;
use crate::store::config::Sync;
use crate::store::error::{EngineError, OpenError};

/// Marks a file of SQLite as ours: `ttnf` in ASCII.
const APPLICATION_ID: u32 = 0x7474_6e66;
/// What every file of SQLite begins with (SQLite's file format, 1.3).
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Where the application's id lies in the file, 4 bytes with the highest first (SQLite's file format, 1.3).
const ID_AT: usize = 68;
/// Every page that changes is written whole; with small ones, little more is written than what changed.
const PAGE_SIZE: u32 = 1024;
/// The write-ahead log goes over into the file when it has grown to this.
const LOG_BYTES: u32 = 4 << 20;
/// Free pages that are left in the file for the next outage: 64 MiB.
const MOST_FREE_PAGES: u32 = 64 << 10;
/// What SQLite may keep of the file in memory.
const CACHE_KIB: i32 = 1024;
/// A predecessor that is just being stopped is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// A file up to this size is read through for damage. A larger one would keep the start waiting: damage in it shows
/// when the damaged part is read.
const READ_THROUGH: u64 = 16 << 20;

pub fn open(file: &Path, sync: Sync) -> Result<Connection, OpenError> {
    make_folder(file)?;
    let is_new = check_by_looking(file)?;
    if is_new {
        create(file).map_err(|source| OpenError::File { file: file.to_owned(), source })?;
    }
    let refused = |error| refused(file, error);
    let mut connection = connect(file).map_err(refused)?;
    if is_new {
        prepare(&connection).map_err(refused)?;
    }
    check_version(file, &connection)?;
    check_whole(file, &connection, READ_THROUGH)?;
    configure(&connection, sync).map_err(refused)?;
    migrations::migrate(&mut connection, migrations::ALL).map_err(refused)?;
    if let Err(error) = give_back(&connection) {
        tracing::warn!(file = %file.display(), %error, "The store keeps room it no longer needs.");
    }
    Ok(connection)
}

/// Opens a file that is somebody's gift: it must be ours and of a version we know. Nothing is made, and nothing changed.
pub fn open_given(file: &Path) -> Result<Connection, OpenError> {
    if check_by_looking(file)? {
        return Err(OpenError::Foreign { file: file.to_owned(), what: "nothing is in it" });
    }
    let connection = connect(file).map_err(|error| refused(file, error))?;
    check_version(file, &connection)?;
    Ok(connection)
}

/// Shrinks a file that an outage made large and that is nearly empty again. What is copied is small then.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let count = |what| connection.query_row(&format!("PRAGMA {what}"), [], |row| row.get::<_, u32>(0));
    let (free, all) = (count("freelist_count")?, count("page_count")?);
    if free > MOST_FREE_PAGES && free > all / 4 * 3 {
        connection.execute_batch("VACUUM")?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    }
    Ok(())
}

/// Whether `file` is there and could be opened, or could be made, as far as can be told while another process may have it
/// open. Leaves nothing behind.
pub fn look(file: &Path) -> Result<bool, OpenError> {
    let failed = |source| OpenError::File { file: file.to_owned(), source };
    let is_new = check_by_looking(file)?;
    if is_new {
        let folder = file.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new(""));
        let probe = folder.join(".ttn-ferry-check");
        File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(failed)?;
    } else {
        OpenOptions::new().write(true).open(file).map_err(failed)?;
    }
    Ok(!is_new)
}

/// Makes the folder of a file, for this user alone.
pub fn make_folder(file: &Path) -> Result<(), OpenError> {
    let folder = file.parent().unwrap_or(Path::new(""));
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| OpenError::Folder { folder: folder.to_owned(), source })
}

/// Whether the file is new; an error if it is not ours.
///
/// Closing the file here would free the lock of another store of this very process on it; there is never one.
fn check_by_looking(file: &Path) -> Result<bool, OpenError> {
    let failed = |source| OpenError::File { file: file.to_owned(), source };
    let head = match File::open(file) {
        Ok(found) => head(&found).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    let foreign = |what| Err(OpenError::Foreign { file: file.to_owned(), what });
    let wal = log_beside(file);
    match head.get(ID_AT..ID_AT + 4) {
        None if head.is_empty() && size(&wal) > 0 => Err(OpenError::Orphaned { file: file.to_owned(), wal }),
        None if head.is_empty() => Ok(true),
        _ if !head.starts_with(MAGIC) => foreign("no database of SQLite"),
        Some(id) if id == APPLICATION_ID.to_be_bytes() => Ok(false),
        Some(_) => foreign("a database of another application"),
        None => foreign("a database that ends in its first line"),
    }
}

fn head(file: &File) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(100).read_to_end(&mut head)?;
    Ok(head)
}

/// Readable by this user alone: it holds what sensors at home say. SQLite gives its log the same mode.
fn create(file: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file).map(drop)
}

pub fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(PATIENCE)?;
    // Before the first look at the file: so there is no shared memory beside it, and no second process on it.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(connection)
}

/// Marks the new file as ours before anything else is in it, so that whatever happens next, it will be known again.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)
}

fn check_version(file: &Path, connection: &Connection) -> Result<(), OpenError> {
    let found = migrations::version(connection).map_err(|error| refused(file, error))?;
    let known = migrations::ALL.len() as u32;
    if found > known { Err(OpenError::Newer { file: file.to_owned(), found, known }) } else { Ok(()) }
}

/// Looks for damage in a file of up to `most` bytes.
pub fn check_whole(file: &Path, connection: &Connection, most: u64) -> Result<(), OpenError> {
    if size(file) + size(&log_beside(file)) > most {
        return Ok(());
    }
    let told: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| refused(file, error))?;
    if told == "ok" { Ok(()) } else { Err(OpenError::unusable(file, EngineError::Torn(told.into()))) }
}

fn configure(connection: &Connection, sync: Sync) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", if sync == Sync::Full { "FULL" } else { "NORMAL" })?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let page_size: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_BYTES / page_size)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)
}

fn refused(file: &Path, error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked { file: file.to_owned() },
        _ => OpenError::unusable(file, error),
    }
}

pub fn log_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}
