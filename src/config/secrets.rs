//! Secrets: from the file, a file of their own, the environment or a systemd credential, and from nowhere else.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::error::Report;
use super::{ApplicationConfig, Config, DeviceConfig, Environment, HomeConfig, KekConfig, WebConfig};
use crate::mqtt::MqttVersion;
use crate::network::ttn::{check_app_s_key, check_kek};

/// Puts every secret into the configuration, or reports where it was looked for.
pub fn resolve(config: &mut Config, path: &Path, environment: &dyn Environment, report: &mut Report) {
    warn_of_open_file(config, path, environment, report);
    for (index, application) in config.application.iter_mut().enumerate() {
        api_key(application, &format!("application[{index}]"), environment, report);
        for (number, kek) in application.kek.iter_mut().enumerate() {
            kek_key(kek, &format!("application[{index}].kek[{number}]"), environment, report);
        }
    }
    for (index, device) in config.device.iter_mut().enumerate() {
        app_s_key(device, &format!("device[{index}]"), environment, report);
    }
    home_password(&mut config.home, environment, report);
    web_secrets(&mut config.web, environment, report);
}

/// The place of a secret that stands in the configuration itself.
const OWN: &str = "the configuration";

/// Where one secret may be, in the order of the search.
struct Search<'a> {
    environment: &'a dyn Environment,
    /// What stands in the configuration itself, if it may.
    own: Option<Option<&'a SecretString>>,
    file: Option<&'a Path>,
    variables: Vec<String>,
    credentials: Vec<String>,
}

/// What a search brought.
#[derive(Default)]
struct Found {
    secret: Option<SecretString>,
    /// Where it was.
    place: String,
    /// Every place looked into, and what was there.
    looked: Vec<String>,
    /// The file that was named and could not be used, if something else could.
    passed_over: Option<String>,
}

impl Search<'_> {
    fn run(&self) -> Found {
        let mut found = Found::default();
        if let Some(own) = self.own {
            found.take(OWN, Ok(own.map(|own| own.expose_secret().to_owned())));
        }
        if let Some(file) = self.file {
            found.take_file(file, self.environment);
        }
        for variable in &self.variables {
            found.take(&format!("environment {variable}"), Ok(self.environment.var(variable)));
        }
        self.in_credentials(&mut found);
        found
    }

    fn in_credentials(&self, found: &mut Found) {
        let folder = self.environment.var("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        for name in &self.credentials {
            let place = format!("systemd credential {name}");
            match &folder {
                None => found.take(&place, Ok(None)),
                Some(folder) => found.take(&place, read(&folder.join(name), self.environment)),
            }
        }
    }
}

impl Found {
    /// Notes what a place holds; the first that holds something wins.
    fn take(&mut self, place: &str, held: Result<Option<String>, std::io::Error>) {
        if self.secret.is_some() {
            return;
        }
        let outcome = match held {
            Ok(None) => "not set".to_owned(),
            Ok(Some(text)) if text.trim().is_empty() => "empty".to_owned(),
            Ok(Some(text)) => {
                self.secret = Some(text.trim().into());
                self.place = place.into();
                return;
            }
            Err(error) => error.to_string(),
        };
        self.looked.push(format!("{place}: {outcome}"));
    }

    /// Where it was is told to those who ask.
    fn note(&self, key: String, report: &mut Report) {
        // In the configuration itself it has its line already.
        if self.secret.is_some() && self.place != OWN {
            report.sources.note(key, &self.place);
        }
    }

    /// A file that was named must be there; but a service that runs as a user of its own may be refused a key file
    /// that systemd hands to it as a credential, so the search goes on.
    fn take_file(&mut self, file: &Path, environment: &dyn Environment) {
        let held = environment.read(file);
        let refused = held.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
        let place = format!("file {}", file.display());
        let before = self.secret.is_some();
        self.take(&place, held.map(Some));
        if !before && self.secret.is_none() && !refused {
            self.passed_over = self.looked.last().cloned();
        }
    }
}

fn api_key(application: &mut ApplicationConfig, at: &str, environment: &dyn Environment, report: &mut Report) {
    let name = application.name();
    let found = Search {
        environment,
        own: Some(application.api_key.as_ref()),
        file: application.api_key_file.as_deref(),
        variables: vec![format!("TTN_FERRY_API_KEY_{}", variable_part(name)), "TTN_FERRY_API_KEY".into()],
        credentials: vec![format!("api-key-{name}"), "api-key".into()],
    }
    .run();
    if let Some(file) = &application.api_key_file {
        warn_of_open_secret(&format!("{at}.api_key_file"), file, environment, report);
    }
    let plain_broker = application.cluster.is_none() && application.api_url.is_none();
    match (&found.secret, &found.passed_over) {
        (Some(_), Some(file)) => {
            report.warn(
                format!("{at}.api_key_file"),
                format!("not used: {file}"),
                "name the right file, or leave it out",
            );
        }
        (Some(_), None) => {}
        (None, _) if plain_broker && application.api_key_file.is_none() => {
            report.warn(at, "no API key found: logging in without a password", "right for a broker that asks for none");
        }
        (None, _) => report.error(format!("{at}.api_key_file"), no_key(&found.looked), MAKE_A_KEY),
    }
    found.note(format!("{at}.api_key"), report);
    application.api_key = found.secret;
}

const MAKE_A_KEY: &str = "in the console: the application, API keys, add a key with the rights to read and write its \
                          traffic; put the key alone into a file and name it: api_key_file = \"ttn-ferry.key\"";

fn no_key(looked: &[String]) -> String {
    format!("no API key found; looked in {}", looked.join("; "))
}

fn kek_key(kek: &mut KekConfig, at: &str, environment: &dyn Environment, report: &mut Report) {
    let label = kek.label.trim();
    if label.is_empty() {
        // A rule tells.
        return;
    }
    let found = Search {
        environment,
        own: None,
        file: kek.key_file.as_deref(),
        variables: vec![format!("TTN_FERRY_KEK_{}", variable_part(label))],
        credentials: vec![format!("kek-{}", file_part(label))],
    }
    .run();
    let (key, at) = (format!("{at}.key"), format!("{at}.key_file"));
    if let Some(file) = &kek.key_file {
        warn_of_open_secret(&at, file, environment, report);
    }
    match found.secret.as_ref().map(|key| check_kek(key.expose_secret())) {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            report.error(at, error, "the key of this label as the Join Server has it, and nothing else")
        }
        None => {
            let message = format!("no key found for `{label}`; looked in {}", found.looked.join("; "));
            report.error(at, message, "put the key alone into a file and name it: key_file = \"kek.key\"");
        }
    }
    found.note(key, report);
    kek.key = found.secret;
}

/// Most devices have none.
fn app_s_key(device: &mut DeviceConfig, at: &str, environment: &dyn Environment, report: &mut Report) {
    let found = Search {
        environment,
        own: None,
        file: device.app_s_key_file.as_deref(),
        variables: vec![format!("TTN_FERRY_APP_S_KEY_{}", variable_part(&device.id))],
        credentials: vec![format!("app-s-key-{}", file_part(&device.id))],
    }
    .run();
    let (key, at) = (format!("{at}.app_s_key"), format!("{at}.app_s_key_file"));
    if let Some(file) = &device.app_s_key_file {
        warn_of_open_secret(&at, file, environment, report);
    }
    match found.secret.as_ref().map(|key| check_app_s_key(key.expose_secret())) {
        Some(Err(error)) => report.error(at, error, "the AppSKey of the device's session, and nothing else"),
        None if device.app_s_key_file.is_some() => {
            let message = format!("no key found; looked in {}", found.looked.join("; "));
            report.error(at, message, "put the key alone into this file, or leave it out");
        }
        Some(Ok(())) | None => {}
    }
    found.note(key, report);
    device.app_s_key = found.secret;
}

fn home_password(home: &mut HomeConfig, environment: &dyn Environment, report: &mut Report) {
    let is_named = home.password.is_some() || home.password_file.is_some();
    let mut found = Search {
        environment,
        own: Some(home.password.as_ref()),
        file: home.password_file.as_deref(),
        variables: vec!["TTN_FERRY_HOME_PASSWORD".into()],
        credentials: vec!["home-password".into()],
    }
    .run();
    if let Some(file) = &home.password_file {
        warn_of_open_secret("home.password_file", file, environment, report);
        if found.secret.is_none() {
            let message = format!("no password found; looked in {}", found.looked.join("; "));
            report.error("home.password_file", message, "put the password alone into this file, or leave the key out");
        }
    }
    if found.secret.is_some() && home.username.is_none() && home.mqtt_version == MqttVersion::V3_1_1 {
        let hint = "MQTT 3.1.1 has no login by password alone: set username, or mqtt_version = \"5\" for a token alone";
        if is_named {
            report.error("home.username", "a password is given and no user name", hint);
        } else {
            // The service's unit hands over a file that may be left from a login of before.
            report.warn("home.username", format!("{}: not used, because there is no user name", found.place), hint);
            found = Found::default();
        }
    }
    found.note("home.password".into(), report);
    home.password = found.secret;
}

/// The page may do without them; who names a file wants what is in it.
fn web_secrets(web: &mut WebConfig, environment: &dyn Environment, report: &mut Report) {
    let WebConfig { password, password_file, token, token_file, .. } = web;
    for (name, secret, file) in [("password", password, password_file), ("token", token, token_file)] {
        let found = Search {
            environment,
            own: Some(secret.as_ref()),
            file: file.as_deref(),
            variables: vec![format!("TTN_FERRY_WEB_{}", variable_part(name))],
            credentials: vec![format!("web-{name}")],
        }
        .run();
        if let Some(file) = file {
            let key = format!("web.{name}_file");
            warn_of_open_secret(&key, file, environment, report);
            if found.secret.is_none() {
                let message = format!("no {name} found; looked in {}", found.looked.join("; "));
                report.error(key, message, format!("put the {name} alone into this file, or leave the key out"));
            }
        }
        found.note(format!("web.{name}"), report);
        *secret = found.secret;
    }
}

/// Upper case, and `_` for all that cannot stand in a variable's name.
fn variable_part(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// `-` for all that cannot stand in a file's name.
fn file_part(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

fn read(path: &Path, environment: &dyn Environment) -> std::io::Result<Option<String>> {
    match environment.read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn warn_of_open_file(config: &Config, path: &Path, environment: &dyn Environment, report: &mut Report) {
    let in_application = config.application.iter().position(|application| application.api_key.is_some());
    let key = match in_application {
        Some(index) => format!("application[{index}].api_key"),
        None if config.home.password.is_some() => "home.password".into(),
        None if config.web.password.is_some() => "web.password".into(),
        None if config.web.token.is_some() => "web.token".into(),
        None => return,
    };
    warn_of_open_secret(&key, path, environment, report);
}

fn warn_of_open_secret(key: &str, path: &Path, environment: &dyn Environment, report: &mut Report) {
    if environment.readable_by_others(path) {
        let message = format!("every user of this machine can read this secret in {}", path.display());
        report.warn(key, message, format!("chmod 600 {}", path.display()));
    }
}
