//! Formatters on disk, so that a start without the network has them: a file for each device.
//!
//! Files and not a table of the store: each is written as a whole, rarely, and never together with anything else; people
//! can read them and delete them. A file holds everything of its device, so that there is nothing to keep consistent.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::form_urlencoded::byte_serialize;

use crate::model::{ApplicationName, DeviceId, DeviceKey};
use crate::network::Formatter;

/// Below the state folder.
const FOLDER: &str = "formatters";
/// The largest file read, in bytes: two scripts of the largest size, escaped.
const LARGEST: u64 = 8 << 20;

/// What the network told of devices' formatters. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

/// What a file holds.
#[derive(Serialize, Deserialize)]
struct Kept {
    application: ApplicationName,
    device: DeviceId,
    #[serde(flatten)]
    formatter: Formatter,
}

impl Cache {
    /// Below the bridge's state folder. Nothing is read or written yet.
    pub fn below(state: &Path) -> Self {
        Self { folder: state.join(FOLDER) }
    }

    /// Everything that was kept, read one by one: a thousand devices may have the same script. What cannot be read is
    /// fetched again, and told.
    pub fn load(&self) -> impl Iterator<Item = (DeviceKey, Formatter)> + use<> {
        let files = fs::read_dir(&self.folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        files.filter(|path| path.extension().is_some_and(|it| it == "json")).filter_map(|path| read(&path))
    }

    /// Keeps what the network told, or forgets what it told before.
    pub async fn keep(&self, key: &DeviceKey, formatter: Option<&Formatter>) {
        let path = self.path(key);
        let kept = formatter.map(|formatter| {
            let DeviceKey { application, device } = key.clone();
            serde_json::to_vec(&Kept { application, device, formatter: formatter.clone() })
        });
        let written = tokio::task::spawn_blocking(move || match kept.transpose()? {
            Some(text) => write(&path, &text),
            None => remove(&path),
        });
        if let Err(error) = written.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            tracing::warn!(device = %key, %error, "The network's formatter cannot be kept for the next start.");
        }
    }

    /// An application's name may hold anything; a device's id is as plain as a file's name.
    fn path(&self, DeviceKey { application, device }: &DeviceKey) -> PathBuf {
        let application: String = byte_serialize(application.as_str().as_bytes()).collect();
        self.folder.join(format!("{application}.{device}.json"))
    }
}

fn read(path: &Path) -> Option<(DeviceKey, Formatter)> {
    let kept = || {
        if fs::metadata(path)?.len() > LARGEST {
            return Err(io::Error::other("the file is too large"));
        }
        Ok(serde_json::from_slice::<Kept>(&fs::read(path)?)?)
    };
    let Kept { application, device, formatter } = kept()
        .inspect_err(|error| {
            tracing::warn!(path = %path.display(), %error, "A kept formatter cannot be read; it is fetched again.");
        })
        .ok()?;
    Some((DeviceKey { application, device }, formatter))
}

/// Whole or not at all: a power failure leaves the file as it was. What is there already is left alone.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|kept| kept == text) {
        return Ok(());
    }
    path.parent().map(fs::create_dir_all).transpose()?;
    let draft = path.with_extension("tmp");
    let mut file = File::create(&draft)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(draft, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Script;

    fn key(application: &str, device: &str) -> DeviceKey {
        DeviceKey::new(&ApplicationName::parse(application).unwrap(), DeviceId::parse(device).unwrap())
    }

    fn formatter(script: &str) -> Formatter {
        Formatter { name: "ttn/x".into(), up: Some(Script::JavaScript(script.into())), down: Some(Script::CayenneLpp) }
    }

    #[tokio::test]
    async fn what_was_kept_is_there_after_a_restart_and_what_was_forgotten_is_not() {
        let state = tempfile::tempdir().unwrap();
        let cache = Cache::below(state.path());
        assert_eq!(cache.load().count(), 0);
        let odd = key("..", "node");
        cache.keep(&odd, Some(&formatter("// \u{1f600}\r\n"))).await;
        cache.keep(&key("my-app", "node"), Some(&formatter("old"))).await;
        cache.keep(&key("my-app", "node"), Some(&formatter("new"))).await;
        cache.keep(&key("my-app", "gone"), Some(&formatter("x"))).await;
        cache.keep(&key("my-app", "gone"), None).await;
        cache.keep(&key("my-app", "never"), None).await;
        let mut loaded: Vec<_> = Cache::below(state.path()).load().collect();
        loaded.sort_by_key(|(key, _)| key.to_string());
        let expected = [(odd, formatter("// \u{1f600}\r\n")), (key("my-app", "node"), formatter("new"))];
        assert_eq!(loaded, expected);
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1, "nothing lies beside the folder");
    }

    #[tokio::test]
    async fn a_broken_file_costs_its_own_device_only() {
        let state = tempfile::tempdir().unwrap();
        let cache = Cache::below(state.path());
        cache.keep(&key("my-app", "node"), Some(&formatter("x"))).await;
        for (name, text) in [("my-app.torn.json", "{\"application\":"), ("my-app.draft.tmp", ""), ("notes.txt", "")] {
            fs::write(state.path().join(FOLDER).join(name), text).unwrap();
        }
        assert_eq!(cache.load().count(), 1);
    }
}
