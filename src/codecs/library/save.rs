//! Keeps a codec in the user's folder: in its own file, as a whole, and nowhere else.
//!
//! Names come from whoever may ask. No level of a name may lead elsewhere, and no link is followed: a link in the folder
//! is its owner's, who may have had his reasons.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Form, Library, is_plain};

/// The longest text kept, in bytes; the largest public script is 235 KB.
pub const LONGEST_TEXT: usize = 256 << 10;
/// Levels of a name: `<brand>/<model>`.
const MOST_LEVELS: usize = 2;
/// Characters of one level.
const LONGEST_LEVEL: usize = 64;
/// Of a file that was not there before: everybody may read it, as others in that folder.
const MODE: u32 = 0o644;

/// Why a codec is not kept.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("there is no codec folder")]
    NoFolder,
    #[error("`{0}` is no name for a file: one or two levels of letters, digits, `-`, `_` and `.`")]
    Name(String),
    #[error("the text is longer than {} KiB", LONGEST_TEXT / 1024)]
    TooLong,
    #[error("{0} leads elsewhere: links are left alone")]
    Link(String),
    #[error("{0} is there already, in the other form")]
    OtherForm(String),
    #[error("the bridge is stopping")]
    Stopping,
    #[error("it cannot be written: {0}")]
    Disk(#[from] io::Error),
}

impl Library {
    /// The file that a codec of this name would be saved in; without a form, in either.
    ///
    /// # Errors
    /// It may not be saved.
    pub fn place_for(&self, name: &str, form: Option<Form>) -> Result<PathBuf, SaveError> {
        let folder = self.folder.as_ref().ok_or(SaveError::NoFolder)?;
        if !is_fit(name) {
            return Err(SaveError::Name(name.chars().take(80).collect()));
        }
        let place = match self.file_of(name) {
            Some(there) => match Form::of(&there) {
                there_form if form.is_some() && form != there_form => {
                    return Err(SaveError::OtherForm(within(folder, &there)));
                }
                _ => there,
            },
            None => folder.join(format!("{name}.{}", form.unwrap_or(Form::Script).ending())),
        };
        no_links(folder, &place)?;
        Ok(place)
    }

    /// Writes a codec so that there is always a whole one: the old, or the new. Returns its file, within the folder.
    ///
    /// # Errors
    /// It may not stand there, or the disk refuses it.
    pub fn save(&self, name: &str, form: Form, text: &str) -> Result<String, SaveError> {
        if text.len() > LONGEST_TEXT {
            return Err(SaveError::TooLong);
        }
        let (Some(root), place) = (&self.folder, self.place_for(name, Some(form))?) else {
            return Err(SaveError::NoFolder);
        };
        let folder = place.parent().unwrap_or(root);
        fs::create_dir_all(folder)?;
        // Again, now that all of it is there.
        no_links(root, &place)?;
        let mode = fs::metadata(&place).map_or(MODE, |there| there.permissions().mode() & 0o777);
        let mut draft = tempfile::Builder::new().prefix(".saving-").tempfile_in(folder)?;
        draft.write_all(text.as_bytes())?;
        draft.as_file().set_permissions(Permissions::from_mode(mode))?;
        draft.as_file().sync_all()?;
        draft.persist(&place).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()?;
        Ok(within(root, &place))
    }
}

/// A name that is a file's on every system, and no file's own (`x.js` is asked for as `x`).
fn is_fit(name: &str) -> bool {
    let is_level = |level: &str| {
        level.len() <= LONGEST_LEVEL
            && level.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            && Form::of(Path::new(level)).is_none()
    };
    is_plain(name) && name.split('/').count() <= MOST_LEVELS && name.split('/').all(is_level)
}

/// Whether everything below the folder down to the file is what it seems, as far as it is there. The folder itself may be
/// reached by a link: the administrator said so.
fn no_links(folder: &Path, place: &Path) -> Result<(), SaveError> {
    let inner = place.strip_prefix(folder).unwrap_or(place);
    let mut path = folder.to_owned();
    for level in inner {
        path.push(level);
        let kind = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found?.file_type(),
        };
        let is_right = if path == place { kind.is_file() } else { kind.is_dir() };
        if !is_right {
            return Err(SaveError::Link(within(folder, &path)));
        }
    }
    Ok(())
}

fn within(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn library(folder: &Path) -> Library {
        Library { folder: Some(folder.to_owned()), repository: None }
    }

    #[test]
    fn a_codec_is_saved_as_a_whole_in_its_own_file_and_keeps_the_files_mode() {
        let disk = tempfile::tempdir().unwrap();
        let library = library(disk.path());
        assert_eq!(library.save("node", Form::Script, "one").unwrap(), "node.js");
        fs::set_permissions(disk.path().join("node.js"), Permissions::from_mode(0o600)).unwrap();
        assert_eq!(library.save("node", Form::Script, "two").unwrap(), "node.js");
        assert_eq!(fs::read_to_string(disk.path().join("node.js")).unwrap(), "two");
        assert_eq!(fs::metadata(disk.path().join("node.js")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(library.save("brand/model", Form::Table, "x = 1").unwrap(), "brand/model.toml");
        fs::create_dir(disk.path().join("own")).unwrap();
        fs::write(disk.path().join("own/codec.js"), "old").unwrap();
        assert_eq!(library.save("own", Form::Script, "new").unwrap(), "own/codec.js");
        let mut left: Vec<_> = fs::read_dir(disk.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["brand", "node.js", "own"], "nothing else is left");
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let disk = tempfile::tempdir().unwrap();
        let library = library(disk.path());
        let long = "x".repeat(65);
        for name in
            ["", "..", "../x", "/etc/x", "a/../b", "a//b", "a/b/c", ".x", "a/.x", "x.js", "a b", "a\0", "ä", &long]
        {
            assert!(matches!(library.save(name, Form::Script, ""), Err(SaveError::Name(_))), "{name:?}");
        }
        assert!(matches!(library.save("x", Form::Script, &"x".repeat(LONGEST_TEXT + 1)), Err(SaveError::TooLong)));
        assert!(matches!(Library::default().save("x", Form::Script, ""), Err(SaveError::NoFolder)));
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
    }

    #[test]
    fn links_are_neither_followed_nor_replaced() {
        let disk = tempfile::tempdir().unwrap();
        let (folder, outside) = (disk.path().join("codecs"), disk.path().join("outside"));
        fs::create_dir(&folder).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("victim.js"), "precious").unwrap();
        symlink(outside.join("victim.js"), folder.join("node.js")).unwrap();
        symlink(outside.join("nothing-yet.js"), folder.join("dangling.js")).unwrap();
        symlink(&outside, folder.join("brand")).unwrap();
        for name in ["node", "dangling", "brand/victim", "brand/fresh"] {
            assert!(matches!(library(&folder).save(name, Form::Script, "evil"), Err(SaveError::Link(_))), "{name}");
        }
        assert_eq!(fs::read_to_string(outside.join("victim.js")).unwrap(), "precious");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert!(folder.join("node.js").is_symlink());
    }

    #[test]
    fn what_would_be_hidden_by_another_file_is_refused() {
        let disk = tempfile::tempdir().unwrap();
        fs::write(disk.path().join("node.js"), "script").unwrap();
        let refused = library(disk.path()).save("node", Form::Table, "x = 1").unwrap_err();
        assert_eq!(refused.to_string(), "node.js is there already, in the other form");
    }
}
