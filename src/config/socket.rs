//! Where the control socket lies: one answer for the service that opens it and for the commands that look for it.

use std::io;
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, Environment, default_path, parse, store_folder};

const FILE: &str = "control.sock";
/// What systemd makes of `RuntimeDirectory=ttn-ferry`.
const OF_THE_SERVICE: &str = "/run/ttn-ferry/control.sock";

/// The control socket: the first of
///
/// 1. `[service] socket`; an empty one means none at all;
/// 2. `$RUNTIME_DIRECTORY/control.sock`, which systemd sets for the service itself;
/// 3. `/run/ttn-ferry/control.sock` if it is there, so that root finds the service's;
/// 4. `$XDG_RUNTIME_DIR/ttn-ferry/control.sock` of whoever is logged in;
/// 5. `control.sock` in the folder of the store.
pub fn control_socket(config: &Config, environment: &dyn Environment) -> Option<PathBuf> {
    if let Some(socket) = &config.service.socket {
        return Some(socket.clone()).filter(|socket| !socket.as_os_str().is_empty());
    }
    let set = |name| environment.var(name).filter(|value| !value.is_empty());
    // systemd separates several with colons; the first is the one that the unit names first.
    let runtime = set("RUNTIME_DIRECTORY").map(|all| all.split(':').next().unwrap_or_default().into());
    let service = || Some(PathBuf::from(OF_THE_SERVICE)).filter(|path| environment.exists(path));
    let own = || set("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("ttn-ferry").join(FILE));
    let socket = runtime.map(|folder: PathBuf| folder.join(FILE)).or_else(service).or_else(own);
    Some(socket.unwrap_or_else(|| store_folder(config, environment).join(FILE)))
}

/// [`control_socket`] for somebody who wants to talk to a bridge and may not be allowed to read its secrets: nothing
/// but the file's own text is read. If nobody `named` a file, one that is absent or not for this user says nothing.
///
/// # Errors
/// The file is no configuration, or was named and cannot be read.
pub fn find_control_socket(
    named: Option<&Path>,
    environment: &dyn Environment,
) -> Result<Option<PathBuf>, ConfigError> {
    let path = named.map_or_else(|| default_path(environment), Path::to_owned);
    let text = match environment.read(&path) {
        Ok(text) => text,
        Err(error) if named.is_none() && is_nothing(&error) => String::new(),
        Err(source) => return Err(ConfigError::Unreadable { path, source }),
    };
    let invalid = |problem| ConfigError::Invalid { path: path.clone(), problems: vec![problem] };
    let mut config = parse::parse(&text).map_err(invalid)?;
    config.make_paths_absolute(path.parent().unwrap_or(Path::new("")));
    Ok(control_socket(&config, environment))
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}
