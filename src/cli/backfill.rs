//! `ttn-ferry backfill`: has the running bridge fetch what was missed.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::moment::Moment;
use super::service::{Reach, Service, ServiceError};
use super::{Exit, Terminal};
use crate::config::Environment;

/// As long as the bridge itself takes at most.
const FETCH_WITHIN: Duration = Duration::from_secs(600);

/// Fetch what was missed from the network's storage
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ttn-ferry backfill --since 6h
  ttn-ferry backfill --application garden --since 2026-11-21T00:00:00Z --until 2026-11-21T06:00:00Z

Exit codes: 0 fetched, 1 the network refuses, 69 the bridge or the network cannot be reached, 64 wrong command line")]
pub struct Backfill {
    /// The application, if there are several
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// From when: a time (2026-11-21T06:00:00Z), or so long ago (2h)
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    since: Moment,
    /// Until when [default: now]
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    until: Option<Moment>,
    #[command(flatten)]
    reach: Reach,
}

/// The parts of the answer that are told.
#[derive(Debug, Deserialize)]
struct Backfilled {
    application: String,
    repaired: u64,
    missing: Missing,
}

#[derive(Debug, Default, Deserialize)]
struct Missing {
    devices: Vec<Device>,
    #[serde(default)]
    more_devices: usize,
}

#[derive(Debug, Deserialize)]
struct Device {
    device: String,
    frames: Vec<[u32; 2]>,
    count: u64,
}

impl Backfill {
    pub async fn run(
        self,
        config: Option<&Path>,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        let service = self.reach.service(config, environment)?;
        let answer = self.fetch(&service, Timestamp::now()).await;
        self.reach.show(answer, terminal, |done: Backfilled, terminal| {
            done.lines().iter().try_for_each(|line| terminal.line(line))
        })
    }

    async fn fetch(&self, service: &Service, now: Timestamp) -> Result<String, ServiceError> {
        let mut body = json!({ "since": self.since.ago(now) });
        if let Some(until) = self.until {
            body["until"] = json!(until.ago(now));
        }
        if let Some(application) = &self.application {
            body["application"] = json!(application);
        }
        service.post(&["backfill"], body.to_string(), FETCH_WITHIN).await
    }
}

impl Backfilled {
    fn lines(&self) -> Vec<String> {
        let Self { application, repaired, missing } = self;
        let mut lines = vec![format!("{application}: {} repaired", counted(*repaired, "uplink"))];
        lines.extend(missing.devices.iter().map(Device::line));
        if missing.more_devices > 0 {
            lines.push(format!("and frames of {}", counted(missing.more_devices as u64, "more device")));
        }
        lines
    }
}

impl Device {
    /// `kitchen: 3 frames missing, counters 4, 7 to 8`.
    fn line(&self) -> String {
        let span = |[first, last]: &[u32; 2]| match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        };
        let spans = self.frames.iter().map(span).collect::<Vec<_>>().join(", ");
        format!("{}: {} missing, counters {spans}", self.device, counted(self.count, "frame"))
    }
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_by_device_with_its_counters() {
        let answer = json!({
            "application": "garden", "since": "2026-11-21T06:00:00Z", "repaired": 12, "source": "storage",
            "missing": {
                "devices": [{"device": "lamp", "device_id": "l-1", "frames": [[4, 4], [7, 8]], "count": 3}],
                "more_devices": 1,
            },
        });
        let done: Backfilled = serde_json::from_value(answer).unwrap();
        let lines = [
            "garden: 12 uplinks repaired",
            "lamp: 3 frames missing, counters 4, 7 to 8",
            "and frames of 1 more device",
        ];
        assert_eq!(done.lines(), lines);
    }
}
