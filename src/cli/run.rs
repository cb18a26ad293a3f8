//! `run`: the bridge itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;

use super::onboarding::{first_run, target};
use super::{Exit, Terminal};
use crate::app::{App, finish_restore};
use crate::config::{Config, Environment, default_path};
use crate::shutdown::{Ended, Hangups, Signals};
use crate::telemetry::LogLevel;

/// Where the page is unless somebody says otherwise.
pub const PAGE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8899);

/// Carry messages until stopped; without a configuration, ask for one on a page first
#[derive(Debug, Args)]
pub struct Run {
    /// If the configuration is not there, ask for it on a page at this address of this machine, and write it [default:
    /// 127.0.0.1:8899 if no configuration is named, else the missing file is an error]
    #[arg(long, value_name = "ADDR", value_parser = loopback)]
    page: Option<SocketAddr>,
}

impl Run {
    pub async fn run(
        self,
        named: Option<PathBuf>,
        environment: &'static dyn Environment,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        let path = named.clone().unwrap_or_else(|| default_path(environment));
        let is_asked_for = (named.is_none() || self.page.is_some()) && !environment.exists(&path);
        if !is_asked_for {
            return carry(&path, environment).await;
        }
        let path = named.unwrap_or_else(target);
        match first_run(&path, self.page.unwrap_or(PAGE), environment, terminal).await? {
            true => carry(&path, environment).await,
            false => Ok(Exit::Success),
        }
    }
}

/// Runs the bridge until it is stopped; again and again while it is given other stores.
async fn carry(path: &Path, environment: &'static dyn Environment) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    let mut config = Config::load(path, environment)?;
    let log = LogLevel::start(&config.log.level, config.log.format)?;
    loop {
        // A backup that waits says things of devices too.
        if finish_restore(&config, environment).await {
            config = Config::load(path, environment)?;
        }
        for warning in &config.warnings {
            tracing::warn!(key = warning.key, "{warning}");
        }
        let mut app = App::build(&config, environment, log.clone())?;
        app.reload_at(Hangups::listen()?);
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "Started.");
        let ended = app.run_until_stopped(async || signals.next().await).await;
        log.tell_remaining_repeats();
        tracing::info!("Stopped.");
        match ended {
            Ended::Again => config = Config::load(path, environment)?,
            Ended::Stopped => return Ok(Exit::Success),
            _ => return Ok(Exit::Failure),
        }
    }
}

/// Whoever makes the configuration has no password yet, so nobody else may reach the page.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "must be an address such as 127.0.0.1:8899")?;
    if address.ip().is_loopback() { Ok(address) } else { Err("must be an address of this machine alone".into()) }
}
