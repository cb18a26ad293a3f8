//! Errors as problem details (RFC 9457): `application/problem+json`, with our `hint` beside the standard members.
//!
//! `type` tells apart what a program may want to tell apart, and never changes: `/problems/<kind>`, relative to the
//! bridge that says it. What means no more than its HTTP status is `about:blank`.

use std::borrow::Cow;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::control::{Kind, Problem};

/// The media type.
pub const MEDIA: &str = "application/problem+json";
/// Where the types of problems begin.
const TYPES: &str = "/problems/";

/// Why something was not done (RFC 9457, section 3.1).
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Details<'a> {
    /// `/problems/malformed`, `too-long`, `unknown`, `conflict`, `refused` or `unavailable`; `about:blank` if it means no
    /// more than the status.
    r#type: Cow<'a, str>,
    /// What sort of problem it is, the same words each time.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What is wrong this time, for people.
    detail: &'a str,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, name, title) = sort(self.kind);
        let r#type = format!("{TYPES}{name}").into();
        respond(Details { r#type, title, status: status.as_u16(), detail: &self.detail, hint: self.hint.as_deref() })
    }
}

/// A problem that is HTTP's own: no handler was asked.
pub fn details(status: StatusCode, detail: &str, hint: Option<&str>) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    respond(Details { r#type: "about:blank".into(), title, status: status.as_u16(), detail, hint })
}

/// The status of a kind of problem, the last part of its type, and its title.
pub fn sort(kind: Kind) -> (StatusCode, &'static str, &'static str) {
    match kind {
        Kind::Malformed => (StatusCode::BAD_REQUEST, "malformed", "The request cannot be understood"),
        Kind::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "too-long", "More than is read or written at once"),
        Kind::Unknown => (StatusCode::NOT_FOUND, "unknown", "What the request names is not there"),
        Kind::Conflict => (StatusCode::CONFLICT, "conflict", "The request does not fit how things stand"),
        Kind::Refused => (StatusCode::UNPROCESSABLE_ENTITY, "refused", "The request cannot be carried out as it is"),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "It may work later"),
    }
}

fn respond(details: Details<'_>) -> Response {
    let status = StatusCode::from_u16(details.status).expect("it was made from one");
    (status, [(header::CONTENT_TYPE, MEDIA)], Json(details)).into_response()
}
