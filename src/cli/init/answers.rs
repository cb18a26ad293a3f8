//! Answers that are all there at once, as the page of the first run gives them.

use std::io;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};

use super::draft::{Draft, Secret, password_file};
use super::home::Home;
use super::{DEFAULT_HOME, Init, InitError, must_be_new};
use crate::cli::Terminal;
use crate::config::Environment;

/// So that nothing has to be asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    cluster: Option<String>,
    application: Option<String>,
    tenant: Option<String>,
    mqtt_url: Option<String>,
    api_url: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    api_key: Option<SecretString>,
    home: Option<String>,
    home_username: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    home_password: Option<SecretString>,
}

impl Answers {
    /// # Errors
    /// Something is missing or no answer at all, or there is such a file already.
    pub fn draft(self, target: PathBuf, environment: &dyn Environment) -> Result<Draft, InitError> {
        let key = filled(self.api_key).ok_or(InitError::Missing { what: "API key", flag: "`api_key`" })?;
        let username = self.home_username.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let home = Home {
            url: self.home.unwrap_or_else(|| DEFAULT_HOME.into()),
            username,
            password: filled(self.home_password).map(Secret::New),
        };
        if home.password.is_some() {
            must_be_new(&password_file(&target), false, environment)?;
        }
        // With the key as its input, nothing is asked and nothing is told.
        let mut terminal = Terminal::of(io::Cursor::new(key.expose_secret().to_owned()), io::sink(), io::sink());
        let given = Init {
            cluster: self.cluster,
            application: self.application,
            tenant: self.tenant,
            mqtt_url: self.mqtt_url,
            api_url: self.api_url,
            api_key_stdin: true,
            ..Init::default()
        };
        Ok(Draft { home, ..given.network(target, environment, &mut terminal)? })
    }
}

/// Serde's own words would repeat what is no text.
fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    match serde_json::Value::deserialize(from)? {
        serde_json::Value::String(text) => Ok(Some(text.into())),
        serde_json::Value::Null => Ok(None),
        _ => Err(de::Error::custom("a key or password is a text")),
    }
}

/// An answer that says something. Around a secret, white space is none of it.
fn filled(secret: Option<SecretString>) -> Option<SecretString> {
    let secret = SecretString::from(secret?.expose_secret().trim());
    Some(secret).filter(|secret| !secret.expose_secret().is_empty())
}
