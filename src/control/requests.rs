//! Every request by its name, and the handler that answers it: the same one at each door.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tokio_util::sync::CancellationToken;

use super::downlinks::LONGEST_WAIT;
use super::problem::{Kind, Problem};
use super::{Answers, Body, Patience};
use crate::model::did_you_mean;

/// What can be asked, by the names below `bridge/request/`.
pub const REQUESTS: [&str; 18] = [
    "info",
    "health",
    "devices",
    "states",
    "device/options",
    "device/rename",
    "device/remove",
    "downlink/send",
    "downlink/list",
    "downlink/show",
    "downlink/cancel",
    "downlink/clear",
    "backfill",
    "codec/reload",
    "codec/test",
    "config/check",
    "config/reload",
    "log/level",
];
/// How long an answer may take that waits for nothing but the bridge itself.
pub const QUICK: Duration = Duration::from_secs(15);
/// How long messages may be fetched from the network.
pub const FETCH: Duration = Duration::from_secs(10 * 60);

/// An answer, JSON.
pub type Answer = Result<Box<RawValue>, Problem>;

/// One downlink, and how long to wait for its news: [`Patience`] beside its id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Show {
    id: String,
    #[serde(default, with = "crate::model::duration::optional")]
    wait: Option<Duration>,
    after_steps: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    id: String,
}

impl Answers {
    /// Answers a request by its name, within the time that this kind of request has.
    ///
    /// # Errors
    /// There is no such request, or the handler refuses it.
    pub async fn answer(&self, name: &str, body: Body, stop: &CancellationToken) -> Answer {
        let limit = limit_of(name);
        tokio::time::timeout(limit, self.handle(name, body, stop)).await.unwrap_or_else(|_| {
            let detail = format!("no answer within {} seconds", limit.as_secs());
            Err(Problem::new(Kind::Unavailable, detail).hint("the log says what the bridge is doing"))
        })
    }

    async fn handle(&self, name: &str, body: Body, stop: &CancellationToken) -> Answer {
        match name {
            "info" => body.nothing().and_then(|()| json(&self.info())),
            "health" => body.nothing().and_then(|()| json(&self.health())),
            "devices" => body.nothing().and_then(|()| json(&self.devices())),
            "states" => body.nothing().and_then(|()| json(&self.states())),
            "device/options" => json(&self.device_changes.options(body).await?),
            "device/rename" => json(&self.device_changes.rename(body).await?),
            "device/remove" => json(&self.device_changes.remove(body).await?),
            "downlink/send" => json(&self.downlinks.send(body).await?),
            "downlink/list" => json(&self.downlinks.list(body.read()?).await?),
            "downlink/show" => {
                let Show { id, wait, after_steps } = body.read()?;
                json(&self.downlinks.show(&id, Patience { wait, after_steps }, stop).await?)
            }
            "downlink/cancel" => json(&self.downlinks.cancel(&body.read::<Cancel>()?.id).await?),
            "downlink/clear" => json(&self.downlinks.clear(body.read()?).await?),
            "backfill" => json(&self.backfill.fetch(body, stop).await?),
            "codec/reload" => {
                body.nothing()?;
                json(&self.codecs.reload().await?)
            }
            "codec/test" => json(&self.codecs.test(body.read()?).await?),
            "config/check" => json(&self.configuring.check(body).await?),
            "config/reload" => {
                body.nothing()?;
                json(&self.configuring.reload().await?)
            }
            "log/level" => json(&self.log.level(body.read()?)?),
            unknown => Err(no_such_request(unknown)),
        }
    }
}

/// Those that wait for somebody else have longer.
fn limit_of(name: &str) -> Duration {
    match name {
        "backfill" => FETCH,
        "downlink/show" | "codec/reload" | "codec/test" => LONGEST_WAIT + QUICK,
        _ => QUICK,
    }
}

fn no_such_request(name: &str) -> Problem {
    let shown: String = name.chars().take(40).collect();
    Problem::new(Kind::Unknown, format!("there is no request `{shown}`")).hint(did_you_mean(name, &REQUESTS))
}

/// Raw, so that what a codec wrote keeps its digits.
fn json(answer: &impl Serialize) -> Answer {
    Ok(to_raw_value(answer).expect("our own types have string keys and always serialise"))
}
