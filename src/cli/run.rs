//! `run`: the bridge itself.

use std::path::Path;

use clap::Args;

use super::Exit;
use crate::app::App;
use crate::config::{Config, Environment};
use crate::shutdown::{Ended, Hangups, Signals};
use crate::telemetry::LogLevel;

/// Carry messages until stopped
#[derive(Debug, Args)]
pub struct Run {}

impl Run {
    pub async fn run(self, config: &Path, environment: &'static dyn Environment) -> anyhow::Result<Exit> {
        let config = Config::load(config, environment)?;
        let log = LogLevel::start(&config.log.level, config.log.format)?;
        for warning in &config.warnings {
            tracing::warn!(key = warning.key, "{warning}");
        }
        let (mut signals, hangups) = (Signals::listen()?, Hangups::listen()?);
        let mut app = App::build(&config, environment, log.clone())?;
        app.reload_at(hangups);
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "Started.");
        let ended = app.run_until_stopped(async || signals.next().await).await;
        log.tell_remaining_repeats();
        tracing::info!("Stopped.");
        Ok(if ended == Ended::Stopped { Exit::Success } else { Exit::Failure })
    }
}
