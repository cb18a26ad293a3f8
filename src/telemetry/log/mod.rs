//! Log lines: what is written, in which form, and how often.
//!
//! To standard error as text, with a time on each line, or as JSON; to the journal if standard error leads there, with every
//! fact also as a field of its own. The same line again and again is counted instead ([`repeats`]).

mod journal;
mod json;
mod level;
mod repeats;

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

pub use level::{LogError, LogLevel};

use journal::Journal;
use json::JsonLines;
use level::{Chosen, filter};
use repeats::Limit;

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// To the journal if standard error leads there, else text.
    #[default]
    Auto,
    Text,
    /// One object a line: time, level, target, message, fields.
    Json,
    Journald,
}

type Lines<S> = Box<dyn Layer<S> + Send + Sync>;

impl LogLevel {
    /// Starts logging for the whole process. `level` is a level or a filter such as `info,ttn_ferry::network=debug`. A
    /// second start in one process changes nothing, and gives no hold on the log: the first one stays.
    ///
    /// # Errors
    /// If `level` is no filter, or there is no journal where it is asked for.
    pub fn start(level: &str, format: LogFormat) -> Result<Self, LogError> {
        let (filter, handle) = reload::Layer::<_, Registry>::new(filter(level)?);
        let limit = Limit::default();
        let repeats = limit.repeats();
        let started = tracing_subscriber::registry().with(filter).with(limit).with(lines(format)?).try_init();
        Ok(match started {
            Ok(()) => Self::over(handle, Chosen::of(level), repeats),
            Err(_) => Self::default(),
        })
    }
}

fn lines<S>(format: LogFormat) -> Result<Lines<S>, LogError>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let written = || fmt::layer().with_writer(io::stderr);
    let text = || written().with_ansi(io::stderr().is_terminal()).with_target(false).boxed();
    match format {
        LogFormat::Text => Ok(text()),
        LogFormat::Json => Ok(written().event_format(JsonLines).boxed()),
        LogFormat::Journald => {
            Journal::open().map(Journal::boxed).map_err(|error| LogError::NoJournal(error.to_string()))
        }
        LogFormat::Auto if leads_to_journal(std::env::var("JOURNAL_STREAM").ok().as_deref(), io::stderr()) => {
            Ok(Journal::open().map_or_else(|_| text(), Journal::boxed))
        }
        LogFormat::Auto => Ok(text()),
    }
}

/// Whether the journal reads this stream. The variable names device and inode of the one it reads (systemd.exec(5)); a
/// process further down may have inherited it and write elsewhere.
fn leads_to_journal(variable: Option<&str>, stream: impl AsFd) -> bool {
    let Some((device, inode)) = variable.and_then(|variable| variable.split_once(':')) else { return false };
    let opened = stream.as_fd().try_clone_to_owned().and_then(|stream| std::fs::File::from(stream).metadata());
    opened.is_ok_and(|its| its.dev().to_string() == device && its.ino().to_string() == inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stream_that_the_journal_reads_leads_there() {
        let file = tempfile::tempfile().unwrap();
        let its = file.metadata().unwrap();
        let named = format!("{}:{}", its.dev(), its.ino());
        assert!(leads_to_journal(Some(&named), &file));
        for other in [None, Some(""), Some("8:1"), Some("nonsense")] {
            assert!(!leads_to_journal(other, &file), "{other:?}");
        }
    }

    /// The only test of this process that starts a log.
    #[test]
    fn the_first_log_can_be_changed_and_a_second_one_changes_nothing() {
        let first = LogLevel::start("error", LogFormat::Text).unwrap();
        let second = LogLevel::start("trace", LogFormat::Json).unwrap();
        assert_eq!((first.now().as_deref(), second.now()), (Some("error"), None));
        first.set("warn,ttn_ferry=off").unwrap();
        assert_eq!(first.now().as_deref(), Some("warn,ttn_ferry=off"));
        first.set_module("ttn_ferry::network", Some("debug")).unwrap();
        assert_eq!(first.set_module("a b", Some("debug")), Err(LogError::NoModule("a b".into())));
        assert_eq!(first.set_module("ttn_ferry", Some("info,x=y")), Err(LogError::NoLevel("info,x=y".into())));
        first.set("off").unwrap();
        assert!(first.filter().contains("ttn_ferry::network=debug"), "a module's level outlives the others: {first:?}");
        assert_eq!(first.modules(), [("ttn_ferry::network".to_owned(), "debug".to_owned())].into());
        first.set_module("ttn_ferry::network", None).unwrap();
        assert!(!first.filter().contains("network") && first.modules().is_empty(), "{first:?}");
        assert_eq!(second.set("trace"), Err(LogError::NotOurs));
        assert_eq!(second.set_module("ttn_ferry", None), Err(LogError::NotOurs));
    }
}
