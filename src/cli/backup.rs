//! `ttn-ferry backup`: the store of the running bridge as one file.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::{Timestamp, tz::TimeZone};

use super::service::{Reach, Service};
use super::{Exit, Terminal};
use crate::config::Environment;

/// Copy the running bridge's store into one file, while it goes on
#[derive(Debug, Args)]
#[command(after_help = "\
In it: messages on their way, states and history of the devices, downlinks, frame counters, and what was said of devices
while the bridge ran. Not in it: the configuration, keys and passwords, codecs. Keep it as you keep those: whoever has it
can read what your devices said.

Examples:
  ttn-ferry backup
  ttn-ferry backup - | ssh nas 'cat > ttn-ferry.backup'

Exit codes: 0 written, 1 not written, 69 the bridge cannot be reached, 64 wrong command line")]
pub struct Backup {
    /// Where to write it, `-` for standard output; never over a file that is there [default: ttn-ferry-DATE.backup]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

impl Backup {
    pub async fn run(
        self,
        config: Option<&Path>,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        let service = self.reach.service(config, environment)?;
        if self.file.as_deref() == Some(Path::new("-")) {
            return Ok(match service.download(&["backup"], terminal.data()).await? {
                Ok(_) => Exit::Success,
                Err(error) => self.reach.told(error, terminal)?,
            });
        }
        let file = self.file.clone().unwrap_or_else(|| default_name(Timestamp::now()).into());
        match write(&service, &file).await? {
            Ok(bytes) => {
                let told = if self.reach.json {
                    serde_json::json!({ "file": file, "bytes": bytes }).to_string()
                } else {
                    format!("{}: {bytes} bytes", file.display())
                };
                terminal.line(&told)?;
                Ok(Exit::Success)
            }
            Err(error) => self.reach.told(error, terminal),
        }
    }
}

/// Half a backup is none: it is removed.
async fn write(service: &Service, file: &Path) -> anyhow::Result<Result<u64, super::service::ServiceError>> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut to = made.map_err(|error| {
        anyhow::anyhow!(
            "{}: {error}\n  hint: name another file; one that is there is never written over",
            file.display()
        )
    })?;
    let written = service.download(&["backup"], &mut to).await.and_then(|told| to.sync_all().map(|()| told));
    if !matches!(written, Ok(Ok(_))) {
        fs::remove_file(file).ok();
    }
    Ok(written?)
}

/// In UTC.
fn default_name(now: Timestamp) -> String {
    now.to_zoned(TimeZone::UTC).strftime("ttn-ferry-%Y-%m-%d.backup").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_named_after_its_day() {
        assert_eq!(default_name(Timestamp::UNIX_EPOCH), "ttn-ferry-1970-01-01.backup");
    }
}
