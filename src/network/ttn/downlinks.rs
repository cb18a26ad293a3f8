//! Downlinks through the HTTP API: push, replace, list, and what an error means for the next try.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use url::Url;

use super::api::{Api, ApiError};
use super::end_to_end::Sealed;
use super::messages::{CORRELATION_PREFIX, our_id};
use super::refusal::{RateLimit, Refusal};
use crate::model::{DeviceId, DownlinkId, Failure, Priority, QueuedDownlink};
use crate::network::{Budget, PushError};
use crate::telemetry::with_causes;

/// The wait when the API says too many but not how long.
const RETRY_AFTER: Duration = Duration::from_secs(10);
const LONGEST_RETRY: u64 = 3600;

/// The network's queues of one application's devices.
#[derive(Debug, Clone)]
pub struct Downlinks {
    api: Api,
}

impl Downlinks {
    pub fn new(api: Api) -> Self {
        Self { api }
    }

    /// Appends to the device's queue, all or none. Tells when the next push may come.
    pub async fn push(&self, device: &DeviceId, downlinks: &[QueuedDownlink]) -> Result<Budget, PushError> {
        let items = downlinks.iter().map(ApplicationDownlink::of).collect();
        self.post(device, "push", items).await.map(budget).map_err(push_error)
    }

    /// The same with payloads that are encrypted already: one for each downlink.
    pub async fn push_sealed(
        &self,
        device: &DeviceId,
        downlinks: &[QueuedDownlink],
        sealed: Vec<Sealed>,
    ) -> Result<Budget, ApiError> {
        let items =
            downlinks.iter().zip(sealed).map(|(downlink, sealed)| ApplicationDownlink::sealed(downlink, sealed));
        self.post(device, "push", items.collect()).await.map(budget)
    }

    /// Swaps everything that waits in the device's queue, whoever put it there. What a gateway has already is not
    /// called back.
    pub async fn replace(&self, device: &DeviceId, downlinks: &[QueuedDownlink]) -> Result<(), PushError> {
        let items = downlinks.iter().map(ApplicationDownlink::of).collect();
        self.post(device, "replace", items).await.map(drop).map_err(push_error)
    }

    /// Our downlinks in the device's queue, in its order.
    pub async fn waiting(&self, device: &DeviceId) -> Result<Vec<DownlinkId>, PushError> {
        Ok(self.list(device).await?.iter().filter_map(Listed::ours).collect())
    }

    /// Takes `ids` out of the queue. The API can only replace a queue as a whole, and what is put back may have been
    /// transmitted in between: so this is done only if nothing else waits. Returns what was taken out.
    pub async fn withdraw(&self, device: &DeviceId, ids: &[DownlinkId]) -> Result<Vec<DownlinkId>, PushError> {
        let listed: Option<Vec<_>> = self.list(device).await?.iter().map(Listed::ours).collect();
        match listed {
            Some(waiting) if !waiting.is_empty() && waiting.iter().all(|id| ids.contains(id)) => {
                self.replace(device, &[]).await.map(|()| waiting)
            }
            _ => Ok(Vec::new()),
        }
    }

    async fn post(
        &self,
        device: &DeviceId,
        verb: &str,
        downlinks: Vec<ApplicationDownlink>,
    ) -> Result<RateLimit, ApiError> {
        self.api.post(self.url(device, &["down", verb])?, &Body { downlinks }).await
    }

    async fn list(&self, device: &DeviceId) -> Result<Vec<Listed>, PushError> {
        let url = self.url(device, &["down"]).map_err(push_error)?;
        let (queue, _) = self.api.get::<Queue>(url).await.map_err(push_error)?;
        Ok(queue.downlinks)
    }

    fn url(&self, device: &DeviceId, path: &[&str]) -> Result<Url, ApiError> {
        let path: Vec<_> = ["devices", device.as_str()].into_iter().chain(path.iter().copied()).collect();
        self.api.cluster_url(&path)
    }
}

#[derive(Serialize)]
struct Body {
    downlinks: Vec<ApplicationDownlink>,
}

/// `ApplicationDownlink` of The Things Stack's API.
#[derive(Serialize)]
struct ApplicationDownlink {
    f_port: u8,
    frm_payload: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    confirmed: bool,
    priority: Priority,
    correlation_ids: [String; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_retry: Option<ConfirmedRetry>,
    /// Given by us only if the payload is encrypted by us.
    #[serde(skip_serializing_if = "Option::is_none")]
    f_cnt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_key_id: Option<String>,
}

/// The stack counts from `attempt`: without it from 0 if the maximum is given, which makes one transmission more than
/// asked for (observed on The Things Stack 3.32).
#[derive(Serialize)]
struct ConfirmedRetry {
    attempt: u8,
    max_attempts: u8,
}

#[derive(Deserialize)]
struct Queue {
    #[serde(default)]
    downlinks: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    correlation_ids: Vec<String>,
}

impl ApplicationDownlink {
    fn of(downlink: &QueuedDownlink) -> Self {
        let attempts = downlink.attempts.filter(|_| downlink.confirmed);
        Self {
            f_port: downlink.f_port.value(),
            frm_payload: STANDARD.encode(&downlink.payload),
            confirmed: downlink.confirmed,
            priority: downlink.priority,
            correlation_ids: [format!("{CORRELATION_PREFIX}{}", downlink.id)],
            confirmed_retry: attempts.map(|max_attempts| ConfirmedRetry { attempt: 1, max_attempts }),
            f_cnt: None,
            session_key_id: None,
        }
    }

    /// The stack does not repeat what it cannot encrypt anew: how often is no word for it.
    fn sealed(downlink: &QueuedDownlink, sealed: Sealed) -> Self {
        Self {
            frm_payload: STANDARD.encode(&sealed.payload),
            confirmed_retry: None,
            f_cnt: Some(sealed.f_cnt),
            session_key_id: Some(sealed.session_key_id),
            ..Self::of(downlink)
        }
    }
}

impl Listed {
    fn ours(&self) -> Option<DownlinkId> {
        our_id(&self.correlation_ids)
    }
}

/// The stack lets one request through every `60 / limit` seconds and saves up some while nothing comes (a leaky bucket;
/// observed on The Things Stack 3.32). `reset` is the time until all are saved up again, so the next one is there sooner.
fn budget(rate: RateLimit) -> Budget {
    let wait = match (rate.available, rate.limit, rate.reset) {
        (None | Some(1..), _, _) => Duration::ZERO,
        (Some(0), Some(a_minute @ 1..), reset) => {
            let next = Duration::from_secs(60) / u32::try_from(a_minute).unwrap_or(u32::MAX);
            next.min(reset.map_or(Duration::MAX, Duration::from_secs))
        }
        (Some(0), _, Some(reset)) => Duration::from_secs(reset.min(LONGEST_RETRY)),
        (Some(0), _, None) => RETRY_AFTER,
    };
    Budget { available: rate.available, wait }
}

/// Which class an error is of. What leaves open whether the stack acted is [`PushError::Unknown`].
pub(super) fn push_error(error: ApiError) -> PushError {
    match error {
        ApiError::Refused(refusal) => refused(*refusal),
        ApiError::NotConfigured => PushError::Refused(Failure { name: "no_api".into(), message: error.to_string() }),
        error => PushError::Unknown(with_causes(&error)),
    }
}

/// The stack's names for a device without a session, or with one that is not known here, and for its queue being full. A
/// counter is too low where the payload should have been encrypted: what the device sends next tells with which key.
const NO_SESSION: [&str; 4] = ["no_device_session", "unknown_session", "unknown_mac_state", "f_cnt_too_low"];
const QUEUE_FULL: &str = "downlink_queue_capacity";

/// A refusal that passes. The stack publishes it as `down/failed` beside its answer to the push (observed on The Things
/// Stack 3.32).
pub(super) fn passes(failure: &Failure) -> bool {
    NO_SESSION.contains(&failure.name.as_str()) || failure.name == QUEUE_FULL
}

/// By the error's name where it has one, for the same status means different things.
fn refused(refusal: Refusal) -> PushError {
    match (refusal.status, refusal.name.as_str()) {
        (_, name) if NO_SESSION.contains(&name) => PushError::NoSession,
        (429, QUEUE_FULL) => PushError::QueueFull,
        (429, _) => PushError::RateLimited { retry_after: retry_after(&refusal) },
        (401 | 403, _) => PushError::Forbidden(failure(refusal)),
        // A malformed key.
        (400, "token") if refusal.namespace == "pkg/auth" => PushError::Forbidden(failure(refusal)),
        // Encoders and scripts fail the same way again; other conflicts are transactions that were given up.
        (409, "output_errors" | "script") => PushError::Refused(failure(refusal)),
        (409, _) => PushError::Unknown(refusal.to_string()),
        // Something that is not the API answered: nobody knows what it did.
        (404 | 408, "") => PushError::Unknown(refusal.to_string()),
        (400..=499, _) => PushError::Refused(failure(refusal)),
        _ => PushError::Unknown(refusal.to_string()),
    }
}

fn retry_after(refusal: &Refusal) -> Duration {
    let seconds = refusal.rate.retry.or(refusal.rate.reset);
    seconds.map_or(RETRY_AFTER, |seconds| Duration::from_secs(seconds.clamp(1, LONGEST_RETRY)))
}

pub(super) fn failure(refusal: Refusal) -> Failure {
    let name = if refusal.name.is_empty() { format!("http_{}", refusal.status) } else { refusal.name };
    Failure { name, message: refusal.message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_that_for_the_next_push_and_not_for_all_of_them() {
        let rate = |limit, available, reset| budget(RateLimit { limit, available, reset, retry: Some(0) });
        assert_eq!(rate(None, None, None), Budget::default());
        assert_eq!(rate(Some(10), Some(3), Some(42)), Budget { available: Some(3), wait: Duration::ZERO });
        assert_eq!(rate(Some(10), Some(0), Some(60)), Budget { available: Some(0), wait: Duration::from_secs(6) });
        assert_eq!(rate(Some(1), Some(0), Some(7)).wait, Duration::from_secs(7), "the reset cannot be later");
        assert_eq!(rate(Some(0), Some(0), Some(9)).wait, Duration::from_secs(9), "a limit of nothing divides nothing");
        assert_eq!(rate(None, Some(0), None).wait, RETRY_AFTER);
    }
}
