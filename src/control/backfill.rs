//! The request to fetch what was missed, for a time that somebody names.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::problem::{Kind, Problem};
use crate::model::ApplicationName;
use crate::uplink::{BackfillError, BackfillOutcome, RepairHandle};

/// Answers requests to fetch what was missed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Backfill {
    repair: RepairHandle,
    applications: Vec<ApplicationName>,
}

/// What is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Needed only if there are several.
    application: Option<String>,
    since: Timestamp,
    /// Until now without it.
    until: Option<Timestamp>,
}

/// What was fetched.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Backfilled {
    application: ApplicationName,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(flatten)]
    outcome: BackfillOutcome,
}

impl Backfill {
    pub fn new(repair: RepairHandle, applications: Vec<ApplicationName>) -> Self {
        Self { repair, applications }
    }

    /// Fetches what the network still has. Answers after the fetch, which may take minutes, or when the bridge stops.
    ///
    /// # Errors
    /// The request names no application, the network cannot be asked, or the bridge stops.
    pub async fn fetch(&self, wanted: Wanted, stop: &CancellationToken) -> Result<Backfilled, Problem> {
        let Wanted { application, since, until } = wanted;
        let application = self.application(application.as_deref())?;
        let outcome = tokio::select! {
            outcome = self.repair.backfill(application.clone(), since, until) => outcome.map_err(problem)?,
            () = stop.cancelled() => return Err(problem(BackfillError::Stopped)),
        };
        Ok(Backfilled { application, since, until, outcome })
    }

    fn application(&self, wanted: Option<&str>) -> Result<ApplicationName, Problem> {
        let names = self.applications.iter().map(ApplicationName::as_str).collect::<Vec<_>>().join(", ");
        match (wanted, &self.applications[..]) {
            (None, [only]) => Ok(only.clone()),
            (None, _) => {
                let hint = format!("give `application`: one of {names}");
                Err(Problem::new(Kind::Malformed, "there are several applications").hint(hint))
            }
            (Some(wanted), all) => all.iter().find(|name| name.as_str() == wanted).cloned().ok_or_else(|| {
                let shown: String = wanted.chars().take(80).collect();
                Problem::new(Kind::Unknown, format!("there is no application `{shown}`"))
                    .hint(format!("known: {names}"))
            }),
        }
    }
}

fn problem(error: BackfillError) -> Problem {
    use crate::network::HistoryError::{NotActivated, Refused, Unavailable};
    let kind = match &error {
        BackfillError::UnknownApplication(_) => Kind::Unknown,
        BackfillError::EmptySpan | BackfillError::History(NotActivated | Refused(_)) => Kind::Refused,
        BackfillError::Busy | BackfillError::Stopped | BackfillError::History(Unavailable(_)) => Kind::Unavailable,
    };
    let problem = Problem::new(kind, error.to_string());
    match error {
        BackfillError::History(NotActivated) => {
            problem.hint("add the storage integration to the application in the console: Integrations, Storage")
        }
        BackfillError::History(Unavailable(_)) => problem.hint("it is asked again by itself; bridge/event will tell"),
        _ => problem,
    }
}
