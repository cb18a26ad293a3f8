//! Every request passes here: it is numbered and logged, and the faults that tests asked for strike here.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::super::HttpRequest;
use super::super::faults::Fault;
use super::super::messages::request_id;
use super::super::shared::Shared;
use super::answer::{ApiError, bare};

/// Largest request body in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// How long a request that gets no answer is held before its connection is closed.
const SILENCE: Duration = Duration::from_secs(600);

/// Hands a request on, unless a fault is in force.
pub async fn pass(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return bare(StatusCode::PAYLOAD_TOO_LARGE) };
    let mut entry = HttpRequest {
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        body: body.clone(),
        status: None,
    };
    let answer = respond(&shared, Request::from_parts(parts, Body::from(body)), next).await;
    entry.status = answer.as_ref().map(|answer| answer.status().as_u16());
    shared.log(entry);
    match answer {
        Some(answer) => numbered(answer),
        None => keep_silent(&shared).await,
    }
}

/// The answer; `None` if there shall be none.
async fn respond(shared: &Shared, mut request: Request, next: Next) -> Option<Response> {
    match strike(shared, request.uri().path()) {
        Some(Fault::HttpStatus { status, .. } | Fault::StatusFor { status, .. }) => Some(failed(status)),
        Some(Fault::StatusAfterActing { status, .. }) => {
            next.run(request).await;
            Some(failed(status))
        }
        Some(Fault::SilentBeforeActing { .. }) => None,
        Some(Fault::SilentAfterActing { .. }) => {
            next.run(request).await;
            None
        }
        _ if shared.faults.holds(&Fault::IdentityServerDown) => Some(identity_server_down()),
        for_handler => {
            // The two kinds of 429 are the handler's to answer.
            for_handler.map(|fault| request.extensions_mut().insert(fault));
            Some(next.run(request).await)
        }
    }
}

/// The trouble this request runs into: one that was asked for, else one of the plan.
fn strike(shared: &Shared, path: &str) -> Option<Fault> {
    let struck = shared.faults.spend(|fault| match fault {
        Fault::HttpStatus { .. }
        | Fault::StatusAfterActing { .. }
        | Fault::SilentBeforeActing { .. }
        | Fault::SilentAfterActing { .. } => true,
        Fault::StatusFor { path: wanted, .. } => path.contains(wanted),
        _ => false,
    });
    let (lists, asks) = (path.ends_with("/down"), path.ends_with("/down/push") || path.ends_with("/down/replace"));
    struck.or_else(|| (lists || asks).then(|| shared.faults.draw(lists)).flatten())
}

fn failed(status: u16) -> Response {
    bare(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

/// Rights live in the Identity Server, so every other server needs it too.
fn identity_server_down() -> Response {
    ApiError::Plain { code: 14, message: "connection to the Identity Server failed".into() }.into_response()
}

async fn keep_silent(shared: &Shared) -> Response {
    tokio::select! {
        () = tokio::time::sleep(SILENCE) => {}
        () = shared.stop.cancelled() => {}
    }
    bare(StatusCode::GATEWAY_TIMEOUT)
}

fn numbered(mut answer: Response) -> Response {
    let id = Bytes::from(request_id());
    let id = HeaderValue::from_maybe_shared(id).expect("hexadecimal digits are a valid header");
    answer.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    answer
}
