//! `ttn-ferry config`: every key there is, and what is in effect.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::check::Check;
use super::{Exit, Terminal};
use crate::config::{self, Environment, Shown};

/// Explain, show and check the configuration
#[derive(Debug, Args)]
pub struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every key with its default, what it is for and its range
    Reference,
    /// Print the JSON schema, for editors that complete and check TOML
    Schema,
    /// Print every value in effect and where it comes from; of secrets only that they are set
    Show {
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// The same as `ttn-ferry check`
    Check(Check),
}

impl Config {
    pub async fn run(
        self,
        path: &Path,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        match self.command {
            Command::Reference => terminal.line(config::reference().trim_end())?,
            Command::Schema => terminal.line(config::schema().trim_end())?,
            Command::Show { json } => show(&config::Config::load(path, environment)?, json, terminal)?,
            Command::Check(check) => return check.run(path, environment, terminal).await,
        }
        Ok(Exit::Success)
    }
}

fn show(config: &config::Config, as_json: bool, terminal: &mut Terminal) -> anyhow::Result<()> {
    let values = config.shown();
    if as_json {
        let one = |Shown { key, value, from }| {
            let value =
                value.map_or_else(|| json!({"set": true, "from": from}), |value| json!({"value": value, "from": from}));
            (key, value)
        };
        terminal.line(&Value::Object(values.into_iter().map(one).collect::<Map<_, _>>()).to_string())?;
        return Ok(());
    }
    let overlay = config.sources.overlay_in_use().map(|path| format!("# {} counts over it", path.display()));
    terminal.line(&format!("# {}", config.sources.file.display()))?;
    overlay.map_or(Ok(()), |line| terminal.line(&line))?;
    values.iter().try_for_each(|value| terminal.line(&value.to_string()))?;
    Ok(())
}
