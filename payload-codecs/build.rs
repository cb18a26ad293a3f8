//! Lists the device folders, so that adding a device is adding a folder and nothing reads the disk at run time.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env("CARGO_MANIFEST_DIR")).join("devices");
    println!("cargo::rerun-if-changed=devices");
    let mut list = String::from("&[\n");
    for vendor in folders(&root)? {
        for model in folders(&vendor)? {
            write!(list, "{}", entry(&vendor, &model)).map_err(io::Error::other)?;
        }
    }
    list.push_str("]\n");
    fs::write(PathBuf::from(env("OUT_DIR")).join("device_folders.rs"), list)
}

/// One `Folder { … }` of the list; the compiler embeds the files it names. No path of this machine stands in it, so
/// that a moved checkout builds without a clean.
fn entry(vendor: &Path, model: &Path) -> String {
    let id = format!("{}/{}", name(vendor), name(model));
    let embedded =
        |file: &str| format!("include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/devices/{id}/{file}\"))");
    let codec = ["codec.js", "codec.toml"].into_iter().find(|file| model.join(file).is_file());
    let codec = codec.map_or("None".to_owned(), |file| format!("Some({})", embedded(file)));
    let (description, examples) = (embedded("device.toml"), embedded("examples.json"));
    format!("Folder {{ id: {id:?}, description: {description}, codec: {codec}, examples: {examples} }},\n")
}

fn folders(under: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(under)? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn name(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn env(name: &str) -> String {
    std::env::var(name).expect("cargo sets its variables for build scripts")
}
