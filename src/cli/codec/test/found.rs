//! Where examples may lie: the files and folders that `codec test` looks into, found by their names.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::cli::codec::source::{self, SourceError};

/// The keys of which each codec of a device repository has one at the beginning of a line.
const FUNCTIONS: [&str; 3] = ["uplinkDecoder:", "downlinkEncoder:", "downlinkDecoder:"];
/// What a device folder of this project's own layout may hold beside its examples.
const OWN: [&str; 3] = ["codec.js", "codec.toml", "device.toml"];

/// One place where examples are, or should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lead {
    /// A codec of a device repository: its YAML file.
    Repository(PathBuf),
    /// A script, with examples of any form beside it.
    Script(PathBuf),
    /// A folder like the shipped ones, with an `examples.json`; if its codec is a table, there may be some in that too.
    Folder(PathBuf),
    /// A table, with its examples in it.
    Table(PathBuf),
    /// A folder below those named that cannot be searched.
    Closed(PathBuf),
}

/// All of them below these paths, each once, sorted.
///
/// # Errors
/// A path that is not there, or that cannot be read. What folders hold and has other names is left alone.
pub fn leads(paths: &[PathBuf]) -> Result<BTreeSet<Lead>, SourceError> {
    let mut found = BTreeSet::new();
    for path in paths {
        if path.is_dir() {
            search(path, &mut found)?;
        } else {
            found.insert(named(path)?);
        }
    }
    Ok(found)
}

/// What somebody names is meant, whatever lies beside it.
fn named(path: &Path) -> Result<Lead, SourceError> {
    source::read(path)?;
    let is_described = path.file_name().is_some_and(|name| name == "device.toml");
    Ok(match extension(path) {
        "yaml" | "yml" => Lead::Repository(path.into()),
        "toml" if is_described => Lead::Folder(source::folder_of(path).into()),
        _ if is_own(path) && source::folder_of(path).join("examples.json").is_file() => {
            Lead::Folder(source::folder_of(path).into())
        }
        "toml" => Lead::Table(path.into()),
        _ => Lead::Script(path.into()),
    })
}

fn search(folder: &Path, found: &mut BTreeSet<Lead>) -> Result<(), SourceError> {
    let entries = source::entries(folder)?;
    let is_own_folder = folder.join("examples.json").is_file() && OWN.iter().any(|name| folder.join(name).is_file());
    if is_own_folder {
        found.insert(Lead::Folder(folder.into()));
    }
    for entry in entries {
        let path = entry.path();
        // Links to folders are not followed: they may lead in a circle.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && !is_hidden(&path) {
            if search(&path, found).is_err() {
                found.insert(Lead::Closed(path));
            }
        } else if path.is_file() && !(is_own_folder && is_own(&path)) {
            found.extend(lead(path));
        }
    }
    Ok(())
}

/// What a file in a folder leads to. One that cannot be read is none of ours.
fn lead(path: PathBuf) -> Option<Lead> {
    match extension(&path) {
        "yaml" | "yml" => is_codec(&path).then_some(Lead::Repository(path)),
        "js" => (!beside(&path).is_empty()).then_some(Lead::Script(path)),
        "toml" => is_table(&path).then_some(Lead::Table(path)),
        _ => None,
    }
}

/// The files of examples that are named after a script.
pub fn beside(script: &Path) -> Vec<PathBuf> {
    let Some(name) = script.file_stem().and_then(OsStr::to_str) else { return Vec::new() };
    let names =
        [format!("test_decode_{name}.json"), format!("test_encode_{name}.json"), format!("{name}.examples.json")];
    names.map(|name| script.with_file_name(name)).into_iter().filter(|path| path.is_file()).collect()
}

fn is_codec(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with("-codec.yaml") || path.ends_with("-codec.yml"))
        || source::read(path)
            .is_ok_and(|text| text.lines().any(|line| FUNCTIONS.iter().any(|key| line.starts_with(key))))
}

/// A table of ours says what goes up or down, and has examples.
fn is_table(path: &Path) -> bool {
    let says = |text: &str, what: &str| text.lines().any(|line| line.trim_start().starts_with(what));
    source::read(path)
        .is_ok_and(|text| says(&text, "[[examples]]") && (says(&text, "[[uplink") || says(&text, "[[downlink")))
}

fn is_own(path: &Path) -> bool {
    path.file_name().is_some_and(|name| OWN.iter().any(|own| name == *own))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "node_modules" || name.to_string_lossy().starts_with('.'))
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(OsStr::to_str).unwrap_or_default()
}
