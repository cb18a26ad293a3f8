//! Codecs: is the user's folder there, and does every `codec = …` name one?

use super::finding::{Finding, Legs};
use crate::config::Config;

/// Checks the folder of the user's codecs.
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
    // CALL SITE for the lead: resolve every `codec` of `config.application` and `config.device` through
    // `crate::codecs`, one leg a name.
    legs.into_findings()
}
