//! Where the bridge keeps what must survive a restart.

use std::path::{Path, PathBuf};

use super::{Config, Environment, SYSTEM_PATH};

/// What systemd makes of `StateDirectory=ttn-ferry`.
const OF_THE_SERVICE: &str = "/var/lib/ttn-ferry";

/// There is no place that is meant for state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no folder for the store: neither [store] path nor STATE_DIRECTORY, XDG_STATE_HOME or HOME is set")]
pub struct NoStateFolder;

impl NoStateFolder {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        "name a folder of its own: [store] path = \"/var/lib/ttn-ferry\""
    }
}

/// The folder of the store: the one configured, else systemd's for this service (`StateDirectory=`, systemd.exec(5)),
/// else the user's own (XDG base directory specification 0.8).
///
/// # Errors
/// None of them is set.
pub fn store_folder(config: &Config, environment: &dyn Environment) -> Result<PathBuf, NoStateFolder> {
    let set = |name| environment.var(name).filter(|value| !value.is_empty());
    let own = config.store.path.clone();
    let service = || set("STATE_DIRECTORY").and_then(|all| all.split(':').find(|one| !one.is_empty()).map(Into::into));
    // The specification says that a relative path there is to be ignored.
    let xdg = || set("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || set("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    own.or_else(service).or_else(|| xdg().or_else(home).map(|state| state.join("ttn-ferry"))).ok_or(NoStateFolder)
}

/// The state folder of the service, for somebody who has its configuration and was not started by systemd. None if that
/// is not the service's, or somebody says where the folder is.
pub(super) fn folder_of_the_service(config: &Path, environment: &dyn Environment) -> Option<PathBuf> {
    let is_the_services = config.parent() == Path::new(SYSTEM_PATH).parent();
    let is_told = environment.var("STATE_DIRECTORY").is_some_and(|value| !value.is_empty());
    let folder = Path::new(OF_THE_SERVICE);
    (is_the_services && !is_told && environment.exists(folder)).then(|| folder.to_owned())
}
