//! The store: where it lies, and whether this user could open or make it.

use super::finding::{Finding, Legs};
use crate::config::{Config, Environment, store_folder};
use crate::store;

/// Looks at the store's file, which a running bridge may have open.
pub fn check_store(config: &Config, environment: &dyn Environment) -> Vec<Finding> {
    let mut legs = Legs::of("store");
    match store_folder(config, environment) {
        Err(error) => legs.failed("folder", error, error.hint()),
        Ok(folder) => {
            let file = folder.join(store::FILE);
            let whose =
                if config.store.path.is_none() && environment.var("STATE_DIRECTORY").is_none() { OWN } else { "" };
            match store::look(&file) {
                Ok(true) => legs.ok("file", format!("{}{whose}", file.display())),
                Ok(false) => legs.ok("file", format!("{}, to be made{whose}", file.display())),
                // The service may be another user, and its disk may be there by then.
                Err(error) if !error.is_permanent() => legs.warning("file", &error, error.hint()),
                Err(error) => legs.failed("file", &error, error.hint()),
            }
        }
    }
    legs.into_findings()
}

const OWN: &str = " (run by this user; a service has the folder that systemd gives it, such as /var/lib/ttn-ferry)";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::check::finding::Status;
    use crate::config::Process;

    #[test]
    fn a_store_is_found_missing_or_told_to_be_none_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("not/yet");
        let config: Config = toml::from_str(&format!("[store]\npath = {inner:?}")).unwrap();
        let check = || {
            let found = check_store(&config, &Process);
            (found.len(), found[0].status, found[0].detail.clone())
        };
        let (count, status, detail) = check();
        assert!((count, status) == (1, Status::Ok) && detail.ends_with("to be made"), "{detail}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        fs::create_dir_all(&inner).unwrap();
        let file = inner.join(store::FILE);
        fs::write(&file, "this is not ours").unwrap();
        assert_eq!(check().1, Status::Failed);
        assert_eq!(fs::read(&file).unwrap(), b"this is not ours");

        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(check().1, Status::Warning);
    }
}
