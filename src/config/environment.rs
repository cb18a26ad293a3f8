//! What the configuration reads from the outside: files, variables. A trait, so that tests bring their own.

use std::io;
use std::path::Path;

/// Files and environment variables. Read again on a reload, perhaps on another thread.
pub trait Environment: Send + Sync {
    /// The value of an environment variable; none if it is not set or no text.
    fn var(&self, name: &str) -> Option<String>;

    /// The text of a file.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Whether there is a file or folder.
    fn exists(&self, path: &Path) -> bool;

    /// Whether every user of this machine may read the file.
    fn readable_by_others(&self, path: &Path) -> bool;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct Process;

impl Environment for Process {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    #[cfg(unix)]
    fn readable_by_others(&self, path: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
    }

    /// Where there are no mode bits there is nothing to say.
    #[cfg(not(unix))]
    fn readable_by_others(&self, _path: &Path) -> bool {
        false
    }
}
