//! `ttn-ferry downlink`: downlinks from the command line, over the running bridge's control API.

mod follow;
mod seen;
mod send;

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::service::{Reach, Service, ServiceError};
use super::{Exit, Terminal};
use crate::config::Environment;
use follow::follow;
use seen::{Listed, Seen};
use send::Send;

/// How long `cancel` waits for the network to give a downlink back.
const CANCEL_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub struct Downlink {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Subcommand)]
enum Action {
    Send(Box<Send>),
    List(List),
    Show(Show),
    Cancel(Cancel),
}

/// List open downlinks, newest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ttn-ferry downlink list                       all that are open
  ttn-ferry downlink list lamp --all --limit 5  the last five of a device
  ttn-ferry downlink list --json                one JSON object a line")]
struct List {
    /// Only those of this device: its name at home, or its id at the network
    device: Option<String>,
    /// Also those that have reached their end
    #[arg(long)]
    all: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// The application, if two have a device of this name
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
}

/// Show one downlink with all its steps
#[derive(Debug, Args)]
struct Show {
    /// The downlink's id, as `send` and `list` tell it
    id: String,
}

/// Stop a downlink that has not been sent yet
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 cancelled, 1 too late or not known, 69 the bridge cannot be reached, 75 the network has not given it back yet")]
struct Cancel {
    /// The downlink's id, as `send` and `list` tell it
    id: String,
}

impl Downlink {
    pub async fn run(
        self,
        config: Option<&Path>,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        let service = self.reach.service(config, environment)?;
        let json = self.reach.json;
        let done = match self.action {
            Action::Send(send) => send.run(&service, json, terminal).await,
            Action::List(list) => list.run(&service, json, terminal).await,
            Action::Show(show) => show.run(&service, json, terminal).await,
            Action::Cancel(cancel) => cancel.run(&service, json, terminal).await,
        };
        match done.map_err(anyhow::Error::downcast::<ServiceError>) {
            Err(Ok(error)) => self.reach.told(error, terminal),
            Err(Err(other)) => Err(other),
            Ok(exit) => Ok(exit),
        }
    }
}

impl Send {
    async fn run(&self, service: &Service, json: bool, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let id = self.id();
        let posted = service.post(&["downlinks"], self.body(&id, Timestamp::now())?, Duration::ZERO).await;
        if matches!(posted, Err(ServiceError::NoAnswer { .. })) {
            terminal.say(&format!("it may have been taken all the same: `ttn-ferry downlink show {id}` tells"));
        }
        let text = posted?;
        let seen = parse(&text)?;
        if json && self.wait.is_none() {
            terminal.line(&text)?;
            return Ok(Exit::Success);
        }
        if !json {
            terminal.line(&seen.headline())?;
        }
        seen.tell_steps(0, json, terminal)?;
        match self.wait {
            None => Ok(Exit::Success),
            Some(wait) => follow(service, &seen.id, seen.step_count, wait, json, terminal).await,
        }
    }
}

impl List {
    async fn run(&self, service: &Service, json: bool, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let (open, limit) = ((!self.all).to_string(), self.limit.to_string());
        let mut query = vec![("open", open.as_str()), ("limit", limit.as_str())];
        query.extend(self.device.as_deref().map(|device| ("device", device)));
        query.extend(self.application.as_deref().map(|application| ("application", application)));
        let text = service.get(&["downlinks"], &query, Duration::ZERO).await?;
        let listed: Listed = serde_json::from_str(&text).map_err(ServiceError::Unreadable)?;
        if listed.downlinks.is_empty() && !json {
            terminal.say(if self.all { "no downlinks" } else { "no open downlinks" });
        }
        for downlink in &listed.downlinks {
            let line = if json { downlink.get().to_owned() } else { parse(downlink.get())?.line() };
            terminal.line(&line)?;
        }
        Ok(Exit::Success)
    }
}

impl Show {
    async fn run(&self, service: &Service, json: bool, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let text = service.get(&["downlinks", &self.id], &[], Duration::ZERO).await?;
        tell(&text, json, terminal)?;
        Ok(Exit::Success)
    }
}

impl Cancel {
    async fn run(&self, service: &Service, json: bool, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let path = ["downlinks", self.id.as_str()];
        let before = parse(&service.get(&path, &[], Duration::ZERO).await?)?.step_count;
        let mut text = service.delete(&path).await?;
        if parse(&text)?.step_count == before {
            // The network has it, and is being asked: it gives it back, or it is too late.
            let (wait, seen) = (format!("{}s", CANCEL_WITHIN.as_secs()), before.to_string());
            text = service.get(&path, &[("wait", &wait), ("after_steps", &seen)], CANCEL_WITHIN).await?;
        }
        tell(&text, json, terminal)?;
        let seen = parse(&text)?;
        Ok(match seen.was_cancelled() {
            true => Exit::Success,
            false if seen.step_count == before => Exit::StillOpen,
            false => Exit::Failure,
        })
    }
}

/// All of a downlink.
fn tell(text: &str, json: bool, terminal: &mut Terminal) -> anyhow::Result<()> {
    if json {
        return Ok(terminal.line(text)?);
    }
    let seen = parse(text)?;
    terminal.line(&seen.headline())?;
    seen.tell_steps(0, false, terminal)
}

fn parse(text: &str) -> Result<Seen, ServiceError> {
    Seen::parse(text).map_err(ServiceError::Unreadable)
}
