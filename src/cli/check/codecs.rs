//! Codecs: is the user's folder there, and does every `codec = …` name one that loads?

use std::collections::BTreeSet;

use super::finding::{Finding, Legs};
use crate::codecs::Finder;
use crate::config::Config;
use crate::telemetry::with_causes;

/// Checks the folder of the user's codecs, and each codec that the configuration names, once.
pub fn check_codecs(config: &Config) -> Vec<Finding> {
    let mut legs = Legs::of("codecs");
    if let Some(folder) = &config.codecs.folder {
        match std::fs::read_dir(folder) {
            Ok(_) => legs.ok("folder", folder.display()),
            Err(error) => {
                legs.failed("folder", format!("{}: {error}", folder.display()), "make it, or set codecs.folder")
            }
        }
    }
    let mut finder = Finder::new(&config.codecs);
    let named = config.application.iter().map(|application| &application.codec);
    let named: BTreeSet<_> = named.chain(config.device.iter().map(|device| &device.codec)).flatten().collect();
    for name in named {
        match finder.named(name) {
            Err(error) => legs.failed(name, with_causes(&error), WHERE),
            Ok(codec) => match codec.try_load(&config.codecs) {
                Ok(()) => legs.ok(name, "loads"),
                Err(error) => legs.warning(name, with_causes(&error), "mend the script; until then uplinks go on raw"),
            },
        }
    }
    legs.into_findings()
}

const WHERE: &str =
    "name a shipped one (such as mbed/led-and-sensors), a file in codecs.folder without its .js, or a path";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::Status;

    #[test]
    fn each_named_codec_is_found_and_loaded_or_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("broken.js"), "function decodeUplink( {").unwrap();
        let text = format!(
            "device = [{{ id = 'node-1', codec = 'broken' }}, {{ id = 'node-2', codec = 'nope/nope' }}, \
             {{ id = 'node-3', codec = 'mbed/led-and-sensors' }}]\n[codecs]\nfolder = {:?}",
            folder.path()
        );
        let config: Config = toml::from_str(&text).unwrap();
        let found: Vec<_> = check_codecs(&config).into_iter().map(|found| (found.leg, found.status)).collect();
        let expected = [
            ("folder", Status::Ok),
            ("broken", Status::Warning),
            ("mbed/led-and-sensors", Status::Ok),
            ("nope/nope", Status::Failed),
        ];
        assert_eq!(found, expected.map(|(leg, status)| (leg.to_owned(), status)));
    }
}
