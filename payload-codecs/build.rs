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

/// One `Folder { … }` of the list; the compiler embeds the files it names.
fn entry(vendor: &Path, model: &Path) -> String {
    let codec = model.join("codec.js");
    let script = if codec.is_file() { format!("Some(include_str!({codec:?}))") } else { "None".to_owned() };
    format!(
        "Folder {{ id: {:?}, description: include_str!({:?}), script: {script}, examples: include_str!({:?}) }},\n",
        format!("{}/{}", name(vendor), name(model)),
        model.join("device.toml"),
        model.join("examples.json"),
    )
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
