//! Codecs as people name them: a path, or the name of a shipped one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use payload_codecs::examples::Operation;
use payload_codecs::repository::{CodecYaml, Function, RepositoryError};
use payload_codecs::{Source, devices};

use crate::codecs::{FindError, Library, Lookup, codec_at};

/// The largest file of examples read.
const LARGEST: u64 = 4 << 20;

/// Why there is no codec, or no example.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{} cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is larger than {} MiB", .0.display(), LARGEST >> 20)]
    TooLarge(PathBuf),
    #[error("{}", path.display())]
    Yaml { path: PathBuf, source: RepositoryError },
    #[error("{} names no script for {operation}", path.display())]
    NoFunction { path: PathBuf, operation: Operation },
    #[error("{} holds no codec\n  hint: codec.js or codec.toml", .0.display())]
    EmptyFolder(PathBuf),
    #[error(
        "no codec `{}`\n  hint: give a file, a folder, or the name of a shipped one: {}",
        .0.display(), shipped()
    )]
    Nowhere(PathBuf),
    #[error(transparent)]
    Codec(#[from] FindError),
}

/// The codec of this name. Where functions may lie in different files, the one that holds this operation's.
pub fn load(name: &Path, operation: Operation) -> Result<Source, SourceError> {
    if name.exists() {
        return match name.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => in_repository(name, operation),
            _ => at(name),
        };
    }
    let nowhere = || SourceError::Nowhere(name.into());
    // Of the places it knows, a library without folders has what is shipped.
    let lookup = Lookup::Named(name.to_str().filter(|name| !name.starts_with('/')).ok_or_else(nowhere)?.to_owned());
    let found = Library::default().look_up(&lookup);
    found.ok().flatten().map(|draft| draft.source).ok_or_else(nowhere)
}

/// The codec in a file or folder.
pub fn at(path: &Path) -> Result<Source, SourceError> {
    let is_description = path.file_name().is_some_and(|name| name == "device.toml");
    let path = if is_description { folder_of(path) } else { path };
    codec_at(path)?.map(|draft| draft.source).ok_or_else(|| SourceError::EmptyFolder(path.into()))
}

/// The folder that a file lies in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The function of a device repository's codec that does this.
pub fn function(codec: &CodecYaml, operation: Operation) -> Option<&Function> {
    match operation {
        Operation::DecodeUplink | Operation::NormalizeUplink => codec.uplink_decoder.as_ref(),
        Operation::EncodeDownlink => codec.downlink_encoder.as_ref(),
        Operation::DecodeDownlink => codec.downlink_decoder.as_ref(),
    }
}

/// The codec of a device repository.
pub fn yaml(path: &Path) -> Result<CodecYaml, SourceError> {
    CodecYaml::parse(&read(path)?).map_err(|source| SourceError::Yaml { path: path.into(), source })
}

/// The text of a file that is not too large.
pub fn read(path: &Path) -> Result<String, SourceError> {
    let unreadable = |source| SourceError::Unreadable { path: path.into(), source };
    // What is no file may never end, or never begin.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("this is no file")));
    }
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LARGEST { Err(SourceError::TooLarge(path.into())) } else { Ok(text) }
}

/// What a folder holds, sorted.
pub fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, SourceError> {
    let unreadable = |source| SourceError::Unreadable { path: folder.into(), source };
    let mut found = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unreadable)?;
    found.sort_by_key(fs::DirEntry::file_name);
    Ok(found)
}

fn in_repository(path: &Path, operation: Operation) -> Result<Source, SourceError> {
    let codec = yaml(path)?;
    let missing = || SourceError::NoFunction { path: path.into(), operation };
    let function = function(&codec, operation).ok_or_else(missing)?;
    at(&path.with_file_name(&function.file_name))
}

fn shipped() -> String {
    let ids: Vec<_> = devices::all().iter().map(|device| device.id).collect();
    ids.join(", ")
}
