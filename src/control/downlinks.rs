//! Requests about downlinks: send one, list them, look at one or wait for its news, cancel one.

use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::Body;
use super::problem::{Kind, Problem};
use crate::downlink::{Desk, DownlinkKeys, DownlinkView, Filter};
use crate::home::Verb;
use crate::model::DownlinkId;

/// Downlinks in one list, unless the request says otherwise, and at most.
const USUAL: usize = 100;
const MOST: usize = 10_000;
/// The longest wait for news of a downlink; whoever wants to wait longer asks again.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Answers requests about downlinks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Downlinks {
    desk: Desk,
}

/// Which downlinks to list.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// By its name at home or its id at the network; all devices without it.
    pub device: Option<String>,
    pub application: Option<String>,
    /// Only those that have not reached their end.
    pub open: bool,
    /// The newest so many: 100 unless given, 10,000 at most.
    pub limit: Option<usize>,
}

/// A downlink to be sent: the keys of `downlink/push` and whose it is. Read by the flow that takes commands.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Order(#[schemars(with = "OrderKeys")] Body);

/// The keys of an [`Order`].
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is wanted")]
struct OrderKeys {
    /// By its name at home or its id at the network.
    device: String,
    application: Option<String>,
    #[serde(flatten)]
    downlink: DownlinkKeys,
}

/// One downlink.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct One {
    pub id: String,
}

/// One downlink, and until when the answer about it may wait.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Patient {
    pub id: String,
    /// For news, at most so long: a minute at most. No wait without it.
    #[serde(default, with = "crate::model::duration::optional")]
    #[schemars(with = "Option<String>", example = &"30s")]
    pub wait: Option<Duration>,
    /// News is whatever comes after so many steps; without it, the end.
    pub after_steps: Option<u32>,
}

/// Whose downlinks to drop.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Whose {
    /// By its name at home or its id at the network.
    pub device: String,
    pub application: Option<String>,
}

/// A list of downlinks, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Downlinks")]
pub struct Listed {
    pub downlinks: Vec<DownlinkView>,
}

impl Downlinks {
    pub fn new(desk: Desk) -> Self {
        Self { desk }
    }

    /// Sends one downlink. Answers once it is stored.
    ///
    /// # Errors
    /// The order names no device, or asks for what cannot be sent.
    pub async fn send(&self, Order(mut request): Order) -> Result<DownlinkView, Problem> {
        let device = request.take_text("device")?.ok_or_else(no_device)?;
        let application = request.take_text("application")?;
        let payload = Bytes::from(request.into_json());
        let asked = self.desk.ask(&device, application.as_deref(), Verb::Push, payload).await;
        let accepted = asked.map_err(|refusal| Problem::of(Kind::Refused, refusal))?;
        accepted.into_iter().next().ok_or_else(|| Problem::new(Kind::Unavailable, "the downlink was not taken"))
    }

    /// # Errors
    /// The device is not known, or the store cannot be read.
    pub async fn list(&self, wanted: Wanted) -> Result<Listed, Problem> {
        let Wanted { device, application, open, limit } = wanted;
        let most = limit.unwrap_or(USUAL).min(MOST);
        let listed = self.desk.list(&Filter { device, application, open_only: open, most }).await;
        listed.map(|downlinks| Listed { downlinks }).map_err(|refusal| Problem::of(Kind::Unknown, refusal))
    }

    /// One downlink: at once, or as soon as there is news of it, the time is over or the bridge stops.
    ///
    /// # Errors
    /// No downlink has this id, or the store cannot be read.
    pub async fn show(&self, patient: Patient, stop: &CancellationToken) -> Result<DownlinkView, Problem> {
        let id = parse(&patient.id)?;
        let wait = patient.wait.unwrap_or_default().min(LONGEST_WAIT);
        let mut changes = self.desk.changes();
        let over = tokio::time::sleep(wait);
        tokio::pin!(over);
        loop {
            // Before the look, so that what changes during it makes another one.
            changes.mark_unchanged();
            let downlink = self.look(&id).await?;
            let news = patient.after_steps.is_some_and(|seen| downlink.step_count > seen);
            if news || !downlink.open || wait.is_zero() {
                return Ok(downlink);
            }
            tokio::select! {
                () = &mut over => return self.look(&id).await,
                () = stop.cancelled() => return Ok(downlink),
                changed = changes.changed() => if changed.is_err() { return Ok(downlink) },
            }
        }
    }

    /// Stops a downlink, if that is still possible; what came of it is in the answer.
    ///
    /// # Errors
    /// No downlink has this id, or it has reached its end.
    pub async fn cancel(&self, One { id }: One) -> Result<DownlinkView, Problem> {
        let id = parse(&id)?;
        let found = self.look(&id).await?;
        if !found.open {
            let detail = format!("downlink `{id}` has reached its end: it is {}", found.state.as_str());
            return Err(Problem::new(Kind::Conflict, detail));
        }
        self.desk.cancel(&id).await.map_err(|refusal| Problem::of(Kind::Conflict, refusal))
    }

    /// Drops all downlinks of a device that have not been sent, here and at the network; what came of each is in the
    /// answer.
    ///
    /// # Errors
    /// The device is not known, or the bridge cannot do it now.
    pub async fn clear(&self, whose: Whose) -> Result<Listed, Problem> {
        let Whose { device, application } = whose;
        let touched = self.desk.ask(&device, application.as_deref(), Verb::Clear, Bytes::new()).await;
        touched.map(|downlinks| Listed { downlinks }).map_err(|refusal| Problem::of(Kind::Unknown, refusal))
    }

    async fn look(&self, id: &DownlinkId) -> Result<DownlinkView, Problem> {
        let found = self.desk.show(id).await.map_err(|refusal| Problem::of(Kind::Unavailable, refusal))?;
        found.ok_or_else(|| {
            let hint = "finished downlinks are remembered for a while only: [store] history";
            Problem::new(Kind::Unknown, format!("no downlink has the id `{id}`")).hint(hint)
        })
    }
}

fn no_device() -> Problem {
    let hint = "give `device`: a name as bridge/devices lists it, or the id at the network";
    Problem::new(Kind::Malformed, "the request names no device").hint(hint)
}

fn parse(id: &str) -> Result<DownlinkId, Problem> {
    DownlinkId::parse(id).map_err(|invalid| Problem::new(Kind::Malformed, invalid.to_string()))
}
