//! The Storage Integration: every uplink within its retention, page by page.
//!
//! It is no part of The Things Stack's open source edition; on The Things Network it keeps 24 hours (The Things Stack
//! documentation, "Storage Integration"). It writes in batches: what is newest may not be there yet.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::super::api::{Api, ApiError};
use super::results::Results;
use super::{Delivery, Stop};
use crate::model::DeviceId;
use crate::network::Span;
use crate::telemetry::with_causes;

/// Messages asked for at once. A server that gives fewer says with a token that there are more.
const PAGE: &str = "1000";
/// Pages of one span: more than any network keeps.
const PAGES: usize = 10_000;
/// Tries that may fail in a row without getting on, the waits between them, and the longest wait a server may ask for.
const TRIES: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// How far a new try goes back behind the last message: others may bear the same time.
const STEP_BACK: SignedDuration = SignedDuration::from_millis(1);

/// What is stored of one application, or of one of its devices.
pub struct Storage<'a> {
    api: &'a Api,
    url: Url,
}

/// How far a fetch has come.
struct Reached {
    at: Timestamp,
    found: u64,
}

impl<'a> Storage<'a> {
    pub fn of(api: &'a Api, device: Option<&DeviceId>) -> Result<Self, ApiError> {
        let stored = ["packages", "storage", "uplink_message"];
        let url = match device {
            Some(device) => api.cluster_url(&[&["devices", device.as_str()], &stored[..]].concat()),
            None => api.cluster_url(&stored),
        };
        Ok(Self { api, url: url? })
    }

    /// Delivers everything stored of the span, oldest first, and returns how many that were. A page that breaks off is
    /// asked for again from where it broke: then some come twice.
    pub async fn fetch(&self, span: Span, delivery: &Delivery<'_>) -> Result<u64, Stop> {
        let mut reached = Reached { at: span.after, found: 0 };
        let (mut failed, mut limit) = (0, Some(PAGE));
        loop {
            let from = reached.at;
            let after = if reached.found > 0 { from - STEP_BACK } else { span.after };
            let first = self.first_page(Span { after, ..span }, limit);
            let error = match self.pages(first, &mut reached, delivery).await {
                Ok(()) => return Ok(reached.found),
                Err(Stop::Api(error)) => error,
                Err(stop) => return Err(stop),
            };
            failed = if reached.at > from { 1 } else { failed + 1 };
            let token_refused = is_bad_request(&error) && reached.at > from;
            match wait(&error, failed).or(token_refused.then_some(FIRST_WAIT)) {
                Some(wait) if failed < TRIES => tokio::time::sleep(wait).await,
                // Nobody knows the largest limit; without one the server chooses.
                None if is_bad_request(&error) && limit.take().is_some() => {}
                _ if reached.found > 0 => return Err(ApiError::Broken(with_causes(&error)).into()),
                _ => return Err(error.into()),
            }
        }
    }

    async fn pages(&self, first: Url, reached: &mut Reached, delivery: &Delivery<'_>) -> Result<(), Stop> {
        let mut url = first;
        for _ in 0..PAGES {
            let mut page = Results::new(self.api.open(url).await?, self.api.patience());
            let token = page.header("x-continuation-token").map(str::to_owned).filter(|token| !token.is_empty());
            let before = reached.found;
            while let Some(message) = page.next().await? {
                let at = delivery.deliver(message).await?;
                reached.at = reached.at.max(at.unwrap_or(reached.at));
                reached.found += 1;
            }
            match token {
                Some(token) if reached.found > before => url = self.next_page(&token),
                _ => return Ok(()),
            }
        }
        Err(ApiError::Broken(format!("there are more than {PAGES} pages")).into())
    }

    /// An end that is still to come is not named: nothing is stored from beyond it, and nobody knows whether the server
    /// takes it.
    fn first_page(&self, span: Span, limit: Option<&str>) -> Url {
        let mut url = self.url.clone();
        let before = (span.before <= Timestamp::now()).then(|| span.before.to_string());
        url.query_pairs_mut()
            .append_pair("after", &span.after.to_string())
            .extend_pairs(before.map(|before| ("before", before)))
            .append_pair("order", "received_at")
            .extend_pairs(limit.map(|limit| ("limit", limit)));
        url
    }

    /// The token stands for all other parameters.
    fn next_page(&self, token: &str) -> Url {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("continuation_token", token);
        url
    }
}

fn is_bad_request(error: &ApiError) -> bool {
    matches!(error, ApiError::Refused(refusal) if refusal.status == 400)
}

/// How long to wait before the next try, if trying again can help.
fn wait(error: &ApiError, failed: u32) -> Option<Duration> {
    match error {
        ApiError::Refused(refusal) if refusal.status == 429 => {
            let asked = Duration::from_secs(refusal.rate.retry.or(refusal.rate.reset)?.max(1));
            (asked <= LONGEST_WAIT).then_some(asked)
        }
        ApiError::Refused(refusal) if refusal.status < 500 || refusal.status == 501 => None,
        ApiError::NotConfigured | ApiError::Setup(_) => None,
        _ => Some(FIRST_WAIT * failed),
    }
}
