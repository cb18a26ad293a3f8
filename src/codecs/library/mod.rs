//! Where codecs lie: the user's folder, a clone of the device repository, a path, and what this program brings along.
//!
//! It reads the disk anew at every question and remembers nothing; the [`Finder`](super::Finder) does. A question is
//! answered by path: no folder is searched, so a clone may be as large as it likes.

mod entry;
mod repository;
mod save;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use payload_codecs::Source;
use payload_codecs::devices::{self, DescriptionError};
use payload_codecs::metadata::{Command, Field};
use payload_codecs::repository::RepositoryError;
use payload_codecs::table::{Table, TableError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CodecsConfig;
use crate::model::VersionIds;

pub use save::{LONGEST_TEXT, SaveError};

/// The largest file read: the largest public script is 235 KB.
const MOST_BYTES: u64 = 1 << 20;

/// The places outside of this program.
#[derive(Debug, Clone, Default)]
pub struct Library {
    folder: Option<PathBuf>,
    repository: Option<PathBuf>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lookup {
    /// What somebody called by its name, so that it must be there: a path, an entry of the user's folder, a shipped codec.
    Named(String),
    /// An entry of the user's folder, if there is one.
    Entry(String),
    /// A product in the device repository, if it is there.
    Product(VersionIds),
}

/// A codec as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub name: String,
    pub origin: Origin,
    pub source: Source,
    pub fields: Arc<[Field]>,
    pub commands: Arc<[Command]>,
}

/// Where a codec is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CodecOrigin")]
pub enum Origin {
    /// It is part of this program.
    Shipped,
    /// The user's own: of the codec folder, or at a path of the configuration.
    User,
    /// A clone of the LoRaWAN device repository.
    Repository,
    /// The network's own formatter.
    Network,
}

/// What a codec is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CodecForm")]
pub enum Form {
    /// JavaScript.
    Script,
    /// A table, TOML.
    Table,
}

/// The text of a codec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub form: Form,
    pub text: String,
    /// Its file, within the codec folder.
    pub path: Option<String>,
}

/// A folder to keep an eye on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub folder: PathBuf,
    /// And those below it.
    pub deep: bool,
}

/// A codec that is not there, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("codec `{0}` is neither shipped nor in the codec folder")]
    Nowhere(String),
    #[error("{} cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is larger than {} KiB", path.display(), MOST_BYTES / 1024)]
    TooLarge { path: PathBuf },
    #[error("{} leads out of the device repository", path.display())]
    Outside { path: PathBuf },
    #[error("{}", path.display())]
    Description { path: PathBuf, source: DescriptionError },
    #[error("{}", path.display())]
    Table { path: PathBuf, source: TableError },
    #[error("{}", path.display())]
    Repository { path: PathBuf, source: RepositoryError },
}

impl Library {
    pub fn new(config: &CodecsConfig) -> Self {
        Self { folder: config.folder.clone(), repository: config.device_repository.clone() }
    }

    /// What there is now. `None` for what may be missing and is.
    pub fn look_up(&self, lookup: &Lookup) -> Result<Option<Draft>, FindError> {
        match lookup {
            Lookup::Named(name) => self.named(name).map(Some),
            Lookup::Entry(name) => self.entry(name),
            Lookup::Product(version) => match &self.repository {
                Some(clone) => repository::product(clone, version),
                None => Ok(None),
            },
        }
    }

    /// Where the answer may change.
    pub fn place_of(&self, lookup: &Lookup) -> Option<Place> {
        match lookup {
            Lookup::Named(path) if is_path(path) => {
                let path = Path::new(path);
                let folder = if path.is_dir() { path } else { path.parent()? };
                Some(Place { folder: folder.to_owned(), deep: false })
            }
            Lookup::Product(version) => {
                let vendor = repository::vendor_folder(self.repository.as_ref()?, version)?;
                // A brand that the clone does not have yet comes as a folder.
                let folder = if vendor.is_dir() { vendor } else { vendor.parent()?.to_owned() };
                Some(Place { folder, deep: false })
            }
            Lookup::Named(_) | Lookup::Entry(_) => self.folder.clone().map(|folder| Place { folder, deep: true }),
        }
    }

    /// The names of all entries of the user's folder, those of its folders by brand and model.
    pub fn entries(&self) -> io::Result<BTreeSet<String>> {
        self.folder.as_deref().map_or_else(|| Ok(BTreeSet::new()), entry::names)
    }

    /// The text of the codec of this name: of the user's folder, or shipped. `None` for one that has none, or is not there.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn text(&self, name: &str) -> Result<Option<Text>, FindError> {
        if let Some((folder, path)) = self.folder.as_ref().zip(self.file_of(name)) {
            let form = Form::of(&path).unwrap_or(Form::Script);
            let shown = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
            return Ok(Some(Text { form, text: read(&path)?, path: Some(shown) }));
        }
        let shipped = devices::find(name).and_then(|device| {
            let form = if matches!(device.source(), Source::Table { .. }) { Form::Table } else { Form::Script };
            Some(Text { form, text: device.text?.to_owned(), path: None })
        });
        Ok(shipped)
    }

    /// The file with the codec of an entry of the user's folder.
    fn file_of(&self, name: &str) -> Option<PathBuf> {
        self.folder.as_ref().filter(|_| is_plain(name)).and_then(|folder| entry::file(folder, name))
    }

    /// The user's own goes before ours of the same name.
    fn named(&self, name: &str) -> Result<Draft, FindError> {
        if is_path(name) {
            return entry::at(name, Path::new(name))?.ok_or_else(|| FindError::Nowhere(name.into()));
        }
        if let Some(own) = self.entry(name)? {
            return Ok(own);
        }
        if let Some(device) = devices::find(name) {
            let (fields, commands) = (device.fields.as_slice().into(), device.commands.as_slice().into());
            let origin = Origin::Shipped;
            return Ok(Draft { name: name.into(), origin, source: device.source(), fields, commands });
        }
        match name {
            "cayenne-lpp" => Ok(Draft::bare(name, Origin::Shipped, Source::CayenneLpp)),
            _ => Err(FindError::Nowhere(name.into())),
        }
    }

    fn entry(&self, name: &str) -> Result<Option<Draft>, FindError> {
        match &self.folder {
            Some(folder) if is_plain(name) => entry::named(folder, name),
            _ => Ok(None),
        }
    }
}

/// For people.
impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) | Self::Entry(name) => f.write_str(name),
            Self::Product(version) => write!(f, "device-repository/{}/{}", version.brand_id, version.model_id),
        }
    }
}

impl Draft {
    /// A codec of which nothing is known but what it does.
    pub fn bare(name: &str, origin: Origin, source: Source) -> Self {
        Self { name: name.into(), origin, source, fields: Arc::default(), commands: Arc::default() }
    }
}

impl Form {
    /// By the ending of a file.
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        [Self::Script, Self::Table].into_iter().find(|form| form.ending() == ending)
    }

    /// What its files end with.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Script => "js",
            Self::Table => "toml",
        }
    }

    /// A codec of this text, as if it lay in the user's folder.
    ///
    /// # Errors
    /// It is no table.
    pub fn draft(self, name: &str, text: &str) -> Result<Draft, TableError> {
        match self {
            Self::Script => {
                let source = Source::JavaScript { name: name.into(), script: text.into() };
                Ok(Draft::bare(name, Origin::User, source))
            }
            // A table knows its own fields and commands.
            Self::Table => {
                let table = Table::parse(text)?;
                let (fields, commands) = (table.fields().into(), table.commands().into());
                let source = Source::Table { name: name.into(), table: Arc::new(table) };
                Ok(Draft { name: name.into(), origin: Origin::User, source, fields, commands })
            }
        }
    }
}

impl FindError {
    /// The line of the file, counted from 1, if that is known.
    pub fn line(&self) -> Option<u32> {
        match self {
            Self::Description { source, .. } => source.line,
            Self::Table { source, .. } => source.line().and_then(|line| u32::try_from(line).ok()),
            Self::Repository { source, .. } => source.line(),
            _ => None,
        }
    }
}

/// The codec at a path: a script, a table, or a folder with either; `None` if it is a folder without one.
///
/// # Errors
/// What is there cannot be read.
pub fn codec_at(path: &Path) -> Result<Option<Draft>, FindError> {
    entry::at(&path.display().to_string(), path)
}

/// A name that stays inside a folder: no absolute path, no `..`. Attributes are written by whoever may edit devices.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(|level| !level.is_empty() && !level.starts_with('.'))
}

/// A path and no name: the configuration may say `/srv/x.js` or `./x.js`.
fn is_path(name: &str) -> bool {
    name.starts_with(['/', '.'])
}

/// The text of a file; nothing that is no file is opened, as it might never end.
fn read(path: &Path) -> Result<String, FindError> {
    let unreadable = |source| FindError::Unreadable { path: path.into(), source };
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("this is no file")));
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(FindError::TooLarge { path: path.into() });
    }
    Ok(text)
}

/// [`read`] for a file that may be missing.
fn read_if_there(path: &Path) -> Result<Option<String>, FindError> {
    match read(path) {
        Err(FindError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}
