//! Codecs as people name them: a path, or the name of a shipped one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use payload_codecs::examples::Operation;
use payload_codecs::repository::{CodecYaml, Function, RepositoryError};
use payload_codecs::{Source, devices};

/// The largest file read: the largest public script is 235 KB.
const LARGEST: u64 = 4 << 20;
/// What a codec's file is called in a folder of its own.
const IN_FOLDER: [&str; 2] = ["codec.js", "codec.toml"];

/// Why there is no codec.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is larger than {} MiB", .0.display(), LARGEST >> 20)]
    TooLarge(PathBuf),
    #[error("{}", path.display())]
    Yaml {
        path: PathBuf,
        #[source]
        source: RepositoryError,
    },
    #[error("{} names no script for {operation}", path.display())]
    NoFunction { path: PathBuf, operation: Operation },
    #[error("{} holds no codec\n  hint: codec.js or codec.toml", .0.display())]
    EmptyFolder(PathBuf),
    #[error(
        "no codec `{}`\n  hint: give a file, a folder, or the name of a shipped one: {}",
        .0.display(), shipped()
    )]
    Nowhere(PathBuf),
}

/// The codec of this name. Where functions may lie in different files, the one that holds this operation's.
pub fn load(name: &Path, operation: Operation) -> Result<Source, SourceError> {
    if name.is_dir() {
        return in_folder(name);
    }
    if name.exists() {
        return match name.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => in_repository(name, operation),
            _ => file(name),
        };
    }
    let text = name.to_str().unwrap_or_default();
    match devices::find(text) {
        Some(device) => Ok(device.source()),
        None if text == "cayenne-lpp" => Ok(Source::CayenneLpp),
        None => Err(SourceError::Nowhere(name.into())),
    }
}

/// The codec in a file of its own.
pub fn file(path: &Path) -> Result<Source, SourceError> {
    let text = read(path)?;
    Ok(Source::JavaScript { name: path.display().to_string().into(), script: text.into() })
}

/// The codec of a folder like the shipped ones.
pub fn in_folder(folder: &Path) -> Result<Source, SourceError> {
    let files = IN_FOLDER.map(|name| folder.join(name));
    match files.iter().find(|path| path.is_file()) {
        Some(path) => file(path),
        None => Err(SourceError::EmptyFolder(folder.into())),
    }
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
    file(&path.with_file_name(&function.file_name))
}

fn shipped() -> String {
    let ids: Vec<_> = devices::all().iter().map(|device| device.id).collect();
    ids.join(", ")
}
