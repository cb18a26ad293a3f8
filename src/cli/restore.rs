//! `ttn-ferry restore`: a backup takes the place of the store, of a running bridge or of one that is stopped.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::service::{Reach, Service, ServiceError};
use super::{Exit, Terminal};
use crate::app;
use crate::config::{Config, ConfigError, Environment, store_folder};
use crate::store::{self, Beside};

/// How long the bridge may take to end, which is the most that `[service] grace` can be, and to begin again.
const AGAIN_WITHIN: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Put a backup in the place of the store
#[derive(Debug, Args)]
#[command(after_help = "\
The running bridge checks the backup, finishes what it holds, and begins again with it within the same process. The store
before it is kept beside it, as ttn-ferry.db.before-restore. Messages and commands of it that are still on their way stay
on their way; what the home got after the backup was made may come again, under the same id. A command that waits in the
backup and is not known here is looked up at TTN: it goes out only if TTN surely never had it. Frame counters of devices with
end-to-end encryption are never used twice: on another machine they leap 4,096 ahead.

Examples:
  ttn-ferry restore ttn-ferry-2026-11-21.backup
  sudo ttn-ferry restore --offline ttn-ferry.backup

Exit codes: 0 restored, 1 refused: nothing has changed, 69 the bridge cannot be reached, 75 it has not begun again yet,
64 wrong command line, 78 wrong configuration")]
pub struct Restore {
    /// What `ttn-ferry backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Without a running bridge: as root, or as the user that it runs as; no secrets are needed
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
    path: &Path,
    environment: &'static dyn Environment,
    terminal: &mut Terminal,
) -> anyhow::Result<Exit> {
    let text = environment.read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    // What was said of devices until now makes way, so it need not be readable.
    let config = Config::from_outside(&text, path, Some(""), environment)?;
    let folder = store_folder(&config, environment).map_err(app::BuildError::from)?;
    terminal.say(&format!("the store is in {}", folder.display()));
    let beside = Beside::of(&folder.join(store::FILE));
    let taken = beside.take(&mut from).map_err(|error| anyhow::anyhow!("{error}\n  hint: {}", error.hint()))?;
    let restored = app::restore(&config, &folder.join(store::FILE), Config::from_outside, environment);
    if restored.is_err() {
        remove_if_there(&beside.waiting)?;
    }
    give_to_owner(&folder)
        .with_context(|| format!("its files cannot be given to the owner of {}", folder.display()))?;
    restored?;
    terminal.say(&done(taken, &beside));
    Ok(Exit::Success)
}

fn done(devices: usize, Beside { before, .. }: &Beside) -> String {
    let kept = if before.exists() {
        format!("what was there before is kept as {}", before.display())
    } else {
        "there was none before".into()
    };
    format!("restored, with {devices} devices; {kept}")
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Root makes files in the service's folder that the service could not open. Links are left alone, for the owner of the
/// folder could have made them to be given what they lead to.
fn give_to_owner(folder: &Path) -> io::Result<()> {
    let owner = fs::metadata(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.metadata()?;
        if file.is_file() && file.nlink() == 1 && file.uid() != owner.uid() {
            lchown(entry.path(), Some(owner.uid()), Some(owner.gid()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_store_that_was_not_there_is_not_said_to_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let beside = Beside::of(&folder.path().join(store::FILE));
        assert_eq!(done(2, &beside), "restored, with 2 devices; there was none before");
        fs::write(&beside.before, "").unwrap();
        assert!(done(2, &beside).contains("is kept as /"), "{}", done(2, &beside));
    }

    /// Somebody else who owns a folder, if this is root; to others it can only happen that nothing is to be done.
    #[test]
    fn what_root_makes_in_a_folder_belongs_to_its_owner_but_what_links_lead_to_does_not() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let made = |name: &str| folder.path().join(name);
        fs::write(made("store"), "").unwrap();
        symlink(outside.path(), made("link")).unwrap();
        fs::hard_link(made("store"), made("second")).unwrap();
        fs::write(made("single"), "").unwrap();
        let me = fs::metadata(folder.path()).unwrap().uid();
        let other = if lchown(folder.path(), Some(4711), Some(4712)).is_ok() { 4711 } else { me };
        give_to_owner(folder.path()).unwrap();
        let owner = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
        assert_eq!(owner(&made("single")), other);
        for left in [made("store"), made("second"), made("link"), outside.path().to_owned()] {
            assert_eq!(owner(&left), me, "{}", left.display());
        }
    }
}
