//! `ttn-ferry restore`: a backup takes the place of the store, of a running bridge or of one that is stopped.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::service::{Reach, Service, ServiceError};
use super::{Exit, Terminal};
use crate::app;
use crate::config::{Config, Environment, store_folder};
use crate::store::{self, Beside};

/// How long the bridge may take to end, which is the most that `[service] grace` can be, and to begin again.
const AGAIN_WITHIN: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Put a backup in the place of the store
#[derive(Debug, Args)]
#[command(after_help = "\
The running bridge checks the backup, finishes what it holds, and begins again with it within the same process. The store
before it is kept beside it, as ttn-ferry.db.before-restore. Messages and commands of it that are still on their way stay
on their way; what the home got after the backup was made may come again, under the same id. Frame counters of devices
with end-to-end encryption are never used twice: on another machine they leap 4,096 ahead.

Examples:
  ttn-ferry restore ttn-ferry-2026-11-21.backup
  sudo -u ttn-ferry ttn-ferry restore --offline ttn-ferry.backup

Exit codes: 0 restored, 1 refused: nothing has changed, 69 the bridge cannot be reached, 75 it has not begun again yet,
64 wrong command line, 78 wrong configuration")]
pub struct Restore {
    /// What `ttn-ferry backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Without a running bridge: as the user that it runs as
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    reach: Reach,
}

/// What the bridge says of it.
#[derive(Debug, Deserialize)]
struct Told {
    restore: String,
}

impl Restore {
    pub async fn run(
        self,
        config: &Path,
        environment: &'static dyn Environment,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        let file = File::open(&self.file).with_context(|| self.file.display().to_string())?;
        if self.offline {
            return restore_here(file, config, environment, terminal);
        }
        let service = self.reach.service(Some(config), environment)?;
        let text = match service.upload(&["restore"], file).await {
            Ok(text) => text,
            Err(error) => return self.reach.told(error, terminal),
        };
        if self.reach.json {
            terminal.line(&text)?;
        } else {
            terminal.say("the backup is good; the bridge begins again with it …");
        }
        self.follow(&service, terminal).await
    }

    /// Waits until the bridge is there again.
    async fn follow(&self, service: &Service, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let until = Instant::now() + AGAIN_WITHIN;
        while Instant::now() < until {
            match service.get(&["restore"], &[], Duration::ZERO).await {
                Ok(text) => {
                    match serde_json::from_str::<Told>(&text).map_err(ServiceError::Unreadable)?.restore.as_str() {
                        "done" => {
                            terminal.say("restored; the store before it is kept as ttn-ferry.db.before-restore");
                            return Ok(Exit::Success);
                        }
                        "failed" => anyhow::bail!(
                            "the backup could not take the store's place, which is as it was\n  hint: the bridge's log says why"
                        ),
                        _ => {}
                    }
                }
                Err(error) if error.may_pass() => {}
                Err(error) => return self.reach.told(error, terminal),
            }
            sleep(LOOK_EVERY).await;
        }
        terminal
            .say("the bridge has not begun again yet\n  hint: its log says what it waits for; the next start restores");
        Ok(Exit::StillOpen)
    }
}

/// The same without a bridge, which must not run meanwhile: the store's own lock sees to that.
fn restore_here(
    mut from: File,
    config: &Path,
    environment: &'static dyn Environment,
    terminal: &mut Terminal,
) -> anyhow::Result<Exit> {
    let config = Config::load(config, environment)?;
    let folder = store_folder(&config, environment).map_err(app::BuildError::from)?;
    let file = folder.join(store::FILE);
    let beside = Beside::of(&file);
    let taken = beside.take(&mut from).map_err(|error| anyhow::anyhow!("{error}\n  hint: {}", error.hint()))?;
    if let Err(error) = app::restore(&config, &file, environment) {
        fs::remove_file(&beside.waiting).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        return Err(error.into());
    }
    terminal.say(&format!("restored, with {taken} devices; {} is what was there before", beside.before.display()));
    Ok(Exit::Success)
}
