//! The home broker that `init` asks for: where it is and, where it wants one, a login.

use std::path::Path;

use secrecy::SecretString;

use super::draft::{Secret, password_file};
use super::{DEFAULT_HOME, Init, InitError, kept, must_be_new};
use crate::cli::Terminal;
use crate::config::Environment;
use crate::mqtt::Address;

/// For those who have the Mosquitto of Home Assistant, and have met no user of it yet.
const INTRODUCTION: &str =
    "Your MQTT broker. Home Assistant's own is mqtt://homeassistant.local, and wants a user of Home Assistant.";
const PASSWORD: &str = "TTN_FERRY_HOME_PASSWORD";

/// Where the home broker is, and as whom the bridge comes to it.
pub struct Home {
    pub url: String,
    /// Without one nobody logs in.
    pub username: Option<String>,
    pub password: Option<Secret>,
}

impl Default for Home {
    fn default() -> Self {
        Self { url: DEFAULT_HOME.into(), username: None, password: None }
    }
}

impl Init {
    /// Only a person is asked what a program may leave out: that broker may be on this machine, and let everybody in.
    pub(super) fn home(
        &self,
        target: &Path,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> Result<Home, InitError> {
        let url = self.home_url(terminal)?;
        let username = self.home_username(terminal)?;
        let password = match (&username, &self.home_password_file) {
            (_, Some(path)) => Some(kept(path, environment)?),
            (Some(_), None) => self.new_password(target, environment, terminal)?,
            (None, None) => None,
        };
        Ok(Home { url, username, password })
    }

    fn home_url(&self, terminal: &mut Terminal) -> Result<String, InitError> {
        let read =
            |text: &str| Address::parse(text).map(|_| text.to_owned()).map_err(|error| InitError::Home { error });
        match &self.home {
            Some(given) => read(given),
            None if self.asks_a_person(terminal) => {
                terminal.say(INTRODUCTION);
                let missing = InitError::Missing { what: "home broker", flag: "--home URL" };
                self.asked(terminal, "home broker", Some(DEFAULT_HOME), missing, read)
            }
            None => Ok(DEFAULT_HOME.into()),
        }
    }

    fn home_username(&self, terminal: &mut Terminal) -> Result<Option<String>, InitError> {
        let given = match &self.home_username {
            Some(given) => Some(given.clone()),
            None if self.asks_a_person(terminal) => {
                let missing = InitError::Missing { what: "user", flag: "--home-username NAME, or \"\" for none" };
                Some(terminal.ask("user at the home broker (Enter: it wants none)", None)?.ok_or(missing)?)
            }
            None => None,
        };
        Ok(given.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()))
    }

    /// None if the user has none, which an empty answer says.
    fn new_password(
        &self,
        target: &Path,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> Result<Option<Secret>, InitError> {
        must_be_new(&password_file(target), self.force, environment)?;
        if let Some(password) = environment.var(PASSWORD).filter(|password| !password.trim().is_empty()) {
            terminal.say(&format!("password of the home broker: taken from the environment, {PASSWORD}"));
            return Ok(Some(Secret::New(password.trim().into())));
        }
        // The whole input is the API key then.
        let typed = if self.api_key_stdin { None } else { terminal.ask_secret("its password")? };
        let typed = typed.ok_or(InitError::Missing {
            what: "password for the home broker",
            flag: "--home-password-file FILE, or the environment variable TTN_FERRY_HOME_PASSWORD",
        })?;
        Ok(Some(typed).filter(|typed| !typed.is_empty()).map(|typed| Secret::New(SecretString::from(typed))))
    }

    fn asks_a_person(&self, terminal: &Terminal) -> bool {
        terminal.is_person() && !self.api_key_stdin
    }
}
