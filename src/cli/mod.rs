//! The command line: one file or folder for each command.
//!
//! A new command is a module with an `Args` struct and its `run`, a variant of [`Command`] and a line in
//! [`Command::run`].

mod backfill;
mod backup;
mod check;
mod codec;
mod completions;
mod config;
mod demo;
mod devices;
mod downlink;
mod gaps;
mod init;
mod man;
mod moment;
mod onboarding;
mod readings;
mod restore;
mod run;
mod service;
mod status;
mod table;
mod tail;
mod terminal;
mod upload;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::BuildError;
use crate::config::{ConfigError, Environment, Process, default_path};
pub use terminal::{Terminal, harmless};

/// Carries messages between The Things Network and a home MQTT broker, both ways.
#[derive(Debug, Parser)]
#[command(name = "ttn-ferry", version)]
struct Cli {
    /// The configuration [default: ./ttn-ferry.toml if there is one, else /etc/ttn-ferry/ttn-ferry.toml]
    #[arg(long, global = true, env = "TTN_FERRY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the bridge at work, with a simulated network, nodes and home broker
    Demo(demo::Demo),
    /// Carry messages until stopped; without a configuration, ask for one on a page first
    Run(run::Run),
    /// Write a first configuration
    Init(init::Init),
    /// Check the configuration and, if asked to, every connection
    Check(check::Check),
    /// Fetch what was missed from the network's storage
    Backfill(backfill::Backfill),
    /// List the devices of the running bridge, with the codec of each and who chose it
    Devices(devices::Devices),
    /// Plot what a device told over time, or print it as CSV or JSON
    Readings(readings::Readings),
    /// Show readings of the running bridge as they come, one line each
    Tail(tail::Tail),
    /// Show gaps: when messages may have gone by unheard, and what became of them
    Gaps(gaps::Gaps),
    /// Show how the running bridge fares
    Status(status::Status),
    /// Send, list, show and cancel downlinks of the running bridge
    Downlink(downlink::Downlink),
    /// Copy the running bridge's store into one file
    Backup(backup::Backup),
    /// Put a backup in the place of the store
    Restore(restore::Restore),
    /// Test and try payload codecs
    Codec(codec::Codec),
    /// Explain, show and check the configuration
    Config(config::Config),
    /// Write what a shell completes
    Completions(completions::Completions),
    /// Write manual pages
    Man(man::Man),
}

/// How a command ended, and the exit code that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Success = 0,
    Failure = 1,
    /// A command of `codec` had nothing to run, or could not read it.
    CouldNotRun = 2,
    /// The command line was wrong (`EX_USAGE`).
    Usage = 64,
    /// The running bridge cannot be reached (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// What was waited for has not come yet; it still may (`EX_TEMPFAIL`).
    StillOpen = 75,
    /// The configuration was wrong (`EX_CONFIG`): trying again does not help.
    Configuration = 78,
}

/// Parses the arguments, runs the command, tells people what went wrong.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut terminal = Terminal::standard();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to say if the terminal is gone.
            let _ = error.print();
            return usage(&error).into();
        }
    };
    match cli.command.run(cli.config, &Process, &mut terminal).await {
        Ok(exit) => exit.into(),
        // Whoever read the output had enough: nothing to tell, and nobody to tell it to.
        Err(error) if is_closed_pipe(&error) => Exit::Success.into(),
        Err(error) => {
            terminal.complain(&error);
            exit_of(&error).into()
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(|cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe)
}

impl Command {
    async fn run(
        self,
        config: Option<PathBuf>,
        environment: &'static dyn Environment,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        let existing = || config.clone().unwrap_or_else(|| default_path(environment));
        match self {
            Self::Demo(demo) => demo.run(environment, terminal).await,
            Self::Run(run) => run.run(config, environment, terminal).await,
            Self::Init(init) => Ok(init.run(config, environment, terminal)?),
            Self::Check(check) => check.run(&existing(), environment, terminal).await,
            Self::Backfill(backfill) => backfill.run(config.as_deref(), environment, terminal).await,
            Self::Devices(devices) => devices.run(config.as_deref(), environment, terminal).await,
            Self::Readings(readings) => readings.run(config.as_deref(), environment, terminal).await,
            Self::Tail(tail) => tail.run(config.as_deref(), environment, terminal).await,
            Self::Gaps(gaps) => gaps.run(config.as_deref(), environment, terminal).await,
            Self::Status(status) => status.run(config.as_deref(), environment, terminal).await,
            Self::Downlink(downlink) => downlink.run(config.as_deref(), environment, terminal).await,
            Self::Backup(backup) => backup.run(config.as_deref(), environment, terminal).await,
            Self::Restore(restore) => restore.run(&existing(), environment, terminal).await,
            Self::Codec(codec) => Ok(codec.run(terminal)),
            Self::Config(config) => config.run(&existing(), environment, terminal).await,
            Self::Completions(completions) => completions.run(terminal),
            Self::Man(man) => man.run(terminal),
        }
    }
}

/// Help and version are no mistakes; the rest is, and clap has its own code for it.
fn usage(error: &clap::Error) -> Exit {
    if error.use_stderr() { Exit::Usage } else { Exit::Success }
}

fn exit_of(error: &anyhow::Error) -> Exit {
    if let Some(error) = error.downcast_ref::<init::InitError>() {
        return error.exit();
    }
    if let Some(error) = error.downcast_ref::<service::ServiceError>() {
        return error.exit();
    }
    let unbuildable = error.downcast_ref::<BuildError>().is_some_and(BuildError::is_configuration);
    if unbuildable || error.is::<ConfigError>() { Exit::Configuration } else { Exit::Failure }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_is_no_mistake_and_an_unknown_flag_is() {
        let parse = |arguments: &[&str]| Cli::try_parse_from(arguments).unwrap_err();
        assert_eq!(usage(&parse(&["ttn-ferry", "--help"])), Exit::Success);
        assert_eq!(usage(&parse(&["ttn-ferry", "check", "--conect"])), Exit::Usage);
        assert_eq!(usage(&parse(&["ttn-ferry"])), Exit::Usage);
    }
}
