//! Where a configuration came from: its files, and the place of each value.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

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
}

/// What the files of a configuration held: enough to see that they hold something else now, and nothing to read out of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Print(u64);

impl Sources {
    pub(super) fn new(text: &str, file: &Path, environment: &dyn Environment) -> Self {
        let places = parse::keys(text).into_iter().map(|(key, line)| (key, format!("line {line}"))).collect();
        let is_on_disk = environment.exists(file);
        Self {
            file: file.to_owned(),
            is_on_disk,
            overlay: None,
            has_overlay: false,
            print: Print::of(Some(text), None),
            places,
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

    /// What the files hold now.
    pub fn look(&self, environment: &dyn Environment) -> Print {
        let file = environment.read(&self.file);
        let overlay = self.overlay.as_deref().map(|path| environment.read(path));
        Print::of(text(&file), overlay.as_ref().and_then(text))
    }
}

impl Print {
    pub(super) fn of(file: Option<&str>, overlay: Option<&str>) -> Self {
        let mut hasher = DefaultHasher::new();
        (file, overlay).hash(&mut hasher);
        Self(hasher.finish())
    }
}

fn text(read: &io::Result<String>) -> Option<&str> {
    read.as_deref().ok()
}
