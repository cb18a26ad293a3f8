//! `ttn-ferry init`: asks for cluster, application, API key and home broker, and writes a configuration that `check`
//! accepts.

mod answers;
mod draft;
mod home;
mod pasted;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::run::PAGE;
use super::{Exit, Terminal};
use crate::config::{ConfigError, Environment, check_api_key};
use crate::mqtt::InvalidAddress;
pub use answers::Answers;
pub use draft::Draft;
use draft::{Secret, key_file};
use home::Home;
use pasted::{NotAPlace, OwnStack, Place};

/// Answers that a person may get wrong before we give up.
const ATTEMPTS: usize = 3;
const SYSTEM_FOLDER: &str = "/etc/ttn-ferry";
const FILE_NAME: &str = "ttn-ferry.toml";
const DEFAULT_HOME: &str = "mqtt://localhost:1883";

/// What is not given as a flag is asked for.
#[derive(Debug, Default, Args)]
pub struct Init {
    /// Cluster (eu1, nam1, au1), or the address of the console
    #[arg(long)]
    cluster: Option<String>,
    /// Application id
    #[arg(long, value_name = "ID")]
    application: Option<String>,
    /// Tenant; empty for a stack without tenants [default: ttn]
    #[arg(long)]
    tenant: Option<String>,
    /// Instead of a cluster: where a stack of your own, or a broker with its topics, speaks MQTT
    #[arg(long, value_name = "URL", conflicts_with = "cluster")]
    mqtt_url: Option<String>,
    /// Instead of a cluster: the HTTP API of a stack of your own
    #[arg(long, value_name = "URL", requires = "mqtt_url")]
    api_url: Option<String>,
    /// The file that holds the API key; it stays where it is [else: environment TTN_FERRY_API_KEY, else asked for]
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Read the API key from standard input
    #[arg(long, conflicts_with = "api_key_file")]
    api_key_stdin: bool,
    /// The home broker [else: asked for, if there is a terminal, or mqtt://localhost:1883]
    #[arg(long, value_name = "URL")]
    home: Option<String>,
    /// User at the home broker; empty for a broker that wants none [else: asked for, if there is a terminal]
    #[arg(long, value_name = "NAME")]
    home_username: Option<String>,
    /// The file that holds the user's password; it stays where it is [else: environment TTN_FERRY_HOME_PASSWORD, else
    /// asked for]
    #[arg(long, value_name = "FILE")]
    home_password_file: Option<PathBuf>,
    /// Overwrite what is there
    #[arg(long)]
    force: bool,
}

/// Why no configuration was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error(
        "{} exists already\n  hint: --force overwrites it, --config FILE writes another one; to use a secret that is there: \
         --api-key-file, --home-password-file",
        .0.display()
    )]
    Exists(PathBuf),
    #[error("no {what}\n  hint: {flag}")]
    Missing { what: &'static str, flag: &'static str },
    #[error("{error}\n  hint: eu1, nam1, au1, or the address your browser shows in the console")]
    Place { error: NotAPlace },
    #[error("the application id is missing its value\n  hint: copy the ID from the application's page in the console")]
    EmptyApplication,
    #[error(
        "the home broker: {error}\n  hint: mqtt://host, or mqtts://host with TLS; user and password have answers of their own"
    )]
    Home { error: InvalidAddress },
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} cannot be written: {source}\n  hint: --config FILE writes it elsewhere", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("no configuration was written, because this would be wrong with it:\n{0}")]
    Invalid(#[from] ConfigError),
    #[error("the terminal is gone: {0}")]
    Terminal(#[from] io::Error),
}

impl Init {
    pub fn run(
        self,
        config: Option<PathBuf>,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> Result<Exit, InitError> {
        let target = config.unwrap_or_else(default_target);
        let force = self.force;
        let draft = self.network(target, environment, terminal)?;
        let draft = Draft { home: self.home(&draft.target, environment, terminal)?, ..draft };
        draft.check(environment)?;
        draft.write(force)?;
        next_steps(&draft, terminal)?;
        Ok(Exit::Success)
    }

    /// Everything as it will be written, with a home broker that nobody was asked for yet.
    fn network(
        &self,
        target: PathBuf,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> Result<Draft, InitError> {
        must_be_new(&target, self.force, environment)?;
        if self.api_key_file.is_none() {
            must_be_new(&key_file(&target), self.force, environment)?;
        }
        let mut place = self.place(terminal)?;
        let id = self.application(&mut place, terminal)?;
        let tenant = self.tenant.clone().or(place.tenant).unwrap_or_else(|| match place.own {
            Some(_) => String::new(),
            None => "ttn".into(),
        });
        let own = place.own.map(|own| (own.mqtt_url, Some(own.api_url).filter(|url| !url.is_empty())));
        let key = self.key(environment, terminal)?;
        Ok(Draft { target, cluster: place.cluster, own, id, tenant, key, home: Home::default(), page: PAGE })
    }

    fn place(&self, terminal: &mut Terminal) -> Result<Place, InitError> {
        if let Some(mqtt_url) = self.mqtt_url.clone() {
            let own = OwnStack { mqtt_url, api_url: self.api_url.clone().unwrap_or_default() };
            return Ok(Place { own: Some(own), ..Place::default() });
        }
        if let Some(given) = &self.cluster {
            return pasted::place(given).map_err(|error| InitError::Place { error });
        }
        // An application pasted with its address tells the cluster too.
        if let Some(Ok(place)) = self.application.as_deref().map(pasted::application)
            && (place.cluster.is_some() || place.own.is_some())
        {
            return Ok(place);
        }
        let question = "cluster (eu1, nam1, au1), or the address of your console";
        let missing =
            InitError::Missing { what: "cluster", flag: "--cluster eu1, or --mqtt-url URL for a stack of your own" };
        self.asked(terminal, question, Some("eu1"), missing, |text| {
            pasted::place(text).map_err(|error| InitError::Place { error })
        })
    }

    /// The application's id; what else the answer tells goes into `place`.
    fn application(&self, place: &mut Place, terminal: &mut Terminal) -> Result<String, InitError> {
        let read = |text: &str| {
            let place = pasted::application(text).map_err(|error| InitError::Place { error })?;
            if place.application.as_deref().unwrap_or_default().is_empty() {
                Err(InitError::EmptyApplication)
            } else {
                Ok(place)
            }
        };
        let told = match (&self.application, &place.application) {
            (Some(given), _) => read(given)?,
            (None, Some(_)) => place.clone(),
            (None, None) => {
                let missing = InitError::Missing { what: "application", flag: "--application ID" };
                self.asked(terminal, "application id", None, missing, read)?
            }
        };
        place.tenant = told.tenant.or(place.tenant.take());
        told.application.ok_or(InitError::EmptyApplication)
    }

    fn key(&self, environment: &dyn Environment, terminal: &mut Terminal) -> Result<Secret, InitError> {
        if let Some(path) = &self.api_key_file {
            return kept(path, environment);
        }
        if self.api_key_stdin {
            return Ok(Secret::New(terminal.rest()?.into()));
        }
        if let Some(key) = environment.var("TTN_FERRY_API_KEY").filter(|key| !key.trim().is_empty()) {
            terminal.say("API key: taken from the environment, TTN_FERRY_API_KEY");
            return Ok(Secret::New(key.trim().into()));
        }
        asked_key(terminal).map(Secret::New)
    }

    /// Asks until the answer can be read; only a person is asked again. Nothing is asked if the input is the API key:
    /// it would be taken for the answer, and shown.
    fn asked<T>(
        &self,
        terminal: &mut Terminal,
        question: &str,
        default: Option<&str>,
        missing: InitError,
        read: impl Fn(&str) -> Result<T, InitError>,
    ) -> Result<T, InitError> {
        if self.api_key_stdin {
            return Err(missing);
        }
        for attempt in 1.. {
            let Some(answer) = terminal.ask(question, default)? else { break };
            match read(&answer) {
                Err(error) if terminal.is_person() && attempt < ATTEMPTS => terminal.say(&error.to_string()),
                outcome => return outcome,
            }
        }
        Err(missing)
    }
}

impl InitError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. } | Self::Place { .. } | Self::Home { .. } | Self::EmptyApplication => Exit::Usage,
            Self::Invalid(_) => Exit::Configuration,
            _ => Exit::Failure,
        }
    }
}

/// Asks for the key. One of an unusual shape is pointed out at once and, because a stack of one's own may have any,
/// taken when it is given again.
fn asked_key(terminal: &mut Terminal) -> Result<SecretString, InitError> {
    const MISSING: InitError = InitError::Missing {
        what: "API key",
        flag: "--api-key-file FILE, --api-key-stdin, or the environment variable TTN_FERRY_API_KEY",
    };
    let ask = |terminal: &mut Terminal| -> Result<SecretString, InitError> {
        let text = terminal.ask_secret("API key")?.filter(|text| !text.is_empty());
        text.map(SecretString::from).ok_or(MISSING)
    };
    let key = ask(terminal)?;
    match check_api_key(key.expose_secret()) {
        Err(error) if terminal.is_person() => {
            terminal.say(&format!("{error}\n  hint: {}", error.hint()));
            ask(terminal)
        }
        _ => Ok(key),
    }
}

/// A secret that stays in its file.
fn kept(path: &Path, environment: &dyn Environment) -> Result<Secret, InitError> {
    let absolute = std::path::absolute(path).and_then(|path| environment.read(&path).map(|_| path));
    absolute.map(Secret::File).map_err(|source| InitError::Unreadable { path: path.to_owned(), source })
}

fn must_be_new(path: &Path, force: bool, environment: &dyn Environment) -> Result<(), InitError> {
    if !force && environment.exists(path) { Err(InitError::Exists(path.to_owned())) } else { Ok(()) }
}

/// The service's folder if we may write there, else the folder we stand in.
pub fn default_target() -> PathBuf {
    let folder = Path::new(SYSTEM_FOLDER);
    let probe = folder.join(".write-probe");
    let writable = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&probe, "")).is_ok();
    // Only there to see whether it can be; gone or not, nothing depends on it.
    let _ = std::fs::remove_file(&probe);
    if writable { folder.join(FILE_NAME) } else { FILE_NAME.into() }
}

fn next_steps(draft: &Draft, terminal: &mut Terminal) -> io::Result<()> {
    let config = draft.target.display();
    terminal.line(&format!("wrote {config}"))?;
    for (path, _) in draft.new_secrets() {
        terminal.line(&format!("wrote {} (readable by you alone)", path.display()))?;
    }
    let user = draft.home.username.as_ref().map_or("without a user".into(), |user| format!("as {user}"));
    terminal.line(&format!("home broker: {}, {user} (to change it: [home] in that file)", draft.home.url))?;
    terminal.line("next:")?;
    terminal.line(&format!("  ttn-ferry check --connect --config {config}"))?;
    terminal.line(&format!("  ttn-ferry run --config {config}"))
}

impl Terminal {
    /// All that is left of the input, without white space around it.
    fn rest(&mut self) -> io::Result<String> {
        let mut text = String::new();
        self.input().take(64 << 10).read_to_string(&mut text)?;
        Ok(text.trim().to_owned())
    }
}

#[cfg(test)]
mod tests;
