//! Where a configuration came from: its files, and the place of each value.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{Environment, parse};

/// Where a configuration came from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// What relative paths are relative to, and what errors name.
    pub file: PathBuf,
    /// Whether it was there. A text without a file can be a configuration, too.
    pub is_on_disk: bool,
    /// What was said of devices while the bridge ran; it need not be there.
    pub overlay: Option<PathBuf>,
    pub(super) has_overlay: bool,
    /// What was in both.
    pub print: Print,
    /// Where each value was found that is not a default: `line 4`, `environment TTN_FERRY_API_KEY` …
    pub(super) places: BTreeMap<String, String>,
    /// What is in the files of certificates and keys, by the keys that name them.
    pub(super) files: BTreeMap<String, Print>,
    /// The text itself if it is no file's, so that it can be read again.
    text: Option<SecretString>,
}

/// What the files of a configuration held: enough to see that they hold something else now, and nothing to read out of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Print(u64);

/// What a file holds, if it can be read.
pub(super) type Held<'a> = Result<&'a str, ErrorKind>;

/// There is no such file.
pub(super) const NONE: Held<'static> = Err(ErrorKind::NotFound);

impl Sources {
    pub(super) fn new(text: &str, file: &Path, environment: &dyn Environment) -> Self {
        let places = parse::keys(text).into_iter().map(|(key, line)| (key, format!("line {line}"))).collect();
        let is_on_disk = environment.exists(file);
        Self {
            file: file.to_owned(),
            is_on_disk,
            overlay: None,
            has_overlay: false,
            print: Print::of(Ok(text), NONE),
            places,
            files: BTreeMap::new(),
            text: (!is_on_disk).then(|| text.into()),
        }
    }

    /// What was said of devices while the bridge ran, if anything was.
    pub fn overlay_in_use(&self) -> Option<&Path> {
        self.overlay.as_deref().filter(|_| self.has_overlay)
    }

    /// Notes where a value was found.
    pub(super) fn note(&mut self, key: impl Into<String>, place: impl Into<String>) {
        self.places.insert(key.into(), place.into());
    }

    /// The text of the configuration as it is now.
    ///
    /// # Errors
    /// It came from a file, and that cannot be read.
    pub fn text(&self, environment: &dyn Environment) -> io::Result<String> {
        match &self.text {
            Some(text) => Ok(text.expose_secret().to_owned()),
            None => environment.read(&self.file),
        }
    }

    /// What the files hold now.
    pub fn look(&self, environment: &dyn Environment) -> Print {
        let file = self.text(environment);
        let overlay = self.overlay.as_deref().map(|path| environment.read(path));
        Print::of(held(&file), overlay.as_ref().map_or(NONE, held))
    }
}

impl Print {
    /// Of what was read, or why it could not be: a file that cannot be read is not the same as none.
    pub(super) fn of(file: Held<'_>, overlay: Held<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        (file, overlay).hash(&mut hasher);
        Self(hasher.finish())
    }
}

pub(super) fn held(read: &io::Result<String>) -> Held<'_> {
    read.as_deref().map_err(io::Error::kind)
}
