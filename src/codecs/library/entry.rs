//! One codec of the user's own: a script, a table, or a folder with either and what is known of the device.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use payload_codecs::Source;
use payload_codecs::devices::Description;
use payload_codecs::table::Table;

use super::{Draft, FindError, read, read_if_there};

const SCRIPT: &str = "js";
const TABLE: &str = "toml";

/// The entry of this name in a folder: `<name>.js`, `<name>.toml`, or the folder `<name>/`, the first there is. A name
/// may be that of the file, too.
pub fn named(folder: &Path, name: &str) -> Result<Option<Draft>, FindError> {
    for file in [format!("{name}.{SCRIPT}"), format!("{name}.{TABLE}"), name.to_owned()] {
        let path = folder.join(file);
        if (path.is_dir() || kind_of(&path).is_some() && path.is_file())
            && let Some(draft) = at(name, &path)?
        {
            return Ok(Some(draft));
        }
    }
    Ok(None)
}

/// The codec at a path; `None` if it is a folder without one.
pub fn at(name: &str, path: &Path) -> Result<Option<Draft>, FindError> {
    if path.is_dir() { in_folder(name, path) } else { in_file(name, path).map(Some) }
}

/// The names of all entries in a folder, and in the folders within that are none themselves: `<brand>/<model>`.
pub fn names(folder: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = name_of(&path) else { continue };
        if is_entry(&path) {
            names.insert(name);
        } else if path.is_dir() {
            let models = std::fs::read_dir(&path)?.filter_map(|model| model.ok().map(|model| model.path()));
            names.extend(
                models.filter(|model| is_entry(model)).filter_map(|model| Some(format!("{name}/{}", name_of(&model)?))),
            );
        }
    }
    Ok(names)
}

fn in_file(name: &str, path: &Path) -> Result<Draft, FindError> {
    let text = read(path)?;
    match kind_of(path) {
        Some(TABLE) => table(name, path, &text),
        _ => Ok(Draft::bare(name, script(name, text))),
    }
}

/// A folder in the form of the shipped ones: `codec.js` or `codec.toml`, and `device.toml` if its owner cares.
fn in_folder(name: &str, folder: &Path) -> Result<Option<Draft>, FindError> {
    let path = folder.join("device.toml");
    let description = match read_if_there(&path)? {
        Some(text) => Description::parse(&text).map_err(|source| FindError::Description { path, source })?,
        None => Description::default(),
    };
    let codec =
        [SCRIPT, TABLE].map(|kind| folder.join("codec").with_extension(kind)).into_iter().find(|it| it.is_file());
    let mut draft = match codec {
        Some(path) => in_file(name, &path)?,
        None if description.is_cayenne_lpp() => Draft::bare(name, Source::CayenneLpp),
        None => return Ok(None),
    };
    if !description.fields.is_empty() {
        draft.fields = description.fields.into();
    }
    if !description.commands.is_empty() {
        draft.commands = description.commands.into();
    }
    Ok(Some(draft))
}

/// A table knows its own fields and commands.
fn table(name: &str, path: &Path, text: &str) -> Result<Draft, FindError> {
    let table = Table::parse(text).map_err(|source| FindError::Table { path: path.into(), source })?;
    let (fields, commands) = (table.fields().into(), table.commands().into());
    let source = Source::Table { name: name.into(), table: Arc::new(table) };
    Ok(Draft { name: name.into(), source, fields, commands })
}

fn script(name: &str, text: String) -> Source {
    Source::JavaScript { name: name.into(), script: text.into() }
}

fn kind_of(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?;
    [SCRIPT, TABLE].into_iter().find(|kind| *kind == extension)
}

fn is_entry(path: &Path) -> bool {
    let holds = |file| path.join(file).is_file();
    match path.is_dir() {
        true => ["codec.js", "codec.toml", "device.toml"].into_iter().any(holds),
        false => kind_of(path).is_some(),
    }
}

/// The name an entry is asked for by; none for hidden files.
fn name_of(path: &Path) -> Option<String> {
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.and_then(|name| name.to_str()).filter(|name| !name.starts_with('.')).map(str::to_owned)
}
