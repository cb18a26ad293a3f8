//! Between two bridges: a backup that waits is put in the place of the store.

use std::io;
use std::path::{Path, PathBuf};

use super::error::BuildError;
use super::flows::finder;
use super::sides::settings;
use crate::config::{Config, ConfigError, Environment, Sources, store_folder, write_overlay};
use crate::downlink;
use crate::network::ttn;
use crate::store::{self, Beside, OpenError, Resumed};
use crate::telemetry::Systemd;

const UNFIT_HINT: &str =
    "codecs are not in a backup: copy the codec folder it was made with too, then restore it again";

/// Why a backup did not take the place of the store, which is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("{error}\n  hint: {}", error.hint())]
    Store { error: OpenError },
    #[error("what the backup says of devices does not fit this configuration: {0}")]
    Overlay(#[source] ConfigError),
    #[error("what the backup says of devices does not fit here: {0}\n  hint: {UNFIT_HINT}")]
    Unfit(#[source] BuildError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

/// How a configuration is read with other words about devices: by the bridge [`Config::with_overlay`], by somebody else
/// [`Config::from_outside`].
pub type Reading = fn(&str, &Path, Option<&str>, &dyn Environment) -> Result<Config, ConfigError>;

/// Puts the backup that waits beside the store in its place, if there is one; no bridge may run on it. Returns whether there
/// was: then the configuration is to be read again. One that cannot be used is put aside, and told of in the log.
pub async fn finish_restore(config: &Config, environment: &'static dyn Environment) -> bool {
    let Ok(folder) = store_folder(config, environment) else { return false };
    let file = folder.join(store::FILE);
    if !Beside::of(&file).waiting.exists() {
        return false;
    }
    let (given, at) = (config.clone(), file.clone());
    let restoring = tokio::task::spawn_blocking(move || restore(&given, &at, Config::with_overlay, environment));
    // The service manager must not take it for dead.
    let restored = tokio::select! {
        restored = restoring => restored.expect("restoring does not panic"),
        () = async { Systemd::detect().watchdog().await } => return false,
    };
    restored.unwrap_or_else(|error| {
        let beside = Beside::of(&file);
        tracing::error!(%error, file = %beside.refused.display(), "The backup is not restored; the store stays as it was.");
        if let Err(error) = beside.refuse() {
            tracing::error!(%error, "The backup cannot be put aside; the next start tries it again.");
        }
        false
    })
}

/// The same at once, and on this thread, for the store in `file`.
///
/// # Errors
/// See [`RestoreError`]; the backup still waits.
pub fn restore(
    config: &Config,
    file: &Path,
    read: Reading,
    environment: &dyn Environment,
) -> Result<bool, RestoreError> {
    let resumed = Resumed { note: &ttn::resumed_note, downlink: &downlink::resumed };
    let restored = store::put_in_place(file, |text| lay(config, text, read, environment), resumed)?;
    if restored {
        let before = Beside::of(file).before;
        tracing::info!(before = %before.display(), "A backup took the place of the store.");
    }
    Ok(restored)
}

/// What the backup says of devices counts from now on; what was said before is kept.
fn lay(config: &Config, text: &str, read: Reading, environment: &dyn Environment) -> Result<(), RestoreError> {
    let Some(path) = &config.sources.overlay else { return Ok(()) };
    let failed = |source| RestoreError::File { path: path.clone(), source };
    fits(&config.sources, text, read, environment)?;
    let here = match environment.read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(failed)?,
    };
    if here == text {
        return Ok(());
    }
    if !here.is_empty() {
        write_overlay(&path.with_extension("toml.before-restore"), &here).map_err(failed)?;
    }
    write_overlay(path, text).map_err(failed)
}

/// Whether a bridge can be built of this configuration with what a backup says of devices.
pub(super) fn fits(
    sources: &Sources,
    overlay: &str,
    read: Reading,
    environment: &dyn Environment,
) -> Result<(), RestoreError> {
    let file = &sources.file;
    let whole = sources.text(environment).map_err(|source| RestoreError::File { path: file.clone(), source })?;
    let config = read(&whole, file, Some(overlay), environment).map_err(RestoreError::Overlay)?;
    finder(&config).map(drop).and_then(|()| settings(&config).map(drop)).map_err(RestoreError::Unfit)
}

impl From<OpenError> for RestoreError {
    fn from(error: OpenError) -> Self {
        Self::Store { error }
    }
}
