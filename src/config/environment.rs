//! What the configuration reads from the outside: files, variables. A trait, so that tests bring their own.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The longest file read, in bytes: a hundred thousand devices in a configuration, or every authority of the world.
const LONGEST_FILE: u64 = 16 << 20;

/// Files and environment variables. Read again on a reload, perhaps on another thread.
pub trait Environment: Send + Sync {
    /// The value of an environment variable; none if it is not set or no text.
    fn var(&self, name: &str) -> Option<String>;

    /// The text of a file. Which one may be said by a request, to have a configuration checked: so it is none that never
    /// ends, or that has the bridge wait.
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
        let kind = fs::metadata(path)?.file_type();
        // Of a folder, opening tells best what is wrong.
        if !kind.is_file() && !kind.is_dir() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a device, a pipe or a socket, and no file"));
        }
        let mut text = String::new();
        let length = File::open(path)?.take(LONGEST_FILE + 1).read_to_string(&mut text)? as u64;
        if length > LONGEST_FILE { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_or_is_too_long_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "text").unwrap();
        assert_eq!(Process.read(&path).unwrap(), "text");
        File::create(&path).unwrap().set_len(LONGEST_FILE + 1).unwrap();
        assert_eq!(Process.read(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(Process.read(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for endless in [Path::new("/dev/zero"), &pipe] {
            assert_eq!(Process.read(endless).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{}", endless.display());
        }
    }
}
