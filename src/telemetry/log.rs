//! Log lines: to standard error, without times under systemd, because the journal has its own.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is logged, and the way to change it while the bridge runs. The default has no log: it belongs to somebody else in
/// this process, or to nobody. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LogLevel(Option<reload::Handle<EnvFilter, Registry>>);

/// Why the log is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    #[error("`{0}` is no level")]
    NoLevel(String),
    #[error("the log of this process was not started by the bridge")]
    NotOurs,
}

impl LogLevel {
    /// Starts logging for the whole process. `level` is a level or a filter such as `info,ttn_ferry::network=debug`. A
    /// second start in one process changes nothing, and gives no hold on the log: the first one stays.
    ///
    /// # Errors
    /// If `level` is no filter.
    pub fn start(level: &str) -> Result<Self, LogError> {
        let (filter, handle) = reload::Layer::new(filter(level)?);
        let lines =
            fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).with_target(false);
        let under_systemd = std::env::var_os("JOURNAL_STREAM").is_some();
        let lines = if under_systemd { lines.without_time().boxed() } else { lines.boxed() };
        let started = tracing_subscriber::registry().with(filter).with(lines).try_init();
        Ok(Self(started.ok().map(|()| handle)))
    }

    /// Logs by this level or filter from now on.
    ///
    /// # Errors
    /// It is none, or there is no log to change. The log goes on as it was.
    pub fn set(&self, level: &str) -> Result<(), LogError> {
        let filter = filter(level)?;
        let handle = self.0.as_ref().ok_or(LogError::NotOurs)?;
        handle.reload(filter).map_err(|_| LogError::NotOurs)
    }

    /// What is logged now, as a level or filter; `None` without a log.
    pub fn now(&self) -> Option<String> {
        self.0.as_ref()?.with_current(ToString::to_string).ok()
    }

    /// Whether this is a level or filter.
    ///
    /// # Errors
    /// It is none.
    pub fn check(level: &str) -> Result<(), LogError> {
        filter(level).map(drop)
    }
}

impl LogError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoLevel(_) => {
                "off, error, warn, info, debug or trace, or a filter such as \"info,ttn_ferry::network=debug\""
            }
            Self::NotOurs => "change it where the log was started",
        }
    }
}

/// A filter may name targets; a bare word that is no level would be taken for a target and silence everything else.
fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let no_level = || LogError::NoLevel(level.chars().take(80).collect());
    let is_filter = level.contains(['=', ',']);
    if !is_filter && !LEVELS.contains(&level) {
        return Err(no_level());
    }
    EnvFilter::try_new(level).map_err(|_| no_level())
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

    /// The only test of this process that starts a log.
    #[test]
    fn the_first_log_can_be_changed_and_a_second_one_changes_nothing() {
        let first = LogLevel::start("error").unwrap();
        let second = LogLevel::start("trace").unwrap();
        assert_eq!((first.now().as_deref(), second.now()), (Some("error"), None));
        first.set("warn,ttn_ferry=off").unwrap();
        assert!(first.now().unwrap().contains("ttn_ferry=off"), "{first:?}");
        assert_eq!(second.set("trace"), Err(LogError::NotOurs));
        first.set("off").unwrap();
    }
}
