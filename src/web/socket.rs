//! The file that the control API listens on: who may open it, and what may be in its place.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use tokio::net::{UnixListener, UnixStream};

/// The owner and the group may talk.
const SOCKET_MODE: u32 = 0o660;
/// The owner and the group may come in; only for a folder that is made here.
const FOLDER_MODE: u32 = 0o750;

/// A socket that is listened on. Its file goes with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

/// Removes the file when dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error(
        "another bridge listens on {}\n  hint: stop it, or give this one a socket of its own: [service] socket",
        .0.display()
    )]
    Taken(PathBuf),
    #[error("{} is no socket\n  hint: it is left alone; name another place: [service] socket", .0.display())]
    Foreign(PathBuf),
    #[error("{} cannot be listened on: {source}\n  hint: {}", path.display(), hint(source))]
    Unusable { path: PathBuf, source: io::Error },
}

impl Socket {
    /// Listens at `path`. What a bridge that was killed left there is replaced, what lives or is no socket is not. Needs
    /// a runtime to be entered.
    ///
    /// # Errors
    /// Somebody listens there already, or it cannot be done.
    pub fn open(path: &Path) -> Result<Self, SocketError> {
        let unusable = |source| SocketError::Unusable { path: path.to_owned(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(unusable)?;
        }
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(error)),
            Ok(found) if !found.file_type().is_socket() => return Err(SocketError::Foreign(path.to_owned())),
            Ok(_) if answers(path) => return Err(SocketError::Taken(path.to_owned())),
            Ok(_) => fs::remove_file(path).map_err(unusable)?,
        }
        let listener = UnixListener::bind(path).map_err(unusable)?;
        let file = SocketFile(path.to_owned());
        fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(unusable)?;
        Ok(Self { listener, file })
    }

    pub fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, "The control socket could not be removed.");
        }
    }
}

/// Whether somebody listens there. A connection to a local socket stands or is refused at the first look; what is
/// neither has a full queue, and so an owner.
fn answers(path: &Path) -> bool {
    !matches!(UnixStream::connect(path).now_or_never(), Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "this user may not write there; name another place: [service] socket",
        io::ErrorKind::InvalidInput => "a socket's path has 107 bytes at most; name a shorter one: [service] socket",
        _ => "name another place: [service] socket; an empty one means no control socket",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn owner_and_group_may_come_in_and_the_file_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ttn-ferry/control.sock");
        let socket = Socket::open(&path).unwrap();
        assert_eq!(mode(&path), 0o660);
        assert_eq!(mode(path.parent().unwrap()) & !0o750, 0);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_killed_bridge_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        // Without the guard the file stays, as after kill -9.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let _socket = Socket::open(&path).unwrap();
        UnixStream::connect(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_living_bridge_keeps_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let _first = Socket::open(&path).unwrap();
        let error = Socket::open(&path).unwrap_err().to_string();
        assert!(error.starts_with("another bridge listens on") && error.contains("\n  hint: stop it"), "{error}");
        UnixStream::connect(&path).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_socket_is_never_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        fs::write(&path, "dear diary").unwrap();
        assert!(matches!(Socket::open(&path), Err(SocketError::Foreign(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "dear diary");
    }

    #[tokio::test]
    async fn a_path_that_no_socket_can_have_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = Socket::open(&folder.path().join("x".repeat(120))).unwrap_err().to_string();
        assert!(error.contains("107 bytes"), "{error}");
    }
}
