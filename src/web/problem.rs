//! Errors as problem details (RFC 9457): `application/problem+json`, with our `hint` beside the standard members.

use axum::Json;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::control::{Kind, Problem};

/// The members of RFC 9457, section 3.1. The type is left at its default: the status says what a program needs to know.
#[derive(Debug, Serialize)]
struct Details<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        details(status(self.kind), &self.detail, self.hint.as_deref())
    }
}

/// A problem that is HTTP's own: no handler was asked.
pub fn details(status: StatusCode, detail: &str, hint: Option<&str>) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = Details { r#type: "about:blank", title, status: status.as_u16(), detail, hint };
    (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(body)).into_response()
}

/// There is something at this path, and it is not asked so.
pub async fn not_this_method(request: Request) -> Response {
    let detail = format!("{} is not for {}", request.method(), request.uri().path());
    details(StatusCode::METHOD_NOT_ALLOWED, &detail, None)
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Unknown => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}
