//! The examples of one codec, read from wherever its lead points.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use payload_codecs::Source;
use payload_codecs::examples::{
    Entry, Example, ExamplesError, Operation, beside_script, chirpstack, own, own_values, repository,
};
use payload_codecs::repository::CodecYaml;

use super::found::{Lead, beside};
use crate::cli::codec::source::{self, SourceError};
use crate::cli::codec::watched::Watched;
use crate::telemetry::with_causes;

/// A codec and its examples.
pub struct Suite {
    /// The file of the codec.
    pub file: PathBuf,
    /// The codec, or why there is none.
    pub codec: Result<Source, String>,
    pub entries: Vec<Entry>,
}

/// The codecs that a lead points to; several where functions lie in different files.
pub fn suites(lead: &Lead, watched: &mut Watched) -> Vec<Suite> {
    match lead {
        Lead::Repository(path) => match source::yaml(path) {
            Ok(yaml) => in_repository(path, &yaml),
            Err(error) => vec![Suite::broken(path, &error)],
        },
        Lead::Script(path) => vec![beside_a_script(path, watched)],
        Lead::Folder(folder) => vec![in_folder(folder)],
        Lead::Table(path) => vec![in_table(path)],
        Lead::Closed(folder) => {
            source::entries(folder).err().iter().map(|error| Suite::broken(folder, error)).collect()
        }
    }
}

impl Suite {
    fn new(file: &Path, codec: Result<Source, SourceError>, entries: Vec<Entry>) -> Self {
        Self { file: file.into(), codec: codec.map_err(|error| with_causes(&error)), entries }
    }

    /// A file that cannot be read counts as one example that went wrong: it must not pass for one without any.
    fn broken(file: &Path, error: &SourceError) -> Self {
        let entries = vec![Err(ExamplesError::Form(String::new()))];
        Self { file: file.into(), codec: Err(with_causes(error)), entries }
    }
}

/// Functions in the same file make one suite, for they are one codec.
fn in_repository(path: &Path, yaml: &CodecYaml) -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    for operation in [Operation::DecodeUplink, Operation::EncodeDownlink, Operation::DecodeDownlink] {
        let Some(function) = source::function(yaml, operation) else { continue };
        let file = path.with_file_name(&function.file_name);
        let entries = repository(operation, &function.examples);
        match suites.iter_mut().find(|suite| suite.file == file) {
            Some(suite) => suite.entries.extend(entries),
            None => suites.push(Suite::new(&file, source::at(&file), entries)),
        }
    }
    suites
}

fn beside_a_script(path: &Path, watched: &mut Watched) -> Suite {
    let mut files = beside(path);
    files.extend(Some(path.with_file_name("examples.json")).filter(|file| files.is_empty() && file.is_file()));
    let mut entries: Vec<Entry> = files.iter().flat_map(|file| in_file(file, watched)).collect();
    for yaml in if files.is_empty() { repository_codecs(path) } else { Vec::new() } {
        let suites = in_repository(path, &yaml).into_iter().filter(|suite| suite.file == path);
        entries.extend(suites.flat_map(|suite| suite.entries));
    }
    Suite::new(path, source::at(path), entries)
}

/// The codecs of a device repository in the folder of this script.
fn repository_codecs(script: &Path) -> Vec<CodecYaml> {
    let paths = source::entries(source::folder_of(script)).unwrap_or_default().into_iter().map(|entry| entry.path());
    paths
        .filter(|path| path.extension() == Some(OsStr::new("yaml")))
        .filter_map(|path| source::yaml(&path).ok())
        .collect()
}

fn in_folder(folder: &Path) -> Suite {
    let (codec, file) = (source::at(folder), folder.join("examples.json"));
    let read = source::read(&file).map_err(|error| ExamplesError::Form(with_causes(&error)));
    let mut entries = read_or_told(&file, read.and_then(|text| own(&text)));
    entries.extend(codec.iter().flat_map(|codec| of_table(folder, codec)));
    Suite::new(folder, codec, entries)
}

fn in_table(path: &Path) -> Suite {
    match source::at(path) {
        Ok(codec) => Suite::new(path, Ok(codec.clone()), of_table(path, &codec)),
        Err(error) => Suite::broken(path, &error),
    }
}

/// The examples that a table holds itself.
fn of_table(file: &Path, codec: &Source) -> Vec<Entry> {
    match codec {
        Source::Table { table, .. } => read_or_told(file, own_values(&table.examples)),
        _ => Vec::new(),
    }
}

fn read_or_told(file: &Path, examples: Result<Vec<Example>, ExamplesError>) -> Vec<Entry> {
    match examples {
        Ok(examples) => examples.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(in_its_file(file, error))],
    }
}

/// The examples in a file beside a script, by the file's name.
fn in_file(file: &Path, watched: &mut Watched) -> Vec<Entry> {
    let text = match source::read(file) {
        Ok(text) => text,
        Err(error) => return vec![Err(ExamplesError::Form(with_causes(&error)))],
    };
    let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let function = match name {
        _ if name.starts_with("test_decode_") => Some(Operation::DecodeUplink),
        _ if name.starts_with("test_encode_") => Some(Operation::EncodeDownlink),
        _ => None,
    };
    // Two loads: what is no JSON is a script.
    let read = watched.with_engines(2, move |engines, _| match function {
        Some(operation) => chirpstack(operation, &text, engines),
        None => beside_script(&text, engines),
    });
    let read = read.unwrap_or_else(|failure| Err(ExamplesError::Form(failure.to_string())));
    read.unwrap_or_else(|error| vec![Err(in_its_file(file, error))])
}

fn in_its_file(file: &Path, error: ExamplesError) -> ExamplesError {
    ExamplesError::Form(format!("{}: {error}", file.display()))
}
