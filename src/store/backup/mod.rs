//! How a backup takes the place of a store: files that wait beside it, and one rename that counts.
//!
//! ```text
//! ttn-ferry.db.incoming ──checked──▶ .restore ──at the next start──▶ ttn-ferry.db ──what was there──▶ .before-restore
//! ```
//!
//! From the moment that a checked backup has the name `.restore`, every start goes on with it until it is in its place or
//! turns out to be of no use; a kill in between changes nothing about that. Each step can be done twice.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::sqlite::{self, Resumed};

/// What lies beside the store's file while backups are made and restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// A backup that is being made.
    pub backup: PathBuf,
    /// One that is being received.
    pub incoming: PathBuf,
    /// One that was checked, and waits for the next start.
    pub waiting: PathBuf,
    /// One that could not be put in its place.
    pub refused: PathBuf,
    /// The store that was there before.
    pub before: PathBuf,
}

impl Beside {
    /// Of the store in this file.
    pub fn of(file: &Path) -> Self {
        let named = |ending: &str| {
            let mut name = file.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        Self {
            backup: named(".backup"),
            incoming: named(".incoming"),
            waiting: named(".restore"),
            refused: named(".not-restored"),
            before: named(".before-restore"),
        }
    }

    /// Copies a backup here, and checks it; it waits from now on. Returns how many devices it knows.
    ///
    /// # Errors
    /// It is none, or the disk fails; nothing is left of it.
    pub fn take(&self, from: &mut impl io::Read) -> Result<usize, OpenError> {
        let taken = self.copy(from).and_then(|()| sqlite::check(&self.incoming)).and_then(|devices| {
            self.receive().map_err(|source| OpenError::File { file: self.waiting.clone(), source })?;
            Ok(devices)
        });
        taken.inspect_err(|_| drop(fs::remove_file(&self.incoming)))
    }

    fn copy(&self, from: &mut impl io::Read) -> Result<(), OpenError> {
        let failed = |source| OpenError::File { file: self.incoming.clone(), source };
        sqlite::make_folder(&self.incoming)?;
        remove(&self.incoming).map_err(failed)?;
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.incoming);
        io::copy(from, &mut made.map_err(failed)?).map_err(failed)?;
        Ok(())
    }

    /// What was received and checked waits from now on.
    ///
    /// # Errors
    /// The disk refuses it.
    pub fn receive(&self) -> io::Result<()> {
        File::open(&self.incoming)?.sync_all()?;
        remove(&self.refused)?;
        fs::rename(&self.incoming, &self.waiting)?;
        sync_folder(&self.waiting)
    }

    /// What waits is of no use, and is kept to be looked at.
    ///
    /// # Errors
    /// The disk refuses it.
    pub fn refuse(&self) -> io::Result<()> {
        fs::rename(&self.waiting, &self.refused)?;
        sync_folder(&self.refused)
    }
}

/// Puts the backup that waits into the place of the store in `file`, which nobody has open, and keeps what was there. First
/// `overlay` is given the text of `devices.toml` that the backup carries. What the store knows better than the backup is
/// taken over: messages on their way, commands, what devices used, what the home broker keeps; `resumed` decides about
/// what it cannot look into. Returns whether there was one.
///
/// # Errors
/// Somebody has the store open, the disk fails, or `overlay` refuses; then the store is as it was, and the backup waits.
pub fn put_in_place<E: From<OpenError>>(
    file: &Path,
    overlay: impl FnOnce(&str) -> Result<(), E>,
    resumed: Resumed<'_>,
) -> Result<bool, E> {
    let beside = Beside::of(file);
    if !beside.waiting.exists() {
        return Ok(false);
    }
    let here = file.exists() && sqlite::settle(file)?;
    let backup = sqlite::Backup::open(&beside.waiting)?;
    if let Some(text) = backup.overlay()? {
        overlay(&text)?;
    }
    backup.become_store(here.then_some(file), resumed)?;
    replace(file, &beside).map_err(|source| OpenError::File { file: file.to_owned(), source })?;
    Ok(true)
}

/// There is always one whole file under the store's name.
fn replace(file: &Path, beside: &Beside) -> io::Result<()> {
    remove(&beside.before)?;
    remove(&sqlite::log_beside(&beside.before))?;
    if file.exists() {
        fs::hard_link(file, &beside.before)?;
    }
    // Left by a store that could not be opened. The new file must not be taken for the one that it belongs to.
    let log = sqlite::log_beside(file);
    if log.exists() {
        fs::rename(log, sqlite::log_beside(&beside.before))?;
    }
    fs::rename(&beside.waiting, file)?;
    sync_folder(file)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What a folder lists is on the disk.
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
