//! Why the store cannot be opened, read or written, and what to do about it.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Why a store cannot be opened. Nothing on the disk was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{}: the folder cannot be made: {source}", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error("{}: cannot be opened: {source}", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("{}: this is no store of ttn-ferry: {what}", file.display())]
    Foreign { file: PathBuf, what: &'static str },
    #[error("{}: its last changes lie in {}, and the file itself is missing or empty", file.display(), wal.display())]
    Orphaned { file: PathBuf, wal: PathBuf },
    #[error("{}: made by a newer ttn-ferry (format {found}, this one knows up to {known})", file.display())]
    Newer { file: PathBuf, found: u32, known: u32 },
    #[error("{}: another ttn-ferry works on it", file.display())]
    Locked { file: PathBuf },
    #[error("{}: {source}", file.display())]
    Unusable { file: PathBuf, source: EngineError },
    #[error("no thread could be started for the store: {0}")]
    Thread(#[source] io::Error),
}

impl OpenError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Folder { .. } | Self::File { .. } => {
                "this user must be able to write there: look at owner and mode, or set [store] path to another folder"
            }
            Self::Foreign { .. } => "set [store] path to a folder of its own, or move this file away",
            Self::Orphaned { .. } => "put the file back beside it, or move both away to begin with an empty store",
            Self::Newer { .. } => "run the version that made it, or set [store] path to another folder",
            Self::Locked { .. } => "stop the other one, or give each a [store] path of its own",
            Self::Unusable { source, .. } => source.hint(),
            Self::Thread(_) => "the system lets this user start no more threads: look at its limits",
        }
    }

    /// Whether it stays so until somebody does something about the file: a disk may have room again, or be there at last.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Foreign { .. } | Self::Orphaned { .. } | Self::Newer { .. } => true,
            Self::Unusable { source, .. } => matches!(source, EngineError::Torn(_)),
            Self::Folder { .. } | Self::File { .. } | Self::Locked { .. } | Self::Thread(_) => false,
        }
    }

    pub(super) fn unusable(file: &Path, source: impl Into<EngineError>) -> Self {
        Self::Unusable { file: file.to_owned(), source: source.into() }
    }
}

/// Why a call to the store did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing can be written at the moment: what was to be saved is not. Trying again later may help.
    #[error("the store cannot write: {0}")]
    Failing(String),
    #[error("the store cannot read: {0}")]
    Unreadable(String),
    /// The store's task or thread is gone; the bridge is stopping.
    #[error("the store has ended")]
    Ended,
}

/// What went wrong inside an engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the disk is full: {0}")]
    Full(#[source] Cause),
    #[error("the disk does not take or give the data: {0}")]
    Disk(#[source] Cause),
    #[error("the file is damaged: {0}")]
    Torn(#[source] Cause),
    #[error("{0}")]
    Other(#[source] Cause),
}

/// The engine's own error.
pub type Cause = Box<dyn Error + Send + std::marker::Sync>;

impl From<io::Error> for EngineError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(error.into()),
            _ => Self::Disk(error.into()),
        }
    }
}

impl EngineError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Full(_) => "make room on this disk, or set [store] path to a folder on another one",
            Self::Disk(_) => "look at the disk, its cable and its mount: the system's log says more",
            Self::Torn(_) => "stop the bridge and move the file away, or put a backup in its place",
            Self::Other(_) => "please report this",
        }
    }
}
