//! `ttn-ferry check`: is the configuration right and, with `--connect`, does every leg of the way carry?

mod api;
mod application;
mod codecs;
mod finding;
mod home;
mod login;
mod page;
mod reach;
mod store;

use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::{Exit, Terminal};
use crate::config::{ApplicationConfig, Config, ConfigError, Environment};
pub use finding::{Finding, Status};

#[derive(Debug, Default, Args)]
pub struct Check {
    /// Also try every connection: name, TCP, TLS, login, rights, and a message to the home broker and back
    #[arg(long)]
    connect: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// How long each leg may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    name: Duration,
    tcp: Duration,
    tls: Duration,
    login: Duration,
    /// An answer on a connection that stands, or to an HTTP request.
    answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { name: seconds(5), tcp: seconds(5), tls: seconds(10), login: seconds(20), answer: seconds(10) }
    }
}

impl Check {
    pub async fn run(
        self,
        path: &Path,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        let config = match Config::load(path, environment) {
            Ok(config) => config,
            Err(error) if self.json => {
                self.print(&refused(path, &error), terminal)?;
                return Ok(Exit::Configuration);
            }
            Err(error) => return Err(error.into()),
        };
        let mut all = in_itself(path, &config, environment).await;
        let wrong = any_failed(&all);
        self.print(&all, terminal)?;
        if self.connect {
            for connection in connections(&config) {
                let legs = connection.look(environment).await;
                self.print(&legs, terminal)?;
                all.extend(legs);
            }
        }
        Ok(match any_failed(&all) {
            // `run` would end so too.
            true if wrong => Exit::Configuration,
            true => Exit::Failure,
            false => Exit::Success,
        })
    }

    fn print(&self, findings: &[Finding], terminal: &mut Terminal) -> anyhow::Result<()> {
        for finding in findings {
            let text = if self.json { serde_json::to_string(finding)? } else { finding.to_string() };
            terminal.line(&text)?;
        }
        Ok(())
    }
}

/// One of the ways that a bridge with this configuration would take.
pub enum Connection<'a> {
    Network(&'a ApplicationConfig),
    Home(&'a Config),
}

/// All of them, in the order in which they are looked at.
pub fn connections(config: &Config) -> impl Iterator<Item = Connection<'_>> {
    config.application.iter().map(Connection::Network).chain([Connection::Home(config)])
}

impl Connection<'_> {
    /// Tries it, leg by leg.
    pub async fn look(self, environment: &dyn Environment) -> Vec<Finding> {
        let limits = Limits::default();
        match self {
            Self::Network(application) => application::check(application, environment, limits).await,
            Self::Home(config) => home::check(&config.home, &config.home_assistant, environment, limits).await,
        }
    }
}

/// What can be said of a configuration without a network.
pub async fn in_itself(path: &Path, config: &Config, environment: &dyn Environment) -> Vec<Finding> {
    let mut all = accepted(path, config);
    all.extend(codecs::check_codecs(config).await);
    all.extend(store::check_store(config, environment));
    all.extend(page::check_page(config, environment));
    all
}

fn any_failed(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.status == Status::Failed)
}

fn accepted(path: &Path, config: &Config) -> Vec<Finding> {
    let warnings = config.warnings.iter().map(|problem| Finding {
        subject: "configuration".into(),
        leg: problem.key.clone(),
        status: Status::Warning,
        detail: problem.to_string(),
        hint: Some(problem.hint.clone()),
    });
    let file = Finding {
        subject: "configuration".into(),
        leg: "file".into(),
        status: Status::Ok,
        detail: path.display().to_string(),
        hint: None,
    };
    let overlay = config.sources.overlay_in_use().map(|path| Finding {
        subject: "configuration".into(),
        leg: "devices".into(),
        status: Status::Ok,
        detail: format!("{} counts over it", path.display()),
        hint: None,
    });
    std::iter::once(file).chain(overlay).chain(warnings).collect()
}

/// What is wrong with a configuration that cannot be used.
pub fn refused(path: &Path, error: &ConfigError) -> Vec<Finding> {
    let failed = |file: Option<&Path>, leg: &str, detail: String, hint: Option<String>| Finding {
        subject: "configuration".into(),
        leg: leg.into(),
        status: Status::Failed,
        detail: format!("{}: {detail}", file.unwrap_or(path).display()),
        hint,
    };
    match error {
        ConfigError::Unreadable { source, .. } => vec![failed(None, "file", source.to_string(), None)],
        ConfigError::Invalid { problems, .. } => {
            problems.iter().map(|p| failed(p.file.as_deref(), &p.key, p.to_string(), Some(p.hint.clone()))).collect()
        }
    }
}

#[cfg(test)]
mod tests;
