//! Where a configuration came from: its files, and the place of each value.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{Config, Environment, parse};

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
    /// Files that count as soon as they hold something else: the certificate of the page and its key.
    pub(super) followed: Vec<PathBuf>,
    /// What was in all of these.
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
            followed: Vec::new(),
            print: Print::of([Ok(text)]),
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

    /// Follows from now on the files that the configuration's text names by now, usable or not: those that are named before
    /// they are there are missed until they come.
    pub fn follow_what_is_named(&mut self, environment: &dyn Environment) {
        let text = self.text(environment).ok();
        if let Some(config) = text.and_then(|text| Config::as_written(&text, &self.file, environment).ok()) {
            self.followed = config.followed();
        }
    }

    /// What the files hold now.
    pub fn look(&self, environment: &dyn Environment) -> Print {
        let file = self.text(environment);
        let overlay = self.overlay.as_deref().map(|path| environment.read(path));
        self.print_of(held(&file), overlay.as_ref().map_or(NONE, held), environment)
    }

    /// Of these two, and of what the files that are followed hold now.
    pub(super) fn print_of(&self, file: Held<'_>, overlay: Held<'_>, environment: &dyn Environment) -> Print {
        let followed: Vec<_> = self.followed.iter().map(|path| environment.read(path)).collect();
        Print::of([file, overlay].into_iter().chain(followed.iter().map(held)))
    }
}

impl Print {
    /// Of what was read, or why it could not be: a file that cannot be read is not the same as none.
    pub(super) fn of<'a>(all: impl IntoIterator<Item = Held<'a>>) -> Self {
        let mut hasher = DefaultHasher::new();
        all.into_iter().for_each(|held| held.hash(&mut hasher));
        Self(hasher.finish())
    }
}

pub(super) fn held(read: &io::Result<String>) -> Held<'_> {
    read.as_deref().map_err(io::Error::kind)
}
