//! Sessions that somebody logged out of: known at least until they would have ended by themselves, over restarts too.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::key::KeyError;

const FILE: &str = "web.ended";
/// Sessions that are remembered. Of more, those go first that end first: not by the clock, which may be wrong for a while.
const MOST: usize = 1000;

/// The ended sessions, and the file that holds them beside the store.
pub struct EndedSessions {
    path: PathBuf,
    all: Mutex<BTreeSet<Name>>,
    /// Held while the file is written: a later list is never overwritten by an earlier one.
    writing: Mutex<()>,
}

/// What is told apart of a session: the second of its end, and the number it was given. Neither opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub ends: i64,
    pub number: u64,
}

impl EndedSessions {
    /// Those that the file in this folder holds. Lines that are damaged are passed over.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn in_folder(folder: &Path) -> Result<Self, KeyError> {
        let path = folder.join(FILE);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(KeyError { path, source }),
            Ok(bytes) => bytes,
        };
        let all = Mutex::new(String::from_utf8_lossy(&bytes).lines().filter_map(Name::parse).collect());
        Ok(Self { path, all, writing: Mutex::default() })
    }

    pub fn contains(&self, name: Name) -> bool {
        lock(&self.all).contains(&name)
    }

    /// Ends it at once, and then writes that down, which may take the disk a while.
    ///
    /// # Errors
    /// The file cannot be written: after a restart the session is good again.
    pub fn add(&self, name: Name) -> io::Result<()> {
        lock(&self.all).insert(name);
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let text = {
            let mut all = lock(&self.all);
            while all.len() > MOST {
                all.pop_first();
            }
            all.iter().map(|Name { ends, number }| format!("{ends} {number:016x}\n")).collect::<String>()
        };
        let folder = self.path.parent().expect("it was made of a folder and a name");
        let mut file = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o600)).tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        File::open(folder)?.sync_all()
    }
}

impl Name {
    fn parse(line: &str) -> Option<Self> {
        let (ends, number) = line.split_once(' ')?;
        Some(Self { ends: ends.parse().ok()?, number: u64::from_str_radix(number, 16).ok()? })
    }
}

fn lock(all: &Mutex<BTreeSet<Name>>) -> MutexGuard<'_, BTreeSet<Name>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_ended_is_so_after_a_restart_and_what_is_kept_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let ended = || EndedSessions::in_folder(folder.path()).unwrap();
        let (first, second) = (Name { ends: 100, number: u64::MAX }, Name { ends: 100, number: 7 });
        ended().add(first).unwrap();
        assert!(ended().contains(first) && !ended().contains(second));
        ended().add(second).unwrap();
        assert!(ended().contains(first) && ended().contains(second));
        let many = ended();
        lock(&many.all).extend((0..2 * MOST as i64).map(|ends| Name { ends: 1000 + ends, number: 0 }));
        many.add(Name { ends: 9000, number: 2 }).unwrap();
        let kept = lock(&ended().all).clone();
        assert_eq!((kept.len(), kept.last().unwrap().ends), (MOST, 9000));
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_line_costs_no_other_and_no_start() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), b"100 0000000000000007\n\0\0\xff\xfe\n200 9\nx y\n300").unwrap();
        let ended = EndedSessions::in_folder(folder.path()).unwrap();
        assert!([(100, 7), (200, 9)].into_iter().all(|(ends, number)| ended.contains(Name { ends, number })));
        assert_eq!(lock(&ended.all).len(), 2);
    }

    #[test]
    fn it_is_ended_now_even_where_nothing_can_be_kept() {
        let ended = EndedSessions::in_folder(Path::new("/nowhere/at/all")).unwrap();
        let name = Name { ends: 100, number: 1 };
        assert!(ended.add(name).is_err() && ended.contains(name));
    }
}
