//! The store as one file, made while the bridge runs; and one that is to take its place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio::sync::{Mutex, MutexGuard, Notify};

use super::problem::{Kind, Problem};
use crate::store::{self, Beside, OpenError, Store, StoreError};

/// The longest backup that is taken, in bytes.
pub const LONGEST_BACKUP: u64 = 16 << 30;
/// What is gathered before it is written.
const GATHERED: usize = 1 << 20;

/// Makes and takes backups of one store, one at a time.
pub struct Backups {
    store: Store,
    beside: Beside,
    /// What was said of devices while the bridge ran: it is part of a backup.
    overlay: Option<PathBuf>,
    fits: Arc<Fits>,
    again: Arc<Notify>,
    turn: Mutex<()>,
}

/// Says whether a bridge can begin again with what a backup says of devices; else why not, and what to do.
pub type Fits = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// How the last restoring went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Restoring {
    /// A backup was taken; the bridge begins again with it.
    Waiting,
    /// It could not be put in the place of the store; the log says why.
    Failed,
    /// There is nothing to do.
    Done,
}

/// A backup that was taken.
#[derive(Debug, Clone, Serialize)]
pub struct Taken {
    pub restore: Restoring,
    pub bytes: u64,
    /// How many devices it knows.
    pub devices: usize,
}

impl Backups {
    /// `folder`: of the store. `again` has the bridge end and begin again.
    pub fn new(store: Store, folder: &Path, (overlay, fits): (Option<PathBuf>, Box<Fits>), again: Arc<Notify>) -> Self {
        let beside = Beside::of(&folder.join(store::FILE));
        Self { store, beside, overlay, fits: fits.into(), again, turn: Mutex::default() }
    }

    /// A backup of this moment, open to be read; nothing of it stays on the disk.
    ///
    /// # Errors
    /// Another one is being made or taken, or the disk fails.
    pub async fn make(&self) -> Result<File, Problem> {
        let _turn = self.turn()?;
        let draft = Draft::new(&self.beside.backup).map_err(disk)?;
        self.store.copy_to(draft.file.try_clone().map_err(disk)?).await.map_err(copying)?;
        let overlay = self.overlay.clone();
        blocking(move || {
            let overlay = overlay.map_or(Ok(String::new()), |path| read_if_there(&path)).map_err(disk)?;
            store::seal_backup(&draft.path, &overlay).map_err(|error| unusable(&error))?;
            File::open(&draft.path).map_err(disk)
        })
        .await
    }

    /// Takes a backup, and has the bridge begin again with it once it was found good.
    ///
    /// # Errors
    /// It is no backup, too long, of a newer version, or does not fit this configuration; or another one is being made or
    /// taken, or the disk fails.
    pub async fn take<E: std::fmt::Display>(
        &self,
        parts: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Taken, Problem> {
        let _turn = self.turn()?;
        let draft = Draft::new(&self.beside.incoming).map_err(disk)?;
        let (draft, bytes) = receive(draft, parts).await?;
        let beside = self.beside.clone();
        let fits = self.overlay.is_some().then(|| self.fits.clone());
        let devices = blocking(move || {
            let devices = store::check_backup(&draft.path).map_err(|error| unusable(&error))?;
            let overlay = store::overlay_of_backup(&draft.path).map_err(|error| unusable(&error))?;
            fits.zip(overlay).map_or(Ok(()), |(fits, overlay)| fits(&overlay)).map_err(unfit)?;
            beside.receive().map_err(disk)?;
            Ok(devices)
        })
        .await?;
        tracing::info!(bytes, devices, "A backup was taken; beginning again with it.");
        self.again.notify_one();
        Ok(Taken { restore: Restoring::Waiting, bytes, devices })
    }

    /// How the last restoring went.
    pub fn restoring(&self) -> Restoring {
        match (self.beside.waiting.exists(), self.beside.refused.exists()) {
            (true, _) => Restoring::Waiting,
            (false, true) => Restoring::Failed,
            (false, false) => Restoring::Done,
        }
    }

    fn turn(&self) -> Result<MutexGuard<'_, ()>, Problem> {
        let busy =
            |_| Problem::new(Kind::Conflict, "another backup is being made or restored").hint("wait for its end");
        self.turn.try_lock().map_err(busy)
    }
}

/// A file that goes with its owner, unless it got another name. Readable by this user alone.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    fn new(path: &Path) -> io::Result<Self> {
        // Left by a bridge that was killed.
        fs::remove_file(path).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self { path: path.to_owned(), file })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

async fn receive<E: std::fmt::Display>(
    mut draft: Draft,
    mut parts: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<(Draft, u64), Problem> {
    let (mut gathered, mut length, mut over) = (Vec::new(), 0, false);
    while !over {
        match parts.next().await {
            Some(part) => gathered.extend_from_slice(&part.map_err(Problem::malformed)?),
            None => over = true,
        }
        if over || gathered.len() >= GATHERED {
            length += gathered.len() as u64;
            if length > LONGEST_BACKUP {
                return Err(Problem::new(Kind::TooLong, format!("longer than {LONGEST_BACKUP} bytes: no backup is")));
            }
            let write = std::mem::take(&mut gathered);
            draft = blocking(move || draft.file.write_all(&write).map(|()| draft).map_err(disk)).await?;
        }
    }
    Ok((draft, length))
}

/// Off the thread that everything else runs on.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("work on files does not panic")
}

fn read_if_there(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}

fn disk(error: io::Error) -> Problem {
    let detail = format!("the disk of the store does not take it: {error}");
    Problem::new(Kind::Unavailable, detail).hint("there must be room for another store beside the one in use")
}

fn copying(error: StoreError) -> Problem {
    Problem::new(Kind::Unavailable, error.to_string())
        .hint("there must be room for another store beside the one in use")
}

/// A hint stands in a line of its own.
fn unfit(told: String) -> Problem {
    let (detail, hint) = told.split_once("\n  hint: ").unwrap_or((&told, "the configuration here must go with it"));
    Problem::new(Kind::Refused, format!("this cannot be restored: {detail}")).hint(hint)
}

/// Its path is ours and says nothing to whoever sent it.
fn unusable(error: &OpenError) -> Problem {
    let text = error.to_string();
    let detail = text.split_once(": ").map_or(text.as_str(), |(_, what)| what).to_owned();
    let hint = match error {
        OpenError::Foreign { .. } => "`ttn-ferry backup` makes what can be restored",
        OpenError::Newer { .. } => "update ttn-ferry here first: it has to be at least as new as the one that made it",
        OpenError::Unusable { .. } => "the file is damaged; take another backup",
        other => other.hint(),
    };
    Problem::new(Kind::Refused, format!("this cannot be restored: {detail}")).hint(hint)
}
