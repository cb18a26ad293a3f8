//! What many uplinks have in common, each text once. It goes when the uplinks of its last day have gone.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

/// Texts remembered with their numbers, so that a commit reads none of them again.
const MOST_REMEMBERED: usize = 10_000;

/// The texts that were used last.
#[derive(Debug, Default)]
pub struct Texts {
    /// The number and the newest day that it is used on.
    known: HashMap<String, (i64, i64)>,
}

impl Texts {
    /// The number of a text that an uplink of this day refers to.
    pub fn number(&mut self, connection: &Connection, text: &str, day: i64) -> rusqlite::Result<i64> {
        let known = self.known.get(text).copied();
        let known = match known {
            Some(known) => Some(known),
            None => connection
                .prepare_cached("SELECT n, day FROM uplink_texts WHERE body = ?")?
                .query_row([text], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?,
        };
        let number = match known {
            Some((number, newest)) if newest >= day => number,
            Some((number, _)) => {
                connection.prepare_cached("UPDATE uplink_texts SET day = ? WHERE n = ?")?.execute([day, number])?;
                number
            }
            None => {
                connection
                    .prepare_cached("INSERT INTO uplink_texts (day, body) VALUES (?, ?)")?
                    .execute(params![day, text])?;
                connection.last_insert_rowid()
            }
        };
        self.remember(text, number, known.map_or(day, |(_, newest)| newest.max(day)));
        Ok(number)
    }

    /// Nothing is remembered: what was noted last may not be on the disk.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Deletes what no uplink from this day on refers to.
    pub fn prune(&mut self, connection: &Connection, day: i64) -> rusqlite::Result<()> {
        if connection.execute("DELETE FROM uplink_texts WHERE day < ?", [day])? > 0 {
            self.forget();
        }
        Ok(())
    }

    fn remember(&mut self, text: &str, number: i64, day: i64) {
        if let Some(known) = self.known.get_mut(text) {
            *known = (number, day);
            return;
        }
        if self.known.len() >= MOST_REMEMBERED {
            self.forget();
        }
        self.known.insert(text.to_owned(), (number, day));
    }
}

/// The text of this number; none if it went.
pub fn body(connection: &Connection, number: i64) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT body FROM uplink_texts WHERE n = ?")?
        .query_row([number], |row| row.get(0))
        .optional()
}
