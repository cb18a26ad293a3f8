//! `ttn-ferry gaps`: spans in which messages may have gone by unheard, and what became of them.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;

use super::moment::whole_seconds;
use super::service::{Reach, Service, ServiceError};
use super::table::aligned;
use super::terminal::{Paint, harmless};
use super::{Exit, Terminal};
use crate::config::Environment;

/// Show gaps: when messages may have gone by unheard, and what became of them
#[derive(Debug, Args)]
#[command(after_help = "\
Each line: what became of it, the application, from when to when, why, and what was fetched or is lost. The newest first.
Examples:
  ttn-ferry gaps
  ttn-ferry gaps --application garden --limit 5 --json")]
pub struct Gaps {
    /// Of this application only
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// The newest so many [default: 50]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Deserialize)]
struct Listed {
    gaps: Vec<Gap>,
}

#[derive(Deserialize)]
struct Gap {
    state: String,
    application: String,
    from: Timestamp,
    to: Timestamp,
    why: Option<String>,
    repaired: Option<u64>,
    lost: Option<u64>,
    reason: Option<String>,
}

impl Gaps {
    pub async fn run(
        self,
        config: Option<&Path>,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        let service = self.reach.service(config, environment)?;
        self.reach.show(self.ask(&service).await, terminal, |Listed { gaps }, terminal| {
            if gaps.is_empty() {
                terminal.say("no gap is known");
            }
            let rows: Vec<_> = gaps.into_iter().map(|gap| gap.row(terminal)).collect();
            aligned(&rows).iter().try_for_each(|line| terminal.line(line))
        })
    }

    async fn ask(&self, service: &Service) -> Result<String, ServiceError> {
        let limit = self.limit.map(|limit| limit.to_string());
        let limit = limit.as_deref().map(|limit| ("limit", limit));
        let application = self.application.as_deref().map(|application| ("application", application));
        let query: Vec<_> = limit.into_iter().chain(application).collect();
        service.get(&["gaps"], &query, Duration::ZERO).await
    }
}

impl Gap {
    fn row(self, terminal: &Terminal) -> [String; 6] {
        let paint = match self.state.as_str() {
            "open" => Paint::Yellow,
            "lost" => Paint::Red,
            _ => Paint::Green,
        };
        let became = match (self.repaired, self.lost) {
            (Some(repaired), Some(lost)) => format!("{repaired} fetched, {lost} lost"),
            (Some(repaired), None) => format!("{repaired} fetched"),
            _ => String::new(),
        };
        let why = self.why.or(self.reason).unwrap_or_else(|| "-".to_owned());
        let [from, to] = [self.from, self.to].map(|at| whole_seconds(at).to_string());
        [terminal.paint(paint, &self.state), self.application, from, to, became, harmless(&why)]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_gap_is_a_line_with_what_became_of_it() {
        let terminal = Terminal::of(std::io::empty(), Vec::new(), Vec::new());
        let (from, to) = ("2026-11-21T06:00:00.5Z", "2026-11-21T06:10:00Z");
        let gaps = json!({"gaps": [
            {"id": 2, "application": "garden", "from": from, "to": to, "state": "open", "why": "asked for", "repaired": 0},
            {"id": 1, "application": "barn", "from": from, "to": to, "state": "lost", "repaired": 3, "lost": 12, "reason": "gone"},
        ]});
        let Listed { gaps } = serde_json::from_value(gaps).unwrap();
        let rows: Vec<_> = gaps.into_iter().map(|gap| gap.row(&terminal)).collect();
        let expected = [
            "open  garden  2026-11-21T06:00:00Z  2026-11-21T06:10:00Z  0 fetched           asked for",
            "lost  barn    2026-11-21T06:00:00Z  2026-11-21T06:10:00Z  3 fetched, 12 lost  gone",
        ];
        assert_eq!(aligned(&rows), expected);
    }
}
