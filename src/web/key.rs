//! The key that sessions are signed with: a file beside the store, made when it is first needed.

use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};

const FILE: &str = "web.key";
const BYTES: usize = 32;

/// Known to nobody but this bridge, over its restarts.
pub struct SigningKey(pub(super) [u8; BYTES]);

/// What sessions need beside the store can be neither read nor made.
#[derive(Debug, thiserror::Error)]
#[error("what sessions need cannot be kept in {}: {source}\n  hint: the bridge's user must be able to read and write it", path.display())]
pub struct KeyError {
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

impl SigningKey {
    /// The one in this folder. If there is none, or one that others could read or that is damaged, a new one takes its
    /// place: whoever is logged in must do so again.
    ///
    /// # Errors
    /// The file can be neither read nor made.
    pub fn in_folder(folder: &Path) -> Result<Self, KeyError> {
        let path = folder.join(FILE);
        let key = match read(&path) {
            Ok(Some(key)) => Ok(key),
            Ok(None) => made(folder, &path),
            Err(error) => Err(error),
        };
        key.map(Self).map_err(|source| KeyError { path, source })
    }
}

fn read(path: &Path) -> io::Result<Option<[u8; BYTES]>> {
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if file.metadata()?.mode() & 0o077 != 0 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes.try_into().ok())
}

/// In one step: a bridge that is killed meanwhile leaves no half of a key.
fn made(folder: &Path, path: &Path) -> io::Result<[u8; BYTES]> {
    let mut key = [0; BYTES];
    SystemRandom::new().fill(&mut key).map_err(|_| io::Error::other("the system has no random numbers"))?;
    let mut file = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o600)).tempfile_in(folder)?;
    file.write_all(&key)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_stays_the_same_and_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let SigningKey(first) = SigningKey::in_folder(folder.path()).unwrap();
        let SigningKey(again) = SigningKey::in_folder(folder.path()).unwrap();
        assert!(first == again && first != [0; BYTES]);
        let file = folder.path().join(FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_that_others_could_read_or_that_is_damaged_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        let key = || SigningKey::in_folder(folder.path()).unwrap().0;
        let first = key();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        let second = key();
        assert!(first != second && second == key());
        for damaged in [&second[..31], &[second.as_slice(), &[0]].concat()] {
            fs::write(&file, damaged).unwrap();
            assert!(key() != second);
        }
    }

    #[test]
    fn where_it_cannot_be_is_told() {
        let error = SigningKey::in_folder(Path::new("/nowhere/at/all")).err().unwrap().to_string();
        assert!(error.contains("/nowhere/at/all/web.key") && error.contains("hint: "), "{error}");
    }
}
