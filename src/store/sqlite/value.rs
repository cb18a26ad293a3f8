//! Our types as SQLite's, and back. What does not read back is damage, and an error.

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;

use crate::model::{ApplicationName, DeviceId, DeviceKey, DownlinkId};

/// Nanoseconds since 1970: enough until the year 2262; what lies beyond counts as the end.
pub fn nanoseconds(at: Timestamp) -> i64 {
    let exact = at.as_nanosecond();
    i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })
}

pub fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_nanosecond(row.get::<_, i64>(column)?.into()).map_err(|error| unreadable(column, error))
}

pub fn application(row: &Row<'_>, column: usize) -> rusqlite::Result<ApplicationName> {
    ApplicationName::parse(text(row, column)?).map_err(|error| unreadable(column, error))
}

pub fn device(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceId> {
    DeviceId::parse(text(row, column)?).map_err(|error| unreadable(column, error))
}

/// A key out of two columns.
pub fn key(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceKey> {
    Ok(DeviceKey { application: application(row, column)?, device: device(row, column + 1)? })
}

pub fn downlink_id(row: &Row<'_>, column: usize) -> rusqlite::Result<DownlinkId> {
    DownlinkId::parse(text(row, column)?).map_err(|error| unreadable(column, error))
}

/// Our ids and sizes are far below what SQLite's signed integers hold.
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    Ok(row.get_ref(column)?.as_str()?)
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
