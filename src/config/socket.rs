//! Where the control socket lies: one answer for the service that opens it and for the commands that look for it.

use std::io;
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, Environment, default_path, store_folder};

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
///
/// None if there is not even that.
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
    socket.or_else(|| Some(store_folder(config, environment).ok()?.join(FILE)))
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
    Ok(control_socket(&Config::as_written(&text, &path, environment)?, environment))
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variables, and files with their text.
    #[derive(Default)]
    struct Fake {
        variables: Vec<(&'static str, &'static str)>,
        files: Vec<(&'static str, &'static str)>,
        forbidden: bool,
    }

    impl Environment for Fake {
        fn var(&self, name: &str) -> Option<String> {
            self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        }

        fn read(&self, path: &Path) -> io::Result<String> {
            if self.forbidden {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            let found = self.files.iter().find(|(known, _)| Path::new(known) == path);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn exists(&self, path: &Path) -> bool {
            self.files.iter().any(|(known, _)| Path::new(known) == path)
        }

        fn readable_by_others(&self, _path: &Path) -> bool {
            false
        }
    }

    fn found(environment: &Fake) -> Option<PathBuf> {
        find_control_socket(None, environment).unwrap()
    }

    #[test]
    fn the_first_place_that_is_set_wins() {
        let mut environment = Fake {
            variables: vec![
                ("RUNTIME_DIRECTORY", "/run/ttn-ferry:/run/other"),
                ("XDG_RUNTIME_DIR", "/run/user/7"),
                ("STATE_DIRECTORY", "/var/lib/ttn-ferry"),
            ],
            files: vec![("/etc/ttn-ferry/ttn-ferry.toml", "[service]\nsocket = 'own.sock'"), (OF_THE_SERVICE, "")],
            forbidden: false,
        };
        let mut expect = |change: fn(&mut Fake), path: &str| {
            assert_eq!(found(&environment), Some(path.into()));
            change(&mut environment);
        };
        expect(|it| it.files = it.files.split_off(1), "/etc/ttn-ferry/own.sock");
        expect(|it| it.variables = it.variables.split_off(1), "/run/ttn-ferry/control.sock");
        expect(|it| it.files.clear(), OF_THE_SERVICE);
        expect(|it| it.variables = it.variables.split_off(1), "/run/user/7/ttn-ferry/control.sock");
        expect(|it| it.variables.clear(), "/var/lib/ttn-ferry/control.sock");
        assert_eq!(found(&environment), None);
    }

    #[test]
    fn an_empty_one_is_none() {
        let files = vec![("ttn-ferry.toml", "[service]\nsocket = ''")];
        assert_eq!(found(&Fake { files, variables: vec![("RUNTIME_DIRECTORY", "/run")], forbidden: false }), None);
    }

    #[test]
    fn who_may_not_read_the_configuration_finds_the_usual_place_unless_a_file_was_named() {
        let variables = vec![("XDG_RUNTIME_DIR", "/run/user/7")];
        let environment = Fake { variables, files: Vec::new(), forbidden: true };
        assert_eq!(found(&environment), Some("/run/user/7/ttn-ferry/control.sock".into()));
        let named = find_control_socket(Some(Path::new("mine.toml")), &environment);
        assert!(matches!(named, Err(ConfigError::Unreadable { .. })));
    }

    #[test]
    fn secrets_need_not_be_there() {
        let files =
            vec![("ttn-ferry.toml", "[[application]]\nid = 'a'\napi_key_file = 'gone'\n[service]\nsocket = '/s'")];
        assert_eq!(found(&Fake { files, ..Fake::default() }), Some("/s".into()));
    }
}
