//! One codec of the user's own: a script, a table, or a folder with either and what is known of the device.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use payload_codecs::Source;
use payload_codecs::devices::Description;

use super::{Draft, FindError, Form, Origin, read, read_if_there};

const FORMS: [Form; 2] = [Form::Script, Form::Table];

/// The entry of this name in a folder: `<name>.js`, `<name>.toml`, or the folder `<name>/`, the first there is. A name
/// may be that of the file, too.
pub fn named(folder: &Path, name: &str) -> Result<Option<Draft>, FindError> {
    for path in places(folder, name) {
        if (path.is_dir() || Form::of(&path).is_some() && path.is_file())
            && let Some(draft) = at(name, &path)?
        {
            return Ok(Some(draft));
        }
    }
    Ok(None)
}

/// The file that the codec of this name is in.
pub fn file(folder: &Path, name: &str) -> Option<PathBuf> {
    places(folder, name).into_iter().find_map(|path| match path.is_dir() {
        true => codec_in(&path),
        false => Some(path).filter(|path| Form::of(path).is_some() && path.is_file()),
    })
}

/// Where an entry of this name may be, the first that counts first.
fn places(folder: &Path, name: &str) -> [PathBuf; 3] {
    [format!("{name}.js"), format!("{name}.toml"), name.to_owned()].map(|file| folder.join(file))
}

/// The codec in a folder of its own.
fn codec_in(folder: &Path) -> Option<PathBuf> {
    FORMS.map(|form| folder.join("codec").with_extension(form.ending())).into_iter().find(|path| path.is_file())
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
    let draft = Form::of(path).unwrap_or(Form::Script).draft(name, &text);
    draft.map_err(|source| FindError::Table { path: path.into(), source })
}

/// A folder in the form of the shipped ones: `codec.js` or `codec.toml`, and `device.toml` if its owner cares.
fn in_folder(name: &str, folder: &Path) -> Result<Option<Draft>, FindError> {
    let path = folder.join("device.toml");
    let description = match read_if_there(&path)? {
        Some(text) => Description::parse(&text).map_err(|source| FindError::Description { path, source })?,
        None => Description::default(),
    };
    let mut draft = match codec_in(folder) {
        Some(path) => in_file(name, &path)?,
        None if description.is_cayenne_lpp() => Draft::bare(name, Origin::User, Source::CayenneLpp),
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

fn is_entry(path: &Path) -> bool {
    let holds = |file| path.join(file).is_file();
    match path.is_dir() {
        true => ["codec.js", "codec.toml", "device.toml"].into_iter().any(holds),
        false => Form::of(path).is_some(),
    }
}

/// The name an entry is asked for by; none for hidden files.
fn name_of(path: &Path) -> Option<String> {
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.and_then(|name| name.to_str()).filter(|name| !name.starts_with('.')).map(str::to_owned)
}
