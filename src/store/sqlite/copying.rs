//! A copy of the file while the store goes on.
//!
//! What is committed goes into the write-ahead log, and from there into the file at a checkpoint. Between two of them the
//! file stands still: so one is made, the next is put off, and the file is copied piece by piece, with commits between
//! the pieces. What they bring is not in the copy, which is the store as it was at the beginning.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Result;

/// What is copied in one go: a commit waits no longer than this takes.
const PIECE: u64 = 256 << 10;
/// Nobody goes on with a copy that has stood for so long: whoever wanted it is gone.
const ABANDONED: Duration = Duration::from_secs(60);

/// The copy under way, if there is one.
#[derive(Debug, Default)]
pub struct Copying {
    /// Opened once and closed after the connection: when a process closes any handle on a file, the locks it has on it are
    /// gone (fcntl(2), POSIX locks), and SQLite's are such.
    source: Option<File>,
    under_way: Option<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    target: File,
    at: u64,
    end: u64,
    last: Instant,
    /// After how many pages of the log there is a checkpoint, otherwise.
    checkpoint_after: u32,
}

impl Copying {
    /// Begins a copy into `target`. One that was under way is given up.
    pub fn begin(&mut self, connection: &Connection, target: File) -> Result<()> {
        self.end(connection)?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let checkpoint_after = connection.query_row("PRAGMA wal_autocheckpoint", [], |row| row.get(0))?;
        let source = match self.source.take() {
            Some(source) => source,
            None => File::open(connection.path().unwrap_or_default())?,
        };
        let end = source.metadata()?.len();
        self.source = Some(source);
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        self.under_way = Some(UnderWay { target, at: 0, end, last: Instant::now(), checkpoint_after });
        Ok(())
    }

    /// Copies the next piece. Returns whether there is more.
    pub fn go_on(&mut self, connection: &Connection) -> Result<bool> {
        let (Some(source), Some(copy)) = (&self.source, &mut self.under_way) else {
            return Err(super::EngineError::Other("the copy was given up".into()));
        };
        let copied = copy.piece(source);
        let more = copy.at < copy.end;
        if copied.is_err() || !more {
            self.end(connection)?;
        }
        copied.map(|()| more)
    }

    /// Lets the log go over into the file again if nobody goes on.
    pub fn end_if_abandoned(&mut self, connection: &Connection) -> Result<()> {
        match &self.under_way {
            Some(copy) if copy.last.elapsed() > ABANDONED => self.end(connection),
            _ => Ok(()),
        }
    }

    fn end(&mut self, connection: &Connection) -> Result<()> {
        match self.under_way.take() {
            Some(copy) => Ok(connection.pragma_update(None, "wal_autocheckpoint", copy.checkpoint_after)?),
            None => Ok(()),
        }
    }
}

impl UnderWay {
    fn piece(&mut self, source: &File) -> Result<()> {
        let length = PIECE.min(self.end - self.at);
        let mut piece = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        source.read_exact_at(&mut piece, self.at)?;
        self.target.write_all(&piece)?;
        self.at += length;
        self.last = Instant::now();
        Ok(())
    }
}
