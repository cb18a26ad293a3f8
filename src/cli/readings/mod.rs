//! `ttn-ferry readings`: what a device told over time, as a small plot, as CSV or as JSON.

mod plot;
mod table;

use std::path::Path;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;

use super::moment::Moment;
use super::service::{Reach, Service, ServiceError};
use super::{Exit, Terminal};
use crate::config::Environment;
use plot::Screen;

/// Points of a series for whoever reads CSV or JSON: as many as there are to have.
const MOST_POINTS: usize = 5000;

#[derive(Debug, Args)]
#[command(after_help = "\
Fields are the decoded ones, levels joined by dots, and normalized.…, link.rssi, link.snr, link.spreading_factor,
link.frequency, link.airtime, battery_percentage. What was told more than 5000 times in this time is told as means.
Examples:
  ttn-ferry readings living-room
  ttn-ferry readings living-room temperature link.rssi --since 7d
  ttn-ferry readings living-room temperature --since 30d --csv > temperature.csv

Exit codes: 0 shown, 1 not known, 64 wrong command line, 69 the bridge cannot be reached")]
pub struct Readings {
    /// Its name at home, or its id at the network
    device: String,
    /// Which fields [default: those that hold numbers]
    fields: Vec<String>,
    /// From when: a time (2026-11-21T06:00:00Z), or so long ago (7d)
    #[arg(long, value_name = "WHEN", default_value = "24h", value_parser = Moment::parse)]
    since: Moment,
    /// Until when [default: now]
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    until: Option<Moment>,
    /// CSV instead of a plot: time, field, value, min, max
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// The application, if two have a device of this name
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

/// The parts of the answer that are told.
#[derive(Debug, Deserialize)]
struct Seen {
    from: Timestamp,
    to: Timestamp,
    count: u64,
    series: std::collections::BTreeMap<String, Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    unit: Option<String>,
    at: Vec<i64>,
    value: Values,
    min: Option<Vec<f64>>,
    max: Option<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Values {
    Numbers(Vec<f64>),
    Flags(Vec<bool>),
    Texts(Vec<String>),
}

impl Readings {
    pub async fn run(
        self,
        config: Option<&Path>,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        let screen = Screen::of(environment);
        let service = self.reach.service(config, environment)?;
        let points = if self.csv || self.reach.json { MOST_POINTS } else { screen.points() };
        let answer = self.ask(&service, points, Timestamp::now()).await;
        self.reach.show(answer, terminal, |seen: Seen, terminal| {
            let lines = if self.csv { table::lines(&seen) } else { plot::lines(&self.shown(seen), screen) };
            lines.iter().try_for_each(|line| terminal.line(line))
        })
    }

    async fn ask(&self, service: &Service, points: usize, now: Timestamp) -> Result<String, ServiceError> {
        let mut query = vec![("points", points.to_string()), ("from", self.since.ago(now).to_string())];
        query.extend(self.until.map(|until| ("to", until.ago(now).to_string())));
        query.extend(self.application.as_ref().map(|name| ("application", name.clone())));
        if !self.fields.is_empty() {
            query.push(("fields", self.fields.join(",")));
        }
        let query: Vec<_> = query.iter().map(|(key, value)| (*key, value.as_str())).collect();
        service.get(&["devices", &self.device, "readings"], &query, Duration::from_secs(60)).await
    }

    /// Without a wish, what says the same in other words is left out of a plot, unless nothing else is there.
    fn shown(&self, mut seen: Seen) -> Seen {
        let is_own = |path: &str| !path.starts_with("normalized.") && !path.starts_with("link.");
        if self.fields.is_empty() && seen.series.keys().any(|path| is_own(path)) {
            seen.series.retain(|path, _| is_own(path));
        }
        seen
    }
}
