//! `run`: the bridge itself.

use std::path::Path;

use clap::Args;

use super::Exit;
use crate::app::{App, finish_restore};
use crate::config::{Config, Environment};
use crate::shutdown::{Ended, Hangups, Signals};
use crate::telemetry::LogLevel;

/// Carry messages until stopped
#[derive(Debug, Args)]
pub struct Run {}

impl Run {
    pub async fn run(self, config: &Path, environment: &'static dyn Environment) -> anyhow::Result<Exit> {
        let (mut signals, mut log) = (Signals::listen()?, None);
        loop {
            let mut config = Config::load(config, environment)?;
            let log = match &log {
                Some(log) => log,
                None => log.insert(LogLevel::start(&config.log.level, config.log.format)?),
            };
            // A backup that waits says things of devices too.
            if finish_restore(&config, environment).await {
                config = Config::load(&config.sources.file, environment)?;
            }
            for warning in &config.warnings {
                tracing::warn!(key = warning.key, "{warning}");
            }
            let hangups = Hangups::listen()?;
            let mut app = App::build(&config, environment, log.clone())?;
            app.reload_at(hangups);
            tracing::info!(version = env!("CARGO_PKG_VERSION"), "Started.");
            let ended = app.run_until_stopped(async || signals.next().await).await;
            log.tell_remaining_repeats();
            tracing::info!("Stopped.");
            if ended != Ended::Again {
                return Ok(if ended == Ended::Stopped { Exit::Success } else { Exit::Failure });
            }
        }
    }
}
