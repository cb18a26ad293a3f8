//! `ttn-ferry tail`: what the running bridge tells, as it happens, one line each.

mod line;
mod wire;

use std::path::Path;
use std::time::Duration;

use clap::{Args, builder::PossibleValuesParser};
use jiff::Timestamp;

use super::moment::{span, whole_seconds};
use super::service::{Reach, Service, ServiceError};
use super::{Exit, Terminal};
use crate::config::Environment;
use crate::home::live::Kind;
use line::Lines;
use wire::{Said, Wire};

/// How long a bridge that went away is left alone before it is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Show readings of the running bridge as they come, one line each
#[derive(Debug, Args)]
#[command(after_help = "\
Each line: when the network had it, the device, its fields, and how it was heard: spreading factor, signal, gateways.
If the bridge is started again, this goes on; what could not be told then is said on standard error.

Examples:
  ttn-ferry tail
  ttn-ferry tail living-room garden/soil --count 10
  ttn-ferry tail --kinds uplink,downlink,bridge
  ttn-ferry tail --json --for 1h > readings.jsonl

Exit codes: 0 ended as asked for, 69 no bridge can be reached, 64 wrong command line")]
pub struct Tail {
    /// Of these devices only: names at home, ids, or application/id
    #[arg(value_name = "DEVICE")]
    devices: Vec<String>,
    /// What to show
    #[arg(long, value_name = "KINDS", value_delimiter = ',', default_value = "uplink", value_parser = kinds())]
    kinds: Vec<String>,
    /// End after so long
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    time: Option<Duration>,
    /// End after so many lines
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    reach: Reach,
}

/// How far it is.
#[derive(Debug, Default)]
struct Progress {
    /// The number of the last event heard of.
    last: Option<u64>,
    /// When something was heard last.
    at: Option<Timestamp>,
    lines: u64,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Kind::ALL.map(|(name, _)| name))
}

impl Tail {
    pub async fn run(
        self,
        config: Option<&Path>,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        let service = self.reach.service(config, environment)?;
        let ended = match self.time {
            Some(time) => tokio::time::timeout(time, self.follow(&service, terminal)).await,
            None => Ok(self.follow(&service, terminal).await),
        };
        match ended {
            Ok(Err(error)) => match error.downcast() {
                Ok(error) => self.reach.told(error, terminal),
                Err(other) => Err(other),
            },
            Ok(Ok(())) | Err(_) => Ok(Exit::Success),
        }
    }

    /// Goes on where it was when the bridge comes back. A bridge that was never there is an error.
    async fn follow(&self, service: &Service, terminal: &mut Terminal) -> anyhow::Result<()> {
        let mut progress = Progress::default();
        let mut wire = self.open(service, &progress).await?;
        let mut lines = Lines::of(service).await?;
        loop {
            while let Some(said) = wire.next().await {
                if self.tell(said?, &mut progress, &mut lines, terminal)? {
                    return Ok(());
                }
            }
            terminal.say("the bridge went away; waiting for it");
            wire = self.wait_for(service, &progress).await?;
            lines = Lines::of(service).await.unwrap_or(lines);
            terminal.say("the bridge is back");
        }
    }

    async fn wait_for(&self, service: &Service, progress: &Progress) -> Result<Wire, ServiceError> {
        loop {
            tokio::time::sleep(AGAIN).await;
            match self.open(service, progress).await {
                Err(error) if error.may_pass() => {}
                done => return done,
            }
        }
    }

    async fn open(&self, service: &Service, progress: &Progress) -> Result<Wire, ServiceError> {
        let (kinds, devices) = (self.kinds.join(","), self.devices.join(","));
        let after = progress.last.map(|last| last.to_string());
        let mut query = vec![("kinds", kinds.as_str()), ("devices", devices.as_str())];
        query.extend(after.as_deref().map(|after| ("after", after)));
        Wire::open(service, &query).await
    }

    /// Returns whether that was all.
    fn tell(
        &self,
        said: Said,
        progress: &mut Progress,
        lines: &mut Lines,
        terminal: &mut Terminal,
    ) -> anyhow::Result<bool> {
        match said {
            Said::Hello { event } => {
                progress.last.get_or_insert(event);
                return Ok(false);
            }
            Said::Missed { to, text } => {
                terminal.say(&missed(progress.at));
                progress.last = Some(to);
                if self.reach.json {
                    terminal.line(&text)?;
                }
                return Ok(false);
            }
            Said::Event { event, frame, text } => {
                (progress.last, progress.at) = (Some(event), Some(frame.at));
                let line = if self.reach.json { text } else { lines.of_frame(&frame, terminal) };
                terminal.line(&line)?;
            }
        }
        progress.lines += 1;
        Ok(self.count.is_some_and(|count| progress.lines >= count))
    }
}

fn missed(since: Option<Timestamp>) -> String {
    let since = since.map(|at| format!(" since {}", whole_seconds(at))).unwrap_or_default();
    format!("what came{since} cannot be told here any more\n  hint: `ttn-ferry readings DEVICE` shows it")
}
