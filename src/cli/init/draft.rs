//! The configuration that `init` writes: its text, checked before anything is written, and its files.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::InitError;
use super::home::Home;
use crate::config::{Config, ConfigError, Environment};

/// Everything `init` learned.
pub struct Draft {
    pub target: PathBuf,
    pub cluster: Option<String>,
    /// MQTT and HTTP address of a stack of one's own, in place of the cluster.
    pub own: Option<(String, Option<String>)>,
    pub id: String,
    pub tenant: String,
    pub key: Secret,
    pub home: Home,
    /// Where the page will be.
    pub page: SocketAddr,
}

/// Where a secret comes from.
pub enum Secret {
    /// Goes into a new file beside the configuration.
    New(SecretString),
    /// Stays in the file in which it is.
    File(PathBuf),
}

/// The file of a new API key.
pub fn key_file(target: &Path) -> PathBuf {
    target.with_extension("key")
}

/// The file of a new password for the home broker, where the unit of the service looks for it too.
pub fn password_file(target: &Path) -> PathBuf {
    target.with_file_name("home.password")
}

impl Draft {
    /// Loads the configuration as `run` would, without a file being there yet.
    pub fn check(&self, environment: &dyn Environment) -> Result<(), ConfigError> {
        Config::from_text(&self.text(), &self.target, &self.as_written(environment)).map(|_| ())
    }

    /// The environment as it will be once the files are written.
    pub fn as_written<'a>(&'a self, environment: &'a dyn Environment) -> impl Environment + use<'a> {
        Drafted { draft: self, environment }
    }

    /// Writes the files of the secrets, then the configuration. What was not there before is not left there by half.
    pub fn write(&self, force: bool) -> Result<(), InitError> {
        if let Some(folder) = self.target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|source| failed(folder.to_owned(), source))?;
        }
        let secrets = self.new_secrets().map(|(path, secret)| (path, format!("{}\n", secret.expose_secret()), 0o600));
        let mut new = Vec::new();
        for (path, text, mode) in secrets.chain([(self.target.clone(), self.text(), 0o644)]) {
            match write_file(&path, &text, mode, force) {
                Ok(()) if force => {}
                Ok(()) => new.push(path),
                Err(source) => {
                    // Else the next try would find them, and stop there. If one cannot be removed, that says so.
                    new.iter().for_each(|path| drop(std::fs::remove_file(path)));
                    return Err(failed(path, source));
                }
            }
        }
        Ok(())
    }

    /// Secrets that are in no file yet, and where they will be.
    pub fn new_secrets(&self) -> impl Iterator<Item = (PathBuf, &SecretString)> {
        let key = (key_file(&self.target), Some(&self.key));
        let password = (password_file(&self.target), self.home.password.as_ref());
        [key, password].into_iter().filter_map(|(path, secret)| match secret? {
            Secret::New(secret) => Some((path, secret)),
            Secret::File(_) => None,
        })
    }

    /// The text of the configuration.
    pub fn text(&self) -> String {
        let place = match (&self.cluster, &self.own) {
            (Some(cluster), _) => format!("cluster = {}\n", quoted(cluster)),
            (None, Some((mqtt, api))) => {
                let api = api.as_ref().map(|api| format!("api_url = {}\n", quoted(api))).unwrap_or_default();
                format!("mqtt_url = {}\n{api}", quoted(mqtt))
            }
            (None, None) => String::new(),
        };
        let tenant = if self.tenant == "ttn" { String::new() } else { format!("tenant = {}\n", quoted(&self.tenant)) };
        let (id, page) = (quoted(&self.id), quoted(&self.page.to_string()));
        let key_file = named(&self.key, key_file(&self.target));
        let (home, login) = (quoted(&self.home.url), self.login());
        format!(
            r#"# ttn-ferry. `ttn-ferry check` says what is wrong with this file, `ttn-ferry check --connect` tries it.

[[application]]                  # one table for each application
id = {id}
{place}{tenant}api_key_file = {key_file}   # the key stands alone in a file of its own

[home]
url = {home}    # mqtts:// with TLS
{login}base_topic = "ttn"               # everything is published below this

[web]
listen = {page}        # the page, for browsers on this machine; "[::]:8899" for the whole network
# password_file = "web.password" # needed for that

# [[device]]                     # only for what a device should be called, or a codec of its own
# id = "my-device"
# friendly_name = "garden/soil"
"#
        )
    }

    /// The lines of the home broker's user and password; without them, what they would look like.
    fn login(&self) -> String {
        let Home { username, password, .. } = &self.home;
        let username = match username {
            Some(username) => format!("username = {}", quoted(username)),
            None => r#"# username = "ferry""#.into(),
        };
        let password = match password {
            Some(password) => format!("password_file = {}", named(password, password_file(&self.target))),
            None => r#"# password_file = "home.password""#.into(),
        };
        format!("{username}\n{password}\n")
    }
}

/// How the configuration names a secret's file: one beside it without the folder, so that they can move together.
fn named(secret: &Secret, new: PathBuf) -> String {
    let path = match secret {
        Secret::New(_) => new.file_name().map(PathBuf::from).unwrap_or_default(),
        Secret::File(path) => path.clone(),
    };
    quoted(&path.to_string_lossy())
}

fn failed(path: PathBuf, source: io::Error) -> InitError {
    match source.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists(path),
        _ => InitError::Write { path, source },
    }
}

/// The environment as it will be once the secrets' files are written. Our own variables are left out: what is written
/// must do without them, since they may be gone when the bridge runs.
struct Drafted<'a> {
    draft: &'a Draft,
    environment: &'a dyn Environment,
}

impl Environment for Drafted<'_> {
    fn var(&self, name: &str) -> Option<String> {
        let is_own = name.starts_with("TTN_FERRY_") || name == "CREDENTIALS_DIRECTORY";
        if is_own { None } else { self.environment.var(name) }
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        match self.draft.new_secrets().find(|(new, _)| new == path) {
            Some((_, secret)) => Ok(secret.expose_secret().to_owned()),
            None => self.environment.read(path),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.environment.exists(path)
    }

    fn readable_by_others(&self, _path: &Path) -> bool {
        false
    }
}

/// A JSON string is a TOML basic string as well.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Writes a file that was not there before or, by force, takes the place of what is there in one step.
fn write_file(path: &Path, text: &str, mode: u32, force: bool) -> io::Result<()> {
    let beside = path.with_extension("new");
    let first = if force { &beside } else { path };
    if force && beside.exists() {
        std::fs::remove_file(&beside)?;
    }
    let mut file = created(first, mode)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let in_place = written.and_then(|()| if force { std::fs::rename(first, path) } else { Ok(()) });
    if in_place.is_err() {
        // A full disk, or a folder of that name: what is left would be in the way of the next try, and may be a secret.
        std::fs::remove_file(first).ok();
    }
    in_place
}

#[cfg(unix)]
fn created(path: &Path, mode: u32) -> io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

#[cfg(not(unix))]
fn created(path: &Path, _mode: u32) -> io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create_new(true).open(path)
}
