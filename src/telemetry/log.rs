//! Log lines: to standard error, without times under systemd, because the journal has its own.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Starts logging for the whole process. `level` is a level or a filter such as `info,ttn_ferry::network=debug`.
///
/// # Errors
/// If `level` is no filter. A second start in one process changes nothing: the first subscriber stays.
pub fn start(level: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(level)?;
    let under_systemd = std::env::var_os("JOURNAL_STREAM").is_some();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let started = match under_systemd {
        true => builder.without_time().try_init(),
        false => builder.try_init(),
    };
    started.ok();
    Ok(())
}
