//! Downlinks over HTTP: push, replace, list.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

use super::super::downlinks::{Operation, Request};
use super::super::faults::Fault;
use super::super::messages::Failure;
use super::super::rate::Verdict;
use super::super::requests;
use super::super::shared::Shared;
use super::answer::{Answer, ApiError};
use super::auth::Caller;

/// `POST …/down/push`
pub async fn push(
    State(shared): State<Arc<Shared>>,
    path: DevicePath,
    caller: Caller,
    planned: Planned,
    body: Bytes,
) -> Response {
    operate(&shared, &path, &caller, Operation::Push, planned, &body)
}

/// `POST …/down/replace`
pub async fn replace(
    State(shared): State<Arc<Shared>>,
    path: DevicePath,
    caller: Caller,
    planned: Planned,
    body: Bytes,
) -> Response {
    operate(&shared, &path, &caller, Operation::Replace, planned, &body)
}

/// `GET …/down`: `{}` if nothing waits.
pub async fn list(State(shared): State<Arc<Shared>>, Path((app, dev)): DevicePath, caller: Caller) -> Answer {
    caller.may(&app, "RIGHT_APPLICATION_TRAFFIC_READ")?;
    let items = shared.list_queue(&app, &dev)?;
    Ok(Json(if items.is_empty() { json!({}) } else { json!({"downlinks": items}) }))
}

/// Application id and device id.
pub type DevicePath = Path<(String, String)>;

/// A fault that the plan in force has for this request.
type Planned = Option<Extension<Fault>>;

fn operate(
    shared: &Shared,
    path: &DevicePath,
    caller: &Caller,
    operation: Operation,
    planned: Planned,
    body: &[u8],
) -> Response {
    let Path((app, dev)) = path;
    if let Err(error) = caller.may(app, "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE") {
        return error.into_response();
    }
    // Per application, as since version 3.35.2.
    let key = format!("grpc:method:/ttn.lorawan.v3.AppAs/DownlinkQueuePush:application:{app}");
    let pretence = pretended(shared, planned);
    let verdict = limited(pretence.as_ref()).or_else(|| shared.ask_rate(&key, shared.config.rate.http_downlinks));
    let headers = verdict.map(rate_headers).unwrap_or_default();
    if let Some(verdict) = verdict.filter(|verdict| !verdict.allowed) {
        return (headers, ApiError::from(Failure::rate_limit_exceeded(&key, verdict.limit))).into_response();
    }
    let full = matches!(pretence, Some(Fault::QueueFull { .. }));
    let request = Request { application_id: app, device_id: dev, operation, face: requests::Face::Http, body, full };
    (headers, attempt(shared, request)).into_response()
}

fn attempt(shared: &Shared, request: Request<'_>) -> Answer {
    shared.queue_downlinks(request)?;
    Ok(Json(Value::Object(Default::default())))
}

/// A refusal that a test asked for, else one of the plan.
fn pretended(shared: &Shared, planned: Planned) -> Option<Fault> {
    let asked = |fault: &Fault| matches!(fault, Fault::RateLimited { .. } | Fault::QueueFull { .. });
    shared.faults.spend(asked).or(planned.map(|Extension(fault)| fault))
}

fn limited(pretence: Option<&Fault>) -> Option<Verdict> {
    let Some(Fault::RateLimited { retry, .. }) = pretence else { return None };
    Some(Verdict { allowed: false, limit: 60, available: 0, reset: *retry, retry: *retry })
}

/// Sent with refusals and successes alike wherever a limit applies.
fn rate_headers(verdict: Verdict) -> HeaderMap {
    let seconds = |time: Duration| HeaderValue::from(time.as_millis().div_ceil(1000) as u64);
    HeaderMap::from_iter([
        (axum::http::HeaderName::from_static("x-rate-limit-limit"), HeaderValue::from(verdict.limit)),
        (axum::http::HeaderName::from_static("x-rate-limit-available"), HeaderValue::from(verdict.available)),
        (axum::http::HeaderName::from_static("x-rate-limit-reset"), seconds(verdict.reset)),
        (axum::http::HeaderName::from_static("x-rate-limit-retry"), seconds(verdict.retry)),
    ])
}
