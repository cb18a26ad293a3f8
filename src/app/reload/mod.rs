//! Reads the configuration again while everything runs: at a hangup, when its files change, when somebody asks.
//!
//! ```text
//! file, overlay ─▶ Config::load ─▶ prepared, nothing touched yet ─▶ applied; what cannot be waits for a restart
//!                      └── broken ──┴─▶ told, and everything stays as it was
//! ```
//!
//! What is said of devices by requests goes the same way: it is written into the overlay once it is known to be good.

mod live;

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use live::Live;

use super::Site;
use crate::codecs::{self, Codecs};
use crate::config::{
    Changes, Config, ConfigError, Environment, Print, Problem as Wrong, changed_overlay, overlaid_options,
    write_overlay,
};
use crate::control::{
    Ask, Asked, Checked, Configuration, InUse, Kind, OptionsSet, Problem, Reloaded, Removed, Renamed,
};
use crate::home::Settings;
use crate::model::{DeviceKey, Directory, HomeName};
use crate::telemetry::{ConfigurationProblem, LogLevel, Notice, Systemd, with_causes};

/// How often the files are looked at. What changed is read once it stayed the same for as long: whoever writes it is done.
/// Looked at, not watched: editors replace files, links lead elsewhere, and the overlay lies beside a store that is
/// written all the time.
const LOOK: Duration = Duration::from_secs(2);
/// What a request may not say of a device: which one it is, and what leads to secrets.
const FIXED: [&str; 3] = ["id", "application", "app_s_key_file"];

/// What to do where devices' options cannot be kept.
const STATE_FOLDER: &str = "what is said of devices while the bridge runs is kept there: the bridge's user must be able to \
                            read and write it; what stands in the configuration file counts all the same";

/// The task that keeps the configuration.
struct Reload {
    environment: &'static dyn Environment,
    /// What connections, store and threads were made with.
    started: Config,
    current: Config,
    /// What was in the files when they were last read, for better or worse.
    tried: Print,
    live: Live,
    hangup: Arc<Notify>,
    asked: mpsc::Receiver<Asked>,
    in_use: watch::Sender<InUse>,
    systemd: Systemd,
}

/// How the task is reached, and what it tells.
pub(super) struct Kept {
    pub configuring: Configuration,
    pub in_use: watch::Receiver<InUse>,
    pub health_interval: watch::Receiver<Duration>,
    /// Rung to have everything read again.
    pub reload: Arc<Notify>,
}

pub(super) fn reload_task(
    Site { config, environment, shared, systemd, tasks }: &mut Site<'_>,
    (settings, codecs, log): (watch::Sender<Arc<Settings>>, Codecs, LogLevel),
) -> Kept {
    let (configuring, asked) = Configuration::new();
    let (showing, in_use) = watch::channel(InUse::of(config.public(), warnings_of(config)));
    let (health_ticks, health_interval) = watch::channel(config.service.health_interval);
    let reload = Arc::new(Notify::new());
    let live = Live {
        settings,
        directory: shared.directory.clone(),
        devices_changed: shared.devices_changed.clone(),
        codecs,
        log,
        health_interval: health_ticks,
        notices: shared.notices.clone(),
        certificate: shared.certificate.clone(),
    };
    let task = Reload {
        environment: *environment,
        started: (*config).clone(),
        current: (*config).clone(),
        tried: config.sources.print,
        live,
        hangup: reload.clone(),
        asked,
        in_use: showing,
        systemd: *systemd,
    };
    tasks.add("configuration", task.run(shared.stop.clone()));
    Kept { configuring, in_use, health_interval, reload }
}

impl Reload {
    async fn run(mut self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = self.tried;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.hangup.notified() => self.hung_up().await,
                Some(Asked { ask, reply }) = self.asked.recv() => {
                    let answer = self.answer(ask).await;
                    // Whoever asked may have gone.
                    reply.send(answer).ok();
                }
                _ = look.tick(), if self.started.sources.is_on_disk => {
                    let now = self.look().await;
                    if now != self.tried && now == before {
                        self.reload().await.ok();
                    }
                    before = now;
                }
            }
        }
    }

    async fn hung_up(&mut self) {
        self.systemd.reloading();
        // What is wrong was told.
        self.reload().await.ok();
        self.systemd.ready();
    }

    async fn answer(&mut self, ask: Ask) -> Result<Value, Problem> {
        match ask {
            Ask::Options { device, options } => self.set_options(&device, options).await,
            Ask::Rename { device, to } => self.rename(&device, to).await,
            Ask::Remove { device } => self.remove(&device).await,
            Ask::Check { text } => Ok(self.check(text).await),
            Ask::Reload => self.reload().await.map(|reloaded| json!(reloaded)).map_err(refused),
        }
    }

    /// Reads everything again. What is wrong is told, and changes nothing.
    async fn reload(&mut self) -> Result<Reloaded, Vec<ConfigurationProblem>> {
        self.tried = self.look_anew().await;
        let taken = match self.load(None, None).await {
            Ok(new) => self.take(new, None).await,
            Err(error) => Err(problems(&error)),
        };
        if let Err(problems) = &taken {
            self.in_use.send_modify(|in_use| in_use.configuration_problems.clone_from(problems));
            let file = self.started.sources.file.display().to_string();
            self.live.notices.tell(Notice::ConfigurationBroken { file, problems: problems.clone() });
        }
        taken
    }

    /// Uses another configuration from now on, after its overlay, if given, was written down.
    async fn take(&mut self, new: Config, overlay: Option<&str>) -> Result<Reloaded, Vec<ConfigurationProblem>> {
        let prepared = self.live.prepare(&self.started, &new).map_err(|error| vec![whole(&error)])?;
        if let (Some(text), Some(path)) = (overlay, &new.sources.overlay) {
            write_overlay(path, text).map_err(|error| vec![unwritten(path, &error)])?;
        }
        self.tried = new.sources.print;
        let Changes(changed) = self.current.changes_to(&new);
        let needs_restart = self.started.changes_to(&new).needing_restart();
        for warning in new.warnings.iter().filter(|warning| !self.current.warnings.contains(warning)) {
            tracing::warn!(key = warning.key, "{warning}");
        }
        self.live.apply(&self.current, &new, prepared);
        self.current = new;
        let in_use = InUse::of(self.current.public(), warnings_of(&self.current));
        self.in_use.send_replace(InUse { needs_restart: needs_restart.clone(), ..in_use });
        let told = (changed.clone(), needs_restart.clone());
        self.live.notices.tell(Notice::ConfigurationReloaded { changed: told.0, needs_restart: told.1 });
        Ok(Reloaded { changed, needs_restart })
    }

    async fn set_options(&mut self, device: &DeviceKey, options: Map<String, Value>) -> Result<Value, Problem> {
        if let Some(fixed) = FIXED.iter().find(|key| options.contains_key(**key)) {
            return Err(Problem::new(Kind::Refused, format!("`{fixed}` can be said in the configuration file only")));
        }
        let codec = options.get("codec").and_then(Value::as_str);
        if codec.is_some_and(|codec| !codecs::is_plain(codec)) {
            return Err(Problem::new(Kind::Refused, "`codec` takes a name and no path; paths are for the file"));
        }
        let name = options.get("friendly_name").and_then(Value::as_str).and_then(|name| HomeName::parse(name).ok());
        self.must_be_free(device, name.as_ref())?;
        let text = self.say(device, &options).await?;
        let said = overlaid_options(&text, device).map_err(|wrong| refused(vec![told(&wrong)]))?;
        let DeviceKey { application, device: device_id } = device.clone();
        Ok(json!(OptionsSet { device: self.name_of(device), application, device_id, options: said }))
    }

    async fn rename(&mut self, device: &DeviceKey, to: Option<HomeName>) -> Result<Value, Problem> {
        self.must_be_free(device, to.as_ref())?;
        let from = self.name_of(device);
        let said = to.map_or(Value::Null, |name| json!(name));
        self.say(device, &Map::from_iter([("friendly_name".into(), said)])).await?;
        Ok(json!(Renamed { from, to: self.name_of(device) }))
    }

    async fn remove(&mut self, device: &DeviceKey) -> Result<Value, Problem> {
        let in_file = self.load(None, Some(String::new())).await.map_err(|error| refused(problems(&error)))?;
        let stands_there = in_file.devices().is_ok_and(|all| all.iter().any(|(key, _)| key == device));
        if stands_there {
            let hint = "take its [[device]] out of the configuration file first";
            return Err(Problem::new(Kind::Conflict, "the device stands in the configuration file").hint(hint));
        }
        let said = overlaid_options(&self.overlay().await?, device).map_err(|wrong| refused(vec![told(&wrong)]))?;
        if !said.is_empty() {
            let nothing = said.into_iter().map(|(key, _)| (key, Value::Null)).collect();
            self.say(device, &nothing).await?;
        }
        let name = self.name_of(device);
        self.live.forget(device);
        let DeviceKey { application, device: device_id } = device.clone();
        Ok(json!(Removed { device: name, application, device_id }))
    }

    /// Puts options of a device into the overlay, if the whole can be used then. Returns the overlay's new text.
    async fn say(&mut self, device: &DeviceKey, options: &Map<String, Value>) -> Result<String, Problem> {
        let wrong = |wrong: Wrong| refused(vec![told(&wrong)]);
        let before = self.overlay().await?;
        if options.is_empty() {
            return Ok(before);
        }
        let text = changed_overlay(&before, device, options).map_err(wrong)?;
        let new = self.load(None, Some(text.clone())).await.map_err(|error| refused(problems(&error)))?;
        self.take(new, Some(&text)).await.map_err(refused)?;
        Ok(text)
    }

    async fn check(&self, text: Option<String>) -> Value {
        let checked = self.load(text, None).await.map_err(|error| problems(&error)).and_then(|new| {
            self.live.prepare(&self.started, &new).map_err(|error| vec![whole(&error)])?;
            Ok(new)
        });
        match checked {
            Ok(new) => json!(Checked {
                valid: true,
                problems: None,
                warnings: Some(warnings_of(&new)),
                changed: Some(self.current.changes_to(&new).0),
                needs_restart: Some(self.started.changes_to(&new).needing_restart()),
            }),
            Err(problems) => json!(Checked { problems: Some(problems), ..Checked::default() }),
        }
    }

    /// Another device's name is not to be had, wherever that one has it from.
    fn must_be_free(&self, device: &DeviceKey, name: Option<&HomeName>) -> Result<(), Problem> {
        let directory = Directory::lock(&self.live.directory);
        match name.and_then(|name| directory.by_name(name.as_str())).filter(|holder| holder.key != *device) {
            Some(holder) => {
                let detail = format!("`{}` is the name of {} already", holder.name, holder.key);
                Err(Problem::new(Kind::Conflict, detail).hint("give that one another name first"))
            }
            None => Ok(()),
        }
    }

    fn name_of(&self, device: &DeviceKey) -> HomeName {
        let name = Directory::lock(&self.live.directory).find(device).map(|device| device.name.clone());
        name.unwrap_or_else(|| HomeName::of_id(&device.device))
    }

    /// The configuration as it would be with these texts in the place of its files. The disk is read on a thread where it
    /// holds nobody up.
    async fn load(&self, text: Option<String>, overlay: Option<String>) -> Result<Config, ConfigError> {
        let (sources, environment) = (self.started.sources.clone(), self.environment);
        let read = move || {
            let text = text.map_or_else(|| sources.text(environment), Ok);
            let text = text.map_err(|source| ConfigError::Unreadable { path: sources.file.clone(), source })?;
            Config::with_overlay(&text, &sources.file, overlay.as_deref(), environment)
        };
        tokio::task::spawn_blocking(read).await.expect("reading a configuration does not panic")
    }

    /// What is looked at may be other files by now.
    async fn look_anew(&mut self) -> Print {
        let (mut sources, environment) = (self.current.sources.clone(), self.environment);
        let follow = move || {
            sources.follow_what_is_named(environment);
            sources
        };
        self.current.sources =
            tokio::task::spawn_blocking(follow).await.expect("reading a configuration does not panic");
        self.look().await
    }

    async fn look(&self) -> Print {
        let (sources, environment) = (self.current.sources.clone(), self.environment);
        tokio::task::spawn_blocking(move || sources.look(environment)).await.unwrap_or(self.tried)
    }

    /// The overlay's text as it is now. One that is there and cannot be read must not be written over.
    async fn overlay(&self) -> Result<String, Problem> {
        let (path, environment) = (self.current.sources.overlay.clone(), self.environment);
        let read = move || match path.map(|path| environment.read(&path).map_err(|error| (path, error))) {
            None => Ok(String::new()),
            Some(Err((_, error))) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            Some(Err((path, error))) => {
                let detail = format!("{} cannot be read: {error}", path.display());
                Err(Problem::new(Kind::Refused, detail).hint(STATE_FOLDER))
            }
            Some(Ok(text)) => Ok(text),
        };
        tokio::task::spawn_blocking(read).await.expect("reading a file does not panic")
    }
}

fn problems(error: &ConfigError) -> Vec<ConfigurationProblem> {
    match error {
        ConfigError::Invalid { problems, .. } => problems.iter().map(told).collect(),
        unreadable => vec![whole(unreadable)],
    }
}

fn warnings_of(config: &Config) -> Vec<ConfigurationProblem> {
    config.warnings.iter().map(told).collect()
}

fn told(wrong: &Wrong) -> ConfigurationProblem {
    let Wrong { file, line, key, message, hint } = wrong.clone();
    let file = file.map(|file| file.display().to_string());
    ConfigurationProblem { file, line: Some(line), key, message, hint }
}

fn unwritten(path: &Path, error: &io::Error) -> ConfigurationProblem {
    let message = format!("{} cannot be written: {error}", path.display());
    ConfigurationProblem { file: None, line: None, key: String::new(), message, hint: STATE_FOLDER.into() }
}

/// A problem that has no line.
fn whole(error: &(dyn std::error::Error + 'static)) -> ConfigurationProblem {
    let (message, hint) = (with_causes(error), String::new());
    ConfigurationProblem { file: None, line: None, key: String::new(), message, hint }
}

fn refused(problems: Vec<ConfigurationProblem>) -> Problem {
    let hint = problems.iter().map(|problem| problem.hint.clone()).find(|hint| !hint.is_empty());
    let detail: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Problem { kind: Kind::Refused, detail: detail.join("; "), hint }
}
