//! What is logged, and the way to change it while the bridge runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::{EnvFilter, Registry, reload};

use super::repeats::{OWN_TARGET, SharedRepeats};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// Modules that can have levels of their own at once.
const MOST_MODULES: usize = 64;

/// The hold on a log. The default has none: it belongs to somebody else in this process, or to nobody. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LogLevel(Option<Arc<Started>>);

#[derive(Debug)]
struct Started {
    handle: reload::Handle<EnvFilter, Registry>,
    chosen: Mutex<Chosen>,
    repeats: SharedRepeats,
}

/// What was chosen.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// A level or a filter: the configuration's, or the one that a request set in its place.
    level: String,
    /// Levels of modules, which count over it until they are taken away or the process ends.
    modules: BTreeMap<String, String>,
}

/// Why the log is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    #[error("`{0}` is no level")]
    NoLevel(String),
    #[error("`{0}` is no module")]
    NoModule(String),
    #[error("{MOST_MODULES} modules have levels of their own already")]
    TooMany,
    #[error("the journal cannot be reached: {0}")]
    NoJournal(String),
    #[error("the log of this process was not started by the bridge")]
    NotOurs,
}

impl LogLevel {
    pub(super) fn over(handle: reload::Handle<EnvFilter, Registry>, chosen: Chosen, repeats: SharedRepeats) -> Self {
        Self(Some(Arc::new(Started { handle, chosen: Mutex::new(chosen), repeats })))
    }

    /// Logs by this level or filter from now on. Modules with levels of their own keep them.
    ///
    /// # Errors
    /// It is none, or there is no log to change. The log goes on as it was.
    pub fn set(&self, level: &str) -> Result<(), LogError> {
        filter(level)?;
        self.change(|chosen| {
            chosen.level = level.to_owned();
            Ok(())
        })
    }

    /// Gives a module, and those within it, a level of its own, or takes that away. A module is named by its path, such
    /// as `ttn_ferry::network`; libraries have theirs.
    ///
    /// # Errors
    /// It is no module, that is no level, or there is no log to change. The log goes on as it was.
    pub fn set_module(&self, module: &str, level: Option<&str>) -> Result<(), LogError> {
        let is_path = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
        if module.is_empty() || !is_path(module) {
            return Err(LogError::NoModule(clip(module)));
        }
        if let Some(level) = level.filter(|level| !LEVELS.contains(level)) {
            return Err(LogError::NoLevel(clip(level)));
        }
        self.change(|Chosen { modules, .. }| {
            match level {
                Some(level) => modules.insert(module.to_owned(), level.to_owned()),
                None => modules.remove(module),
            };
            if modules.len() > MOST_MODULES { Err(LogError::TooMany) } else { Ok(()) }
        })
    }

    /// What is logged now, as a level or filter; `None` without a log.
    pub fn now(&self) -> Option<String> {
        self.0.as_ref().map(|started| started.lock().level.clone())
    }

    /// The modules that have levels of their own.
    pub fn modules(&self) -> BTreeMap<String, String> {
        self.0.as_ref().map(|started| started.lock().modules.clone()).unwrap_or_default()
    }

    /// Whether this is a level or filter.
    ///
    /// # Errors
    /// It is none.
    pub fn check(level: &str) -> Result<(), LogError> {
        filter(level).map(drop)
    }

    /// Tells of lines that were counted instead of written, for as long as it is polled.
    pub async fn tell_repeats(self) {
        match &self.0 {
            Some(started) => started.repeats.tell().await,
            None => std::future::pending().await,
        }
    }

    /// The same at once, of what was not told yet.
    pub fn tell_remaining_repeats(&self) {
        self.0.iter().for_each(|started| started.repeats.tell_all());
    }

    /// The whole filter as it counts now.
    #[cfg(test)]
    pub(super) fn filter(&self) -> String {
        self.0.as_ref().unwrap().handle.with_current(ToString::to_string).unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Chosen) -> Result<(), LogError>) -> Result<(), LogError> {
        let started = self.0.as_ref().ok_or(LogError::NotOurs)?;
        let mut chosen = started.lock();
        let mut next = chosen.clone();
        change(&mut next)?;
        started.handle.reload(next.filter()?).map_err(|_| LogError::NotOurs)?;
        *chosen = next;
        Ok(())
    }
}

impl Started {
    fn lock(&self) -> MutexGuard<'_, Chosen> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chosen {
    pub fn of(level: &str) -> Self {
        Self { level: level.to_owned(), modules: BTreeMap::new() }
    }

    fn filter(&self) -> Result<EnvFilter, LogError> {
        let modules: String = self.modules.iter().map(|(module, level)| format!(",{module}={level}")).collect();
        filter(&format!("{}{modules}", self.level))
    }
}

impl LogError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoLevel(_) => {
                "off, error, warn, info, debug or trace, or a filter such as \"info,ttn_ferry::network=debug\""
            }
            Self::NoModule(_) => "the path of a module, such as ttn_ferry::network",
            Self::TooMany => "take one away: name it without a level",
            Self::NoJournal(_) => "[log] format = \"auto\" takes the journal where there is one",
            Self::NotOurs => "change it where the log was started",
        }
    }
}

/// A filter may name targets; a bare word that is no level would be taken for a target and silence everything else. What
/// tells of repeated lines is never silenced: those lines themselves were not.
pub(super) fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let no_level = || LogError::NoLevel(clip(level));
    let is_filter = level.contains(['=', ',']);
    if !is_filter && !LEVELS.contains(&level) {
        return Err(no_level());
    }
    EnvFilter::try_new(format!("{level},{OWN_TARGET}=trace")).map_err(|_| no_level())
}

/// What an error repeats of what was given.
fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_refused_and_a_filter_may_name_targets() {
        for good in ["off", "info", "trace", "info,ttn_ferry::network=debug", "ttn_ferry=warn"] {
            assert_eq!(LogLevel::check(good), Ok(()), "{good}");
        }
        for bad in ["", "inof", "INFO please", "info,=x=", "ttn_ferry=loud"] {
            assert_eq!(LogLevel::check(bad), Err(LogError::NoLevel(bad.into())), "{bad}");
        }
    }

    #[test]
    fn without_a_log_nothing_can_be_changed_and_that_is_said() {
        let none = LogLevel::default();
        assert_eq!((none.set("debug"), none.now()), (Err(LogError::NotOurs), None));
        assert_eq!(none.set("loud"), Err(LogError::NoLevel("loud".into())));
    }
}
