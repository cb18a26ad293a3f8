//! Codecs: are the user's folders there, and does every codec in them, and every one that is named, load?

use std::collections::BTreeSet;
use std::path::Path;

use super::finding::{Finding, Legs};
use crate::codecs::{Finder, Library, Trial};
use crate::config::Config;
use crate::telemetry::with_causes;

/// Checks the places of the user's codecs, and each codec in the folder or named by the configuration, once.
pub async fn check_codecs(config: &Config) -> Vec<Finding> {
    let mut legs = Legs::of("codecs");
    let named = config.application.iter().map(|application| &application.codec);
    let named: BTreeSet<_> = named.chain(config.device.iter().map(|device| &device.codec)).flatten().cloned().collect();
    let own = entries(config, &mut legs);
    if let Some(clone) = &config.codecs.device_repository {
        device_repository(clone, &mut legs);
    }
    let mut finder = Finder::new(&config.codecs);
    let mut trial = Trial::new(config.codecs.limits());
    for name in own.union(&named) {
        match finder.named(name) {
            Err(error) if named.contains(name) => legs.failed(name, with_causes(&error), WHERE),
            Err(error) => legs.warning(name, with_causes(&error), "mend it; until then it is passed over"),
            Ok(codec) => match trial.load(codec.source().clone()).await {
                Ok(()) => legs.ok(name, "loads"),
                Err(error) => legs.warning(name, with_causes(&error), "mend the script; until then uplinks go on raw"),
            },
        }
    }
    legs.into_findings()
}

const WHERE: &str = "name a shipped one (such as mbed/led-and-sensors), an entry of codecs.folder (a file without its \
                     .js or .toml), or a path";

/// What lies in the user's folder.
fn entries(config: &Config, legs: &mut Legs) -> BTreeSet<String> {
    let Some(folder) = &config.codecs.folder else { return BTreeSet::new() };
    match Library::new(&config.codecs).entries() {
        Ok(entries) => {
            legs.ok("folder", format!("{}: {} codecs", folder.display(), entries.len()));
            entries
        }
        Err(error) => {
            legs.failed("folder", format!("{}: {error}", folder.display()), "make it, or set codecs.folder");
            BTreeSet::new()
        }
    }
}

fn device_repository(clone: &Path, legs: &mut Legs) {
    match clone.join("vendor").is_dir() {
        true => legs.ok("device_repository", clone.display()),
        false => legs.failed(
            "device_repository",
            format!("{}: it has no folder `vendor`", clone.display()),
            "git clone --depth 1 https://github.com/TheThingsNetwork/lorawan-devices, and name that folder",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::Status;

    #[tokio::test]
    async fn each_named_codec_and_each_entry_is_found_and_loaded_or_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("broken.js"), "function decodeUplink( {").unwrap();
        std::fs::create_dir_all(folder.path().join("acme/probe")).unwrap();
        std::fs::write(folder.path().join("acme/probe/codec.js"), "function decodeUplink() {}").unwrap();
        std::fs::write(folder.path().join("acme/probe/device.toml"), "fields = 7").unwrap();
        let text = format!(
            "device = [{{ id = 'node-1', codec = 'broken' }}, {{ id = 'node-2', codec = 'nope/nope' }}, \
             {{ id = 'node-3', codec = 'mbed/led-and-sensors' }}]\n[codecs]\nfolder = {0:?}\ndevice_repository = {0:?}",
            folder.path()
        );
        let config: Config = toml::from_str(&text).unwrap();
        let found: Vec<_> = check_codecs(&config).await.into_iter().map(|found| (found.leg, found.status)).collect();
        let expected = [
            ("folder", Status::Ok),
            ("device_repository", Status::Failed),
            ("acme/probe", Status::Warning),
            ("broken", Status::Warning),
            ("mbed/led-and-sensors", Status::Ok),
            ("nope/nope", Status::Failed),
        ];
        assert_eq!(found, expected.map(|(leg, status)| (leg.to_owned(), status)));
    }
}
